//! What can go wrong between an assembly and AWS, and who can mend it.
//!
//! Answers of the SDK become one of these variants in `sdk`, by error code and never by
//! HTTP status alone, because AWS answers throttling with 400 as readily as with 429.
//! [`Error::kind`] is for exit codes, [`Error::hint`] for the line below the message.

mod sdk;
mod words;

use std::path::PathBuf;

use crate::event::Failure;
use crate::state::StackStatus;

use words::{cause, credentials, denied, failures_text, list, log_in, no_firmware};

pub(crate) use sdk::{code_of, deepest, from_credentials, from_sdk, message_of};

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Who can mend an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The command was wrong: an unknown stack, a missing region.
    Usage,
    /// The user's app or stack is wrong: an asset that is not there.
    Stack,
    /// AWS said no, or could not be reached.
    Cloud,
    /// Nobody but us: an answer that cannot be.
    Bug,
}

/// Why credentials do not serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CredentialProblem {
    /// There are none.
    Missing,
    /// They were good once.
    Expired,
    /// AWS does not know them, or the signature does not fit.
    Invalid,
    /// Whatever should give them failed.
    Failed,
}

/// Why an operation stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The assembly cannot be read. Whoever wrote it fixes it.
    #[error(transparent)]
    Assembly(#[from] iotstack_assembly::Error),
    /// A file cannot be read or packed. The user fixes the path or its permissions.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, such as `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },

    /// A name or pattern fits no stack.
    #[error("no stack matches `{pattern}`; the app has {}", list(available))]
    NoStackMatches {
        /// What was asked for.
        pattern: String,
        /// The names there are.
        available: Vec<String>,
        /// The one that was probably meant.
        nearest: Option<String>,
    },
    /// There are several stacks and none was named.
    #[error("the app has several stacks and none was named: {}", list(available))]
    SelectionNeeded {
        /// The names there are.
        available: Vec<String>,
    },
    /// The app has no stack.
    #[error("the app has no stacks")]
    NoStacks,
    /// A value for a parameter that the template does not have.
    #[error("stack `{stack}` has no parameter `{parameter}`; it has {}", list(available))]
    UnknownParameter {
        /// The stack's name.
        stack: String,
        /// What was given.
        parameter: String,
        /// The parameters there are.
        available: Vec<String>,
    },
    /// Parameters without a value, a default or a previous value.
    #[error("stack `{stack}` needs a value for {}", list(parameters))]
    MissingParameters {
        /// The stack's name.
        stack: String,
        /// The parameters without a value.
        parameters: Vec<String>,
    },
    /// An option has a value that AWS would refuse.
    #[error("{option} `{value}` is not valid: {expected}")]
    InvalidOption {
        /// The option or the environment variable, such as `qualifier`.
        option: String,
        /// What was given.
        value: String,
        /// What would be accepted.
        expected: &'static str,
    },
    /// Neither the stack, the command, the environment nor the profile names a region.
    #[error("no region is set for {for_what}")]
    NoRegion {
        /// What needs it.
        for_what: String,
    },

    /// Credentials are missing or not accepted.
    #[error("{}", credentials(*problem, profile.as_deref(), reason))]
    Credentials {
        /// What is wrong with them.
        problem: CredentialProblem,
        /// The profile, if one was named.
        profile: Option<String>,
        /// What the chain or AWS said.
        reason: String,
    },
    /// The credentials belong to another account than the stack.
    #[error(
        "stack `{stack}` goes to account {wanted}, but the credentials belong to account {found}"
    )]
    WrongAccount {
        /// The stack's name for people.
        stack: String,
        /// The account that the stack names.
        wanted: String,
        /// The account of the credentials.
        found: String,
        /// Why the deployment role could not lead there, if it was tried.
        role: Option<String>,
    },
    /// Something of the bootstrap stack is missing.
    #[error("{environment} is not bootstrapped: {reason}")]
    NotBootstrapped {
        /// The environment, `aws://ACCOUNT/REGION`.
        environment: String,
        /// What is missing.
        reason: String,
    },
    /// The bootstrap stack is older than the app needs.
    #[error("{environment} has bootstrap version {found}; stack `{stack}` needs {needed}")]
    BootstrapTooOld {
        /// The environment.
        environment: String,
        /// The stack's name for people.
        stack: String,
        /// The version there.
        found: u32,
        /// The version needed.
        needed: u32,
    },
    /// The caller may not do this.
    #[error("{}", denied(action, resource.as_deref(), principal.as_deref(), message))]
    AccessDenied {
        /// The action, such as `cloudformation:CreateChangeSet`.
        action: String,
        /// What it was tried on, if AWS said so.
        resource: Option<String>,
        /// Who tried, if AWS said so.
        principal: Option<String>,
        /// What AWS said.
        message: String,
    },
    /// AWS asked to slow down, again and again.
    #[error("AWS keeps throttling {action}: {message}")]
    Throttled {
        /// The action.
        action: &'static str,
        /// What AWS said.
        message: String,
    },
    /// No answer came.
    #[error("cannot reach AWS for {action}: {reason}")]
    Unreachable {
        /// The action.
        action: &'static str,
        /// The connection's fault.
        reason: String,
    },
    /// AWS refused for a reason of the service's own.
    #[error("AWS refused {action}: {code}: {message}")]
    Service {
        /// The action.
        action: &'static str,
        /// The error code.
        code: String,
        /// What AWS said.
        message: String,
        /// The request, for AWS support.
        request_id: Option<String>,
    },
    /// A key for a device cannot be made.
    #[error("no key can be made for a device: {0}")]
    DeviceKey(rcgen::Error),
    /// An answer without what every answer has.
    #[error("the answer to {action} has no {missing}")]
    UnexpectedAnswer {
        /// The action.
        action: &'static str,
        /// What is missing.
        missing: &'static str,
    },

    /// The stack is in a state in which this cannot be done.
    #[error("stack `{stack}` is in state {status}: {advice}")]
    StackState {
        /// The stack's name.
        stack: String,
        /// The state.
        status: StackStatus,
        /// What can be done.
        advice: &'static str,
    },
    /// The stack has not the output of a firmware-update stack, or not that part.
    #[error("stack `{stack}` has no output `{output}`")]
    MissingOutput {
        /// The stack's name.
        stack: String,
        /// The output.
        output: &'static str,
    },
    /// There is no such firmware in the bucket.
    #[error("{}", no_firmware(key, version_id.as_deref(), bucket))]
    FirmwareNotFound {
        /// What was asked for.
        key: String,
        /// The version of the object, if one was named.
        version_id: Option<String>,
        /// The bucket.
        bucket: String,
    },
    /// Signer could not sign.
    #[error("`{key}` could not be signed: {reason}")]
    SigningFailed {
        /// The key of the firmware.
        key: String,
        /// Signer's reason.
        reason: String,
    },
    /// Signer is not done for a long time.
    #[error("job `{job}` of Signer is not done after {looks} looks")]
    SigningLate {
        /// The job.
        job: String,
        /// How often was looked.
        looks: u32,
    },
    /// The update manager said no.
    #[error("{function} refused: {message} ({code})")]
    ManagerRefused {
        /// The function's name.
        function: String,
        /// Its code.
        code: String,
        /// Its words.
        message: String,
    },
    /// There is no such stack in the account.
    #[error("stack `{stack}` does not exist in {environment}")]
    StackNotFound {
        /// The stack's name.
        stack: String,
        /// Where it was looked for.
        environment: String,
    },
    /// There is no such change set.
    #[error("stack `{stack}` has no change set `{change_set}`")]
    ChangeSetNotFound {
        /// The stack's name.
        stack: String,
        /// The change set's name.
        change_set: String,
    },
    /// CloudFormation could not compute the change set.
    #[error("the change set for stack `{stack}` failed: {reason}")]
    ChangeSetFailed {
        /// The stack's name.
        stack: String,
        /// What CloudFormation said.
        reason: String,
    },
    /// The change set cannot be executed any more.
    #[error("change set `{change_set}` of stack `{stack}` cannot be executed: it is {status}")]
    ChangeSetNotExecutable {
        /// The stack's name.
        stack: String,
        /// The change set's name.
        change_set: String,
        /// Its execution status, such as `OBSOLETE`.
        status: String,
    },
    /// The operation failed, and CloudFormation took the stack back.
    #[error("stack `{stack}` was rolled back ({status}): {}", cause(failure.as_deref()))]
    RolledBack {
        /// The stack's name.
        stack: String,
        /// Where it stands.
        status: StackStatus,
        /// The first real failure.
        failure: Option<Box<Failure>>,
    },
    /// The operation failed, and the stack was left as it is.
    #[error("stack `{stack}` failed ({status}): {}", cause(failure.as_deref()))]
    Failed {
        /// The stack's name.
        stack: String,
        /// Where it stands.
        status: StackStatus,
        /// The first real failure.
        failure: Option<Box<Failure>>,
    },
    /// The stack could not be deleted.
    #[error("stack `{stack}` could not be deleted: {}", failures_text(failures))]
    DeleteFailed {
        /// The stack's name.
        stack: String,
        /// What stands in the way.
        failures: Vec<Failure>,
    },
    /// Something stands in the way of deletion, and clearing it was not agreed to.
    #[error("stack `{stack}` cannot be deleted as it is: {}", blockers.join("; "))]
    DeleteBlocked {
        /// The stack's name.
        stack: String,
        /// What stands in the way.
        blockers: Vec<String>,
    },
    /// The stack is protected.
    #[error("stack `{stack}` has termination protection and cannot be deleted")]
    TerminationProtected {
        /// The stack's name.
        stack: String,
    },
    /// A template that does not fit into a request.
    #[error(
        "the template of stack `{stack}` has {bytes} bytes; more than {limit} must go through a \
         bucket, and the stack names none"
    )]
    TemplateTooLarge {
        /// The stack's name for people.
        stack: String,
        /// Its size.
        bytes: usize,
        /// What a request may hold.
        limit: usize,
    },
    /// A template that CloudFormation refuses however it arrives.
    #[error(
        "the template of stack `{stack}` has {bytes} bytes; CloudFormation accepts at most {limit}"
    )]
    TemplateTooLargeForBucket {
        /// The stack's name for people.
        stack: String,
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A file that the assembly lists is not there.
    #[error("asset `{asset}` is missing: {} does not exist", path.display())]
    AssetMissing {
        /// The asset's name for people.
        asset: String,
        /// Where it should be.
        path: PathBuf,
    },
    /// An asset whose packing is wrong.
    #[error("asset `{asset}` is not valid: {message}")]
    AssetInvalid {
        /// The asset's name for people.
        asset: String,
        /// What is wrong, and what would be accepted.
        message: String,
    },
    /// Container images, which iotstack does not build.
    #[error("container images are not supported: {}", list(assets))]
    DockerAssets {
        /// The images' names.
        assets: Vec<String>,
    },
    /// A background task ended without a result.
    #[error("a background task stopped: {0}")]
    Task(String),
}

impl Error {
    /// Who can mend it.
    pub fn kind(&self) -> Kind {
        use Error::*;
        match self {
            NoStackMatches { .. } | SelectionNeeded { .. } | UnknownParameter { .. } => Kind::Usage,
            MissingParameters { .. } | InvalidOption { .. } | NoRegion { .. } => Kind::Usage,
            FirmwareNotFound { .. } => Kind::Usage,
            ManagerRefused { code, .. } if code == "InvalidRequest" => Kind::Usage,
            Assembly(_) | Io { .. } | NoStacks | TemplateTooLarge { .. } => Kind::Stack,
            TemplateTooLargeForBucket { .. } | AssetMissing { .. } => Kind::Stack,
            AssetInvalid { .. } | DockerAssets { .. } => Kind::Stack,
            UnexpectedAnswer { .. } | DeviceKey(_) | Task(_) => Kind::Bug,
            _ => Kind::Cloud,
        }
    }

    /// What to do about it, if that is known.
    pub fn hint(&self) -> Option<String> {
        use Error::*;
        Some(match self {
            NoStackMatches { nearest: Some(nearest), .. } => format!("did you mean `{nearest}`?"),
            NoStackMatches { .. } => "`iotstack ls` lists the stacks".into(),
            SelectionNeeded { .. } => "name stacks, or use `--all`".into(),
            MissingParameters { .. } => "give values with `--parameters NAME=VALUE`".into(),
            NoRegion { .. } => {
                "use `--region`, set AWS_REGION, or put a region into the profile".into()
            }
            Credentials { problem, profile, .. } => log_in(*problem, profile.as_deref()),
            WrongAccount { wanted, role: Some(reason), .. } => format!(
                "use credentials of account {wanted}; the deployment role did not help: {reason}"
            ),
            WrongAccount { wanted, .. } => {
                format!("use a profile of account {wanted} with `--profile`")
            }
            MissingOutput { output: "ProvisioningTemplateName" | "ClaimSecretArn", .. } => {
                "set `claim_provisioning: true` and deploy the stack".into()
            }
            MissingOutput { .. } => "deploy the firmware-update stack again".into(),
            FirmwareNotFound { .. } => "`iotstack firmware list` shows what is there".into(),
            ManagerRefused { code, .. } => match code.as_str() {
                "FirmwareNotFound" => "`iotstack firmware list` shows what is there".into(),
                "FirmwareNotSigned" => "`iotstack firmware sign KEY` signs it".into(),
                "JobNotFound" => "`iotstack job list` shows the jobs".into(),
                _ => return None,
            },
            NotBootstrapped { environment, .. } => {
                format!("run `iotstack bootstrap {environment}`")
            }
            BootstrapTooOld { environment, .. } => {
                format!("run `iotstack bootstrap {environment}` to bring it up to date")
            }
            AccessDenied { action, .. } => format!(
                "ask for a policy that allows {action}, or use another profile with `--profile`"
            ),
            Throttled { .. } => "wait a little and run the command again; it resumes".into(),
            Unreachable { .. } => {
                "check the network, the proxy, the region and `--endpoint-url`".into()
            }
            Service { request_id: Some(id), .. } => format!("the request's id is {id}"),
            ChangeSetNotExecutable { .. } => "deploy again to make a new change set".into(),
            DeleteBlocked { .. } => {
                "agree to clearing what stands in the way, or to leaving it behind".into()
            }
            DeleteFailed { .. } => {
                "clear what stands in the way and destroy again, or agree to leaving it behind"
                    .into()
            }
            RolledBack { status: StackStatus::RollbackComplete, .. } => {
                "the next deployment deletes the stack that never came up, and makes it anew".into()
            }
            TerminationProtected { stack } => format!(
                "switch it off first: `aws cloudformation update-termination-protection \
                 --no-enable-termination-protection --stack-name {stack}`"
            ),
            TemplateTooLarge { .. } => {
                "run `iotstack bootstrap` for the environment and synthesize the stack with \
                 template assets"
                    .into()
            }
            TemplateTooLargeForBucket { .. } => "split the stack into several".into(),
            AssetMissing { .. } => "synthesize again".into(),
            DockerAssets { .. } => "publish images with your own tool, or use zip assets".into(),
            Failed { status, .. } if *status == StackStatus::UpdateRollbackFailed => {
                "deploy again to continue the rollback; `--orphan LOGICAL_ID` leaves a resource out"
                    .into()
            }
            _ => return None,
        })
    }

    /// An I/O error with its path.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Error::Io { action, path, source }
    }
}

#[cfg(test)]
mod tests;
