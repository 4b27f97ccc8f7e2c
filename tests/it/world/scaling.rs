//! EC2 Auto Scaling: lifecycle actions that wait. Its API is the Query protocol: forms that are
//! answered in XML. Source: Auto Scaling API, `RecordLifecycleActionHeartbeat` and
//! `CompleteLifecycleAction`.

use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use serde_json::{Map, Value, json};

use super::{Answer, Call, REGION, State, World, refuse, text};

/// A hook that waits for an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LifecycleAction {
    group: String,
    hook: String,
    pub(crate) instance: String,
    pub(crate) heartbeats: u32,
    /// What it was completed with, or `ABANDON` where it was not in time; until then it is open.
    pub(crate) result: Option<String>,
    /// Without a heartbeat it ends after so long; all in milliseconds.
    timeout: u64,
    ends: u64,
    /// However many heartbeats there are.
    ends_for_good: u64,
}

impl World {
    /// A hook waits for an instance, an hour unless there are heartbeats: that is the default.
    pub(crate) fn hook(&self, group: &str, hook: &str, instance: &str) {
        self.hook_with_timeout((group, hook), instance, Duration::from_hours(1));
    }

    /// The same for a hook with another `HeartbeatTimeout`. Source: Auto Scaling user guide,
    /// "Lifecycle hooks": 100 times the timeout or 48 hours at most, whichever is smaller.
    pub(crate) fn hook_with_timeout(
        &self,
        (group, hook): (&str, &str),
        instance: &str,
        timeout: Duration,
    ) {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap();
        let [group, hook, instance] = [group, hook, instance].map(str::to_owned);
        let mut state = self.state();
        let now = state.millis();
        state.hooks.push(LifecycleAction {
            group,
            hook,
            instance,
            heartbeats: 0,
            result: None,
            timeout: millis(timeout),
            ends: now + millis(timeout),
            ends_for_good: now + millis((timeout * 100).min(Duration::from_hours(48))),
        });
    }

    /// All lifecycle actions, completed ones too, in the order in which they were opened.
    pub(crate) fn hooks(&self) -> Vec<LifecycleAction> {
        let mut state = self.state();
        state.end_hooks();
        state.hooks.clone()
    }
}

/// The operation that a request to Auto Scaling is, if it is one.
pub(super) fn call_to_scaling(request: &HttpRequest) -> Option<Call> {
    call_in_form(request, &format!("https://autoscaling.{REGION}.amazonaws.com/"))
}

/// A call of the Query protocol.
pub(super) fn call_in_form(request: &HttpRequest, host: &str) -> Option<Call> {
    request.uri().strip_prefix(host)?;
    let form = request.headers().get("content-type").unwrap_or_default();
    assert!(form.starts_with("application/x-www-form-urlencoded"), "{form}");
    assert_eq!(request.method(), "POST");
    let body = std::str::from_utf8(request.body().bytes().unwrap_or_default()).unwrap();
    let pairs = body.split('&').map(|pair| pair.split_once('=').unwrap());
    let mut input: Map<_, _> =
        pairs.map(|(name, value)| (name.to_owned(), json!(decoded(value)))).collect();
    let action = input.remove("Action").unwrap_or_default();
    let operation = action.as_str().unwrap_or_default().to_owned();
    Some(Call { operation, input: Value::Object(input) })
}

fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().replace('+', " ").into_bytes();
    for part in parts {
        bytes.extend(hex::decode(&part[..2]).unwrap());
        bytes.extend(part[2..].replace('+', " ").into_bytes());
    }
    String::from_utf8(bytes).unwrap()
}

/// An answer as the Query protocol gives it.
pub(super) fn as_query(operation: &str, answer: &HttpResponse) -> HttpResponse {
    let document: Value =
        serde_json::from_slice(answer.body().bytes().unwrap_or_default()).unwrap_or_default();
    let namespace = "http://autoscaling.amazonaws.com/doc/2011-01-01/";
    let status = answer.status().as_u16();
    let xml = if status == 200 {
        format!(
            "<{operation}Response xmlns=\"{namespace}\">\n  <{operation}Result/>\n  \
             <ResponseMetadata>\n    <RequestId>R1</RequestId>\n  </ResponseMetadata>\n\
             </{operation}Response>"
        )
    } else {
        let message = text(&document, "message");
        let code = match text(&document, "__type") {
            "ThrottlingException" => "Throttling",
            "ServerException" => "InternalFailure",
            "AccessDeniedException" => "AccessDenied",
            code => code,
        };
        let message = message.replace('&', "&amp;").replace('<', "&lt;");
        let of = if status < 500 { "Sender" } else { "Receiver" };
        format!(
            "<ErrorResponse xmlns=\"{namespace}\">\n  <Error>\n    <Type>{of}</Type>\n    \
             <Code>{code}</Code>\n    <Message>{message}</Message>\n  </Error>\n  \
             <RequestId>R1</RequestId>\n</ErrorResponse>"
        )
    };
    let mut answer = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(xml));
    answer.headers_mut().insert("content-type", "text/xml");
    answer
}

impl State {
    pub(super) fn heartbeat(&mut self, input: &Value) -> Answer {
        let now = self.millis();
        let hook = self.open_hook(input)?;
        hook.heartbeats += 1;
        hook.ends = (now + hook.timeout).min(hook.ends_for_good);
        Ok(json!({}))
    }

    pub(super) fn complete(&mut self, input: &Value) -> Answer {
        let result = text(input, "LifecycleActionResult");
        if !["CONTINUE", "ABANDON"].contains(&result) {
            return refuse("ValidationError", "LifecycleActionResult is CONTINUE or ABANDON");
        }
        self.open_hook(input)?.result = Some(result.to_owned());
        Ok(json!({}))
    }

    /// Those that nobody completed in time are over.
    fn end_hooks(&mut self) {
        let now = self.millis();
        for hook in self.hooks.iter_mut().filter(|hook| hook.ends <= now) {
            hook.result.get_or_insert_with(|| "ABANDON".to_owned());
        }
    }

    /// The lifecycle action that a call is about, while it is open.
    fn open_hook(&mut self, input: &Value) -> Result<&mut LifecycleAction, super::Refused> {
        if text(input, "Version") != "2011-01-01" {
            return refuse("InvalidAction", "Could not find operation for this version");
        }
        let names = ["AutoScalingGroupName", "LifecycleHookName", "InstanceId"];
        let [group, hook, instance] = names.map(|name| text(input, name));
        if [group, hook, instance].contains(&"") {
            return refuse("ValidationError", "a required parameter is not there");
        }
        let known = [&names[..], &["LifecycleActionResult", "Version"]].concat();
        super::rules::check_members(input, &known)?;
        self.end_hooks();
        let open = self.hooks.iter_mut().find(|it| {
            it.result.is_none() && it.group == group && it.hook == hook && it.instance == instance
        });
        let message = format!("No active Lifecycle Action found with instance ID {instance}");
        open.map_or_else(|| refuse("ValidationError", message), Ok)
    }
}
