import { Aws, Stack } from 'aws-cdk-lib';
import { CfnDashboard } from 'aws-cdk-lib/aws-cloudwatch';
import { CfnPullThroughCacheRule } from 'aws-cdk-lib/aws-ecr';
import { CfnRule } from 'aws-cdk-lib/aws-events';
import { CfnManagedPolicy, CfnRole } from 'aws-cdk-lib/aws-iam';
import { CfnFunction } from 'aws-cdk-lib/aws-lambda';
import { CfnLogGroup } from 'aws-cdk-lib/aws-logs';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import { CfnSchedule } from 'aws-cdk-lib/aws-scheduler';
import { CfnQueue, CfnQueuePolicy } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';

import { makeAlarms } from './alarms';
import { dashboardBody } from './dashboard';
import { makeDraining } from './draining';
import { makeFunction } from './function';
import { mistakes } from './limits';
import { assumedBy, Made, mayUse, only, policies, policyDocument, Statement } from './policy';
import { EcsQueueScalerProps } from './props';

/**
 * What `template.yaml` makes, under the same names: the function with its schedule, role, log, queue of
 * failed events, alarms and dashboard. L1 constructs, as they add nothing of their own.
 */
export class EcsQueueScaler extends Construct {
  /** The startedBy of its tasks. */
  readonly scalerName: string;
  readonly scalerFunction: CfnFunction;
  readonly logs: CfnLogGroup;
  readonly failedEvents: CfnQueue;

  constructor(scope: Construct, id: string, props: EcsQueueScalerProps) {
    super(scope, id);
    const found = mistakes(props);
    if (found.length) {
      throw new Error(`${this.node.path}:\n${found.join('\n')}`);
    }
    this.scalerName = nameOf(this, props);
    this.logs = new CfnLogGroup(this, 'ScalerLogs', {
      logGroupName: `/ecs-queue-scaler/${Stack.of(this).stackName}`,
      retentionInDays: props.logRetentionDays ?? 30,
      ...(props.kmsKey && { kmsKeyId: props.kmsKey.keyArn }),
    });
    // Events that failed, and events that could not be handed over. Nothing is lost with them: the next
    // tick looks at the queues afresh.
    this.failedEvents = new CfnQueue(this, 'FailedEvents', {
      messageRetentionPeriod: 1209600, // 14 days, the longest that SQS knows
      ...(props.kmsKey ? { kmsMasterKeyId: props.kmsKey.keyArn } : { sqsManagedSseEnabled: true }),
    });
    const program = {
      scalerName: this.scalerName,
      code: new Asset(this, 'Code', { path: props.code }),
      roleArn: makeRole(this, props, {
        logGroupArn: this.logs.attrArn,
        failedEventsArn: this.failedEvents.attrArn,
      }),
      log: this.logs,
      failedEvents: this.failedEvents,
    };
    const reserves = props.reserveConcurrency ?? true;
    this.scalerFunction = makeFunction(this, 'ScalerFunction', props, {
      ...program,
      description: `One tick of ${this.scalerName}`,
      // Ticks do not overlap: two that saw the same queue would both start tasks for it.
      ...(reserves && { reserved: 1 }),
      variables: { SCALER_RESERVED: reserves ? 'yes' : 'no' },
      // The next tick repairs what this one left; a late repetition would act on stale facts.
      retries: 0,
      oldestEventInSeconds: 60,
    });
    const schedule = makeSchedule(this, props);
    const rules = makeDraining(this, props, program);
    makeQueuePolicy(this, rules);
    if (props.watcherCachePrefix) {
      new CfnPullThroughCacheRule(this, 'WatcherCache', {
        ecrRepositoryPrefix: props.watcherCachePrefix,
        upstreamRegistryUrl: 'public.ecr.aws',
      });
    }
    const watched = {
      scalerName: this.scalerName,
      functionName: this.scalerFunction.ref,
      logGroupName: this.logs.ref,
    };
    makeAlarms(this, props, {
      ...watched,
      failedEventsName: this.failedEvents.attrQueueName,
      ...(schedule.state === 'ENABLED' && { schedule }),
    });
    const body = Stack.of(this).toJsonString(dashboardBody(watched));
    new CfnDashboard(this, 'Dashboard', { dashboardBody: body });
  }
}

function nameOf(scope: Construct, props: EcsQueueScalerProps): string {
  const name = props.scalerName || Stack.of(scope).stackName;
  if (36 < name.length) {
    throw new Error(`${scope.node.path}: "${name}" is too long as a name (36 characters): set scalerName`);
  }
  return name;
}

/** The function's role, and its policies. @returns its ARN */
function makeRole(scope: Construct, props: EcsQueueScalerProps, made: Made): string {
  const path = props.iamPath ?? '/';
  const needed = Object.entries(policies(Stack.of(scope), props, made));
  const managed = needed.map(
    ([id, statements]) =>
      new CfnManagedPolicy(scope, id, { path, policyDocument: policyDocument(statements) }),
  );
  const role = new CfnRole(scope, 'ScalerRole', {
    description: `What ${nameOf(scope, props)} may do`,
    path,
    assumeRolePolicyDocument: assumedBy('lambda.amazonaws.com'),
    managedPolicyArns: managed.map((policy) => policy.ref),
  });
  return role.attrArn;
}

function makeSchedule(scope: EcsQueueScaler, props: EcsQueueScalerProps): CfnSchedule {
  const { scalerName, scalerFunction, failedEvents } = scope;
  const wake: Statement[] = [
    {
      Sid: 'WakeTheFunction',
      Effect: 'Allow',
      Action: 'lambda:InvokeFunction',
      Resource: scalerFunction.attrArn,
    },
    {
      Sid: 'KeepWhatCouldNotBeHandedOver',
      Effect: 'Allow',
      Action: 'sqs:SendMessage',
      Resource: failedEvents.attrArn,
    },
    ...(props.kmsKey ? [mayUse(props.kmsKey.keyArn)] : []),
  ];
  const role = new CfnRole(scope, 'ScheduleRole', {
    description: `Wakes ${scalerName}`,
    path: props.iamPath ?? '/',
    assumeRolePolicyDocument: assumedBy('scheduler.amazonaws.com', {
      StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID },
    }),
    policies: [{ policyName: 'wake', policyDocument: policyDocument(wake) }],
  });
  return new CfnSchedule(scope, 'ScalerFunctionTick', {
    description: `Wakes ${scalerName}`,
    scheduleExpression: props.scheduleExpression ?? 'rate(1 minute)',
    flexibleTimeWindow: { mode: 'OFF' },
    state: props.scheduleState ?? 'ENABLED',
    target: {
      arn: scalerFunction.attrArn,
      roleArn: role.attrArn,
      // The instant that names the tick: a second delivery of the event repeats it.
      input: '{"scheduledTime": "<aws.scheduler.scheduled-time>"}',
      // Handing the event over; not later than Lambda would still take it.
      retryPolicy: { maximumEventAgeInSeconds: 60, maximumRetryAttempts: 2 },
      deadLetterConfig: { arn: failedEvents.attrArn },
    },
  });
}

function makeQueuePolicy(scope: EcsQueueScaler, rules: CfnRule[]): void {
  const Resource = scope.failedEvents.attrArn;
  new CfnQueuePolicy(scope, 'FailedEventsPolicy', {
    queues: [scope.failedEvents.ref],
    policyDocument: policyDocument([
      {
        Sid: 'EncryptedConnectionsOnly',
        Effect: 'Deny',
        Principal: '*',
        Action: 'sqs:*',
        Resource,
        Condition: { Bool: { 'aws:SecureTransport': 'false' } },
      },
      ...only<Statement>(rules.length, {
        Sid: 'RulesKeepWhatTheyCouldNotHandOver',
        Effect: 'Allow',
        Principal: { Service: 'events.amazonaws.com' },
        Action: 'sqs:SendMessage',
        Resource,
        Condition: { ArnEquals: { 'aws:SourceArn': rules.map((rule) => rule.attrArn) } },
      }),
    ]),
  });
}
