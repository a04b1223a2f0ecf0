//! The template's contract with `cdk`, and what the options give.

use super::*;
use iotstack_assembly::intrinsic::{Reference, references};

#[test]
fn the_template_keeps_the_names_that_cdk_knows() {
    let template = template();
    for id in [
        "StagingBucket",
        "StagingBucketPolicy",
        "ContainerAssetsRepository",
        "FilePublishingRole",
        "FilePublishingRoleDefaultPolicy",
        "ImagePublishingRole",
        "ImagePublishingRoleDefaultPolicy",
        "LookupRole",
        "DeploymentActionRole",
        "CloudFormationExecutionRole",
        "CdkBootstrapVersion",
        "FileAssetsBucketEncryptionKey",
        "FileAssetsBucketEncryptionKeyAlias",
    ] {
        assert!(template.resources.contains_key(id), "{id}");
    }
    let outputs: Vec<&str> = template.outputs.keys().map(String::as_str).collect();
    let expected = [
        "BucketName",
        "BucketDomainName",
        "FileAssetKeyArn",
        "ImageRepositoryName",
        "BootstrapVersion",
    ];
    assert_eq!(outputs, expected);
    let name = |id: &str| template.resources[id].properties["RoleName"]["Fn::Sub"].clone();
    assert_eq!(
        name("DeploymentActionRole"),
        "cdk-${Qualifier}-deploy-role-${AWS::AccountId}-${AWS::Region}"
    );
    assert_eq!(
        name("CloudFormationExecutionRole"),
        "cdk-${Qualifier}-cfn-exec-role-${AWS::AccountId}-${AWS::Region}"
    );
}

#[test]
fn the_template_refers_only_to_what_it_holds() {
    let template = template();
    let value = template.to_value();
    for found in references(&value) {
        let (name, known) = match &found.reference {
            Reference::Name(name) | Reference::Attribute(name, _) => (
                name,
                template.parameters.contains_key(name) || template.resources.contains_key(name),
            ),
            Reference::Condition(name) => (name, template.conditions.contains_key(name)),
            Reference::Mapping(name) => (name, template.mappings.contains_key(name)),
        };
        assert!(known || name.starts_with("AWS::"), "{name} at {:?}", found.path);
    }
}

#[test]
fn the_template_fits_into_a_request() {
    assert!(compact(&template()).len() < crate::change_set::INLINE_TEMPLATE_LIMIT / 2);
}

#[test]
fn a_new_stack_makes_no_key_and_an_old_one_keeps_its_own() {
    let options = BootstrapOptions::default();
    assert_eq!(parameters(&options, false)["FileAssetsBucketKmsKeyId"], "AWS_MANAGED_KEY");
    assert!(parameters(&options, true).is_empty());
    let options = BootstrapOptions { key: Some(BucketKey::New), ..options };
    assert_eq!(parameters(&options, true)["FileAssetsBucketKmsKeyId"], "");
}

#[test]
fn trusting_an_account_needs_policies() {
    let trust = Some(vec!["111111111111".to_owned()]);
    let options = BootstrapOptions { trust, ..BootstrapOptions::default() };
    let refused = |options: &BootstrapOptions| {
        check_trust(options, None, &parameters(options, false)).map_err(|error| error.to_string())
    };
    assert_eq!(
        refused(&options).unwrap_err(),
        "trust `111111111111` is not valid: trusted accounts need the policies of the role that \
         deploys for them; name them with `--cloudformation-execution-policies`"
    );
    let policies = vec!["arn:aws:iam::aws:policy/PowerUserAccess".to_owned()];
    let options = BootstrapOptions { execution_policies: Some(policies), ..options };
    refused(&options).unwrap();
}

#[test]
fn refuses_options_that_aws_would_refuse() {
    let refused = |options: BootstrapOptions| check(&options).unwrap_err().to_string();
    let qualifier = Some("elevenchars".to_owned());
    assert_eq!(
        refused(BootstrapOptions { qualifier, ..BootstrapOptions::default() }),
        "qualifier `elevenchars` is not valid: expected 1 to 10 letters, digits, `_` or `-`"
    );
    let trust = Some(vec!["12".to_owned()]);
    assert_eq!(
        refused(BootstrapOptions { trust, ..BootstrapOptions::default() }),
        "trusted account `12` is not valid: expected the 12 digits of an account"
    );
}
