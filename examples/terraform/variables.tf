# Named as the parameters of template.yaml, with their defaults and what they refuse.

variable "package" {
  description = "Path of the function's zip: a release's, or what `make package` makes"
  type        = string
}

variable "scaler_name" {
  description = "Marks the tasks that it starts, and names what is made here; one an account and Region"
  type        = string
  default     = "ecs-queue-scaler"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,36}$", var.scaler_name))
    error_message = "At most 36 letters, digits, \"_\" or \"-\"."
  }
}

variable "scaler_config" {
  description = "Where the workers are described: file:workers.yaml (of the zip), ssm:/name, s3://bucket/key"
  type        = string
  default     = "file:workers.yaml"
}

variable "config_arn" {
  description = "ARN of the parameter or object that scaler_config names, so that it may be read"
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(?:(arn:[a-z-]+:(ssm:[a-z0-9-]+:[0-9]{12}:parameter/|s3:::[a-z0-9.-]+/).+)?)$", var.config_arn))
    error_message = "The ARN of a parameter or of an object, or empty."
  }
}

variable "discover_queues" {
  description = "Whether the configuration finds workers by tags (discover)"
  type        = bool
  default     = false
}

variable "queue_arns" {
  description = "ARNs of the queues whose depth may be read, with wildcards"
  type        = list(string)
  default     = ["*"]

  validation {
    condition     = alltrue([for arn in var.queue_arns : can(regex("^(?:\\*|arn:[a-z-]+:sqs:[a-z0-9*-]+:[0-9*]+:[A-Za-z0-9_.*?-]+)$", arn))])
    error_message = "ARNs of SQS queues, or \"*\"."
  }
}

variable "cluster_arns" {
  description = "ARNs of the clusters in which tasks may be listed and started, with wildcards"
  type        = list(string)
  default     = ["arn:*:ecs:*:*:cluster/*"]

  validation {
    condition     = alltrue([for arn in var.cluster_arns : can(regex("^(?:arn:[a-z*-]+:ecs:[a-z0-9*-]+:[0-9*]+:cluster/[A-Za-z0-9_*?-]+)$", arn))])
    error_message = "ARNs of ECS clusters."
  }
}

variable "passed_role_arns" {
  description = "ARNs of the task and execution roles of your task definitions; [] where none has a role"
  type        = list(string)

  validation {
    condition     = alltrue([for arn in var.passed_role_arns : can(regex("^(?:arn:[a-z-]+:iam::[0-9]{12}:role/([A-Za-z0-9_+=.@-]+|([A-Za-z0-9_+=.@-]+/)+[A-Za-z0-9_+=.@*-]+))$", arn))])
    error_message = "ARNs of IAM roles, wildcards only below a path (...:role/jobs/*)."
  }
}

variable "volume_role_arns" {
  description = "ARNs of the roles with which ECS makes the volumes of launch.volumeConfigurations"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.volume_role_arns : can(regex("^(?:arn:[a-z-]+:iam::[0-9]{12}:role/([A-Za-z0-9_+=.@-]+|([A-Za-z0-9_+=.@-]+/)+[A-Za-z0-9_+=.@*-]+))$", arn))])
    error_message = "ARNs of IAM roles, wildcards only below a path."
  }
}

variable "task_definition_arns" {
  description = "ARNs of the task definitions that may be run, with wildcards; [] means all"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.task_definition_arns : can(regex("^(?:arn:[a-z-]+:ecs:[a-z0-9*-]+:[0-9*]+:task-definition/[A-Za-z0-9_*?:-]+)$", arn))])
    error_message = "ARNs of task definitions, such as ...:task-definition/thumbnail*."
  }
}

variable "registration" {
  description = "false takes RegisterTaskDefinition from the role; workers.yaml then needs registration: off"
  type        = bool
  default     = true
}

variable "own_scheduler" {
  description = "Whether the function may start tasks on container instances, for launch.placement"
  type        = bool
  default     = false
}

variable "schedule_expression" {
  description = "When a tick is due; a minute is the shortest"
  type        = string
  default     = "rate(1 minute)"

  validation {
    condition     = can(regex("^(?:rate\\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\\)|cron\\([^ ]+( [^ ]+){5}\\))$", var.schedule_expression))
    error_message = "rate(1 minute), rate(5 minutes) and so on, or cron(...) with its six fields."
  }
}

variable "schedule_state" {
  description = "DISABLED stops all ticks; tasks that run go on to their end"
  type        = string
  default     = "ENABLED"

  validation {
    condition     = contains(["ENABLED", "DISABLED"], var.schedule_state)
    error_message = "ENABLED or DISABLED."
  }
}

variable "architecture" {
  description = "What the zip is built for: arm64 or x86_64"
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "arm64 or x86_64."
  }
}

variable "memory_size" {
  description = "Memory of the function in MiB"
  type        = number
  default     = 256

  validation {
    condition     = var.memory_size >= 128 && var.memory_size <= 3008
    error_message = "128 to 3008."
  }
}

variable "timeout" {
  description = "Seconds after which Lambda ends a tick"
  type        = number
  default     = 60

  validation {
    condition     = var.timeout >= 20 && var.timeout <= 60
    error_message = "20 to 60."
  }
}

variable "reserve_concurrency" {
  description = "false reserves nothing, for young accounts; timeout is then at most 45, and pollEvery is not heeded"
  type        = bool
  default     = true
}

variable "log_retention_days" {
  description = "Days for which the log is kept"
  type        = number
  default     = 30
}

variable "alarm_topic_arn" {
  description = "The SNS topic that gets the alarms; empty means nobody"
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(?:(arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+)?)$", var.alarm_topic_arn))
    error_message = "The ARN of an SNS topic, or empty."
  }
}

variable "no_tick_minutes" {
  description = "Minutes without a tick after which the alarm no-tick goes off"
  type        = number
  default     = 5

  validation {
    condition     = var.no_tick_minutes >= 2 && var.no_tick_minutes <= 1440
    error_message = "2 to 1440."
  }
}

variable "runbook_base" {
  description = "Where your team reads docs/alarms; every alarm names its page there"
  type        = string
  default     = "docs/alarms"

  validation {
    condition     = can(regex("^(?:[A-Za-z0-9._~:/?#=&%+-]{1,200})$", var.runbook_base))
    error_message = "The first part of an address."
  }
}

variable "permissions_boundary" {
  description = "The permissions boundary of both roles; empty means none"
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(?:(arn:[a-z-]+:iam::([0-9]{12}|aws):policy/[A-Za-z0-9_+=,.@/-]+)?)$", var.permissions_boundary))
    error_message = "The ARN of an IAM policy, or empty."
  }
}

variable "iam_path" {
  description = "The path of every role and policy that is made here"
  type        = string
  default     = "/"

  validation {
    condition     = can(regex("^(?:/([A-Za-z0-9_+=,.@-]+/)*)$", var.iam_path))
    error_message = "It begins and ends with \"/\", such as /teams/jobs/."
  }
}
