//! Log groups.

use iotstack_aws::iam::{Role, Service};
use iotstack_aws::logs::LogGroup;
use iotstack_aws::s3::Removal;
use iotstack_core::Duration;

use crate::template::{check, check_stack};

#[test]
fn log_group_with_defaults() {
    check(LogGroup::default(), "log_group_defaults");
}

#[test]
fn log_group_with_everything() {
    check_stack("log_group_everything", |stack| {
        let group = LogGroup {
            log_group_name: "/garden/pumps".into(),
            retention: Duration::days(100),
            removal: Removal::Retain,
        };
        let group = stack.add("It", group);
        let writer = stack.add("Writer", Role::new(Service::IOT));
        let _ = group.grant_write(&writer);
        stack.output("Name", group.name());
        stack.output("Arn", group.arn());
    });
}
