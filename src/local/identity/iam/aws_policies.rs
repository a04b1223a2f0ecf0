//! Policies that AWS manages, by their ARN: those that stacks like ours attach.
//!
//! The small ones are what AWS's are. The large ones (administrators, readers)
//! are told by wildcards instead of AWS's long lists. An ARN that is not here is
//! refused when somebody attaches it.

use iotstack_local_kernel::policy::Policy;

/// The policy behind `arn:aws:iam::aws:policy/…`; nothing if it is not known.
pub(super) fn managed(arn: &str) -> Option<Policy> {
    let name = arn.split_once(":iam::aws:policy/")?.1;
    let (_, statements) = KNOWN.iter().find(|(known, _)| *known == name)?;
    Some(Policy::allowing(statements))
}

type Statements = &'static [(&'static [&'static str], &'static str)];

const LOGS: &[&str] = &["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"];

const STACK_READS: &[&str] = &[
    "cloudformation:Describe*",
    "cloudformation:Detect*",
    "cloudformation:EstimateTemplateCost",
    "cloudformation:Get*",
    "cloudformation:List*",
    "cloudformation:ValidateTemplate",
];

const KNOWN: &[(&str, Statements)] = &[
    ("AdministratorAccess", &[(&["*"], "*")]),
    ("PowerUserAccess", &[(&NOT_IDENTITY, "*")]),
    ("ReadOnlyAccess", &[(READS, "*")]),
    ("AWSCloudFormationFullAccess", &[(&["cloudformation:*"], "*")]),
    ("AWSCloudFormationReadOnlyAccess", &[(STACK_READS, "*")]),
    ("AWSIoTConfigAccess", &[(&["iot:*"], "*")]),
    ("AWSIoTConfigReadOnlyAccess", &[(&["iot:Describe*", "iot:Get*", "iot:List*"], "*")]),
    (
        "AWSIoTDataAccess",
        &[(
            &[
                "iot:Connect",
                "iot:Publish",
                "iot:Subscribe",
                "iot:Receive",
                "iot:GetThingShadow",
                "iot:UpdateThingShadow",
                "iot:DeleteThingShadow",
                "iot:ListNamedShadowsForThing",
            ],
            "*",
        )],
    ),
    ("AWSIoTFullAccess", &[(&["iot:*", "iotjobsdata:*"], "*")]),
    ("AWSLambda_FullAccess", &[(&["lambda:*", "logs:*"], "*")]),
    ("AWSLambda_ReadOnlyAccess", &[(&["lambda:Get*", "lambda:List*"], "*")]),
    ("AWSLambdaExecute", &[(LOGS, "*"), (&["s3:GetObject", "s3:PutObject"], "arn:aws:s3:::*")]),
    ("AWSSignerFullAccess", &[(&["signer:*"], "*")]),
    ("AWSXRayDaemonWriteAccess", &[(XRAY, "*")]),
    ("AWSXrayWriteOnlyAccess", &[(XRAY, "*")]),
    ("AmazonDynamoDBFullAccess", &[(&["dynamodb:*"], "*")]),
    ("AmazonEventBridgeFullAccess", &[(&["events:*"], "*")]),
    ("AmazonS3FullAccess", &[(&["s3:*", "s3-object-lambda:*"], "*")]),
    ("AmazonS3ReadOnlyAccess", &[(&["s3:Get*", "s3:List*", "s3:Describe*"], "*")]),
    ("AmazonSNSFullAccess", &[(&["sns:*"], "*")]),
    ("AmazonSQSFullAccess", &[(&["sqs:*"], "*")]),
    ("AmazonSSMFullAccess", &[(&["ssm:*"], "*")]),
    ("AmazonSSMReadOnlyAccess", &[(&["ssm:Describe*", "ssm:Get*", "ssm:List*"], "*")]),
    ("CloudWatchFullAccess", &[(&["cloudwatch:*", "logs:*"], "*")]),
    ("CloudWatchFullAccessV2", &[(&["cloudwatch:*", "logs:*"], "*")]),
    ("CloudWatchLogsFullAccess", &[(&["logs:*"], "*")]),
    ("CloudWatchReadOnlyAccess", &[(WATCHES, "*")]),
    ("IAMFullAccess", &[(&["iam:*"], "*")]),
    ("IAMReadOnlyAccess", &[(&["iam:Generate*", "iam:Get*", "iam:List*", "iam:Simulate*"], "*")]),
    ("SecretsManagerReadWrite", &[(&["secretsmanager:*"], "*")]),
    ("SecurityAudit", &[(READS, "*")]),
    ("service-role/AWSIoTLogging", &[(IOT_LOGS, "*")]),
    (
        "service-role/AWSIoTRuleActions",
        &[(
            &[
                "dynamodb:PutItem",
                "iot:Publish",
                "kinesis:PutRecord",
                "s3:PutObject",
                "sns:Publish",
                "sqs:SendMessage",
                "sqs:SendMessageBatch",
            ],
            "*",
        )],
    ),
    (
        "service-role/AWSIoTThingsRegistration",
        &[(
            &[
                "iot:AddThingToThingGroup",
                "iot:AttachPolicy",
                "iot:AttachPrincipalPolicy",
                "iot:AttachThingPrincipal",
                "iot:CreateCertificateFromCsr",
                "iot:CreatePolicy",
                "iot:CreateThing",
                "iot:DescribeCertificate",
                "iot:DescribeThing",
                "iot:DescribeThingGroup",
                "iot:DescribeThingType",
                "iot:DetachPolicy",
                "iot:DetachThingPrincipal",
                "iot:GetPolicy",
                "iot:ListAttachedPolicies",
                "iot:ListPolicyPrincipals",
                "iot:ListPrincipalPolicies",
                "iot:ListPrincipalThings",
                "iot:ListTargetsForPolicy",
                "iot:ListThingGroupsForThing",
                "iot:ListThingPrincipals",
                "iot:RegisterCertificate",
                "iot:RegisterCertificateWithoutCA",
                "iot:RegisterThing",
                "iot:RemoveThingFromThingGroup",
                "iot:UpdateCertificate",
                "iot:UpdateThing",
                "iot:UpdateThingGroupsForThing",
                "iot:AddThingToBillingGroup",
                "iot:DescribeBillingGroup",
                "iot:RemoveThingFromBillingGroup",
            ],
            "*",
        )],
    ),
    ("service-role/AWSLambdaBasicExecutionRole", &[(LOGS, "*")]),
    (
        "service-role/AWSLambdaDynamoDBExecutionRole",
        &[
            (LOGS, "*"),
            (
                &[
                    "dynamodb:DescribeStream",
                    "dynamodb:GetRecords",
                    "dynamodb:GetShardIterator",
                    "dynamodb:ListStreams",
                ],
                "*",
            ),
        ],
    ),
    ("service-role/AWSLambdaRole", &[(&["lambda:InvokeFunction"], "*")]),
    (
        "service-role/AWSLambdaSQSQueueExecutionRole",
        &[
            (LOGS, "*"),
            (&["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], "*"),
        ],
    ),
    (
        "service-role/AWSLambdaVPCAccessExecutionRole",
        &[
            (LOGS, "*"),
            (
                &[
                    "ec2:CreateNetworkInterface",
                    "ec2:DescribeNetworkInterfaces",
                    "ec2:DescribeSubnets",
                    "ec2:DeleteNetworkInterface",
                    "ec2:AssignPrivateIpAddresses",
                    "ec2:UnassignPrivateIpAddresses",
                ],
                "*",
            ),
        ],
    ),
];

/// What reads, in AWS's way of naming.
const READS: &[&str] =
    &["*:Get*", "*:List*", "*:Describe*", "*:BatchGet*", "*:Head*", "*:Query*", "*:Scan*"];

const WATCHES: &[&str] =
    &["cloudwatch:Describe*", "cloudwatch:Get*", "cloudwatch:List*", "logs:Get*", "logs:Describe*"];

const XRAY: &[&str] =
    &["xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules"];

const IOT_LOGS: &[&str] = &[
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "logs:PutMetricFilter",
    "logs:PutRetentionPolicy",
    "iot:GetLoggingOptions",
    "iot:SetLoggingOptions",
    "iot:SetV2LoggingOptions",
    "iot:GetV2LoggingOptions",
];

/// All services of the local cloud but IAM.
const NOT_IDENTITY: [&str; 18] = [
    "acm:*",
    "cloudformation:*",
    "cloudwatch:*",
    "dynamodb:*",
    "events:*",
    "iot:*",
    "iotjobsdata:*",
    "kms:*",
    "lambda:*",
    "logs:*",
    "s3:*",
    "secretsmanager:*",
    "signer:*",
    "sns:*",
    "sqs:*",
    "ssm:*",
    "sts:*",
    "xray:*",
];

#[cfg(test)]
mod tests {
    use iotstack_local_kernel::policy::{Context, Question, Verdict};

    use super::*;

    #[test]
    fn policies_of_aws_are_known_by_their_arn() {
        let context = Context::default();
        let question =
            |action| Question { principal: None, action, resource: "*", context: &context };
        let basic = managed("arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole");
        let basic = basic.unwrap();
        assert_eq!(basic.verdict(&question("logs:PutLogEvents")), Verdict::Allow);
        assert_eq!(basic.verdict(&question("s3:GetObject")), Verdict::Silent);
        let reader = managed("arn:aws:iam::aws:policy/ReadOnlyAccess").unwrap();
        assert_eq!(reader.verdict(&question("iot:DescribeThing")), Verdict::Allow);
        assert_eq!(reader.verdict(&question("iot:DeleteThing")), Verdict::Silent);
        assert!(managed("arn:aws:iam::aws:policy/NoSuchPolicy").is_none());
        assert!(managed("arn:aws:iam::123456789012:policy/AdministratorAccess").is_none());
    }
}
