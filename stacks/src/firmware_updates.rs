//! Firmware updates over the air: the stack that keeps a fleet on signed firmware.
//!
//! One stack holds everything that exists once: the firmware bucket, the signing
//! profile, the device policy, the update manager, notifications, dashboard and alarms.
//! Things stand in it too, up to [`THINGS_PER_STACK`]; a larger fleet goes on in further
//! stacks. A thing's place in the fleet decides its stack, so adding one at the end
//! never moves another.

mod fleet;
mod functions;
mod manager;
mod monitoring;
mod notifications;
mod provisioning;
mod signing;
mod storage;

use iotstack::prelude::*;
use iotstack::{Stack, StackRef, Synthesizer};

use crate::parameters::Parameters;
use crate::{Error, Handlers};

pub use fleet::THINGS_PER_STACK;
use fleet::{Fleet, Members};
use functions::Functions;
use manager::UpdateManager;
use monitoring::Monitoring;
use notifications::Notifications;
use provisioning::Provisioning;
use signing::Signing;
use storage::FirmwareStorage;

/// Everything that decides what is deployed.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// The environment's name, such as `dev`.
    pub environment_name: String,
    /// Where it goes.
    pub environment: Environment,
    /// The program with the Lambda functions.
    pub handlers: Handlers,
    /// The rest.
    pub parameters: Parameters,
}

impl Deployment {
    /// Which bucket and roles the stacks use.
    pub fn synthesizer(&self) -> Synthesizer {
        match &self.parameters.bootstrap_qualifier {
            Some(qualifier) => Synthesizer::Bootstrapped { qualifier: qualifier.clone() },
            None => Synthesizer::default(),
        }
    }

    /// The beginning of physical names, such as `firmware-dev`.
    pub fn prefix(&self) -> String {
        format!("{}-{}", self.parameters.project, self.environment_name)
    }

    /// The same for names that take no hyphens.
    pub fn prefix_with_underscores(&self) -> String {
        self.prefix().replace('-', "_")
    }

    /// Whether devices may get their certificates by claim.
    pub fn provisions_by_claim(&self) -> bool {
        self.parameters.claim_provisioning.unwrap_or(self.environment_name == "dev")
    }

    /// Whether data outlives the stack.
    pub fn retains(&self) -> bool {
        self.parameters.retain.unwrap_or(self.environment_name == "prod")
    }
}

/// Adds the firmware-update stacks to an app.
pub fn add_to(app: &App, deployment: Deployment) -> Result<(), Error> {
    let functions = Functions::new(&deployment)?;
    let things = deployment
        .parameters
        .fleet
        .things(&deployment.parameters.project, &deployment.environment_name);
    let mut shards = things.chunks(THINGS_PER_STACK);

    let name = format!("IoTFirmwareUpdatesStack-{}", deployment.environment_name);
    let stack =
        app.add(name.clone(), stack(&deployment, "Signed firmware updates for a fleet of things"));
    let shared =
        stack.add("FirmwareUpdates", FirmwareUpdates { deployment: &deployment, functions });
    let first = shards.next().unwrap_or_default();
    stack.add("Things", Members { fleet: &shared.fleet, names: first, deployment: &deployment });
    outputs(&stack, &shared);

    for (index, names) in shards.enumerate() {
        let description = format!("Things {} of the fleet {}", index + 2, deployment.prefix());
        let more =
            app.add(format!("{name}-Things{}", index + 2), self::stack(&deployment, &description));
        more.add("Things", Members { fleet: &shared.fleet, names, deployment: &deployment });
    }
    Ok(())
}

fn stack(deployment: &Deployment, description: &str) -> Stack {
    let mut tags = deployment.parameters.tags.clone();
    tags.entry("iotstack:project".into()).or_insert(deployment.parameters.project.clone());
    tags.entry("iotstack:environment".into()).or_insert(deployment.environment_name.clone());
    Stack {
        description: Some(format!("{description} ({})", deployment.environment_name)),
        environment: deployment.environment.clone(),
        tags,
        termination_protection: deployment.environment_name == "prod",
        synthesizer: deployment.synthesizer(),
        ..default()
    }
}

/// Everything that exists once.
struct FirmwareUpdates<'a> {
    deployment: &'a Deployment,
    functions: Functions,
}

/// What [`FirmwareUpdates`] leaves in the hand.
struct Shared {
    storage: storage::FirmwareStorageRef,
    signing: signing::SigningRef,
    fleet: fleet::FleetRef,
    provisioning: Option<provisioning::ProvisioningRef>,
    manager: iotstack::aws::lambda::FunctionRef,
    notifications: notifications::NotificationsRef,
    dashboard: iotstack::aws::cloudwatch::DashboardRef,
}

impl Construct for FirmwareUpdates<'_> {
    type Ref = Shared;

    fn build(self, scope: &Scope) -> Shared {
        let FirmwareUpdates { deployment, functions } = self;
        let storage = scope.add("Storage", FirmwareStorage { deployment });
        let signing = scope.add("Signing", Signing { deployment, functions: &functions });
        let fleet = scope.add("Fleet", Fleet { deployment, functions: &functions });
        let provisioning = deployment
            .provisions_by_claim()
            .then(|| scope.add("Provisioning", Provisioning { deployment, functions: &functions }));
        let manager = scope.add(
            "UpdateManager",
            UpdateManager {
                deployment,
                functions: &functions,
                storage: &storage,
                signing: &signing,
                fleet: &fleet,
            },
        );
        let notifications =
            scope.add("Notifications", Notifications { deployment, functions: &functions });
        let dashboard = scope.add(
            "Monitoring",
            Monitoring {
                deployment,
                storage: &storage,
                manager: &manager,
                notifications: &notifications,
            },
        );
        Shared { storage, signing, fleet, provisioning, manager, notifications, dashboard }
    }
}

fn outputs(stack: &StackRef, shared: &Shared) {
    stack.output("FirmwareBucketName", shared.storage.bucket.name());
    stack.output("SigningProfileName", shared.signing.profile_name.clone());
    stack.output("SigningCertificateParameter", shared.signing.certificate_parameter.name());
    stack.output("LambdaFunctionName", shared.manager.name());
    stack.output("ThingGroupName", shared.fleet.group.name());
    stack.output("DevicePolicyName", shared.fleet.policy.name());
    if let Some(provisioning) = &shared.provisioning {
        stack.output("ProvisioningTemplateName", provisioning.template_name.clone());
        stack.output("ClaimSecretArn", provisioning.claim_secret_arn.clone());
    }
    stack.output("DashboardURL", shared.dashboard.url());
    stack.output("SnsTopicArn", shared.notifications.topic.arn());
    stack.output("EventBusName", shared.notifications.bus.name());
}

#[cfg(test)]
mod tests;
