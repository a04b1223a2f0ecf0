//! What can go wrong in a function, and how an AWS service said no.
//!
//! A failed call keeps the service's own code, because what to do next depends on
//! it: a thing that is gone is fine when it should go, a throttled call is tried
//! again, everything else is told. Note that AWS IoT answers throttling with
//! status 400, so that only the code tells it apart from bad input.

use std::fmt;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use lambda_runtime::Diagnostic;

/// The result of a function's work.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a function could not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An environment variable is missing or wrong; the stack sets it.
    #[error("environment variable `{name}` {problem}")]
    Environment {
        /// The variable.
        name: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// `_HANDLER` names no function of this binary; the template sets it.
    #[error(
        "no function is called `{name}`: expected firmware-manager, job-events, \
         signing-profile, fleet-membership, claim-certificate or event-configurations"
    )]
    UnknownFunction {
        /// The name received.
        name: String,
    },
    /// The asynchronous runtime could not start or Lambda's runtime API broke off.
    #[error("the runtime stopped: {0}")]
    Runtime(String),
    /// A value that AWS IoT or a device would refuse.
    #[error(transparent)]
    Protocol(#[from] iotstack_protocol::Error),
    /// An AWS service refused a call or could not be reached.
    #[error(transparent)]
    Service(#[from] Box<ServiceFault>),
    /// An event that is not one for this function.
    #[error("the event is not one for this function: {0}")]
    Event(String),
    /// Properties of a custom resource that are missing or wrong.
    #[error("properties of {resource} are not valid: {reason}")]
    Properties {
        /// The resource type.
        resource: &'static str,
        /// What is wrong with them.
        reason: String,
    },
    /// A certificate that cannot be used for signing firmware.
    #[error("certificate `{certificate}` cannot sign firmware: {reason}")]
    Certificate {
        /// The ARN or the common name of the certificate.
        certificate: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No name is left for a signing profile, because cancelled ones keep theirs.
    #[error("no signing profile name is left: `{first}` and the next {count} are cancelled")]
    NoProfileName {
        /// The first name that was tried.
        first: String,
        /// How many more were tried.
        count: u32,
    },
    /// EventBridge took only some of the events; Lambda tries the event again.
    #[error("EventBridge refused the event for bus `{bus}`: {code}: {message}")]
    EventRefused {
        /// The bus.
        bus: String,
        /// EventBridge's code.
        code: String,
        /// EventBridge's message.
        message: String,
    },
    /// Work on one thing failed.
    #[error("thing `{thing}`: {source}")]
    Thing {
        /// The thing.
        thing: String,
        /// Why.
        source: Box<Error>,
    },
    /// The function's time was over before its work was done.
    #[error("time was over after {done} of {total} {what}: raise the timeout of the function")]
    OutOfTime {
        /// How many are done.
        done: usize,
        /// How many there are.
        total: usize,
        /// What they are.
        what: &'static str,
    },
    /// CloudFormation could not be told the result; Lambda tries the event again.
    #[error("cannot answer CloudFormation after {attempts} attempts: {reason}")]
    Answer {
        /// How often it was tried.
        attempts: u32,
        /// What happened the last time.
        reason: String,
    },
}

/// How an AWS service said no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceFault {
    /// The operation, such as `CreateJob`.
    pub operation: &'static str,
    /// The service's code, such as `ResourceNotFoundException`.
    pub code: Option<String>,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// What the service said, or why it could not be reached.
    pub message: String,
}

impl Error {
    /// The service's fault, if that is what it is.
    pub(crate) fn fault(&self) -> Option<&ServiceFault> {
        match self {
            Error::Service(fault) => Some(fault),
            _ => None,
        }
    }

    /// Whether a service answered with this code.
    pub(crate) fn has_code(&self, code: &str) -> bool {
        self.fault().is_some_and(|fault| fault.has_code(code))
    }

    /// Whether a service knows no such thing.
    pub(crate) fn is_not_found(&self) -> bool {
        self.fault().is_some_and(ServiceFault::is_not_found)
    }

    /// Whether a service asks for fewer calls.
    pub(crate) fn is_throttled(&self) -> bool {
        self.fault().is_some_and(ServiceFault::is_throttled)
    }
}

impl ServiceFault {
    pub(crate) fn has_code(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    pub(crate) fn is_not_found(&self) -> bool {
        self.has_code("ResourceNotFoundException")
            || self.has_code("NoSuchKey")
            || self.status == Some(404)
    }

    pub(crate) fn is_throttled(&self) -> bool {
        const CODES: [&str; 5] = [
            "ThrottlingException",
            "Throttling",
            "TooManyRequestsException",
            "RequestLimitExceeded",
            "SlowDown",
        ];
        CODES.iter().any(|code| self.has_code(code)) || self.status == Some(429)
    }
}

impl fmt::Display for ServiceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed: ", self.operation)?;
        match &self.code {
            Some(code) => write!(f, "{code}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for ServiceFault {}

/// Turns the SDK's error of `operation` into ours.
pub(crate) fn failed<E>(operation: &'static str) -> impl Fn(SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    move |error| {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let meta = error.as_service_error().map(ProvideErrorMetadata::meta);
        let code = meta.and_then(|meta| meta.code()).map(str::to_owned);
        let message = match meta.and_then(|meta| meta.message()) {
            Some(message) => message.to_owned(),
            None => match status {
                // An answer without a text, such as that to a HEAD request.
                Some(status) if code.is_none() => format!("the answer has status {status}"),
                _ => DisplayErrorContext(&error).to_string(),
            },
        };
        Box::new(ServiceFault { operation, code, status, message }).into()
    }
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Diagnostic {
        let error_type = match error.fault().and_then(|fault| fault.code.clone()) {
            Some(code) => code,
            None => "iotstack.FunctionError".to_owned(),
        };
        Diagnostic { error_type, error_message: error.to_string() }
    }
}
