//! Keys, made here and elsewhere.

use iotstack_aws::iam::{Role, Service};
use iotstack_aws::kms::Key;
use iotstack_aws::s3::{Bucket, Encryption, Removal};
use iotstack_core::default;

use crate::template::{check, check_stack};

#[test]
fn key_with_defaults() {
    check(Key::default(), "key_defaults");
}

#[test]
fn key_with_everything() {
    check_stack("key_everything", |stack| {
        let key = Key { description: "Firmware".into(), removal: Removal::Delete };
        let key = stack.add("It", key);
        let role = stack.add("Role", Role::new(Service::IOT));
        let _ = key.grant_encrypt(&role);
        let _ = key.grant_decrypt(&role);
        stack.output("Arn", key.arn());
    });
}

#[test]
fn key_that_exists_already() {
    check_stack("key_imported", |stack| {
        let arn = "arn:aws:kms:eu-central-1:123456789012:key/0d2f4a5c-1234-4321-9876-0123456789ab";
        let encryption = Encryption::Kms(Key::from_arn(arn));
        let bucket = stack.add("Firmware", Bucket { encryption, ..default() });
        let reader = stack.add("Reader", Role::new(Service::IOT));
        let _ = bucket.grant_get(&reader);
    });
}
