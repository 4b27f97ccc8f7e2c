# Every alarm names its page of docs/alarms.

locals {
  told = var.alarm_topic_arn == "" ? [] : [var.alarm_topic_arn]
}

resource "aws_cloudwatch_metric_alarm" "function_errors" {
  alarm_name = "${var.scaler_name}-function-errors"
  alarm_description = join(" ", [
    "${var.scaler_name}: ticks fail, three or more within 15 minutes. Workers without an error are served",
    "all the same. What to do: read the newest lines of level ERROR in the log group",
    "${aws_cloudwatch_log_group.scaler.name}; they name the worker, the call and the reason. More:",
    "${var.runbook_base}/function-errors.md",
  ])
  namespace           = "AWS/Lambda"
  metric_name         = "Errors"
  dimensions          = { FunctionName = aws_lambda_function.scaler.function_name }
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 15
  datapoints_to_alarm = 3
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.told
  ok_actions          = local.told
}

# Ticks that have not come yet are missing ones: a new alarm sounds until the first tick has been counted.
resource "aws_cloudwatch_metric_alarm" "no_tick" {
  count = var.schedule_state == "ENABLED" ? 1 : 0

  alarm_name = "${var.scaler_name}-no-tick"
  alarm_description = join(" ", [
    "${var.scaler_name}: no tick for ${var.no_tick_minutes} minutes; nothing is started, queues grow.",
    "What to do: see whether the schedule is ENABLED, whether the function is invoked and ends",
    "(CloudWatch, AWS/Lambda), and what queue ${aws_sqs_queue.failed_events.name} holds. More:",
    "${var.runbook_base}/no-tick.md",
  ])
  namespace           = "EcsQueueScaler"
  metric_name         = "Ticks"
  dimensions          = { Scaler = var.scaler_name }
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = var.no_tick_minutes
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"
  alarm_actions       = local.told
  ok_actions          = local.told
}

resource "aws_cloudwatch_metric_alarm" "launches_failing" {
  alarm_name = "${var.scaler_name}-launches-failing"
  alarm_description = join(" ", [
    "${var.scaler_name}: ECS did not place tasks, in three or more ticks within 15 minutes. They are",
    "asked for again every tick. What to do: see the metrics LaunchFailures... for the kind of shortage,",
    "then raise the quota, free capacity or add a rung to the worker's \"capacity\". More:",
    "${var.runbook_base}/launches-failing.md",
  ])
  namespace           = "EcsQueueScaler"
  metric_name         = "LaunchFailures"
  dimensions          = { Scaler = var.scaler_name }
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 15
  datapoints_to_alarm = 3
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.told
  ok_actions          = local.told
}

resource "aws_cloudwatch_metric_alarm" "breaker_open" {
  alarm_name = "${var.scaler_name}-breaker-open"
  alarm_description = join(" ", [
    "${var.scaler_name}: a worker's last tasks all failed, so that it gets one task at a time until one",
    "runs well. What to do: the log's line of the worker tells what its last task ended with; mend the",
    "image, the role or the secret. It closes by itself. More: ${var.runbook_base}/breaker-open.md",
  ])
  namespace           = "EcsQueueScaler"
  metric_name         = "BreakersOpen"
  dimensions          = { Scaler = var.scaler_name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 15
  datapoints_to_alarm = 3
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.told
  ok_actions          = local.told
}

resource "aws_cloudwatch_metric_alarm" "not_served" {
  alarm_name = "${var.scaler_name}-not-served"
  alarm_description = join(" ", [
    "${var.scaler_name}: for 3 minutes messages of a worker have waited, nothing that takes them has been",
    "alive, and nothing was started. What to do: the log's line of the worker tells in \"waits_for\" and",
    "in its warning what it waits for. More: ${var.runbook_base}/not-served.md",
  ])
  namespace           = "EcsQueueScaler"
  metric_name         = "WorkersNotServed"
  dimensions          = { Scaler = var.scaler_name }
  statistic           = "Minimum"
  period              = 60
  evaluation_periods  = 3
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.told
  ok_actions          = local.told
}

resource "aws_cloudwatch_metric_alarm" "containers_idle" {
  alarm_name = "${var.scaler_name}-containers-idle"
  alarm_description = join(" ", [
    "${var.scaler_name}: for 15 minutes containers have run without a message, though messages wait.",
    "Others are started as far as maxContainers allows. What to do: the log's line of the worker tells",
    "how many; look at what they do, and stop their tasks if they hang. More:",
    "${var.runbook_base}/containers-idle.md",
  ])
  namespace           = "EcsQueueScaler"
  metric_name         = "ContainersIdle"
  dimensions          = { Scaler = var.scaler_name }
  statistic           = "Minimum"
  period              = 60
  evaluation_periods  = 15
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.told
  ok_actions          = local.told
}

resource "aws_cloudwatch_metric_alarm" "backlog_at_cap" {
  alarm_name = "${var.scaler_name}-backlog-at-cap"
  alarm_description = join(" ", [
    "${var.scaler_name}: for 15 minutes a worker has been at its cap, and the queues have grown. What to",
    "do: find the worker by its metric AtCap; raise its maxContainers (or the cap that the log names), or",
    "find out why its jobs take longer than they did. More: ${var.runbook_base}/backlog-at-cap.md",
  ])
  evaluation_periods  = 3
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.told
  ok_actions          = local.told

  metric_query {
    id          = "growing"
    expression  = "IF(atCap > 0 AND RATE(backlog) > 0, 1, 0)"
    label       = "Backlog grows at the cap"
    return_data = true
  }

  metric_query {
    id = "atCap"

    metric {
      namespace   = "EcsQueueScaler"
      metric_name = "WorkersAtCap"
      dimensions  = { Scaler = var.scaler_name }
      stat        = "Maximum"
      period      = 300
    }
  }

  # Over all workers, also those to come. An alarm cannot use SEARCH, but a query.
  metric_query {
    id         = "backlog"
    expression = "SELECT SUM(QueueVisible) FROM SCHEMA(\"EcsQueueScaler\", \"Scaler\", \"Worker\") WHERE \"Scaler\" = '${var.scaler_name}'"
    period     = 300
  }
}

resource "aws_cloudwatch_metric_alarm" "throttling" {
  alarm_name = "${var.scaler_name}-throttling"
  alarm_description = join(" ", [
    "${var.scaler_name}: AWS throttles its calls, ten or more times in 5 minutes, for 15 minutes. The",
    "scaler keeps under the documented rates: someone else in this account and Region uses them up. What",
    "to do: find out who (CloudTrail), or ask AWS for a higher rate. More:",
    "${var.runbook_base}/throttling.md",
  ])
  namespace           = "EcsQueueScaler"
  metric_name         = "Throttles"
  dimensions          = { Scaler = var.scaler_name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 3
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 10
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.told
  ok_actions          = local.told
}

resource "aws_cloudwatch_metric_alarm" "failed_events" {
  alarm_name = "${var.scaler_name}-failed-events"
  alarm_description = join(" ", [
    "${var.scaler_name}: queue ${aws_sqs_queue.failed_events.name} holds events that failed or never",
    "reached the function. Nothing is lost with them. What to do: read one, it says why; mend that; then",
    "purge the queue, and this alarm ends. More: ${var.runbook_base}/failed-events.md",
  ])
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.failed_events.name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.told
  ok_actions          = local.told
}
