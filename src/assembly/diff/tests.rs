//! What two templates differ in, and what that does.
//!
//! Facts of an invented type stand in for the schemas, so that these tests say what the
//! comparison does and not what AWS's types are like.

use serde_json::json;

use super::*;

/// Facts of an invented type: `Name` replaces, `Mode` may.
struct Facts;

impl ReplacementFacts for Facts {
    fn replacement(&self, _: &str, path: &[&str]) -> Replacement {
        match path[0] {
            "Name" | "Owner" => Replacement::Always,
            "Mode" => Replacement::Conditional,
            _ => Replacement::Never,
        }
    }
}

fn template(value: Value) -> Template {
    Template::from_value(value).unwrap()
}

fn resources(value: Value) -> Template {
    template(json!({ "Resources": value }))
}

fn compare(old: Value, new: Value) -> TemplateDiff {
    diff(&resources(old), &resources(new), &Facts)
}

#[test]
fn the_same_template_has_no_difference() {
    let same = json!({"A": {"Type": "X::Y::Z", "Properties": {"Size": 5, "On": true}}});
    let text = json!({"A": {"Type": "X::Y::Z", "Properties": {"Size": "5", "On": "true"}}});
    let found = compare(same, text);
    assert!(found.is_empty() && found.permissions.is_empty(), "{found:?}");
}

#[test]
fn tells_what_happens_to_each_resource() {
    let found = compare(
        json!({
            "Gone": {"Type": "X::Y::Z"},
            "Kept": {"Type": "X::Y::Other", "DeletionPolicy": "Retain"},
            "A": {"Type": "X::Y::Z", "Properties": {"Name": "a", "Deep": {"L": [1, {"M": 2}]}}},
            "B": {"Type": "X::Y::Z", "Properties": {"Mode": "a"}},
            "C": {"Type": "X::Y::Z", "Properties": {"Size": 1}},
            "D": {"Type": "X::Y::Z", "DeletionPolicy": "Retain"},
            "E": {"Type": "X::Y::Z"},
        }),
        json!({
            "A": {"Type": "X::Y::Z", "UpdateReplacePolicy": "Retain",
                "Properties": {"Name": "b", "Deep": {"L": [1, {"M": 3}]}}},
            "B": {"Type": "X::Y::Z", "Properties": {"Mode": {"Ref": "P"}}},
            "C": {"Type": "X::Y::Z", "Properties": {"Size": 1, "Extra": {}}},
            "D": {"Type": "X::Y::Z", "DeletionPolicy": "Delete"},
            "E": {"Type": "X::Y::E"},
            "F": {"Type": "X::Y::New"},
        }),
    );
    let impacts: Vec<_> =
        found.resources.iter().map(|change| (change.logical_id.as_str(), change.impact)).collect();
    assert_eq!(
        impacts,
        [
            ("Gone", Impact::Destroy),
            ("Kept", Impact::Orphan),
            ("A", Impact::Replace),
            ("B", Impact::MayReplace),
            ("C", Impact::Update),
            ("D", Impact::Update),
            ("E", Impact::Replace),
            ("F", Impact::Create),
        ]
    );
    let a = found.resource("A").unwrap();
    assert!(a.keeps_old);
    let paths: Vec<_> = a.properties.iter().map(|change| change.path.join(".")).collect();
    assert_eq!(paths, ["Name", "Deep.L.1.M"]);
    assert_eq!(found.resource("D").unwrap().attributes[0].path, ["DeletionPolicy"]);
    assert!(found.resource("E").unwrap().changes_type());
    assert!(found.destructive());
}

#[test]
fn a_replacement_goes_on_through_references() {
    let with = |name: &str| {
        json!({
            "A": {"Type": "X::Y::Z", "Properties": {"Name": name}},
            "B": {"Type": "X::Y::Z", "Properties": {"Owner": {"Fn::Sub": "${A.Arn}/*"}}},
            "C": {"Type": "X::Y::Z", "Properties": {"Owner": {"Ref": "B"}}},
            "D": {"Type": "X::Y::Z", "Properties": {"Size": {"Ref": "A"}}},
        })
    };
    let found = compare(with("a"), with("b"));
    let c = found.resource("C").unwrap();
    assert_eq!((c.impact, c.properties[0].caused_by.as_deref()), (Impact::Replace, Some("B")));
    assert!(found.resource("D").is_none());
}

#[test]
fn finds_changes_in_other_sections() {
    let old = template(json!({"Description": "a", "Parameters": {"P": {"Type": "String"}},
        "Outputs": {"O": {"Value": "1"}}, "Resources": {}}));
    let new = template(json!({"Description": "b", "Conditions": {"C": {"Fn::Equals": ["a", "a"]}},
        "Outputs": {"O": {"Value": 1}}, "Resources": {}}));
    let found = diff(&old, &new, &NoFacts);
    let names: Vec<_> = found.sections.iter().map(|c| (c.section, c.name.as_str())).collect();
    assert_eq!(names, [("Description", ""), ("Parameters", "P"), ("Conditions", "C")]);
}

#[test]
fn hides_what_tools_write_for_themselves() {
    let old = template(json!({"Resources": {}}));
    let new = template(json!({
        "Parameters": {"BootstrapVersion": {"Type": "AWS::SSM::Parameter::Value<String>"}},
        "Rules": {"CheckBootstrapVersion": {}},
        "Conditions": {"CDKMetadataAvailable": {}},
        "Resources": {"CDKMetadata": {"Type": "AWS::CDK::Metadata"}}
    }));
    let mut found = diff(&old, &new, &NoFacts);
    assert!(!found.is_empty());
    found.hide_tooling();
    assert!(found.is_empty());
}

#[test]
fn suspects_a_rename() {
    let of = |id: &str| json!({ id: {"Type": "X::Y::Z", "Properties": {"Size": 5, "Mode": "a"}}});
    let found = compare(of("Old123"), of("New456"));
    assert_eq!(found.possible_renames.len(), 1);
    assert!(
        found.possible_renames[0]
            .to_string()
            .starts_with("X::Y::Z `New456` looks like `Old123` under another id: renaming")
    );
    let other = json!({"B": {"Type": "X::Y::Z", "Properties": {"Size": 6, "Mode": "b"}}});
    assert!(compare(of("A"), other).possible_renames.is_empty());
}

fn role(statements: Value) -> Value {
    json!({"R": {"Type": "AWS::IAM::Role", "Properties": {
        "AssumeRolePolicyDocument": {"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"Service": "iot.amazonaws.com"}}},
        "Policies": [{"PolicyName": "p", "PolicyDocument": {"Statement": statements}}]}}})
}

#[test]
fn more_actions_are_broadening_and_fewer_are_not() {
    let two = role(json!([{"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"],
        "Resource": {"Fn::GetAtt": ["B", "Arn"]}}]));
    let one = role(json!([{"Effect": "Allow", "Action": "s3:GetObject",
        "Resource": {"Fn::GetAtt": ["B", "Arn"]}}]));
    let narrowed = compare(two.clone(), one.clone());
    assert!(!narrowed.broadening() && !narrowed.permissions.is_empty());
    let widened = compare(one, two);
    assert!(widened.broadening());
    let added = &widened.permissions.added[0];
    assert_eq!(added.principals, ["${R}"]);
    assert_eq!(added.actions, ["s3:GetObject", "s3:PutObject"]);
    assert_eq!(added.resources, ["${B.Arn}"]);
}

#[test]
fn an_added_condition_is_not_broadening_and_a_lost_one_is() {
    let with = role(json!([{"Effect": "Allow", "Action": "iot:*", "Resource": "*",
        "Condition": {"StringEquals": {"aws:SourceAccount": "1"}}}]));
    let without = role(json!([{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]));
    assert!(!compare(without.clone(), with.clone()).broadening());
    assert!(compare(with, without).broadening());
}

#[test]
fn a_lost_denial_is_broadening() {
    let deny = json!([{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]);
    assert!(compare(role(deny.clone()), role(json!([]))).broadening());
    assert!(!compare(role(json!([])), role(deny)).broadening());
}

#[test]
fn sees_policies_of_every_kind() {
    let new = json!({
        "P": {"Type": "AWS::Lambda::Permission", "Properties": {"Action": "lambda:InvokeFunction",
            "FunctionName": {"Ref": "F"}, "Principal": "iot.amazonaws.com", "SourceAccount": "1"}},
        "I": {"Type": "AWS::IoT::Policy", "Properties": {
            "PolicyDocument": "{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"iot:Connect\",\"Resource\":\"*\"}]}"}},
        "K": {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": {"Statement": [
            {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}]}}},
        "M": {"Type": "AWS::IAM::Role", "Properties": {
            "ManagedPolicyArns": ["arn:aws:iam::aws:policy/AdministratorAccess"]}},
        "G": {"Type": "AWS::EC2::SecurityGroup", "Properties": {
            "SecurityGroupIngress": [{"CidrIp": "0.0.0.0/0", "IpProtocol": "-1"}]}},
    });
    let found = compare(json!({}), new).permissions;
    let holders: Vec<_> = found.added.iter().map(|s| s.logical_id.as_str()).collect();
    assert_eq!(holders, ["P", "I", "K"]);
    assert_eq!(found.added[0].principals, ["Service:iot.amazonaws.com"]);
    let attached: Vec<_> = found.attached.iter().map(|a| (a.kind, a.what.as_str())).collect();
    assert_eq!(
        attached,
        [
            ("managed policy", "arn:aws:iam::aws:policy/AdministratorAccess"),
            ("ingress", "CidrIp 0.0.0.0/0, IpProtocol -1"),
        ]
    );
}

#[test]
fn values_are_shown_in_one_line() {
    let join =
        json!({"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":s3:::", {"Ref": "B"}]]});
    assert_eq!(describe_value(&join), "arn:${AWS::Partition}:s3:::${B}");
    assert_eq!(describe_value(&json!({"Fn::GetAtt": "A.Arn"})), "${A.Arn}");
    assert_eq!(describe_value(&json!({"a": 1})), r#"{"a":1}"#);
    let condition = json!({"ArnLike": {"aws:SourceArn": [join, {"Ref": "B"}]}});
    assert_eq!(
        describe_value(&condition),
        r#"{"ArnLike":{"aws:SourceArn":["arn:${AWS::Partition}:s3:::${B}","${B}"]}}"#
    );
}
