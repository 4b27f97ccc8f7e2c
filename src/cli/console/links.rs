//! Where the AWS console shows the same.

use decision::units::Partition;
use serde::Serialize;

use crate::cli::status::WorkerView;

/// A page of the AWS console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Link {
    title: String,
    address: String,
}

/// The pages that show a worker.
pub(super) fn of(region: &str, view: &WorkerView) -> Vec<Link> {
    let Some(home) = console(region) else { return Vec::new() };
    let link = |title: String, address: String| Link { title, address };
    let queue = view.queue.as_ref().map(|queue| {
        let address = format!("{home}/sqs/v3/home?region={region}#/queues");
        // Only an address leads to a queue itself.
        let own = view.queue_url.as_ref().filter(|url| url.starts_with("https://"));
        let address = own.map(|url| format!("{address}/{}", encoded(url))).unwrap_or(address);
        link(format!("queue {queue}"), address)
    });
    let cluster = view.row.cluster.as_ref().map(|cluster| {
        let path = encoded(last(cluster));
        let address = format!("{home}/ecs/v2/clusters/{path}/tasks?region={region}");
        link(format!("cluster {cluster}"), address)
    });
    let log = view.log_group.as_ref().map(|group| {
        // The console encodes it twice, with `$` for `%`.
        let path = encoded(&encoded(group)).replace('%', "$");
        let home = format!("{home}/cloudwatch/home?region={region}");
        link(format!("log group {group}"), format!("{home}#logsV2:log-groups/log-group/{path}"))
    });
    [queue, cluster, log].into_iter().flatten().collect()
}

/// The page of a task, with `{task}` for its id.
pub(super) fn task(region: &str, cluster: &str) -> Option<String> {
    let (home, path) = (console(region)?, encoded(last(cluster)));
    Some(format!("{home}/ecs/v2/clusters/{path}/tasks/{{task}}?region={region}"))
}

fn last(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or_default()
}

/// None where nothing is known of it. Source: AWS Management Console endpoints, by partition.
fn console(region: &str) -> Option<String> {
    let domain = match Partition::of(region).name {
        "aws" => "console.aws.amazon.com",
        "aws-cn" => "console.amazonaws.cn",
        "aws-us-gov" => "console.amazonaws-us-gov.com",
        _ => return None,
    };
    Some(format!("https://{region}.{domain}"))
}

/// Source: RFC 3986, 2.1 and 2.3.
fn encoded(text: &str) -> String {
    let encoded = text.bytes().map(|byte| {
        let is_plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if is_plain { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    });
    encoded.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_an_address_stays_in_its_place() {
        assert_eq!(
            task("cn-north-1", "arn:aws-cn:ecs:cn-north-1:1:cluster/jobs").unwrap(),
            "https://cn-north-1.console.amazonaws.cn/ecs/v2/clusters/jobs/tasks/{task}?region=cn-north-1"
        );
        assert_eq!(task("us-iso-east-1", "jobs"), None, "nobody guesses");
        assert_eq!(encoded("a/../b?c#d"), "a%2F..%2Fb%3Fc%23d");
        assert_eq!(encoded("/aws/ecs é"), "%2Faws%2Fecs%20%C3%A9");
        assert_eq!(encoded(&encoded("/ecs/a")).replace('%', "$"), "$252Fecs$252Fa");
    }
}
