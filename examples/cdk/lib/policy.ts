import { ArnFormat, Stack } from 'aws-cdk-lib';

import { EcsQueueScalerProps } from './props';

export interface Statement {
  Sid?: string;
  Effect: 'Allow' | 'Deny';
  Principal?: unknown;
  Action: string | string[];
  Resource?: string | string[];
  Condition?: Record<string, Record<string, unknown>>;
}

/** What the policies name of what is made beside them. */
export interface Made {
  readonly logGroupArn: string;
  readonly failedEventsArn: string;
}

/** Each where its condition holds. */
export function only<T>(condition: unknown, ...items: T[]): T[] {
  return condition ? items : [];
}

export function policyDocument(Statement: Statement[]) {
  return { Version: '2012-10-17', Statement };
}

/** A role's trust in a service. */
export function assumedBy(service: string, condition?: Statement['Condition']) {
  const Principal = { Service: service };
  const trust: Statement = { Effect: 'Allow', Action: 'sts:AssumeRole', Principal };
  return policyDocument([condition ? { ...trust, Condition: condition } : trust]);
}

export function drains(props: EcsQueueScalerProps): boolean {
  return !!(props.drainOnSpotInterruption || props.drainOnRebalance || props.drainOnTermination);
}

export function mayUse(kmsKeyArn: string): Statement {
  const Action = ['kms:Decrypt', 'kms:GenerateDataKey'];
  return { Sid: 'UseKey', Effect: 'Allow', Action, Resource: kmsKeyArn };
}

const NETWORK_INTERFACES = [
  'ec2:AssignPrivateIpAddresses',
  'ec2:CreateNetworkInterface',
  'ec2:DeleteNetworkInterface',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSubnets',
  'ec2:UnassignPrivateIpAddresses',
];

/** All that the function may do, a managed policy each: IAM takes 6,144 characters a policy. */
export function policies(stack: Stack, props: EcsQueueScalerProps, made: Made): Record<string, Statement[]> {
  const ecs = (resource: string, resourceName: string) => stack.formatArn({ service: 'ecs', resource, resourceName });
  const clusters = props.clusterArns ?? ['arn:*:ecs:*:*:cluster/*'];
  const inClusters = { ArnLike: { 'ecs:cluster': clusters } };
  const passedTo = (service: string) => ({ StringEquals: { 'iam:PassedToService': service } });
  const derived = ecs('task-definition', '*--x*:*');
  const seesInstances = props.ownScheduler || drains(props);
  const Effect = 'Allow';
  const { passedRoleArns, volumeRoleArns = [], taskDefinitionArns = [] } = props;
  return {
    QueuesPolicy: [
      {
        Sid: 'ReadQueueDepth',
        Effect,
        Action: ['sqs:GetQueueAttributes', 'sqs:GetQueueUrl'],
        Resource: props.queueArns ?? ['*'],
      },
      ...only<Statement>(props.discoverQueues, {
        Sid: 'DiscoverQueues',
        Effect,
        Action: 'tag:GetResources',
        Resource: '*', // the action knows no resources
      }),
    ],
    LaunchesPolicy: [
      {
        Sid: 'LaunchTasks',
        Effect,
        Action: ['ecs:RunTask', ...only(props.ownScheduler, 'ecs:StartTask')],
        // Which tasks is the configuration's choice; what they may do is bounded by PassRoles.
        Resource: taskDefinitionArns.length ? taskDefinitionArns : ecs('task-definition', '*:*'),
        Condition: inClusters,
      },
    ],
    ClustersPolicy: [
      {
        Sid: 'ReadTasks',
        Effect,
        Action: ['ecs:DescribeTasks', 'ecs:ListTasks'],
        Resource: '*', // ListTasks by cluster names no resource; the condition holds for both
        Condition: inClusters,
      },
      {
        Sid: 'TagLaunchedTasks',
        Effect,
        Action: 'ecs:TagResource',
        Resource: ecs('task', '*'),
        Condition: {
          StringEquals: { 'ecs:CreateAction': props.ownScheduler ? ['RunTask', 'StartTask'] : 'RunTask' },
        },
      },
      ...only<Statement>(
        seesInstances,
        { Sid: 'ListInstances', Effect, Action: 'ecs:ListContainerInstances', Resource: clusters },
        {
          Sid: 'ReadInstances',
          Effect,
          Action: 'ecs:DescribeContainerInstances',
          Resource: ecs('container-instance', '*'),
          Condition: inClusters,
        },
      ),
      ...only<Statement>(drains(props), {
        Sid: 'DrainInstances',
        Effect,
        Action: 'ecs:UpdateContainerInstancesState',
        Resource: ecs('container-instance', '*'),
        Condition: inClusters,
      }),
      ...only<Statement>(drains(props) && props.stopTasksOnDrain, {
        Sid: 'StopTasksOfInstancesThatGo',
        Effect,
        Action: 'ecs:StopTask',
        Resource: ecs('task', '*'),
        Condition: inClusters,
      }),
      ...only<Statement>(
        props.drainOnTermination,
        {
          Sid: 'MarkInstances', // for the ticks; the action knows no cluster
          Effect,
          Action: 'ecs:TagResource',
          Resource: ecs('container-instance', '*'),
        },
        {
          Sid: 'AnswerLifecycleHooks',
          Effect,
          Action: ['autoscaling:CompleteLifecycleAction', 'autoscaling:RecordLifecycleActionHeartbeat'],
          Resource: stack.formatArn({
            service: 'autoscaling',
            resource: 'autoScalingGroup',
            resourceName: '*:autoScalingGroupName/*',
            arnFormat: ArnFormat.COLON_RESOURCE_NAME,
          }),
        },
      ),
    ],
    DefinitionsPolicy: [
      {
        Sid: 'ReadTaskDefinitions',
        Effect,
        Action: 'ecs:DescribeTaskDefinition',
        Resource: '*', // the action knows no resources and no conditions
      },
      ...only<Statement>(
        props.registration ?? true,
        { Sid: 'RegisterDerivedTaskDefinitions', Effect, Action: 'ecs:RegisterTaskDefinition', Resource: derived },
        {
          Sid: 'TagRegisteredTaskDefinitions',
          Effect,
          Action: 'ecs:TagResource',
          Resource: derived,
          Condition: { StringEquals: { 'ecs:CreateAction': 'RegisterTaskDefinition' } },
        },
        {
          Sid: 'RetireTaskDefinitions',
          Effect,
          Action: 'ecs:DeregisterTaskDefinition',
          Resource: '*', // the action knows no resources and no conditions
        },
      ),
    ],
    FunctionPolicy: ofTheFunction(stack, props, made),
    ...(passedRoleArns.length && {
      RolesPolicy: [
        {
          Sid: 'PassRoles',
          Effect,
          Action: 'iam:PassRole',
          Resource: passedRoleArns,
          Condition: passedTo('ecs-tasks.amazonaws.com'),
        },
      ],
    }),
    ...(volumeRoleArns.length && {
      VolumeRolesPolicy: [
        {
          Sid: 'PassVolumeRoles',
          Effect,
          Action: 'iam:PassRole',
          Resource: volumeRoleArns,
          Condition: passedTo('ecs.amazonaws.com'), // ECS itself takes such a role, not a task
        },
      ],
    }),
  };
}

/** Its configuration, and what Lambda does in its name. */
function ofTheFunction(stack: Stack, props: EcsQueueScalerProps, made: Made): Statement[] {
  const Effect = 'Allow';
  const { configArn = '' } = props;
  const anyFunction = stack.formatArn({
    service: 'lambda',
    region: '*',
    resource: 'function',
    resourceName: '*',
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
  return [
    ...only<Statement>(configArn, {
      Sid: 'ReadConfig', // each action fits one of the two kinds of ARN
      Effect,
      Action: ['s3:GetObject', 'ssm:GetParameter'],
      Resource: configArn,
    }),
    {
      Sid: 'WriteTheLog',
      Effect,
      Action: ['logs:CreateLogStream', 'logs:PutLogEvents'],
      Resource: made.logGroupArn,
    },
    { Sid: 'KeepFailedEvents', Effect, Action: 'sqs:SendMessage', Resource: made.failedEventsArn },
    ...(props.kmsKey ? [mayUse(props.kmsKey.keyArn)] : []),
    ...only<Statement>(props.tracing === 'Active', {
      Sid: 'SendTraces',
      Effect,
      Action: ['xray:PutTelemetryRecords', 'xray:PutTraceSegments'],
      Resource: '*', // neither action knows resources
    }),
    ...only<Statement>(
      props.inVpc,
      {
        Sid: 'JoinTheVpc',
        Effect,
        Action: NETWORK_INTERFACES,
        Resource: '*', // Lambda asks for all of it before a function may join
      },
      {
        Sid: 'LeaveTheVpcToLambda',
        Effect: 'Deny',
        Action: NETWORK_INTERFACES,
        Resource: '*',
        // What the function itself calls has this key, what Lambda calls has not.
        Condition: { ArnLike: { 'lambda:SourceFunctionArn': anyFunction } },
      },
    ),
  ];
}
