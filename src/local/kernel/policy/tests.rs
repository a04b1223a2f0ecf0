//! Policies asked as AWS would ask them.
//!
//! Each table holds cases that must fit beside ones that must not; what AWS's
//! managed policies allow is tested where they are.

use serde_json::{Value, json};

use super::{Context, Policy, Question, Verdict, like};

fn ask(policy: &Value, action: &str, resource: &str, context: &Context) -> Verdict {
    let policy = Policy::parse(&policy.to_string()).unwrap();
    policy.verdict(&Question { principal: None, action, resource, context })
}

fn statement(members: Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": members})
}

#[test]
fn actions_and_resources_fit_by_wildcards() {
    let none = Context::default();
    let policy = statement(json!({
        "Effect": "Allow",
        "Action": ["s3:Get*", "IOT:describething"],
        "Resource": ["arn:aws:s3:::fw/*", "arn:aws:iot:*:123456789012:thing/pump-??"],
    }));
    for (action, resource, verdict) in [
        ("s3:GetObject", "arn:aws:s3:::fw/a/b", Verdict::Allow),
        ("S3:getobject", "arn:aws:s3:::fw/", Verdict::Allow),
        ("s3:PutObject", "arn:aws:s3:::fw/a", Verdict::Silent),
        ("s3:GetObject", "arn:aws:s3:::fw", Verdict::Silent),
        ("s3:GetObject", "arn:aws:s3:::FW/a", Verdict::Silent),
        ("iot:DescribeThing", "arn:aws:iot:us-east-1:123456789012:thing/pump-12", Verdict::Allow),
        ("iot:DescribeThing", "arn:aws:iot:us-east-1:123456789012:thing/pump-1", Verdict::Silent),
        ("s3:GetObject", "*", Verdict::Allow),
    ] {
        assert_eq!(ask(&policy, action, resource, &none), verdict, "{action} {resource}");
    }
}

#[test]
fn a_deny_wins_and_exceptions_are_exceptions() {
    let none = Context::default();
    let policy = statement(json!([
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "NotAction": ["s3:*"], "Resource": "arn:aws:s3:::fw/secret/*"},
        {"Effect": "Deny", "Action": "s3:DeleteObject", "NotResource": "arn:aws:s3:::tmp/*"},
    ]));
    assert_eq!(ask(&policy, "s3:GetObject", "arn:aws:s3:::fw/secret/1", &none), Verdict::Allow);
    assert_eq!(ask(&policy, "kms:Decrypt", "arn:aws:s3:::fw/secret/1", &none), Verdict::Deny);
    assert_eq!(ask(&policy, "s3:DeleteObject", "arn:aws:s3:::tmp/1", &none), Verdict::Allow);
    assert_eq!(ask(&policy, "s3:DeleteObject", "arn:aws:s3:::fw/1", &none), Verdict::Deny);
    // A resource that is not known is not denied by a policy about some.
    assert_eq!(ask(&policy, "kms:Decrypt", "*", &none), Verdict::Allow);
    let all = statement(json!([
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "kms:*", "Resource": "*"},
    ]));
    assert_eq!(ask(&all, "kms:Decrypt", "*", &none), Verdict::Deny);
}

#[test]
fn conditions_hold_fail_or_are_unknown() {
    let context = Context::default()
        .with("aws:SourceAccount", "123456789012")
        .with("aws:SourceArn", "arn:aws:iot:us-east-1:123456789012:rule/a")
        .with("aws:SecureTransport", "true")
        .with("aws:SourceIp", "10.1.2.3")
        .with("aws:CurrentTime", "2026-01-01T00:00:00.250Z")
        .with("s3:max-keys", "10")
        .with("aws:TagKeys", "a")
        .with("aws:TagKeys", "b");
    for (condition, verdict) in [
        (json!({"StringEquals": {"AWS:sourceaccount": "123456789012"}}), Verdict::Allow),
        (json!({"StringEquals": {"aws:SourceAccount": ["1", "123456789012"]}}), Verdict::Allow),
        (json!({"StringNotEquals": {"aws:SourceAccount": ["1", "123456789012"]}}), Verdict::Silent),
        (json!({"StringLike": {"aws:SourceAccount": "12345*"}}), Verdict::Allow),
        (json!({"StringEquals": {"aws:SourceAccount": "12345*"}}), Verdict::Silent),
        (json!({"ArnLike": {"aws:SourceArn": "arn:*:iot:*:123456789012:rule/*"}}), Verdict::Allow),
        (json!({"ArnLike": {"aws:SourceArn": "arn:aws:iot:*:rule/a"}}), Verdict::Silent),
        (json!({"Bool": {"aws:SecureTransport": false}}), Verdict::Silent),
        (json!({"Bool": {"aws:SecureTransport": "TRUE"}}), Verdict::Allow),
        (json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), Verdict::Allow),
        (json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/16"}}), Verdict::Silent),
        (json!({"NotIpAddress": {"aws:SourceIp": "10.1.2.3"}}), Verdict::Silent),
        (json!({"DateLessThan": {"aws:CurrentTime": "2026-06-01T00:00:00Z"}}), Verdict::Allow),
        (json!({"DateLessThan": {"aws:CurrentTime": "2026-01-01T00:00:00.300Z"}}), Verdict::Allow),
        (json!({"DateLessThan": {"aws:CurrentTime": "2026-01-01T00:00:00.250Z"}}), Verdict::Silent),
        (json!({"DateGreaterThan": {"aws:CurrentTime": "2026-01-01"}}), Verdict::Allow),
        (json!({"DateGreaterThan": {"aws:CurrentTime": "2026-01-02"}}), Verdict::Silent),
        (json!({"DateGreaterThan": {"aws:CurrentTime": "1767225600"}}), Verdict::Allow),
        (json!({"DateGreaterThan": {"aws:CurrentTime": "1767225601"}}), Verdict::Silent),
        (json!({"NumericLessThanEquals": {"s3:max-keys": "9"}}), Verdict::Silent),
        (json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}), Verdict::Allow),
        (json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}}), Verdict::Silent),
        (json!({"ForAnyValue:StringEquals": {"aws:TagKeys": ["a"]}}), Verdict::Allow),
        (json!({"Null": {"aws:SourceIp": "true"}}), Verdict::Silent),
        (json!({"Null": {"aws:SourceIp": "false"}}), Verdict::Allow),
        (json!({"StringEquals": {"cloudwatch:namespace": "x"}}), Verdict::Allow),
    ] {
        let allow = json!({
            "Effect": "Allow",
            "Action": "*",
            "Resource": "*",
            "Condition": condition.clone(),
        });
        assert_eq!(ask(&statement(allow), "a:B", "*", &context), verdict, "{condition}");
    }
    let deny = statement(json!([
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {
            "Effect": "Deny",
            "Action": "*",
            "Resource": "*",
            "Condition": {"StringNotEquals": {"ec2:Vpc": "x"}},
        },
    ]));
    assert_eq!(ask(&deny, "a:B", "*", &context), Verdict::Allow);
}

#[test]
fn variables_are_filled_in_and_their_values_are_no_wildcards() {
    let policy = statement(json!({
        "Effect": "Allow",
        "Action": "*",
        "Resource": "arn:aws:s3:::fw/${aws:username}/*",
    }));
    let user = |name: &str| Context::default().with("aws:username", name);
    assert_eq!(ask(&policy, "s3:X", "arn:aws:s3:::fw/ann/1", &user("ann")), Verdict::Allow);
    assert_eq!(ask(&policy, "s3:X", "arn:aws:s3:::fw/bob/1", &user("ann")), Verdict::Silent);
    assert_eq!(ask(&policy, "s3:X", "arn:aws:s3:::fw/bob/1", &user("*")), Verdict::Silent);
    let nobody = Context::default();
    assert_eq!(ask(&policy, "s3:X", "arn:aws:s3:::fw/ann/1", &nobody), Verdict::Silent);
}

#[test]
fn the_parts_of_an_arn_are_counted_with_variables_filled_in() {
    let policy = statement(json!({
        "Effect": "Allow",
        "Action": "*",
        "Resource": "*",
        "Condition": {"ArnLike": {
            "aws:SourceArn": "arn:aws:iot:*:${aws:PrincipalAccount}:rule/${aws:PrincipalTag/team}*",
        }},
    }));
    let from = |arn: &str| {
        let context = Context::default()
            .with("aws:PrincipalAccount", "123456789012")
            .with("aws:PrincipalTag/team", "a:b")
            .with("aws:SourceArn", arn);
        ask(&policy, "a:B", "*", &context)
    };
    assert_eq!(from("arn:aws:iot:us-east-1:123456789012:rule/a:b-1"), Verdict::Allow);
    assert_eq!(from("arn:aws:iot:us-east-1:999999999999:rule/a:b-1"), Verdict::Silent);
    assert_eq!(from("arn:aws:iot:us-east-1:123456789012:rule/c"), Verdict::Silent);
    let nobody =
        Context::default().with("aws:SourceArn", "arn:aws:iot:us-east-1:123456789012:rule/a:b-1");
    assert_eq!(ask(&policy, "a:B", "*", &nobody), Verdict::Silent);
}

#[test]
fn principals_are_named_or_stand_for_an_account() {
    let context = Context::default();
    let ask = |principal: Value, asker: (&str, &str)| {
        let document = statement(json!({
            "Effect": "Allow",
            "Principal": principal,
            "Action": "sts:AssumeRole",
        }));
        let policy = Policy::parse_trust(&document.to_string()).unwrap();
        let question = Question {
            principal: Some(asker),
            action: "sts:AssumeRole",
            resource: "*",
            context: &context,
        };
        policy.verdict(&question) == Verdict::Allow
    };
    let role = ("AWS", "arn:aws:iam::123456789012:role/a");
    assert!(ask(json!({"Service": "iot.amazonaws.com"}), ("Service", "iot.amazonaws.com")));
    assert!(!ask(json!({"Service": "iot.amazonaws.com"}), ("Service", "lambda.amazonaws.com")));
    assert!(!ask(json!({"Service": "iot.amazonaws.com"}), role));
    assert!(ask(json!({"AWS": "arn:aws:iam::123456789012:root"}), role));
    assert!(ask(json!({"AWS": ["123456789012"]}), role));
    assert!(!ask(json!({"AWS": "arn:aws:iam::999999999999:root"}), role));
    assert!(ask(json!("*"), role));
}

#[test]
fn a_document_that_aws_would_refuse_is_refused() {
    for document in [
        json!([]),
        json!({"Version": "2012-10-17"}),
        json!({"Version": "2020-01-01", "Statement": []}),
        statement(json!([])),
        statement(json!({"Effect": "Maybe", "Action": "*", "Resource": "*"})),
        statement(json!({"Effect": "Allow", "Resource": "*"})),
        statement(json!({"Effect": "Allow", "Action": "s3", "Resource": "*"})),
        statement(json!({"Effect": "Allow", "Action": "*"})),
        statement(json!({"Effect": "Allow", "Action": "*", "Resource": "bucket"})),
        statement(json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Extra": 1})),
        statement(json!({"Effect": "Allow", "Action": "*", "NotAction": "*", "Resource": "*"})),
        statement(json!({
            "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Same": {"a": "b"}},
        })),
        statement(json!({"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"})),
    ] {
        assert!(Policy::parse_identity(&document.to_string()).is_err(), "{document}");
    }
    assert!(Policy::parse("{").is_err());
}

#[test]
fn in_a_complete_context_a_key_that_is_not_there_is_absent() {
    let context = Context::default().with("aws:SourceAccount", "123456789012").complete();
    for (condition, verdict) in [
        (json!({"StringEquals": {"aws:PrincipalOrgID": "o"}}), Verdict::Silent),
        (json!({"StringEqualsIfExists": {"aws:PrincipalOrgID": "o"}}), Verdict::Allow),
        (json!({"StringNotEquals": {"aws:PrincipalOrgID": "o"}}), Verdict::Allow),
        (json!({"ForAllValues:StringEquals": {"aws:TagKeys": "o"}}), Verdict::Allow),
        (json!({"ForAnyValue:StringEquals": {"aws:TagKeys": "o"}}), Verdict::Silent),
        (json!({"Null": {"aws:PrincipalOrgID": "true"}}), Verdict::Allow),
        (json!({"Null": {"aws:PrincipalOrgID": "false"}}), Verdict::Silent),
        (json!({"Null": {"aws:SourceAccount": "false"}}), Verdict::Allow),
    ] {
        let allow = json!({
            "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition.clone(),
        });
        assert_eq!(ask(&statement(allow), "a:B", "*", &context), verdict, "{condition}");
    }
    let deny = statement(json!([
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {
            "Effect": "Deny",
            "Action": "*",
            "Resource": "*",
            "Condition": {"StringNotEquals": {"ec2:Vpc": "x"}},
        },
    ]));
    assert_eq!(ask(&deny, "a:B", "*", &context), Verdict::Deny);
}

#[test]
fn wildcards_match_as_in_arns() {
    for (pattern, text, fits) in [
        ("a*c", "abbc", true),
        ("a*c", "abb", false),
        ("*", "", true),
        ("a?c", "abc", true),
        ("a?c", "aéc", true),
        ("a?c", "ac", false),
        ("*b*b", "abab", true),
    ] {
        assert_eq!(like(pattern, text), fits, "{pattern} {text}");
    }
}
