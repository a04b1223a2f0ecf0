//! A struct without a part that it cannot do without.

use iotstack_aws::iot;
use iotstack_core::Duration;

fn main() {
    let _ = iot::PresignedUrls { expires: Duration::minutes(15) };
}
