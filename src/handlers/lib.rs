//! The Lambda functions that iotstack's stacks deploy.
//!
//! One small binary holds all of them; Lambda's `_HANDLER`, which is the
//! `Handler` of the function in the template, says which one it is this time.
//!
//! | `_HANDLER` | what it does |
//! |---|---|
//! | `firmware-manager` | creates, watches, lists and cancels firmware jobs |
//! | `job-events` | brings job events from AWS IoT to EventBridge |
//! | `signing-profile` | custom resource: a firmware signing profile and its certificate |
//! | `fleet-membership` | custom resource: type and groups of things |
//! | `claim-certificate` | custom resource: the certificate with which devices claim theirs |
//! | `event-configurations` | custom resource: switches on the events of AWS IoT |
//!
//! Invariants: a custom resource always answers CloudFormation, and exactly once
//! per invocation; everything can be repeated without harm, because Lambda and
//! CloudFormation repeat; no private key, credential or presigned URL is logged;
//! nothing is kept between invocations. There is no state and no file in here,
//! and no credential provider either: Lambda hands the credentials over.

mod claim_certificate;
mod custom_resource;
mod environment;
mod error;
mod event_configurations;
mod firmware_manager;
mod fleet_membership;
mod function;
mod job_events;
mod retry;
mod signing_profile;
#[cfg(test)]
mod testing;

use std::process::ExitCode;

pub use error::{Error, Result};

use custom_resource::CustomResource;
use environment::Environment;
use function::serve;

/// Runs the function that `_HANDLER` names, until Lambda ends the process.
pub fn main() -> ExitCode {
    // The level is fixed: from `debug` on, the HTTP stack would write bodies and
    // signed URLs into the log.
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(tracing::Level::INFO)
        .with_current_span(true)
        .with_span_list(false)
        .with_target(false)
        .init();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(&Environment::of_process())),
        Err(error) => Err(Error::Runtime(error.to_string())),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the function cannot run");
            ExitCode::FAILURE
        }
    }
}

/// One line per function.
async fn run(environment: &Environment) -> Result<()> {
    let name = environment.required("_HANDLER")?;
    let aws = environment.aws()?;
    match name.as_str() {
        "firmware-manager" => {
            serve(firmware_manager::FirmwareManager::new(environment, &aws)?).await
        }
        "job-events" => serve(job_events::JobEvents::new(environment, &aws)?).await,
        "signing-profile" => {
            let resource = signing_profile::SigningProfiles::new(&aws);
            serve(CustomResource::new(resource, &aws)).await
        }
        "fleet-membership" => {
            let resource = fleet_membership::FleetMembership::new(&aws);
            serve(CustomResource::new(resource, &aws)).await
        }
        "claim-certificate" => {
            let resource = claim_certificate::ClaimCertificates::new(&aws);
            serve(CustomResource::new(resource, &aws)).await
        }
        "event-configurations" => {
            let resource = event_configurations::EventConfigurations::new(&aws);
            serve(CustomResource::new(resource, &aws)).await
        }
        _ => Err(Error::UnknownFunction { name }),
    }
}
