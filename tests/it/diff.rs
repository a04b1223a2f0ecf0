//! `iotstack diff`: offline against a file here; against a deployed stack by the judges.

use serde_json::json;

use crate::project::{Project, topics};

fn project() -> Project {
    let new = json!({"Resources": {
        "Alarms": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "new"}},
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {
            "Version": "2012-10-17", "Statement": [{"Effect": "Allow",
            "Principal": {"Service": "iot.amazonaws.com"}, "Action": "sts:AssumeRole"}]}}}}});
    let old = json!({"Resources": {
        "Alarms": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "old"}},
        "Gone": {"Type": "AWS::SQS::Queue"}}});
    Project::with_stacks(&[("Fleet", new)]).file("old.json", &old.to_string())
}

const SHOWN: &str = "\
Stack Fleet
Permissions
   EFFECT  WHO                        MAY DO          ON           IF
+  Allow   Service:iot.amazonaws.com  sts:AssumeRole  ${Role.Arn}

Resources
[-] AWS::SQS::Queue Gone destroy
[~] AWS::SNS::Topic Alarms replace
    ~ TopicName: old → new (requires replacement)
[+] AWS::IAM::Role Role

";

#[test]
fn shows_permissions_replacements_and_deletions() {
    let run = project().run(["diff", "--template", "old.json"]);
    assert_eq!(run.success(), SHOWN);
    assert_eq!(run.err, "Number of stacks with differences: 1\n");
}

#[test]
fn fails_only_when_asked_to() {
    let project = project();
    let code = |arguments: &[&str]| {
        project.run([&["diff", "--template", "old.json"], arguments].concat()).code
    };
    assert_eq!(code(&[]), 0);
    assert_eq!(code(&["--fail"]), 1);
    for (level, expected) in
        [("never", 0), ("any-change", 1), ("broadening", 1), ("destructive", 1)]
    {
        assert_eq!(code(&["--fail-on", level]), expected, "{level}");
    }
}

#[test]
fn a_harmless_change_is_neither_broadening_nor_destructive() {
    let project = Project::with_stacks(&[("Fleet", topics(&["A", "B"]))])
        .file("old.json", &topics(&["A"]).to_string());
    let code =
        |level: &str| project.run(["diff", "--template", "old.json", "--fail-on", level]).code;
    assert_eq!(code("any-change"), 1);
    assert_eq!(code("broadening"), 0);
    assert_eq!(code("destructive"), 0);
}

#[test]
fn the_same_template_has_no_differences() {
    let project = Project::with_stacks(&[("Fleet", topics(&["A"]))])
        .file("old.yaml", "Resources:\n  A:\n    Type: AWS::SNS::Topic\n");
    let run = project.run(["diff", "--template", "old.yaml", "--fail"]);
    assert_eq!(run.success(), "Stack Fleet\nThere were no differences\n");
    assert_eq!(project.run(["diff", "--template", "old.yaml", "-q"]).success(), "");
}

#[test]
fn what_tools_write_for_themselves_is_hidden_unless_strict() {
    let mut new = topics(&["A"]);
    new["Parameters"] = json!({"BootstrapVersion": {"Type": "AWS::SSM::Parameter::Value<String>",
        "Default": "/cdk-bootstrap/hnb659fds/version"}});
    let project =
        Project::with_stacks(&[("Fleet", new)]).file("old.json", &topics(&["A"]).to_string());
    let code = |arguments: &[&str]| {
        project.run([&["diff", "--template", "old.json", "--fail"], arguments].concat()).code
    };
    assert_eq!(code(&[]), 0);
    assert_eq!(code(&["--strict"]), 1);
}

#[test]
fn a_renamed_construct_is_pointed_out() {
    let queue = json!({"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 77}});
    let project = Project::with_stacks(&[("Fleet", json!({"Resources": {"NewName": queue}}))])
        .file("old.json", &json!({"Resources": {"OldName": queue}}).to_string());
    let run = project.run(["diff", "--template", "old.json"]);
    assert!(run.success().contains("`NewName` looks like `OldName` under another id"), "{run:?}");
}

#[test]
fn security_only_shows_permissions_alone() {
    let run = project().run(["diff", "--template", "old.json", "--security-only"]);
    assert!(run.success().contains("sts:AssumeRole"));
    assert!(!run.out.contains("Gone"), "{run:?}");
}

#[test]
fn json_holds_the_verdicts() {
    let report = project().run(["diff", "--template", "old.json", "--json"]).json();
    assert_eq!(report["Fleet"]["broadening"], true);
    assert_eq!(report["Fleet"]["destructive"], true);
    assert_eq!(report["Fleet"]["resources"][0]["impact"], "destroy");
}

#[test]
fn a_template_is_compared_with_one_stack() {
    let project = Project::with_stacks(&[("A", topics(&["A"])), ("B", topics(&["B"]))])
        .file("old.json", "{}");
    project.run(["diff", "--template", "old.json"]).failure(
        2,
        "error: `--template` compares one stack, and 2 were chosen: `A` and `B`\n\
         hint: name the stack\n",
    );
}
