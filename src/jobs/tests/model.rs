//! The engine against a naive model.
//!
//! The model keeps everything in plain lists and searches them; it knows no timers,
//! no indices and no linked lists. Random operations of the cloud and of devices go
//! to both, and after each of them everything that can be seen must be equal. The
//! invariants are checked on the engine alone, so that a fault that both share is
//! seen too.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::restore::{Store, snapshot};
use super::*;
use JobExecutionStatus::{
    Canceled, Failed, InProgress, Queued, Rejected, Removed, Succeeded, TimedOut,
};

#[derive(Debug, Clone)]
enum Op {
    Create {
        job: usize,
        config: Config,
    },
    Start {
        thing: usize,
        step: Option<i64>,
    },
    Update {
        job: usize,
        thing: usize,
        status: JobExecutionStatus,
        version: Option<i64>,
        step: Option<i64>,
    },
    CancelJob {
        job: usize,
        force: bool,
    },
    DeleteJob {
        job: usize,
        force: bool,
    },
    CancelExecution {
        job: usize,
        thing: usize,
        force: bool,
    },
    DeleteExecution {
        job: usize,
        thing: usize,
        number: i64,
        force: bool,
    },
    Join {
        group: usize,
        thing: usize,
    },
    Leave {
        group: usize,
        thing: usize,
    },
    DeleteThing {
        thing: usize,
    },
    Advance {
        millis: u64,
    },
}

#[derive(Debug, Clone)]
struct Config {
    continuous: bool,
    groups: Vec<usize>,
    things: Vec<usize>,
    rate: u32,
    timeout: Option<u32>,
    retries: Vec<(FailureType, u32)>,
    abort: Option<(FailureType, u32, u32)>,
}

#[derive(Debug, Clone)]
struct Execution {
    slot: usize,
    thing: usize,
    number: u32,
    status: JobExecutionStatus,
    version: u32,
    queued: u64,
    started: u64,
    timeout: Option<u32>,
    step: Option<u64>,
    used: Vec<u32>,
    detached: bool,
}

#[derive(Debug, Clone)]
struct ModelJob {
    sequence: usize,
    config: Config,
    status: JobStatus,
    forced: bool,
    /// Positions in `Model::known`.
    waiting: BTreeSet<usize>,
    released: Vec<u64>,
    rolled_out: bool,
    wake: Option<u64>,
    executions: Vec<Execution>,
}

#[derive(Debug, Default)]
struct Model {
    now: u64,
    sequence: usize,
    jobs: BTreeMap<usize, ModelJob>,
    groups: Vec<BTreeSet<usize>>,
    /// Things in the order in which jobs have met them.
    known: Vec<usize>,
    /// Places of executions that were deleted, and how many places there are.
    free: Vec<usize>,
    places: usize,
}

impl Execution {
    fn deadline(&self) -> Option<u64> {
        let total = self.timeout.map(|minutes| self.started + u64::from(minutes) * MINUTE);
        let ends = total.into_iter().chain(self.step).min();
        ends.filter(|_| self.status == InProgress)
    }
}

impl ModelJob {
    fn active(&self) -> bool {
        self.status == JobStatus::InProgress
    }

    fn latest(&self, thing: usize) -> Option<usize> {
        let of_thing = |index: &usize| self.executions[*index].thing == thing;
        (0..self.executions.len()).filter(of_thing).max_by_key(|i| self.executions[*i].number)
    }

    fn count(&self, statuses: &[JobExecutionStatus]) -> usize {
        self.executions.iter().filter(|e| statuses.contains(&e.status)).count()
    }

    /// Which criterion pays for a retry.
    fn retry(&self, index: usize) -> Option<usize> {
        let execution = &self.executions[index];
        if !self.active() || execution.detached {
            return None;
        }
        self.config.retries.iter().enumerate().find_map(|(slot, (kind, most))| {
            let applies = match kind {
                FailureType::Failed => execution.status == Failed,
                FailureType::TimedOut => execution.status == TimedOut,
                _ => matches!(execution.status, Failed | TimedOut),
            };
            (applies && execution.used[slot] < *most).then_some(slot)
        })
    }

    fn is_target(&self, thing: usize, groups: &[BTreeSet<usize>]) -> bool {
        self.config.things.contains(&thing)
            || self.config.groups.iter().any(|group| groups[*group].contains(&thing))
    }
}

impl Model {
    fn apply(&mut self, op: &Op) -> bool {
        match op.clone() {
            Op::Create { job, config } => self.create(job, config),
            Op::Start { thing, step } => self.start(thing, step),
            Op::Update { job, thing, status, version, step } => {
                self.update(job, thing, status, version, step)
            }
            Op::CancelJob { job, force } => {
                self.due();
                let Some(found) = self.jobs.get_mut(&job) else { return false };
                let again = found.status == JobStatus::Canceled && force && !found.forced;
                if !found.active() && !again {
                    return false;
                }
                self.cancel(job, force);
                true
            }
            Op::DeleteJob { job, force } => {
                self.due();
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
                self.due();
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
                self.due();
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
            Op::Join { group, thing } => {
                self.groups[group].insert(thing);
                self.due();
                self.moved(thing);
                true
            }
            Op::Leave { group, thing } => {
                self.groups[group].remove(&thing);
                self.due();
                self.moved(thing);
                true
            }
            Op::DeleteThing { thing } => {
                self.due();
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
            Op::Advance { millis } => {
                self.now += millis;
                self.due();
                true
            }
        }
    }

    fn create(&mut self, id: usize, config: Config) -> bool {
        self.due();
        if self.jobs.contains_key(&id) {
            return false;
        }
        let mut things: Vec<usize> = Vec::new();
        for group in &config.groups {
            // By name, as the registry has them.
            let mut members: Vec<usize> = self.groups[*group].iter().copied().collect();
            members.sort_by_key(|thing| format!("lamp-{thing}"));
            things.extend(members);
        }
        things.extend(&config.things);
        let waiting = things.into_iter().map(|thing| self.know(thing)).collect();
        let job = ModelJob {
            sequence: self.sequence,
            config,
            status: JobStatus::InProgress,
            forced: false,
            waiting,
            released: Vec::new(),
            rolled_out: false,
            wake: None,
            executions: Vec::new(),
        };
        self.sequence += 1;
        self.jobs.insert(id, job);
        self.drive(id);
        true
    }

    fn start(&mut self, thing: usize, step: Option<i64>) -> bool {
        self.due();
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
        self.due();
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
        let timeout = job.config.timeout;
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

    /// Everything that has fallen due, timers first.
    fn due(&mut self) {
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
        let recent = job.released.iter().filter(|at| now - **at < MINUTE).count();
        let allowed = (job.config.rate as usize).saturating_sub(recent);
        let batch: Vec<usize> = job.waiting.iter().copied().take(allowed).collect();
        for known in batch {
            let job = self.jobs.get_mut(&id).unwrap();
            job.waiting.remove(&known);
            job.released.push(now);
            let thing = self.known[known];
            self.queue(id, thing);
        }
        let job = self.jobs.get_mut(&id).unwrap();
        job.rolled_out |= job.waiting.is_empty();
        self.judge(id);
        self.plan(id);
    }

    fn plan(&mut self, id: usize) {
        let now = self.now;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.status == JobStatus::DeletionInProgress {
            return;
        }
        let oldest = job.released.iter().copied().filter(|at| now - at < MINUTE).min();
        let rolls = job.active() && !job.waiting.is_empty();
        job.wake = oldest.map(|at| at + MINUTE).filter(|_| rolls);
    }

    fn queue(&mut self, id: usize, thing: usize) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.places += 1;
            self.places - 1
        });
        let now = self.now;
        let job = self.jobs.get_mut(&id).unwrap();
        let (mut number, mut used) = (1, vec![0; job.config.retries.len()]);
        if let Some(before) = job.latest(thing) {
            number = job.executions[before].number + 1;
            if let Some(slot) = job.retry(before) {
                used = job.executions[before].used.clone();
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
        let job = self.jobs.get_mut(&id).unwrap();
        let execution = &mut job.executions[index];
        execution.status = status;
        execution.version += 1;
        let thing = execution.thing;
        if job.retry(index).is_some() {
            self.queue(id, thing);
        }
    }

    fn judge(&mut self, id: usize) {
        let job = &self.jobs[&id];
        if !job.active() {
            return;
        }
        let ended = job.executions.iter().filter(|e| e.status.is_terminal()).count();
        let aborts = job.config.abort.is_some_and(|(kind, share, least)| {
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
        } else if !job.config.continuous
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
            } else if target && !holds {
                let known = self.know(thing);
                let job = self.jobs.get_mut(&id).unwrap();
                if let Some(latest) = latest.filter(|i| job.executions[*i].status == Succeeded) {
                    job.executions[latest].detached = false;
                } else if job.rolled_out {
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

    /// Job and execution of everything that is pending for a thing, in order.
    fn pending(&self, thing: usize) -> Vec<(usize, usize)> {
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
}

/// Gives an operation to the engine; says whether it was accepted.
fn perform(world: &mut World, op: &Op) -> bool {
    let thing = |thing: usize| format!("lamp-{thing}");
    let id = |job: usize| format!("j{job}");
    let group = |group: usize| format!("g{group}");
    if let Op::Create { job, config } = op {
        let mut targets: Vec<String> = config.groups.iter().map(|g| group(*g)).collect();
        targets.extend(config.things.iter().map(|t| thing(*t)));
        let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
        return world.create(&id(*job), &targets, fields(config)).is_ok();
    }
    let World { engine, registry, now, effects } = world;
    effects.clear();
    match op.clone() {
        Op::Create { .. } => unreachable!("it was handled above"),
        Op::Start { thing: t, step } => {
            let request = StartNext { status_details: None, step_timeout_in_minutes: step };
            engine.start_next(&thing(t), request, *now, effects).is_ok()
        }
        Op::Update { job, thing: t, status, version, step } => {
            let request = UpdateExecution {
                expected_version: version,
                step_timeout_in_minutes: step,
                ..report(status)
            };
            engine.update_execution(&id(job), &thing(t), request, *now, effects).is_ok()
        }
        Op::CancelJob { job, force } => {
            let request = CancelJob::default();
            engine.cancel_job(&id(job), request, force.into(), *now, effects).is_ok()
        }
        Op::DeleteJob { job, force } => {
            engine.delete_job(&id(job), force.into(), *now, effects).is_ok()
        }
        Op::CancelExecution { job, thing: t, force } => {
            let request = CancelExecution::default();
            engine
                .cancel_execution(&id(job), &thing(t), request, force.into(), *now, effects)
                .is_ok()
        }
        Op::DeleteExecution { job, thing: t, number, force } => engine
            .delete_execution(&id(job), &thing(t), number, force.into(), *now, effects)
            .is_ok(),
        Op::Join { group: g, thing: t } => {
            registry.groups.get_mut(&group(g)).unwrap().insert(thing(t));
            engine.thing_moved(&thing(t), registry, *now, effects);
            true
        }
        Op::Leave { group: g, thing: t } => {
            registry.groups.get_mut(&group(g)).unwrap().remove(&thing(t));
            engine.thing_moved(&thing(t), registry, *now, effects);
            true
        }
        Op::DeleteThing { thing: t } => {
            engine.thing_deleted(&thing(t), *now, effects);
            true
        }
        Op::Advance { millis } => {
            *now = now.after(millis);
            engine.advance(*now, effects);
            true
        }
    }
}

fn fields(config: &Config) -> Value {
    let mut fields = json!({
        "targetSelection": if config.continuous { "CONTINUOUS" } else { "SNAPSHOT" },
        "jobExecutionsRolloutConfig": {"maximumPerMinute": config.rate},
    });
    if let Some(minutes) = config.timeout {
        fields["timeoutConfig"] = json!({"inProgressTimeoutInMinutes": minutes});
    }
    if !config.retries.is_empty() {
        let criteria: Vec<Value> = config
            .retries
            .iter()
            .map(|(kind, most)| json!({"failureType": kind, "numberOfRetries": most}))
            .collect();
        fields["jobExecutionsRetryConfig"] = json!({"criteriaList": criteria});
    }
    if let Some((kind, share, least)) = config.abort {
        fields["abortConfig"] = json!({"criteriaList": [{"failureType": kind, "action": "CANCEL",
            "thresholdPercentage": share, "minNumberOfExecutedThings": least}]});
    }
    fields
}

/// Compares everything that can be seen.
fn compare(world: &World, model: &Model) -> std::result::Result<(), TestCaseError> {
    let (jobs, _) = world.engine.list_jobs(&JobFilter::default(), &Page::default()).unwrap();
    prop_assert_eq!(jobs.len(), model.jobs.len());
    for (id, job) in &model.jobs {
        let name = format!("j{id}");
        let view = world.job(&name);
        prop_assert_eq!(view.status, job.status, "{}", name);
        for execution in &job.executions {
            let thing = format!("lamp-{}", execution.thing);
            let number = Some(i64::from(execution.number));
            let shown = world.engine.execution(&name, &thing, number).unwrap();
            let retries: u32 = execution.used.iter().sum();
            prop_assert_eq!(
                (shown.status, shown.version_number, shown.retry_attempt, shown.times_out_at),
                (execution.status, execution.version, retries, execution.deadline().map(Time)),
                "{} on {} number {}",
                name,
                thing,
                execution.number
            );
        }
        let (_, waiting) = world.engine.rollout(&name).unwrap();
        prop_assert_eq!(waiting, job.waiting.len(), "things of {} that wait", name);
    }
    let executions: usize = model.jobs.values().map(|job| job.executions.len()).sum();
    prop_assert_eq!(world.engine.execution_count(), executions);
    for thing in 0..THINGS {
        let expected: Vec<String> =
            model.pending(thing).iter().map(|(job, _)| format!("j{job}")).collect();
        prop_assert_eq!(pending(world, thing), expected, "pending on lamp-{}", thing);
    }
    Ok(())
}

/// The jobs that are pending for a thing, in order.
fn pending(world: &World, thing: usize) -> Vec<String> {
    let lists = world.engine.pending(&format!("lamp-{thing}"), 250);
    let all = lists.in_progress.iter().chain(&lists.queued);
    all.map(|view| view.job_id.to_owned()).collect()
}

/// The counters of every job equal a recount.
fn check_counters(world: &World) -> std::result::Result<(), TestCaseError> {
    let (jobs, _) = world.engine.list_jobs(&JobFilter::default(), &Page::default()).unwrap();
    for job in jobs {
        let (views, _) =
            world.engine.executions_for_job(&job.job_id, None, &Page::default()).unwrap();
        let count = |status| views.iter().filter(|view| view.status == status).count() as u32;
        let details = world.job(&job.job_id).job_process_details;
        let expected = ProcessDetails {
            processing_targets: details.processing_targets.clone(),
            number_of_canceled_things: count(Canceled),
            number_of_succeeded_things: count(Succeeded),
            number_of_failed_things: count(Failed),
            number_of_rejected_things: count(Rejected),
            number_of_queued_things: count(Queued),
            number_of_in_progress_things: count(InProgress),
            number_of_removed_things: count(Removed),
            number_of_timed_out_things: count(TimedOut),
        };
        prop_assert_eq!(details, expected, "{}", job.job_id);
    }
    Ok(())
}

/// States and versions that were seen once, by job, thing and number.
type Seen = BTreeMap<(String, usize, u32), (JobExecutionStatus, u32)>;

/// Versions only grow, and nothing leaves an end state.
fn check_progress(world: &World, seen: &mut Seen) -> std::result::Result<(), TestCaseError> {
    let before = std::mem::take(seen);
    for thing in 0..THINGS {
        let name = format!("lamp-{thing}");
        let history = world.engine.executions_for_thing(&name, None, None, None, &Page::default());
        for view in history.unwrap().0 {
            // A job that was deleted and created again is another job.
            let created = world.job(view.job_id).created_at.0;
            let key = (format!("{} {created}", view.job_id), thing, view.execution_number);
            if let Some((status, version)) = before.get(&key) {
                let changed = view.status != *status || view.version_number != *version;
                prop_assert!(view.version_number >= *version, "{:?}", key);
                prop_assert!(!changed || !status.is_terminal(), "{:?} left {}", key, status);
                prop_assert!(view.status == *status || view.version_number > *version);
            }
            seen.insert(key, (view.status, view.version_number));
        }
    }
    Ok(())
}

/// Whoever has another list or another next execution was told, and nobody else if
/// the operation touched one execution only.
fn check_notifications(
    world: &World,
    op: &Op,
    before: &[Vec<String>],
) -> std::result::Result<(), TestCaseError> {
    let told = world.told();
    for (thing, before) in before.iter().enumerate() {
        let after = pending(world, thing);
        let (mut old, mut new) = (before.clone(), after.clone());
        let head = old.first() != new.first();
        old.sort();
        new.sort();
        let (list, next) = (format!("notify lamp-{thing}"), format!("notify-next lamp-{thing}"));
        prop_assert!(old == new || told.contains(&list), "{:?}: {:?}", op, told);
        prop_assert!(!head || told.contains(&next), "{:?}: {:?}", op, told);
        let report =
            matches!(op, Op::Start { .. }) || matches!(op, Op::Update { status: InProgress, .. });
        let timed = told.iter().any(|word| word.contains("timed_out") || word.contains("queued"));
        if report && !timed {
            prop_assert!(!told.contains(&list), "{:?}: {:?}", op, told);
            prop_assert!(head || !told.contains(&next), "{:?}: {:?}", op, told);
        }
    }
    Ok(())
}

const THINGS: usize = 6;
const GROUPS: usize = 2;

fn kind() -> impl Strategy<Value = FailureType> {
    prop_oneof![Just(FailureType::Failed), Just(FailureType::TimedOut), Just(FailureType::All)]
}

fn config() -> impl Strategy<Value = Config> {
    (
        any::<bool>(),
        prop::sample::subsequence(vec![0, 1], 1..=GROUPS),
        prop::sample::subsequence((0..THINGS).collect::<Vec<_>>(), 0..3),
        1_u32..4,
        prop::option::of(1_u32..4),
        prop::collection::vec((kind(), 0_u32..3), 0..3),
        prop::option::of((kind(), prop::sample::select(vec![20_u32, 50, 100]), 1_u32..5)),
    )
        .prop_map(|(continuous, groups, things, rate, timeout, retries, abort)| Config {
            continuous,
            groups,
            things,
            rate,
            timeout,
            retries,
            abort,
        })
}

fn op() -> impl Strategy<Value = Op> {
    let (job, thing, group) = (0..4_usize, 0..THINGS, 0..GROUPS);
    let status = prop::sample::select(JobExecutionStatus::ALL.to_vec());
    let report = prop::sample::select(vec![InProgress, Succeeded, Failed, Rejected, Failed]);
    let status = prop_oneof![6 => report, 1 => status];
    let step = prop::option::weighted(0.3, prop_oneof![Just(-1_i64), 1_i64..4]);
    let version = prop::option::weighted(0.2, 1_i64..4);
    let millis = prop::sample::select(vec![1_u64, 1000, 30_000, 60_000, 90_000, 600_000]);
    prop_oneof![
        2 => (job.clone(), config()).prop_map(|(job, config)| Op::Create { job, config }),
        4 => (thing.clone(), step.clone()).prop_map(|(thing, step)| Op::Start { thing, step }),
        8 => (job.clone(), thing.clone(), status, version, step).prop_map(
            |(job, thing, status, version, step)| Op::Update { job, thing, status, version, step }
        ),
        1 => (job.clone(), any::<bool>()).prop_map(|(job, force)| Op::CancelJob { job, force }),
        1 => (job.clone(), any::<bool>()).prop_map(|(job, force)| Op::DeleteJob { job, force }),
        1 => (job.clone(), thing.clone(), any::<bool>())
            .prop_map(|(job, thing, force)| Op::CancelExecution { job, thing, force }),
        1 => (job, thing.clone(), 1_i64..3, any::<bool>()).prop_map(
            |(job, thing, number, force)| Op::DeleteExecution { job, thing, number, force }
        ),
        2 => (group.clone(), thing.clone()).prop_map(|(group, thing)| Op::Join { group, thing }),
        2 => (group, thing.clone()).prop_map(|(group, thing)| Op::Leave { group, thing }),
        1 => thing.prop_map(|thing| Op::DeleteThing { thing }),
        4 => millis.prop_map(|millis| Op::Advance { millis }),
    ]
}

fn setup() -> (World, Model) {
    let (mut world, mut model) = (World::new(), Model { now: START.0, ..Model::default() });
    for group in 0..GROUPS {
        world.registry.groups.insert(format!("g{group}"), BTreeSet::new());
        model.groups.push(BTreeSet::new());
        for thing in (group..THINGS).step_by(2) {
            world
                .registry
                .groups
                .get_mut(&format!("g{group}"))
                .unwrap()
                .insert(format!("lamp-{thing}"));
            model.groups[group].insert(thing);
        }
    }
    (world, model)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_agrees_with_the_model(ops in prop::collection::vec(op(), 1..80)) {
        let (mut world, mut model) = setup();
        let mut seen = Seen::new();
        for op in &ops {
            let before: Vec<Vec<String>> = (0..THINGS).map(|t| pending(&world, t)).collect();
            let (accepted, expected) = (perform(&mut world, op), model.apply(op));
            prop_assert_eq!(accepted, expected, "{:?}", op);
            compare(&world, &model)?;
            check_counters(&world)?;
            check_progress(&world, &mut seen)?;
            check_notifications(&world, op, &before)?;
        }
        for job in model.jobs.values() {
            for at in &job.released {
                let minute = job.released.iter().filter(|t| **t >= *at && **t < at + MINUTE);
                prop_assert!(minute.count() <= job.config.rate as usize);
            }
        }
        // Whatever is left waits for a device, and ends when the devices come back.
        world.walk(24 * 60 * MINUTE);
        let (jobs, _) = world.engine.list_jobs(&JobFilter::default(), &Page::default()).unwrap();
        for job in &jobs {
            prop_assert_eq!(world.engine.rollout(&job.job_id).unwrap().1, 0);
        }
        for thing in 0..THINGS {
            while let Some((job, _)) = world.start(&format!("lamp-{thing}")) {
                world.update(&job, &format!("lamp-{thing}"), Succeeded).unwrap();
            }
            prop_assert!(pending(&world, thing).is_empty());
        }
        for job in jobs.iter().filter(|job| job.target_selection == SNAPSHOT) {
            let status = world.status(&job.job_id);
            prop_assert!(matches!(status, JobStatus::Completed | JobStatus::Canceled), "{}", status);
        }
    }

    #[test]
    fn the_same_inputs_make_the_same_effects_and_records(ops in prop::collection::vec(op(), 1..60)) {
        let (mut one, _) = setup();
        let (mut two, _) = setup();
        one.engine.start_recording();
        two.engine.start_recording();
        let mut store = Store::default();
        for op in &ops {
            prop_assert_eq!(perform(&mut one, op), perform(&mut two, op));
            prop_assert_eq!(&one.effects, &two.effects);
            let (left, right) = (one.engine.changes(), two.engine.changes());
            prop_assert_eq!(&left, &right);
            for change in left {
                match change.value {
                    Some(value) => store.0.insert(change.key, value),
                    None => store.0.remove(&change.key),
                };
            }
        }
        // What was written is the whole state, once unfinished deletions are done.
        let mut again = store.restore();
        let mut effects = Vec::new();
        one.now = one.now.after(10);
        again.advance(one.now, &mut effects);
        one.engine.advance(one.now, &mut effects);
        prop_assert_eq!(snapshot(&again, one.now), snapshot(&one.engine, one.now));
    }
}
