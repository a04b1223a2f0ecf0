//! Buckets and what they grant.

use iotstack_aws::iam::{Role, Service};
use iotstack_aws::kms::Key;
use iotstack_aws::s3::{Bucket, Encryption, Lifecycle, Removal};
use iotstack_core::testing::{Template, object_like};
use iotstack_core::{App, Duration, Stack, default, object};

use crate::template::{check, check_stack};

#[test]
fn bucket_with_defaults() {
    check(Bucket::default(), "bucket_defaults");
}

#[test]
fn bucket_with_everything() {
    check_stack("bucket_everything", |stack| {
        let key = stack.add("Key", Key::default());
        let rule = Lifecycle {
            id: Some("old".into()),
            prefix: Some("firmware/".into()),
            tier_old_versions: Some(Duration::days(30)),
            expire_old_versions: Some(Duration::days(365)),
            expire: Some(Duration::days(1_000)),
            abort_uploads: Some(Duration::hours(25)),
        };
        let bucket = Bucket {
            bucket_name: "garden-firmware".into(),
            versioned: true,
            encryption: Encryption::Kms(key),
            lifecycle: vec![rule],
            removal: Removal::Delete,
        };
        let bucket = stack.add("It", bucket);
        let reader = stack.add("Reader", Role::new(Service::IOT));
        let writer = stack.add("Writer", Role::new(Service::IOT));
        let _ = bucket.grant_read(&reader);
        let _ = bucket.grant_read_below("maps/", &reader);
        let _ = bucket.grant_get(&reader);
        let _ = bucket.grant_put(&writer);
        stack.output("Name", bucket.name());
        stack.output("Arn", bucket.arn());
    });
}

#[test]
fn bucket_that_exists_already() {
    check_stack("bucket_imported", |stack| {
        let bucket = Bucket::from_name(stack, "old-firmware");
        let reader = stack.add("Reader", Role::new(Service::IOT));
        let _ = bucket.grant_read(&reader);
    });
}

#[test]
fn a_bucket_that_exists_already_cannot_be_changed_here() {
    let app = App::new();
    let stack = app.add("garden", Stack::default());
    let bucket = Bucket::from_name(&stack, "old-firmware");
    bucket.cfn(|bucket| bucket.properties_mut().set("BucketName", "new"));
    let found: Vec<_> = app.diagnostics().iter().map(|found| found.message.clone()).collect();
    assert_eq!(found, ["bucket `old-firmware` is made elsewhere and cannot be changed here"]);
}

#[test]
fn the_escape_hatch_reaches_what_has_no_field() {
    let app = App::new();
    let stack = app.add("garden", Stack::default());
    let bucket = stack.add("It", Bucket::default());
    bucket.cfn(|bucket| {
        let properties = bucket.properties_mut();
        properties.set("AccelerateConfiguration", object! { "AccelerationStatus": "Enabled" });
        properties.remove("OwnershipControls");
    });
    let template = Template::from(&stack);
    template.has_properties(
        "AWS::S3::Bucket",
        object_like([
            ("AccelerateConfiguration", object_like([("AccelerationStatus", "Enabled")])),
            ("OwnershipControls", iotstack_core::testing::absent()),
        ]),
    );
}

#[test]
fn a_grant_that_is_given_twice_stands_in_the_policy_once() {
    let app = App::new();
    let stack = app.add("garden", Stack::default());
    let bucket = stack.add("It", Bucket { versioned: true, ..default() });
    let reader = stack.add("Reader", Role::new(Service::IOT));
    let _ = bucket.grant_get(&reader);
    let _ = bucket.grant_get(&reader);
    let template = Template::from(&stack).to_json();
    let policies: Vec<_> = template["Resources"]
        .as_object()
        .unwrap()
        .values()
        .filter(|resource| resource["Type"] == "AWS::IAM::Policy")
        .collect();
    assert_eq!(policies.len(), 1);
    let statements = &policies[0]["Properties"]["PolicyDocument"]["Statement"];
    assert_eq!(statements.as_array().unwrap().len(), 1);
}
