use super::*;
use crate::units::WorkerName;

fn worker() -> Worker {
    let document = serde_json::json!({"cluster": "jobs", "workers": [{
        "name": "thumbnail", "queue": "q", "taskDefinition": "t",
        "scaling": {"messagesPerContainer": 1}}]});
    Config::from_value(&document).unwrap().workers.remove(0)
}

#[test]
fn a_panic_holds_its_worker_and_nobody_else() {
    let plan = apart(&worker(), || panic!("a fault of ours"));
    assert_eq!(plan.worker, WorkerName::from("thumbnail"));
    assert_eq!(plan.action, Action::Hold(ReadError::Panic));
    let plan = apart(&worker(), || WorkerPlan::new(&WorkerName::from("thumbnail")));
    assert_eq!(plan.action, Action::NONE);
}
