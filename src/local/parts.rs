//! The list of services: one line each.
//!
//! They do not know each other, so their order does not matter; it is that in
//! which one would explain them.

use std::sync::Arc;

use iotstack_local_broker::{Broker, Settings};
use iotstack_local_kernel::Cloud;
use iotstack_local_lambda::Functions;
use iotstack_local_registry::{FleetSearch, LocalCa};
use iotstack_local_s3::Front;

use crate::{Error, Options};

/// What the gateway uses besides the tables of operations.
pub struct Parts {
    /// S3 answers requests by itself.
    pub objects: Front,
    /// The functions, whose processes end with the cloud.
    pub functions: Functions,
    /// The broker takes WebSockets in.
    pub broker: Arc<Broker>,
    /// The authority that certifies devices and the broker.
    pub ca: Arc<LocalCa>,
    /// Finds things for the console, whatever the account indexes.
    pub search: FleetSearch,
}

impl Parts {
    /// Puts all services into the cloud.
    pub fn install(cloud: &Arc<Cloud>, options: &Options) -> Result<Self, Error> {
        iotstack_local_identity::install(cloud, options.root.clone())?;
        let objects = iotstack_local_s3::install(cloud)?;
        let functions = iotstack_local_lambda::install(cloud)?;
        iotstack_local_messaging::install(cloud)?;
        iotstack_local_monitoring::install(cloud)?;
        iotstack_local_dynamodb::install(cloud)?;
        let (ca, search) = iotstack_local_registry::start_with_delay(cloud, options.policy_delay)?;
        iotstack_local_data_plane::install(cloud)?;
        iotstack_local_jobs::install(cloud)?;
        iotstack_local_rules::install(cloud)?;
        let broker = iotstack_local_broker::install(cloud, broker_settings(options))?;
        iotstack_local_cloudformation::install(cloud)?;
        match cloud.doubled_resources() {
            doubled if doubled.is_empty() => Ok(Parts { objects, functions, broker, ca, search }),
            doubled => Err(Error::DoubledResources(doubled)),
        }
    }
}

fn broker_settings(options: &Options) -> Settings {
    let settings = Settings {
        standard_mqtt: options.standard_mqtt,
        needs_server_name: options.needs_server_name,
        ..Settings::default()
    };
    if options.aws_limits { settings.with_aws_limits() } else { settings }
}
