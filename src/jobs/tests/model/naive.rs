//! A naive model of the service, to compare the engine with.
//!
//! It keeps everything in plain lists and searches them; it knows no timers, no
//! indices and no linked lists. Schedules are a start, an end and a window that opens
//! at every full hour, which is enough for everything that a job does about them.

use std::collections::{BTreeMap, BTreeSet};

use super::ops::{Config, Op, Rate, Settings, WINDOW};
use crate::tests::*;
use JobExecutionStatus::{
    Canceled, Failed, InProgress, Queued, Rejected, Removed, Succeeded, TimedOut,
};

#[derive(Debug, Clone)]
pub(super) struct Execution {
    pub slot: usize,
    pub thing: usize,
    pub number: u32,
    pub status: JobExecutionStatus,
    pub version: u32,
    pub queued: u64,
    pub started: u64,
    pub timeout: Option<u32>,
    pub step: Option<u64>,
    pub used: [u32; 2],
    pub detached: bool,
}

#[derive(Debug, Clone)]
pub(super) struct ModelJob {
    pub sequence: usize,
    pub config: Config,
    pub status: JobStatus,
    pub start: Option<u64>,
    pub end: Option<u64>,
    forced: bool,
    ended: bool,
    /// Positions in `Model::known`.
    pub waiting: BTreeSet<usize>,
    released: Vec<u64>,
    succeeded: u32,
    rolled_out: bool,
    wake: Option<u64>,
    pub executions: Vec<Execution>,
}

#[derive(Debug, Default)]
pub(super) struct Model {
    now: u64,
    sequence: usize,
    pub jobs: BTreeMap<usize, ModelJob>,
    pub groups: Vec<BTreeSet<usize>>,
    /// Things in the order in which jobs have met them.
    known: Vec<usize>,
    /// Places of executions that were deleted, and how many places there are.
    free: Vec<usize>,
    places: usize,
}

/// What the schedule of a job says about a moment; when that changes, if ever.
enum Phase {
    Closed(Option<u64>),
    Open(Option<u64>),
    Ended,
}

impl Execution {
    pub(super) fn deadline(&self) -> Option<u64> {
        let total = self.timeout.map(|minutes| self.started + u64::from(minutes) * MINUTE);
        let ends = total.into_iter().chain(self.step).min();
        ends.filter(|_| self.status == InProgress)
    }
}

impl ModelJob {
    fn active(&self) -> bool {
        matches!(self.status, JobStatus::InProgress | JobStatus::Scheduled)
    }

    fn latest(&self, thing: usize) -> Option<usize> {
        let of_thing = |index: &usize| self.executions[*index].thing == thing;
        (0..self.executions.len()).filter(of_thing).max_by_key(|i| self.executions[*i].number)
    }

    fn count(&self, statuses: &[JobExecutionStatus]) -> usize {
        self.executions.iter().filter(|e| statuses.contains(&e.status)).count()
    }

    /// When things were told in the minute before `now`.
    fn recent(&self, now: u64) -> impl Iterator<Item = u64> + '_ {
        self.released.iter().copied().filter(move |at| now - at < MINUTE)
    }

    /// How many things may be told now.
    fn allowance(&self, now: u64) -> usize {
        let notified = u32::try_from(self.released.len()).unwrap();
        let rate = self.config.rate.after(notified, self.succeeded);
        (rate as usize).saturating_sub(self.recent(now).count())
    }

    fn phase(&self, now: u64) -> Phase {
        let earlier = |moment: u64| Some(self.end.map_or(moment, |end| end.min(moment)));
        let (hour, opened) = (60 * MINUTE, now - now % (60 * MINUTE));
        match (self.start, self.end) {
            (_, Some(end)) if now >= end => Phase::Ended,
            (Some(start), _) if now < start => Phase::Closed(Some(start)),
            _ if !self.config.plan.hourly => Phase::Open(self.end),
            _ if now < opened + WINDOW => Phase::Open(earlier(opened + WINDOW)),
            _ => Phase::Closed(earlier(opened + hour)),
        }
    }

    /// Which criterion pays for a retry.
    fn retry(&self, index: usize) -> Option<usize> {
        let execution = &self.executions[index];
        if !self.active() || self.ended || execution.detached {
            return None;
        }
        self.config.settings.retries.iter().enumerate().find_map(|(slot, (kind, most))| {
            let applies = match kind {
                FailureType::Failed => execution.status == Failed,
                FailureType::TimedOut => execution.status == TimedOut,
                _ => matches!(execution.status, Failed | TimedOut),
            };
            (applies && execution.used[slot] < *most).then_some(slot)
        })
    }

    /// Whether the job should begin on a thing that has become a target.
    fn may_begin(&self, thing: usize) -> bool {
        self.latest(thing).is_none_or(|latest| {
            let status = self.executions[latest].status;
            status.is_terminal() && status != Succeeded
        })
    }

    fn is_target(&self, thing: usize, groups: &[BTreeSet<usize>]) -> bool {
        self.config.things.contains(&thing)
            || self.config.groups.iter().any(|group| groups[*group].contains(&thing))
    }
}

impl Model {
    pub(super) fn new(now: u64) -> Model {
        Model { now, ..Model::default() }
    }

    /// Does what is asked for; says whether it was accepted.
    pub(super) fn apply(&mut self, op: &Op) -> bool {
        // A group changes before the service hears of it.
        match op {
            Op::Join { group, thing } => {
                self.groups[*group].insert(*thing);
            }
            Op::Leave { group, thing } => {
                self.groups[*group].remove(thing);
            }
            Op::Advance { millis } => self.now += millis,
            _ => {}
        }
        self.due();
        match op.clone() {
            Op::Create { job, config } => self.create(job, config),
            Op::Change { job, rate, settings } => self.change(job, rate, settings),
            Op::Associate { job, groups, things } => self.associate(job, groups, things),
            Op::Start { thing, step } => self.start(thing, step),
            Op::Update { job, thing, status, version, step } => {
                self.update(job, thing, status, version, step)
            }
            Op::CancelJob { job, force } => {
                let Some(found) = self.jobs.get_mut(&job) else { return false };
                let again = found.status == JobStatus::Canceled && force && !found.forced;
                if !found.active() && !again {
                    return false;
                }
                self.cancel(job, force);
                true
            }
            Op::DeleteJob { job, force } => {
                let now = self.now;
                let Some(found) = self.jobs.get_mut(&job) else { return false };
                let ended = matches!(found.status, JobStatus::Canceled | JobStatus::Completed);
                if found.status == JobStatus::DeletionInProgress || !(ended || force) {
                    return false;
                }
                found.status = JobStatus::DeletionInProgress;
                found.waiting.clear();
                found.wake = Some(now + 1);
                true
            }
            Op::CancelExecution { job, thing, force } => {
                let Some(index) = self.latest(job, thing) else { return false };
                let status = self.jobs[&job].executions[index].status;
                if !(status == Queued || (status == InProgress && force)) {
                    return false;
                }
                self.finish(job, index, Canceled);
                self.judge(job);
                true
            }
            Op::DeleteExecution { job, thing, number, force } => {
                let Some(found) = self.jobs.get_mut(&job) else { return false };
                let position = found
                    .executions
                    .iter()
                    .position(|e| e.thing == thing && i64::from(e.number) == number);
                let Some(position) = position else { return false };
                let execution = &found.executions[position];
                if !execution.status.is_terminal() && !force {
                    return false;
                }
                self.free.push(execution.slot);
                found.executions.remove(position);
                self.judge(job);
                true
            }
            Op::Join { thing, .. } | Op::Leave { thing, .. } => {
                self.moved(thing);
                true
            }
            Op::DeleteThing { thing } => {
                let known = self.known.iter().position(|t| *t == thing);
                let Some(known) = known else { return true };
                for job in self.in_order() {
                    let found = &self.jobs[&job];
                    if found.waiting.contains(&known) || found.latest(thing).is_some() {
                        self.detach(job, thing);
                    }
                }
                true
            }
            Op::Advance { .. } => true,
        }
    }

    /// Everything that has fallen due, timers first.
    pub(super) fn due(&mut self) {
        loop {
            let timer = self
                .jobs
                .iter()
                .flat_map(|(id, job)| {
                    job.executions.iter().enumerate().map(move |(i, e)| (*id, i, e))
                })
                .filter_map(|(id, i, e)| Some((e.deadline()?, e.slot, id, i)))
                .filter(|(at, ..)| *at <= self.now)
                .min();
            if let Some((_, _, job, index)) = timer {
                self.finish(job, index, TimedOut);
                self.judge(job);
                continue;
            }
            let wake = self
                .jobs
                .iter()
                .filter_map(|(id, job)| Some((job.wake?, job.sequence, *id)))
                .filter(|(at, ..)| *at <= self.now)
                .min();
            let Some((_, _, job)) = wake else { return };
            self.jobs.get_mut(&job).unwrap().wake = None;
            self.drive(job);
        }
    }

    /// Job and execution of everything that is pending for a thing, in order.
    pub(super) fn pending(&self, thing: usize) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for (id, job) in &self.jobs {
            for (index, e) in job.executions.iter().enumerate() {
                if e.thing == thing && !e.status.is_terminal() {
                    let order = (e.status == Queued, e.queued, job.sequence, e.number);
                    found.push((order, (*id, index)));
                }
            }
        }
        found.sort();
        found.into_iter().map(|(_, found)| found).collect()
    }

    fn create(&mut self, id: usize, config: Config) -> bool {
        if self.jobs.contains_key(&id) {
            return false;
        }
        let things = self.members(&config.groups, &config.things);
        let waiting = things.into_iter().map(|thing| self.know(thing)).collect();
        let (start, end) = config.plan.moments(self.now);
        let job = ModelJob {
            sequence: self.sequence,
            config,
            status: JobStatus::InProgress,
            start,
            end,
            forced: false,
            ended: false,
            waiting,
            released: Vec::new(),
            succeeded: 0,
            rolled_out: false,
            wake: None,
            executions: Vec::new(),
        };
        self.sequence += 1;
        self.jobs.insert(id, job);
        self.drive(id);
        true
    }

    fn change(&mut self, id: usize, rate: Option<Rate>, settings: Settings) -> bool {
        let Some(job) = self.jobs.get_mut(&id).filter(|job| job.active()) else { return false };
        let held = &mut job.config.settings;
        let retries = settings.retries;
        if !retries.is_empty() && held.retries != retries {
            if retries.iter().any(|(_, most)| *most > 0) {
                return false;
            }
            if held.retries.is_empty() {
                held.retries = retries;
            } else {
                held.retries.iter_mut().for_each(|(_, most)| *most = 0);
            }
        }
        held.timeout = settings.timeout.or(held.timeout);
        held.abort = settings.abort.or(held.abort);
        if let Some(rate) = rate {
            job.config.rate = rate;
        }
        self.drive(id);
        true
    }

    fn associate(&mut self, id: usize, mut groups: Vec<usize>, mut things: Vec<usize>) -> bool {
        let Some(job) = self.jobs.get_mut(&id) else { return false };
        let may = job.config.continuous && job.status == JobStatus::InProgress && !job.ended;
        if !may || (groups.is_empty() && things.is_empty()) {
            return false;
        }
        groups.retain(|group| !job.config.groups.contains(group));
        things.retain(|thing| !job.config.things.contains(thing));
        job.config.groups.extend(&groups);
        job.config.things.extend(&things);
        job.rolled_out = false;
        for thing in self.members(&groups, &things) {
            let known = self.know(thing);
            let job = self.jobs.get_mut(&id).unwrap();
            if job.may_begin(thing) {
                job.waiting.insert(known);
            }
        }
        self.drive(id);
        true
    }

    /// The things of groups and the things themselves, in the order of the service.
    fn members(&self, groups: &[usize], things: &[usize]) -> Vec<usize> {
        let mut all: Vec<usize> = Vec::new();
        for group in groups {
            // By name, as the registry has them.
            let mut members: Vec<usize> = self.groups[*group].iter().copied().collect();
            members.sort_by_key(|thing| format!("lamp-{thing}"));
            all.extend(members);
        }
        all.extend(things);
        all
    }

    fn start(&mut self, thing: usize, step: Option<i64>) -> bool {
        let Some((job, index)) = self.pending(thing).first().copied() else { return true };
        if self.jobs[&job].executions[index].status == Queued {
            self.begin(job, index, step);
        }
        true
    }

    fn update(
        &mut self,
        job: usize,
        thing: usize,
        status: JobExecutionStatus,
        version: Option<i64>,
        step: Option<i64>,
    ) -> bool {
        let Some(index) = self.latest(job, thing) else { return false };
        let execution = &self.jobs[&job].executions[index];
        let fits = version.is_none_or(|version| i64::from(execution.version) == version);
        if execution.status.is_terminal() || !status.is_reportable() || !fits {
            return false;
        }
        if status == InProgress {
            self.begin(job, index, step);
        } else {
            self.finish(job, index, status);
            self.judge(job);
        }
        true
    }

    fn begin(&mut self, job: usize, index: usize, step: Option<i64>) {
        let now = self.now;
        let job = self.jobs.get_mut(&job).unwrap();
        let timeout = job.config.settings.timeout;
        let execution = &mut job.executions[index];
        execution.version += 1;
        match step {
            Some(-1) => execution.step = None,
            Some(minutes) => execution.step = Some(now + minutes as u64 * MINUTE),
            None => {}
        }
        if execution.status == Queued {
            (execution.status, execution.started, execution.timeout) = (InProgress, now, timeout);
        }
    }

    fn drive(&mut self, id: usize) {
        let now = self.now;
        let job = self.jobs.get_mut(&id).unwrap();
        if job.status == JobStatus::DeletionInProgress {
            let mut gone: Vec<(usize, std::cmp::Reverse<u32>, usize)> = job
                .executions
                .iter()
                .map(|e| {
                    let known = self.known.iter().position(|t| *t == e.thing).unwrap();
                    (known, std::cmp::Reverse(e.number), e.slot)
                })
                .collect();
            gone.sort();
            self.free.extend(gone.into_iter().map(|(_, _, slot)| slot));
            self.jobs.remove(&id);
            return;
        }
        if !job.active() {
            return;
        }
        match job.phase(now) {
            Phase::Ended => self.end(id),
            Phase::Closed(_) => job.status = JobStatus::Scheduled,
            Phase::Open(_) => self.release(id),
        }
        self.judge(id);
        self.plan(id);
    }

    /// Tells as many things as the rate allows, one after the other.
    fn release(&mut self, id: usize) {
        let now = self.now;
        loop {
            let job = self.jobs.get_mut(&id).unwrap();
            job.status = JobStatus::InProgress;
            let next = job.waiting.first().copied().filter(|_| job.allowance(now) > 0);
            let Some(known) = next else {
                job.rolled_out |= job.waiting.is_empty();
                return;
            };
            job.waiting.remove(&known);
            job.released.push(now);
            self.queue(id, self.known[known]);
        }
    }

    /// The end time of a job is over.
    fn end(&mut self, id: usize) {
        let job = self.jobs.get_mut(&id).unwrap();
        if std::mem::replace(&mut job.ended, true) {
            return;
        }
        match job.config.plan.behavior {
            None | Some(EndBehavior::StopRollout) => {
                job.status = JobStatus::InProgress;
                job.waiting.clear();
            }
            Some(behavior) => self.cancel(id, behavior == EndBehavior::ForceCancel),
        }
    }

    fn plan(&mut self, id: usize) {
        let now = self.now;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.status == JobStatus::DeletionInProgress {
            return;
        }
        job.wake = match job.phase(now) {
            _ if !job.active() => None,
            Phase::Ended => None,
            Phase::Closed(change) => change,
            Phase::Open(until) => {
                let next = job.recent(now).min().map(|at| at + MINUTE);
                let next = next.filter(|_| !job.waiting.is_empty());
                until.into_iter().chain(next).min()
            }
        };
    }

    fn queue(&mut self, id: usize, thing: usize) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.places += 1;
            self.places - 1
        });
        let now = self.now;
        let job = self.jobs.get_mut(&id).unwrap();
        let (mut number, mut used) = (1, [0; 2]);
        if let Some(before) = job.latest(thing) {
            number = job.executions[before].number + 1;
            if let Some(slot) = job.retry(before) {
                used = job.executions[before].used;
                used[slot] += 1;
            }
        }
        job.executions.push(Execution {
            slot,
            thing,
            number,
            status: Queued,
            version: 1,
            queued: now,
            started: 0,
            timeout: None,
            step: None,
            used,
            detached: false,
        });
    }

    fn finish(&mut self, id: usize, index: usize, status: JobExecutionStatus) {
        let now = self.now;
        let job = self.jobs.get_mut(&id).unwrap();
        let execution = &mut job.executions[index];
        execution.status = status;
        execution.version += 1;
        let thing = execution.thing;
        if status == Succeeded {
            job.succeeded += 1;
            // The rate may have grown.
            let rolls = job.status == JobStatus::InProgress && !job.waiting.is_empty();
            if rolls && job.allowance(now) > 0 {
                job.wake = Some(now);
            }
        }
        if job.retry(index).is_none() {
            return;
        }
        if job.status == JobStatus::InProgress {
            self.queue(id, thing);
        } else {
            let known = self.know(thing);
            self.jobs.get_mut(&id).unwrap().waiting.insert(known);
        }
    }

    fn judge(&mut self, id: usize) {
        let job = &self.jobs[&id];
        if !job.active() {
            return;
        }
        let ended = job.executions.iter().filter(|e| e.status.is_terminal()).count();
        let aborts = job.config.settings.abort.is_some_and(|(kind, share, least)| {
            let failed = match kind {
                FailureType::Failed => job.count(&[Failed]),
                FailureType::Rejected => job.count(&[Rejected]),
                FailureType::TimedOut => job.count(&[TimedOut]),
                FailureType::All => job.count(&[Failed, Rejected, TimedOut]),
            };
            failed > 0 && ended >= least as usize && failed * 100 >= share as usize * ended
        });
        if aborts {
            self.cancel(id, false);
        } else if (!job.config.continuous || job.ended)
            && job.waiting.is_empty()
            && job.count(&[Queued, InProgress]) == 0
        {
            let job = self.jobs.get_mut(&id).unwrap();
            (job.status, job.wake) = (JobStatus::Completed, None);
        }
    }

    fn cancel(&mut self, id: usize, force: bool) {
        let job = self.jobs.get_mut(&id).unwrap();
        (job.status, job.wake) = (JobStatus::Canceled, None);
        job.forced |= force;
        job.waiting.clear();
        for index in 0..job.executions.len() {
            let status = self.jobs[&id].executions[index].status;
            if status == Queued || (force && status == InProgress) {
                self.finish(id, index, Canceled);
            }
        }
    }

    fn moved(&mut self, thing: usize) {
        for id in self.in_order() {
            let job = &self.jobs[&id];
            if !job.active() || !job.config.continuous {
                continue;
            }
            let known = self.known.iter().position(|t| *t == thing);
            let latest = job.latest(thing);
            let holds = known.is_some_and(|known| job.waiting.contains(&known))
                || latest.is_some_and(|latest| !job.executions[latest].detached);
            let target = job.is_target(thing, &self.groups);
            if holds && !target {
                self.detach(id, thing);
            } else if target && !holds && !job.ended {
                let known = self.know(thing);
                let job = self.jobs.get_mut(&id).unwrap();
                if let Some(latest) = latest.filter(|_| !job.may_begin(thing)) {
                    job.executions[latest].detached = false;
                } else if job.rolled_out && job.status == JobStatus::InProgress {
                    self.queue(id, thing);
                } else {
                    job.waiting.insert(known);
                    self.drive(id);
                }
            }
        }
    }

    fn detach(&mut self, id: usize, thing: usize) {
        let known = self.known.iter().position(|t| *t == thing).unwrap();
        let job = self.jobs.get_mut(&id).unwrap();
        job.waiting.remove(&known);
        if let Some(latest) = job.latest(thing) {
            job.executions[latest].detached = true;
            if !job.executions[latest].status.is_terminal() {
                self.finish(id, latest, Removed);
            }
        }
        self.drive(id);
    }

    fn know(&mut self, thing: usize) -> usize {
        self.known.iter().position(|t| *t == thing).unwrap_or_else(|| {
            self.known.push(thing);
            self.known.len() - 1
        })
    }

    fn latest(&self, job: usize, thing: usize) -> Option<usize> {
        self.jobs.get(&job)?.latest(thing)
    }

    fn in_order(&self) -> Vec<usize> {
        let mut jobs: Vec<usize> = self.jobs.keys().copied().collect();
        jobs.sort_by_key(|id| self.jobs[id].sequence);
        jobs
    }
}
