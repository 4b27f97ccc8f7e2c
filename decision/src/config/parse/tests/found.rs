//! What was found by trying 365 configurations, each by its name.

use super::*;
use crate::config::document;

const WORKER: &str = "queue: jobs\n    taskDefinition: thumbnail\n    cluster: jobs\n    scaling: \
                      {messagesPerContainer: 1}";

/// All that is said of a text: mistakes, and then warnings.
fn said(text: &str) -> Vec<String> {
    let config = match document("workers.yaml", text).and_then(|document| Config::of(&document)) {
        Ok(config) => config,
        Err(ConfigError(problems)) => return problems.iter().map(ToString::to_string).collect(),
    };
    let refused = config.refused.iter().flat_map(|refused| &refused.problems);
    let mistakes = refused.map(ToString::to_string);
    mistakes.chain(config.warnings.iter().map(Problem::as_warning)).collect()
}

/// A file of one worker, with more of its keys, and more of the file's.
fn file(more_of_worker: &str, more_of_file: &str) -> String {
    format!("{more_of_file}\nworkers:\n  - name: a\n    {WORKER}\n    {more_of_worker}\n")
}

/// The one thing that is said of a worker with more keys.
fn said_of(more: &str) -> String {
    let [said] = said(&file(more, "")).try_into().unwrap();
    said
}

/// The same of a worker whose key is this and nothing else.
fn said_instead(key: &str, value: &str) -> String {
    let text = file("", "");
    let line = text.lines().find(|line| line.contains(&format!("{key}:"))).unwrap();
    let before = line.split_once(key).unwrap().0;
    let [said] = said(&text.replace(line, &format!("{before}{key}: {value}"))).try_into().unwrap();
    said
}

#[test]
fn every_mistake_has_its_line_and_column() {
    let text = "cluster: jobs\nmaxTasksPerTick: 0\nworkers:\n  - name: thumbnail\n    queue: q\n    \
                taskDefinition: t\n    scaling:\n      messagesPerContainer: 1\n      \
                maxContainers: 0\n  - {name: b, scalling: 1}\n  - 7\n";
    insta::assert_snapshot!(said(text).join("\n"));
}

#[test]
fn a_tag_that_nobody_replaces_is_refused_with_why() {
    insta::assert_snapshot!(
        [
            said_instead("queue", "!Ref Queue"),
            said_instead("cluster", "!ImportValue x"),
            said_instead("scaling", "!Sub x"),
            said("workers: !Sub x\n").join("\n"),
            said("!Transform {workers: []}\n").join("\n"),
        ]
        .join("\n")
    );
}

#[test]
fn yamls_own_tags_say_what_a_value_is() {
    assert_eq!(said(&file("container: !!str 7", "")), [""; 0]);
}

#[test]
fn what_follows_from_a_mistake_that_is_told_is_not_told_again() {
    let worker = |n: u32| {
        format!(
            "  - {{name: w{n}, queue: q{n}, taskDefinition: t{n}, scaling: {{messagesPerContainer: \
             1}}}}\n"
        )
    };
    let workers = (0..1000).map(worker).collect::<Vec<_>>().concat();
    let of = |top: &str| said(&format!("{top}\nworkers:\n{workers}"));
    let network = |subnets: &str| {
        format!(
            "cluster: jobs\nlaunch: {{launchType: FARGATE, networkConfiguration: \
             {{awsvpcConfiguration: {subnets}}}}}"
        )
    };
    for top in [
        "cluster: a b".to_owned(),
        "cluster: 7".to_owned(),
        "cluster: jobs\nregistration: 7".to_owned(),
        network("{subnets: [sg-1]}"),
        network("{subnets: 7}"),
        network("{}"),
        "cluster: jobs\nlaunch: {launchType: FARGAT}".to_owned(),
        "cluster: jobs\ncapacity: [{provider: FARGATE}]".to_owned(),
    ] {
        let said = of(&top);
        assert!(said.len() <= 2, "{top}: {} lines, {:?}", said.len(), said.get(..2));
    }
    assert_eq!(of("cluster: a b").len(), 1);
}

#[test]
fn within_a_worker_too() {
    assert_eq!(said(&file("packing: {completion: sme, maxContainersPerTask: 10}", "")).len(), 1);
    let launch = "launch: {launchType: FARGATE, networkConfiguration: {awsvpcConfiguration: {subnets: [x]}}}";
    assert_eq!(said(&file(launch, "")).len(), 1);
    let text = file("", "").replace(
        "{messagesPerContainer: 1}",
        "{messagesPerContainer: 1, minContainers: 200, maxContainers: 2x}",
    );
    assert_eq!(said(&text).len(), 1);
}

/// Nothing of what a library says to programmers reaches an operator.
#[test]
fn no_advice_to_programmers_is_passed_on() {
    let reported: Vec<_> = [
        "workers: []\nworkers: []",
        "workers: []\n---\nworkers: []",
        "a: *a",
        "a: &a [*a]",
        "? [a]\n: b",
        "workers: {<<: 7}",
        "workers: \"\\x\"",
        "workers: [}",
        "workers:\n\t- a",
        "%YAML 3.0\n---\na: 1",
        "workers: @a",
        "workers: 'a",
        "- a\nb: c",
        "# only a remark",
        "---\n",
        "7",
        "workers: [.nan]",
    ]
    .map(|text| format!("{text:?}\n  {}", said(text).join("\n  ")))
    .into();
    let reported = reported.join("\n");
    for word in ["Option", "DuplicateKeyPolicy", "Policy", "Component", "deserializ", "Budget"] {
        assert!(!reported.contains(word), "{word}: {reported}");
    }
    insta::assert_snapshot!(reported);
}

#[test]
fn a_text_that_yaml_takes_for_something_else_is_to_be_put_in_quotes() {
    insta::assert_snapshot!(
        [
            said_instead("queue", "20240101"),
            said_instead("name", "no"),
            said_instead("taskDefinition", "1e3"),
            said_of("container: on"),
        ]
        .join("\n")
    );
}

#[test]
fn values_are_shown_as_they_are_written() {
    let scaling =
        |value: &str| said_instead("scaling", &format!("{{messagesPerContainer: {value}}}"));
    insta::assert_snapshot!(
        ["010", "1.5", "1e9", "0x0", ".nan", "-1", "1_000_001", "\"7\"", "~", "", "null"]
            .map(scaling)
            .join("\n")
    );
}

#[test]
fn whole_floats_are_whole_numbers() {
    for value in ["1e2", "100.0", "100", "0x64", "1_00"] {
        let text = file("", "").replace("Container: 1}", &format!("Container: {value}}}"));
        let config = Config::parse(&text).unwrap();
        let policy = &config.workers[0].scaling.policy;
        assert_eq!(*policy, Policy::MessagesPerContainer(Messages(100)), "{value}");
    }
}

#[test]
fn durations_that_nobody_means_are_refused_in_the_units_that_people_write() {
    let of = |value: &str| {
        said_instead("scaling", &format!("{{messagesPerContainer: 1, stuckAfter: {value}}}"))
    };
    insta::assert_snapshot!(["10mm", "30sss", "+10m", "1m", "25h", "600"].map(of).join("\n"));
}

#[test]
fn hours_and_minutes_and_days_are_durations() {
    for value in ["1h30m", "1d", "90m"] {
        let scaling = format!("{{messagesPerContainer: 1, stuckAfter: {value}}}");
        let text = file("", "").replace("{messagesPerContainer: 1}", &scaling);
        assert_eq!(said(&text), [""; 0], "{value}");
    }
}

#[test]
fn an_empty_section_is_as_if_it_were_left_out() {
    let empty = "launch:\npacking:\ncapacity:\npreviousNames:".replace('\n', "\n    ");
    assert_eq!(said(&file(&empty, "draining:\nlaunch:\ncapacity:\npreviousNames:")), [""; 0]);
    let [empty] = said(&file("", "").replace("{messagesPerContainer: 1}", "")).try_into().unwrap();
    let [absent] =
        said(&file("", "").replace("scaling: {messagesPerContainer: 1}", "")).try_into().unwrap();
    let without_position = |text: &str| text.split_once(" worker").map(|(_, rest)| rest.to_owned());
    let (empty, absent) = (without_position(&empty), without_position(&absent));
    assert_eq!(empty, absent);
    assert_eq!(said("workers:\n"), said("workers:\n  \n"));
    assert!(said("workers:\n")[0].contains("is missing"), "{:?}", said("workers:\n"));
}

/// A value that was to come from elsewhere and did not is no reason to take the default.
#[test]
fn a_key_without_a_value_is_not_its_default() {
    let reported = said_instead("scaling", "{messagesPerContainer: 1, maxContainers: }");
    assert!(reported.ends_with("got nothing"), "{reported}");
}

#[test]
fn a_bare_off_is_off_wherever_off_may_be() {
    let text = file("", "").replace("Container: 1}", "Container: 1, idleAfter: off}");
    assert_eq!(Config::parse(&text).unwrap().workers[0].scaling.idle_after, None);
}

#[test]
fn a_margin_of_the_functions_whole_time_is_warned_of() {
    let [reported] = said(&file("", "deadlineMargin: 60s")).try_into().unwrap();
    insta::assert_snapshot!(reported);
    assert_eq!(said(&file("", "deadlineMargin: 59s")), [""; 0]);
}

#[test]
fn one_queue_by_its_arn_and_by_its_url_is_one_queue() {
    let arn = "arn:aws:sqs:eu-central-1:111122223333:jobs";
    let two = |other: &str| {
        let worker = WORKER.replace("queue: jobs", &format!("queue: {other}"));
        said(&file(&format!("\n  - name: b\n    {worker}"), "").replacen(
            "queue: jobs",
            &format!("queue: {arn}"),
            1,
        ))
    };
    let by_url = two("https://sqs.eu-central-1.amazonaws.com/111122223333/jobs");
    let by_old_url = two("https://eu-central-1.queue.amazonaws.com/111122223333/jobs");
    assert_eq!((by_url.len(), by_old_url.len()), (2, 2));
    let by_name = two("jobs");
    let by_emulator = two("http://localhost:4566/111122223333/jobs");
    insta::assert_snapshot!([by_url, by_name, by_emulator].concat().join("\n"));
    assert_eq!(two("arn:aws:sqs:eu-central-1:444455556666:jobs"), [""; 0]);
}

fn said_of_launch(launch: &str) -> String {
    said(&file(&format!("launch: {launch}"), "")).join("\n")
}

#[test]
fn what_is_for_fargate_only_is_warned_of_on_ec2() {
    let network = |ip: &str| {
        format!(
            "{{launchType: EC2, networkConfiguration: {{awsvpcConfiguration: {{subnets: \
             [subnet-0123456789abcdef0], assignPublicIp: {ip}}}}}}}"
        )
    };
    assert_eq!(said_of_launch(&network("DISABLED")), "");
    insta::assert_snapshot!(
        [
            said_of_launch(&network("ENABLED")),
            said_of_launch("{launchType: EC2, platformVersion: 1.4.0}"),
            said_of_launch("{launchType: EXTERNAL, platformVersion: LATEST}"),
        ]
        .join("\n")
    );
}

#[test]
fn a_rule_for_placing_that_ecs_would_refuse_is_refused() {
    let strategy = |one: &str| said_of_launch(&format!("{{placementStrategy: [{one}]}}"));
    let constraint = |one: &str| said_of_launch(&format!("{{placementConstraints: [{one}]}}"));
    for fine in ["{type: binpack, field: MEMORY}", "{type: random}", "{type: spread, field: host}"]
    {
        assert_eq!(strategy(fine), "");
    }
    assert_eq!(constraint("{type: distinctInstance}"), "");
    insta::assert_snapshot!(
        [
            strategy("{type: binpack}"),
            strategy("{type: binpack, field: disk}"),
            constraint("{type: memberOf}"),
            constraint("{type: distinctInstance, expression: agentConnected == true}"),
        ]
        .join("\n")
    );
}

#[test]
fn security_groups_are_no_subnets_and_the_examples_placeholders_are_warned_of() {
    let network = |rest: &str| {
        said_of_launch(&format!("{{networkConfiguration: {{awsvpcConfiguration: {rest}}}}}"))
    };
    assert_eq!(network("{subnets: [subnet-0123abcd], securityGroups: [sg-0123456789abcdef0]}"), "");
    insta::assert_snapshot!(
        [
            network("{subnets: [sg-1]}"),
            network("{subnets: [subnet-0123abcd], securityGroups: [subnet-1]}"),
            network("{subnets: [subnet-1], securityGroups: [sg-1]}"),
            said_instead("queue", "https://sqs.eu-central-1.amazonaws.com/123456789012/export"),
        ]
        .join("\n")
    );
}

#[test]
fn steps_that_decrease_are_warned_of() {
    let steps = "{steps: [{depth: 1, tasks: 5}, {depth: 10, tasks: 2}]}";
    insta::assert_snapshot!(said_instead("scaling", steps));
}

#[test]
fn arns_of_different_accounts_regions_and_partitions_are_refused_where_nothing_can_run() {
    let of = |cluster: &str, more: [&str; 2]| {
        let [queue, definition] = more;
        let text = file("", "")
            .replace("queue: jobs", &format!("queue: {queue}"))
            .replace("taskDefinition: thumbnail", &format!("taskDefinition: {definition}"))
            .replace("cluster: jobs", &format!("cluster: {cluster}"));
        said(&text).join("\n")
    };
    let cluster = "arn:aws:ecs:eu-central-1:111122223333:cluster/jobs";
    let definition = |scope: &str| format!("arn:aws:ecs:{scope}:task-definition/thumbnail:1");
    assert_eq!(of(cluster, ["jobs", &definition("eu-central-1:111122223333")]), "");
    let of_other_account = "arn:aws:sqs:eu-central-1:444455556666:jobs";
    assert_eq!(of(cluster, [of_other_account, "thumbnail"]), "");
    insta::assert_snapshot!(
        [
            of(cluster, ["jobs", &definition("eu-west-1:111122223333")]),
            of(cluster, ["jobs", &definition("eu-central-1:444455556666")]),
            of(cluster, ["arn:aws:sqs:eu-west-1:111122223333:jobs", "thumbnail"]),
            of(cluster, ["https://sqs.us-east-1.amazonaws.com/111122223333/jobs", "thumbnail"]),
            of("arn:aws-cn:ecs:eu-central-1:111122223333:cluster/jobs", ["jobs", "thumbnail"]),
        ]
        .join("\n")
    );
}

#[test]
fn workers_of_two_regions_are_warned_of() {
    let other = "\n  - {name: b, queue: \"arn:aws:sqs:eu-west-1:111122223333:b\", taskDefinition: b, \
                 cluster: jobs, scaling: {messagesPerContainer: 1}}";
    let text = file(other, "").replacen(
        "queue: jobs",
        "queue: arn:aws:sqs:eu-central-1:111122223333:jobs",
        1,
    );
    insta::assert_snapshot!(said(&text).join("\n"));
}

#[test]
fn an_image_that_cannot_be_is_refused() {
    let of = |image: &str| said(&file("", &format!("watcherImage: {image}"))).join("\n");
    insta::assert_snapshot!(["BusyBox", "https://a/b", "\"a b\"", "a:b:c:d"].map(of).join("\n"));
    assert_eq!(of("123456789012.dkr.ecr.eu-central-1.amazonaws.com/busybox:1"), "");
}

/// Each of them, alone, in a whole file.
#[test]
fn what_is_merged_and_repeated_is_read_as_before() {
    let text = "cluster: jobs\nworkers:\n  - &a {name: a, queue: a, taskDefinition: a, scaling: &s \
                {messagesPerContainer: 1}}\n  - {<<: *a, name: b, queue: b, scaling: *s}\n";
    assert_eq!(said(text), [""; 0]);
}

#[test]
fn warnings_are_bounded_as_mistakes_are() {
    let worker = |n: u32| {
        format!(
            "  - {{name: w{n}, queue: \"arn:aws:sqs:eu-central-1:123456789012:q{n}\", \
             taskDefinition: t{n}, cluster: c, scaling: {{messagesPerContainer: 1}}}}\n"
        )
    };
    let workers = (0..100).map(worker).collect::<Vec<_>>().concat();
    let said = said(&format!("workers:\n{workers}"));
    assert_eq!((said.len(), said.last().unwrap().as_str()), (51, "warning: and 50 more"));
}

/// An event is not text any more when it is read: it has paths, and no lines.
#[test]
fn the_mistakes_of_an_event_name_it_first() {
    let worker = json!({"name": "a", "queue": "a", "taskDefinition": "a", "cluster": "c",
        "scaling": {"messagesPerContainer": 0}});
    let refused = Config::of_event(&json!({"workers": [worker]})).unwrap().refused;
    let whole = Config::of_event(&json!({"workers": 7})).unwrap_err();
    insta::assert_snapshot!(format!("{}\n{}", refused[0].problems[0], whole.0[0]));
}
