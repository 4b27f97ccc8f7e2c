import { Token } from 'aws-cdk-lib';

import { EcsQueueScalerProps } from './props';

/** Wildcards only below a path. */
const ROLE =
  'arn:[a-z-]+:iam::[0-9]{12}:role/([A-Za-z0-9_+=.@-]+|([A-Za-z0-9_+=.@-]+/)+[A-Za-z0-9_+=.@*-]+)';

/** What a text, or each text of a list, must be as a whole: the template's `AllowedPattern`. */
export const PATTERNS = {
  scalerName: '[A-Za-z0-9/_-]{0,36}',
  configArn: '(arn:[a-z-]+:(ssm:[a-z0-9-]+:[0-9]{12}:parameter/|s3:::[a-z0-9.-]+/).+)?',
  queueArns: '\\*|arn:[a-z-]+:sqs:[a-z0-9*-]+:[0-9*]+:[A-Za-z0-9_.*?-]+',
  clusterArns: 'arn:[a-z*-]+:ecs:[a-z0-9*-]+:[0-9*]+:cluster/[A-Za-z0-9_*?-]+',
  passedRoleArns: ROLE,
  volumeRoleArns: ROLE,
  scheduleExpression:
    'rate\\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\\)|cron\\([^ ]+( [^ ]+){5}\\)',
  taskDefinitionArns: 'arn:[a-z-]+:ecs:[a-z0-9*-]+:[0-9*]+:task-definition/[A-Za-z0-9_*?:-]+',
  watcherCachePrefix: '([a-z0-9]([a-z0-9._-]{0,27}[a-z0-9])?)?',
  alarmEmail: '([^@ ]+@[^@ ]+\\.[^@ ]+)?',
  runbookBase: '[A-Za-z0-9._~:/?#=&%+-]{1,200}',
  iamPath: '/([A-Za-z0-9_+=,.@-]+/)*',
} as const;

/** The least and the most that a number may be. */
export const RANGES = {
  memorySize: [128, 3008],
  timeout: [20, 60],
  noTickMinutes: [2, 1440],
} as const;

/** With nothing reserved, a tick has to end before the next one begins. */
export const LONGEST_UNRESERVED = 45;

/** What is wrong with the props, a sentence each. What is known only once it is deployed passes. */
export function mistakes(props: EcsQueueScalerProps): string[] {
  const found: string[] = [];
  for (const [name, pattern] of Object.entries(PATTERNS)) {
    const whole = new RegExp(`^(?:${pattern})$`);
    const value = props[name as keyof typeof PATTERNS];
    for (const text of [value ?? []].flat()) {
      const isKnown = !Token.isUnresolved(value) && !Token.isUnresolved(text);
      if (isKnown && !whole.test(text)) {
        found.push(`${name}: "${text}" does not match ${pattern}`);
      }
    }
  }
  const seconds = props.timeout?.toSeconds() ?? RANGES.timeout[1];
  const numbers = { ...props, timeout: seconds };
  for (const [name, [least, most]] of Object.entries(RANGES)) {
    const value = numbers[name as keyof typeof RANGES];
    if (value !== undefined && !Token.isUnresolved(value) && (value < least || most < value)) {
      found.push(`${name}: ${value} is not from ${least} to ${most}`);
    }
  }
  if (props.reserveConcurrency === false && LONGEST_UNRESERVED < seconds) {
    found.push(
      `reserveConcurrency: false needs a timeout of at most ${LONGEST_UNRESERVED} seconds: a tick has to ` +
        'end before the next one begins. pollEvery is not heeded',
    );
  }
  return found;
}
