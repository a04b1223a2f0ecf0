//! What has no field: the L1 below, a property by name, a type by name.
//!
//! The typed constructs are the short way and never the only one. Whatever is set here is
//! checked and compared like everything else.

use iotstack::aws::iam::{Role, Service};
use iotstack::aws::iot::{CfnLogging, CfnLoggingDefaultLogLevel};
use iotstack::aws::s3;
use iotstack::prelude::*;

fn main() -> iotstack::Result<()> {
    let app = App::from_env()?;
    let stack = app.add("garden", Stack::default());

    // An L2's own resource can be changed.
    let firmware = stack.add("Firmware", s3::Bucket::default());
    firmware.cfn(|bucket| {
        let acceleration = object! { "AccelerationStatus": "Enabled" };
        bucket.properties_mut().set("AccelerateConfiguration", acceleration);
    });

    // Every property of every type has a typed setter on its L1 …
    let role = stack.add("Logger", Role::new(Service::IOT));
    let level = CfnLoggingDefaultLogLevel::Error;
    let logging = CfnLogging::new(Pseudo::AccountId, level, role.arn());
    stack.resource("Logging", logging);

    // … and a type that this version does not know has its name.
    let mut properties = Props::new();
    properties.set("DisplayName", "Alarms of the garden");
    let alarms = stack.untyped("Alarms", "AWS::SNS::Topic", properties);
    alarms.removal_policy(DeletionPolicy::Retain);
    stack.output("AlarmTopic", alarms.reference());
    app.run()
}
