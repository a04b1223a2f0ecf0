//! The one place in which an execution changes its state.
//!
//! Every change goes through `enter`, which keeps the lists, the timers and the
//! counters in step, so that no caller can forget one of them.

use std::sync::Arc;

use iotstack_protocol::{JobExecutionStatus, JobStatus};

use super::Engine;
use crate::config::FailureType;
use crate::effect::{Effect, ExecutionChange, ExecutionEffect, JobOperation};
use crate::execution::{Execution, Flags};
use crate::job::Sweep;
use crate::slab::NONE;
use crate::thing::ThingIndex;
use crate::time::Time;

impl Engine {
    /// Queues a job for a thing and tells the thing.
    pub(super) fn queue(&mut self, job: u32, thing: ThingIndex, now: Time, out: &mut Vec<Effect>) {
        let before = self.fleet.head(thing);
        self.queue_quietly(job, thing, now, out);
        self.tell(thing, job, before, out);
    }

    /// Ends an execution, queues a retry if one is due, and tells the thing once.
    pub(super) fn finish(
        &mut self,
        index: u32,
        status: JobExecutionStatus,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        let execution = &self.fleet.executions[index];
        let (job, thing) = (execution.job, execution.thing);
        let before = self.fleet.head(thing);
        self.enter(index, status, now, out);
        if status.is_retryable() && self.retry_slot(job, index).is_some() {
            if self.jobs[job].record.status == JobStatus::InProgress {
                self.queue_quietly(job, thing, now, out);
            } else {
                // Between maintenance windows a retry waits like everybody else.
                self.wait(job, thing);
            }
        }
        self.tell(thing, job, before, out);
    }

    /// Judges a job after some of its executions have changed.
    pub(super) fn judge(&mut self, index: u32, now: Time, out: &mut Vec<Effect>) {
        if !self.jobs[index].is_active() {
            return;
        }
        if let Some(reason) = self.jobs[index].abort_reason() {
            let record = &mut self.jobs[index].record;
            record.reason_code = Some(ABORT_REASON.to_owned());
            record.comment = Some(reason);
            self.cancel(index, false, now, out);
        } else if self.jobs[index].is_exhausted() {
            self.set_job_status(index, JobStatus::Completed);
            let job = &mut self.jobs[index];
            (job.record.updated_at, job.record.completed_at) = (now, Some(now));
            out.push(Effect::Job(job.effect(JobOperation::Completed)));
            self.leave_slot(index, now);
            self.touch_job(index);
            self.plan(index, now);
        }
    }

    /// Makes a job canceled and begins to cancel its executions.
    pub(super) fn cancel(&mut self, index: u32, forced: bool, now: Time, out: &mut Vec<Effect>) {
        self.set_job_status(index, JobStatus::Canceled);
        self.stop_waiting(index);
        let job = &mut self.jobs[index];
        let record = &mut job.record;
        (record.updated_at, record.completed_at) = (now, Some(now));
        record.force_canceled |= forced;
        record.sweep = Some(Sweep::Cancel { forced, from: 0 });
        out.push(Effect::Job(job.effect(JobOperation::CancellationInProgress)));
        self.leave_slot(index, now);
        self.touch_job(index);
        self.sweep(index, now, out);
        self.plan(index, now);
    }

    /// Changes the state of an execution, and everything that depends on it.
    pub(super) fn enter(
        &mut self,
        index: u32,
        status: JobExecutionStatus,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        let execution = &self.fleet.executions[index];
        let before = execution.status;
        self.stop_timer(index);
        match (before, status) {
            (JobExecutionStatus::Queued, JobExecutionStatus::InProgress) => {
                self.fleet.start(index);
                let job = self.fleet.executions[index].job;
                let timeout = self.jobs[job].record.request.timeout_config.as_ref();
                let timeout = timeout.map_or(0, |config| config.minutes());
                let execution = &mut self.fleet.executions[index];
                (execution.started_at, execution.timeout) = (now, timeout);
            }
            (_, status) if status.is_terminal() => self.fleet.end(index, status),
            _ => {}
        }
        let execution = &mut self.fleet.executions[index];
        execution.version = execution.version.saturating_add(1);
        execution.updated_at = now;
        let change = if before == status {
            ExecutionChange::Progressed
        } else {
            let job = &mut self.jobs[execution.job];
            job.things.subtract(before);
            job.things.add(status);
            job.executions.subtract(before);
            job.executions.add(status);
            job.entered[status as usize] += 1;
            ExecutionChange::Entered
        };
        self.start_timer(index);
        self.touch(index);
        out.push(self.execution_effect(index, change));
        if before != status && status == JobExecutionStatus::Succeeded {
            self.notice_success(index, now);
        }
    }

    /// Tells a thing what has changed in its pending list.
    pub(super) fn tell(
        &mut self,
        thing: ThingIndex,
        job: u32,
        head_before: u32,
        out: &mut Vec<Effect>,
    ) {
        let namespace = self.jobs[job].namespace.clone();
        out.push(Effect::Notify { thing, namespace });
        self.tell_next(thing, head_before, out);
    }

    /// Tells a thing if another execution is next.
    pub(super) fn tell_next(&self, thing: ThingIndex, head_before: u32, out: &mut Vec<Effect>) {
        if self.fleet.head(thing) != head_before {
            out.push(Effect::NotifyNext { thing });
        }
    }

    /// Which criterion pays for the next retry after an execution that has failed.
    pub(super) fn retry_slot(&self, job: u32, index: u32) -> Option<usize> {
        let (job, execution) = (&self.jobs[job], &self.fleet.executions[index]);
        let may_retry = job.is_active() && !job.record.ended && job.record.sweep.is_none();
        if !may_retry || execution.flags.has(Flags::DETACHED) {
            return None;
        }
        let config = job.record.request.job_executions_retry_config.as_ref()?;
        config.criteria_list.iter().take(2).enumerate().find_map(|(slot, criterion)| {
            let applies = match criterion.failure_type {
                FailureType::Failed => execution.status == JobExecutionStatus::Failed,
                FailureType::TimedOut => execution.status == JobExecutionStatus::TimedOut,
                FailureType::All => execution.status.is_retryable(),
                FailureType::Rejected => false,
            };
            let left = i64::from(execution.retries[slot]) < criterion.number_of_retries;
            (applies && left).then_some(slot)
        })
    }

    /// Removes every trace of an execution.
    pub(super) fn forget(&mut self, index: u32) {
        self.stop_timer(index);
        self.journal_removed(index);
        let execution = self.fleet.remove(index);
        let job = &mut self.jobs[execution.job];
        job.executions.subtract(execution.status);
        let latest = job.latest.get(&execution.thing.0).copied().unwrap_or(NONE);
        if latest == index {
            job.things.subtract(execution.status);
            if execution.attempt_before == NONE {
                job.latest.remove(&execution.thing.0);
            } else {
                job.latest.insert(execution.thing.0, execution.attempt_before);
                job.things.add(self.fleet.executions[execution.attempt_before].status);
            }
            return;
        }
        let mut newer = latest;
        while newer != NONE && self.fleet.executions[newer].attempt_before != index {
            newer = self.fleet.executions[newer].attempt_before;
        }
        if newer != NONE {
            self.fleet.executions[newer].attempt_before = execution.attempt_before;
        }
    }

    pub(super) fn execution_effect(&self, index: u32, change: ExecutionChange) -> Effect {
        let execution = &self.fleet.executions[index];
        Effect::Execution(ExecutionEffect {
            change,
            job: Arc::clone(&self.jobs[execution.job].record.id),
            thing: execution.thing,
            number: execution.number,
            status: execution.status,
            details: execution.details.clone(),
        })
    }

    pub(super) fn stop_timer(&mut self, index: u32) {
        if let Some(deadline) = self.fleet.executions[index].deadline() {
            self.timers.remove(&(deadline, index));
        }
    }

    pub(super) fn start_timer(&mut self, index: u32) {
        if let Some(deadline) = self.fleet.executions[index].deadline() {
            self.timers.insert((deadline, index));
        }
    }

    fn queue_quietly(&mut self, index: u32, thing: ThingIndex, now: Time, out: &mut Vec<Effect>) {
        let attempt_before = self.jobs[index].latest.get(&thing.0).copied().unwrap_or(NONE);
        let (mut number, mut retries) = (1, [0; 2]);
        if attempt_before != NONE {
            let before = &self.fleet.executions[attempt_before];
            number = before.number.saturating_add(1);
            if let Some(slot) = self.retry_slot(index, attempt_before) {
                retries = before.retries;
                retries[slot] += 1;
            }
            let status = before.status;
            self.jobs[index].things.subtract(status);
        }
        let job = &mut self.jobs[index];
        let mut flags = Flags::default();
        if job.namespace.is_some() {
            flags.set(Flags::NAMESPACED);
        }
        let execution = self.fleet.add(Execution {
            queued_at: now,
            updated_at: now,
            job: index,
            thing,
            number,
            version: 1,
            attempt_before,
            status: JobExecutionStatus::Queued,
            flags,
            retries,
            ..Execution::vacant()
        });
        job.latest.insert(thing.0, execution);
        job.things.add(JobExecutionStatus::Queued);
        job.executions.add(JobExecutionStatus::Queued);
        job.entered[JobExecutionStatus::Queued as usize] += 1;
        self.touch(execution);
        out.push(self.execution_effect(execution, ExecutionChange::Entered));
    }
}

const ABORT_REASON: &str = "ABORT_CRITERIA_MET";
