//! The same numbers in the text format of Prometheus.
//! Source: Prometheus, "Exposition formats", text-based format 0.0.4.

use crate::cli::status::{Row, StatusView};

/// What a number is called, what it is, and where it stands in a row. What was not read has none.
struct Metric {
    name: &'static str,
    help: &'static str,
    value: fn(&Row) -> Option<u64>,
}

const fn metric(name: &'static str, help: &'static str, value: fn(&Row) -> Option<u64>) -> Metric {
    Metric { name, help, value }
}

const METRICS: [Metric; 11] = [
    metric("messages_waiting", "Messages that wait.", |row| row.waiting),
    metric("messages_in_flight", "Messages that were received and not deleted yet.", |row| {
        row.in_flight
    }),
    metric("oldest_message_age_seconds", "How long the oldest message has waited.", |row| {
        row.oldest_seconds
    }),
    metric("containers_running", "Worker containers that run.", |row| row.running),
    metric("containers_starting", "Worker containers that are on their way.", |row| row.starting),
    metric("containers_max", "Worker containers that there may be: maxContainers.", |row| row.cap),
    metric("containers_target", "Worker containers that its rule asks for.", |row| row.target),
    metric("empty_in_seconds", "When its queue will be empty, by how fast messages went.", |row| {
        row.empty_in_seconds
    }),
    metric("tasks", "Tasks that ECS does not want stopped.", |row| row.tasks),
    metric("tasks_failed", "Tasks that ended badly within the last hour.", |row| row.failed),
    metric(
        "cost_microdollars_per_hour",
        "What an hour of its tasks costs on Fargate On-Demand.",
        |row| row.hourly_micro_dollars,
    ),
];

/// All workers.
pub(super) fn text(view: &StatusView) -> String {
    let metrics = METRICS.iter().map(|Metric { name, help, value }| {
        let lines = view.workers.iter().filter_map(|row| Some((&row.worker, value(row)?)));
        let lines = lines.map(|(worker, value)| {
            format!("ecs_queue_scaler_{name}{{worker=\"{}\"}} {value}\n", escaped(worker))
        });
        family(name, help, lines)
    });
    let states = view.workers.iter().map(|row| {
        let (worker, state) = (escaped(&row.worker), row.urgency.words());
        format!("ecs_queue_scaler_state{{worker=\"{worker}\",state=\"{state}\"}} 1\n")
    });
    let states = family("state", "How a worker is: one for the state that it has.", states);
    metrics.chain([states]).collect()
}

fn family(name: &str, help: &str, lines: impl Iterator<Item = String>) -> String {
    let head =
        format!("# HELP ecs_queue_scaler_{name} {help}\n# TYPE ecs_queue_scaler_{name} gauge\n");
    std::iter::once(head).chain(lines).collect()
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
