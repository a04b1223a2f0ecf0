//! Patterns, variables and conditions, one rule each.
//!
//! Documents are judged as for a connection; what a connection adds (certificates,
//! groups, changes) is tried in `tests/authority.rs`.

use std::net::IpAddr;

use iotstack_local_kernel::Timestamp;
use serde_json::{Value, json};

use super::*;

const PREFIX: &str = "arn:aws:iot:eu-central-1:123456789012:";

fn parse(statements: Value) -> Document {
    Document::parse(&json!({"Version": "2012-10-17", "Statement": statements}).to_string()).unwrap()
}

fn judge(document: &Document, env: &Env<'_>, action: Action, value: &str) -> &'static str {
    let judge = Judge::new(std::iter::once(document), env);
    judge.judge(Request::Mqtt(action, value), PREFIX, env.now).word()
}

fn env() -> Env<'static> {
    Env {
        client_id: Some("lamp-1"),
        source: Some(IpAddr::from([10, 1, 2, 3])),
        mqtt: true,
        now: Timestamp(1_767_225_600_000),
        ..Env::default()
    }
}

fn publish(resource: &str, topic: &str) -> bool {
    let resource =
        if resource == "*" { resource.to_owned() } else { format!("{PREFIX}topic/{resource}") };
    let document =
        parse(json!([{"Effect": "Allow", "Action": "iot:Publish", "Resource": resource}]));
    judge(&document, &env(), Action::Publish, topic) == "ALLOWED"
}

#[test]
fn wildcards_cross_levels_and_plus_and_hash_mean_themselves() {
    for (resource, topic, expected) in [
        ("*", "a/b", true),
        ("a/*", "a/b/c", true),
        ("a/*", "a", false),
        ("a/*/c", "a/b/x/c", true),
        ("a/*/c", "a/c", false),
        ("a/?", "a/b", true),
        ("a/?", "a/é", true),
        ("a/?", "a/bc", false),
        ("a/+", "a/b", false),
        ("a/+", "a/+", true),
        ("a/#", "a/b", false),
        ("*b*", "aabbaa", true),
        ("a*a*a", "aaaa", true),
        ("a*a*b", "aaaa", false),
        ("a/${*}", "a/*", true),
        ("a/${*}", "a/b", false),
        ("a/${?}${$}", "a/?$", true),
        ("", "", true),
    ] {
        assert_eq!(publish(resource, topic), expected, "{resource} {topic}");
    }
}

#[test]
fn a_star_in_a_filter_covers_the_wildcards_of_mqtt() {
    let resource = format!("{PREFIX}topicfilter/solar/P/commands/*");
    let document =
        parse(json!([{"Effect": "Allow", "Action": "iot:Subscribe", "Resource": resource}]));
    assert_eq!(judge(&document, &env(), Action::Subscribe, "solar/P/commands/#"), "ALLOWED");
    assert_eq!(judge(&document, &env(), Action::Subscribe, "solar/P/commands"), "IMPLICIT_DENY");
}

#[test]
fn region_and_account_may_be_wildcards() {
    let document = parse(
        json!([{"Effect": "Allow", "Action": "iot:Publish", "Resource": "arn:aws:iot:*:*:topic/a"}]),
    );
    assert_eq!(judge(&document, &env(), Action::Publish, "a"), "ALLOWED");
    let other = parse(
        json!([{"Effect": "Allow", "Action": "iot:Publish", "Resource": "arn:aws:iot:us-east-1:*:topic/a"}]),
    );
    assert_eq!(judge(&other, &env(), Action::Publish, "a"), "IMPLICIT_DENY");
}

#[test]
fn a_denial_wins_whatever_allows() {
    let document = parse(json!([
        {"Effect": "Allow", "Action": "iot:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "IOT:pub*", "Resource": format!("{PREFIX}topic/secret")},
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
    ]));
    assert_eq!(judge(&document, &env(), Action::Publish, "secret"), "EXPLICIT_DENY");
    assert_eq!(judge(&document, &env(), Action::Publish, "open"), "ALLOWED");
    assert_eq!(judge(&document, &env(), Action::Receive, "secret"), "ALLOWED");
}

#[test]
fn variables_stand_for_their_values() {
    assert!(publish("${iot:ClientId}/up", "lamp-1/up"));
    assert!(!publish("${iot:ClientId}/up", "lamp-2/up"));
    assert!(publish("x/${aws:SourceIp}", "x/10.1.2.3"));
    // No thing: the statement does not apply, not even its other resources.
    let document = parse(json!([{"Effect": "Allow", "Action": "iot:Publish", "Resource": [
        format!("{PREFIX}topic/common"),
        format!("{PREFIX}topic/${{iot:Connection.Thing.ThingName}}"),
    ]}]));
    assert_eq!(judge(&document, &env(), Action::Publish, "common"), "IMPLICIT_DENY");
}

#[test]
fn a_value_with_wildcards_is_not_put_in() {
    let document = parse(
        json!([{"Effect": "Allow", "Action": "iot:Publish", "Resource": format!("{PREFIX}topic/${{iot:ClientId}}/x")}]),
    );
    for client_id in ["*", "a?", "+", "#"] {
        let env = Env { client_id: Some(client_id), ..env() };
        assert_eq!(
            judge(&document, &env, Action::Publish, &format!("{client_id}/x")),
            "IMPLICIT_DENY"
        );
        assert_eq!(judge(&document, &env, Action::Publish, "other/x"), "IMPLICIT_DENY");
    }
}

fn conditioned(condition: Value, env: &Env<'_>, action: Action) -> bool {
    let document = parse(
        json!([{"Effect": "Allow", "Action": "iot:*", "Resource": "*", "Condition": condition}]),
    );
    judge(&document, env, action, "x") == "ALLOWED"
}

#[test]
fn conditions_compare_texts_addresses_and_times() {
    for (condition, expected) in [
        (json!({"StringEquals": {"iot:ClientId": "lamp-1"}}), true),
        (json!({"StringEquals": {"iot:ClientId": ["x", "lamp-1"]}}), true),
        (json!({"StringNotEquals": {"iot:ClientId": "lamp-1"}}), false),
        (json!({"StringLike": {"iot:ClientId": "lamp-*"}}), true),
        (json!({"StringEqualsIgnoreCase": {"iot:ClientId": "LAMP-1"}}), true),
        (json!({"StringEquals": {"iot:ClientId": "${iot:ClientId}"}}), true),
        (json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), true),
        (json!({"IpAddress": {"aws:SourceIp": ["192.168.0.0/16", "10.1.2.3"]}}), true),
        (json!({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), false),
        (json!({"DateGreaterThan": {"aws:CurrentTime": "2025-01-01T00:00:00Z"}}), true),
        (json!({"DateLessThan": {"aws:CurrentTime": "2025-01-01T00:00:00Z"}}), false),
        (json!({"DateGreaterThan": {"aws:CurrentTime": "2025-01-01"}}), true),
        (json!({"NumericGreaterThan": {"aws:EpochTime": "5"}}), true),
        (json!({"Bool": {"iot:Connection.Thing.IsAttached": "false"}}), true),
        (json!({"Bool": {"iot:Connection.Thing.IsAttached": true}}), false),
        (json!({"Null": {"iot:Connection.Thing.ThingName": "true"}}), true),
        (json!({"Null": {"iot:ClientId": "true"}}), false),
        (json!({"StringEquals": {"iot:Connection.Thing.ThingTypeName": "pump"}}), false),
        (json!({"StringEqualsIfExists": {"iot:Connection.Thing.ThingTypeName": "pump"}}), true),
        (json!({"StringNotEquals": {"iot:Connection.Thing.ThingTypeName": "pump"}}), true),
        (
            json!({"StringEquals": {"iot:ClientId": "lamp-1"}, "Bool": {"iot:Connection.Thing.IsAttached": "true"}}),
            false,
        ),
    ] {
        assert_eq!(
            conditioned(condition.clone(), &env(), Action::Publish),
            expected,
            "{condition}"
        );
    }
}

#[test]
fn times_are_judged_when_a_message_comes() {
    let document =
        parse(json!([{"Effect": "Allow", "Action": "iot:Publish", "Resource": "*", "Condition": {
            "DateLessThan": {"aws:CurrentTime": "2026-01-01T00:01:00Z"},
        }}]));
    let judge = Judge::new(std::iter::once(&document), &env());
    let at = |seconds: i64| {
        let now = Timestamp(1_767_225_600_000 + seconds * 1000);
        judge.judge(Request::Mqtt(Action::Publish, "x"), PREFIX, now).allows()
    };
    assert!(at(0) && at(59));
    assert!(!at(60));
}

#[test]
fn connect_attributes_follow_the_set_operators() {
    let plain = Connect::default();
    let persistent = Connect { persistent: true, last_will: None };
    let both = Connect {
        persistent: true,
        last_will: Some(format!("{PREFIX}topic/wills/a").into_boxed_str()),
    };
    let key = "iot:ConnectAttributes";
    for (condition, on_plain, on_persistent, on_both) in [
        (json!({"ForAllValues:StringEquals": {key: ["PersistentConnect"]}}), true, true, false),
        (json!({"ForAllValues:StringEquals": {key: []}}), true, false, false),
        (json!({"ForAllValues:StringNotEquals": {key: ["LastWill"]}}), true, true, false),
        (json!({"ForAnyValue:StringEquals": {key: ["PersistentConnect"]}}), false, true, true),
        (
            json!({"ArnEquals": {"iot:LastWillTopic": format!("{PREFIX}topic/wills/*")}}),
            false,
            false,
            true,
        ),
    ] {
        for (connect, expected) in
            [(&plain, on_plain), (&persistent, on_persistent), (&both, on_both)]
        {
            let env = Env { connect: Some(connect), ..env() };
            assert_eq!(
                conditioned(condition.clone(), &env, Action::Connect),
                expected,
                "{condition} {connect:?}"
            );
        }
    }
}

#[test]
fn the_subject_of_a_certificate_has_first_second_and_all_values() {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
    let mut params =
        CertificateParams::new(vec!["one.example".to_owned(), "two.example".to_owned()]).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "lamp-1");
    params.distinguished_name.push(DnType::CountryName, "DE");
    let der = params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec();
    let env = Env { certificate: Some(&der), ..env() };
    let may = |resource: &str, topic: &str| {
        let document = parse(
            json!([{"Effect": "Allow", "Action": "iot:Publish", "Resource": format!("{PREFIX}topic/{resource}")}]),
        );
        judge(&document, &env, Action::Publish, topic) == "ALLOWED"
    };
    assert!(may("${iot:Certificate.Subject.CommonName}/x", "lamp-1/x"));
    assert!(may("${iot:Certificate.Subject.Country}", "DE"));
    assert!(may("${iot:Certificate.Issuer.CommonName}", "lamp-1"));
    assert!(may("${iot:Certificate.Subject.AlternativeName.DNSName}", "one.example"));
    assert!(may("${iot:Certificate.Subject.AlternativeName.DNSName.1}", "two.example"));
    assert!(!may("${iot:Certificate.Subject.AlternativeName.DNSName.2}", ""));
    assert!(!may("${iot:Certificate.Subject.Organization}", ""));
    let list = json!({"ForAnyValue:StringEquals": {"iot:Certificate.Subject.AlternativeName.DNSName.List": "two.example"}});
    assert!(conditioned(list, &env, Action::Publish));
}

#[test]
fn topics_longer_than_the_buffer_are_judged_too() {
    let topic = "x".repeat(2000);
    assert!(publish("x*", &topic));
    assert!(!publish("y*", &topic));
}
