//! Where firmware lies: a versioned, private bucket, and the role that lets AWS IoT Jobs
//! hand out download URLs for it.

use iotstack::aws::iam::{Condition, Role, RoleRef, Service};
use iotstack::aws::kms::Key;
use iotstack::aws::s3::{self, Bucket, BucketRef, Lifecycle, Removal};
use iotstack::prelude::*;

use super::Deployment;
use crate::parameters::Encryption;

pub struct FirmwareStorage<'a> {
    pub deployment: &'a Deployment,
}

pub struct FirmwareStorageRef {
    pub bucket: BucketRef,
    /// Signs the download URLs in job documents.
    pub presigner: RoleRef,
}

impl Construct for FirmwareStorage<'_> {
    type Ref = FirmwareStorageRef;

    fn build(self, scope: &Scope) -> FirmwareStorageRef {
        let parameters = &self.deployment.parameters;
        let removal = if self.deployment.retains() { Removal::Retain } else { Removal::Delete };
        let encryption = match &parameters.encryption {
            Encryption::S3 => s3::Encryption::S3Managed,
            Encryption::Kms => s3::Encryption::Kms(scope.add(
                "Key",
                Key {
                    description: format!("Firmware of {}", self.deployment.prefix()).into(),
                    removal,
                },
            )),
            Encryption::KmsKeyArn(arn) => s3::Encryption::Kms(Key::from_arn(arn)),
        };
        let days = |count: u32| Duration::days(count.into());
        let bucket = scope.add(
            "Firmware",
            Bucket {
                // Signer signs a version, and a job document names one.
                versioned: true,
                encryption,
                lifecycle: vec![Lifecycle {
                    id: Some("old-versions".into()),
                    tier_old_versions: Some(days(parameters.tier_old_versions_after_days)),
                    expire_old_versions: parameters.expire_old_versions_after_days.map(days),
                    abort_uploads: Some(Duration::days(7)),
                    ..default()
                }],
                removal,
                ..default()
            },
        );
        let jobs = text!("arn:{}:iot:*:{}:job/*", Pseudo::Partition, Pseudo::AccountId);
        let presigner = scope.add(
            "Presigner",
            Role {
                description: "Lets AWS IoT Jobs sign download URLs of firmware".into(),
                trust_conditions: vec![Condition::source_account(), Condition::source_arn(jobs)],
                ..Role::new(Service::IOT)
            },
        );
        let _ = bucket.grant_get(&presigner);
        FirmwareStorageRef { bucket, presigner }
    }
}
