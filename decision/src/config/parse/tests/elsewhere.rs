//! What ECS has under another name than it has here.

use super::*;

#[test]
fn what_run_task_has_is_answered_with_where_it_is_said() {
    let reported = [
        json!({"launch": {"launchType": "MANAGED_INSTANCES"}}),
        json!({"launch": {"capacityProviderStrategy": [{"capacityProvider": "FARGATE"}]}}),
        json!({"launch": {"count": 10, "startedBy": "me", "group": "g", "clientToken": "t",
            "cluster": "c", "taskDefinition": "t", "referenceId": "r", "containerInstances": []}}),
        json!({"capacity": [{"capacityProvider": "a", "weight": 1000, "base": 2},
            {"capacityProvider": "b", "base": 1}]}),
    ];
    insta::assert_snapshot!(reported.map(|case| problems_of_worker(&case)).join("\n"));
}
