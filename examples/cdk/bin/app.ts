import { App, CfnOutput, Stack } from 'aws-cdk-lib';
import { StringParameter } from 'aws-cdk-lib/aws-ssm';
import { readFileSync } from 'node:fs';

import { EcsQueueScaler } from '../lib/ecs-queue-scaler';

const app = new App();
const stack = new Stack(app, 'ecs-queue-scaler');

// A change of workers.yaml is a new value, and the function stays as it is.
const workers = new StringParameter(stack, 'Workers', {
  parameterName: '/ecs-queue-scaler/workers',
  stringValue: readFileSync('workers.yaml', 'utf8'),
});
const scaler = new EcsQueueScaler(stack, 'Scaler', {
  code: app.node.tryGetContext('code') ?? 'ecs-queue-scaler-arm64.zip',
  scalerConfig: `ssm:${workers.parameterName}`,
  configArn: workers.parameterArn,
  queueArns: [stack.formatArn({ service: 'sqs', resource: 'thumbnail-jobs' })],
  clusterArns: [stack.formatArn({ service: 'ecs', resource: 'cluster', resourceName: 'jobs' })],
  passedRoleArns: [
    stack.formatArn({ service: 'iam', region: '', resource: 'role', resourceName: 'thumbnail-execution' }),
    stack.formatArn({ service: 'iam', region: '', resource: 'role', resourceName: 'thumbnail-task' }),
  ],
});

new CfnOutput(stack, 'ScalerFunction', { value: scaler.scalerFunction.attrArn });
new CfnOutput(stack, 'ScalerName', { value: scaler.scalerName });
new CfnOutput(stack, 'FailedEvents', { value: scaler.failedEvents.ref });
new CfnOutput(stack, 'Logs', { value: scaler.logs.ref });
