//! A property that does not exist.

use iotstack_aws::s3;
use iotstack_core::default;

fn main() {
    let _ = s3::Bucket { versionned: true, ..default() };
}
