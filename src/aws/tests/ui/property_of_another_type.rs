//! A number where an L1 property takes text.

use iotstack_aws::iot::CfnThing;

fn main() {
    let _ = CfnThing::new().thing_name(7);
}
