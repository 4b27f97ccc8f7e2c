//! A policy of `template.yaml`, as IAM reads it: as much of both as the template uses.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::Need;
use crate::world::{ACCOUNT, REGION};

/// Which conditions of the template hold, and what its parameters are.
#[derive(Debug)]
pub(super) struct Settings {
    conditions: BTreeSet<String>,
    parameters: BTreeMap<&'static str, Vec<String>>,
}

impl Settings {
    pub(super) fn new<const N: usize>(
        conditions: &[&str],
        parameters: [(&'static str, Vec<String>); N],
    ) -> Self {
        let conditions = conditions.iter().map(|name| (*name).to_owned()).collect();
        Self { conditions, parameters: parameters.into() }
    }

    pub(super) fn holds(&self, condition: &str) -> bool {
        self.conditions.contains(condition)
    }
}

/// The template, its functions as text: `!Ref A` is `Ref=A`, `!GetAtt A.B` is `GetAtt=A.B`; `!Sub`
/// and the like are their argument alone.
pub(super) fn template() -> Value {
    let text = include_str!("../../../template.yaml");
    let text = text.replace("!Ref ", "Ref=").replace("!GetAtt ", "GetAtt=");
    let words = text.split_inclusive(char::is_whitespace).map(|word| {
        let name = word.trim_end().trim_start_matches(['[', '{']);
        let is_tag = name.strip_prefix('!').is_some_and(|tag| tag.chars().all(char::is_alphabetic));
        if is_tag { word.replace(name, "") } else { word.to_owned() }
    });
    serde_saphyr::from_str(&words.collect::<String>()).unwrap()
}

/// The statements of the function's role, from all its policies.
#[derive(Clone, Debug)]
pub(super) struct Policy(Vec<Statement>);

#[derive(Clone, Debug)]
struct Statement {
    sid: String,
    effect: Effect,
    actions: Vec<String>,
    resources: Vec<String>,
    /// What must hold, each as (operator, key, allowed values).
    conditions: Vec<(String, String, Vec<String>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Allow,
    Deny,
}

impl Policy {
    pub(super) fn of(template: &Value, settings: &Settings) -> Self {
        let role = &template["Resources"]["ScalerRole"]["Properties"];
        assert_eq!(role.get("Policies"), None, "IAM counts these together");
        let function = &template["Resources"]["ScalerFunction"]["Properties"];
        assert_eq!(function["Role"], "GetAtt=ScalerRole.Arn");
        assert_eq!(function.get("Policies"), None, "SAM ignores these where there is a role");
        let read = Reading { template, settings };
        let policies = role["ManagedPolicyArns"].as_array().unwrap().iter();
        let policies = policies.filter_map(|attached| read.policy(attached));
        let statements = policies
            .flat_map(|policy| policy["PolicyDocument"]["Statement"].as_array().unwrap().iter());
        let resolved = statements.map(|statement| read.resolved(statement));
        Self(
            resolved
                .filter(|statement| *statement != Value::Null)
                .map(|s| read.statement(&s))
                .collect(),
        )
    }

    pub(super) fn allows(&self, need: &Need) -> bool {
        let any = |effect| self.0.iter().any(|s| s.effect == effect && s.fits(need));
        any(Effect::Allow) && !any(Effect::Deny)
    }

    /// Whether one statement's grant of an action is one that the need uses.
    pub(super) fn grants_by(&self, sid: &str, action: &str, need: &Need) -> bool {
        let mut statements = self.0.iter().filter(|statement| statement.sid == sid);
        need.action == action && statements.any(|statement| statement.fits(need))
    }

    /// Every action, with the statement that allows it.
    pub(super) fn grants(&self) -> Vec<(String, String)> {
        let each = |s: &Statement| s.actions.iter().map(|a| (s.sid.clone(), a.clone())).collect();
        let allowing = self.0.iter().filter(|statement| statement.effect == Effect::Allow);
        allowing.flat_map::<Vec<_>, _>(each).collect()
    }

    pub(super) fn without(&self, sid: &str, action: &str) -> Self {
        self.changed(sid, |statement| statement.actions.retain(|allowed| allowed != action))
    }

    pub(super) fn with(&self, sid: &str, action: &str) -> Self {
        self.changed(sid, |statement| statement.actions.push(action.to_owned()))
    }

    fn changed(&self, sid: &str, change: impl FnOnce(&mut Statement)) -> Self {
        let mut changed = self.clone();
        change(changed.0.iter_mut().find(|statement| statement.sid == sid).unwrap());
        changed
    }
}

impl Statement {
    /// Whether the need is what the statement speaks of.
    fn fits(&self, need: &Need) -> bool {
        let holds = |(operator, key, allowed): &(String, String, Vec<String>)| {
            let Some(value) = need.context.get(key.as_str()) else { return false };
            allowed.iter().any(|allowed| match operator.as_str() {
                "ArnLike" => matches(allowed, value),
                "StringEquals" => allowed == value,
                other => panic!("an operator that this test does not know: {other}"),
            })
        };
        self.actions.contains(&need.action)
            && self.resources.iter().any(|pattern| matches(pattern, &need.resource))
            && self.conditions.iter().all(holds)
    }
}

/// Whether a text is what a pattern with `*` means.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == text };
    let Some(rest) = text.strip_prefix(before) else { return false };
    let mut starts = rest.char_indices().map(|(index, _)| index).chain([rest.len()]);
    starts.any(|start| matches(after, &rest[start..]))
}

/// Resolves what the template leaves to its parameters and conditions.
struct Reading<'a> {
    template: &'a Value,
    settings: &'a Settings,
}

impl<'a> Reading<'a> {
    /// A managed policy that is attached, where its condition holds: the template asks for it twice,
    /// once where it is made and once where it is attached.
    fn policy(&self, attached: &'a Value) -> Option<&'a Value> {
        let (condition, attached) = match attached.as_array().map(Vec::as_slice) {
            Some([condition, then, otherwise]) if otherwise == "Ref=AWS::NoValue" => {
                (condition.as_str(), then)
            }
            _ => (None, attached),
        };
        let name = attached.as_str().and_then(|text| text.strip_prefix("Ref=")).unwrap();
        let resource = &self.template["Resources"][name];
        assert_eq!(resource["Type"], "AWS::IAM::ManagedPolicy", "{name}");
        assert_eq!(resource.get("Condition").and_then(Value::as_str), condition, "{name}");
        let is_made = condition.is_none_or(|condition| self.settings.holds(condition));
        is_made.then_some(&resource["Properties"])
    }

    fn statement(&self, statement: &Value) -> Statement {
        let fields = statement.as_object().unwrap();
        let known = ["Sid", "Effect", "Action", "Resource", "Condition"];
        assert!(fields.keys().all(|key| known.contains(&key.as_str())), "{statement}");
        let effect = match statement["Effect"].as_str() {
            Some("Allow") => Effect::Allow,
            Some("Deny") => Effect::Deny,
            other => panic!("an effect that IAM does not know: {other:?}"),
        };
        let actions = self.texts(&statement["Action"]);
        assert!(actions.iter().all(|action| !action.contains('*')), "{actions:?}");
        let operators = statement.get("Condition").and_then(Value::as_object);
        let conditions = operators.into_iter().flatten().flat_map(|(operator, keys)| {
            let keys = keys.as_object().unwrap().iter();
            keys.map(|(key, values)| (operator.clone(), key.clone(), self.texts(values)))
        });
        Statement {
            sid: statement["Sid"].as_str().unwrap().to_owned(),
            effect,
            actions,
            resources: self.texts(&statement["Resource"]),
            conditions: conditions.collect(),
        }
    }

    /// `!If [condition, then, else]` becomes what it means; `AWS::NoValue` becomes null.
    fn resolved(&self, value: &Value) -> Value {
        match value.as_array().map(Vec::as_slice) {
            Some([Value::String(condition), then, otherwise]) if self.is_condition(condition) => {
                self.resolved(if self.settings.holds(condition) { then } else { otherwise })
            }
            _ if value == "Ref=AWS::NoValue" => Value::Null,
            _ => value.clone(),
        }
    }

    fn is_condition(&self, name: &str) -> bool {
        self.template["Conditions"].get(name).is_some()
    }

    /// One text or many; a parameter that is a list counts as its members.
    fn texts(&self, value: &Value) -> Vec<String> {
        match self.resolved(value) {
            Value::Null => vec![],
            Value::String(text) => self.text(&text),
            Value::Array(values) => values.iter().flat_map(|value| self.texts(value)).collect(),
            other => panic!("no text: {other}"),
        }
    }

    fn text(&self, text: &str) -> Vec<String> {
        if let Some(name) = text.strip_prefix("Ref=") {
            return self.settings.parameters.get(name).unwrap_or_else(|| panic!("{name}")).clone();
        }
        let pseudo = json!({"Partition": "aws", "Region": REGION, "AccountId": ACCOUNT});
        let text =
            pseudo.as_object().unwrap().iter().fold(text.to_owned(), |text, (name, value)| {
                text.replace(&format!("${{AWS::{name}}}"), value.as_str().unwrap())
            });
        assert!(!text.contains("${"), "a variable that this test does not know: {text}");
        vec![text]
    }
}
