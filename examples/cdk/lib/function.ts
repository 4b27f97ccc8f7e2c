import { CfnEventInvokeConfig, CfnFunction } from 'aws-cdk-lib/aws-lambda';
import { CfnLogGroup } from 'aws-cdk-lib/aws-logs';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import { CfnQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';

import { RANGES } from './limits';
import { EcsQueueScalerProps } from './props';

/** What both functions have in common: they are one program. */
export interface Program {
  readonly scalerName: string;
  readonly code: Asset;
  readonly roleArn: string;
  readonly log: CfnLogGroup;
  readonly failedEvents: CfnQueue;
}

/** In what the two functions differ. */
export interface Invocations {
  readonly description: string;
  /** None is reserved where it is left out. */
  readonly reserved?: number;
  /** Beside those of both. */
  readonly variables?: Record<string, string>;
  readonly retries: number;
  readonly oldestEventInSeconds: number;
}

export function makeFunction(
  scope: Construct,
  id: string,
  props: EcsQueueScalerProps,
  { scalerName, code, roleArn, log, failedEvents, ...invocations }: Program & Invocations,
): CfnFunction {
  const { inVpc } = props;
  const made = new CfnFunction(scope, id, {
    description: invocations.description,
    code: { s3Bucket: code.s3BucketName, s3Key: code.s3ObjectKey },
    runtime: 'provided.al2023',
    handler: 'bootstrap',
    architectures: [props.architecture?.name ?? 'arm64'],
    role: roleArn,
    ...(inVpc && {
      vpcConfig: {
        subnetIds: inVpc.vpc.selectSubnets(inVpc.vpcSubnets).subnetIds,
        securityGroupIds: inVpc.securityGroups.map((group) => group.securityGroupId),
      },
    }),
    memorySize: props.memorySize ?? 256,
    timeout: props.timeout?.toSeconds() ?? RANGES.timeout[1],
    tracingConfig: { mode: props.tracing ?? 'PassThrough' },
    ...(invocations.reserved && { reservedConcurrentExecutions: invocations.reserved }),
    loggingConfig: { logFormat: 'JSON', logGroup: log.ref },
    environment: {
      variables: {
        SCALER_NAME: scalerName,
        SCALER_CONFIG: props.scalerConfig ?? 'file:workers.yaml',
        ...invocations.variables,
      },
    },
  });
  new CfnEventInvokeConfig(scope, `${id}EventInvokeConfig`, {
    functionName: made.ref,
    qualifier: '$LATEST',
    maximumRetryAttempts: invocations.retries,
    maximumEventAgeInSeconds: invocations.oldestEventInSeconds,
    destinationConfig: { onFailure: { destination: failedEvents.attrArn } },
  });
  return made;
}
