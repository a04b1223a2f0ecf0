//! Two stacks, one of which refers to the other.
//!
//! Nothing is said about exports, imports or order: the reference is enough. The bucket's
//! stack exports the name, the other imports it and is deployed after it.

use iotstack::aws::{s3, ssm};
use iotstack::prelude::*;

fn main() -> iotstack::Result<()> {
    let app = App::from_env()?;

    let storage = app.add("storage", Stack::default());
    let firmware = storage.add("Firmware", s3::Bucket::default());

    let devices = app.add("devices", Stack::default());
    devices.add(
        "WhereFirmwareIs",
        ssm::StringParameter {
            parameter_name: "/fleet/firmware-bucket".into(),
            value: firmware.name().into(),
            description: "The bucket that devices get firmware from".into(),
        },
    );
    app.run()
}
