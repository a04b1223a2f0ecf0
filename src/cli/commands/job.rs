//! `iotstack job`: firmware jobs, from creation to the last device.

use std::collections::BTreeMap;
use std::time::Duration;

use iotstack_deploy::fleet::{Job, JobRequest};
use iotstack_deploy::{Fleet, token};
use iotstack_protocol::{FirmwareVersion, JobExecutionStatus, JobId, JobStatus, ThingGroupName};
use serde_json::json;

use crate::cli::cloud::block_on;
use crate::cli::context::Context;
use crate::cli::error::{Error, Kind, Result};
use crate::cli::fleet::{self, StackOption};
use crate::cli::ui::rollout::Rollout;
use crate::cli::ui::table::{list, table};
use crate::cli::ui::{json, out, style, tell};

/// Creates, watches, lists and cancels firmware jobs
///
/// Jobs are made by the update manager of the stack, with the rollout, abort and retry
/// settings of the environment. Devices take a job as soon as they are told of it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub struct Arguments {
    #[command(flatten)]
    stack: StackOption,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Creates a job that brings signed firmware to a group of things
    Create {
        /// The key of the firmware, as `firmware list` shows it
        #[arg(value_name = "KEY")]
        key: String,
        /// The version of the object [default: the newest]
        #[arg(long, value_name = "ID")]
        version_id: Option<String>,
        /// The firmware's version [default: the one in the key]
        #[arg(long = "firmware-version", short = 'V', value_name = "VERSION")]
        firmware_version: Option<FirmwareVersion>,
        /// The group that gets it [default: all things of the fleet]
        #[arg(long, value_name = "GROUP")]
        group: Option<ThingGroupName>,
        /// The job's id [default: made from the version]
        #[arg(long, value_name = "ID")]
        job_id: Option<JobId>,
        /// Also brings it to things that join the group later
        #[arg(long)]
        continuous: bool,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// Watches the job until it has ended
        #[arg(long, short)]
        watch: bool,
        /// Prints JSON
        #[arg(short, long)]
        json: bool,
    },
    /// Shows how far a job is
    Status {
        /// The job's id
        #[arg(value_name = "JOB")]
        job_id: JobId,
        /// Shows every thing
        #[arg(long)]
        things: bool,
        /// Prints JSON
        #[arg(short, long)]
        json: bool,
    },
    /// Watches a job until it has ended
    Watch {
        /// The job's id
        #[arg(value_name = "JOB")]
        job_id: JobId,
    },
    /// Lists the jobs of the fleet, newest first
    List {
        /// Only jobs in this state, such as IN_PROGRESS
        #[arg(long, value_name = "STATUS")]
        status: Option<JobStatus>,
        /// Prints JSON
        #[arg(short, long)]
        json: bool,
    },
    /// Cancels a job
    Cancel {
        /// The job's id
        #[arg(value_name = "JOB")]
        job_id: JobId,
        /// Also takes it from devices that are at it
        #[arg(long)]
        force: bool,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Prints JSON
        #[arg(short, long)]
        json: bool,
    },
}

/// Runs the command.
pub fn run(arguments: Arguments, context: &Context) -> Result<()> {
    block_on(async {
        let fleet = fleet::open(context, &arguments.stack).await?;
        match arguments.action {
            Action::Create {
                key,
                version_id,
                firmware_version,
                group,
                job_id,
                continuous,
                description,
                watch: watched,
                json,
            } => {
                let firmware_version = match firmware_version {
                    Some(version) => version,
                    None => version_of(&key)?,
                };
                let request = JobRequest {
                    job_id: match job_id {
                        Some(job_id) => job_id,
                        None => fleet.job_id(&firmware_version, &token::random())?,
                    },
                    firmware_version,
                    key,
                    version_id,
                    thing_group: group.map(|group| group.to_string()),
                    target_selection: continuous.then(|| "CONTINUOUS".to_owned()),
                    description,
                    settings: None,
                };
                let job = fleet.create_job(&request).await?;
                tell(format!("{} {}", style::good("created"), style::strong(&job.job_id)));
                if watched {
                    watch(&fleet, &job.job_id).await?;
                }
                if json { json::print(&json!(job)) } else { out(&job.job_id) }
            }
            Action::Status { job_id, things, json } => {
                let job = fleet.job(job_id.as_str()).await?;
                let executions = match things {
                    true => Some(fleet.job_executions(job_id.as_str()).await?),
                    false => None,
                };
                if json {
                    return json::print(&json!({ "job": job, "things": executions }));
                }
                out(&summary(&job))?;
                let Some(executions) = executions else { return Ok(()) };
                let rows = executions.into_iter().map(|execution| {
                    [execution.thing, execution.status, execution.execution_number.to_string()]
                });
                out(&table(&["thing", "status", "attempt"], rows))
            }
            Action::Watch { job_id } => watch(&fleet, job_id.as_str()).await,
            Action::List { status, json } => {
                let jobs = fleet.jobs(status.map(JobStatus::as_str)).await?;
                let headings = ["job", "status", "created", "ended"];
                list(jobs, json, "there are no jobs", headings, |job| {
                    let text = Option::unwrap_or_default;
                    [job.job_id, text(job.status), text(job.created_at), text(job.completed_at)]
                })
            }
            Action::Cancel { job_id, force, reason, json } => {
                let job = fleet.cancel_job(job_id.as_str(), force, reason.as_deref()).await?;
                tell(format!("{} {job_id}", style::care("cancelled")));
                if json { json::print(&json!(job)) } else { Ok(()) }
            }
        }
    })
}

/// Shows a job's progress until it has ended; a job that did not complete is an error.
pub async fn watch(fleet: &Fleet, job_id: &str) -> Result<()> {
    let rollout = Rollout::new(job_id);
    loop {
        let job = fleet.job(job_id).await?;
        let status = job.status.clone().unwrap_or_default();
        rollout.show(&status, &job.executions.clone().unwrap_or_default());
        match status.as_str() {
            "COMPLETED" => {
                rollout.end();
                tell(summary(&job));
                return Ok(());
            }
            "CANCELED" | "DELETION_IN_PROGRESS" => {
                rollout.end();
                tell(summary(&job));
                return Err(Error::told(Kind::Cloud));
            }
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn summary(job: &Job) -> String {
    let status = job.status.as_deref().unwrap_or("created");
    let counts = counts(&job.executions.clone().unwrap_or_default());
    format!("{} {status}{}{counts}", job.job_id, if counts.is_empty() { "" } else { ": " })
}

/// The states that some execution is in, in the order of life.
fn counts(executions: &BTreeMap<String, u64>) -> String {
    let some = JobExecutionStatus::ALL.iter().map(|state| state.as_str()).filter_map(|state| {
        let count = executions.get(state).filter(|count| **count > 0)?;
        Some(format!("{count} {}", state.to_lowercase().replace('_', " ")))
    });
    some.collect::<Vec<_>>().join(", ")
}

/// The version in a key such as `firmware/1.4.0/pump.bin`.
fn version_of(key: &str) -> Result<FirmwareVersion> {
    let version = key.strip_prefix("firmware/").and_then(|rest| rest.split('/').next());
    version.and_then(|version| version.parse().ok()).ok_or_else(|| {
        Error::usage(format!("the key `{key}` does not tell the firmware's version"))
            .hint("name it with --firmware-version")
    })
}

/// AWS IoT allows ten looks in a second, for everybody in the account.
const PAUSE: Duration = Duration::from_millis(500);

const EXAMPLES: &str = "\
Examples:
  iotstack job create firmware/1.4.0/pump.bin --watch --env dev
  iotstack job create firmware/1.4.0/pump.bin --group canaries --env prod
  iotstack job status firmware-dev-1-4-0-5a1b2c --things
  iotstack job cancel firmware-dev-1-4-0-5a1b2c --force --reason 'bad sensor driver'";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_tells_the_version() {
        assert_eq!(version_of("firmware/1.4.0/pump.bin").unwrap().as_str(), "1.4.0");
        assert!(version_of("pump.bin").is_err());
    }

    #[test]
    fn counts_only_states_that_some_thing_is_in() {
        let executions = BTreeMap::from([
            ("SUCCEEDED".to_owned(), 3),
            ("QUEUED".to_owned(), 0),
            ("TIMED_OUT".to_owned(), 1),
        ]);
        assert_eq!(counts(&executions), "3 succeeded, 1 timed out");
    }
}
