//! Which sentence and which kind an error has.

use super::*;

fn denied_by(message: &str) -> Error {
    use aws_sdk_cloudformation::operation::describe_stacks::DescribeStacksError;
    use aws_smithy_runtime_api::client::result::SdkError;
    use aws_smithy_types::error::metadata::ErrorMetadata;
    let said = ErrorMetadata::builder().code("AccessDenied").message(message).build();
    let error: SdkError<DescribeStacksError, ()> =
        SdkError::service_error(DescribeStacksError::generic(said), ());
    from_sdk("cloudformation:DescribeStacks", Some("work"), error)
}

#[test]
fn a_denial_without_iams_usual_words_still_names_the_action() {
    let error = denied_by("no");
    assert_eq!(error.to_string(), "cloudformation:DescribeStacks is not allowed: no");
    assert_eq!(
        error.hint().unwrap(),
        "ask for a policy that allows cloudformation:DescribeStacks, or use another profile with \
         `--profile`"
    );
}

#[test]
fn credentials_of_a_profile_are_named_by_it() {
    let error = Error::Credentials {
        problem: CredentialProblem::Expired,
        profile: Some("work".into()),
        reason: "the token has expired".into(),
    };
    assert_eq!(
        error.to_string(),
        "the AWS credentials of profile `work` have expired: the token has expired"
    );
    assert_eq!(
        error.hint().unwrap(),
        "log in again, for example with `aws sso login --profile work`"
    );
}

#[test]
fn kinds_tell_who_can_mend_it() {
    let usage = Error::SelectionNeeded { available: vec!["A".into()] };
    let stack = Error::DockerAssets { assets: vec!["image".into()] };
    let cloud = Error::TerminationProtected { stack: "A".into() };
    let bug = Error::UnexpectedAnswer { action: "sts:GetCallerIdentity", missing: "Arn" };
    let kinds = [usage, stack, cloud, bug].map(|error| error.kind());
    assert_eq!(kinds, [Kind::Usage, Kind::Stack, Kind::Cloud, Kind::Bug]);
}
