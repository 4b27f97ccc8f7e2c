//! The table itself. The first row that fits counts, so that what is special stands before what is
//! general; a row that no text can reach fails the tests.

use super::Channel::{self, Error, Failure, Stop};
use super::Says::{Anything, Begins, Has};
use super::{Cause, Row, Says};

const ERROR: &[Channel] = &[Error];
const STOP: &[Channel] = &[Stop];
/// Reported at once or after the task was accepted.
const LATE: &[Channel] = &[Failure, Stop];
const ANYWHERE: &[Channel] = &[Error, Failure, Stop];

/// Errors that every API of AWS may give.
const COMMON: &str = "ECS API reference, \"Common Errors\"; SQS API reference, \"Common Errors\"";
const ECS: &str = "ECS API reference, errors of RunTask, StartTask and RegisterTaskDefinition";
const SQS: &str = "SQS API reference, errors of GetQueueUrl and GetQueueAttributes";
const THROTTLING: &str = "ECS API reference, \"Request throttling for the Amazon ECS API\"";
const STORES: &str = "S3 API reference, \"Error responses\"; SSM API reference, GetParameter";
const SIGNATURE: &str = "IAM user guide, \"Troubleshoot Signature Version 4\"";
const SCALING: &str = "Auto Scaling's words, as users report them";
const FAILURES: &str = "ECS developer guide, \"API failures messages\"";
const STOPPED: &str = "ECS developer guide, \"Stopped tasks error messages\"";
const PULLED: &str = "ECS developer guide, \"CannotPullContainer task errors\"";
const STOP_CODES: &str = "ECS API reference, Task.stopCode";
const REPORTED: &str = "as users report it";

#[expect(clippy::too_many_arguments, reason = "the columns of the table")]
const fn row(
    channels: &'static [Channel],
    code: &'static str,
    says: Says,
    cause: Cause,
    source: &'static str,
) -> Row {
    Row { channels, code, says, cause, source }
}

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    // Who may not ask, or cannot.
    row(ERROR, "AccessDeniedException", Anything, Cause::Permission, COMMON),
    row(ERROR, "AccessDenied", Anything, Cause::Permission, STORES),
    row(ERROR, "UnauthorizedOperation", Anything, Cause::Permission, COMMON),
    row(ERROR, "KMS.AccessDeniedException", Anything, Cause::Permission, SQS),
    row(ERROR, "KmsAccessDenied", Anything, Cause::Permission, SQS),
    row(ERROR, "", Has(&["(errorcode: unauthorizedoperation)"]), Cause::Permission, REPORTED),
    row(ERROR, "UnrecognizedClientException", Anything, Cause::Credentials, COMMON),
    row(ERROR, "InvalidClientTokenId", Anything, Cause::Credentials, COMMON),
    row(ERROR, "ExpiredTokenException", Anything, Cause::Credentials, COMMON),
    row(ERROR, "ExpiredToken", Anything, Cause::Credentials, STORES),
    row(ERROR, "MissingAuthenticationToken", Anything, Cause::Credentials, COMMON),
    row(ERROR, "IncompleteSignature", Anything, Cause::Credentials, COMMON),
    row(ERROR, "MissingAuthenticationTokenException", Anything, Cause::Credentials, COMMON),
    row(ERROR, "IncompleteSignatureException", Anything, Cause::Credentials, COMMON),
    row(ERROR, "OptInRequired", Anything, Cause::Credentials, COMMON),
    row(ERROR, "InvalidSignatureException", Anything, Cause::Clock, SIGNATURE),
    row(ERROR, "SignatureDoesNotMatch", Anything, Cause::Clock, SIGNATURE),
    row(ERROR, "RequestTimeTooSkewed", Anything, Cause::Clock, STORES),

    // Too many requests, of whichever service it was.
    row(ERROR, "ThrottlingException", Anything, Cause::Throttled, THROTTLING),
    row(ERROR, "ThrottledException", Anything, Cause::Throttled, COMMON),
    row(ERROR, "Throttling", Anything, Cause::Throttled, COMMON),
    row(ERROR, "RequestThrottled", Anything, Cause::Throttled, SQS),
    row(ERROR, "TooManyRequestsException", Anything, Cause::Throttled, COMMON),
    row(ERROR, "RequestLimitExceeded", Anything, Cause::Throttled, COMMON),
    row(ERROR, "SlowDown", Anything, Cause::Throttled, STORES),
    row(ERROR, "KMS.ThrottlingException", Anything, Cause::Throttled, SQS),
    row(ERROR, "KmsThrottled", Anything, Cause::Throttled, SQS),
    // EC2's own, which ECS passes on inside its InvalidParameterException.
    row(ANYWHERE, "", Has(&["(errorcode: throttling)", "(errorcode: requestlimitexceeded)", "request limit exceeded"]), Cause::Throttled, "github.com/dask/dask-cloudprovider/issues/56"),
    row(ERROR, "", Has(&["rate exceeded", "too many concurrent attempts to create a new revision"]), Cause::Throttled, "github.com/jenkinsci/amazon-ecs-plugin/issues/105"),
    // A registry's limit is of all who pull from it.
    row(STOP, "", Has(&["toomanyrequests", "too many requests", "requestlimitexceeded", "rate exceeded"]), Cause::Throttled, PULLED),
    row(ERROR, "ServerException", Anything, Cause::ServerFault, ECS),
    row(ERROR, "InternalFailure", Anything, Cause::ServerFault, COMMON),
    row(ERROR, "InternalError", Anything, Cause::ServerFault, STORES),
    row(ERROR, "ServiceUnavailable", Anything, Cause::ServerFault, COMMON),

    // What ended others' tasks as well.
    row(STOP, "SpotInterruption", Anything, Cause::OfOthers, STOP_CODES),
    row(STOP, "TerminationNotice", Anything, Cause::OfOthers, STOP_CODES),
    row(STOP, "InfrastructureHealth", Anything, Cause::OfOthers, STOP_CODES),
    row(STOP, "ServiceSchedulerInitiated", Anything, Cause::OfOthers, STOP_CODES),
    row(STOP, "UserInitiated", Anything, Cause::OfOthers, STOP_CODES),
    row(STOP, "", Begins("host ec2 (instance"), Cause::OfOthers, STOPPED),
    row(STOP, "EssentialContainerExited", Anything, Cause::OfWorker, STOP_CODES),
    row(STOP, "", Begins("essential container in task exited"), Cause::OfWorker, STOPPED),
    // Their texts quote others' errors, so that they stand before all that goes by words.
    row(STOP, "TaskFailedToStart", Begins("cannotpull"), Cause::OfWorker, PULLED),
    row(STOP, "TaskFailedToStart", Begins("cannotstart"), Cause::OfWorker, STOPPED),
    row(STOP, "TaskFailedToStart", Begins("cannotcreate"), Cause::OfWorker, STOPPED),
    row(STOP, "TaskFailedToStart", Begins("resourceinitializationerror"), Cause::OfWorker, STOPPED),

    // What only a person can mend.
    row(ERROR, "ClusterNotFoundException", Anything, Cause::Configuration, ECS),
    row(ERROR, "PlatformUnknownException", Anything, Cause::Configuration, ECS),
    row(ERROR, "PlatformTaskDefinitionIncompatibilityException", Anything, Cause::Configuration, ECS),
    row(ERROR, "UnsupportedFeatureException", Anything, Cause::Configuration, ECS),
    row(ERROR, "", Has(&["not associated with the cluster"]), Cause::Configuration, "github.com/dask/dask-cloudprovider/issues/328"),
    row(ERROR, "", Has(&["does not support launch_type", "not supported for this launch type"]), Cause::Configuration, REPORTED),
    row(ERROR, "", Has(&["execute command", "executecommand"]), Cause::Configuration, REPORTED),
    row(ERROR, "", Has(&["network configuration must be provided", "network configuration is not valid"]), Cause::Configuration, REPORTED),
    row(ERROR, "", Has(&[".notfound)", ".malformed)"]), Cause::Configuration, "EC2's codes, which ECS passes on: EC2 API reference, \"Error codes\""),
    row(ERROR, "", Has(&["cluster is inactive", "cluster was inactive"]), Cause::Configuration, REPORTED),
    row(ERROR, "InvalidAddress", Anything, Cause::Configuration, SQS),
    row(ERROR, "KmsDisabled", Anything, Cause::Configuration, SQS),
    row(ERROR, "KmsNotFound", Anything, Cause::Configuration, SQS),
    row(ERROR, "QueueDoesNotExist", Anything, Cause::Missing, SQS),
    row(ERROR, "AWS.SimpleQueueService.NonExistentQueue", Anything, Cause::Missing, SQS),
    row(ERROR, "ParameterNotFound", Anything, Cause::Missing, STORES),
    row(ERROR, "NoSuchKey", Anything, Cause::Missing, STORES),
    row(ERROR, "NoSuchBucket", Anything, Cause::Missing, STORES),
    row(ERROR, "ValidationError", Has(&["no active lifecycle action found"]), Cause::Over, SCALING),

    // The revision.
    row(ERROR, "", Has(&["taskdefinition is inactive", "task definition is inactive", "taskdefinition not found", "unable to describe task definition"]), Cause::Stale, REPORTED),

    // The account.
    row(ERROR, "BlockedException", Anything, Cause::Quota, ECS),
    row(ERROR, "LimitExceededException", Anything, Cause::Quota, ECS),
    row(ANYWHERE, "", Has(&["account is currently blocked"]), Cause::Quota, REPORTED),
    row(ANYWHERE, "", Has(&["reached the limit on the number of"]), Cause::Quota, "github.com/wellcomecollection/platform/issues/3875"),
    row(ANYWHERE, "", Has(&["quota"]), Cause::Quota, REPORTED),

    // The capacity.
    row(LATE, "", Begins("resource:eni"), Cause::NetworkInterface, FAILURES),
    row(ANYWHERE, "", Has(&["network interface", "insufficientfreeaddresses", "free addresses"]), Cause::NetworkInterface, STOPPED),
    row(LATE, "", Begins("resource:"), Cause::NoRoom, FAILURES),
    row(ANYWHERE, "", Has(&["spot capacity is unavailable", "spot capacity is not available"]), Cause::SpotGone, REPORTED),
    row(ANYWHERE, "", Has(&["capacity is unavailable"]), Cause::NoRoom, "github.com/sil-org/ecs-deploy/issues/277"),
    row(LATE, "", Has(&["empty capacity provider", "no active instances"]), Cause::NoRoom, FAILURES),
    row(ERROR, "", Has(&["no container instances were found"]), Cause::NoRoom, "github.com/aws/aws-cdk/issues/30171"),
    row(LATE, "", Begins("agent"), Cause::Agent, FAILURES),
    row(LATE, "", Begins("attribute"), Cause::Placement, FAILURES),
    row(LATE, "", Begins("location"), Cause::Placement, FAILURES),
    row(LATE, "", Begins("memberof placement constraint"), Cause::Placement, FAILURES),
    // The instance that was named is not there any more.
    row(&[Failure], "", Begins("missing"), Cause::NoRoom, FAILURES),
    row(&[Failure], "", Begins("inactive"), Cause::NoRoom, FAILURES),

    // What has the code alone.
    row(ERROR, "ClientException", Anything, Cause::BadRequest, ECS),
    row(ERROR, "InvalidParameterException", Anything, Cause::BadRequest, ECS),
    row(STOP, "TaskFailedToStart", Anything, Cause::OfWorker, STOP_CODES),
    row(STOP, "", Anything, Cause::OfOthers, "ECS API reference, Task.stopCode is an open list"),
];
