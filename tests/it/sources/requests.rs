//! Where a signed request goes, and what it carries.

use std::sync::{Arc, Mutex};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ecs::config::{
    Credentials, HttpClient, RuntimeComponents, SharedCredentialsProvider, SharedHttpClient,
};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use decision::config::Discover;
use ecs_queue_scaler::aws::Aws;

/// A network on which nobody answers.
#[derive(Clone, Debug, Default)]
struct Silence(Arc<Mutex<Vec<String>>>);

impl HttpConnector for Silence {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let header = |name: &str| request.headers().get(name).unwrap_or("none").to_owned();
        let scope = header("authorization");
        let scope = scope.split(',').next().unwrap().splitn(3, '/').nth(2).unwrap().to_owned();
        let token = header("x-amz-security-token");
        let line = format!("{} {} as {scope} with {token}", request.method(), request.uri());
        self.0.lock().unwrap().push(line);
        HttpConnectorFuture::ready(Err(ConnectorError::user("nobody".into())))
    }
}

impl HttpClient for Silence {
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// The requests of all three kinds, a line each.
async fn sent(change: impl Fn(&mut aws_types::sdk_config::Builder)) -> String {
    let network = Silence::default();
    let credentials = Credentials::new("test", "test", Some("token".to_owned()), None, "test");
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(SharedHttpClient::new(network.clone()));
    change(&mut config);
    let cloud = Aws::new(&config.build()).unwrap().read;
    let by = Discover { tag: "scaler".to_owned(), value: None };
    assert!(cloud.parameter("/scaler").await.is_err());
    assert!(cloud.object("a-bucket", "a/b c", None).await.is_err());
    assert!(cloud.object("a.bucket", "key", None).await.is_err());
    assert!(cloud.tagged_queues(&by).await.is_err());
    let lines = network.0.lock().unwrap().join("\n");
    // The day of the signature.
    let digits = |word: &str| word.len() == 8 && word.chars().all(|c| c.is_ascii_digit());
    let words = lines.split('/').map(|word| match word.rsplit_once(' ') {
        Some((before, day)) if digits(day) => format!("{before} DAY"),
        _ if digits(word) => "DAY".to_owned(),
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn a_request_goes_to_its_service_and_region_unless_an_endpoint_is_set() {
    let sent = [
        sent(|_| ()).await,
        sent(|config| {
            config.set_region(Region::new("cn-north-1"));
        })
        .await,
        sent(|config| {
            config.set_use_fips(Some(true));
            config.set_region(Region::new("us-gov-west-1"));
        })
        .await,
        sent(|config| {
            config.set_endpoint_url(Some("http://127.0.0.1:4566".to_owned()));
        })
        .await,
        sent(|config| {
            config.set_service_config(Some(Endpoints));
        })
        .await,
    ];
    insta::assert_snapshot!(sent.join("\n\n"));
}

/// What `AWS_ENDPOINT_URL_...` would set.
#[derive(Debug)]
struct Endpoints;

impl aws_types::service_config::LoadServiceConfig for Endpoints {
    fn load_config(&self, key: aws_types::service_config::ServiceConfigKey<'_>) -> Option<String> {
        let host = key.service_id().to_lowercase().replace(' ', "-");
        Some(format!("https://{host}.internal/{}", key.env()))
    }
}
