//! Things that join and leave the targets of a job.
//!
//! Groups live in the little registry of `World`; the engine is only told that a thing
//! has moved.

use serde_json::json;

use super::*;
use JobExecutionStatus::{Failed, InProgress, Queued, Removed, Succeeded};

fn world(fields: Value) -> World {
    let mut world = World::new();
    world.group("lamps", 2);
    let mut continuous = json!({"targetSelection": "CONTINUOUS"});
    continuous.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    world.create("j1", &["lamps"], continuous).unwrap();
    world
}

fn join(world: &mut World, thing: &str) {
    world.registry.groups.get_mut("lamps").unwrap().insert(thing.to_owned());
    world.effects.clear();
    world.engine.thing_moved(thing, &world.registry, world.now, &mut world.effects);
}

fn leave(world: &mut World, thing: &str) {
    world.registry.groups.get_mut("lamps").unwrap().remove(thing);
    world.effects.clear();
    world.engine.thing_moved(thing, &world.registry, world.now, &mut world.effects);
}

#[test]
fn a_continuous_job_never_completes_by_itself() {
    let mut world = world(json!({}));
    world.update("j1", "lamp-0", Succeeded).unwrap();
    world.update("j1", "lamp-1", Succeeded).unwrap();
    world.walk(100 * MINUTE);
    assert_eq!(world.status("j1"), JobStatus::InProgress);
}

#[test]
fn a_thing_that_joins_gets_the_job_at_once_and_outside_of_the_rate() {
    let mut world = world(json!({"jobExecutionsRolloutConfig": {"maximumPerMinute": 2}}));
    join(&mut world, "lamp-7");
    assert_eq!(world.told(), ["queued j1 lamp-7 1", "notify lamp-7", "notify-next lamp-7"]);
    join(&mut world, "lamp-7");
    assert_eq!(world.told(), [""; 0]);
}

#[test]
fn a_thing_that_joins_during_the_first_rollout_waits_for_its_turn() {
    let mut world = world(json!({"jobExecutionsRolloutConfig": {"maximumPerMinute": 1}}));
    join(&mut world, "lamp-7");
    assert!(!world.engine.has_execution("j1", "lamp-7"));
    world.walk(2 * MINUTE);
    assert_eq!(world.state("j1", "lamp-7"), Queued);
}

#[test]
fn a_snapshot_job_does_not_care() {
    let mut world = World::new();
    world.group("lamps", 2);
    world.create("j1", &["lamps"], json!({})).unwrap();
    join(&mut world, "lamp-7");
    leave(&mut world, "lamp-0");
    assert!(!world.engine.has_execution("j1", "lamp-7"));
    assert_eq!(world.state("j1", "lamp-0"), Queued);
}

#[test]
fn a_thing_that_leaves_before_it_has_finished_is_removed_and_may_begin_again() {
    let mut world = world(json!({}));
    world.update("j1", "lamp-0", InProgress).unwrap();
    leave(&mut world, "lamp-0");
    assert_eq!(world.told(), ["event removed j1 lamp-0 1", "notify lamp-0", "notify-next lamp-0"]);
    assert_eq!(world.job("j1").job_process_details.number_of_removed_things, 1);
    join(&mut world, "lamp-0");
    assert_eq!(world.state("j1", "lamp-0"), Queued);
    assert_eq!(world.execution("j1", "lamp-0").execution_number, 2);
    assert_eq!(world.job("j1").job_process_details.number_of_removed_things, 0);
}

#[test]
fn a_thing_that_has_succeeded_is_not_asked_again() {
    let mut world = world(json!({}));
    world.update("j1", "lamp-0", Succeeded).unwrap();
    leave(&mut world, "lamp-0");
    assert_eq!(world.state("j1", "lamp-0"), Succeeded);
    join(&mut world, "lamp-0");
    assert_eq!(world.state("j1", "lamp-0"), Succeeded);
}

#[test]
fn leaving_and_coming_back_resets_the_retries() {
    let retries = json!({"jobExecutionsRetryConfig":
        {"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 1}]}});
    let mut world = world(retries);
    world.update("j1", "lamp-0", Failed).unwrap();
    world.update("j1", "lamp-0", Failed).unwrap();
    assert_eq!(world.state("j1", "lamp-0"), Failed);
    leave(&mut world, "lamp-0");
    assert_eq!(world.state("j1", "lamp-0"), Failed);
    join(&mut world, "lamp-0");
    let view = world.execution("j1", "lamp-0");
    assert_eq!((view.execution_number, view.retry_attempt), (3, 0));
    world.update("j1", "lamp-0", Failed).unwrap();
    let view = world.execution("j1", "lamp-0");
    assert_eq!((view.execution_number, view.retry_attempt, view.status), (4, 1, Queued));
}

#[test]
fn a_thing_that_stays_a_target_for_another_reason_goes_on() {
    let mut world = World::new();
    world.group("lamps", 2);
    world.group("all", 2);
    let continuous = json!({"targetSelection": "CONTINUOUS"});
    world.create("j1", &["lamps", "all", "lamp-9"], continuous).unwrap();
    leave(&mut world, "lamp-0");
    assert_eq!(world.state("j1", "lamp-0"), Queued);
    join(&mut world, "lamp-9");
    leave(&mut world, "lamp-9");
    assert_eq!(world.state("j1", "lamp-9"), Queued);
}

#[test]
fn a_deleted_thing_is_removed_from_every_job() {
    let mut world = World::new();
    world.group("lamps", 3);
    world.create("j1", &["lamps"], json!({})).unwrap();
    let slow = json!({"jobExecutionsRolloutConfig": {"maximumPerMinute": 1}});
    world.create("j2", &["lamps"], slow).unwrap();
    world.effects.clear();
    world.engine.thing_deleted("lamp-2", world.now, &mut world.effects);
    assert_eq!(world.state("j1", "lamp-2"), Removed);
    world.walk(10 * MINUTE);
    assert!(!world.engine.has_execution("j2", "lamp-2"));
    for (job, thing) in [("j2", "lamp-0"), ("j2", "lamp-1")] {
        world.update(job, thing, Succeeded).unwrap();
    }
    assert_eq!(world.status("j2"), JobStatus::Completed);
}
