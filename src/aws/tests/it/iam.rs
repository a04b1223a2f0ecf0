//! Roles, their policies, and grants.

use iotstack_aws::iam::{
    Condition, Effect, Grantee, Principal, Role, Service, Statement, document,
};
use iotstack_core::testing::Template;
use iotstack_core::{App, Duration, Pseudo, Stack, object, text};

use crate::template::{check, check_stack};

#[test]
fn role_with_defaults() {
    check(Role::new(Service::IOT), "role_defaults");
}

#[test]
fn role_with_everything() {
    check_stack("role_everything", |stack| {
        let account = text!("arn:{}:iam::{}:root", Pseudo::Partition, Pseudo::AccountId);
        let rules =
            text!("arn:{}:iot:{}:{}:rule/*", Pseudo::Partition, Pseudo::Region, Pseudo::AccountId);
        let role = Role {
            assumed_by: vec![Service::IOT.into(), Service::LAMBDA.into(), Principal::Aws(account)],
            trust_conditions: vec![Condition::source_account(), Condition::source_arn(rules)],
            description: "Waters the garden".into(),
            role_name: "gardener".into(),
            managed_policies: vec!["service-role/AWSIoTLogging".into()],
            max_session: Some(Duration::hours(2)),
            permissions_boundary: text!(
                "arn:{}:iam::{}:policy/boundary",
                Pseudo::Partition,
                Pseudo::AccountId
            )
            .into(),
        };
        let role = stack.add("It", role);
        let _ = role.allow(Statement {
            sid: "Water".into(),
            conditions: vec![
                Condition::new("StringEquals", "aws:ResourceTag/bed", ["roses", "tulips"]),
                Condition::new("StringEquals", "aws:RequestedRegion", Pseudo::Region),
            ],
            ..Statement::allow(["iot:DescribeThing", "iot:UpdateThing"], ["*"])
        });
        let _ = role.allow(Statement::deny(["iot:DeleteThing"], ["*"]));
        let driver = stack.add("Driver", Role::new(Service::LAMBDA));
        let grant = role.grant_pass(&driver, Service::IOT);
        // Whatever passes the role right away waits for the permission.
        let topic = stack.untyped("Topic", "AWS::SNS::Topic", Default::default());
        topic.depends_on(&grant);
        stack.output("Name", role.name());
        stack.output("Arn", role.arn());
    });
}

#[test]
fn role_that_exists_already() {
    check_stack("role_imported", |stack| {
        let role = Role::from_name(stack, "Gardener", "gardener");
        let _ = role.allow(Statement::allow(["iot:DescribeThing"], ["*"]));
        stack.output("Arn", role.arn());
    });
}

#[test]
fn a_document_has_each_statement_once() {
    let read = || Statement::allow(["s3:GetObject"], ["arn:aws:s3:::firmware/*"]);
    let expected = object! {
        "Version": "2012-10-17",
        "Statement": [read(), Statement { effect: Effect::Deny, ..read() }],
    };
    let found = document([read(), read(), Statement { effect: Effect::Deny, ..read() }]);
    assert_eq!(found, expected);
}

#[test]
fn the_name_of_a_policy_is_not_longer_than_iam_takes() {
    let app = App::new();
    let stack = app.add("garden", Stack::default());
    let role = stack.add("Gardener".repeat(20), Role::new(Service::IOT));
    let _ = role.allow(Statement::allow(["iot:DescribeThing"], ["*"]));
    let template = Template::from(&stack);
    let policies = template.find::<iotstack_aws::iam::CfnPolicy>();
    let name = policies[0].1["PolicyName"].as_str().unwrap();
    assert_eq!(name.len(), 128);
    // The end is what tells names apart.
    assert!(policies[0].0.ends_with(name));
}
