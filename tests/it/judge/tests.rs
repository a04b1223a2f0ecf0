//! The judges judged: each finds what was planted for it.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::cdk::{Peer, cdk, succeed};
use super::cloud::{ACCOUNT, Cloud, Options, REGION, left_over};
use super::lint::{Template, Verdict, lint, lint_with};

#[test]
fn each_linter_finds_the_mistake_planted_for_it() {
    let verdict = judge(&faulty(), &json!([]));
    let found = |judge: &str, rule: &str, place: &str| {
        verdict
            .findings
            .iter()
            .any(|f| f.judge == judge && f.rule == rule && f.path.starts_with(place))
    };
    assert!(found("cfn-lint", "E3002", "Resources/Bucket"), "{verdict:#?}");
    assert!(found("cfn-lint", "E3030", "Resources/Profile"), "{verdict:#?}");
    assert!(found("cloudformation-validate", "W3030", "Resources/Profile"), "{verdict:#?}");
    assert!(found("parliament", "UNKNOWN_ACTION", "Resources/Role"), "{verdict:#?}");
    assert!(found("parliament", "RESOURCE_MISMATCH", "Resources/Device"), "{verdict:#?}");
    assert!(
        !found("parliament", "MALFORMED", "Resources/Role"),
        "a trust policy has no resource: {verdict:#?}"
    );
    assert_eq!(verdict.policies, 3, "trust policy, inline policy, device policy");
}

#[test]
fn an_allowance_explains_its_finding_only_and_is_reported_when_it_explains_none() {
    let profile = json!({"judge": "cfn-lint", "rule": "E3030", "type": "AWS::Signer::SigningProfile",
        "reason": "CloudFormation refuses it too"});
    let nothing = json!({"judge": "cfn-lint", "rule": "E9999", "reason": "there is no such rule"});
    let without = judge(&faulty(), &json!([]));
    let with = judge(&faulty(), &json!([profile, nothing]));
    assert_eq!(with.findings.len() + 1, without.findings.len());
    assert_eq!(with.unused, [nothing]);
}

#[test]
fn a_sound_template_passes_the_linters() {
    let verdict = with_file(&sound(), lint);
    assert!(verdict.findings.is_empty(), "{:#?}", verdict.findings);
    assert_eq!(verdict.policies, 2);
}

#[test]
fn a_cloud_can_be_reached_by_nobody_else_and_ends_with_what_it_started() {
    let cloud = Cloud::start(Options { mqtt: true, ..Options::default() });
    let gateway: u16 = cloud.endpoint().rsplit(':').next().unwrap().parse().unwrap();
    let mqtt = cloud.mqtt().unwrap();
    let listening = listening();
    for port in [gateway, mqtt] {
        let address = format!("0100007F:{port:04X}");
        let of_port: Vec<&String> =
            listening.iter().filter(|a| a.ends_with(&format!(":{port:04X}"))).collect();
        assert_eq!(of_port, [&address], "port {port} listens on more than 127.0.0.1");
    }
    drop(cloud);
    let of_it = |address: &&String| address.ends_with(&format!(":{gateway:04X}"));
    assert_eq!(self::listening().iter().filter(of_it).count(), 0, "still listening after the end");
}

#[test]
fn the_inventory_shows_what_a_stack_made_and_nothing_after_its_deletion() {
    let cloud = Cloud::start(Options::default());
    let folder = tempfile::tempdir().unwrap();
    let template = folder.path().join("template.json");
    std::fs::write(&template, sound().to_string()).unwrap();
    let before = cloud.inventory();

    let body = format!("file://{}", template.display());
    let stack = ["--stack-name", "judged"];
    let create = [
        "cloudformation",
        "create-stack",
        "--template-body",
        &body,
        "--capabilities",
        "CAPABILITY_IAM",
    ];
    cloud.aws(&[&create[..], &stack].concat());
    cloud.aws(&[&["cloudformation", "wait", "stack-create-complete"][..], &stack].concat());
    let made = left_over(&before, &cloud.inventory());
    let stores: Vec<&str> = made.keys().map(String::as_str).collect();
    for store in ["cloudformation/stacks", "iam/roles", "iot/policies", "kms/keys", "sns/topics"] {
        assert!(stores.contains(&store), "{store} is not in {made:#?}");
    }

    cloud.aws(&[&["cloudformation", "delete-stack"][..], &stack].concat());
    cloud.aws(&[&["cloudformation", "wait", "stack-delete-complete"][..], &stack].concat());
    assert_eq!(left_over(&before, &cloud.inventory()), Default::default());
}

#[test]
fn moto_applies_a_reserved_concurrency_that_ministack_drops() {
    let code = json!({"ZipFile": "exports.handler = async () => 1"});
    let template = json!({"Resources": {
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust()}},
        "Function": {"Type": "AWS::Lambda::Function", "Properties": {"FunctionName": "judged",
            "Runtime": "nodejs22.x", "Handler": "index.handler", "Code": code,
            "Role": {"Fn::GetAtt": ["Role", "Arn"]}, "ReservedConcurrentExecutions": 5}},
    }});
    let body = template.to_string();
    let create = ["cloudformation", "create-stack", "--stack-name", "judged", "--template-body"];
    let ask = ["lambda", "get-function-concurrency", "--function-name", "judged"];
    let reserved = |cloud: &Cloud| {
        cloud.aws(&[&create[..], &[&body, "--capabilities", "CAPABILITY_IAM"]].concat());
        let wait = ["cloudformation", "wait", "stack-create-complete", "--stack-name", "judged"];
        cloud.aws(&wait);
        cloud.aws(&ask)["ReservedConcurrentExecutions"].clone()
    };
    assert_eq!(reserved(&Cloud::moto()), 5);
    // When this fails, ministack has learnt it: prove it there, and drop moto.
    assert_eq!(reserved(&Cloud::start(Options::default())), Value::Null);
}

#[test]
fn an_authorizing_cloud_asks_for_capabilities_and_refuses_unknown_keys() {
    let cloud = Cloud::start(Options { authorize: true, ..Options::default() });
    let body = sound().to_string();
    let create =
        ["cloudformation", "create-stack", "--stack-name", "judged", "--template-body", &body];
    let output = cloud.try_aws(&create);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("InsufficientCapabilitiesException"), "{errors}");

    let mut command = super::install::tool("aws");
    cloud
        .reach(command.args(["sts", "get-caller-identity"]))
        .env("AWS_ACCESS_KEY_ID", "AKIAUNKNOWN");
    let errors = String::from_utf8_lossy(&command.output().unwrap().stderr).into_owned();
    assert!(errors.contains("InvalidClientTokenId"), "{errors}");
}

#[test]
fn the_peer_app_synthesizes_and_the_stock_cdk_deploys_it_to_the_cloud() {
    let peer = Peer::compile();
    let assembly = peer.synth(3);
    let app = ["--app", assembly.to_str().unwrap()];
    let names = succeed(cdk(peer.folder(), None).args(app).arg("ls").output().unwrap(), "cdk ls");
    assert_eq!(names.trim(), "IoTFirmwareUpdatesStack-dev");

    let cloud = Cloud::start(Options::default());
    // Away from the app, which it would run first.
    let elsewhere = tempfile::tempdir().unwrap();
    let bootstrap = ["bootstrap".to_owned(), format!("aws://{ACCOUNT}/{REGION}")];
    let mut command = cdk(elsewhere.path(), Some(&cloud));
    succeed(command.args(bootstrap).output().unwrap(), "cdk bootstrap");
    let deploy = ["deploy", "--require-approval", "never", "--all"];
    succeed(
        cdk(peer.folder(), Some(&cloud)).args(app).args(deploy).output().unwrap(),
        "cdk deploy",
    );
    let things = cloud.aws(&["iot", "list-things"]);
    assert_eq!(things["things"].as_array().unwrap().len(), 3);
}

fn judge(template: &Value, allowed: &Value) -> Verdict {
    with_file(template, |templates| lint_with(templates, allowed))
}

fn with_file(template: &Value, judge: impl FnOnce(&[Template]) -> Verdict) -> Verdict {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("template.json");
    std::fs::write(&path, template.to_string()).unwrap();
    judge(&[Template { name: "planted".into(), path, region: "eu-central-1".into() }])
}

/// One mistake for each linter: an unknown property, a value outside its enum, an
/// action that does not exist, a resource of the wrong kind for its action.
fn faulty() -> Value {
    json!({"Resources": {
        "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"Versioned": true}},
        "Profile": {"Type": "AWS::Signer::SigningProfile",
            "Properties": {"PlatformId": "AWSIoTDeviceManagement-SHA256-ECDSA"}},
        "Role": {"Type": "AWS::IAM::Role", "Properties": {
            "AssumeRolePolicyDocument": trust(),
            "Policies": [{"PolicyName": "read", "PolicyDocument": policy("s3:GetObjects", &json!("*"))}]}},
        "Device": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyDocument":
            policy("iot:Publish", &iot_arn("client"))}},
    }})
}

fn sound() -> Value {
    json!({"Resources": {
        "Key": {"Type": "AWS::KMS::Key", "Properties": {"EnableKeyRotation": true}},
        "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": "News"}},
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust()}},
        "Device": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyDocument":
            policy("iot:Connect", &iot_arn("client"))}},
    }})
}

fn trust() -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}}]})
}

fn policy(action: &str, resource: &Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]})
}

fn iot_arn(kind: &str) -> Value {
    let name = "${!iot:Connection.Thing.ThingName}";
    json!({"Fn::Sub": format!("arn:${{AWS::Partition}}:iot:${{AWS::Region}}:${{AWS::AccountId}}:{kind}/{name}")})
}

/// The local addresses of all listening TCP sockets, as the kernel writes them.
fn listening() -> Vec<String> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .flat_map(|file| {
            std::fs::read_to_string(file)
                .unwrap_or_default()
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .filter(|line| line.split_whitespace().nth(3) == Some("0A"))
        .filter_map(|line| line.split_whitespace().nth(1).map(str::to_owned))
        .collect()
}
