//! The ARN of a bucket where a role's is needed.

use iotstack_aws::{iot, s3};
use iotstack_core::{App, Duration, Stack};

fn main() {
    let app = App::new();
    let stack = app.add("fleet", Stack::default());
    let firmware = stack.add("Firmware", s3::Bucket::default());
    let _ = iot::PresignedUrls { role: firmware.arn(), expires: Duration::minutes(15) };
}
