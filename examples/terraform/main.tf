resource "aws_lambda_function" "scaler" {
  #checkov:skip=CKV_AWS_116:The event invoke config sends what failed to a queue, and with more of its story
  #checkov:skip=CKV_AWS_117:It calls AWS's APIs only
  #checkov:skip=CKV_AWS_173:Its variables are names, not secrets; Lambda encrypts them with its own key
  #checkov:skip=CKV_AWS_272:The release's attestation is what signs the zip; see docs/first-worker.md
  function_name    = var.scaler_name
  description      = "One tick of ${var.scaler_name}"
  filename         = var.package
  source_code_hash = filebase64sha256(var.package)
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = [var.architecture]
  role             = aws_iam_role.scaler.arn
  memory_size      = var.memory_size
  timeout          = var.timeout
  # Ticks do not overlap: two that saw the same queue would both start tasks for it. -1 reserves nothing.
  reserved_concurrent_executions = var.reserve_concurrency ? 1 : -1

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.scaler.name
  }

  tracing_config {
    mode = "PassThrough"
  }

  environment {
    variables = {
      SCALER_NAME     = var.scaler_name
      SCALER_CONFIG   = var.scaler_config
      SCALER_RESERVED = var.reserve_concurrency ? "yes" : "no"
    }
  }

  lifecycle {
    precondition {
      condition     = var.reserve_concurrency || var.timeout <= 45
      error_message = "Without reserve_concurrency, timeout is at most 45: a tick has to end before the next one begins."
    }
  }

  depends_on = [aws_iam_role_policy_attachment.scaler]
}

# The next tick repairs what this one left; a late repetition would act on stale facts.
resource "aws_lambda_function_event_invoke_config" "scaler" {
  function_name                = aws_lambda_function.scaler.function_name
  qualifier                    = "$LATEST"
  maximum_retry_attempts       = 0
  maximum_event_age_in_seconds = 60

  destination_config {
    on_failure {
      destination = aws_sqs_queue.failed_events.arn
    }
  }
}

resource "aws_scheduler_schedule" "tick" {
  #checkov:skip=CKV_AWS_297:Its input is no secret: the instant of the tick
  name                = var.scaler_name
  description         = "Wakes ${var.scaler_name}"
  schedule_expression = var.schedule_expression
  state               = var.schedule_state

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.scaler.arn
    role_arn = aws_iam_role.schedule.arn
    # The instant that names the tick: a second delivery of the event repeats it.
    input = "{\"scheduledTime\": \"<aws.scheduler.scheduled-time>\"}"

    # Handing the event over; not later than Lambda would still take it.
    retry_policy {
      maximum_event_age_in_seconds = 60
      maximum_retry_attempts       = 2
    }

    dead_letter_config {
      arn = aws_sqs_queue.failed_events.arn
    }
  }

  # Or the first ticks fail for want of what they may do, and of where failures go.
  depends_on = [aws_lambda_function_event_invoke_config.scaler, aws_iam_role_policy.schedule]
}

resource "aws_cloudwatch_log_group" "scaler" {
  #checkov:skip=CKV_AWS_158:The log has names and numbers, no content
  #checkov:skip=CKV_AWS_338:log_retention_days is the operator's choice
  name              = "/ecs-queue-scaler/${var.scaler_name}"
  retention_in_days = var.log_retention_days
}

# Events that failed, and events that could not be handed over. Nothing is lost with them: the next tick
# looks at the queues afresh.
resource "aws_sqs_queue" "failed_events" {
  name                      = "${var.scaler_name}-failed-events"
  message_retention_seconds = 1209600 # 14 days, the longest that SQS knows
  sqs_managed_sse_enabled   = true
}

data "aws_iam_policy_document" "failed_events" {
  statement {
    sid       = "EncryptedConnectionsOnly"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [aws_sqs_queue.failed_events.arn]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_sqs_queue_policy" "failed_events" {
  queue_url = aws_sqs_queue.failed_events.url
  policy    = data.aws_iam_policy_document.failed_events.json
}
