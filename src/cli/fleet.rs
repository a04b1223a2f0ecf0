//! The fleet that a command works on: the firmware-update stack of the environment.
//!
//! `firmware`, `job` and `device` all begin here. The stack's name follows from the
//! environment, so that nothing has to be synthesized; `--stack` names another one.

use iotstack_assembly::Environment;
use iotstack_deploy::Fleet;

use super::cloud;
use super::context::Context;
use super::error::{Error, Result};

/// Which stack holds the fleet.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct StackOption {
    /// The firmware-update stack [default: IoTFirmwareUpdatesStack-<ENV>]
    #[arg(long, value_name = "NAME", global = true)]
    pub stack: Option<String>,
}

/// Opens the fleet of the environment.
pub async fn open(context: &Context, option: &StackOption) -> Result<Fleet> {
    let (name, environment) = context.environment()?;
    let stack = option.stack.clone().unwrap_or_else(|| stack_name(&name));
    let session = cloud::session(context).await?;
    let place = Environment { account: environment.account, region: context.region()? };
    let clients = session.clients(&place).await?;
    Fleet::open(clients, &stack).await.map_err(|error| {
        let is_missing = matches!(error, iotstack_deploy::Error::StackNotFound { .. });
        let error = Error::from(error);
        if is_missing {
            return error.hint(format!("`iotstack deploy --env {name}` deploys the ready stack"));
        }
        error
    })
}

/// The stack that the ready stacks have for an environment.
pub fn stack_name(environment: &str) -> String {
    format!("IoTFirmwareUpdatesStack-{environment}")
}
