//! A signed request to a service that has no crate here: the configuration needs three calls, a
//! lifecycle hook two, and their crates would weigh more than all the rest of the function.
//!
//! The request goes the SDK's own way (its connections, credentials, signature, timeouts, clock).

#[cfg(feature = "cli")]
use std::time::Duration;

use aws_config::SdkConfig;
#[cfg(feature = "cli")]
use aws_config::timeout::TimeoutConfig;
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_runtime::auth::{SigV4OperationSigningConfig, SigningOptions};
use aws_runtime::service_clock_skew::ServiceClockSkewInterceptor;
use aws_sdk_ecs::error::SdkError;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::auth::{
    AuthSchemeOptionResolverParams, SharedAuthSchemeOptionResolver,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::Layer;
use aws_types::service_config::ServiceConfigKey;

use super::answer::{Answer, AtMost, Fault};
use super::hosts;
use super::unusable::Usable;
use decision::config::LARGEST;

/// A service that is called without a crate of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// Systems Manager's parameters.
    Ssm,
    /// S3.
    S3,
    /// The Resource Groups Tagging API.
    Tagging,
    /// EC2 Auto Scaling.
    AutoScaling,
    /// Lambda, for a terminal.
    #[cfg(feature = "cli")]
    Lambda,
    /// CloudWatch's metrics, for a terminal.
    #[cfg(feature = "cli")]
    CloudWatch,
    /// CloudWatch's logs, for a terminal.
    #[cfg(feature = "cli")]
    Logs,
    /// The Security Token Service, for a terminal.
    #[cfg(feature = "cli")]
    Sts,
    /// Identity and Access Management, for a terminal.
    #[cfg(feature = "cli")]
    Iam,
    /// EC2, for a terminal: its crate would be larger than all others together.
    #[cfg(feature = "cli")]
    Ec2,
    /// The Elastic Container Registry, for a terminal.
    #[cfg(feature = "cli")]
    Ecr,
    /// Secrets Manager, for a terminal.
    #[cfg(feature = "cli")]
    Secrets,
    /// Service Quotas, for a terminal.
    #[cfg(feature = "cli")]
    Quotas,
}

impl Service {
    /// The name that the service is signed for, and the first part of its host.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ssm => "ssm",
            Self::S3 => "s3",
            Self::Tagging => "tagging",
            Self::AutoScaling => "autoscaling",
            #[cfg(feature = "cli")]
            Self::Lambda => "lambda",
            #[cfg(feature = "cli")]
            Self::CloudWatch => "monitoring",
            #[cfg(feature = "cli")]
            Self::Logs => "logs",
            #[cfg(feature = "cli")]
            Self::Sts => "sts",
            #[cfg(feature = "cli")]
            Self::Iam => "iam",
            #[cfg(feature = "cli")]
            Self::Ec2 => "ec2",
            #[cfg(feature = "cli")]
            Self::Ecr => "ecr",
            #[cfg(feature = "cli")]
            Self::Secrets => "secretsmanager",
            #[cfg(feature = "cli")]
            Self::Quotas => "servicequotas",
        }
    }

    /// What `AWS_ENDPOINT_URL_...` and the `services` of a profile call it.
    fn id(self) -> &'static str {
        match self {
            Self::Ssm => "SSM",
            Self::S3 => "S3",
            Self::Tagging => "Resource Groups Tagging API",
            Self::AutoScaling => "Auto Scaling",
            #[cfg(feature = "cli")]
            Self::Lambda => "Lambda",
            #[cfg(feature = "cli")]
            Self::CloudWatch => "CloudWatch",
            #[cfg(feature = "cli")]
            Self::Logs => "CloudWatch Logs",
            #[cfg(feature = "cli")]
            Self::Sts => "STS",
            #[cfg(feature = "cli")]
            Self::Iam => "IAM",
            #[cfg(feature = "cli")]
            Self::Ec2 => "EC2",
            #[cfg(feature = "cli")]
            Self::Ecr => "ECR",
            #[cfg(feature = "cli")]
            Self::Secrets => "Secrets Manager",
            #[cfg(feature = "cli")]
            Self::Quotas => "Service Quotas",
        }
    }

    /// What comes before the operation's name in `X-Amz-Target`, where there is such a header.
    fn target(self) -> Option<&'static str> {
        match self {
            Self::Ssm => Some("AmazonSSM"),
            Self::S3 | Self::AutoScaling => None,
            #[cfg(feature = "cli")]
            Self::Lambda | Self::Sts | Self::Iam | Self::Ec2 => None,
            #[cfg(feature = "cli")]
            Self::Ecr => Some("AmazonEC2ContainerRegistry_V20150921"),
            #[cfg(feature = "cli")]
            Self::Secrets => Some("secretsmanager"),
            #[cfg(feature = "cli")]
            Self::Quotas => Some("ServiceQuotasV20190624"),
            #[cfg(feature = "cli")]
            Self::CloudWatch => Some("GraniteServiceVersion20100801"),
            #[cfg(feature = "cli")]
            Self::Logs => Some("Logs_20140328"),
            Self::Tagging => Some("ResourceGroupsTaggingAPI_20170126"),
        }
    }

    /// Whether its plain host in the Regions of the US government is validated by FIPS 140.
    pub(super) fn is_plain_in_gov(self, dual_stack: bool) -> bool {
        match self {
            Self::Ssm | Self::AutoScaling => !dual_stack,
            #[cfg(feature = "cli")]
            Self::CloudWatch => true,
            #[cfg(feature = "cli")]
            Self::Logs | Self::Sts | Self::Ec2 => !dual_stack,
            _ => false,
        }
    }

    /// The version of the JSON protocol that it speaks.
    /// Source: the services' models, `jsonVersion`.
    fn json(self) -> &'static str {
        match self {
            #[cfg(feature = "cli")]
            Self::CloudWatch => "application/x-amz-json-1.0",
            _ => "application/x-amz-json-1.1",
        }
    }

    /// S3 signs the path as it is sent, and the digest of the body in a header.
    /// Source: S3 API reference, "Signature Calculations for the Authorization Header".
    fn signing_options(self) -> SigningOptions {
        let mut options = SigningOptions::default();
        if self == Self::S3 {
            options.double_uri_encode = false;
            options.normalize_uri_path = false;
            options.content_sha256_header = true;
        }
        options
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) service: Service,
    pub(super) operation: &'static str,
    /// With its leading slash.
    pub(super) path: String,
    pub(super) ask: Ask,
}

/// How it is asked.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    /// A JSON document, in AWS's JSON protocol.
    Document(String),
    /// A form, in AWS's Query protocol.
    Form(String),
    /// What the path says.
    #[cfg(feature = "cli")]
    Nothing,
    /// An object of this bucket, unless its version is this one.
    Object { bucket: Option<String>, unless: Option<String> },
}

impl Ask {
    /// The longest answer that is read. A document is bounded by its service: a parameter has 8 KB,
    /// a page of tagged queues a hundred of them.
    fn largest_answer(&self) -> Option<usize> {
        match self {
            Self::Document(_) | Self::Form(_) => None,
            #[cfg(feature = "cli")]
            Self::Nothing => None,
            Self::Object { .. } => Some(LARGEST),
        }
    }
}

/// Sends signed requests.
#[derive(Clone, Debug)]
pub(super) struct Signed {
    config: SdkConfig,
}

impl Signed {
    /// What it sends is as bounded in time as the configuration says.
    pub(super) fn new(config: &SdkConfig) -> Self {
        Self { config: config.clone() }
    }

    /// The same, which waits so long for an answer.
    #[cfg(feature = "cli")]
    pub(super) fn with_patience(&self, time: Duration) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(super::CONNECT_TIMEOUT)
            .operation_attempt_timeout(time)
            .operation_timeout(time);
        Self { config: self.config.to_builder().timeout_config(timeouts.build()).build() }
    }

    /// Where a service is, when the environment or the profile says so. As the SDK's own clients
    /// find it.
    pub(super) fn configured_endpoint(&self, service: Service) -> Option<String> {
        let key = ServiceConfigKey::builder();
        let key = key.service_id(service.id()).env("AWS_ENDPOINT_URL").profile("endpoint_url");
        let own = key.build().ok().and_then(|key| self.config.service_config()?.load_config(key));
        own.or_else(|| self.config.endpoint_url().map(str::to_owned))
    }

    fn endpoint(&self, request: &Request) -> Result<String, String> {
        if let Some(url) = self.configured_endpoint(request.service) {
            return Ok(url);
        }
        let region = self.config.region().map(AsRef::as_ref).unwrap_or_default();
        let kind = hosts::Kind {
            fips: self.config.use_fips() == Some(true),
            dual_stack: self.config.use_dual_stack() == Some(true),
        };
        let host = hosts::host(request.service, region, kind).ok_or_else(|| {
            let service = request.service.id();
            format!("{service} has no FIPS host in {region}; unset AWS_USE_FIPS_ENDPOINT")
        })?;
        Ok(match &request.ask {
            Ask::Object { bucket: Some(bucket), .. } => format!("https://{bucket}.{host}"),
            _ => format!("https://{host}"),
        })
    }

    /// The call, ready to be sent once or several times.
    ///
    /// # Errors
    /// Where AWS has no such host, and what to do.
    pub(super) fn call(&self, request: &Request) -> Result<Call, String> {
        let mut operation = Operation::builder()
            .service_name(request.service.id())
            .operation_name(request.operation)
            .endpoint_url(&self.endpoint(request)?)
            .no_retry() // `pace` is the layer that repeats
            .interceptor(ServiceClockSkewInterceptor::new())
            .interceptor(Usable)
            .with_connection_poisoning()
            .runtime_plugin(self.signature(request.service))
            .serializer(|request: Request| request.http())
            .deserializer_impl::<Answer, Fault>(AtMost(request.ask.largest_answer()));
        if let Some(version) = self.config.behavior_version() {
            operation = operation.behavior_version(version);
        }
        if let Some(timeouts) = self.config.timeout_config() {
            operation = operation.timeout_config(timeouts.clone());
        }
        if let Some(http) = self.config.http_client() {
            operation = operation.http_client(http);
        }
        if let Some(sleep) = self.config.sleep_impl() {
            operation = operation.sleep_impl(sleep);
        }
        if let Some(time) = self.config.time_source() {
            operation = operation.time_source(time);
        }
        Ok(Call { operation: operation.build(), request: request.clone() })
    }

    /// The Region that a call is signed for.
    fn signing_region(&self, service: Service) -> Option<aws_config::Region> {
        let region = self.config.region().cloned();
        #[cfg(feature = "cli")]
        if service == Service::Iam {
            let here = region.as_ref().map(AsRef::as_ref).unwrap_or_default();
            return hosts::region_of_iam(here).map(aws_config::Region::new);
        }
        let _ = service;
        region
    }

    fn signature(&self, service: Service) -> StaticRuntimePlugin {
        let mut layer = Layer::new("signature");
        layer.store_put(AuthSchemeOptionResolverParams::new(()));
        layer.store_put(SigV4OperationSigningConfig {
            region: self.signing_region(service).map(Into::into),
            name: Some(service.name().into()),
            signing_options: service.signing_options(),
            ..SigV4OperationSigningConfig::default()
        });
        let options = StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID]);
        let mut components = RuntimeComponentsBuilder::new("signature")
            .with_auth_scheme(SigV4AuthScheme::new())
            .with_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(options)));
        if let Some(cache) = self.config.identity_cache() {
            components.set_identity_cache(Some(cache));
        }
        if let Some(credentials) = self.config.credentials_provider() {
            components.set_identity_resolver(SCHEME_ID, credentials);
        }
        StaticRuntimePlugin::new().with_config(layer.freeze()).with_runtime_components(components)
    }
}

/// A call that is ready to be sent.
#[derive(Debug)]
pub(super) struct Call {
    operation: Operation<Request, Answer, Fault>,
    request: Request,
}

impl Call {
    /// One attempt.
    pub(super) async fn send(&self) -> Result<Answer, SdkError<Fault>> {
        self.operation.invoke(self.request.clone()).await
    }
}

impl Request {
    fn http(&self) -> Result<HttpRequest, BoxError> {
        let (method, body) = match &self.ask {
            Ask::Document(body) | Ask::Form(body) => ("POST", body.as_str()),
            Ask::Object { .. } => ("GET", ""),
            #[cfg(feature = "cli")]
            Ask::Nothing => ("GET", ""),
        };
        let mut http = HttpRequest::new(SdkBody::from(body));
        http.set_method(method)?;
        http.set_uri(self.path.as_str())?;
        let headers = http.headers_mut();
        headers
            .try_insert("user-agent", concat!("ecs-queue-scaler/", env!("CARGO_PKG_VERSION")))?;
        if let Some(target) = self.service.target() {
            headers.try_insert("x-amz-target", format!("{target}.{}", self.operation))?;
            headers.try_insert("content-type", self.service.json())?;
            headers.try_insert("content-length", body.len().to_string())?;
        }
        if let Ask::Form(_) = &self.ask {
            headers.try_insert("content-type", "application/x-www-form-urlencoded")?;
            headers.try_insert("content-length", body.len().to_string())?;
        }
        if let Ask::Object { unless: Some(version), .. } = &self.ask {
            headers.try_insert("if-none-match", version.clone())?;
        }
        Ok(http)
    }
}
