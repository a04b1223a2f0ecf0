//! Work on a fleet whose stack stands: firmware, jobs, devices.
//!
//! Everything hangs on the outputs of the firmware-update stack: the bucket, the
//! signing profile, the update manager, the group and the policy of the things.
//! [`Fleet::open`] reads them once and says which is missing. The caller's own
//! credentials are used, not the deployment role's, as these are the operations
//! of whoever runs the fleet.

mod device;
mod firmware;
mod job;

pub use device::{Claim, Device, DeviceCredentials, Endpoint, Shadow};
pub use firmware::{Firmware, Published, Signed, firmware_key};
pub use job::{Job, JobExecution, JobRequest, JobSummary};

use std::collections::BTreeMap;
use std::future::Future;

use tokio::task::JoinSet;

use crate::{Clients, Error, Result, outputs};

/// A fleet whose stack stands.
#[derive(Debug, Clone)]
pub struct Fleet {
    clients: Clients,
    stack: String,
    outputs: BTreeMap<String, String>,
    sdk: Sdk,
}

/// The clients that only fleets need.
#[derive(Debug, Clone)]
struct Sdk {
    acm: aws_sdk_acm::Client,
    data: aws_sdk_iotdataplane::Client,
    iot: aws_sdk_iot::Client,
    lambda: aws_sdk_lambda::Client,
    s3: aws_sdk_s3::Client,
    secrets: aws_sdk_secretsmanager::Client,
    signer: aws_sdk_signer::Client,
}

impl Fleet {
    /// The fleet of the firmware-update stack `stack`.
    ///
    /// # Errors
    /// [`Error::StackNotFound`] if it is not deployed.
    pub async fn open(clients: Clients, stack: &str) -> Result<Self> {
        let outputs = outputs::outputs(&clients, stack).await?;
        let outputs = outputs.into_iter().map(|output| (output.name, output.value)).collect();
        let config = clients.own_config();
        // Without an endpoint of its own the SDK reaches the account's data plane only
        // by the address that AWS IoT tells.
        let mut data = aws_sdk_iotdataplane::config::Builder::from(config);
        if config.endpoint_url().is_none() && std::env::var_os("AWS_ENDPOINT_URL").is_none() {
            let request = clients.own.iot.describe_endpoint().endpoint_type("iot:Data-ATS");
            let answer = request.send().await.map_err(clients.failed("iot:DescribeEndpoint"))?;
            data.set_endpoint_url(answer.endpoint_address.map(|host| format!("https://{host}")));
        }
        let sdk = Sdk {
            acm: aws_sdk_acm::Client::new(config),
            data: aws_sdk_iotdataplane::Client::from_conf(data.build()),
            iot: clients.own.iot.clone(),
            lambda: aws_sdk_lambda::Client::new(config),
            s3: clients.own.s3.clone(),
            secrets: aws_sdk_secretsmanager::Client::new(config),
            signer: aws_sdk_signer::Client::new(config),
        };
        Ok(Fleet { clients, stack: stack.to_owned(), outputs, sdk })
    }

    /// The stack's name.
    pub fn stack(&self) -> &str {
        &self.stack
    }

    /// The region.
    pub fn region(&self) -> &str {
        &self.clients.region
    }

    /// The group of all things.
    ///
    /// # Errors
    /// [`Error::MissingOutput`].
    pub fn thing_group(&self) -> Result<&str> {
        self.output("ThingGroupName")
    }

    /// The bucket of the firmware.
    ///
    /// # Errors
    /// [`Error::MissingOutput`].
    pub fn bucket(&self) -> Result<&str> {
        self.output("FirmwareBucketName")
    }

    /// The policy of the devices' certificates.
    ///
    /// # Errors
    /// [`Error::MissingOutput`].
    pub fn device_policy(&self) -> Result<&str> {
        self.output("DevicePolicyName")
    }

    /// The provisioning template, where the stack has one.
    pub fn provisioning_template(&self) -> Option<&str> {
        self.outputs.get("ProvisioningTemplateName").map(String::as_str)
    }

    /// Works on things a few at a time, and gives what came of each, in any order. After a
    /// failure it goes on with the others, and gives the first one.
    async fn for_each<T: Send + 'static, F>(
        &self,
        things: impl IntoIterator<Item = String>,
        work: impl Fn(Fleet, String) -> F,
    ) -> Result<Vec<T>>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let mut waiting = things.into_iter();
        let mut running = JoinSet::new();
        let (mut found, mut failure) = (Vec::new(), None);
        loop {
            while running.len() < AT_ONCE
                && let Some(thing) = waiting.next()
            {
                running.spawn(work(self.clone(), thing));
            }
            match running.join_next().await {
                Some(Ok(Ok(one))) => found.push(one),
                Some(Ok(Err(error))) => failure = failure.or(Some(error)),
                Some(Err(error)) => {
                    failure = failure.or(Some(Error::Task(error.to_string())));
                }
                None => return failure.map_or(Ok(found), Err),
            }
        }
    }

    fn output(&self, name: &'static str) -> Result<&str> {
        self.outputs
            .get(name)
            .map(String::as_str)
            .ok_or_else(|| Error::MissingOutput { stack: self.stack.clone(), output: name })
    }
}

/// Whether AWS IoT does not know what was asked for.
fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Service { code, .. } if code == "ResourceNotFoundException")
}

/// What is not there is as good as taken away.
fn gone(taken_away: Result<()>) -> Result<()> {
    match taken_away {
        Err(error) if is_missing(&error) => Ok(()),
        taken_away => taken_away,
    }
}

/// How many things are worked on at a time. AWS IoT takes ten certificates a second back,
/// and each costs half a dozen calls.
const AT_ONCE: usize = 4;
