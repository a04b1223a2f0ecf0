//! Permissions by intent.
//!
//! A grant knows the actions and the resources, and asks whoever can act: a role, or a
//! function with a role. `firmware.grant_put(&firmware)` does not compile.

use iotstack::aws::iam::{Condition, Role, Service};
use iotstack::aws::lambda::{Code, Function, Runtime};
use iotstack::aws::{kms, s3};
use iotstack::prelude::*;

fn main() -> iotstack::Result<()> {
    let app = App::from_env()?;
    let stack = app.add("firmware", Stack::default());

    let key = stack.add("Key", kms::Key::default());
    let encryption = s3::Encryption::Kms(key);
    let firmware = stack.add("Firmware", s3::Bucket { encryption, ..default() });

    // AWS IoT signs download links as this role, for this account only.
    let presigner =
        Role { trust_conditions: vec![Condition::source_account()], ..Role::new(Service::IOT) };
    let presigner = stack.add("Presigner", presigner);
    // The key is part of the bucket: whoever may read may also decrypt.
    let _ = firmware.grant_get(&presigner);

    let code = Code::Inline("def handler(event, context):\n    return event\n".into());
    let importer =
        Function { runtime: Runtime::Python3_13, ..Function::new(code, "index.handler") };
    let importer = stack.add("Importer", importer);
    let _ = firmware.grant_put(&importer);
    app.run()
}
