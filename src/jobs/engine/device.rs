//! What a device asks: its pending jobs, the next one, one job, and what it reports.
//!
//! A device may start and end executions and report progress, nothing else, and never
//! touches one that has ended. Which documents it gets is the caller's business: the
//! engine only says which execution it is about.

use std::collections::BTreeMap;
use std::sync::Arc;

use iotstack_protocol::JobExecutionStatus;

use super::Engine;
use crate::effect::Effect;
use crate::error::{Error, Result};
use crate::execution::{ExecutionView, Flags, StepTimer, check_details};
use crate::slab::NONE;
use crate::thing::ThingIndex;
use crate::time::Time;

/// The pending executions of a device, each list by the time of queueing.
#[derive(Debug, Clone, Default)]
pub struct PendingExecutions<'a> {
    /// What it is working on.
    pub in_progress: Vec<ExecutionView<'a>>,
    /// What it has not begun.
    pub queued: Vec<ExecutionView<'a>>,
}

/// What a device says when it starts its next job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StartNext {
    /// Replaces what it has reported before.
    pub status_details: Option<BTreeMap<String, String>>,
    /// 1 to 10080, -1 for none.
    pub step_timeout_in_minutes: Option<i64>,
}

/// What a device reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateExecution {
    /// Where it stands.
    pub status: JobExecutionStatus,
    /// Replaces what it has reported before.
    pub status_details: Option<BTreeMap<String, String>>,
    /// The version that it has seen.
    pub expected_version: Option<i64>,
    /// Which attempt it is about; the newest if absent.
    pub execution_number: Option<i64>,
    /// 1 to 10080, -1 to stop the timer, absent to let it run.
    pub step_timeout_in_minutes: Option<i64>,
}

/// Which execution a device asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhichExecution<'a> {
    /// The one that is next, `$next`.
    Next,
    /// The one of this job; the newest attempt if the number is absent.
    Job(&'a str, Option<i64>),
}

impl Engine {
    /// The pending executions of a device, at most `most`.
    pub fn pending(&self, thing: &str, most: usize) -> PendingExecutions<'_> {
        self.fleet
            .things
            .find(thing)
            .map_or_else(PendingExecutions::default, |thing| self.pending_of(thing, None, most))
    }

    /// The pending executions of a thing of an effect, at most `most`.
    pub fn pending_of(
        &self,
        thing: ThingIndex,
        namespace: Option<&str>,
        most: usize,
    ) -> PendingExecutions<'_> {
        let mut pending = PendingExecutions::default();
        let belongs = |index: &u32| {
            let execution = &self.fleet.executions[*index];
            match namespace {
                None => !execution.flags.has(Flags::NAMESPACED),
                Some(space) => self.jobs[execution.job].namespace.as_deref() == Some(space),
            }
        };
        for index in self.fleet.pending(thing).filter(belongs).take(most) {
            let view = self.view(index);
            match view.status {
                JobExecutionStatus::InProgress => pending.in_progress.push(view),
                _ => pending.queued.push(view),
            }
        }
        pending
    }

    /// The execution that is next for a thing of an effect.
    pub fn next_of(&self, thing: ThingIndex) -> Option<ExecutionView<'_>> {
        let head = self.fleet.head(thing);
        (head != NONE).then(|| self.view(head))
    }

    /// Starts the next pending execution; one that is in progress is answered as it is.
    pub fn start_next(
        &mut self,
        thing: &str,
        request: StartNext,
        now: Time,
        out: &mut Vec<Effect>,
    ) -> Result<Option<ExecutionView<'_>>> {
        self.advance(now, out);
        if let Some(details) = &request.status_details {
            check_details(details)?;
        }
        let timer = StepTimer::parse(request.step_timeout_in_minutes)?;
        let Some(thing) = self.fleet.things.find(thing) else { return Ok(None) };
        let head = self.fleet.head(thing);
        if head == NONE {
            return Ok(None);
        }
        if self.fleet.executions[head].status == JobExecutionStatus::Queued {
            self.report(
                head,
                JobExecutionStatus::InProgress,
                request.status_details,
                timer,
                now,
                out,
            );
            self.tell_next(thing, head, out);
        }
        Ok(Some(self.view(head)))
    }

    /// The execution that a device asks about; none if nothing is next.
    ///
    /// One that has ended is refused: a device has no business with it any more.
    pub fn describe(
        &self,
        thing: &str,
        which: WhichExecution<'_>,
    ) -> Result<Option<ExecutionView<'_>>> {
        match which {
            WhichExecution::Next => {
                Ok(self.fleet.things.find(thing).and_then(|thing| self.next_of(thing)))
            }
            WhichExecution::Job(id, number) => {
                let view = self.view(self.find_execution(id, thing, number)?);
                if view.status.is_terminal() {
                    return Err(Error::TerminalState(format!(
                        "the execution of `{id}` on `{thing}` is {}",
                        view.status
                    )));
                }
                Ok(Some(view))
            }
        }
    }

    /// Takes the report of a device.
    pub fn update_execution(
        &mut self,
        id: &str,
        thing: &str,
        request: UpdateExecution,
        now: Time,
        out: &mut Vec<Effect>,
    ) -> Result<ExecutionView<'_>> {
        self.advance(now, out);
        if let Some(details) = &request.status_details {
            check_details(details)?;
        }
        let timer = StepTimer::parse(request.step_timeout_in_minutes)?;
        let index = self.find_execution(id, thing, request.execution_number)?;
        let execution = &self.fleet.executions[index];
        let before = execution.status;
        if before.is_terminal() || !request.status.is_reportable() {
            return Err(Error::InvalidStateTransition {
                message: format!(
                    "the execution of `{id}` on `{thing}` cannot go from {before} to {}",
                    request.status
                ),
                state: Some(Box::new(self.state(index))),
            });
        }
        self.check_version(index, request.expected_version)?;
        let (job, thing) = (execution.job, execution.thing);
        if request.status == JobExecutionStatus::InProgress {
            let head = self.fleet.head(thing);
            self.report(index, request.status, request.status_details, timer, now, out);
            if !self.fleet.executions[index].flags.has(Flags::NAMESPACED) {
                self.tell_next(thing, head, out);
            }
        } else {
            if let Some(details) = request.status_details {
                self.fleet.executions[index].details = Some(Arc::new(details));
            }
            self.finish(index, request.status, now, out);
            self.judge(job, now, out);
        }
        Ok(self.view(index))
    }

    fn report(
        &mut self,
        index: u32,
        status: JobExecutionStatus,
        details: Option<BTreeMap<String, String>>,
        timer: StepTimer,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        self.stop_timer(index);
        let execution = &mut self.fleet.executions[index];
        if let Some(details) = details {
            execution.details = Some(Arc::new(details));
        }
        timer.apply(execution, now);
        self.enter(index, status, now, out);
    }
}
