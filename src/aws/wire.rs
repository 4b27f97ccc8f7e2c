//! What is done to a call on its way: its body is read or written as it stands.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_ecs::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_ecs::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ecs::error::BoxError;
use serde_json::{Map, Value};

/// Keeps the answer as it came. The SDK's types drop every field that is younger than they are,
/// and a copy of a task definition must not.
#[derive(Clone, Default)]
pub(super) struct AnswerBody(Arc<Mutex<Vec<u8>>>);

impl AnswerBody {
    /// The body as JSON, `Null` where it is not one.
    pub(super) fn json(&self) -> Value {
        let body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::from_slice(&body).unwrap_or_default()
    }
}

impl std::fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AnswerBody")
    }
}

impl Intercept for AnswerBody {
    fn name(&self) -> &'static str {
        "AnswerBody"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = context.response().body().bytes().unwrap_or_default().to_vec();
        Ok(())
    }
}

/// Sends this document instead of what the SDK made of the typed input.
pub(super) struct RequestBody(String);

impl RequestBody {
    pub(super) fn new(document: &Value) -> Self {
        Self(document.to_string())
    }
}

impl std::fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RequestBody")
    }
}

impl Intercept for RequestBody {
    fn name(&self) -> &'static str {
        "RequestBody"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        request.headers_mut().insert("content-length", self.0.len().to_string());
        *request.body_mut() = self.0.as_str().into();
        Ok(())
    }
}

/// Adds members to what the SDK makes of the typed input. They may hold secrets.
#[derive(Clone, Default)]
pub(super) struct MoreMembers(Arc<Map<String, Value>>);

impl<'a> FromIterator<(&'a str, Value)> for MoreMembers {
    fn from_iter<I: IntoIterator<Item = (&'a str, Value)>>(members: I) -> Self {
        let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
        Self(Arc::new(members.collect()))
    }
}

impl std::fmt::Debug for MoreMembers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MoreMembers")
    }
}

impl Intercept for MoreMembers {
    fn name(&self) -> &'static str {
        "MoreMembers"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let request = context.request_mut();
        let typed = request.body().bytes().unwrap_or_default();
        let mut document: Map<String, Value> = serde_json::from_slice(typed)?;
        document.extend((*self.0).clone());
        let body = Value::Object(document).to_string();
        request.headers_mut().insert("content-length", body.len().to_string());
        *request.body_mut() = body.into();
        Ok(())
    }
}
