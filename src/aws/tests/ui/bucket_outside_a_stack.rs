//! A resource that stands in no stack.

use iotstack_aws::s3;
use iotstack_core::App;

fn main() {
    let app = App::new();
    app.add("Firmware", s3::Bucket::default());
}
