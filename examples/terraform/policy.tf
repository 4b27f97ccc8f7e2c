# All that the function may do: the statements of docs/policy.json, without those of what this module has not.

locals {
  here             = "${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}"
  ecs              = "arn:${data.aws_partition.current.partition}:ecs:${local.here}"
  task_definitions = length(var.task_definition_arns) > 0 ? var.task_definition_arns : ["${local.ecs}:task-definition/*:*"]
}

data "aws_iam_policy_document" "queues" {
  statement {
    sid       = "ReadQueueDepth"
    actions   = ["sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
    resources = var.queue_arns
  }

  dynamic "statement" {
    for_each = var.discover_queues ? [1] : []
    content {
      sid       = "DiscoverQueues"
      actions   = ["tag:GetResources"]
      resources = ["*"] # the action knows no resources
    }
  }
}

data "aws_iam_policy_document" "launches" {
  statement {
    sid       = "LaunchTasks"
    actions   = concat(["ecs:RunTask"], var.own_scheduler ? ["ecs:StartTask"] : [])
    resources = local.task_definitions # what tasks may do is bounded by PassRoles

    condition {
      test     = "ArnLike"
      variable = "ecs:cluster"
      values   = var.cluster_arns
    }
  }
}

data "aws_iam_policy_document" "roles" {
  statement {
    sid       = "PassRoles"
    actions   = ["iam:PassRole"]
    resources = var.passed_role_arns

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ecs-tasks.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "volume_roles" {
  statement {
    sid       = "PassVolumeRoles"
    actions   = ["iam:PassRole"]
    resources = var.volume_role_arns

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ecs.amazonaws.com"] # ECS itself takes such a role, not a task
    }
  }
}

data "aws_iam_policy_document" "clusters" {
  statement {
    sid       = "ReadTasks"
    actions   = ["ecs:DescribeTasks", "ecs:ListTasks"]
    resources = ["*"] # ListTasks by cluster names no resource; the condition holds for both

    condition {
      test     = "ArnLike"
      variable = "ecs:cluster"
      values   = var.cluster_arns
    }
  }

  statement {
    sid       = "TagLaunchedTasks"
    actions   = ["ecs:TagResource"]
    resources = ["${local.ecs}:task/*"]

    condition {
      test     = "StringEquals"
      variable = "ecs:CreateAction"
      values   = concat(["RunTask"], var.own_scheduler ? ["StartTask"] : [])
    }
  }

  dynamic "statement" {
    for_each = var.own_scheduler ? [1] : []
    content {
      sid       = "ListInstances"
      actions   = ["ecs:ListContainerInstances"]
      resources = var.cluster_arns
    }
  }

  dynamic "statement" {
    for_each = var.own_scheduler ? [1] : []
    content {
      sid       = "ReadInstances"
      actions   = ["ecs:DescribeContainerInstances"]
      resources = ["${local.ecs}:container-instance/*"]

      condition {
        test     = "ArnLike"
        variable = "ecs:cluster"
        values   = var.cluster_arns
      }
    }
  }
}

data "aws_iam_policy_document" "definitions" {
  statement {
    sid       = "ReadTaskDefinitions"
    actions   = ["ecs:DescribeTaskDefinition"]
    resources = ["*"] # the action knows no resources and no conditions
  }

  dynamic "statement" {
    for_each = var.registration ? [1] : []
    content {
      sid       = "RegisterDerivedTaskDefinitions"
      actions   = ["ecs:RegisterTaskDefinition"]
      resources = ["${local.ecs}:task-definition/*--x*:*"]
    }
  }

  dynamic "statement" {
    for_each = var.registration ? [1] : []
    content {
      sid       = "TagRegisteredTaskDefinitions"
      actions   = ["ecs:TagResource"]
      resources = ["${local.ecs}:task-definition/*--x*:*"]

      condition {
        test     = "StringEquals"
        variable = "ecs:CreateAction"
        values   = ["RegisterTaskDefinition"]
      }
    }
  }

  dynamic "statement" {
    for_each = var.registration ? [1] : []
    content {
      sid       = "RetireTaskDefinitions"
      actions   = ["ecs:DeregisterTaskDefinition"]
      resources = ["*"] # the action knows no resources and no conditions
    }
  }
}

# Its configuration, and what Lambda does in its name.
data "aws_iam_policy_document" "function" {
  dynamic "statement" {
    for_each = var.config_arn == "" ? [] : [1]
    content {
      sid       = "ReadConfig" # each action fits one of the two kinds of ARN
      actions   = ["s3:GetObject", "ssm:GetParameter"]
      resources = [var.config_arn]
    }
  }

  statement {
    sid       = "WriteTheLog"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.scaler.arn}:*"]
  }

  statement {
    sid       = "KeepFailedEvents"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.failed_events.arn]
  }
}
