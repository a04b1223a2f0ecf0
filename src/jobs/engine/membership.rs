//! Who is a target: what the registry knows and tells.
//!
//! The engine keeps no groups. It asks for the members when a job begins, and is
//! told when a thing joins or leaves a group that a continuous job targets, static
//! and dynamic groups alike.

use iotstack_protocol::{JobExecutionStatus, JobStatus};

use super::Engine;
use crate::effect::Effect;
use crate::execution::Flags;
use crate::thing::ThingIndex;
use crate::time::Time;

/// What the registry knows about things and groups, by name.
pub trait Membership {
    /// Whether there is such a thing.
    fn thing_exists(&self, thing: &str) -> bool;
    /// Whether there is such a group.
    fn group_exists(&self, group: &str) -> bool;
    /// Visits every thing in a group and in the groups below it.
    fn each_member(&self, group: &str, visit: &mut dyn FnMut(&str));
    /// Whether a thing is in a group or in one below it.
    fn is_member(&self, group: &str, thing: &str) -> bool;
}

impl Engine {
    /// A thing has joined or left a group: continuous jobs begin or end on it.
    ///
    /// Says what holds now, so that it does no harm to say it twice, and so that
    /// one call is enough for a group and those above it.
    pub fn thing_moved(
        &mut self,
        thing: &str,
        members: &dyn Membership,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        self.advance(now, out);
        let jobs: Vec<u32> = self.continuous.iter().copied().collect();
        for index in jobs {
            let is_target = self.is_target(index, thing, members);
            let known = self.fleet.things.find(thing);
            let was_target = known.is_some_and(|thing| self.holds(index, thing));
            if is_target && !was_target && !self.jobs[index].record.ended {
                let thing = self.fleet.things.intern(thing);
                self.attach(index, thing, now, out);
            } else if was_target
                && !is_target
                && let Some(thing) = known
            {
                self.detach(index, thing, now, out);
            }
        }
    }

    /// A thing was deleted: whatever is pending for it ends.
    pub fn thing_deleted(&mut self, thing: &str, now: Time, out: &mut Vec<Effect>) {
        self.advance(now, out);
        let Some(thing) = self.fleet.things.find(thing) else { return };
        let mut jobs: Vec<u32> = self
            .fleet
            .history(thing)
            .map(|execution| self.fleet.executions[execution].job)
            .collect();
        let all = self.jobs.list.iter().flatten();
        let waiting = all.filter(|job| job.waiting.contains(&thing.0));
        jobs.extend(waiting.map(|job| job.record.sequence));
        jobs.sort_unstable();
        jobs.dedup();
        for index in jobs {
            self.detach(index, thing, now, out);
        }
    }

    /// Ends a job on a thing that is no target any more.
    fn detach(&mut self, index: u32, thing: ThingIndex, now: Time, out: &mut Vec<Effect>) {
        if self.jobs[index].waiting.remove(&thing.0) {
            self.journal_waiting(index, thing, false);
        }
        if let Some(latest) = self.jobs[index].latest.get(&thing.0).copied() {
            let execution = &mut self.fleet.executions[latest];
            execution.flags.set(Flags::DETACHED);
            if execution.is_pending() {
                self.finish(latest, JobExecutionStatus::Removed, now, out);
            } else {
                self.touch(latest);
            }
        }
        self.drive(index, now, out);
    }

    /// Begins a job on a thing that has become a target.
    fn attach(&mut self, index: u32, thing: ThingIndex, now: Time, out: &mut Vec<Effect>) {
        if !self.may_begin(index, thing) {
            // It has succeeded: it is a target again, but there is nothing to do.
            if let Some(latest) = self.jobs[index].latest.get(&thing.0).copied() {
                self.fleet.executions[latest].flags.clear(Flags::DETACHED);
                self.touch(latest);
            }
            return;
        }
        let job = &self.jobs[index];
        if job.record.rolled_out && job.record.status == JobStatus::InProgress {
            self.queue(index, thing, now, out);
        } else {
            self.wait(index, thing);
            self.drive(index, now, out);
        }
    }

    /// Whether a job has a thing among its targets, as far as it was told.
    fn holds(&self, index: u32, thing: ThingIndex) -> bool {
        let job = &self.jobs[index];
        job.waiting.contains(&thing.0)
            || job
                .latest
                .get(&thing.0)
                .is_some_and(|latest| !self.fleet.executions[*latest].flags.has(Flags::DETACHED))
    }

    fn is_target(&self, index: u32, thing: &str, members: &dyn Membership) -> bool {
        self.jobs[index].record.request.targets.iter().any(|target| {
            match (self.scope.thing(target), self.scope.group(target)) {
                (Some(name), _) => name == thing,
                (_, Some(name)) => members.is_member(name, thing),
                _ => false,
            }
        })
    }
}
