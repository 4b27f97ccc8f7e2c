use super::*;

impl Row {
    /// Texts that are known by it.
    fn samples(&self) -> Vec<String> {
        match self.says {
            Says::Anything => vec!["words that nobody knows yet".to_owned()],
            Says::Begins(words) => vec![words.to_owned()],
            Says::Has(any) => any.iter().map(|words| format!("Sorry: {words}.")).collect(),
        }
    }
}

/// A row that another one hides would only look as if it were known.
#[test]
fn every_row_is_reached_by_its_own_code_and_words() {
    for (index, row) in ROWS.iter().enumerate() {
        for (text, channel) in row
            .samples()
            .iter()
            .flat_map(|text| row.channels.iter().map(move |channel| (text, *channel)))
        {
            let code = if row.code.is_empty() { "ACodeOfNextYear" } else { row.code };
            let first = ROWS.iter().position(|row| row.fits(channel, code, &text.to_lowercase()));
            assert_eq!(first, Some(index), "{row:?} of {text}");
            assert_eq!(Cause::of(channel, code, text), row.cause);
        }
    }
}

#[test]
fn every_row_is_in_lower_case_and_says_where_it_is_from() {
    for row in ROWS {
        for text in row.samples() {
            let reported = text.trim_start_matches("Sorry: ");
            assert_eq!(
                reported,
                reported.to_lowercase(),
                "it is compared with texts in lower case"
            );
        }
        assert!(!row.source.is_empty() && !row.channels.is_empty(), "{row:?}");
    }
}

const RETRY: &str = "Capacity is unavailable at this time. Please try again later or in a \
                     different availability zone";
const NOT_ASSOCIATED: &str = "The specified capacity provider strategy cannot contain a capacity \
                              provider that is not associated with the cluster.";

#[test]
fn the_errors_that_people_report_are_understood() {
    #[rustfmt::skip]
    let cases = [
        ("ThrottlingException", "Rate exceeded", Cause::Throttled),
        ("InvalidParameterException", "Error retrieving subnet information for [subnet-1]: Rate exceeded (ErrorCode: Throttling)", Cause::Throttled),
        ("InvalidParameterException", "Error retrieving security group information for [sg-1]: Request limit exceeded. (ErrorCode: RequestLimitExceeded)", Cause::Throttled),
        ("RequestLimitExceeded", "Request limit exceeded.", Cause::Throttled),
        ("ClientException", "Too many concurrent attempts to create a new revision of the specified family.", Cause::Throttled),
        ("ServerException", "Service Unavailable. Please try again later.", Cause::ServerFault),
        ("ClientException", "You've reached the limit on the number of tasks you can run concurrently", Cause::Quota),
        ("ClientException", "You've reached the limit on the number of spot tasks you can run concurrently", Cause::Quota),
        ("ClientException", "You've reached the limit on the number of vCPUs you can run concurrently", Cause::Quota),
        ("BlockedException", "Your account is currently blocked. Contact Support if you have questions.", Cause::Quota),
        ("ClientException", "Your account is currently blocked. Contact Support if you have questions.", Cause::Quota),
        ("ClientException", "Your AWS account is currently blocked and thus cannot launch any Fargate tasks", Cause::Quota),
        ("ClientException", RETRY, Cause::NoRoom),
        ("InvalidParameterException", "No Container Instances were found in your cluster.", Cause::NoRoom),
        ("InvalidParameterException", NOT_ASSOCIATED, Cause::Configuration),
        ("InvalidParameterException", "Task definition does not support launch_type FARGATE.", Cause::Configuration),
        ("InvalidParameterException", "Assign public IP is not supported for this launch type.", Cause::Configuration),
        ("InvalidParameterException", "The container does not have a task role, which execute command needs", Cause::Configuration),
        ("InvalidParameterException", "Error retrieving subnet information for [subnet-1]: The subnet ID 'subnet-1' does not exist (ErrorCode: InvalidSubnetID.NotFound)", Cause::Configuration),
        ("InvalidParameterException", "TaskDefinition is inactive", Cause::Stale),
        ("ClientException", "TaskDefinition not found.", Cause::Stale),
        ("ClientException", "Unable to describe task definition.", Cause::Stale),
        ("ClusterNotFoundException", "The referenced cluster was inactive.", Cause::Configuration),
        ("InvalidParameterException", "The specified cluster is inactive. Specify an active cluster and try again.", Cause::Configuration),
        ("AccessDeniedException", "User: arn:aws:sts::1:assumed-role/r is not authorized to perform: ecs:RunTask on resource: arn:aws:ecs:x", Cause::Permission),
        ("AccessDeniedException", "The ciphertext refers to a customer master key that does not exist, or you are not allowed to access.", Cause::Permission),
        ("UnrecognizedClientException", "The security token included in the request is invalid.", Cause::Credentials),
        ("InvalidClientTokenId", "The security token included in the request is invalid.", Cause::Credentials),
        ("ExpiredTokenException", "The security token included in the request is expired", Cause::Credentials),
        ("com.amazonaws.sqs#QueueDoesNotExist", "The specified queue does not exist.", Cause::Missing),
        ("AWS.SimpleQueueService.NonExistentQueue;Sender", "The specified queue does not exist.", Cause::Missing),
        ("InvalidAddress", "The address https://sqs.x.amazonaws.com/ is not valid for this endpoint.", Cause::Configuration),
        ("KMS.AccessDeniedException", "", Cause::Permission),
        ("KMS.ThrottlingException", "", Cause::Throttled),
        ("InvalidParameterException", "no such provider", Cause::BadRequest),
        ("ClientException", "words of next year", Cause::BadRequest),
        ("ACodeOfNextYear", "words of next year", Cause::Other),
        ("", "", Cause::Other),
    ];
    for (code, message, expected) in cases {
        assert_eq!(Cause::of_error(code, message), expected, "{code}: {message}");
    }
}

#[test]
fn the_failures_that_people_report_are_understood() {
    let cases = [
        (RETRY, Cause::NoRoom),
        ("Spot capacity is unavailable", Cause::SpotGone),
        ("RESOURCE:MEMORY", Cause::NoRoom),
        ("RESOURCE:CPU", Cause::NoRoom),
        ("RESOURCE:GPU", Cause::NoRoom),
        ("RESOURCE:PORTS", Cause::NoRoom),
        ("RESOURCE:ENI", Cause::NetworkInterface),
        ("EMPTY CAPACITY PROVIDER", Cause::NoRoom),
        ("NO ACTIVE INSTANCES", Cause::NoRoom),
        ("AGENT", Cause::Agent),
        ("ATTRIBUTE", Cause::Placement),
        ("LOCATION", Cause::Placement),
        ("MemberOf placement constraint unsatisfied.", Cause::Placement),
        ("MISSING", Cause::NoRoom),
        ("INACTIVE", Cause::NoRoom),
        ("You've reached the limit on the number of vCPUs you can run", Cause::Quota),
        ("a word of next year", Cause::Other),
        ("a provider of unknown capacity", Cause::Other),
    ];
    for (reason, expected) in cases {
        assert_eq!(Cause::of_failure(reason, None), expected, "{reason}");
    }
    assert_eq!(Cause::of_failure("not placed", Some("(ErrorCode: Throttling)")), Cause::Throttled);
}

#[test]
fn the_stops_that_people_report_are_understood() {
    let pull = |of| {
        format!("CannotPullContainerError: pull image manifest has been retried 5 times: {of}")
    };
    #[rustfmt::skip]
    let cases = [
        ("TaskFailedToStart", format!("TaskFailedToStart: {RETRY}"), Cause::NoRoom),
        ("TaskFailedToStart", "TaskFailedToStart: RESOURCE:MEMORY".to_owned(), Cause::NoRoom),
        ("TaskFailedToStart", "RESOURCE:ENI".to_owned(), Cause::NetworkInterface),
        ("TaskFailedToStart", "TaskFailedToStart: EMPTY CAPACITY PROVIDER".to_owned(), Cause::NoRoom),
        ("TaskFailedToStart", "TaskFailedToStart: NO ACTIVE INSTANCES".to_owned(), Cause::NoRoom),
        ("TaskFailedToStart", "TaskFailedToStart: AGENT".to_owned(), Cause::Agent),
        ("TaskFailedToStart", "TaskFailedToStart: MemberOf placement constraint unsatisfied.".to_owned(), Cause::Placement),
        ("TaskFailedToStart", "Unexpected EC2 error while attempting to Create Network Interface in subnet: InsufficientFreeAddressesInSubnet".to_owned(), Cause::NetworkInterface),
        ("TaskFailedToStart", pull("toomanyrequests: Rate exceeded"), Cause::Throttled),
        ("TaskFailedToStart", pull("toomanyrequests: You have reached your pull rate limit"), Cause::Throttled),
        ("TaskFailedToStart", pull("not found"), Cause::OfWorker),
        ("TaskFailedToStart", pull("no such agent in network interface"), Cause::OfWorker),
        ("TaskFailedToStart", "ResourceInitializationError: unable to pull secrets or registry auth: AccessDeniedException on resource: x".to_owned(), Cause::OfWorker),
        ("EssentialContainerExited", "CannotStartContainerError: executable file not found in $PATH".to_owned(), Cause::OfWorker),
        ("EssentialContainerExited", "OutOfMemoryError: Container killed due to memory usage".to_owned(), Cause::OfWorker),
        ("TaskFailedToStart", "words of next year".to_owned(), Cause::OfWorker),
        ("SpotInterruption", "Your Spot Task was interrupted.".to_owned(), Cause::OfOthers),
        ("TerminationNotice", "Your Spot Task was interrupted.".to_owned(), Cause::OfOthers),
        ("", "Host EC2 (instance i-1) terminated.".to_owned(), Cause::OfOthers),
        ("InfrastructureHealth", String::new(), Cause::OfOthers),
        ("ServiceSchedulerInitiated", "ECS is performing maintenance on the underlying infrastructure".to_owned(), Cause::OfOthers),
        ("UserInitiated", "RESOURCE: mine".to_owned(), Cause::OfOthers),
        ("ACodeOfNextYear", "words of next year".to_owned(), Cause::OfOthers),
    ];
    for (code, reason, expected) in cases {
        assert_eq!(Cause::of_stop(code, &reason), expected, "{code}: {reason}");
    }
}
