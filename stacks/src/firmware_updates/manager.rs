//! The update manager: a function that makes jobs out of signed firmware.
//!
//! It takes `create_job`, `check_job_status`, `cancel_job` and `list_jobs`; the settings
//! of rollout, abort, timeout and retry come with it from the stack's parameters.

use iotstack::aws::iam::{Grantee, Service, Statement};
use iotstack::aws::lambda::{Function, FunctionRef};
use iotstack::prelude::*;

use super::Deployment;
use super::fleet::FleetRef;
use super::functions::Functions;
use super::signing::SigningRef;
use super::storage::FirmwareStorageRef;

pub struct UpdateManager<'a> {
    pub deployment: &'a Deployment,
    pub functions: &'a Functions,
    pub storage: &'a FirmwareStorageRef,
    pub signing: &'a SigningRef,
    pub fleet: &'a FleetRef,
}

impl Construct for UpdateManager<'_> {
    type Ref = FunctionRef;

    fn build(self, scope: &Scope) -> FunctionRef {
        let Deployment { parameters, .. } = self.deployment;
        let prefix = self.deployment.prefix();
        // Settings are plain data; serializing them cannot fail.
        let settings = serde_json::to_string(&parameters.jobs).unwrap_or_default();
        let function = Function {
            function_name: format!("{prefix}-update-manager").into(),
            // Hashing a large image takes time, and processor share comes with memory.
            memory: Size::mebibytes(512),
            timeout: Duration::minutes(5),
            reserved_concurrency: parameters.manager_concurrency,
            environment: vec![
                ("FIRMWARE_BUCKET", self.storage.bucket.name().into()),
                ("PRESIGN_ROLE_ARN", self.storage.presigner.arn().into()),
                ("SIGNING_PROFILE_NAME", self.signing.profile_name.clone().into()),
                ("CERTIFICATE_NAME", parameters.signing.certificate_name.clone().into()),
                ("JOB_ID_PREFIX", prefix.clone().into()),
                ("JOB_SETTINGS", settings.into()),
            ],
            ..self.functions.function("firmware-manager", "Makes and watches firmware update jobs")
        };
        let manager = scope.add("Function", function);
        let _ = self.storage.bucket.grant_read(&manager);
        let _ = self.storage.presigner.grant_pass(&manager, Service::IOT);
        allow_jobs(&manager, &prefix, self.fleet);
        manager
    }
}

fn allow_jobs(manager: &impl Grantee, prefix: &str, fleet: &FleetRef) {
    let jobs = text!(
        "arn:{}:iot:{}:{}:job/{}-*",
        Pseudo::Partition,
        Pseudo::Region,
        Pseudo::AccountId,
        prefix
    );
    let group: Expr = fleet.group.arn().into();
    // Groups whose names begin like those of the stack are its own too: canaries, sites.
    let groups = text!(
        "arn:{}:iot:{}:{}:thinggroup/{}-*",
        Pseudo::Partition,
        Pseudo::Region,
        Pseudo::AccountId,
        prefix
    );
    let groups = [group, groups];
    let targets = [jobs.clone()].into_iter().chain(groups.clone());
    let _ = manager.allow(Statement::allow(["iot:CreateJob"], targets));
    let _ = manager.allow(Statement::allow(
        ["iot:DescribeJob", "iot:GetJobDocument", "iot:CancelJob"],
        [jobs],
    ));
    let _ = manager.allow(Statement::allow(["iot:DescribeThingGroup"], groups));
    // These two know no narrower resource.
    let _ = manager.allow(Statement::allow(["iot:ListJobs", "signer:ListSigningJobs"], ["*"]));
}
