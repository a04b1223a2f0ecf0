//! An L1 where a construct is expected, and the reverse.

use iotstack_aws::iot::CfnThing;
use iotstack_aws::s3::Bucket;
use iotstack_core::{App, Stack};

fn main() {
    let app = App::new();
    let stack = app.add("fleet", Stack::default());
    stack.add("Pump", CfnThing::new());
    stack.resource("Firmware", Bucket::default());
}
