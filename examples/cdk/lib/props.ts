import { Duration } from 'aws-cdk-lib';
import { ISecurityGroup, IVpc, SubnetSelection } from 'aws-cdk-lib/aws-ec2';
import { IKey } from 'aws-cdk-lib/aws-kms';
import { Architecture, Tracing } from 'aws-cdk-lib/aws-lambda';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { ITopic } from 'aws-cdk-lib/aws-sns';

/** Where the function stands if it has to be in a VPC; the subnets need NAT or endpoints. */
export interface InVpc {
  readonly vpc: IVpc;
  /** @default the private subnets */
  readonly vpcSubnets?: SubnetSelection;
  /** One to five; outgoing HTTPS is all that the function needs. */
  readonly securityGroups: ISecurityGroup[];
}

/** Named as the parameters of `template.yaml`, where they mean the same. */
export interface EcsQueueScalerProps {
  /** The function's zip: a release's, or what `make package` makes. */
  readonly code: string;

  /**
   * ARNs of the task roles and execution roles of your task definitions, and of those in
   * `launch.overrides`, with wildcards below a path. Empty where no definition has a role.
   */
  readonly passedRoleArns: string[];

  /**
   * Marks the tasks that this scaler starts: no two in one account and Region may share it.
   * @default the stack's name, of at most 36 characters
   */
  readonly scalerName?: string;
  /**
   * Where the workers are described: `file:` is a file of the zip, `ssm:/name` a parameter,
   * `s3://bucket/key` an object.
   * @default 'file:workers.yaml'
   */
  readonly scalerConfig?: string;
  /** ARN of the parameter or object that `scalerConfig` names, so that it may be read. */
  readonly configArn?: string;
  /** Whether the configuration finds workers by tags (`discover`). @default false */
  readonly discoverQueues?: boolean;
  /** Queues whose depth may be read, with wildcards. @default ['*'] */
  readonly queueArns?: string[];
  /** Clusters in which tasks may be listed and started, with wildcards. @default all */
  readonly clusterArns?: string[];
  /** Roles with which ECS makes the volumes of `launch.volumeConfigurations`. @default none */
  readonly volumeRoleArns?: string[];

  /** When a tick is due; a minute is the shortest. @default 'rate(1 minute)' */
  readonly scheduleExpression?: string;
  /** DISABLED stops all ticks; tasks that run go on to their end. @default 'ENABLED' */
  readonly scheduleState?: 'ENABLED' | 'DISABLED';
  /** What the zip is built for. @default Architecture.ARM_64 */
  readonly architecture?: Architecture;

  /**
   * Task definitions that may be run, with wildcards: they must cover the derived families
   * (`NAME--x2` and so on) and every revision.
   * @default all of this account and Region
   */
  readonly taskDefinitionArns?: string[];
  /** false takes RegisterTaskDefinition from the role; needs `registration: off`. @default true */
  readonly registration?: boolean;
  /** Lets the function start tasks on instances, which `launch.placement` needs. @default false */
  readonly ownScheduler?: boolean;
  /** Makes a pull-through cache rule of ECR Public for the watcher's image. @default none */
  readonly watcherCachePrefix?: string;

  /** Drains an EC2 instance when Spot takes it back in two minutes. @default false */
  readonly drainOnSpotInterruption?: boolean;
  /** The same when EC2 recommends to leave a Spot instance. @default false */
  readonly drainOnRebalance?: boolean;
  /** The same when a lifecycle hook holds an instance, and answers the hook. @default false */
  readonly drainOnTermination?: boolean;
  /** For `onDrain: stopTasks`; without it no task can be stopped. @default false */
  readonly stopTasksOnDrain?: boolean;

  /** MiB; the share of a CPU grows with it. @default 256 */
  readonly memorySize?: number;
  /** After which Lambda ends a tick: 20 to 60 seconds. @default 60 seconds */
  readonly timeout?: Duration;
  /** ACTIVE records every tick in AWS X-Ray, at its price. @default Tracing.PASS_THROUGH */
  readonly tracing?: Tracing;
  /** @default RetentionDays.ONE_MONTH */
  readonly logRetentionDays?: RetentionDays;

  /** Who gets the alarms; a topic is made for it. @default nobody */
  readonly alarmEmail?: string;
  /** A topic of your own that gets the alarms, in place of `alarmEmail`'s. */
  readonly alarmTopic?: ITopic;
  /** Minutes without a tick after which NoTick goes off: 2 to 1440. @default 5 */
  readonly noTickMinutes?: number;
  /** Where your team reads `docs/alarms`; every alarm names its page there. */
  readonly runbookBase?: string;

  /** The path of every role and policy. @default '/' */
  readonly iamPath?: string;
  /** @default outside of any VPC */
  readonly inVpc?: InVpc;
  /** Encrypts the log and the failed events, and may decrypt the configuration. @default AWS's */
  readonly kmsKey?: IKey;
  /**
   * false reserves nothing, for young accounts. Without it `timeout` is at most 45 seconds, and
   * `pollEvery` is not heeded.
   * @default true
   */
  readonly reserveConcurrency?: boolean;
}
