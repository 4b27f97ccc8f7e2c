import { Aws } from 'aws-cdk-lib';

export interface Shown {
  readonly scalerName: string;
  readonly functionName: string;
  readonly logGroupName: string;
}

/** Where a widget stands, on a grid of 24 columns. */
interface Place {
  readonly x: number;
  readonly y: number;
  readonly width: number;
}

/** The dashboard's body. Workers are searched for, so that a new one appears by itself. */
export function dashboardBody({ scalerName, functionName, logGroupName }: Shown) {
  const worker = "${PROP('Dim.Worker')}";
  const search = (metric: string, label = worker, statistic = 'Maximum') => [
    {
      label,
      expression:
        `SEARCH('{EcsQueueScaler,Scaler,Worker} Scaler="${scalerName}" MetricName="${metric}"', ` +
        `'${statistic}', 60)`,
    },
  ];
  const fromZero = { min: 0 };
  const widget = (type: string, place: Place, title: string, properties: object) => ({
    type,
    ...place,
    height: 6,
    properties: { title, region: Aws.REGION, ...properties },
  });
  const chart = (place: Place, title: string, properties: object) =>
    widget('metric', place, title, { period: 60, yAxis: { left: fromZero }, ...properties });
  return {
    start: '-PT3H',
    widgets: [
      chart({ x: 0, y: 0, width: 12 }, 'Messages waiting, by worker', { metrics: [search('QueueVisible')] }),
      chart({ x: 12, y: 0, width: 12 }, 'Containers alive, by worker', { metrics: [search('ContainersAlive')] }),
      chart({ x: 0, y: 6, width: 8 }, 'Containers launched, by worker', {
        metrics: [search('ContainersLaunched', worker, 'Sum')],
      }),
      chart({ x: 8, y: 6, width: 8 }, 'In flight, by worker', { metrics: [search('QueueInFlight')] }),
      chart({ x: 16, y: 6, width: 8 }, 'Trouble, by worker', {
        metrics: [
          search('BreakerOpen', `${worker} breaker open`),
          search('AtCap', `${worker} at cap`),
          search('WorkerFailed', `${worker} failed`),
          search('TasksStuck', `${worker} stuck tasks`),
          search('ContainersIdle', `${worker} idle containers`),
          search('LaunchesHeldBack', `${worker} launches held back`),
          search('LaunchFailures', `${worker} launch failures`, 'Sum'),
        ],
      }),
      chart({ x: 0, y: 12, width: 8 }, 'Ticks', {
        stat: 'Sum',
        metrics: [
          ['EcsQueueScaler', 'Ticks', 'Scaler', scalerName],
          ['.', 'WorkersFailed', '.', '.'],
          ['.', 'WorkersNotServed', '.', '.', { stat: 'Maximum' }],
          ['AWS/Lambda', 'Errors', 'FunctionName', functionName],
          ['.', 'Throttles', '.', '.'],
        ],
      }),
      chart({ x: 8, y: 12, width: 8 }, 'Duration of a tick, and age of its configuration', {
        stat: 'Maximum',
        yAxis: { left: fromZero, right: fromZero },
        metrics: [
          ['EcsQueueScaler', 'TickDuration', 'Scaler', scalerName],
          ['.', 'ConfigAge', '.', '.', { yAxis: 'right' }],
        ],
      }),
      chart({ x: 16, y: 12, width: 8 }, "Calls of AWS's APIs", {
        stat: 'Sum',
        metrics: [
          ['EcsQueueScaler', 'ApiCalls', 'Scaler', scalerName],
          ['.', 'Throttles', '.', '.'],
          ['.', 'LaunchFailures', '.', '.'],
        ],
      }),
      widget('log', { x: 0, y: 18, width: 24 }, 'Newest errors and warnings', {
        view: 'table',
        query:
          `SOURCE '${logGroupName}' | fields @timestamp, @message | filter level in ['ERROR', 'WARN'] ` +
          '| sort @timestamp desc | limit 50',
      }),
    ],
  };
}
