//! Roles, and what they may do, for a terminal.

use std::collections::BTreeMap;

use roxmltree::Document;

use super::ReadCloud;
use super::pace::{About, Rate};
use super::signed::{Ask, Request, Service};
use super::stores::encoded;
use decision::snapshot::{CallError, Read, ReadError};

/// Source: IAM API reference, the version of its calls.
const VERSION: &str = "2010-05-08";

/// Who takes a task's roles. Source: ECS developer guide, "Amazon ECS task IAM role".
pub const ECS_TASKS: &str = "ecs-tasks.amazonaws.com";

/// Pages of one simulation: more than a configuration can have.
const MOST_PAGES: usize = 20;

/// Fields of a form, in their order.
pub(super) type Form<'a> = Vec<(String, &'a str)>;

impl ReadCloud {
    /// A call of the Query protocol, which is answered in XML.
    pub(super) async fn query(
        &self,
        about: About<'_>,
        service: Service,
        fields: Form<'_>,
    ) -> Result<String, CallError> {
        let fields = [("Action".to_owned(), about.operation)].into_iter().chain(fields);
        let fields =
            fields.map(|(key, value)| format!("{key}={}", encoded(value).replace('/', "%2F")));
        let ask = Ask::Form(fields.collect::<Vec<_>>().join("&"));
        let answer = self.ask(about, Request::new(service, about.operation, ask)).await?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// Whether tasks of ECS may take a role; none where there is no such role.
    ///
    /// # Errors
    /// When that may not be read.
    pub async fn is_role_of_tasks(&self, role: &str) -> Read<Option<bool>> {
        // A role is asked for by its name, without the path.
        let name = role.rsplit('/').next().unwrap_or_default();
        let about = About { operation: "GetRole", subject: role, rate: Rate::Free };
        let fields = vec![("Version".to_owned(), VERSION), ("RoleName".to_owned(), name)];
        match self.query(about, Service::Iam, fields).await {
            // The document is escaped, and a host's name has nothing that would be.
            Ok(xml) => Ok(Some(xml.contains(ECS_TASKS))),
            Err(error) if error.code.as_deref() == Some("NoSuchEntity") => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What IAM says of a role and each of these resources, without doing anything. It is asked once for all of
    /// them: it answers few such questions a second. What its answer leaves out is not in it here either.
    ///
    /// # Errors
    /// When that may not be asked.
    pub async fn may(
        &self,
        role: &str,
        permission: &Permission<'_>,
        resources: &[String],
    ) -> Read<BTreeMap<String, Verdict>> {
        let about = About { operation: "SimulatePrincipalPolicy", subject: role, rate: Rate::Free };
        let mut fields: Form<'_> = vec![
            ("Version".to_owned(), VERSION),
            ("PolicySourceArn".to_owned(), role),
            ("ActionNames.member.1".to_owned(), permission.action),
        ];
        for (number, resource) in (1..).zip(resources) {
            fields.push((format!("ResourceArns.member.{number}"), resource));
        }
        if let Some(Context { key, value }) = permission.context {
            let entry = "ContextEntries.member.1";
            fields.extend([
                (format!("{entry}.ContextKeyName"), key),
                (format!("{entry}.ContextKeyType"), "string"),
                (format!("{entry}.ContextKeyValues.member.1"), value),
            ]);
        }
        let (mut all, mut marker) = (BTreeMap::new(), None::<String>);
        for _ in 0..MOST_PAGES {
            let mut fields = fields.clone();
            fields.extend(marker.as_deref().map(|marker| ("Marker".to_owned(), marker)));
            let xml = self.query(about, Service::Iam, fields).await?;
            let document =
                Document::parse(&xml).map_err(|error| garbled(about.operation, &error))?;
            all.extend(verdicts(&document));
            let next = document.descendants().find(|node| node.tag_name().name() == "Marker");
            marker = next.and_then(|next| next.text()).map(str::to_owned);
            if marker.is_none() {
                break;
            }
        }
        Ok(all)
    }
}

/// What a role is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Permission<'a> {
    /// Such as `ecs:RunTask`.
    pub action: &'static str,
    /// What the request would say beside its resource.
    pub context: Option<Context<'a>>,
}

/// A condition key of IAM with its value.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Such as `ecs:cluster`.
    pub key: &'static str,
    /// What it would be.
    pub value: &'a str,
}

/// What IAM says of a call that nobody has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It would be allowed.
    Allowed,
    /// No policy allows it.
    NotAllowed,
    /// A policy denies it, whatever allows it.
    Denied,
    /// That hangs on conditions which are not known here.
    Open,
}

/// By resource. One action has one result, whose own decision is the worst of all its resources.
/// Source: IAM API reference, `EvaluationResult`.
fn verdicts(document: &Document<'_>) -> BTreeMap<String, Verdict> {
    let members = document.descendants().filter(|node| node.tag_name().name() == "member");
    let verdicts = members.filter_map(|member| {
        let child = |name| member.children().find(|node| node.tag_name().name() == name);
        let text = |name| child(name)?.text();
        let is_open = child("MissingContextValues").is_some_and(|list| list.has_children());
        let of_resource = text("EvalResourceDecision");
        // Where each resource has its own, that of all says nothing more.
        let has_own = child("ResourceSpecificResults").is_some_and(|list| list.has_children());
        let decision = of_resource.or_else(|| text("EvalDecision").filter(|_| !has_own))?;
        let verdict = match (decision, is_open) {
            ("allowed", _) => Verdict::Allowed,
            (_, true) => Verdict::Open,
            ("explicitDeny", false) => Verdict::Denied,
            (_, false) => Verdict::NotAllowed,
        };
        Some((text("EvalResourceName")?.to_owned(), verdict))
    });
    verdicts.collect()
}

pub(super) fn garbled(operation: &'static str, error: &roxmltree::Error) -> ReadError {
    ReadError::Answer { operation, what: format!("it is no XML: {error}") }
}
