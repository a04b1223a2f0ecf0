//! The sentences of errors that are more than one format string.
//!
//! They live apart so that the list of errors can be read in one go. Each is used by one
//! or two variants, and says nothing that the variant's fields do not.

use super::CredentialProblem;
use crate::event::Failure;

pub(super) fn list(names: &[String]) -> String {
    match names {
        [] => "none".into(),
        names => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    }
}

pub(super) fn cause(failure: Option<&Failure>) -> String {
    failure.map_or_else(|| "CloudFormation gave no reason".into(), Failure::to_string)
}

pub(super) fn failures_text(failures: &[Failure]) -> String {
    match failures {
        [] => "CloudFormation gave no reason".into(),
        all => all.iter().map(Failure::to_string).collect::<Vec<_>>().join("; "),
    }
}

pub(super) fn credentials(
    problem: CredentialProblem,
    profile: Option<&str>,
    reason: &str,
) -> String {
    let source = profile.map_or_else(
        || "the default chain (environment, profile, SSO, instance)".into(),
        |profile| format!("profile `{profile}`"),
    );
    match problem {
        CredentialProblem::Missing => format!("{source} gives no AWS credentials: {reason}"),
        CredentialProblem::Expired => {
            format!("the AWS credentials of {source} have expired: {reason}")
        }
        CredentialProblem::Invalid => {
            format!("AWS does not accept the credentials of {source}: {reason}")
        }
        CredentialProblem::Failed => {
            format!("the AWS credentials of {source} could not be loaded: {reason}")
        }
    }
}

pub(super) fn log_in(problem: CredentialProblem, profile: Option<&str>) -> String {
    let option = profile.map(|profile| format!(" --profile {profile}")).unwrap_or_default();
    match problem {
        CredentialProblem::Missing | CredentialProblem::Failed if profile.is_some() => {
            format!("log in with `aws sso login{option}`, or name another profile with `--profile`")
        }
        CredentialProblem::Missing | CredentialProblem::Failed => format!(
            "log in with `aws sso login{option}`, set AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY, or name a profile with `--profile`"
        ),
        CredentialProblem::Expired => {
            format!("log in again, for example with `aws sso login{option}`")
        }
        CredentialProblem::Invalid => {
            "check the access key, the session token and this machine's clock".into()
        }
    }
}

pub(super) fn denied(
    action: &str,
    resource: Option<&str>,
    principal: Option<&str>,
    message: &str,
) -> String {
    match (principal, resource) {
        (Some(principal), Some(resource)) => {
            format!("{principal} may not do {action} on {resource}: {message}")
        }
        (None, Some(resource)) => format!("{action} on {resource} is not allowed: {message}"),
        (Some(principal), None) => format!("{principal} may not do {action}: {message}"),
        (None, None) => format!("{action} is not allowed: {message}"),
    }
}

pub(super) fn no_firmware(key: &str, version_id: Option<&str>, bucket: &str) -> String {
    let version = version_id.map(|id| format!(" in version `{id}`")).unwrap_or_default();
    format!("there is no firmware `{key}`{version} in bucket `{bucket}`")
}
