//! Whether a caller of the HTTP API may do something to one thing or topic.
//!
//! The gateway has checked who calls and that some policy names the action at all;
//! the resource is known only here. Devices that call with their certificate are
//! judged by their IoT policies, users and roles by IAM.

use iotstack_local_kernel::{Call, Caller, Cloud, Fault};

use crate::error::Error;

/// Refuses a caller who may not do `action` on `resource`, such as `thing/lamp`.
///
/// # Errors
/// `ForbiddenException`.
pub fn check(cloud: &Cloud, call: &Call, action: &str, resource: &str) -> Result<(), Fault> {
    let arn = match resource {
        "*" => resource.to_owned(),
        resource => cloud.account.arn("iot", resource),
    };
    let allowed = match &call.caller {
        Caller::Root | Caller::Service { .. } => true,
        Caller::Principal { .. } => cloud.ports.credentials()?.allows(&call.caller, action, &arn),
        Caller::Device { certificate_id } => {
            cloud.ports.registry()?.certificate_may(certificate_id, action, &arn)
        }
    };
    if allowed { Ok(()) } else { Err(Error::Forbidden.into()) }
}
