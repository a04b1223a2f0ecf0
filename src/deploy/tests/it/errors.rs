//! What AWS refuses, in the words of this crate.

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use iotstack_assembly::Environment;
use iotstack_deploy::change_set::DeployOptions;
use iotstack_deploy::{Error, Kind, Result};
use serde_json::json;

use crate::app::{App, Ears, deploy, proposal, template};
use crate::cloud::Cloud;

async fn refused(action: &str, code: &str, message: &str) -> Error {
    let cloud = Cloud::default();
    cloud.refuse(action, 100, code, message);
    deploy(&cloud, &App::new(template(&["A"])), &Ears::default()).await.unwrap_err()
}

#[tokio::test]
async fn expired_credentials_say_how_to_log_in() {
    let said = "The security token included in the request is expired";
    for (action, code) in
        [("GetCallerIdentity", "ExpiredToken"), ("CreateChangeSet", "ExpiredTokenException")]
    {
        let error = refused(action, code, said).await;
        assert_eq!(
            error.to_string(),
            "the AWS credentials of the default chain (environment, profile, SSO, instance) have \
             expired: The security token included in the request is expired"
        );
        assert_eq!(error.hint().unwrap(), "log in again, for example with `aws sso login`");
        assert_eq!(error.kind(), Kind::Cloud);
    }
}

#[tokio::test]
async fn unknown_credentials_are_told_from_expired_ones() {
    let said = "The security token included in the request is invalid.";
    let error = refused("GetCallerIdentity", "InvalidClientTokenId", said).await;
    assert!(error.to_string().starts_with("AWS does not accept the credentials of "), "{error}");
}

#[tokio::test]
async fn missing_credentials_are_found_before_anything_is_asked() {
    let cloud = Cloud::default();
    let config = aws_config::SdkConfig::builder()
        .region(aws_config::Region::from_static("eu-west-1"))
        .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
        .credentials_provider(SharedCredentialsProvider::new(Nobody))
        .http_client(cloud.clone())
        .build();
    let session = iotstack_deploy::Session::new(config, iotstack_deploy::Pace::INSTANT);
    let error = session.identity().await.unwrap_err();
    assert!(error.to_string().contains("gives no AWS credentials"), "{error}");
    assert!(error.hint().unwrap().starts_with("log in with `aws sso login`"));
    assert!(cloud.state().calls.is_empty());
}

#[tokio::test]
async fn a_denial_names_who_what_and_where() {
    let said = "User: arn:aws:iam::123456789012:user/tester is not authorized to perform: \
                cloudformation:CreateChangeSet on resource: \
                arn:aws:cloudformation:eu-west-1:123456789012:stack/Fleet-dev/* because no \
                identity-based policy allows the action";
    let error = refused("CreateChangeSet", "AccessDenied", said).await;
    let Error::AccessDenied { action, resource, principal, .. } = &error else { panic!("{error}") };
    assert_eq!(action, "cloudformation:CreateChangeSet");
    assert_eq!(
        resource.as_deref(),
        Some("arn:aws:cloudformation:eu-west-1:123456789012:stack/Fleet-dev/*")
    );
    assert_eq!(principal.as_deref(), Some("arn:aws:iam::123456789012:user/tester"));
}

#[tokio::test]
async fn throttling_is_told_by_its_code_and_not_by_its_status() {
    let error = refused("CreateChangeSet", "Throttling", "Rate exceeded").await;
    assert_eq!(
        error.to_string(),
        "AWS keeps throttling cloudformation:CreateChangeSet: Rate exceeded"
    );
}

#[tokio::test]
async fn watching_outlives_a_few_answers_that_do_not_come() {
    let cloud = Cloud::default();
    cloud.refuse("DescribeStackEvents", 5, "Throttling", "Rate exceeded");
    deploy(&cloud, &App::new(template(&["A"])), &Ears::default()).await.unwrap();
}

#[tokio::test]
async fn a_wrong_account_names_both() {
    let cloud = Cloud::default();
    let session = cloud.session();
    let error = session.clients(&Environment::new("999999999999", "eu-west-1")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "stack `aws://999999999999/eu-west-1` goes to account 999999999999, but the credentials \
         belong to account 123456789012"
    );
}

#[tokio::test]
async fn a_template_that_needs_a_bucket_is_refused_with_its_size() {
    let mut template = template(&["A"]);
    template["Description"] = "x".repeat(60_000).into();
    let bytes = template.to_string().len();
    let result = proposed(App::new(template)).await;
    assert_eq!(
        result.unwrap_err().to_string(),
        format!(
            "the template of stack `Fleet` has {bytes} bytes; more than 51200 must go through a \
             bucket, and the stack names none"
        )
    );
}

#[tokio::test]
async fn a_role_that_cloudformation_cannot_assume_is_a_missing_bootstrap() {
    let cloud = Cloud::default();
    let said = "Role arn:aws:iam::123456789012:role/cdk-hnb659fds-cfn-exec-role is invalid or \
                cannot be assumed";
    cloud.refuse("CreateChangeSet", 1, "ValidationError", said);
    let error = deploy(&cloud, &App::new(template(&["A"])), &Ears::default()).await.unwrap_err();
    assert!(matches!(error, Error::NotBootstrapped { .. }), "{error}");
}

#[tokio::test]
async fn an_old_bootstrap_stack_is_named_with_both_versions() {
    let cloud = Cloud::default();
    let toolkit = json!({"Resources": {}, "Outputs": {"BootstrapVersion": {"Value": "4"}}});
    cloud.state().stacks.put("CDKToolkit", "CREATE_COMPLETE", toolkit);
    let more = json!({"requiresBootstrapStackVersion": 6});
    let app = App::with(template(&["A"]), more, json!({}));
    let options = DeployOptions::default();
    let error = proposal(&cloud, &app, &options, &Ears::default()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "aws://123456789012/eu-west-1 has bootstrap version 4; stack `Fleet` needs 6"
    );
}

/// A chain in which nothing is found.
#[derive(Debug)]
struct Nobody;

impl ProvideCredentials for Nobody {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let nothing = CredentialsError::not_loaded("no provider in the chain has any");
        future::ProvideCredentials::ready(Err(nothing))
    }
}

async fn proposed(app: App) -> Result<iotstack_deploy::Proposal> {
    proposal(&Cloud::default(), &app, &DeployOptions::default(), &Ears::default()).await
}
