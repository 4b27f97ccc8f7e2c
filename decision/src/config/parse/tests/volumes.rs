//! `launch.volumeConfigurations`.

use super::*;

const ROLE: &str = "arn:aws:iam::111122223333:role/volumes";

/// A volume of 100 GiB, with other members.
fn volume(members: &Value) -> Value {
    let mut volume = json!({"roleArn": ROLE, "sizeInGiB": 100});
    for (key, value) in members.as_object().unwrap() {
        match value {
            Value::Null => volume.as_object_mut().unwrap().remove(key),
            value => volume.as_object_mut().unwrap().insert(key.clone(), value.clone()),
        };
    }
    json!({"launch": {"volumeConfigurations": [{"name": "scratch", "managedEBSVolume": volume}]}})
}

#[test]
fn what_ecs_would_refuse_of_a_volume_is_told() {
    let reported = [
        volume(&json!({"roleArn": null, "sizeInGiB": null})),
        volume(&json!({"volumeType": "io2"})),
        volume(&json!({"volumeType": "gp2", "iops": 3000})),
        volume(&json!({"volumeType": "io1", "iops": 3000, "throughput": 500})),
        volume(&json!({"volumeInitializationRate": 100})),
        volume(&json!({"encrypted": false, "kmsKeyId": "alias/a"})),
        volume(&json!({"volumeType": "gp4", "filesystemType": "zfs", "sizeInGib": 1})),
        volume(&json!({"terminationPolicy": {}, "tagSpecifications": [{"tags": [{"key": ""}]}]})),
        json!({"launch": {"volumeConfigurations": [{"name": "scratch"}]}}),
    ];
    insta::assert_snapshot!(reported.map(|case| problems_of_worker(&case)).join("\n"));
}

/// As the documentation of ECS writes it.
#[test]
fn a_volume_is_sent_as_it_is_written() {
    let written = json!({"roleArn": ROLE, "snapshotId": "snap-0123456789abcdef0",
        "volumeInitializationRate": 200, "volumeType": "gp3", "iops": 3000, "throughput": 125,
        "encrypted": true, "kmsKeyId": "alias/jobs", "filesystemType": "xfs", "sizeInGiB": 100,
        "terminationPolicy": {"deleteOnTermination": true},
        "tagSpecifications": [{"resourceType": "volume", "propagateTags": "TASK_DEFINITION",
            "tags": [{"key": "team", "value": "search"}]}]});
    let document = json!({"workers": [worker(&volume(&written))]});
    let config = Config::from_value(&document).unwrap();
    assert_eq!((&config.refused, &config.warnings), (&vec![], &vec![]));
    let volumes = &config.workers[0].launch.volumes;
    assert_eq!(json!(volumes), json!([{"name": "scratch", "managedEBSVolume": written}]));
}

#[test]
fn a_volume_that_stays_behind_is_warned_of() {
    let stays = volume(&json!({"terminationPolicy": {"deleteOnTermination": false}}));
    let config = Config::from_value(&json!({"workers": [worker(&stays)]})).unwrap();
    assert!(config.warnings[0].to_string().contains("leaves a volume behind"));
}
