//! Where a configuration may be stored, and the tags of queues.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::ReadCloud;
use super::answer::Answer;
use super::pace::{About, Rate};
use super::signed::{Ask, Request, Service};
use decision::config::{Discover, TaggedQueue};
use decision::snapshot::{CallError, ErrorKind};
use decision::units::Partition;

/// Queues on a page. Source: Resource Groups Tagging API, `GetResourcesInput.ResourcesPerPage`.
const PER_PAGE: u32 = 100;

/// Five thousand queues; more are a tag that is on too much.
const MOST_PAGES: u32 = 50;

/// A parameter that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// What it says, decrypted.
    pub text: String,
    /// Counts its changes.
    pub version: u64,
    /// When it was changed: one that was deleted and made anew begins again with version 1.
    pub modified: String,
}

/// An object that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// What it holds.
    pub bytes: Vec<u8>,
    /// Which version this is.
    pub etag: String,
}

impl ReadCloud {
    /// Reads a parameter; `name` may end with `:version` or `:label`.
    ///
    /// # Errors
    /// With what to do where it is not there or may not be read.
    pub async fn parameter(&self, name: &str) -> Result<Parameter, CallError> {
        let document = json!({"Name": name, "WithDecryption": true});
        let about = About { operation: "GetParameter", subject: name, rate: Rate::Free };
        let ask = Ask::Document(document.to_string());
        let answer = self.ask(about, Request::new(Service::Ssm, about.operation, ask)).await;
        let answer = answer.map_err(|error| self.with_advice_on_parameter(error))?.json();
        let text = answer.pointer("/Parameter/Value").and_then(Value::as_str);
        let version = answer.pointer("/Parameter/Version").and_then(Value::as_u64);
        let (text, version) = text.zip(version).ok_or_else(|| {
            about.error("its answer has no Value and Version", ErrorKind::Refused)
        })?;
        let modified = answer.pointer("/Parameter/LastModifiedDate").map(Value::to_string);
        let modified = modified.unwrap_or_default();
        Ok(Parameter { text: text.to_owned(), version, modified })
    }

    /// Reads an object, `None` where it still is the version `unless`.
    ///
    /// # Errors
    /// With what to do where it is not there, is elsewhere, is too large or may not be read.
    pub async fn object(
        &self,
        bucket: &str,
        key: &str,
        unless: Option<&str>,
    ) -> Result<Option<Object>, CallError> {
        let subject = &format!("s3://{bucket}/{key}");
        let about = About { operation: "GetObject", subject, rate: Rate::Free };
        // A certificate for `*.s3...` holds for a name without dots only.
        // Source: S3 user guide, "Virtual hosting of buckets".
        let by_host =
            !bucket.contains('.') && self.signed.configured_endpoint(Service::S3).is_none();
        let key = encoded(key);
        let path = if by_host { format!("/{key}") } else { format!("/{bucket}/{key}") };
        let ask = Ask::Object {
            bucket: by_host.then(|| bucket.to_owned()),
            unless: unless.map(str::to_owned),
        };
        let request = Request { path, ..Request::new(Service::S3, about.operation, ask) };
        let answer = self.ask(about, request).await;
        let answer = answer.map_err(|error| self.with_advice_on_object(error))?;
        if answer.not_modified {
            return Ok(None);
        }
        let etag =
            answer.etag.ok_or_else(|| about.error("its answer has no ETag", ErrorKind::Refused))?;
        Ok(Some(Object { bytes: answer.body, etag }))
    }

    /// The queues of this account and Region that carry a tag, by ARN. Some may not exist any more.
    ///
    /// # Errors
    /// When a page cannot be read, or there are too many.
    pub async fn tagged_queues(&self, by: &Discover) -> Result<Vec<TaggedQueue>, CallError> {
        let about = About { operation: "GetResources", subject: &by.tag, rate: Rate::Free };
        let values: Vec<_> = by.value.iter().collect();
        let mut queues = BTreeMap::new();
        let mut token = String::new();
        for _ in 0..MOST_PAGES {
            let document = json!({
                "ResourceTypeFilters": ["sqs"], "ResourcesPerPage": PER_PAGE,
                "TagFilters": [{"Key": by.tag, "Values": values}], "PaginationToken": token,
            });
            let ask = Ask::Document(document.to_string());
            let page = self.ask(about, Request::new(Service::Tagging, about.operation, ask)).await;
            let page = page.map_err(with_advice_on_tags)?.json();
            let found = page.get("ResourceTagMappingList").and_then(Value::as_array);
            let found =
                found.ok_or_else(|| about.error("its answer is not a list", ErrorKind::Refused))?;
            queues.extend(found.iter().filter_map(tagged_queue).map(|q| (q.arn.clone(), q)));
            match text_in(&page, "PaginationToken") {
                None | Some("") => return Ok(queues.into_values().collect()),
                Some(next) => next.clone_into(&mut token),
            }
        }
        let most = PER_PAGE.saturating_mul(MOST_PAGES);
        let message = format!("more than {most} queues carry the tag");
        Err(about.error(message, ErrorKind::Refused))
    }

    pub(super) async fn ask(
        &self,
        about: About<'_>,
        request: Request,
    ) -> Result<Answer, CallError> {
        let call = self.signed.call(&request);
        let call = call.map_err(|why| about.error(why, ErrorKind::Refused))?;
        let answer = self.pace.call(about, async || call.send().await).await;
        answer.map_err(|error| error.into_call_error(about))
    }

    fn with_advice_on_parameter(&self, error: CallError) -> CallError {
        let (region, name) = (&self.region, error.subject.trim_start_matches('/').to_owned());
        let partition = Partition::of(region.as_str()).name;
        let arn = if name.starts_with("arn:") {
            name
        } else {
            let name = name.split(':').next().unwrap_or_default();
            format!("arn:{partition}:ssm:{region}:ACCOUNT:parameter/{name}")
        };
        advised(error, |code| match code {
            "AccessDeniedException" => Some(format!(
                "the function's role needs ssm:GetParameter on {arn} (template: ConfigArn), and \
                 kms:Decrypt on the key of a SecureString whose key is your own"
            )),
            "ParameterNotFound" | "ParameterVersionNotFound" => {
                Some(format!("it is not in {region}; create it there, or correct SCALER_CONFIG"))
            }
            _ => None,
        })
    }

    fn with_advice_on_object(&self, error: CallError) -> CallError {
        let partition = Partition::of(self.region.as_str()).name;
        let (region, object) = (&self.region, error.subject.trim_start_matches("s3://").to_owned());
        advised(error, |code| match code {
            "AccessDenied" => Some(format!(
                "the function's role needs s3:GetObject on arn:{partition}:s3:::{object} (template: \
                 ConfigArn), the bucket's policy must not deny it, and the object must be there: \
                 S3 says this of a missing one too where s3:ListBucket is not allowed"
            )),
            "NoSuchKey" => Some("put it there, or correct SCALER_CONFIG".into()),
            "NoSuchBucket" => Some("create it, or correct SCALER_CONFIG".into()),
            "PermanentRedirect" => {
                Some(format!("this function is in {region}; use a bucket of {region}"))
            }
            _ => None,
        })
    }
}

fn with_advice_on_tags(error: CallError) -> CallError {
    advised(error, |code| match code {
        "AccessDeniedException" => Some(
            "the function's role needs tag:GetResources on * (template: DiscoverQueues)".to_owned(),
        ),
        _ => None,
    })
}

impl Request {
    pub(super) fn new(service: Service, operation: &'static str, ask: Ask) -> Self {
        Self { service, operation, path: "/".to_owned(), ask }
    }
}

/// The error with what a person can do about it.
fn advised(error: CallError, advice: impl Fn(&str) -> Option<String>) -> CallError {
    let advice = error.code.as_deref().and_then(advice);
    let message = match advice {
        Some(advice) if error.message.is_empty() => advice,
        Some(advice) => format!("{}; {advice}", error.message.trim_end_matches('.')),
        None => error.message,
    };
    CallError { message, ..error }
}

fn tagged_queue(found: &Value) -> Option<TaggedQueue> {
    let arn = text_in(found, "ResourceARN").filter(|arn| arn.split(':').nth(2) == Some("sqs"))?;
    let tags = found.get("Tags")?.as_array()?.iter().filter_map(|tag| {
        Some((text_in(tag, "Key")?.to_owned(), text_in(tag, "Value")?.to_owned()))
    });
    Some(TaggedQueue { arn: arn.to_owned(), tags: tags.collect() })
}

fn text_in<'a>(document: &'a Value, member: &str) -> Option<&'a str> {
    document.get(member)?.as_str()
}

/// A text as it stands in a path or a form: all but the unreserved characters and slashes is escaped.
/// Source: S3 API reference, "Signature Calculations", `UriEncode`.
pub(super) fn encoded(key: &str) -> String {
    key.bytes().fold(String::new(), |path, byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
            path + char::from(byte).encode_utf8(&mut [0; 4])
        }
        _ => format!("{path}%{byte:02X}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_escaped_for_its_path() {
        assert_eq!(encoded("teams/a b/workers+é.yaml"), "teams/a%20b/workers%2B%C3%A9.yaml");
    }
}
