//! An attribute of one L1 type asked of another.

use iotstack_aws::iot::CfnThing;
use iotstack_aws::s3::CfnBucket;
use iotstack_core::{App, Stack};

fn main() {
    let app = App::new();
    let stack = app.add("fleet", Stack::default());
    let thing = stack.resource("Pump", CfnThing::new());
    stack.output("Arn", thing.attribute(CfnBucket::DOMAIN_NAME));
}
