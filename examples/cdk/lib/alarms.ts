import { CfnAlarm, CfnAlarmProps } from 'aws-cdk-lib/aws-cloudwatch';
import { CfnSchedule } from 'aws-cdk-lib/aws-scheduler';
import { CfnTopic } from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';

import { EcsQueueScalerProps } from './props';

/** What the alarms look at. */
export interface Watched {
  readonly scalerName: string;
  readonly functionName: string;
  readonly logGroupName: string;
  readonly failedEventsName: string;
  /** Left out where no tick is due. */
  readonly schedule?: CfnSchedule;
}

interface Alarm extends Partial<CfnAlarmProps> {
  /** What is wrong, and what to do. */
  readonly text: string;
  readonly page: string;
}

/** Three of fifteen minutes: what passes by itself wakes nobody. */
const THREE_OF_FIFTEEN = { period: 60, evaluationPeriods: 15, datapointsToAlarm: 3 };

export function makeAlarms(scope: Construct, props: EcsQueueScalerProps, watched: Watched): void {
  const actions = topicArns(scope, props);
  for (const [id, { text, page, ...alarm }] of Object.entries(alarms(props, watched))) {
    const made = new CfnAlarm(scope, `${id}Alarm`, {
      alarmDescription: `${watched.scalerName}: ${text} More: ${props.runbookBase ?? 'docs/alarms'}/${page}.md`,
      comparisonOperator: 'GreaterThanOrEqualToThreshold',
      threshold: 1,
      treatMissingData: 'notBreaching',
      evaluationPeriods: 1,
      alarmActions: actions,
      okActions: actions,
      ...alarm,
    });
    if (id === 'NoTick' && watched.schedule) {
      made.addResourceDependency(watched.schedule); // the warm-up begins with it
    }
  }
}

/** The topic that is told, if any. */
function topicArns(scope: Construct, { alarmTopic, alarmEmail }: EcsQueueScalerProps): string[] {
  if (alarmTopic) {
    return [alarmTopic.topicArn];
  }
  if (!alarmEmail) {
    return [];
  }
  const subscription = [{ protocol: 'email', endpoint: alarmEmail }];
  return [new CfnTopic(scope, 'AlarmTopic', { subscription }).ref];
}

function alarms(props: EcsQueueScalerProps, watched: Watched): Record<string, Alarm> {
  const dimensions = [{ name: 'Scaler', value: watched.scalerName }];
  const of = (metricName: string, statistic: string) => ({
    namespace: 'EcsQueueScaler',
    metricName,
    dimensions,
    statistic,
  });
  const noTickMinutes = props.noTickMinutes ?? 5;
  return {
    FunctionErrors: {
      text:
        'ticks fail, three or more within 15 minutes. Workers without an error are served all the same. ' +
        'What to do: read the newest lines of level ERROR in the log group ' +
        `${watched.logGroupName}; they name the worker, the call and the reason.`,
      page: 'function-errors',
      namespace: 'AWS/Lambda',
      metricName: 'Errors',
      dimensions: [{ name: 'FunctionName', value: watched.functionName }],
      statistic: 'Sum',
      ...THREE_OF_FIFTEEN,
    },
    ...(watched.schedule && {
      NoTick: {
        text:
          `no tick for ${noTickMinutes} minutes; nothing is started, queues grow. What to do: see whether ` +
          'the schedule is ENABLED, whether the function is invoked and ends (CloudWatch, AWS/Lambda), and ' +
          `what queue ${watched.failedEventsName} holds.`,
        page: 'no-tick',
        ...of('Ticks', 'Sum'),
        period: 60,
        evaluationPeriods: noTickMinutes,
        comparisonOperator: 'LessThanThreshold',
        treatMissingData: 'breaching',
        // A new stack, and one that was paused, has no ticks yet: the first ones have this long to come.
        warmUpConfiguration: { warmUpPeriodDurationInMinutes: noTickMinutes },
      },
    }),
    LaunchesFailing: {
      text:
        'ECS did not place tasks, in three or more ticks within 15 minutes. They are asked for again every ' +
        'tick. What to do: see the metrics LaunchFailures... for the kind of shortage, then raise the ' +
        'quota, free capacity or add a rung to the worker\'s "capacity".',
      page: 'launches-failing',
      ...of('LaunchFailures', 'Sum'),
      ...THREE_OF_FIFTEEN,
    },
    BreakerOpen: {
      text:
        "a worker's last tasks all failed, so that it gets one task at a time until one runs well. What to " +
        "do: the log's line of the worker tells what its last task ended with; mend the image, the role or " +
        'the secret. It closes by itself.',
      page: 'breaker-open',
      ...of('BreakersOpen', 'Maximum'),
      ...THREE_OF_FIFTEEN,
    },
    NotServed: {
      text:
        'for 3 minutes messages of a worker have waited, nothing that takes them has been alive, and ' +
        "nothing was started. What to do: the log's line of the worker tells in \"waits_for\" and in its " +
        'warning what it waits for.',
      page: 'not-served',
      ...of('WorkersNotServed', 'Minimum'), // of several looks in a minute, none may have helped
      period: 60,
      evaluationPeriods: 3,
    },
    ContainersIdle: {
      text:
        'for 15 minutes containers have run without a message, though messages wait. Others are started ' +
        "as far as maxContainers allows. What to do: the log's line of the worker tells how many; look at " +
        'what they do, and stop their tasks if they hang.',
      page: 'containers-idle',
      ...of('ContainersIdle', 'Minimum'),
      period: 60,
      evaluationPeriods: 15,
    },
    BacklogAtCap: {
      text:
        'for 15 minutes a worker has been at its cap, and the queues have grown. What to do: find the ' +
        'worker by its metric AtCap; raise its maxContainers (or the cap that the log names), or find out ' +
        'why its jobs take longer than they did.',
      page: 'backlog-at-cap',
      metrics: backlogAtCap(watched.scalerName, dimensions),
      evaluationPeriods: 3,
    },
    Throttling: {
      text:
        'AWS throttles its calls, ten or more times in 5 minutes, for 15 minutes. The scaler keeps under ' +
        'the documented rates: someone else in this account and Region uses them up. What to do: find out ' +
        'who (CloudTrail), or ask AWS for a higher rate.',
      page: 'throttling',
      ...of('Throttles', 'Sum'),
      period: 300,
      evaluationPeriods: 3,
      threshold: 10,
    },
    FailedEvents: {
      text:
        `queue ${watched.failedEventsName} holds events that failed or never reached the function. Nothing ` +
        'is lost with them. What to do: read one, it says why; mend that; then purge the queue, and this ' +
        'alarm ends.',
      page: 'failed-events',
      namespace: 'AWS/SQS',
      metricName: 'ApproximateNumberOfMessagesVisible',
      dimensions: [{ name: 'QueueName', value: watched.failedEventsName }],
      statistic: 'Maximum',
      period: 60,
    },
  };
}

function backlogAtCap(
  scalerName: string,
  dimensions: CfnAlarm.DimensionProperty[],
): CfnAlarm.MetricDataQueryProperty[] {
  const metric = { namespace: 'EcsQueueScaler', metricName: 'WorkersAtCap', dimensions };
  return [
    {
      id: 'growing',
      label: 'Backlog grows at the cap',
      expression: 'IF(atCap > 0 AND RATE(backlog) > 0, 1, 0)',
    },
    { id: 'atCap', returnData: false, metricStat: { stat: 'Maximum', period: 300, metric } },
    {
      // Over all workers, also those to come. An alarm cannot use SEARCH, but a query.
      id: 'backlog',
      returnData: false,
      period: 300,
      expression:
        'SELECT SUM(QueueVisible) FROM SCHEMA("EcsQueueScaler", "Scaler", "Worker") ' +
        `WHERE "Scaler" = '${scalerName}'`,
    },
  ];
}
