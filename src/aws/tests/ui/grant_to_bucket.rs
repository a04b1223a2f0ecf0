//! A permission for something that cannot act.

use iotstack_aws::s3;
use iotstack_core::{App, Stack};

fn main() {
    let app = App::new();
    let stack = app.add("fleet", Stack::default());
    let firmware = stack.add("Firmware", s3::Bucket::default());
    let backup = stack.add("Backup", s3::Bucket::default());
    let _ = firmware.grant_read(&backup);
}
