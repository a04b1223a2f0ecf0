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
    /// A thing has joined a group: continuous jobs of the group begin on it.
    pub fn thing_joined(
        &mut self,
        group: &str,
        thing: &str,
        members: &dyn Membership,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        self.advance(now, out);
        for index in self.jobs_of_group(group) {
            if self.is_target_otherwise(index, group, thing, members) {
                continue;
            }
            let thing = self.fleet.things.intern(thing);
            if !self.may_begin(index, thing) || self.jobs[index].record.ended {
                continue;
            }
            if let Some(latest) = self.jobs[index].latest.get(&thing.0) {
                let latest = *latest;
                self.fleet.executions[latest].flags.set(Flags::DETACHED);
                self.touch(latest);
            }
            let job = &self.jobs[index];
            if job.record.rolled_out && job.record.status == JobStatus::InProgress {
                self.queue(index, thing, now, out);
            } else {
                self.wait(index, thing);
                self.drive(index, now, out);
            }
        }
    }

    /// A thing has left a group: continuous jobs of the group end on it.
    pub fn thing_left(
        &mut self,
        group: &str,
        thing: &str,
        members: &dyn Membership,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        self.advance(now, out);
        for index in self.jobs_of_group(group) {
            if !self.is_target_otherwise(index, group, thing, members)
                && let Some(thing) = self.fleet.things.find(thing)
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
        let waits = |job: &&Box<crate::job::Job>| job.waiting.contains(&thing.0);
        jobs.extend(self.jobs.list.iter().flatten().filter(waits).map(|job| job.record.sequence));
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

    fn jobs_of_group(&self, group: &str) -> Vec<u32> {
        self.by_group.get(group).map_or_else(Vec::new, |jobs| jobs.iter().copied().collect())
    }

    /// Whether a thing is a target of a job for another reason than this group.
    fn is_target_otherwise(
        &self,
        index: u32,
        group: &str,
        thing: &str,
        members: &dyn Membership,
    ) -> bool {
        self.jobs[index].record.request.targets.iter().any(|target| {
            match (self.scope.thing(target), self.scope.group(target)) {
                (Some(name), _) => name == thing,
                (_, Some(name)) => name != group && members.is_member(name, thing),
                _ => false,
            }
        })
    }
}
