//! Executions for the operator: list, describe, cancel and delete them.
//!
//! An operator sees every attempt, ended ones included, and may end what a device is
//! working on by force. Lists come in pages whose tokens name the last entry, so that
//! executions that come and go in between neither repeat nor hide others. What devices
//! do is in `device`.

use std::collections::BTreeMap;
use std::sync::Arc;

use iotstack_protocol::JobExecutionStatus;

use super::{Engine, Force, Page};
use crate::effect::{Effect, ExecutionChange};
use crate::error::{Error, ExecutionState, Result, invalid};
use crate::execution::{ExecutionView, Flags, check_details};
use crate::slab::NONE;
use crate::text::shortened;
use crate::time::Time;

/// Part of the executions of a job, and where the next part begins.
pub type JobExecutionsPage<'a> = (Vec<ExecutionView<'a>>, Option<String>);
/// Part of the executions on a thing, and where the next part begins.
pub type ThingExecutionsPage<'a> = (Vec<ExecutionView<'a>>, Option<String>);

/// How an execution is cancelled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CancelExecution {
    /// The version that the caller has seen.
    pub expected_version: Option<i64>,
    /// Replaces what the device has reported.
    pub status_details: Option<BTreeMap<String, String>>,
}

impl Engine {
    /// An execution, as the operator sees it; the newest if `number` is absent.
    pub fn execution(
        &self,
        id: &str,
        thing: &str,
        number: Option<i64>,
    ) -> Result<ExecutionView<'_>> {
        Ok(self.view(self.find_execution(id, thing, number)?))
    }

    /// The newest execution of a job on each thing.
    pub fn executions_for_job(
        &self,
        id: &str,
        status: Option<JobExecutionStatus>,
        page: &Page,
    ) -> Result<JobExecutionsPage<'_>> {
        let size = page.size()?;
        let from = page.token::<u32>()?.map_or(0, |last| last.saturating_add(1));
        let (mut found, mut last) = (Vec::new(), None);
        for (thing, index) in self.jobs[self.find(id)?].latest.range(from..) {
            if status.is_some_and(|status| self.fleet.executions[*index].status != status) {
                continue;
            }
            if found.len() == size {
                return Ok((found, last));
            }
            last = Some(thing.to_string());
            found.push(self.view(*index));
        }
        Ok((found, None))
    }

    /// The executions on a thing, the newest first.
    pub fn executions_for_thing(
        &self,
        thing: &str,
        status: Option<JobExecutionStatus>,
        job: Option<&str>,
        namespace: Option<&str>,
        page: &Page,
    ) -> Result<ThingExecutionsPage<'_>> {
        let size = page.size()?;
        let after = match &page.next_token {
            None => None,
            Some(token) => {
                let place = token.split_once('-').and_then(|(queued, rest)| {
                    let (job, number) = rest.split_once('-')?;
                    Some((Time(queued.parse().ok()?), job.parse().ok()?, number.parse().ok()?))
                });
                let Some(place) = place else {
                    let token = shortened(token);
                    return invalid(format!("nextToken `{token}` does not come from this service"));
                };
                Some(place)
            }
        };
        let Some(thing) = self.fleet.things.find(thing) else { return Ok((Vec::new(), None)) };
        let place = |index: &u32| self.fleet.executions[*index].order();
        // The last entry may have been deleted since; what was queued before it follows anyway.
        let was_shown = |index: &u32| after.is_some_and(|after| place(index) >= after);
        let matching = self.fleet.history(thing).skip_while(was_shown).filter(|index| {
            let execution = &self.fleet.executions[*index];
            let record = &self.jobs[execution.job].record;
            status.is_none_or(|status| execution.status == status)
                && job.is_none_or(|job| &*record.id == job)
                && namespace
                    .is_none_or(|space| record.request.namespace_id.as_deref() == Some(space))
        });
        let (mut found, mut last) = (Vec::new(), None);
        for index in matching {
            if found.len() == size {
                return Ok((found, last));
            }
            let (queued, job, number) = place(&index);
            last = Some(format!("{}-{job}-{number}", queued.0));
            found.push(self.view(index));
        }
        Ok((found, None))
    }

    /// Cancels a job on one thing.
    pub fn cancel_execution(
        &mut self,
        id: &str,
        thing: &str,
        request: CancelExecution,
        force: Force,
        now: Time,
        out: &mut Vec<Effect>,
    ) -> Result<()> {
        self.advance(now, out);
        if let Some(details) = &request.status_details {
            check_details(details)?;
        }
        let index = self.find_execution(id, thing, None)?;
        let execution = &self.fleet.executions[index];
        let status = execution.status;
        let may = match status {
            JobExecutionStatus::Queued => true,
            JobExecutionStatus::InProgress => force == Force::Yes,
            _ => false,
        };
        if !may {
            let expected = match status {
                JobExecutionStatus::InProgress => ": expected QUEUED, or force",
                _ => ", which is final",
            };
            return Err(Error::InvalidStateTransition {
                message: format!("the execution of `{id}` on `{thing}` is {status}{expected}"),
                state: Some(Box::new(self.state(index))),
            });
        }
        self.check_version(index, request.expected_version)?;
        let execution = &mut self.fleet.executions[index];
        if let Some(details) = request.status_details {
            execution.details = Some(Arc::new(details));
        }
        if force == Force::Yes {
            execution.flags.set(Flags::FORCED);
        }
        let job = execution.job;
        self.finish(index, JobExecutionStatus::Canceled, now, out);
        self.judge(job, now, out);
        Ok(())
    }

    /// Deletes one execution; by force also one that has not ended.
    pub fn delete_execution(
        &mut self,
        id: &str,
        thing: &str,
        number: i64,
        force: Force,
        now: Time,
        out: &mut Vec<Effect>,
    ) -> Result<()> {
        self.advance(now, out);
        let index = self.find_execution(id, thing, Some(number))?;
        let execution = &self.fleet.executions[index];
        let (job, thing_index, pending) = (execution.job, execution.thing, execution.is_pending());
        if pending && force == Force::No {
            return Err(Error::InvalidStateTransition {
                message: format!(
                    "the execution of `{id}` on `{thing}` is {}: expected an end state, or force",
                    execution.status
                ),
                state: Some(Box::new(self.state(index))),
            });
        }
        let before = self.fleet.head(thing_index);
        out.push(self.execution_effect(index, ExecutionChange::Deleted));
        self.forget(index);
        if pending {
            self.tell(thing_index, job, before, out);
        }
        self.judge(job, now, out);
        Ok(())
    }

    pub(super) fn state(&self, index: u32) -> ExecutionState {
        let execution = &self.fleet.executions[index];
        ExecutionState {
            status: execution.status,
            status_details: execution.details.clone(),
            version_number: execution.version,
        }
    }

    pub(super) fn check_version(&self, index: u32, expected: Option<i64>) -> Result<()> {
        let version = self.fleet.executions[index].version;
        match expected {
            Some(expected) if expected != i64::from(version) => Err(Error::VersionMismatch {
                message: format!("the execution has version {version}: expected {expected}"),
                state: Box::new(self.state(index)),
            }),
            _ => Ok(()),
        }
    }

    /// Whether any attempt of the job exists on the thing.
    pub fn has_execution(&self, id: &str, thing: &str) -> bool {
        let job = self.jobs.by_id.get(id).copied();
        job.and_then(|job| self.find_latest(job, thing)).is_some_and(|index| index != NONE)
    }
}
