/**
 * Usage: node stacks.js CODE CASES. A stack for each set of the template's parameters in CASES, a file of
 * JSON: what a user of the construct would write to mean the same.
 */

import { App, Duration, Stack } from 'aws-cdk-lib';
import { SecurityGroup, Vpc } from 'aws-cdk-lib/aws-ec2';
import { ManagedPolicy, PermissionsBoundary } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Architecture, Tracing } from 'aws-cdk-lib/aws-lambda';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { readFileSync } from 'node:fs';

import { EcsQueueScaler } from '../lib/ecs-queue-scaler';
import { PATTERNS, RANGES } from '../lib/limits';
import { EcsQueueScalerProps, InVpc } from '../lib/props';

type Parameters = Record<string, string>;

const camelCase = (name: string) => name.charAt(0).toLowerCase() + name.slice(1);
const list = (text: string) => (text && text !== 'none' ? text.split(',') : []);
const isYes = (text: string) => text === 'yes' || text === 'on';

function inVpc(stack: Stack, subnetIds: string[], all: Parameters): InVpc {
  const vpc = Vpc.fromVpcAttributes(stack, 'Vpc', {
    vpcId: 'vpc-12345678',
    availabilityZones: subnetIds.map((_, index) => `zone-${index}`),
    privateSubnetIds: subnetIds,
  });
  const groups = list(all.VpcSecurityGroupIds ?? '');
  return { vpc, securityGroups: groups.map((id) => SecurityGroup.fromSecurityGroupId(stack, id, id)) };
}

/** How to say it where it is not the same text under the same name. */
const OTHERWISE: Record<string, (value: string, stack: Stack, all: Parameters) => object> = {
  QueueArns: (value) => ({ queueArns: list(value) }),
  ClusterArns: (value) => ({ clusterArns: list(value) }),
  PassedRoleArns: (value) => ({ passedRoleArns: list(value) }),
  VolumeRoleArns: (value) => ({ volumeRoleArns: list(value) }),
  TaskDefinitionArns: (value) => ({ taskDefinitionArns: list(value) }),
  DiscoverQueues: (value) => ({ discoverQueues: isYes(value) }),
  Registration: (value) => ({ registration: isYes(value) }),
  OwnScheduler: (value) => ({ ownScheduler: isYes(value) }),
  DrainOnSpotInterruption: (value) => ({ drainOnSpotInterruption: isYes(value) }),
  DrainOnRebalance: (value) => ({ drainOnRebalance: isYes(value) }),
  DrainOnTermination: (value) => ({ drainOnTermination: isYes(value) }),
  StopTasksOnDrain: (value) => ({ stopTasksOnDrain: isYes(value) }),
  ReserveConcurrency: (value) => ({ reserveConcurrency: isYes(value) }),
  MemorySize: (value) => ({ memorySize: Number(value) }),
  NoTickMinutes: (value) => ({ noTickMinutes: Number(value) }),
  LogRetentionDays: (value) => ({ logRetentionDays: Number(value) }),
  Timeout: (value) => ({ timeout: Duration.seconds(Number(value)) }),
  Architecture: (value) => ({
    architecture: value === 'arm64' ? Architecture.ARM_64 : Architecture.X86_64,
  }),
  Tracing: (value) => ({ tracing: value === 'Active' ? Tracing.ACTIVE : Tracing.PASS_THROUGH }),
  AlarmTopicArn: (value, stack) => ({ alarmTopic: Topic.fromTopicArn(stack, 'Topic', value) }),
  KmsKeyArn: (value, stack) => (value ? { kmsKey: Key.fromKeyArn(stack, 'Key', value) } : {}),
  PermissionsBoundary: (value, stack) => {
    PermissionsBoundary.of(stack).apply(ManagedPolicy.fromManagedPolicyArn(stack, 'Boundary', value));
    return {};
  },
  VpcSubnetIds: (value, stack, all) => (value ? { inVpc: inVpc(stack, list(value), all) } : {}),
  VpcSecurityGroupIds: () => ({}), // with VpcSubnetIds
};

function propsOf(stack: Stack, code: string, parameters: Parameters): EcsQueueScalerProps {
  const said = Object.entries(parameters).map(
    ([name, value]) => OTHERWISE[name]?.(value, stack, parameters) ?? { [camelCase(name)]: value },
  );
  return Object.assign({ code, passedRoleArns: [] }, ...said);
}

const [, , code = '', cases = ''] = process.argv;
const app = new App({ context: { 'aws:cdk:enable-path-metadata': true } });
const refused: Record<string, string> = {};
for (const [name, parameters] of Object.entries<Parameters>(JSON.parse(readFileSync(cases, 'utf8')))) {
  const stack = new Stack(app, name, { stackName: 'scaler' });
  try {
    new EcsQueueScaler(stack, 'Scaler', propsOf(stack, code, parameters));
  } catch (error) {
    refused[name] = String(error);
  }
}
app.synth();
console.log(JSON.stringify({ refused, patterns: PATTERNS, ranges: RANGES }));
