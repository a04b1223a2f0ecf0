//! What must hold whatever happens, looked at on the engine alone.
//!
//! The model is not asked here, so that a fault that both share is seen too. How much
//! may be told is worked out from the configuration that the engine shows and from the
//! effects that it has had.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::naive::Model;
use super::ops::{Growth, Op, Rate, THINGS};
use crate::tests::*;
use JobExecutionStatus::{
    Canceled, Failed, InProgress, Queued, Rejected, Removed, Succeeded, TimedOut,
};

type Checked = std::result::Result<(), TestCaseError>;

/// What the engine has told devices about each job, seen in its effects.
#[derive(Debug, Default)]
pub(super) struct Rollouts(BTreeMap<String, Told>);

#[derive(Debug, Default)]
struct Told {
    /// When things were told by the rollout, all of them.
    at: Vec<u64>,
    succeeded: u32,
    /// Every thing was told once, so that those that join do not wait.
    is_over: bool,
}

impl Rollouts {
    /// Takes the effects of the last input, and judges the minute that ends now.
    ///
    /// A retry follows the end of the attempt before it at once and is no matter of the
    /// rollout; nor is the thing that has just `moved` into a continuous job whose
    /// rollout is over.
    pub(super) fn take(&mut self, world: &World, moved: Option<usize>) -> Checked {
        let moved = moved.map(|thing| format!("lamp-{thing}"));
        let mut before: Option<&ExecutionEffect> = None;
        let mut told: Vec<&str> = Vec::new();
        for effect in &world.effects {
            let last = before.take();
            match effect {
                Effect::Execution(effect) if effect.change == ExecutionChange::Entered => {
                    before = Some(effect);
                    let job = self.0.entry(effect.job.to_string()).or_default();
                    job.succeeded += u32::from(effect.status == Succeeded);
                    let again = last.is_some_and(|last| {
                        (&last.job, last.thing, last.number + 1)
                            == (&effect.job, effect.thing, effect.number)
                    });
                    let name = world.engine.thing_name(effect.thing);
                    let joined = job.is_over && moved.as_deref() == Some(name);
                    if effect.status == Queued && !again && !joined {
                        job.at.push(world.now.0);
                        told.push(&effect.job);
                    }
                }
                Effect::Job(effect) if effect.operation == JobOperation::Deleted => {
                    self.0.remove(&*effect.job);
                    told.retain(|job| **job != *effect.job);
                }
                _ => {}
            }
        }
        let (jobs, _) = world.engine.list_jobs(&JobFilter::default(), &Page::default()).unwrap();
        for view in jobs {
            let id = &*view.job_id;
            let view = world.job(id);
            let job = self.0.entry(id.to_owned()).or_default();
            let (_, waiting) = world.engine.rollout(id).unwrap();
            job.is_over |= waiting == 0 && view.status == JobStatus::InProgress;
            if told.contains(&id) {
                let rate = Rate::of(view.job_executions_rollout_config.as_ref());
                let most = rate.after(u32::try_from(job.at.len()).unwrap(), job.succeeded);
                let minute = job.at.iter().filter(|at| world.now.0 - **at < MINUTE).count();
                prop_assert!(minute <= most as usize, "{} of {} told: {:?}", id, most, job);
            }
        }
        Ok(())
    }

    /// A job has got more targets: its rollout goes on.
    pub(super) fn go_on(&mut self, world: &World, id: &str) {
        let waits = world.engine.rollout(id).is_ok_and(|(_, waiting)| waiting > 0);
        if let Some(job) = self.0.get_mut(id).filter(|_| waits) {
            job.is_over = false;
        }
    }
}

impl Rate {
    fn of(config: Option<&RolloutConfig>) -> Rate {
        let number = |number: i64| u32::try_from(number).unwrap();
        let growth = config.and_then(|config| config.exponential_rate.as_ref()).map(|rate| {
            let criteria = &rate.rate_increase_criteria;
            Growth {
                base: number(rate.base_rate_per_minute),
                tenths: (rate.increment_factor * 10.0).round() as u32,
                notified: criteria.number_of_notified_things.map(number),
                succeeded: criteria.number_of_succeeded_things.map(number),
            }
        });
        let most = config.and_then(|config| config.maximum_per_minute).map_or(1000, number);
        Rate { most, growth }
    }
}

/// Whatever has not ended is in the list that its device can ask for.
pub(super) fn check_waiting(world: &World) -> Checked {
    let (jobs, _) = world.engine.list_jobs(&JobFilter::default(), &Page::default()).unwrap();
    for job in jobs {
        let (views, _) =
            world.engine.executions_for_job(&job.job_id, None, &Page::default()).unwrap();
        for view in views.iter().filter(|view| !view.status.is_terminal()) {
            let lists = world.engine.pending(view.thing_name, 250);
            let mut all = lists.in_progress.iter().chain(&lists.queued);
            prop_assert!(all.any(|pending| pending.job_id == view.job_id), "{:?}", view);
        }
    }
    Ok(())
}

/// Compares everything that can be seen.
pub(super) fn compare(world: &World, model: &Model) -> Checked {
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
pub(super) fn pending(world: &World, thing: usize) -> Vec<String> {
    let lists = world.engine.pending(&format!("lamp-{thing}"), 250);
    let all = lists.in_progress.iter().chain(&lists.queued);
    all.map(|view| view.job_id.to_owned()).collect()
}

/// The counters of every job equal a recount.
pub(super) fn check_counters(world: &World) -> Checked {
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
pub(super) type Seen = BTreeMap<(String, usize, u32), (JobExecutionStatus, u32)>;

/// Versions only grow, and nothing leaves an end state.
pub(super) fn check_progress(world: &World, seen: &mut Seen) -> Checked {
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
pub(super) fn check_notifications(world: &World, op: &Op, before: &[Vec<String>]) -> Checked {
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
