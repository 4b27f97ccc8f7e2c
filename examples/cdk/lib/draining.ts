import { CfnRule } from 'aws-cdk-lib/aws-events';
import { CfnFunction, CfnPermission } from 'aws-cdk-lib/aws-lambda';
import { CfnQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';

import { makeFunction, Program } from './function';
import { drains } from './policy';
import { EcsQueueScalerProps } from './props';

const NOTICES = [
  {
    id: 'SpotInterruption',
    prop: 'drainOnSpotInterruption',
    of: 'Spot instances that are taken back',
    source: 'aws.ec2',
    detailType: 'EC2 Spot Instance Interruption Warning',
    oldestInSeconds: 120,
  },
  {
    id: 'Rebalance',
    prop: 'drainOnRebalance',
    of: 'Spot instances that had better be left',
    source: 'aws.ec2',
    detailType: 'EC2 Instance Rebalance Recommendation',
    oldestInSeconds: 600,
  },
  {
    id: 'Termination',
    prop: 'drainOnTermination',
    of: 'instances that Auto Scaling terminates',
    source: 'aws.autoscaling',
    detailType: 'EC2 Instance-terminate Lifecycle Action',
    oldestInSeconds: 600,
  },
] as const;

/**
 * The same program for instances that go away. Spot gives two minutes, and a tick may take one: as a
 * function of its own it waits for no tick, and may run several times at once.
 *
 * @returns the rules that wake it, none where nothing is drained
 */
export function makeDraining(scope: Construct, props: EcsQueueScalerProps, program: Program): CfnRule[] {
  if (!drains(props)) {
    return [];
  }
  const drain = makeFunction(scope, 'DrainFunction', props, {
    ...program,
    description: `Drains instances that go away, for ${program.scalerName}`,
    // After one and after two minutes more: an instance that is only registering now, or an outage.
    retries: 2,
    oldestEventInSeconds: 600,
  });
  const wanted = NOTICES.filter(({ prop }) => props[prop]);
  return wanted.map((notice) => makeRule(scope, notice, drain, program));
}

function makeRule(
  scope: Construct,
  notice: (typeof NOTICES)[number],
  drain: CfnFunction,
  { scalerName, failedEvents }: { scalerName: string; failedEvents: CfnQueue },
): CfnRule {
  const rule = new CfnRule(scope, `${notice.id}Rule`, {
    description: `Tells ${scalerName} of ${notice.of}`,
    eventPattern: { source: [notice.source], 'detail-type': [notice.detailType] },
    targets: [
      {
        id: 'Drain',
        arn: drain.attrArn,
        retryPolicy: { maximumEventAgeInSeconds: notice.oldestInSeconds, maximumRetryAttempts: 20 },
        deadLetterConfig: { arn: failedEvents.attrArn },
      },
    ],
  });
  new CfnPermission(scope, `${notice.id}Permission`, {
    action: 'lambda:InvokeFunction',
    functionName: drain.ref,
    principal: 'events.amazonaws.com',
    sourceArn: rule.attrArn,
  });
  return rule;
}
