//! A first stack: one bucket, and its name as an output.
//!
//! `cargo run --example first_stack` writes the assembly into `iotstack.out/`;
//! `iotstack deploy --app iotstack.out` brings it to AWS.

use iotstack::aws::s3;
use iotstack::prelude::*;

fn main() -> iotstack::Result<()> {
    let app = App::from_env()?;
    let stack = app.add("firmware", Stack::default());

    // A construct is a struct: what is not said has a default that is safe.
    let firmware = s3::Bucket { versioned: true, ..default() };
    let firmware = stack.add("Firmware", firmware);

    stack.output("BucketName", firmware.name());
    app.run()
}
