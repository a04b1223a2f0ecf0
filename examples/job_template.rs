//! A template for jobs that install firmware, with everything that keeps a fleet safe.
//!
//! A rollout that grows with success, an end when too much fails, a limit on time, and
//! another try for devices that were unlucky.

use iotstack::aws::iam::{Condition, Role, Service};
use iotstack::aws::iot::{
    Abort, ExponentialRate, FailureType, JobTemplate, PresignedUrls, Retry, Rollout,
};
use iotstack::aws::s3::Bucket;
use iotstack::prelude::*;

fn main() -> iotstack::Result<()> {
    let app = App::from_env()?;
    let stack = app.add("firmware", Stack::default());
    let firmware = stack.add("Firmware", Bucket { versioned: true, ..default() });
    let presigner =
        Role { trust_conditions: vec![Condition::source_account()], ..Role::new(Service::IOT) };
    let presigner = stack.add("Presigner", presigner);
    let _ = firmware.grant_get(&presigner);

    // AWS IoT puts a link that is good for an hour in place of the `${…}`.
    let link = text!(
        "${aws:iot:s3-presigned-url:https://s3.{}.amazonaws.com/{}/pump-1.1.0.bin}",
        Pseudo::Region,
        firmware.name()
    );
    let document = object! { "operation": "install", "version": "1.1.0", "url": link };
    let update = JobTemplate {
        presigned_urls: Some(PresignedUrls { role: presigner.arn(), expires: Duration::hours(1) }),
        rollout: Rollout {
            max_per_minute: Some(1_000),
            exponential: Some(ExponentialRate {
                base_per_minute: 10,
                factor: 2.0,
                after_notified: None,
                after_succeeded: Some(50),
            }),
        },
        abort: vec![Abort { failure: FailureType::All, threshold_percent: 10.0, after: 20 }],
        timeout: Some(Duration::minutes(30)),
        retries: vec![Retry { failure: FailureType::TimedOut, times: 2 }],
        ..JobTemplate::new("pump-1-1-0", "Installs version 1.1.0 on pumps", document)
    };
    let update = stack.add("Update", update);
    stack.output("UpdateTemplateArn", update.arn());
    app.run()
}
