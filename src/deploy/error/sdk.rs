//! From the SDK's errors to ours, by error code.
//!
//! The SDK's own error types differ per operation and hide the code behind traits; this
//! file looks at the code, the message and the chain of sources, and at nothing else.
//! Codes are shared by all services, so one table serves every call.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::{ErrorMetadata, ProvideErrorMetadata};

use super::{CredentialProblem, Error};

/// The error for a failed call of `action`, such as `cloudformation:DescribeStacks`.
pub(crate) fn from_sdk<E, R>(
    action: &'static str,
    profile: Option<&str>,
    error: SdkError<E, R>,
) -> Error
where
    E: ProvideErrorMetadata + StdError + 'static,
    R: std::fmt::Debug + 'static,
{
    let causes = error_sources(&error);
    if let Some(problem) = causes.iter().find_map(|cause| cause.downcast_ref::<CredentialsError>())
    {
        return from_credentials(problem, profile);
    }
    let SdkError::ServiceError(service) = &error else {
        return match &error {
            SdkError::ConstructionFailure(_) => Error::Service {
                action,
                code: "InvalidRequest".into(),
                message: deepest(&error),
                request_id: None,
            },
            SdkError::ResponseError(_) => Error::Unreachable {
                action,
                reason: format!("unreadable answer: {}", deepest(&error)),
            },
            _ => Error::Unreachable { action, reason: deepest(&error) },
        };
    };
    let metadata = service.err().meta();
    let code = metadata.code().unwrap_or("Unknown").to_owned();
    let message = metadata.message().unwrap_or("no message").to_owned();
    let request_id = metadata.extra("aws_request_id").map(str::to_owned);
    by_code(action, profile, code, message, request_id)
}

/// The error for credentials that could not be loaded.
pub(crate) fn from_credentials(error: &CredentialsError, profile: Option<&str>) -> Error {
    let mut reason = deepest(error);
    if profile.is_some() && reason.ends_with("provider was not enabled") {
        // The SDK's way to say that it looked nowhere.
        reason = "it holds none, or there is no such profile".to_owned();
    }
    let problem = match error {
        _ if mentions_expiry(&reason) => CredentialProblem::Expired,
        CredentialsError::CredentialsNotLoaded(_) => CredentialProblem::Missing,
        _ => CredentialProblem::Failed,
    };
    Error::Credentials { problem, profile: profile.map(str::to_owned), reason }
}

/// The error code of a failed call, if the service gave one.
pub(crate) fn code_of<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Option<&str> {
    error.as_service_error().and_then(|error| error.meta().code())
}

/// The message of a failed call, or nothing.
pub(crate) fn message_of<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> &str {
    error.as_service_error().and_then(|error| error.meta().message()).unwrap_or_default()
}

fn by_code(
    action: &'static str,
    profile: Option<&str>,
    code: String,
    message: String,
    request_id: Option<String>,
) -> Error {
    let credentials = |problem| Error::Credentials {
        problem,
        profile: profile.map(str::to_owned),
        reason: message.clone(),
    };
    match code.as_str() {
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => {
            credentials(CredentialProblem::Expired)
        }
        "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "AuthFailure"
        | "InvalidToken"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException" => {
            // An expired token of a role that is gone answers like an unknown one.
            let expired = mentions_expiry(&message);
            credentials(if expired {
                CredentialProblem::Expired
            } else {
                CredentialProblem::Invalid
            })
        }
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "Forbidden"
        | "UnauthorizedException"
        | "NotAuthorized"
        | "AuthorizationError" => {
            let (principal, denied, resource) = parse_denial(&message);
            Error::AccessDenied {
                action: denied.unwrap_or_else(|| action.to_owned()),
                resource,
                principal,
                message,
            }
        }
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "SlowDown"
        | "BandwidthLimitExceeded" => Error::Throttled { action, message },
        _ => Error::Service { action, code, message, request_id },
    }
}

/// Who, what and on which resource, out of IAM's sentence: `User: WHO is not authorized
/// to perform: WHAT on resource: WHICH because …`.
fn parse_denial(message: &str) -> (Option<String>, Option<String>, Option<String>) {
    let word_after = |marker: &str| {
        let rest = message.split_once(marker)?.1.trim_start();
        let word = rest.split_whitespace().next()?.trim_matches(['"', '\'', '.', ',']);
        (!word.is_empty()).then(|| word.to_owned())
    };
    (word_after("User: "), word_after("to perform: "), word_after("on resource: "))
}

fn mentions_expiry(reason: &str) -> bool {
    let reason = reason.to_ascii_lowercase();
    reason.contains("expired") || reason.contains("token included in the request is expired")
}

/// The chain of causes below an error, the error itself first.
fn error_sources<'a>(error: &'a (dyn StdError + 'static)) -> Vec<&'a (dyn StdError + 'static)> {
    let mut chain = vec![error];
    let mut next = error.source();
    while let Some(cause) = next {
        chain.push(cause);
        next = cause.source();
    }
    chain
}

/// The message of the last cause: the layers above it only say that something failed.
pub(crate) fn deepest(error: &(dyn StdError + 'static)) -> String {
    let causes = error_sources(error);
    let Some(last) = causes.last() else { return String::new() };
    match last.downcast_ref::<ErrorMetadata>() {
        // What a service said, without the wrapping that is meant for programmers.
        Some(said) => match (said.code(), said.message()) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            _ => said.to_string(),
        },
        None => last.to_string(),
    }
}
