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

fn change(world: &mut World, fields: serde_json::Value) {
    let update: UpdateJob = serde_json::from_value(fields).unwrap();
    world.engine.update_job("j1", update, world.now, &mut world.effects).unwrap();
}

#[test]
fn another_rate_holds_from_its_change_on() {
    let rate = |most: u32| json!({"jobExecutionsRolloutConfig": {"maximumPerMinute": most}});
    let mut world = World::new();
    world.group("lamps", 100);
    world.create("j1", &["lamps"], rate(10)).unwrap();
    change(&mut world, rate(30));
    assert_eq!(queued(&world, "j1"), 30);
    change(&mut world, rate(5));
    world.walk(MINUTE - 1);
    assert_eq!(queued(&world, "j1"), 30);
    world.walk(1);
    assert_eq!(queued(&world, "j1"), 35);
}

#[test]
fn a_rate_that_has_grown_by_other_rules_is_worked_out_again() {
    let growing = |criteria: serde_json::Value| {
        json!({"jobExecutionsRolloutConfig": {"maximumPerMinute": 40, "exponentialRate": {
            "baseRatePerMinute": 10, "incrementFactor": 2, "rateIncreaseCriteria": criteria}}})
    };
    let mut world = World::new();
    world.group("lamps", 100);
    world.create("j1", &["lamps"], growing(json!({"numberOfNotifiedThings": 10}))).unwrap();
    assert_eq!(world.engine.rollout("j1").unwrap(), (40, 60));
    change(&mut world, growing(json!({"numberOfNotifiedThings": 30})));
    assert_eq!(world.engine.rollout("j1").unwrap(), (20, 60));
    change(&mut world, growing(json!({"numberOfSucceededThings": 1})));
    assert_eq!(world.engine.rollout("j1").unwrap(), (10, 60));
}

#[test]
fn a_job_is_changed_while_it_is_active_only() {
    let mut world = World::new();
    world.create("j1", &["lamp-1"], json!({"description": "old"})).unwrap();
    let fields = json!({"description": "new",
        "presignedUrlConfig": {"expiresInSec": 60},
        "jobExecutionsRolloutConfig": {"maximumPerMinute": 7},
        "abortConfig": abort("ALL", 50.0, 2)["abortConfig"],
        "timeoutConfig": {"inProgressTimeoutInMinutes": 5}});
    world.now = world.now.after(1000);
    change(&mut world, fields.clone());
    let job = world.job("j1");
    assert_eq!(job.last_updated_at, world.now);
    let shown = serde_json::to_value(&job).unwrap();
    for (field, value) in fields.as_object().unwrap() {
        let value: serde_json::Value = value.clone();
        let text = |value: &serde_json::Value| value.to_string().replace(".0", "");
        assert_eq!(text(&shown[field]), text(&value), "{field}");
    }
    // What is not said stays.
    change(&mut world, json!({}));
    assert_eq!(world.job("j1").description.as_deref(), Some("new"));
    world.update("j1", "lamp-1", Succeeded).unwrap();
    let late = world.engine.update_job("j1", UpdateJob::default(), world.now, &mut world.effects);
    assert!(matches!(late, Err(Error::InvalidRequest(_))), "{late:?}");
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
fn each_kind_of_failure_counts_for_its_own_criterion_and_for_that_of_all() {
    for (kind, own) in
        [("FAILED", Failed), ("REJECTED", Rejected), ("TIMED_OUT", TimedOut), ("ALL", Queued)]
    {
        for ending in [Failed, Rejected, TimedOut, Succeeded] {
            let mut world = World::new();
            world.group("lamps", 2);
            let mut fields = abort(kind, 100.0, 1);
            fields["timeoutConfig"] = json!({"inProgressTimeoutInMinutes": 1});
            world.create("j1", &["lamps"], fields).unwrap();
            end(&mut world, "lamp-0", ending);
            let counts = ending == own || (kind == "ALL" && ending != Succeeded);
            let expected = if counts { JobStatus::Canceled } else { JobStatus::InProgress };
            assert_eq!(world.status("j1"), expected, "{ending} for {kind}");
        }
    }
}

/// Ends the execution of `j1` on a thing, whose time is over after a minute.
fn end(world: &mut World, thing: &str, ending: JobExecutionStatus) {
    if ending == TimedOut {
        world.start(thing);
        world.advance(MINUTE);
    } else {
        world.update("j1", thing, ending).unwrap();
    }
}

#[test]
fn criteria_are_examined_in_their_order() {
    // Two things fail, in two ways, so that every criterion is met by the second one.
    for (criteria, met) in [
        ([("FAILED", 50.0, 2), ("REJECTED", 50.0, 2)], "FAILED"),
        ([("REJECTED", 50.0, 2), ("FAILED", 50.0, 2)], "REJECTED"),
        ([("ALL", 100.0, 2), ("FAILED", 50.0, 2)], "ALL"),
        ([("FAILED", 100.0, 1), ("REJECTED", 50.0, 2)], "REJECTED"),
        ([("FAILED", 50.0, 3), ("REJECTED", 50.0, 2)], "REJECTED"),
    ] {
        let list = criteria.map(|(kind, share, least)| {
            json!({"failureType": kind, "action": "CANCEL", "thresholdPercentage": share,
                "minNumberOfExecutedThings": least})
        });
        let mut world = World::new();
        world.group("lamps", 3);
        world.create("j1", &["lamps"], json!({"abortConfig": {"criteriaList": list}})).unwrap();
        world.update("j1", "lamp-0", Rejected).unwrap();
        assert_eq!(world.status("j1"), JobStatus::InProgress, "{criteria:?}");
        world.update("j1", "lamp-1", Failed).unwrap();
        let comment = world.job("j1").comment.unwrap();
        assert!(comment.contains(&format!("executions ended as {met}:")), "{comment}");
    }
}

#[test]
fn executions_that_were_deleted_count_no_more() {
    let world = || {
        let mut world = World::new();
        world.group("lamps", 5);
        world.create("j1", &["lamps"], abort("FAILED", 50.0, 2)).unwrap();
        world.update("j1", "lamp-0", Succeeded).unwrap();
        world
    };
    let delete = |world: &mut World, thing| {
        let World { engine, now, effects, .. } = world;
        engine.delete_execution("j1", thing, 1, Force::No, *now, effects).unwrap();
    };
    // One of three is too little; without one of the successes it is one of two.
    let mut more = world();
    more.update("j1", "lamp-1", Succeeded).unwrap();
    more.update("j1", "lamp-2", Failed).unwrap();
    assert_eq!(more.status("j1"), JobStatus::InProgress);
    delete(&mut more, "lamp-0");
    assert_eq!(more.status("j1"), JobStatus::Canceled);
    // One of two would do; without the success only one has ended.
    let mut fewer = world();
    delete(&mut fewer, "lamp-0");
    fewer.update("j1", "lamp-2", Failed).unwrap();
    assert_eq!(fewer.status("j1"), JobStatus::InProgress);
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
    assert_eq!(attempts(retries(&[("ALL", 2)]), &[Rejected, Failed]), 1);
    assert_eq!(attempts(retries(&[("ALL", 2)]), &[Succeeded, Failed]), 1);
    assert_eq!(attempts(retries(&[("ALL", 10)]), &[Failed; 20]), 11);
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
