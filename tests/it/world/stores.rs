//! Where configurations are stored: SSM's parameters and S3's objects; and the tags of queues.

use std::collections::BTreeMap;

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{ACCOUNT, Answer, Call, REGION, Refused, State, World, list, refuse, text};

#[derive(Debug, Default)]
pub(super) struct Stores {
    /// Values by name, in the order of their versions, and when they were put.
    parameters: BTreeMap<String, Vec<(String, Value)>>,
    /// Objects by bucket and key.
    objects: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    /// Where a bucket is, unless here.
    elsewhere: BTreeMap<String, &'static str>,
    /// Tags by ARN.
    tags: BTreeMap<String, BTreeMap<String, String>>,
}

impl World {
    /// A new version of a parameter.
    pub(crate) fn put_parameter(&self, name: &str, value: &str) {
        let mut state = self.state();
        let version = (value.to_owned(), state.epoch_seconds());
        state.stores.parameters.entry(name.to_owned()).or_default().push(version);
    }

    pub(crate) fn delete_parameter(&self, name: &str) {
        self.state().stores.parameters.remove(name);
    }

    /// An object in a bucket, which is made for it.
    pub(crate) fn put_object(&self, bucket: &str, key: &str, bytes: &[u8]) {
        let mut state = self.state();
        let objects = state.stores.objects.entry(bucket.to_owned()).or_default();
        objects.insert(key.to_owned(), bytes.to_vec());
    }

    pub(crate) fn delete_object(&self, bucket: &str, key: &str) {
        self.state().stores.objects.get_mut(bucket).unwrap().remove(key);
    }

    /// A bucket of another Region.
    pub(crate) fn bucket_of(&self, region: &'static str, bucket: &str) {
        self.state().stores.elsewhere.insert(bucket.to_owned(), region);
    }

    /// Sets the tags of a queue, as the tagging API lists them, whether the queue exists or not.
    pub(crate) fn tag_queue(&self, name: &str, tags: &[(&str, &str)]) {
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        self.state().stores.tags.insert(arn(name), tags.collect());
    }
}

/// The ARN of a queue of this account.
pub(crate) fn arn(name: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")
}

/// The operation that a request to S3 is, if it is one.
pub(super) fn call_to_s3(request: &HttpRequest) -> Option<Call> {
    let (host, path) = request.uri().strip_prefix("https://")?.split_once('/')?;
    let end = format!("s3.{REGION}.amazonaws.com");
    let place = match host.strip_suffix(&end)?.strip_suffix('.') {
        Some(bucket) => format!("{bucket}/{path}"),
        None => path.to_owned(),
    };
    let header = |name: &str| request.headers().get(name).unwrap_or_default();
    assert_eq!(request.method(), "GET");
    assert_eq!(header("x-amz-content-sha256"), hex::encode(Sha256::digest(b"")));
    let (bucket, key) = place.split_once('/').unwrap();
    let input = json!({
        "Bucket": bucket, "Key": key.replace("%20", " "), "IfNoneMatch": header("if-none-match"),
    });
    Some(Call { operation: "GetObject".to_owned(), input })
}

/// The signature is for the service and the Region that are asked, and covers what it has to.
pub(super) fn is_signed(request: &HttpRequest, service: &str) -> bool {
    let signature = request.headers().get("authorization").unwrap_or_default();
    // IAM is one for all Regions of a partition.
    let region = if service == "iam" { "us-east-1" } else { REGION };
    let scope = format!("/{region}/{service}/aws4_request");
    let headers = signature.split("SignedHeaders=").nth(1).unwrap_or_default();
    let token = request.headers().get("x-amz-security-token");
    signature.starts_with("AWS4-HMAC-SHA256 Credential=test/")
        && signature.contains(&scope)
        && headers.contains("host;")
        && token.is_none_or(|_| headers.contains("x-amz-security-token"))
}

/// An answer as S3 gives it: the object itself, or an error in XML.
pub(super) fn as_s3(answer: &HttpResponse) -> HttpResponse {
    let document: Value =
        serde_json::from_slice(answer.body().bytes().unwrap_or_default()).unwrap_or_default();
    let code = text(&document, "__type");
    let status = match (answer.status().as_u16(), code) {
        (400, "NoSuchKey" | "NoSuchBucket") => 404,
        (400, "PermanentRedirect") => 301,
        (200, _) if document["NotModified"] == json!(true) => 304,
        (status, _) => status,
    };
    let (body, etag) = match status {
        200 => {
            let body = hex::decode(text(&document, "Hex")).unwrap();
            (body, text(&document, "ETag").to_owned())
        }
        304 => (Vec::new(), text(&document, "ETag").to_owned()),
        _ => {
            let message = text(&document, "message").replace('&', "&amp;").replace('<', "&lt;");
            let xml = format!(
                "<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>\
                 <RequestId>R1</RequestId></Error>"
            );
            (xml.into_bytes(), String::new())
        }
    };
    let length = document["Length"].as_u64().map_or(body.len().to_string(), |n| n.to_string());
    let mut answer = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
    let headers = answer.headers_mut();
    headers.insert("x-amz-request-id", "R1");
    headers.insert("content-length", length);
    if !etag.is_empty() {
        headers.insert("etag", etag);
    }
    if let Some(region) = document["Region"].as_str() {
        headers.insert("x-amz-bucket-region", region.to_owned());
    }
    answer
}

impl State {
    /// Source: SSM API, `GetParameter`: the name may end with `:version`.
    pub(super) fn get_parameter(&self, input: &Value) -> Answer {
        let asked = text(input, "Name");
        assert_eq!(input["WithDecryption"], json!(true));
        let (name, version) = asked.split_once(':').unwrap_or((asked, ""));
        let Some(versions) = self.stores.parameters.get(name) else {
            return refuse("ParameterNotFound", "");
        };
        let version = version.parse().unwrap_or(versions.len());
        let Some((value, modified)) = version.checked_sub(1).and_then(|at| versions.get(at)) else {
            return refuse("ParameterVersionNotFound", "Systems Manager could not find version");
        };
        Ok(json!({"Parameter": {
            "Name": name, "Type": "String", "Value": value, "Version": version,
            "LastModifiedDate": modified, "ARN": format!("arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{name}"),
        }}))
    }

    pub(super) fn get_object(&self, input: &Value) -> Answer {
        let (bucket, key) = (text(input, "Bucket"), text(input, "Key"));
        if let Some(region) = self.stores.elsewhere.get(bucket).filter(|region| **region != REGION)
        {
            let message = "The bucket you are attempting to access must be addressed using the \
                           specified endpoint."
                .to_owned();
            let more = json!({"Region": region});
            return Err(Refused { code: "PermanentRedirect", message, more });
        }
        let Some(objects) = self.stores.objects.get(bucket) else {
            return refuse("NoSuchBucket", "The specified bucket does not exist");
        };
        let Some(bytes) = objects.get(key) else {
            return refuse("NoSuchKey", "The specified key does not exist.");
        };
        let etag = format!("\"{}\"", &hex::encode(Sha256::digest(bytes))[..32]);
        let not_modified = text(input, "IfNoneMatch") == etag;
        Ok(json!({"Hex": hex::encode(bytes), "ETag": etag, "NotModified": not_modified}))
    }

    /// Source: SQS API, `TagQueue`, `UntagQueue`.
    pub(super) fn change_tags(&mut self, operation: &str, input: &Value) {
        let of_queue = self.stores.tags.entry(arn(name_in(text(input, "QueueUrl")))).or_default();
        if operation == "UntagQueue" {
            return of_queue.retain(|key, _| !list(input, "TagKeys").contains(&json!(key)));
        }
        let tags: BTreeMap<String, String> = serde_json::from_value(input["Tags"].clone()).unwrap();
        assert!(tags.values().all(|value| value.chars().count() <= 256), "{input}");
        of_queue.extend(tags);
    }

    /// Source: Resource Groups Tagging API, `GetResources`.
    pub(super) fn get_resources(&self, input: &Value) -> Answer {
        assert_eq!(input["ResourceTypeFilters"], json!(["sqs"]));
        let [filter] = list(input, "TagFilters") else { panic!("one filter, not {input}") };
        let values = list(filter, "Values");
        let has_tag = |tags: &BTreeMap<String, String>| {
            let value = tags.get(text(filter, "Key"));
            value.is_some_and(|value| values.is_empty() || values.contains(&json!(value)))
        };
        let all: Vec<_> = self.stores.tags.iter().filter(|(_, tags)| has_tag(tags)).collect();
        let start: usize = text(input, "PaginationToken").parse().unwrap_or_default();
        let asked = usize::try_from(input["ResourcesPerPage"].as_u64().unwrap()).unwrap();
        if !(1..=100).contains(&asked) {
            return refuse("InvalidParameterException", format!("{asked} resources a page"));
        }
        let end = all.len().min(start + self.page_size.unwrap_or(asked).min(asked));
        let page = all[start..end].iter().map(|(arn, tags)| {
            let tags: Vec<_> =
                tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
            json!({"ResourceARN": arn, "Tags": tags})
        });
        let token = if end < all.len() { end.to_string() } else { String::new() };
        Ok(json!({
            "PaginationToken": token, "ResourceTagMappingList": page.collect::<Vec<_>>(),
        }))
    }
}

/// The name of a queue, in its URL.
fn name_in(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or_default()
}
