//! How fast things are told, when a job stops, and how often things are asked again.
//!
//! The arithmetic of the rate is tested beside it; here it is seen through whole jobs.

use serde_json::json;

use super::*;
use JobExecutionStatus::{Canceled, Failed, InProgress, Queued, Rejected, Succeeded, TimedOut};

fn queued(world: &World, id: &str) -> u32 {
    world.job(id).job_process_details.number_of_queued_things
}

#[test]
fn things_are_told_at_the_rate_of_the_job() {
    let mut world = World::new();
    world.group("lamps", 25);
    let rollout = json!({"jobExecutionsRolloutConfig": {"maximumPerMinute": 10}});
    world.create("j1", &["lamps"], rollout).unwrap();
    assert_eq!(queued(&world, "j1"), 10);
    let arns = Some(vec![arn("thinggroup", "lamps")]);
    assert_eq!(world.job("j1").job_process_details.processing_targets, arns);
    assert!(world.job("j1").is_concurrent);
    world.advance(MINUTE - 1);
    assert_eq!(queued(&world, "j1"), 10);
    world.advance(1);
    assert_eq!(queued(&world, "j1"), 20);
    world.walk(MINUTE);
    assert_eq!(queued(&world, "j1"), 25);
    assert_eq!(world.job("j1").job_process_details.processing_targets, None);
    assert!(!world.job("j1").is_concurrent);
    assert_eq!(world.engine.next_wakeup(), None);
}

#[test]
fn a_late_advance_does_not_catch_up() {
    let mut world = World::new();
    world.group("lamps", 100);
    let rollout = json!({"jobExecutionsRolloutConfig": {"maximumPerMinute": 10}});
    world.create("j1", &["lamps"], rollout).unwrap();
    world.advance(60 * MINUTE);
    assert_eq!(queued(&world, "j1"), 20);
}

#[test]
fn successes_raise_the_rate_at_once() {
    let mut world = World::new();
    world.group("lamps", 100);
    let rollout = json!({"jobExecutionsRolloutConfig": {"exponentialRate": {
        "baseRatePerMinute": 10, "incrementFactor": 2,
        "rateIncreaseCriteria": {"numberOfSucceededThings": 5}}}});
    world.create("j1", &["lamps"], rollout).unwrap();
    for number in 0..4 {
        let thing = world.engine.thing_name(ThingIndex(number)).to_owned();
        world.update("j1", &thing, Succeeded).unwrap();
    }
    world.advance(1000);
    assert_eq!(world.engine.execution_count(), 10);
    let thing = world.engine.thing_name(ThingIndex(4)).to_owned();
    world.update("j1", &thing, Succeeded).unwrap();
    world.walk(0);
    assert_eq!(world.engine.execution_count(), 20);
    assert_eq!(world.engine.rollout("j1").unwrap(), (20, 80));
}

#[test]
fn a_rate_that_grows_with_notifications_grows_within_a_batch() {
    let mut world = World::new();
    world.group("lamps", 1000);
    let rollout = json!({"jobExecutionsRolloutConfig": {"maximumPerMinute": 60, "exponentialRate": {
        "baseRatePerMinute": 10, "incrementFactor": 2,
        "rateIncreaseCriteria": {"numberOfNotifiedThings": 10}}}});
    world.create("j1", &["lamps"], rollout).unwrap();
    assert_eq!(queued(&world, "j1"), 60);
    world.advance(MINUTE);
    assert_eq!(queued(&world, "j1"), 120);
}

#[test]
fn a_job_beyond_the_concurrent_ones_waits_for_its_turn() {
    let mut world = World::with(Limits { concurrent_jobs: 1, ..Limits::default() });
    world.group("lamps", 15);
    let rollout = json!({"jobExecutionsRolloutConfig": {"maximumPerMinute": 10}});
    world.create("j1", &["lamps"], rollout.clone()).unwrap();
    world.create("j2", &["lamps"], rollout).unwrap();
    assert_eq!((queued(&world, "j1"), queued(&world, "j2")), (10, 0));
    assert_eq!((world.job("j1").is_concurrent, world.job("j2").is_concurrent), (true, false));
    world.walk(MINUTE);
    assert_eq!((queued(&world, "j1"), queued(&world, "j2")), (15, 10));
    world.walk(MINUTE);
    assert_eq!((queued(&world, "j1"), queued(&world, "j2")), (15, 15));
}

fn abort(kind: &str, share: f64, least: u32) -> serde_json::Value {
    json!({"abortConfig": {"criteriaList": [{"failureType": kind, "action": "CANCEL",
        "thresholdPercentage": share, "minNumberOfExecutedThings": least}]}})
}

#[test]
fn a_job_stops_itself_at_the_threshold() {
    let mut world = World::new();
    world.group("lamps", 10);
    world.create("j1", &["lamps"], abort("FAILED", 50.0, 4)).unwrap();
    world.start("lamp-9");
    for (thing, status) in [("lamp-0", Failed), ("lamp-1", Failed), ("lamp-2", Succeeded)] {
        world.update("j1", thing, status).unwrap();
        assert_eq!(world.status("j1"), JobStatus::InProgress);
    }
    world.update("j1", "lamp-3", Succeeded).unwrap();
    assert_eq!(world.status("j1"), JobStatus::Canceled);
    let job = world.job("j1");
    assert_eq!(job.reason_code.as_deref(), Some("ABORT_CRITERIA_MET"));
    assert!(job.comment.unwrap().starts_with("2 of 4 executions ended as FAILED"));
    assert_eq!(world.state("j1", "lamp-4"), Canceled);
    assert_eq!(job.job_process_details.number_of_canceled_things, 5);
    // A device at work goes on and may still report.
    assert_eq!(world.state("j1", "lamp-9"), InProgress);
    world.update("j1", "lamp-9", Succeeded).unwrap();
    assert_eq!(world.status("j1"), JobStatus::Canceled);
}

#[test]
fn all_failures_count_for_a_criterion_of_all() {
    let mut world = World::new();
    world.group("lamps", 10);
    world.create("j1", &["lamps"], abort("ALL", 66.67, 3)).unwrap();
    world.update("j1", "lamp-0", Rejected).unwrap();
    world.update("j1", "lamp-1", Failed).unwrap();
    world.update("j1", "lamp-2", Succeeded).unwrap();
    assert_eq!(world.status("j1"), JobStatus::InProgress);
    world.update("j1", "lamp-3", Failed).unwrap();
    assert_eq!(world.status("j1"), JobStatus::Canceled);
}

#[test]
fn a_rejection_is_no_failure_for_a_criterion_of_failures() {
    let mut world = World::new();
    world.group("lamps", 3);
    world.create("j1", &["lamps"], abort("FAILED", 1.0, 1)).unwrap();
    world.update("j1", "lamp-0", Rejected).unwrap();
    assert_eq!(world.status("j1"), JobStatus::InProgress);
}

#[test]
fn an_abort_drops_things_that_were_not_told_and_retries() {
    let mut world = World::new();
    world.group("lamps", 10);
    let mut fields = abort("FAILED", 100.0, 2);
    fields["jobExecutionsRolloutConfig"] = json!({"maximumPerMinute": 2});
    fields["jobExecutionsRetryConfig"] =
        json!({"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 3}]});
    world.create("j1", &["lamps"], fields).unwrap();
    world.update("j1", "lamp-0", Failed).unwrap();
    assert_eq!(world.state("j1", "lamp-0"), Queued);
    world.update("j1", "lamp-0", Failed).unwrap();
    assert_eq!(world.status("j1"), JobStatus::Canceled);
    assert_eq!(world.state("j1", "lamp-0"), Canceled);
    world.walk(10 * MINUTE);
    assert_eq!(world.engine.execution_count(), 4);
}

fn retries(criteria: &[(&str, u32)]) -> serde_json::Value {
    let criteria: Vec<_> = criteria
        .iter()
        .map(|(kind, count)| json!({"failureType": kind, "numberOfRetries": count}))
        .collect();
    json!({"jobExecutionsRetryConfig": {"criteriaList": criteria},
        "timeoutConfig": {"inProgressTimeoutInMinutes": 1}})
}

/// Lets a device end as told again and again, and counts the attempts.
fn attempts(config: serde_json::Value, endings: &[JobExecutionStatus]) -> u32 {
    let mut world = World::new();
    world.create("j1", &["lamp-1"], config).unwrap();
    for ending in endings {
        if world.state("j1", "lamp-1") != Queued {
            break;
        }
        if *ending == TimedOut {
            world.start("lamp-1");
            world.advance(MINUTE);
        } else {
            world.update("j1", "lamp-1", *ending).unwrap();
        }
    }
    let view = world.execution("j1", "lamp-1");
    assert_eq!(view.retry_attempt + 1, view.execution_number);
    view.execution_number
}

#[test]
fn failures_and_timeouts_are_retried_as_often_as_allowed() {
    assert_eq!(attempts(retries(&[("FAILED", 2)]), &[Failed; 9]), 3);
    assert_eq!(attempts(retries(&[("TIMED_OUT", 1)]), &[TimedOut; 9]), 2);
    assert_eq!(attempts(retries(&[("ALL", 2)]), &[Failed, TimedOut, Failed, Failed]), 3);
    assert_eq!(attempts(retries(&[("FAILED", 2)]), &[TimedOut]), 1);
    assert_eq!(attempts(retries(&[("FAILED", 2)]), &[Rejected]), 1);
    assert_eq!(attempts(retries(&[("FAILED", 2)]), &[Failed, Succeeded]), 2);
    let both = [("FAILED", 1), ("TIMED_OUT", 1)];
    assert_eq!(attempts(retries(&both), &[Failed, TimedOut, Failed]), 3);
    assert_eq!(attempts(retries(&both), &[TimedOut, TimedOut]), 2);
}

#[test]
fn every_attempt_is_kept_under_its_number() {
    let mut world = World::new();
    world.create("j1", &["lamp-1"], retries(&[("FAILED", 1)])).unwrap();
    world.update("j1", "lamp-1", Failed).unwrap();
    assert_eq!(world.engine.execution("j1", "lamp-1", Some(1)).unwrap().status, Failed);
    assert_eq!(world.engine.execution("j1", "lamp-1", Some(2)).unwrap().status, Queued);
    let details = world.job("j1").job_process_details;
    assert_eq!((details.number_of_failed_things, details.number_of_queued_things), (0, 1));
    let request = UpdateExecution { execution_number: Some(1), ..report(Succeeded) };
    let error = world.update_with("j1", "lamp-1", request).unwrap_err();
    assert!(matches!(error, Error::InvalidStateTransition { .. }), "{error:?}");
    let (things, next) =
        world.engine.executions_for_thing("lamp-1", None, None, None, &Page::default()).unwrap();
    assert_eq!(things.iter().map(|v| v.execution_number).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(next, None);
}

#[test]
fn retries_can_only_be_lowered_to_zero() {
    let mut world = World::new();
    world.create("j1", &["lamp-1"], retries(&[("FAILED", 3)])).unwrap();
    let set = |count| UpdateJob {
        job_executions_retry_config: Some(RetryConfig {
            criteria_list: vec![RetryCriterion {
                failure_type: FailureType::Failed,
                number_of_retries: count,
            }],
        }),
        ..UpdateJob::default()
    };
    let error = world.engine.update_job("j1", set(5), world.now, &mut world.effects).unwrap_err();
    assert!(error.to_string().contains("can only be lowered"), "{error}");
    world.engine.update_job("j1", set(0), world.now, &mut world.effects).unwrap();
    world.update("j1", "lamp-1", Failed).unwrap();
    assert_eq!(world.state("j1", "lamp-1"), Failed);
    assert_eq!(world.status("j1"), JobStatus::Completed);
}
