data "aws_iam_policy_document" "lambda" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "scaler" {
  name_prefix          = "${var.scaler_name}-"
  description          = "What ${var.scaler_name} may do"
  path                 = var.iam_path
  permissions_boundary = var.permissions_boundary == "" ? null : var.permissions_boundary
  assume_role_policy   = data.aws_iam_policy_document.lambda.json
}

# IAM takes 6,144 characters a policy: each of the long lists has a policy of its own.
locals {
  policies = merge(
    {
      queues      = data.aws_iam_policy_document.queues.json
      launches    = data.aws_iam_policy_document.launches.json
      clusters    = data.aws_iam_policy_document.clusters.json
      definitions = data.aws_iam_policy_document.definitions.json
      function    = data.aws_iam_policy_document.function.json
    },
    length(var.passed_role_arns) > 0 ? { roles = data.aws_iam_policy_document.roles.json } : {},
    length(var.volume_role_arns) > 0 ? { volume-roles = data.aws_iam_policy_document.volume_roles.json } : {},
  )
}

resource "aws_iam_policy" "scaler" {
  for_each = local.policies

  name_prefix = "${var.scaler_name}-${each.key}-"
  path        = var.iam_path
  policy      = each.value
}

resource "aws_iam_role_policy_attachment" "scaler" {
  for_each = local.policies

  role       = aws_iam_role.scaler.name
  policy_arn = aws_iam_policy.scaler[each.key].arn
}

data "aws_iam_policy_document" "scheduler" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["scheduler.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }
}

resource "aws_iam_role" "schedule" {
  name_prefix          = "${var.scaler_name}-"
  description          = "Wakes ${var.scaler_name}"
  path                 = var.iam_path
  permissions_boundary = var.permissions_boundary == "" ? null : var.permissions_boundary
  assume_role_policy   = data.aws_iam_policy_document.scheduler.json
}

data "aws_iam_policy_document" "wake" {
  statement {
    sid       = "WakeTheFunction"
    actions   = ["lambda:InvokeFunction"]
    resources = [aws_lambda_function.scaler.arn]
  }

  statement {
    sid       = "KeepWhatCouldNotBeHandedOver"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.failed_events.arn]
  }
}

resource "aws_iam_role_policy" "schedule" {
  name   = "wake"
  role   = aws_iam_role.schedule.id
  policy = data.aws_iam_policy_document.wake.json
}
