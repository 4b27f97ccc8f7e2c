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

/// KEDA documentation, "`ScaledJob` specification": every field that there is, with two queues.
const EVERY_FIELD: &str = r#"
apiVersion: keda.sh/v1alpha1
kind: ScaledJob
metadata:
  name: transcode
  labels: {team: video}
  annotations: {autoscaling.keda.sh/paused: true, note: nightly}
spec:
  jobTargetRef:
    parallelism: 2
    completions: 3
    activeDeadlineSeconds: 900
    backoffLimit: 2
    template: {spec: {containers: [{name: transcoder, image: "registry.example/transcoder:7"}]}}
  pollingInterval: 20
  successfulJobsHistoryLimit: 4
  failedJobsHistoryLimit: 6
  envSourceContainerName: transcoder
  minReplicaCount: 2
  maxReplicaCount: 40
  rolloutStrategy: gradual
  rollout: {strategy: gradual, propagationPolicy: foreground}
  scalingStrategy:
    strategy: custom
    customScalingQueueLengthDeduction: 2
    customScalingRunningJobPercentage: "0.25"
    pendingPodConditions: [Ready, PodScheduled]
    multipleScalersCalculation: max
  triggers:
    - type: aws-sqs-queue
      metadata: {queueURL: urgent, queueURLFromEnv: URGENT, queueLength: "1", awsRegion: eu-central-1}
    - type: aws-sqs-queue
      metadata: {queueURL: usual, queueLength: "10", awsRegion: eu-central-1, awsEndpoint: "http://localstack:4566"}
"#;

/// KEDA documentation, "Scaling Jobs", its example, and the same with a queue of SQS; and one of each strategy of the
/// specification.
const STRATEGIES: &str = r#"
apiVersion: keda.sh/v1alpha1
kind: ScaledJob
metadata: {name: mail, namespace: default}
spec:
  jobTargetRef:
    template:
      spec:
        containers:
          - name: mailer
            image: mailer:3
            imagePullPolicy: Always
            command: [receive, "amqp://user:hush-3@rabbitmq.default:5672"]
            envFrom: [{secretRef: {name: mail-secrets}}]
        restartPolicy: Never
    backoffLimit: 4
  pollingInterval: 10
  maxReplicaCount: 30
  triggers: [{type: rabbitmq, metadata: {queueName: mails, host: RabbitMqHost, queueLength: "5"}}]
---
kind: ScaledJob
metadata: {name: accurate}
spec:
  scalingStrategy: {strategy: accurate, customPendingPodConditions: [Ready]}
  triggers: [{type: aws-sqs-queue, metadata: {queueURL: first, awsRegion: eu-central-1}}]
---
kind: ScaledJob
metadata: {name: eager}
spec:
  scalingStrategy: {strategy: eager}
  rollout: {strategy: default}
  triggers: [{type: aws-sqs-queue, metadata: {queueURL: second, awsRegion: eu-central-1, identityOwner: operator}}]
---
kind: ScaledJob
metadata: {name: usual}
spec:
  scalingStrategy: {strategy: default}
  minReplicaCount: 9
  maxReplicaCount: 3
  triggers: [{type: aws-sqs-queue, metadata: {queueURL: third, awsRegion: eu-central-1}}]
"#;

/// KEDA documentation, "AWS SQS Queue": each way to authenticate, and `ApproximateNumberOfMessages` alone.
const AUTHENTICATION: &str = "
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata: {name: by-pod}
spec: {podIdentity: {provider: aws}}
---
apiVersion: v1
kind: Secret
metadata: {name: of-queues}
data: {AWS_ROLE_ARN: hush-4, AWS_ACCESS_KEY_ID: hush-5, AWS_SECRET_ACCESS_KEY: hush-6, AWS_SESSION_TOKEN: hush-7}
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata: {name: by-role}
spec: {secretTargetRef: [{parameter: awsRoleArn, name: of-queues, key: AWS_ROLE_ARN}]}
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata: {name: by-user}
spec: {secretTargetRef: [{parameter: awsAccessKeyID, name: of-queues, key: AWS_ACCESS_KEY_ID}]}
---
kind: ScaledJob
metadata: {name: pod}
spec:
  triggers:
    - {type: aws-sqs-queue, authenticationRef: {name: by-pod}, metadata: {queueURL: one, awsRegion: eu-west-1}}
---
kind: ScaledJob
metadata: {name: role}
spec:
  triggers:
    - {type: aws-sqs-queue, authenticationRef: {name: by-role}, metadata: {queueURL: two, awsRegion: eu-west-1}}
---
kind: ScaledJob
metadata: {name: user}
spec:
  triggers:
    - type: aws-sqs-queue
      authenticationRef: {name: by-user}
      metadata: {queueURL: three, awsRegion: eu-west-1, scaleOnInFlight: false}
";

/// What each becomes, which a tick goes by where the network is told.
fn becomes(name: &str, manifests: &str, workers: usize) {
    let imported = keda(&[("f.yaml".to_owned(), manifests.to_owned())]).unwrap();
    let elsewhere = imported.text.replace("launchType: FARGATE", "launchType: EXTERNAL");
    let config = Config::of(&document("workers.yaml", &elsewhere).unwrap()).unwrap();
    assert_eq!((config.refused, config.workers.len()), (Vec::new(), workers));
    assert_eq!(imported.workers, workers);
    let said = format!("{}\n\n{}", imported.text.trim_end(), imported.notes.join("\n"));
    assert!(!said.contains("hush"), "{said}");
    insta::assert_snapshot!(name, said);
}

#[test]
fn every_field_of_a_scaled_job_has_its_counterpart_or_its_comment() {
    becomes("every_field", EVERY_FIELD, 2);
    let fields = [
        "parallelism: 2",
        "completions: 3",
        "rollout",
        "multipleScalersCalculation",
        "awsEndpoint",
    ];
    let imported = keda(&[("f.yaml".to_owned(), EVERY_FIELD.to_owned())]).unwrap();
    for field in fields {
        assert!(imported.text.contains(field), "{field}: {}", imported.text);
    }
}

#[test]
fn each_strategy_becomes_the_one_that_there_is() {
    becomes("strategies", STRATEGIES, 3);
    let of_sqs = STRATEGIES.replacen("type: rabbitmq", "type: aws-sqs-queue", 1).replacen(
        "queueName: mails, host: RabbitMqHost",
        "queueURL: mails",
        1,
    );
    let imported = keda(&[("f.yaml".to_owned(), of_sqs)]).unwrap();
    let expected =
        "  - name: mail\n    queue: mails\n    taskDefinition: mail     # with image mailer:3\n";
    assert!(imported.workers == 4 && imported.text.contains(expected), "{}", imported.text);
    assert!(!imported.text.contains("hush"), "{}", imported.text);
}

#[test]
fn however_a_trigger_authenticates_a_worker_reads_by_the_role_of_the_scaler() {
    becomes("authentication", AUTHENTICATION, 3);
}

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
fn no_text_of_a_manifest_ends_its_comment() {
    let trigger = "{type: aws-sqs-queue, metadata: {queueURL: q, awsRegion: \"a\\npaused: true\"}}";
    let image = "{containers: [{name: c, image: \"i\\n  - name: other\"}]}";
    let text = format!(
        "kind: ScaledJob\nmetadata: {{name: a}}\n\
         spec: {{jobTargetRef: {{template: {{spec: {image}}}}}, triggers: [{trigger}]}}\n"
    );
    let imported = keda(&[("f".to_owned(), text)]).unwrap().text;
    let comments = ["# with image i   - name: other\n", "# awsRegion: a paused: true: "];
    assert!(comments.iter().all(|comment| imported.contains(comment)), "{imported}");
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
