//! The bootstrap stack's template, as data.
//!
//! Names of parameters, resources, outputs and exports are a contract with the `cdk`
//! program: bucket and roles have fixed names in the account, so a stack that called
//! them otherwise could not be brought up to date by the other program. Everything else
//! is this program's own choice.

use iotstack_assembly::Template;
use serde_json::{Map, Value, json};

use super::{QUALIFIER, VERSION};

/// The bootstrap stack's template.
pub fn template() -> Template {
    Template {
        description: Some("Bucket and roles with which stacks are deployed here".into()),
        parameters: named(parameters()),
        conditions: named(conditions()),
        resources: resources(),
        outputs: named(outputs()),
        ..Template::default()
    }
}

fn parameters() -> Value {
    let list = |description: &str| json!({"Type": "CommaDelimitedList", "Default": "", "Description": description});
    let text = |default: &str, description: &str| json!({"Type": "String", "Default": default, "Description": description});
    let mut parameters = json!({
        "TrustedAccounts": list("Accounts that may publish and deploy here"),
        "TrustedAccountsForLookup": list("Accounts that may look things up here"),
        "CloudFormationExecutionPolicies":
            list("ARNs of managed policies for the role that CloudFormation uses"),
        "FileAssetsBucketName": text("", "Name of the bucket; empty for the usual one"),
        "FileAssetsBucketKmsKeyId": text("",
            "Key of the bucket: empty for a new one, AWS_MANAGED_KEY for that of S3, or an id"),
        "ContainerAssetsRepositoryName": text("", "Name of the repository; empty for the usual one"),
        "Qualifier": text(QUALIFIER, "Tells several bootstrap stacks of one environment apart"),
        "PublicAccessBlockConfiguration": text("true", "Whether the bucket refuses public access"),
        "InputPermissionsBoundary": text("",
            "Name of a managed policy that bounds the role that CloudFormation uses"),
        "BootstrapVariant": text(super::VARIANT, "Who made this stack's resources what they are"),
    });
    parameters["Qualifier"]["AllowedPattern"] = json!("[A-Za-z0-9_-]{1,10}");
    parameters["Qualifier"]["ConstraintDescription"] = json!("1 to 10 letters, digits, `_` or `-`");
    parameters["PublicAccessBlockConfiguration"]["AllowedValues"] = json!(["true", "false"]);
    parameters
}

fn conditions() -> Value {
    let equal = |value: &str, parameter: &str| json!({"Fn::Equals": [value, {"Ref": parameter}]});
    let given = |parameter: &str| json!({"Fn::Not": [equal("", parameter)]});
    let given_list = |parameter: &str| {
        let joined = json!({"Fn::Join": ["", {"Ref": parameter}]});
        json!({"Fn::Not": [{"Fn::Equals": ["", joined]}]})
    };
    json!({
        "HasTrustedAccounts": given_list("TrustedAccounts"),
        "HasTrustedAccountsForLookup": given_list("TrustedAccountsForLookup"),
        "HasCloudFormationExecutionPolicies": given_list("CloudFormationExecutionPolicies"),
        "HasCustomFileAssetsBucketName": given("FileAssetsBucketName"),
        "HasCustomContainerAssetsRepositoryName": given("ContainerAssetsRepositoryName"),
        "CreateNewKey": equal("", "FileAssetsBucketKmsKeyId"),
        "UseAwsManagedKey": equal("AWS_MANAGED_KEY", "FileAssetsBucketKmsKeyId"),
        "UsePublicAccessBlockConfiguration": equal("true", "PublicAccessBlockConfiguration"),
        "PermissionsBoundarySet": given("InputPermissionsBoundary"),
    })
}

fn resources() -> indexmap::IndexMap<String, iotstack_assembly::Resource> {
    let mut resources = indexmap::IndexMap::new();
    let mut add = |id: &str, kind: &str, properties: Value| {
        let mut resource = iotstack_assembly::Resource::new(kind);
        if let Value::Object(properties) = properties {
            resource.properties = properties;
        }
        if id.starts_with("FileAssetsBucketEncryptionKey") {
            resource.condition = Some("CreateNewKey".into());
        }
        if id == "StagingBucket" {
            resource.deletion_policy = Some("Retain".into());
            resource.update_replace_policy = Some("Retain".into());
        }
        resources.insert(id.to_owned(), resource);
    };
    add("FileAssetsBucketEncryptionKey", "AWS::KMS::Key", key());
    add(
        "FileAssetsBucketEncryptionKeyAlias",
        "AWS::KMS::Alias",
        json!({
            "AliasName": sub("alias/cdk-${Qualifier}-assets-key"),
            "TargetKeyId": {"Ref": "FileAssetsBucketEncryptionKey"},
        }),
    );
    add("StagingBucket", "AWS::S3::Bucket", bucket());
    add(
        "StagingBucketPolicy",
        "AWS::S3::BucketPolicy",
        json!({
            "Bucket": {"Ref": "StagingBucket"},
            "PolicyDocument": policy([json!({
                "Sid": "AllowSSLRequestsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
                "Resource": both_bucket_arns(),
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            })]),
        }),
    );
    add("ContainerAssetsRepository", "AWS::ECR::Repository", repository());
    let publish = "TrustedAccounts";
    add("FilePublishingRole", "AWS::IAM::Role", role("file-publishing", &[publish], json!({})));
    add("ImagePublishingRole", "AWS::IAM::Role", role("image-publishing", &[publish], json!({})));
    add("LookupRole", "AWS::IAM::Role", lookup_role());
    add("FilePublishingRoleDefaultPolicy", "AWS::IAM::Policy", file_policy());
    add("ImagePublishingRoleDefaultPolicy", "AWS::IAM::Policy", image_policy());
    add("DeploymentActionRole", "AWS::IAM::Role", deploy_role());
    add("CloudFormationExecutionRole", "AWS::IAM::Role", execution_role());
    add(
        "CdkBootstrapVersion",
        "AWS::SSM::Parameter",
        json!({
            "Type": "String",
            "Name": sub("/cdk-bootstrap/${Qualifier}/version"),
            "Value": VERSION.to_string(),
        }),
    );
    resources
}

fn outputs() -> Value {
    json!({
        "BucketName": {
            "Description": "The bucket of files",
            "Value": {"Ref": "StagingBucket"},
        },
        "BucketDomainName": {
            "Description": "The domain name of the bucket",
            "Value": attribute("StagingBucket", "RegionalDomainName"),
        },
        // Old apps import it, and a stack whose export is in use cannot drop it.
        "FileAssetKeyArn": {
            "Description": "The key of the bucket",
            "Value": if_("CreateNewKey",
                attribute("FileAssetsBucketEncryptionKey", "Arn"),
                json!({"Ref": "FileAssetsBucketKmsKeyId"})),
            "Export": {"Name": sub("CdkBootstrap-${Qualifier}-FileAssetKeyArn")},
        },
        "ImageRepositoryName": {
            "Description": "The repository of container images",
            "Value": {"Ref": "ContainerAssetsRepository"},
        },
        "BootstrapVersion": {
            "Description": "The version of this stack",
            "Value": attribute("CdkBootstrapVersion", "Value"),
        },
    })
}

fn key() -> Value {
    let account = sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:root");
    json!({"EnableKeyRotation": true, "KeyPolicy": policy([
        json!({
            "Sid": "AdministeredByTheAccount", "Effect": "Allow", "Principal": {"AWS": account},
            "Action": ["kms:Create*", "kms:Describe*", "kms:Enable*", "kms:List*", "kms:Put*",
                "kms:Update*", "kms:Revoke*", "kms:Disable*", "kms:Get*", "kms:Delete*",
                "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion", "kms:GenerateDataKey",
                "kms:TagResource", "kms:UntagResource"],
            "Resource": "*",
        }),
        json!({
            // The condition, not the principal, says who: this account, through S3 alone.
            "Sid": "UsedThroughS3", "Effect": "Allow", "Principal": {"AWS": "*"},
            "Action": key_use(), "Resource": "*",
            "Condition": {"StringEquals": {
                "kms:CallerAccount": {"Ref": "AWS::AccountId"},
                "kms:ViaService": sub("s3.${AWS::Region}.amazonaws.com"),
            }},
        }),
        json!({
            "Sid": "UsedByPublishers", "Effect": "Allow",
            "Principal": {"AWS": attribute("FilePublishingRole", "Arn")},
            "Action": key_use(), "Resource": "*",
        }),
    ])})
}

fn bucket() -> Value {
    let key = if_(
        "CreateNewKey",
        attribute("FileAssetsBucketEncryptionKey", "Arn"),
        if_("UseAwsManagedKey", none(), json!({"Ref": "FileAssetsBucketKmsKeyId"})),
    );
    let name = sub("cdk-${Qualifier}-assets-${AWS::AccountId}-${AWS::Region}");
    json!({
        "BucketName":
            if_("HasCustomFileAssetsBucketName", json!({"Ref": "FileAssetsBucketName"}), name),
        "BucketEncryption": {"ServerSideEncryptionConfiguration": [{
            "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key},
            "BucketKeyEnabled": true,
        }]},
        "PublicAccessBlockConfiguration": if_("UsePublicAccessBlockConfiguration", json!({
            "BlockPublicAcls": true, "BlockPublicPolicy": true,
            "IgnorePublicAcls": true, "RestrictPublicBuckets": true,
        }), none()),
        "VersioningConfiguration": {"Status": "Enabled"},
        "LifecycleConfiguration": {"Rules": [
            {"Id": "CleanupOldVersions", "Status": "Enabled",
                "NoncurrentVersionExpiration": {"NoncurrentDays": 30}},
            {"Id": "AbortIncompleteMultipartUploads", "Status": "Enabled",
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}},
        ]},
    })
}

fn repository() -> Value {
    let lifecycle = json!({"rules": [{
        "rulePriority": 1,
        "description": "Drops images without a tag after a year",
        "selection": {"tagStatus": "untagged", "countType": "sinceImagePushed",
            "countUnit": "days", "countNumber": 365},
        "action": {"type": "expire"},
    }]});
    let functions = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:*";
    json!({
        "RepositoryName": if_("HasCustomContainerAssetsRepositoryName",
            json!({"Ref": "ContainerAssetsRepositoryName"}),
            sub("cdk-${Qualifier}-container-assets-${AWS::AccountId}-${AWS::Region}")),
        "ImageTagMutability": "IMMUTABLE",
        "LifecyclePolicy": {"LifecyclePolicyText": lifecycle.to_string()},
        "RepositoryPolicyText": policy([json!({
            "Sid": "LambdaECRImageRetrievalPolicy", "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            "Condition": {"StringLike": {"aws:sourceArn": sub(functions)}},
        })]),
    })
}

fn lookup_role() -> Value {
    let lists = ["TrustedAccountsForLookup", "TrustedAccounts"];
    role(
        "lookup",
        &lists,
        json!({
            "ManagedPolicyArns": [sub("arn:${AWS::Partition}:iam::aws:policy/ReadOnlyAccess")],
            "Policies": [{"PolicyName": "LookupRolePolicy", "PolicyDocument": policy([json!({
                "Sid": "DontReadSecrets", "Effect": "Deny", "Action": "kms:Decrypt", "Resource": "*",
            })])}],
        }),
    )
}

fn file_policy() -> Value {
    let own_key = "arn:${AWS::Partition}:kms:${AWS::Region}:${AWS::AccountId}:key/\
                   ${FileAssetsBucketKmsKeyId}";
    let key = if_("CreateNewKey", attribute("FileAssetsBucketEncryptionKey", "Arn"), sub(own_key));
    json!({
        "PolicyName": sub("cdk-${Qualifier}-file-publishing-role-default-policy-\
                           ${AWS::AccountId}-${AWS::Region}"),
        "Roles": [{"Ref": "FilePublishingRole"}],
        "PolicyDocument": policy([
            json!({
                "Effect": "Allow",
                "Action": ["s3:GetObject*", "s3:GetBucket*", "s3:GetEncryptionConfiguration",
                    "s3:List*", "s3:DeleteObject*", "s3:PutObject*", "s3:Abort*"],
                "Resource": both_bucket_arns(),
                "Condition": {"StringEquals": {"aws:ResourceAccount": {"Ref": "AWS::AccountId"}}},
            }),
            json!({"Effect": "Allow", "Action": key_use(), "Resource": key}),
        ]),
    })
}

fn image_policy() -> Value {
    json!({
        "PolicyName": sub("cdk-${Qualifier}-image-publishing-role-default-policy-\
                           ${AWS::AccountId}-${AWS::Region}"),
        "Roles": [{"Ref": "ImagePublishingRole"}],
        "PolicyDocument": policy([
            json!({
                "Effect": "Allow",
                "Action": ["ecr:PutImage", "ecr:InitiateLayerUpload", "ecr:UploadLayerPart",
                    "ecr:CompleteLayerUpload", "ecr:BatchCheckLayerAvailability",
                    "ecr:DescribeRepositories", "ecr:DescribeImages", "ecr:BatchGetImage",
                    "ecr:GetDownloadUrlForLayer"],
                "Resource": attribute("ContainerAssetsRepository", "Arn"),
            }),
            json!({"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"}),
        ]),
    })
}

fn deploy_role() -> Value {
    let allow = |sid: &str, actions: Value, resource: Value| json!({"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource});
    let mut foreign_buckets = allow(
        "PipelineCrossAccountArtifactsBucket",
        json!([
            "s3:GetObject*",
            "s3:GetBucket*",
            "s3:List*",
            "s3:Abort*",
            "s3:DeleteObject*",
            "s3:PutObject*"
        ]),
        json!("*"),
    );
    foreign_buckets["Condition"] =
        json!({"StringNotEquals": {"s3:ResourceAccount": {"Ref": "AWS::AccountId"}}});
    let mut foreign_keys = allow("PipelineCrossAccountArtifactsKey", key_use(), json!("*"));
    foreign_keys["Condition"] = json!({"StringEquals": {
        "kms:ViaService": sub("s3.${AWS::Region}.amazonaws.com"),
    }});
    let version = "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter${CdkBootstrapVersion}";
    role(
        "deploy",
        &["TrustedAccounts"],
        json!({"Policies": [{
            "PolicyName": "default",
            "PolicyDocument": policy([
                allow("CloudFormationPermissions", json!([
                    "cloudformation:CreateChangeSet", "cloudformation:DeleteChangeSet",
                    "cloudformation:DescribeChangeSet", "cloudformation:DescribeStacks",
                    "cloudformation:ExecuteChangeSet", "cloudformation:CreateStack",
                    "cloudformation:UpdateStack", "cloudformation:RollbackStack",
                    "cloudformation:ContinueUpdateRollback", "cloudformation:CancelUpdateStack",
                ]), json!("*")),
                foreign_buckets,
                foreign_keys,
                allow("PassTheExecutionRole", json!("iam:PassRole"),
                    attribute("CloudFormationExecutionRole", "Arn")),
                allow("CliPermissions", json!([
                    "cloudformation:DescribeStackEvents", "cloudformation:DescribeEvents",
                    "cloudformation:GetTemplate", "cloudformation:GetTemplateSummary",
                    "cloudformation:ListStackResources", "cloudformation:DeleteStack",
                    "cloudformation:UpdateTerminationProtection", "sts:GetCallerIdentity",
                ]), json!("*")),
                allow("CliStagingBucket", json!(["s3:GetObject*", "s3:GetBucket*", "s3:List*"]),
                    both_bucket_arns()),
                allow("ReadVersion", json!(["ssm:GetParameter", "ssm:GetParameters"]), sub(version)),
            ]),
        }]}),
    )
}

fn execution_role() -> Value {
    let administrator = json!([sub("arn:${AWS::Partition}:iam::aws:policy/AdministratorAccess")]);
    json!({
        "RoleName": sub("cdk-${Qualifier}-cfn-exec-role-${AWS::AccountId}-${AWS::Region}"),
        "AssumeRolePolicyDocument": policy([json!({
            "Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"Service": "cloudformation.amazonaws.com"},
        })]),
        // Other accounts get no administrator by silence: they must name their policies.
        "ManagedPolicyArns": if_("HasCloudFormationExecutionPolicies",
            json!({"Ref": "CloudFormationExecutionPolicies"}),
            if_("HasTrustedAccounts", none(), administrator)),
        "PermissionsBoundary": if_("PermissionsBoundarySet",
            sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:policy/${InputPermissionsBoundary}"),
            none()),
    })
}

/// A role that this account, and the accounts of the given lists, may assume.
fn role(purpose: &str, trusted: &[&str], more: Value) -> Value {
    let trust = |principal: Value, action: &str| json!({"Effect": "Allow", "Action": action, "Principal": {"AWS": principal}});
    let account = json!({"Ref": "AWS::AccountId"});
    let mut statements =
        vec![trust(account.clone(), "sts:TagSession"), trust(account, "sts:AssumeRole")];
    statements.extend(trusted.iter().map(|list| {
        if_(&format!("Has{list}"), trust(json!({"Ref": list}), "sts:AssumeRole"), none())
    }));
    let mut role = json!({
        "RoleName":
            sub(&format!("cdk-${{Qualifier}}-{purpose}-role-${{AWS::AccountId}}-${{AWS::Region}}")),
        "AssumeRolePolicyDocument": policy(statements),
    });
    if let (Value::Object(role), Value::Object(more)) = (&mut role, more) {
        role.extend(more);
    }
    role["Tags"] = json!([{"Key": "aws-cdk:bootstrap-role", "Value": purpose}]);
    role
}

fn key_use() -> Value {
    json!([
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:Encrypt",
        "kms:ReEncrypt*",
        "kms:GenerateDataKey*"
    ])
}

fn both_bucket_arns() -> Value {
    json!([attribute("StagingBucket", "Arn"), sub("${StagingBucket.Arn}/*")])
}

fn policy(statements: impl IntoIterator<Item = Value>) -> Value {
    let statements: Vec<Value> = statements.into_iter().collect();
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn sub(text: &str) -> Value {
    json!({"Fn::Sub": text})
}

fn attribute(resource: &str, name: &str) -> Value {
    json!({"Fn::GetAtt": [resource, name]})
}

fn if_(condition: &str, then: Value, otherwise: Value) -> Value {
    json!({"Fn::If": [condition, then, otherwise]})
}

fn none() -> Value {
    json!({"Ref": "AWS::NoValue"})
}

fn named(value: Value) -> indexmap::IndexMap<String, Value> {
    match value {
        Value::Object(map) => map.into_iter().collect(),
        // Every caller gives an object literal.
        _ => Map::new().into_iter().collect(),
    }
}
