//! `iotstack demo`: everything once, on this machine, in seconds.

use std::path::PathBuf;

use iotstack_sim::Scenario;

use crate::cli::cloud;
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::file;
use crate::cli::ui::tell;

use super::simulate::{conclude, on_this_machine, workers};

/// Shows a signed over-the-air update from end to end, on this machine alone
///
/// Starts a local cloud, deploys the firmware-update stack to it, lets simulated devices
/// provision themselves by claim over mutual TLS, publishes and signs a firmware image, makes
/// the job through the stack's own function, lets every device update itself, prints the
/// verdict, and takes everything away again. Needs no account, no container, no network.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// How many devices
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    devices: u32,

    /// Decides everything that is left to chance
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Writes the report as a page for people
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Prints the report as JSON
    #[arg(short, long)]
    json: bool,
}

/// Runs the command.
pub fn run(arguments: Arguments, context: &Context) -> Result<()> {
    if let Some(path) = &arguments.html {
        file::check_writable(path, "the report")?;
    }
    let scenario = Scenario::from_yaml(&scenario(arguments.devices))?.with_seed(arguments.seed);
    let workers = workers(&scenario, None)?;
    let report = cloud::block_on_threads(on_this_machine(&scenario, 1.0, &workers, context))?;
    conclude(&report, arguments.html.as_deref(), None, arguments.json)?;
    if !arguments.json {
        tell(
            "next: `iotstack local` keeps such a cloud running; `iotstack simulate --help` shows how to write a scenario",
        );
    }
    Ok(())
}

/// Most devices are well; a few have something to live through.
fn scenario(devices: u32) -> String {
    format!(
        "\
name: demo
fleet:
  size: {devices}
  profiles:
    - {{name: indoor, share: 0.8, version: 1.0.0}}
    - {{name: slow line, share: 0.2, version: 1.0.0, bandwidth: 2 MiB, latency: 30 ms}}
firmware: {{version: 1.1.0, size: 256 KiB}}
job:
  rollout: {{maximum_per_minute: 1000}}
timeout: 5 min
expect:
  - succeeded = 100%
  - no device runs an unsigned image
  - no device is bricked
"
    )
}

const EXAMPLES: &str = "\
Examples:
  iotstack demo
  iotstack demo --devices 200 --html report.html
  iotstack demo --json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scenario_is_one() {
        for devices in [1, 25, 5000] {
            let scenario = Scenario::from_yaml(&scenario(devices)).unwrap();
            assert_eq!(scenario.devices.len(), devices as usize);
        }
    }
}
