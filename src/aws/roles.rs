//! Roles, and what they may do, for a terminal.

use roxmltree::Document;

use super::ReadCloud;
use super::pace::{About, Rate};
use super::signed::{Ask, Request, Service};
use super::stores::encoded;
use decision::snapshot::{CallError, Read, ReadError};

/// Source: IAM API reference, the version of its calls.
const VERSION: &str = "2010-05-08";

/// Who takes a task's roles. Source: ECS developer guide, "Amazon ECS task IAM role".
const TASKS: &str = "ecs-tasks.amazonaws.com";

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
            Ok(xml) => Ok(Some(xml.contains(TASKS))),
            Err(error) if error.code.as_deref() == Some("NoSuchEntity") => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a role may do something with a resource, as far as IAM can tell without doing it; none where that
    /// hangs on conditions which are not known here.
    ///
    /// # Errors
    /// When that may not be asked.
    pub async fn may(
        &self,
        role: &str,
        action: &'static str,
        resource: &str,
    ) -> Read<Option<bool>> {
        let about = About { operation: "SimulatePrincipalPolicy", subject: role, rate: Rate::Free };
        let mut fields: Form<'_> = vec![
            ("Version".to_owned(), VERSION),
            ("PolicySourceArn".to_owned(), role),
            ("ActionNames.member.1".to_owned(), action),
            ("ResourceArns.member.1".to_owned(), resource),
        ];
        if action == "iam:PassRole" {
            let entry = "ContextEntries.member.1";
            fields.extend([
                (format!("{entry}.ContextKeyName"), "iam:PassedToService"),
                (format!("{entry}.ContextKeyType"), "string"),
                (format!("{entry}.ContextKeyValues.member.1"), TASKS),
            ]);
        }
        let xml = self.query(about, Service::Iam, fields).await?;
        let document = Document::parse(&xml).map_err(|error| garbled(about.operation, &error))?;
        let decisions: Vec<_> = texts(&document, "EvalDecision").collect();
        let may = !decisions.is_empty() && decisions.iter().all(|decision| *decision == "allowed");
        let mut missing = document.descendants().filter(|node| {
            let is_of = |name: &str| node.parent().is_some_and(|of| of.tag_name().name() == name);
            node.tag_name().name() == "member" && is_of("MissingContextValues")
        });
        Ok((may || missing.next().is_none()).then_some(may))
    }
}

pub(super) fn garbled(operation: &'static str, error: &roxmltree::Error) -> ReadError {
    ReadError::Answer { operation, what: format!("it is no XML: {error}") }
}

/// The texts of all elements of this name.
pub(super) fn texts<'a>(
    document: &'a Document<'_>,
    name: &'a str,
) -> impl Iterator<Item = &'a str> {
    let all = document.descendants().filter(move |node| node.tag_name().name() == name);
    all.filter_map(|node| node.text())
}
