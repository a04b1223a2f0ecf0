//! The pending executions of every thing, in order.
//!
//! Two lists per thing, linked through the records themselves: executions in
//! progress before queued ones, each list by the time of queueing. A third list
//! holds every execution of the thing, the newest first. Nothing here changes a
//! status or tells anybody.

use iotstack_protocol::JobExecutionStatus;

use crate::execution::{Execution, Flags};
use crate::slab::{NONE, Slab};
use crate::thing::{ThingIndex, Things};

#[derive(Debug, Default)]
pub(crate) struct Fleet {
    pub things: Things,
    pub executions: Slab,
}

impl Fleet {
    /// Adds a record to the lists of its thing.
    pub(crate) fn add(&mut self, execution: Execution) -> u32 {
        let (thing, status) = (execution.thing, execution.status);
        let order = execution.order();
        let index = self.executions.insert(execution);
        // Nearly always the newest one, so the search ends at once.
        let (mut newer, mut older) = (NONE, self.things.record(thing).newest);
        while older != NONE && self.executions[older].order() > order {
            (newer, older) = (older, self.executions[older].older);
        }
        self.executions[index].older = older;
        if newer == NONE {
            self.things.record_mut(thing).newest = index;
        } else {
            self.executions[newer].older = index;
        }
        match status {
            JobExecutionStatus::Queued => self.link_queued(index),
            JobExecutionStatus::InProgress => self.link_started(index),
            _ => {}
        }
        index
    }

    /// Takes a record out of every list.
    pub(crate) fn remove(&mut self, index: u32) -> Execution {
        if self.executions[index].is_pending() {
            self.unlink(index);
        }
        let (thing, older) = (self.executions[index].thing, self.executions[index].older);
        let mut newer = self.things.record(thing).newest;
        if newer == index {
            self.things.record_mut(thing).newest = older;
        } else {
            while self.executions[newer].older != index {
                newer = self.executions[newer].older;
            }
            self.executions[newer].older = older;
        }
        self.executions.remove(index)
    }

    /// Moves a queued execution among those in progress.
    pub(crate) fn start(&mut self, index: u32) {
        self.unlink(index);
        self.executions[index].status = JobExecutionStatus::InProgress;
        self.link_started(index);
    }

    /// Ends a pending execution.
    pub(crate) fn end(&mut self, index: u32, status: JobExecutionStatus) {
        self.unlink(index);
        self.executions[index].status = status;
    }

    /// The execution that is next for a device; [`NONE`] if nothing is pending.
    pub(crate) fn head(&self, thing: ThingIndex) -> u32 {
        self.pending(thing)
            .find(|index| !self.executions[*index].flags.has(Flags::NAMESPACED))
            .unwrap_or(NONE)
    }

    /// Everything that is pending for a device, in order.
    pub(crate) fn pending(&self, thing: ThingIndex) -> impl Iterator<Item = u32> + '_ {
        let record = self.things.record(thing);
        self.list(record.started).chain(self.list(record.queued.0))
    }

    /// Every execution of a thing, the newest first.
    pub(crate) fn history(&self, thing: ThingIndex) -> impl Iterator<Item = u32> + '_ {
        let first = self.things.record(thing).newest;
        std::iter::successors(some(first), |index| some(self.executions[*index].older))
    }

    fn list(&self, first: u32) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(some(first), |index| some(self.executions[*index].next))
    }

    fn link_queued(&mut self, index: u32) {
        let order = self.executions[index].order();
        let record = self.things.record(self.executions[index].thing);
        // Nearly always the last one, so the search begins at the end.
        let mut before = record.queued.1;
        while before != NONE && self.executions[before].order() > order {
            before = self.executions[before].previous;
        }
        let after = if before == NONE { record.queued.0 } else { self.executions[before].next };
        self.link(index, before, after);
        let record = self.things.record_mut(self.executions[index].thing);
        if before == NONE {
            record.queued.0 = index;
        }
        if after == NONE {
            record.queued.1 = index;
        }
    }

    fn link_started(&mut self, index: u32) {
        let order = self.executions[index].order();
        let (mut before, mut after) =
            (NONE, self.things.record(self.executions[index].thing).started);
        while after != NONE && self.executions[after].order() < order {
            (before, after) = (after, self.executions[after].next);
        }
        self.link(index, before, after);
        if before == NONE {
            self.things.record_mut(self.executions[index].thing).started = index;
        }
    }

    fn link(&mut self, index: u32, before: u32, after: u32) {
        let record = &mut self.executions[index];
        (record.previous, record.next) = (before, after);
        if before != NONE {
            self.executions[before].next = index;
        }
        if after != NONE {
            self.executions[after].previous = index;
        }
    }

    fn unlink(&mut self, index: u32) {
        let execution = &mut self.executions[index];
        let (before, after) = (execution.previous, execution.next);
        (execution.previous, execution.next) = (NONE, NONE);
        let (thing, queued) = (execution.thing, execution.status == JobExecutionStatus::Queued);
        if before != NONE {
            self.executions[before].next = after;
        }
        if after != NONE {
            self.executions[after].previous = before;
        }
        let record = self.things.record_mut(thing);
        match (queued, before) {
            (true, NONE) => record.queued.0 = after,
            (false, NONE) => record.started = after,
            _ => {}
        }
        if queued && after == NONE {
            record.queued.1 = before;
        }
    }
}

fn some(index: u32) -> Option<u32> {
    (index != NONE).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Time;

    fn queued(thing: ThingIndex, job: u32, at: u64) -> Execution {
        Execution {
            thing,
            job,
            queued_at: Time(at),
            number: 1,
            status: JobExecutionStatus::Queued,
            ..Execution::vacant()
        }
    }

    fn jobs(fleet: &Fleet, thing: ThingIndex) -> Vec<u32> {
        fleet.pending(thing).map(|index| fleet.executions[index].job).collect()
    }

    #[test]
    fn those_in_progress_come_first_and_then_the_oldest() {
        let mut fleet = Fleet::default();
        let thing = fleet.things.intern("lamp-1");
        let ids: Vec<u32> = [(1, 10), (2, 20), (3, 20), (0, 20), (4, 30)]
            .map(|(job, at)| fleet.add(queued(thing, job, at)))
            .to_vec();
        assert_eq!(jobs(&fleet, thing), [1, 0, 2, 3, 4]);
        fleet.start(ids[4]);
        assert_eq!(jobs(&fleet, thing), [4, 1, 0, 2, 3]);
        fleet.start(ids[1]);
        assert_eq!(jobs(&fleet, thing), [2, 4, 1, 0, 3]);
        fleet.end(ids[1], JobExecutionStatus::Failed);
        fleet.end(ids[2], JobExecutionStatus::Canceled);
        assert_eq!(jobs(&fleet, thing), [4, 1, 0]);
        fleet.remove(ids[0]);
        assert_eq!(jobs(&fleet, thing), [4, 0]);
        fleet.add(queued(thing, 9, 40));
        assert_eq!(jobs(&fleet, thing), [4, 0, 9]);
        let history: Vec<u32> = fleet.history(thing).map(|i| fleet.executions[i].job).collect();
        assert_eq!(history, [9, 4, 3, 2, 0]);
    }

    #[test]
    fn jobs_with_a_namespace_are_never_next() {
        let mut fleet = Fleet::default();
        let thing = fleet.things.intern("core-1");
        let hidden = fleet.add(queued(thing, 1, 1));
        fleet.executions[hidden].flags.set(Flags::NAMESPACED);
        assert_eq!(fleet.head(thing), NONE);
        let shown = fleet.add(queued(thing, 2, 2));
        assert_eq!(fleet.head(thing), shown);
    }
}
