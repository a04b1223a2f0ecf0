//! Provisioning: from a template and parameters to a thing with a certificate
//! and policies.
//!
//! [`evaluate`] and [`Plan`] are pure: texts in, a plan out. [`register`] carries
//! a plan out as one change, or refuses before anything is changed. [`Topics`]
//! is the MQTT side for devices with a claim; [`first_seen`] is for devices that
//! a registered authority vouches for.

mod apply;
mod hook;
mod jit;
mod plan;
mod template;
mod topics;

pub use apply::{policy_of, register};
pub use jit::first_seen;
pub use plan::Plan;
pub use template::{Evaluated, check_body, evaluate};
pub use topics::Topics;

use iotstack_local_kernel::Account;

/// What the holder of a claim for a template may do.
pub fn claim_policy(account: &Account, template: &str) -> String {
    let topics = [
        "$aws/certificates/create/*".to_owned(),
        "$aws/certificates/create-from-csr/*".to_owned(),
        format!("$aws/provisioning-templates/{template}/provision/*"),
    ];
    let arns = |kind: &str| -> Vec<String> {
        topics.iter().map(|topic| account.arn("iot", format_args!("{kind}/{topic}"))).collect()
    };
    serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "iot:Connect", "Resource": "*"},
            {"Effect": "Allow", "Action": ["iot:Publish", "iot:Receive"], "Resource": arns("topic")},
            {"Effect": "Allow", "Action": "iot:Subscribe", "Resource": arns("topicfilter")},
        ],
    })
    .to_string()
}

#[cfg(test)]
mod tests;
