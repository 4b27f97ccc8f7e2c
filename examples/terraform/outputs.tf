output "function_name" {
  description = "The function; {\"dryRun\": true} shows a tick that changes nothing"
  value       = aws_lambda_function.scaler.function_name
}

output "scaler_name" {
  description = "The startedBy of its tasks"
  value       = var.scaler_name
}

output "role_arn" {
  description = "The function's role, for the policies of queues in other accounts"
  value       = aws_iam_role.scaler.arn
}

output "failed_events" {
  description = "The queue of the events that failed"
  value       = aws_sqs_queue.failed_events.url
}

output "log_group" {
  description = "The log group"
  value       = aws_cloudwatch_log_group.scaler.name
}
