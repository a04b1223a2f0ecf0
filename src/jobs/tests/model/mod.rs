//! The engine against a naive model.
//!
//! Random operations of the cloud and of devices (`ops`) go to the engine and to a model
//! without indices (`naive`), and after each of them everything that can be seen must be
//! equal. What must hold in any case (`watch`) is checked on the engine alone, so that a
//! fault that both share is seen too: counters equal a recount, versions only grow,
//! nothing leaves an end state, no minute holds more than the rollout allows, and every
//! execution ends or waits for its device.

mod naive;
mod ops;
mod watch;

use proptest::prelude::*;

use self::naive::Model;
use self::ops::{GROUPS, Op, THINGS, op, perform};
use self::watch::{
    Rollouts, Seen, check_counters, check_notifications, check_progress, check_waiting, compare,
    pending,
};
use super::restore::{Store, snapshot};
use super::*;
use JobExecutionStatus::Succeeded;

fn setup() -> (World, Model) {
    let (mut world, mut model) = (World::new(), Model::new(START.0));
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
        let (mut seen, mut rollouts) = (Seen::new(), Rollouts::default());
        for op in &ops {
            // What is due goes first where the operation changes what may be told.
            let moved = match op {
                Op::Join { thing, .. } | Op::Leave { thing, .. } => Some(*thing),
                _ => None,
            };
            if moved.is_some() || matches!(op, Op::Change { .. } | Op::Associate { .. }) {
                world.advance(0);
                model.due();
                rollouts.take(&world, None)?;
            }
            let before: Vec<Vec<String>> = (0..THINGS).map(|t| pending(&world, t)).collect();
            let (accepted, expected) = (perform(&mut world, op), model.apply(op));
            prop_assert_eq!(accepted, expected, "{:?}", op);
            compare(&world, &model)?;
            check_counters(&world)?;
            check_progress(&world, &mut seen)?;
            check_notifications(&world, op, &before)?;
            check_waiting(&world)?;
            rollouts.take(&world, moved)?;
            if let Op::Associate { job, .. } = op && accepted {
                rollouts.go_on(&world, &format!("j{job}"));
            }
        }
        // Whatever is left waits for a device, and ends when the devices come back.
        let end = world.now.after(24 * 60 * MINUTE);
        while let Some(next) = world.engine.next_wakeup().filter(|next| *next <= end) {
            world.advance(next.since(world.now));
            rollouts.take(&world, None)?;
        }
        world.now = end;
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
        for job in &jobs {
            let view = world.job(&job.job_id);
            let pending = view.job_process_details.number_of_queued_things
                + view.job_process_details.number_of_in_progress_things;
            prop_assert_eq!(pending, 0, "{}", job.job_id);
            let ends = view.scheduling_config.is_some_and(|config| config.end_time.is_some());
            if job.target_selection == SNAPSHOT || ends {
                let ended = matches!(view.status, JobStatus::Completed | JobStatus::Canceled);
                prop_assert!(ended, "{} is {}", job.job_id, view.status);
            }
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
