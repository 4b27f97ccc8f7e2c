//! What a signed request is answered with: a body of a bounded length, or an error as JSON or XML.

use std::error::Error as StdError;
use std::fmt;

use aws_sdk_ecs::error::{ErrorMetadata, ProvideErrorMetadata};
use aws_smithy_runtime_api::client::interceptors::context::{Error, Output};
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::ser_de::DeserializeResponse;
use serde_json::Value;

/// An answer that is not an error.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// Whether it only says that nothing has changed.
    pub(super) not_modified: bool,
    /// Which version of an object it is.
    pub(super) etag: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// The body as JSON, `Null` where it is not one.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The text of the first element of this name, where the body is XML.
    #[cfg(feature = "cli")]
    pub(super) fn element(&self, name: &str) -> Option<String> {
        element(&String::from_utf8_lossy(&self.body), name)
    }
}

/// An answer that says no.
#[derive(Debug)]
pub(super) struct Fault(ErrorMetadata);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Fault {}

impl ProvideErrorMetadata for Fault {
    fn meta(&self) -> &ErrorMetadata {
        &self.0
    }
}

/// Reads answers of at most so many bytes, or of any length.
#[derive(Clone, Copy, Debug)]
pub(super) struct AtMost(pub(super) Option<usize>);

impl DeserializeResponse for AtMost {
    /// What is too large is not even downloaded.
    fn deserialize_streaming(
        &self,
        response: &mut HttpResponse,
    ) -> Option<Result<Output, OrchestratorError<Error>>> {
        let most = self.0.filter(|_| response.status().is_success())?;
        let length = response.headers().get("content-length");
        let problem = match length.and_then(|length| length.parse::<usize>().ok()) {
            Some(length) if length <= most => return None,
            Some(length) => format!("it has {length} bytes, at most {most} are read"),
            None => "the answer does not say how long it is, and is not read".to_owned(),
        };
        Some(Err(failed(ErrorMetadata::builder().message(problem), response)))
    }

    fn deserialize_nonstreaming(
        &self,
        response: &HttpResponse,
    ) -> Result<Output, OrchestratorError<Error>> {
        let body = response.body().bytes().unwrap_or_default();
        let not_modified = response.status().as_u16() == 304;
        if !(response.status().is_success() || not_modified) {
            return Err(failed(error_in(response, body), response));
        }
        let etag = response.headers().get("etag").map(str::to_owned);
        Ok(Output::erase(Answer { not_modified, etag, body: body.to_vec() }))
    }
}

fn failed(
    error: aws_smithy_types::error::metadata::Builder,
    response: &HttpResponse,
) -> OrchestratorError<Error> {
    let error = aws_types::request_id::apply_request_id(error, response.headers());
    OrchestratorError::operation(Error::erase(Fault(error.build())))
}

/// The code and the message of an error, as the JSON protocol or S3 has them.
fn error_in(response: &HttpResponse, body: &[u8]) -> aws_smithy_types::error::metadata::Builder {
    let mut error = ErrorMetadata::builder();
    let text = String::from_utf8_lossy(body);
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let member = |name: &str| document.get(name).and_then(Value::as_str).map(str::to_owned);
    // Where a REST protocol has the code. Source: AWS REST JSON 1.0 protocol, "Operation error serialization".
    let in_header = || response.headers().get("x-amzn-errortype");
    let in_header = || in_header().and_then(|code| code.split(':').next()).map(str::to_owned);
    let code = member("__type").or_else(|| element(&text, "Code")).or_else(in_header);
    if let Some(code) = code {
        error = error.code(code.rsplit('#').next().unwrap_or_default());
    }
    let message = member("message").or_else(|| member("Message"));
    if let Some(message) = message.or_else(|| element(&text, "Message")) {
        error = error.message(message);
    } else {
        error = error.message(format!("HTTP status {}", response.status().as_u16()));
    }
    // S3 names the Region of a bucket of ours that is elsewhere.
    // Source: S3 user guide, "Redirects"; S3 API, `HeadBucket`, `x-amz-bucket-region`.
    if let Some(region) = response.headers().get("x-amz-bucket-region")
        && (response.status().as_u16() == 301 || text.contains("<Region>"))
    {
        error = error.code("PermanentRedirect").message(format!("the bucket is in {region}"));
    }
    error
}

/// The text of an element of a small XML document, which S3's errors are.
fn element(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (inner, _) = rest.split_once(&format!("</{name}>"))?;
    let plain = inner.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    Some(plain.replace("&apos;", "'").replace("&amp;", "&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_is_read_with_its_escapes() {
        let text = "<?xml?><Error><Code>NoSuchKey</Code><Message>a &lt;b&gt; &amp;lt;</Message>";
        assert_eq!(element(text, "Code").as_deref(), Some("NoSuchKey"));
        assert_eq!(element(text, "Message").as_deref(), Some("a <b> &lt;"));
        assert_eq!(element(text, "Region"), None);
        assert_eq!(element("<Code>half", "Code"), None);
    }
}
