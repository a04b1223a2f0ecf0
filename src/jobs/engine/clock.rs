//! What happens by itself: rollouts, timers, schedules and unfinished work.
//!
//! [`Engine::advance`] acts at the time that it is given, also if that is long
//! after something fell due: after an outage a rollout goes on at its rate and
//! does not catch up. Who steps a clock by hand and wants every minute to happen
//! walks from one wake-up to the next.

use iotstack_protocol::{JobExecutionStatus, JobStatus, TargetSelection};

use super::Engine;
use crate::config::EndBehavior;
use crate::effect::{Effect, JobOperation};
use crate::execution::Flags;
use crate::job::Sweep;
use crate::schedule::Phase;
use crate::thing::ThingIndex;
use crate::time::{DAY, Time};

impl Engine {
    /// Does everything that has fallen due.
    pub fn advance(&mut self, now: Time, out: &mut Vec<Effect>) {
        loop {
            if let Some((_, index)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
                let job = self.fleet.executions[index].job;
                self.finish(index, JobExecutionStatus::TimedOut, now, out);
                self.judge(job, now, out);
            } else if let Some((at, index)) =
                self.wakes.first().copied().filter(|(at, _)| *at <= now)
            {
                self.wakes.remove(&(at, index));
                self.jobs[index].wake = None;
                self.drive(index, now, out);
            } else {
                return;
            }
        }
    }

    /// When [`Engine::advance`] will have something to do.
    pub fn next_wakeup(&self) -> Option<Time> {
        let timer = self.timers.first().map(|(at, _)| *at);
        let wake = self.wakes.first().map(|(at, _)| *at);
        match (timer, wake) {
            (Some(timer), Some(wake)) => Some(timer.min(wake)),
            (timer, wake) => timer.or(wake),
        }
    }

    /// Lets a job do what it can now.
    pub(super) fn drive(&mut self, index: u32, now: Time, out: &mut Vec<Effect>) {
        let is_old = self.expires(index).is_some_and(|at| at <= now);
        let job = &mut self.jobs[index];
        if is_old && job.record.sweep.is_none() {
            job.record.sweep = Some(Sweep::Delete { quietly: true });
        }
        let job = &self.jobs[index];
        if job.record.sweep.is_some() {
            self.sweep(index, now, out);
        } else if job.is_active() {
            match job.schedule.phase(now) {
                Phase::Ended => self.end(index, now, out),
                Phase::Closed(_) => {
                    self.leave_slot(index, now);
                    self.change_status(index, JobStatus::Scheduled);
                }
                Phase::Open(_) => {
                    self.change_status(index, JobStatus::InProgress);
                    self.release(index, now, out);
                }
            }
            if self.jobs.get(index).is_some() {
                self.judge(index, now, out);
            }
        }
        if self.jobs.get(index).is_some() {
            self.plan(index, now);
        }
    }

    /// Sets when a job has something to do next.
    pub(super) fn plan(&mut self, index: u32, now: Time) {
        let job = &self.jobs[index];
        let wake = if job.record.sweep.is_some() {
            // A moment later, so that others get a turn between two portions.
            Some(now.after(1))
        } else if !job.is_active() {
            self.expires(index)
        } else {
            match job.schedule.phase(now) {
                Phase::Closed(change) => change,
                Phase::Ended => (!job.record.ended).then_some(now),
                Phase::Open(until) => {
                    let rolls = !job.waiting.is_empty() && self.slots.contains(&index);
                    let next = rolls.then(|| job.rollout_wake()).flatten();
                    match (until, next) {
                        (Some(until), Some(next)) => Some(until.min(next)),
                        (until, next) => until.or(next),
                    }
                }
            }
        };
        self.set_wake(index, wake);
    }

    /// Lets the first advance after a restart ask a job what it has to do.
    pub(super) fn wake_after_restart(&mut self, index: u32) {
        let job = &self.jobs[index];
        let works = job.is_active() || job.record.sweep.is_some();
        let wake = if works { Some(job.record.updated_at) } else { self.expires(index) };
        self.set_wake(index, wake);
    }

    /// Wakes a rollout whose rate has just grown.
    pub(super) fn notice_success(&mut self, index: u32, now: Time) {
        let job_index = self.fleet.executions[index].job;
        if self.jobs[job_index].waiting.is_empty() || !self.slots.contains(&job_index) {
            return;
        }
        if self.allowance(job_index, now) > 0 {
            self.set_wake(job_index, Some(now));
        }
    }

    /// How many things a job may tell now; a rate that has grown is written down.
    fn allowance(&mut self, index: u32, now: Time) -> u32 {
        let job = &mut self.jobs[index];
        let succeeded = job.entered[JobExecutionStatus::Succeeded as usize];
        let config = job.record.request.job_executions_rollout_config.as_ref();
        let steps = job.record.rollout.steps();
        let allowance = job.record.rollout.allowance(config, succeeded, now);
        if job.record.rollout.steps() != steps {
            self.touch_job(index);
        }
        allowance
    }

    /// Gives up the place among the jobs that roll out; the next one gets it.
    pub(super) fn leave_slot(&mut self, index: u32, now: Time) {
        self.slot_queue.remove(&index);
        if self.slots.remove(&index)
            && let Some(next) = self.slot_queue.pop_first()
        {
            self.set_wake(next, Some(now));
        }
    }

    /// Takes every thing that is not told yet from a job.
    pub(super) fn stop_waiting(&mut self, index: u32) {
        let waiting = std::mem::take(&mut self.jobs[index].waiting);
        for thing in waiting {
            self.journal_waiting(index, ThingIndex(thing), false);
        }
    }

    /// Lets a thing wait until it may be told.
    pub(super) fn wait(&mut self, index: u32, thing: ThingIndex) {
        if self.jobs[index].waiting.insert(thing.0) {
            self.journal_waiting(index, thing, true);
        }
    }

    /// Works on the executions of a job that is cancelled or deleted.
    pub(super) fn sweep(&mut self, index: u32, now: Time, out: &mut Vec<Effect>) {
        match self.jobs[index].record.sweep {
            Some(Sweep::Cancel { forced, from }) => {
                self.sweep_cancel(index, forced, from, now, out)
            }
            Some(Sweep::Delete { quietly }) => self.sweep_delete(index, quietly, out),
            None => {}
        }
    }

    fn sweep_cancel(
        &mut self,
        index: u32,
        forced: bool,
        from: u32,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        let portion: Vec<(u32, u32)> =
            self.jobs[index].latest.range(from..).take(PORTION).map(|(t, e)| (*t, *e)).collect();
        for (_, execution) in &portion {
            let status = self.fleet.executions[*execution].status;
            let ends = match status {
                JobExecutionStatus::Queued => true,
                JobExecutionStatus::InProgress => forced,
                _ => false,
            };
            if ends {
                if forced {
                    self.fleet.executions[*execution].flags.set(Flags::FORCED);
                }
                let canceled = JobExecutionStatus::Canceled;
                self.finish(*execution, canceled, now, out);
            }
        }
        let job = &mut self.jobs[index];
        match portion.last() {
            Some((thing, _)) if portion.len() == PORTION => {
                job.record.sweep = Some(Sweep::Cancel { forced, from: thing + 1 });
            }
            _ => {
                job.record.sweep = None;
                out.push(Effect::Job(job.effect(JobOperation::Canceled)));
            }
        }
        self.touch_job(index);
    }

    fn sweep_delete(&mut self, index: u32, quietly: bool, out: &mut Vec<Effect>) {
        let portion: Vec<u32> = self.jobs[index].latest.values().take(PORTION).copied().collect();
        for latest in portion {
            let execution = &self.fleet.executions[latest];
            let (thing, pending) = (execution.thing, execution.is_pending());
            let before = self.fleet.head(thing);
            let mut next = latest;
            while next != crate::slab::NONE {
                let older = self.fleet.executions[next].attempt_before;
                self.forget(next);
                next = older;
            }
            if pending {
                self.tell(thing, index, before, out);
            }
        }
        if !self.jobs[index].latest.is_empty() {
            return;
        }
        self.stop_waiting(index);
        if !quietly {
            out.push(Effect::Job(self.jobs[index].effect(JobOperation::Deleted)));
        }
        if self.jobs[index].record.status == JobStatus::DeletionInProgress {
            self.deleting -= 1;
        }
        self.set_wake(index, None);
        self.journal_removed_job(index);
        self.jobs.remove(index);
    }

    /// Tells as many waiting things as the rate allows.
    fn release(&mut self, index: u32, now: Time, out: &mut Vec<Effect>) {
        if !self.jobs[index].waiting.is_empty() && !self.slots.contains(&index) {
            if self.slots.len() >= self.limits.concurrent_jobs {
                self.slot_queue.insert(index);
                return;
            }
            self.slot_queue.remove(&index);
            self.slots.insert(index);
        }
        let mut told = 0;
        // Telling things can raise the rate at once, so ask again until nothing more goes.
        loop {
            let allowance = self.allowance(index, now);
            let job = &mut self.jobs[index];
            let count = allowance.min(u32::try_from(job.waiting.len()).unwrap_or(u32::MAX));
            if count == 0 {
                break;
            }
            job.record.rollout.told(count, now);
            told += count;
            for _ in 0..count {
                let Some(thing) = self.jobs[index].waiting.pop_first() else { break };
                self.journal_waiting(index, ThingIndex(thing), false);
                self.queue(index, ThingIndex(thing), now, out);
            }
        }
        let job = &mut self.jobs[index];
        let finished = job.waiting.is_empty();
        let first = finished && !job.record.rolled_out;
        job.record.rolled_out |= finished;
        if finished {
            self.leave_slot(index, now);
        }
        if first || told > 0 {
            self.touch_job(index);
        }
    }

    /// The end time of a job is over.
    fn end(&mut self, index: u32, now: Time, out: &mut Vec<Effect>) {
        let job = &mut self.jobs[index];
        if job.record.ended {
            return;
        }
        job.record.ended = true;
        match job.schedule.behavior.unwrap_or(EndBehavior::StopRollout) {
            EndBehavior::StopRollout => {
                self.change_status(index, JobStatus::InProgress);
                self.stop_waiting(index);
                self.leave_slot(index, now);
                self.touch_job(index);
            }
            behavior => {
                let record = &mut self.jobs[index].record;
                record.reason_code = Some("END_TIME_REACHED".to_owned());
                record.comment = Some("the end time of the job is over".to_owned());
                self.cancel(index, behavior == EndBehavior::ForceCancel, now, out);
            }
        }
    }

    fn change_status(&mut self, index: u32, status: JobStatus) {
        if self.jobs[index].record.status != status {
            self.set_job_status(index, status);
            self.touch_job(index);
        }
    }

    fn set_wake(&mut self, index: u32, wake: Option<Time>) {
        let job = &mut self.jobs[index];
        if job.wake == wake {
            return;
        }
        if let Some(before) = job.wake {
            self.wakes.remove(&(before, index));
        }
        job.wake = wake;
        if let Some(wake) = wake {
            self.wakes.insert((wake, index));
        }
    }

    /// When the data of an ended job is dropped.
    fn expires(&self, index: u32) -> Option<Time> {
        let record = &self.jobs[index].record;
        let ended = matches!(record.status, JobStatus::Completed | JobStatus::Canceled);
        let completed = record.completed_at.filter(|_| ended)?;
        Some(completed.after(self.limits.retention_days.saturating_mul(DAY)))
    }
}

impl crate::job::Job {
    fn rollout_wake(&self) -> Option<Time> {
        self.record.rollout.next_allowance()
    }

    pub(crate) fn is_continuous(&self) -> bool {
        self.selection() == TargetSelection::Continuous
    }
}

/// How many executions are cancelled or deleted in one go.
const PORTION: usize = 10_000;
