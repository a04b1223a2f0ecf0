//! Start times, end times and maintenance windows of jobs.
//!
//! What a schedule says about a moment is tested beside it; here is what jobs do then.

use serde_json::json;

use super::*;
use JobExecutionStatus::{Canceled, Failed, InProgress, Queued};

// START is 2026-11-21 10:00 UTC.
const HOUR: u64 = 60 * MINUTE;

fn scheduled(config: Value, fields: Value) -> World {
    let mut world = World::new();
    world.group("lamps", 3);
    let mut request = json!({"schedulingConfig": config});
    request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    world.create("j1", &["lamps"], request).unwrap();
    world
}

#[test]
fn a_job_waits_for_its_start_time() {
    let mut world = scheduled(json!({"startTime": "2026-11-21 11:00"}), json!({}));
    assert_eq!(world.status("j1"), JobStatus::Scheduled);
    assert_eq!(world.engine.execution_count(), 0);
    world.walk(HOUR - 1);
    assert_eq!(world.status("j1"), JobStatus::Scheduled);
    world.walk(1);
    assert_eq!(world.status("j1"), JobStatus::InProgress);
    assert_eq!(world.engine.execution_count(), 3);
}

fn ending(behavior: Option<&str>) -> World {
    let mut config = json!({"endTime": "2026-11-21 11:00"});
    if let Some(behavior) = behavior {
        config["endBehavior"] = behavior.into();
    }
    let slow = json!({"jobExecutionsRolloutConfig": {"maximumPerMinute": 2}});
    let mut world = scheduled(config, slow);
    world.start("lamp-0");
    world.now = world.now.after(HOUR);
    world.effects.clear();
    // The third thing was never told, because nobody has advanced the clock so far.
    world.engine.advance(world.now, &mut world.effects);
    world
}

#[test]
fn at_its_end_a_job_stops_telling_things() {
    for behavior in [None, Some("STOP_ROLLOUT")] {
        let mut world = ending(behavior);
        assert_eq!(world.engine.execution_count(), 2);
        assert_eq!(world.state("j1", "lamp-1"), Queued);
        assert_eq!(world.status("j1"), JobStatus::InProgress);
        world.update("j1", "lamp-0", Failed).unwrap();
        world.update("j1", "lamp-1", Failed).unwrap();
        assert_eq!(world.status("j1"), JobStatus::Completed);
    }
}

#[test]
fn at_its_end_a_job_is_cancelled_if_it_says_so() {
    for (behavior, at_work) in [("CANCEL", InProgress), ("FORCE_CANCEL", Canceled)] {
        let world = ending(Some(behavior));
        assert_eq!(world.status("j1"), JobStatus::Canceled, "{behavior}");
        assert_eq!(world.state("j1", "lamp-1"), Canceled, "{behavior}");
        assert_eq!(world.state("j1", "lamp-0"), at_work, "{behavior}");
        assert_eq!(world.engine.execution_count(), 2, "{behavior}");
    }
}

#[test]
fn a_continuous_job_with_an_end_completes() {
    let config = json!({"endTime": "2026-11-21 11:00"});
    let mut world = scheduled(config, json!({"targetSelection": "CONTINUOUS"}));
    for thing in ["lamp-0", "lamp-1", "lamp-2"] {
        world.update("j1", thing, JobExecutionStatus::Succeeded).unwrap();
    }
    assert_eq!(world.status("j1"), JobStatus::InProgress);
    world.walk(HOUR);
    assert_eq!(world.status("j1"), JobStatus::Completed);
}

#[test]
fn after_its_end_a_job_takes_no_more_targets() {
    let config = json!({"endTime": "2026-11-21 11:00"});
    let mut world = scheduled(config, json!({"targetSelection": "CONTINUOUS"}));
    world.walk(HOUR);
    assert_eq!(world.status("j1"), JobStatus::InProgress);
    let more = [arn("thing", "lamp-9")];
    let World { engine, registry, now, effects } = &mut world;
    let refused = engine.associate_targets("j1", &more, None, registry, *now, effects);
    assert!(matches!(refused, Err(Error::InvalidRequest(_))), "{refused:?}");
    for thing in ["lamp-0", "lamp-1", "lamp-2"] {
        world.update("j1", thing, JobExecutionStatus::Succeeded).unwrap();
    }
    assert_eq!(world.status("j1"), JobStatus::Completed);
}

fn windows() -> World {
    let config = json!({"maintenanceWindows":
        [{"startTime": "cron(0 20 * * ? *)", "durationInMinutes": 60}]});
    let fields = json!({"targetSelection": "CONTINUOUS",
        "jobExecutionsRolloutConfig": {"maximumPerMinute": 1},
        "jobExecutionsRetryConfig": {"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 1}]}});
    scheduled(config, fields)
}

#[test]
fn things_are_told_in_maintenance_windows_only() {
    let mut world = windows();
    world.group("more", 200);
    let more = world.registry.groups["more"].clone();
    world.registry.groups.insert("lamps".to_owned(), more);
    for number in 3..200 {
        let thing = format!("lamp-{number}");
        world.engine.thing_moved(&thing, &world.registry, world.now, &mut world.effects);
    }
    assert_eq!(world.status("j1"), JobStatus::Scheduled);
    let job = world.job("j1");
    assert_eq!(job.scheduled_job_rollouts.len(), 7);
    assert_eq!(job.scheduled_job_rollouts[0].start_time, "2026-11-21 20:00");
    world.walk(10 * HOUR);
    assert_eq!(world.status("j1"), JobStatus::InProgress);
    assert_eq!(world.engine.execution_count(), 1);
    world.walk(HOUR - 1);
    assert_eq!(world.engine.execution_count(), 60);
    world.walk(1);
    assert_eq!(world.status("j1"), JobStatus::Scheduled);
    world.walk(20 * HOUR);
    assert_eq!(world.engine.execution_count(), 60);
    // What was told may go on outside of the window.
    assert_eq!(world.start("lamp-0"), Some(("j1".to_owned(), 2)));
    world.walk(4 * HOUR);
    assert_eq!(world.engine.execution_count(), 120);
}

#[test]
fn a_retry_outside_of_a_window_waits_for_the_next() {
    let mut world = windows();
    world.walk(11 * HOUR);
    assert_eq!(world.status("j1"), JobStatus::Scheduled);
    world.update("j1", "lamp-0", Failed).unwrap();
    assert_eq!(world.state("j1", "lamp-0"), Failed);
    world.walk(23 * HOUR);
    let view = world.execution("j1", "lamp-0");
    assert_eq!((view.status, view.execution_number, view.retry_attempt), (Queued, 2, 1));
}
