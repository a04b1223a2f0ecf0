//! The operator's side of a simulation: what people do with the other commands.
//!
//! Devices speak for themselves; the firmware is published, signed and rolled out here,
//! through the same library functions that `firmware` and `job` use. What is made is
//! remembered before it is asked for, so that it can be taken away again whatever answer
//! got lost.

use std::sync::{Mutex, PoisonError};

use iotstack_deploy::fleet::{JobRequest, firmware_key};
use iotstack_deploy::{Fleet, token};
use iotstack_protocol::{JobId, JobStatus};
use iotstack_sim::{Answer, Cloud, Error, JobView, Result, Rollout};

use super::host::CloudProcess;
use super::stage::Stage;

/// Works for one simulation.
pub struct Operator<'a> {
    fleet: &'a Fleet,
    /// The cloud, if it is ours to kill.
    process: Option<&'a CloudProcess>,
    /// Whether the fleet has things that are no part of the simulation.
    is_shared: bool,
    /// Tells what this run makes from what others make.
    run: String,
    made: Mutex<Made>,
}

/// What was made for the simulation, or may have been.
#[derive(Debug, Default)]
struct Made {
    firmware: Vec<String>,
    group: Option<String>,
    jobs: Vec<JobId>,
}

impl<'a> Operator<'a> {
    /// For a fleet that is ours alone, on a cloud that was started for it.
    pub fn alone(stage: &'a Stage) -> Self {
        Operator { process: stage.process(), ..Operator::of(&stage.fleet, false) }
    }

    /// For a fleet that real things may belong to: jobs go to a group of the simulated
    /// things only.
    pub fn among_others(fleet: &'a Fleet) -> Self {
        Operator::of(fleet, true)
    }

    fn of(fleet: &'a Fleet, is_shared: bool) -> Self {
        Operator { fleet, process: None, is_shared, run: token::random(), made: Mutex::default() }
    }

    /// Deletes the jobs, the group and the firmware of the simulation.
    pub async fn clean_up(&self) -> iotstack_deploy::Result<()> {
        let made = std::mem::take(&mut *self.made.lock().unwrap_or_else(PoisonError::into_inner));
        let mut outcome = self.delete_jobs(&made.jobs).await;
        if let Some(group) = &made.group {
            outcome = outcome.and(self.fleet.delete_group(group).await);
        }
        // Again: the stack's function may have made one meanwhile, for the group that was.
        outcome = outcome.and(self.delete_jobs(&made.jobs).await);
        outcome.and(self.fleet.delete_firmware(&made.firmware).await)
    }

    async fn delete_jobs(&self, jobs: &[JobId]) -> iotstack_deploy::Result<()> {
        let mut outcome = Ok(());
        for job in jobs {
            outcome = outcome.and(self.fleet.delete_job(job).await);
        }
        outcome
    }

    /// A group of the simulated things alone, whose name begins like that of the fleet's.
    async fn own_group(&self, things: &[String]) -> Result<String> {
        let failed = told("make a group of the simulated things");
        let fleets = self.fleet.thing_group().map_err(&failed)?;
        let group = format!("{fleets}-simulation-{}", self.run);
        self.remember(|made| made.group = Some(group.clone()));
        self.fleet.make_group(&group, things).await.map_err(failed)?;
        Ok(group)
    }

    fn remember(&self, note: impl FnOnce(&mut Made)) {
        note(&mut self.made.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Cloud for Operator<'_> {
    fn roll_out<'b>(&'b self, rollout: &'b Rollout) -> Answer<'b, JobId> {
        Box::pin(async move {
            let (fleet, version) = (self.fleet, &rollout.version);
            let file = format!("simulation-{}.bin", self.run);
            self.remember(|made| made.firmware.push(firmware_key(version, &file)));
            let published = fleet.publish_image(&file, rollout.image.to_vec(), version).await;
            let published = published.map_err(told("publish the firmware"))?;

            let signed = fleet.sign_firmware(&published.key, Some(&published.version_id)).await;
            signed.map_err(told("sign the firmware"))?;

            let group = match self.is_shared {
                true => Some(self.own_group(&rollout.things).await?),
                false => None,
            };
            let job_id = fleet.job_id(version, &self.run).map_err(told("create the job"))?;
            self.remember(|made| made.jobs.push(job_id.clone()));
            let request = JobRequest {
                job_id: job_id.clone(),
                firmware_version: version.clone(),
                key: published.key,
                version_id: Some(published.version_id),
                thing_group: group,
                target_selection: None,
                description: Some("Simulated by iotstack".to_owned()),
                settings: rollout.settings.clone(),
            };
            fleet.create_job(&request).await.map_err(told("create the job"))?;
            Ok(job_id)
        })
    }

    fn job<'b>(&'b self, job: &'b JobId) -> Answer<'b, JobView> {
        Box::pin(async move {
            let found = self.fleet.job(job.as_str()).await.map_err(told("look at the job"))?;
            let counts = found.executions.unwrap_or_default();
            let status: JobStatus = read(&found.status.unwrap_or_default(), "look at the job")?;
            Ok(JobView::new(status, |state| counts.get(state.as_str()).copied().unwrap_or(0)))
        })
    }

    fn cancel_job<'b>(&'b self, job: &'b JobId) -> Answer<'b, ()> {
        Box::pin(async move {
            let answer = self.fleet.cancel_job(job.as_str(), true, None).await;
            answer.map(drop).map_err(told("cancel the job"))
        })
    }

    fn cancel_execution<'b>(&'b self, thing: &'b str, job: &'b JobId) -> Answer<'b, ()> {
        Box::pin(async move {
            let answer = self.fleet.cancel_execution(thing, job.as_str()).await;
            answer.map_err(told("cancel an execution"))
        })
    }

    fn restart(&self) -> Answer<'_, bool> {
        Box::pin(async move {
            let Some(process) = self.process else { return Ok(false) };
            let restarted = process.restart().await;
            restarted.map(|()| true).map_err(|error| Error::Cloud {
                action: "start the cloud again".to_owned(),
                reason: error.message().to_owned(),
            })
        })
    }
}

fn told(action: &'static str) -> impl Fn(iotstack_deploy::Error) -> Error {
    move |error| Error::Cloud { action: action.to_owned(), reason: error.to_string() }
}

fn read<T: std::str::FromStr<Err = iotstack_protocol::Error>>(
    text: &str,
    action: &str,
) -> Result<T> {
    text.parse().map_err(|error: iotstack_protocol::Error| Error::Cloud {
        action: action.to_owned(),
        reason: error.to_string(),
    })
}
