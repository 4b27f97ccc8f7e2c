//! Workers that the tags of their queues describe. Pure.
//!
//! Tags become the same document that a worker of the file is, and one reader reads both. Which tag is
//! which key is said where the key is read.

use std::collections::BTreeMap;

use super::reader::nearest;
use super::shape::{TagOf, shape};
use crate::document::{Node, Problem, Scalar};

/// `discover`: which queues are workers of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discover {
    /// The key of the tag that such a queue carries. What the tags are called that describe the
    /// worker begins with it.
    pub tag: String,
    /// The value that the tag must have; `None`: any.
    pub value: Option<String>,
}

impl Discover {
    /// Whether a queue with this value of the tag is a worker. Where no value is asked for, `false`, `no` and
    /// `off` mean that it is none.
    pub(super) fn takes(&self, value: &str) -> bool {
        match &self.value {
            Some(wanted) => wanted == value,
            None => Scalar::plain(value).as_bool() != Some(false),
        }
    }
}

/// The tag where `discover` names none.
pub(super) const DEFAULT_TAG: &str = "ecs-queue-scaler";

/// A queue and its tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedQueue {
    /// The queue's ARN.
    pub arn: String,
    /// Value by key.
    pub tags: BTreeMap<String, String>,
}

impl TaggedQueue {
    /// The worker as the file would describe it, and what is wrong with the tags themselves.
    pub(super) fn document(&self, by: &Discover) -> (Node, Vec<Problem>) {
        let mut worker = Node::object();
        worker.put("name", Node::untyped(self.name()));
        worker.put("queue", Node::untyped(&self.arn));
        worker.put("scaling", Node::object());
        let mut problems = Vec::new();
        let prefix = format!("{}:", by.tag);
        let own =
            self.tags.iter().filter_map(|(key, value)| Some((key.strip_prefix(&prefix)?, value)));
        for (key, text) in own {
            let message = match shape().tags().find(|tag| tag.tag == key) {
                Some(tag) => put(&mut worker, &tag, text),
                None => Some(format!("is not a known tag; {}", hint(key, &prefix))),
            };
            let path = format!("{prefix}{key}");
            problems.extend(message.map(|message| Problem::new(&path, &message)));
        }
        (worker, problems)
    }

    /// The queue's name.
    pub(super) fn name(&self) -> &str {
        self.arn.rsplit(':').next().unwrap_or_default()
    }

    /// The problems of the document, in terms of tags, without those of tags that are blamed already.
    pub(super) fn problems_in_tags(
        &self,
        by: &Discover,
        problems: Vec<Problem>,
        known: &[Problem],
    ) -> Vec<Problem> {
        let is_blamed = |path: &str| known.iter().any(|problem| problem.path == path);
        let problems = problems.into_iter().map(|problem| self.in_tags(by, problem));
        problems.filter(|problem| !is_blamed(&problem.path)).collect()
    }

    fn in_tags(&self, by: &Discover, problem: Problem) -> Problem {
        let tag = |name: &str| format!("{}:{name}", by.tag);
        let is_at = |key: &str| {
            let rest = problem.path.strip_prefix(key);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.']))
        };
        let found = shape().tags().find(|tag| is_at(tag.key)).map(|tag| tag.tag);
        let is_given = found.is_some_and(|name| self.tags.contains_key(&tag(name)));
        let message = match found {
            // It stands for all policies where none is given.
            Some("messages-per-container")
                if !is_given && problem.message.contains("is missing") =>
            {
                format!(
                    "is missing; give exactly one of it, `{}`, and `{}` with `{}`",
                    tag("steps"),
                    tag("drain-target"),
                    tag("seconds-per-message"),
                )
            }
            Some("worker") if !is_given => {
                format!("is missing, and a worker cannot be named as the queue: `{}`", self.name())
            }
            _ => problem.message.clone(),
        };
        let path = found.map_or_else(|| problem.path.clone(), tag);
        Problem { path, message, ..problem }
    }
}

/// Puts the text of a tag where its key is, unless it cannot be read: then says why.
fn put(worker: &mut Node, tag: &TagOf<'_>, text: &str) -> Option<String> {
    let value = match tag.tag {
        "steps" => steps(text),
        "capacity" => Some(providers(text)),
        "paused" => Some(pause(text)),
        _ => Some(Node::untyped(text)),
    };
    let is_wrong = value.is_none();
    worker.put(tag.key, value.unwrap_or_else(|| Node::untyped(text)));
    is_wrong.then(|| {
        format!(
            "expected `depth=containers`, with spaces between steps, such as `1=1 10=10`, got \
             `{text}`"
        )
    })
}

/// `1=1 10=10`: from this depth on, so many containers.
fn steps(text: &str) -> Option<Node> {
    let steps: Option<Vec<_>> = text.split_whitespace().map(step).collect();
    steps.filter(|steps| !steps.is_empty()).map(Node::list)
}

fn step(text: &str) -> Option<Node> {
    let (depth, containers) = text.split_once('=')?;
    let mut step = Node::object();
    step.put("depth", Node::untyped(depth));
    step.put("containers", Node::untyped(containers));
    Some(step)
}

/// Names with spaces between them.
fn providers(text: &str) -> Node {
    let provider = |name: &str| {
        let mut rung = Node::object();
        rung.put("capacityProvider", Node::untyped(name));
        rung
    };
    Node::list(text.split_whitespace().map(provider).collect())
}

/// `true`, `false`, or `2026-12-01T08:00Z`, and perhaps why.
fn pause(text: &str) -> Node {
    let (until, why) = text.split_once(' ').unwrap_or((text, ""));
    let mut pause = Node::object();
    match (Scalar::plain(until).as_bool(), why) {
        (Some(true), "") => return Node::untyped("true"),
        (Some(false), _) => return Node::untyped("false"),
        (Some(true), _) => {}
        (None, _) => pause.put("until", Node::untyped(until)),
    }
    if !why.is_empty() {
        pause.put("why", Node::untyped(why));
    }
    pause
}

fn hint(key: &str, prefix: &str) -> String {
    let names = || shape().tags().map(|tag| tag.tag);
    if let Some(tag) = nearest(key, names()) {
        return format!("did you mean `{prefix}{tag}`?");
    }
    format!("known after `{prefix}`: {}", names().collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Config, Document, Pause, Worker};
    use super::*;

    fn by() -> Discover {
        Discover { tag: "jobs".to_owned(), value: None }
    }

    /// A queue with what a worker needs, and more; an empty value takes a tag away.
    fn queue(name: &str, more: &[(&str, &str)]) -> TaggedQueue {
        let mut tags = BTreeMap::from([
            ("jobs".to_owned(), "true".to_owned()),
            ("jobs:task-definition".to_owned(), "export".to_owned()),
            ("jobs:messages-per-container".to_owned(), "2".to_owned()),
        ]);
        for (key, value) in more {
            match *value {
                "" => tags.remove(&format!("jobs:{key}")),
                value => tags.insert(format!("jobs:{key}"), value.to_owned()),
            };
        }
        TaggedQueue { arn: format!("arn:aws:sqs:eu-central-1:123456789012:{name}"), tags }
    }

    fn file() -> Value {
        json!({"cluster": "jobs", "launch": {"networkConfiguration": {
            "awsvpcConfiguration": {"subnets": ["subnet-1"]}}}})
    }

    fn read(queues: &[TaggedQueue]) -> Config {
        let mut document = file();
        document["discover"] = json!({"tag": by().tag});
        Config::with_discovered(&Document::of_value("", &document), queues).unwrap()
    }

    /// The worker that a file would describe so.
    fn of_file(worker: &Value) -> Worker {
        let mut document = file();
        document["workers"] = json!([worker]);
        let config = Config::from_value(&document).unwrap();
        assert_eq!(config.refused, []);
        config.workers[0].clone()
    }

    #[test]
    fn tags_say_what_a_worker_of_the_file_says() {
        let all = [
            ("worker", "reports"),
            ("task-definition", "report:7"),
            ("container", "main"),
            ("cluster", "other"),
            ("messages-per-container", ""),
            ("steps", "1=1 10=10"),
            ("min-containers", "1"),
            ("max-containers", "20"),
            ("max-launch-per-tick", "5"),
            ("in-flight-per-container", "3"),
            ("count-delayed", "true"),
            ("stuck-after", "20m"),
            ("circuit-breaker", "false"),
            ("idle-after", "10m"),
            ("progress-brake", "false"),
            ("strategy", "dense"),
            ("max-containers-per-task", "10"),
            ("max-tasks", "30"),
            ("max-task-cpu", "4096"),
            ("completion", "any"),
            ("capacity", "FARGATE_SPOT FARGATE"),
            ("paused", "2026-12-01T08:00Z the database moves"),
        ];
        let expected = of_file(&json!({
            "name": "reports", "queue": "arn:aws:sqs:eu-central-1:123456789012:q",
            "taskDefinition": "report:7", "container": "main", "cluster": "other",
            "scaling": {"steps": [{"depth": 1, "containers": 1}, {"depth": 10, "containers": 10}],
                "minContainers": 1, "maxContainers": 20, "maxLaunchPerTick": 5,
                "inFlightPerContainer": 3, "countDelayed": true, "stuckAfter": "20m",
                "circuitBreaker": false, "idleAfter": "10m", "progressBrake": false},
            "packing": {"strategy": "dense", "maxContainersPerTask": 10, "maxTasks": 30,
                "maxTaskCpu": 4096, "completion": "any"},
            "capacity": [{"capacityProvider": "FARGATE_SPOT"}, {"capacityProvider": "FARGATE"}],
            "paused": {"until": "2026-12-01T08:00:00Z", "why": "the database moves"},
        }));
        assert_eq!(read(&[queue("q", &all)]).workers, [expected]);

        let drain = [
            ("messages-per-container", ""),
            ("drain-target", "10m"),
            ("seconds-per-message", "0.5"),
        ];
        let expected = of_file(&json!({
            "name": "q", "queue": "arn:aws:sqs:eu-central-1:123456789012:q",
            "taskDefinition": "export",
            "scaling": {"drainWithin": {"target": "10m", "secondsPerMessage": 0.5}},
        }));
        assert_eq!(read(&[queue("q", &drain)]).workers, [expected]);
    }

    #[test]
    fn what_a_tag_cannot_mean_is_told_by_its_key() {
        let cases: [&[(&str, &str)]; 23] = [
            &[("task-definition", "")],
            &[("task-definition", "a/b")],
            &[("messages-per-container", "")],
            &[("messages-per-container", "many")],
            &[("messages-per-container", "0")],
            &[("messages-per-container", "99999999999999999999")],
            &[("messages-per-container", "1.5")],
            &[("steps", "1=1")],
            &[("messages-per-container", ""), ("steps", "10=1 1=2")],
            &[("messages-per-container", ""), ("steps", "1:1")],
            &[("messages-per-container", ""), ("steps", "1=one")],
            &[("messages-per-container", ""), ("steps", " ")],
            &[("messages-per-container", ""), ("drain-target", "10m")],
            &[("min-containers", "7"), ("max-containers", "5")],
            &[("count-delayed", "yes")],
            &[("stuck-after", "1s")],
            &[("max-containers-per-task", "10")],
            &[("capacity", " ")],
            &[("max-container", "5"), ("strategy", "densest")],
            &[("nonsense", "5")],
            &[("worker", "a b")],
            &[("paused", "tomorrow")],
            &[("paused", "until 2026-12-01T08:00Z")],
        ];
        let messages = cases.map(|case| {
            let config = read(&[queue("q", case), queue("good", &[])]);
            assert_eq!(config.workers.len(), 1, "{case:?} was taken, or refused another");
            let [refused] = config.refused.as_slice() else { panic!("{case:?}") };
            assert_eq!(refused.worker.as_str(), "arn:aws:sqs:eu-central-1:123456789012:q");
            let problems = refused.problems.iter().map(|problem| format!("  {problem}"));
            format!("{case:?}\n{}", problems.collect::<Vec<_>>().join("\n"))
        });
        insta::assert_snapshot!(messages.join("\n"));
    }

    #[test]
    fn a_tag_may_pause_for_good_or_not_at_all() {
        let pause = |text| read(&[queue("q", &[("paused", text)])]).workers[0].paused.clone();
        let why = |why: &str| Some(Pause { until: None, why: Some(why.to_owned()) });
        assert_eq!(pause("true"), Some(Pause::default()));
        assert_eq!(pause("true a flood"), why("a flood"));
        assert_eq!(pause("yes a flood"), why("a flood"));
        for not in ["false", "no", "off", "false not yet"] {
            assert_eq!(pause(not), None, "{not}");
        }
    }

    #[test]
    fn a_tag_that_says_no_means_no_worker() {
        let tagged = |value: &str| {
            let mut tagged = queue("q", &[]);
            tagged.tags.insert("jobs".to_owned(), value.to_owned());
            tagged
        };
        for (value, is_worker) in [
            ("true", true),
            ("", true),
            ("team-a", true),
            ("false", false),
            ("no", false),
            ("off", false),
            ("FALSE", false),
        ] {
            let config = read(&[tagged(value)]);
            assert_eq!(
                (config.workers.len(), config.refused.len()),
                (is_worker.into(), 0),
                "{value}"
            );
        }
        let asked = Discover { value: Some("no".to_owned()), ..by() };
        assert!(asked.takes("no") && !asked.takes("true"), "who asks for a value means just that");
    }

    #[test]
    fn a_queue_whose_name_no_worker_can_have_needs_a_tag() {
        let refused = &read(&[queue("jobs.fifo", &[])]).refused;
        insta::assert_snapshot!(refused[0].problems[0]);
        let named = read(&[queue("jobs.fifo", &[("worker", "export")])]);
        assert_eq!(named.workers[0].name.as_str(), "export");
    }

    proptest::proptest! {
        #[test]
        fn no_tags_make_the_parser_panic_or_touch_another_queue(
            key in "[a-z-]{1,24}", text in "[-0-9a-zA-Z=. :/+@_]{0,40}", tag in 0..24_usize,
        ) {
            let known = shape().tags().nth(tag).unwrap().tag;
            for key in [key.as_str(), known] {
                let good = queue("good", &[("task-definition", "other")]);
                let config = read(&[queue("q", &[(key, &text)]), good]);
                let good = config.workers.iter().filter(|worker| worker.queue.name() == "good");
                let is_alike = ["good", "other"].contains(&text.as_str());
                assert!(is_alike || good.count() == 1, "{key}: {text}");
            }
        }
    }

    /// A previous name, or a cluster of another account, of a queue that is found takes nothing from a
    /// worker of the file.
    #[test]
    fn who_is_discovered_takes_no_name_and_no_cluster_from_the_file() {
        let thumbs = |more: Value| {
            let mut worker = json!({"name": "thumbs", "queue": "q", "taskDefinition": "t",
                "scaling": {"messagesPerContainer": 1}});
            worker.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            worker
        };
        let other = "arn:aws:ecs:eu-central-1:999999999999:cluster/jobs";
        for (of_file, tags) in [
            (json!({"previousNames": ["export"]}), [("strategy", "spread")]),
            (
                json!({"cluster": "arn:aws:ecs:eu-central-1:123456789012:cluster/jobs"}),
                [("cluster", other)],
            ),
        ] {
            let document = json!({"cluster": "jobs", "discover": {"tag": "jobs"},
                "workers": [thumbs(of_file)]});
            let queues = [queue("export", &tags)];
            let config =
                Config::with_discovered(&Document::of_value("", &document), &queues).unwrap();
            let served: Vec<_> = config.workers.iter().map(|w| w.name.to_string()).collect();
            let refused: Vec<_> = config.refused.iter().map(|r| r.worker.to_string()).collect();
            assert_eq!(served, ["thumbs"], "{:?}", config.refused);
            assert_eq!(refused.len(), 1, "{refused:?}");
        }
    }
}
