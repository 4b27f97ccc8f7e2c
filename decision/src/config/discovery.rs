//! Workers that the tags of their queues describe. Pure.
//!
//! Tags become the same document that a worker of the file is, and one parser reads both.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Problem;
use super::reader::nearest;

/// `discover`: which queues are workers of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discover {
    /// The key of the tag that such a queue carries. What the tags are called that describe the
    /// worker begins with it.
    pub tag: String,
    /// The value that the tag must have; `None`: any.
    pub value: Option<String>,
}

/// The tag where `discover` names none.
pub(super) const DEFAULT_TAG: &str = "ecs-queue-scaler";

/// A queue and its tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedQueue {
    /// Which one.
    pub arn: String,
    /// Value by key.
    pub tags: BTreeMap<String, String>,
}

/// How the text of a tag becomes a value of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    /// A number, `true` or `false`; anything else stays text, which the parser refuses.
    Plain,
    /// `1=1 10=10`: from this depth on, so many containers.
    Steps,
    /// Names with spaces between them.
    Providers,
}

/// What each tag is in the document of a worker.
const TAGS: [(&str, &str, Kind); 24] = [
    ("worker", "name", Kind::Text),
    ("task-definition", "taskDefinition", Kind::Text),
    ("container", "container", Kind::Text),
    ("cluster", "cluster", Kind::Text),
    ("messages-per-container", "scaling.messagesPerContainer", Kind::Plain),
    ("steps", "scaling.steps", Kind::Steps),
    ("drain-target", "scaling.drainWithin.target", Kind::Text),
    ("seconds-per-message", "scaling.drainWithin.secondsPerMessage", Kind::Plain),
    ("min-containers", "scaling.minContainers", Kind::Plain),
    ("max-containers", "scaling.maxContainers", Kind::Plain),
    ("max-launch-per-tick", "scaling.maxLaunchPerTick", Kind::Plain),
    ("in-flight-per-container", "scaling.inFlightPerContainer", Kind::Plain),
    ("count-delayed", "scaling.countDelayed", Kind::Plain),
    ("stuck-after", "scaling.stuckAfter", Kind::Text),
    ("idle-after", "scaling.idleAfter", Kind::Text),
    ("circuit-breaker", "scaling.circuitBreaker", Kind::Plain),
    ("progress-brake", "scaling.progressBrake", Kind::Plain),
    ("strategy", "packing.strategy", Kind::Text),
    ("max-containers-per-task", "packing.maxContainersPerTask", Kind::Plain),
    ("max-tasks", "packing.maxTasks", Kind::Plain),
    ("max-task-cpu", "packing.maxTaskCpu", Kind::Plain),
    ("completion", "packing.completion", Kind::Text),
    ("capacity", "capacity", Kind::Providers),
    ("on-drain", "onDrain", Kind::Text),
];

impl TaggedQueue {
    /// The worker as the file would describe it, and what is wrong with the tags themselves.
    pub(super) fn document(&self, by: &Discover) -> (Value, Vec<Problem>) {
        let mut worker = json!({"name": self.name(), "queue": self.arn, "scaling": {}});
        let mut problems = Vec::new();
        let prefix = format!("{}:", by.tag);
        let own =
            self.tags.iter().filter_map(|(key, value)| Some((key.strip_prefix(&prefix)?, value)));
        for (key, text) in own {
            let message = match TAGS.iter().find(|(tag, ..)| *tag == key) {
                Some((_, path, kind)) => {
                    let value = kind.read(text);
                    let message =
                        value.as_ref().err().map(|allowed| format!("is `{text}`, {allowed}"));
                    put(&mut worker, path, value.unwrap_or_else(|_| json!(text)));
                    message
                }
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

    /// A problem of the document, told in tags; `None` where the tag is blamed for one already.
    pub(super) fn told(
        &self,
        by: &Discover,
        problem: Problem,
        known: &[Problem],
    ) -> Option<Problem> {
        let Problem { path, message, count } = problem;
        let tag = |name: &str| format!("{}:{name}", by.tag);
        let is_at = |place: &str| {
            let rest = path.strip_prefix(place);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
        };
        let found = TAGS.iter().find(|(_, place, _)| is_at(place)).map(|(name, ..)| *name);
        let is_given = found.is_some_and(|name| self.tags.contains_key(&tag(name)));
        let message = match found {
            // It stands for all policies where none is given.
            Some("messages-per-container") if !is_given && message.contains("is missing") => {
                format!(
                    "is missing; exactly one of it, `{}`, and `{}` with `{}`",
                    tag("steps"),
                    tag("drain-target"),
                    tag("seconds-per-message"),
                )
            }
            Some("worker") if !is_given => {
                format!("is missing, and a worker cannot be named as the queue: `{}`", self.name())
            }
            _ => message,
        };
        let path = found.map_or(path, tag);
        let is_blamed = known.iter().any(|problem| problem.path == path);
        (!is_blamed).then_some(Problem { path, message, count })
    }
}

impl Kind {
    fn read(self, text: &str) -> Result<Value, String> {
        match self {
            Self::Text => Ok(json!(text)),
            Self::Plain => Ok(plain(text)),
            Self::Steps => text
                .split_whitespace()
                .map(step)
                .collect::<Option<Vec<_>>>()
                .filter(|steps| !steps.is_empty())
                .map(Value::Array)
                .ok_or_else(|| {
                    "it must be `depth=containers`, with spaces between steps, such as `1=1 10=10`"
                        .to_owned()
                }),
            Self::Providers => Ok(text
                .split_whitespace()
                .map(|provider| json!({"capacityProvider": provider}))
                .collect()),
        }
    }
}

/// Only what is written as JSON writes a number, or a truth value, is one.
fn plain(text: &str) -> Value {
    let value: Option<Value> = serde_json::from_str(text).ok();
    value.filter(|value| value.is_number() || value.is_boolean()).unwrap_or_else(|| json!(text))
}

fn step(text: &str) -> Option<Value> {
    let (depth, containers) = text.split_once('=')?;
    Some(json!({"depth": plain(depth), "containers": plain(containers)}))
}

/// Puts a value where a path such as `scaling.steps` says.
fn put(document: &mut Value, path: &str, value: Value) {
    let place = path.split('.').try_fold(document, |place, key| {
        let object = place.as_object_mut()?;
        Some(object.entry(key).or_insert_with(|| Value::Object(Map::new())))
    });
    if let Some(place) = place {
        *place = value;
    }
}

fn hint(key: &str, prefix: &str) -> String {
    let names = || TAGS.iter().map(|(tag, ..)| *tag);
    if let Some(tag) = nearest(key, names()) {
        return format!("did you mean `{prefix}{tag}`?");
    }
    format!("known after `{prefix}`: {}", names().collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Worker};
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
        Config::with_discovered(&document, queues).unwrap()
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
        let cases: [&[(&str, &str)]; 21] = [
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
    fn a_queue_whose_name_no_worker_can_have_needs_a_tag() {
        let refused = &read(&[queue("jobs.fifo", &[])]).refused;
        insta::assert_snapshot!(refused[0].problems[0]);
        let named = read(&[queue("jobs.fifo", &[("worker", "export")])]);
        assert_eq!(named.workers[0].name.as_str(), "export");
    }

    proptest::proptest! {
        #[test]
        fn no_tags_make_the_parser_panic_or_touch_another_queue(
            key in "[a-z-]{1,24}", text in "[-0-9a-zA-Z=. :/+@_]{0,40}", tag in 0..TAGS.len(),
        ) {
            let (known, ..) = TAGS[tag];
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
            let config = Config::with_discovered(&document, &queues).unwrap();
            let served: Vec<_> = config.workers.iter().map(|w| w.name.to_string()).collect();
            let refused: Vec<_> = config.refused.iter().map(|r| r.worker.to_string()).collect();
            assert_eq!(served, ["thumbs"], "{:?}", config.refused);
            assert_eq!(refused.len(), 1, "{refused:?}");
        }
    }
}
