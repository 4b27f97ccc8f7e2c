//! `queue-scaler import keda`: the examples of KEDA's own documentation, by hand.

use decision::config::{Config, document};
use ecs_queue_scaler::cli::import::keda;

use super::seen;

/// KEDA documentation, "Scaling Jobs", "`ScaledJob` spec", with the trigger of "AWS SQS Queue".
const SCALED_JOB: &str = r#"
apiVersion: keda.sh/v1alpha1
kind: ScaledJob
metadata:
  name: encode
spec:
  jobTargetRef:
    parallelism: 1
    completions: 1
    activeDeadlineSeconds: 600
    backoffLimit: 6
    template:
      spec:
        containers:
          - name: encoder
            image: registry.example/encoder:1
            env: [{name: KEY, value: hush-1}]
          - {name: sidecar, image: x}
  pollingInterval: 30
  minReplicaCount: 10
  maxReplicaCount: 100
  scalingStrategy:
    strategy: "custom"
    customScalingQueueLengthDeduction: 1
  triggers:
    - type: aws-sqs-queue
      authenticationRef: {name: keda-trigger-auth-aws-credentials}
      metadata:
        queueURL: https://sqs.eu-west-1.amazonaws.com/123456789012/encode-jobs
        queueLength: "5"
        awsRegion: "eu-west-1"
        scaleOnInFlight: "false"
        scaleOnDelayed: "true"
"#;

/// KEDA documentation, "AWS SQS Queue", its example.
const SCALED_OBJECT: &str = "
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: aws-sqs-queue-scaledobject, namespace: keda-test}
spec:
  scaleTargetRef: {name: nginx-deployment}
  minReplicaCount: 0
  maxReplicaCount: 2
  cooldownPeriod: 300
  triggers:
    - type: aws-sqs-queue
      metadata: {queueURL: myQueue, awsRegion: eu-west-1, activationQueueLength: '3'}
    - type: cron
      metadata: {timezone: Asia/Kolkata}
---
apiVersion: v1
kind: Secret
metadata: {name: test-secrets}
data: {AWS_SECRET_ACCESS_KEY: hush-2}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledJob
metadata: {name: from-env}
spec:
  triggers: [{type: aws-sqs-queue, metadata: {queueURLFromEnv: QUEUE_URL}}]
---
apiVersion: keda.sh/v1alpha1
kind: ScaledJob
metadata: {name: rabbit}
spec: {triggers: [{type: rabbitmq}]}
";

#[test]
fn manifests_become_workers_with_what_means_something_else() {
    let files = [("job.yaml", SCALED_JOB), ("object.yaml", SCALED_OBJECT)];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned()));
    let imported = keda(&files).unwrap();
    insta::assert_snapshot!("workers", imported.text);
    insta::assert_snapshot!("notes", imported.notes.join("\n"));
    let config = Config::of(&document("workers.yaml", &imported.text).unwrap()).unwrap();
    // The network is nobody's to know.
    let refused = config.refused.iter().flat_map(|refused| &refused.problems);
    let paths: Vec<_> = refused.map(|problem| problem.path.as_str()).collect();
    assert_eq!((paths, imported.workers), (vec!["launch"; 3], 3));
    assert!(!imported.text.contains("hush"), "{}", imported.text);
}

/// What stands still there stands still here, and no bound is lost.
#[test]
fn what_is_paused_or_odd_stays_so() {
    let trigger =
        "triggers: [{type: aws-sqs-queue, metadata: {queueURL: q, awsRegion: eu-west-1}}]";
    let other = trigger.replace("queueURL: q", "queueURL: other");
    let text = format!(
        "kind: ScaledJob\nmetadata: {{name: team.enc, annotations: {{autoscaling.keda.sh/paused: \"true\"}}}}\n\
         spec: {{jobTargetRef: {{backoffLimit: 1, activeDeadlineSeconds: 1, parallelism: 1}}, {trigger}}}\n---\n\
         kind: ScaledJob\nmetadata: {{name: none}}\nspec: {{minReplicaCount: 3, maxReplicaCount: 0, {other}}}\n"
    );
    let imported = keda(&[("f".to_owned(), text)]).unwrap().text;
    let networks = imported.replace("launchType: FARGATE", "launchType: EXTERNAL");
    let config = Config::of(&document("workers.yaml", &networks).unwrap()).unwrap();
    assert_eq!(config.refused, [], "{imported}");
    let found = config.workers.iter().map(|worker| {
        let scaling = &worker.scaling;
        let bounds = (scaling.min_containers.always.0, scaling.max_containers.0);
        (worker.name.as_str(), worker.paused.is_some(), bounds)
    });
    let expected = [("team-enc", true, (0, 100)), ("none", true, (3, 100))];
    assert_eq!(found.collect::<Vec<_>>(), expected);
    for said in ["backoffLimit: 1", "activeDeadlineSeconds: 1", "awsRegion: eu-west-1"] {
        assert!(imported.contains(said), "{said}: {imported}");
    }
    assert!(!imported.contains("parallelism"), "{imported}");
}

#[test]
fn what_is_no_manifest_is_said() {
    let (code, out, err) = seen(&["import", "keda", "-"], "a: [");
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with("-: it is no YAML: "), "{err}");
    let (code, out, err) =
        seen(&["import", "keda", "-"], "kind: Deployment\nmetadata: {name: x}\n");
    assert_eq!((code, err.as_str()), (1, "-: Deployment was left out\n"), "{out}");
    assert_eq!(seen(&["import", "keda", "no-such.yaml"], "").0, 2);
    assert_eq!(seen(&["import", "keda"], "").0, 2);
    let twice = format!("{SCALED_JOB}---{SCALED_JOB}");
    let (code, _, err) = seen(&["import", "keda", "-"], &twice);
    assert_eq!((code, err.as_str()), (0, "-: there is a second encode, which was left out\n"));
}
