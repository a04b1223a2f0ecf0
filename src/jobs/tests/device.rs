//! What a device may do with an execution.
//!
//! Every move from every state is tried; versions, details and timers each have their
//! own tests.

use serde_json::json;

use super::*;
use JobExecutionStatus::{Canceled, Failed, InProgress, Queued, Rejected, Succeeded, TimedOut};

fn world() -> World {
    let mut world = World::new();
    world.create("j1", &["lamp-1"], json!({})).unwrap();
    world
}

/// Puts the execution of `j1` on `lamp-1` into a state.
fn world_in(status: JobExecutionStatus) -> World {
    let mut world = World::new();
    let timeout = json!({"timeoutConfig": {"inProgressTimeoutInMinutes": 1}});
    world.create("j1", &["lamp-1"], timeout).unwrap();
    match status {
        Queued => {}
        InProgress | Succeeded | Failed | Rejected => {
            world.update("j1", "lamp-1", status).unwrap();
        }
        TimedOut => {
            world.start("lamp-1");
            world.advance(MINUTE);
        }
        Canceled => world
            .engine
            .cancel_execution(
                "j1",
                "lamp-1",
                CancelExecution::default(),
                Force::No,
                world.now,
                &mut world.effects,
            )
            .unwrap(),
        JobExecutionStatus::Removed => {
            world.engine.thing_deleted("lamp-1", world.now, &mut world.effects);
        }
    }
    assert_eq!(world.state("j1", "lamp-1"), status);
    world
}

#[test]
fn every_move_of_a_device_is_judged() {
    for from in JobExecutionStatus::ALL.iter().copied() {
        for to in JobExecutionStatus::ALL.iter().copied() {
            let mut world = world_in(from);
            let version = world.execution("j1", "lamp-1").version_number;
            let legal = matches!(from, Queued | InProgress)
                && matches!(to, InProgress | Succeeded | Failed | Rejected);
            let answer = world.update("j1", "lamp-1", report(to).status);
            let after = world.execution("j1", "lamp-1");
            if legal {
                answer.unwrap_or_else(|error| panic!("{from} to {to}: {error}"));
                assert_eq!((after.status, after.version_number), (to, version + 1));
            } else {
                let Err(Error::InvalidStateTransition { state: Some(state), .. }) = answer else {
                    panic!("{from} to {to}: {answer:?}");
                };
                assert_eq!((state.status, state.version_number), (from, version));
                assert_eq!((after.status, after.version_number), (from, version));
            }
        }
    }
}

#[test]
fn versions_begin_at_one_and_grow_with_every_accepted_update() {
    let mut world = world();
    assert_eq!(world.execution("j1", "lamp-1").version_number, 1);
    assert_eq!(world.start("lamp-1"), Some(("j1".to_owned(), 2)));
    world.update("j1", "lamp-1", InProgress).unwrap();
    assert_eq!(world.execution("j1", "lamp-1").version_number, 3);
    world.update("j1", "lamp-1", Succeeded).unwrap();
    let view = world.execution("j1", "lamp-1");
    assert_eq!((view.version_number, view.execution_number), (4, 1));
}

#[test]
fn rejects_a_second_answer_to_the_same_execution() {
    let mut world = world();
    world.update("j1", "lamp-1", Succeeded).unwrap();
    let error = world.update("j1", "lamp-1", Failed).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the execution of `j1` on `lamp-1` cannot go from SUCCEEDED to FAILED"
    );
    assert_eq!(world.told(), [""; 0]);
}

#[test]
fn another_expected_version_is_a_mismatch_that_tells_the_state() {
    let mut world = world();
    let request = UpdateExecution { expected_version: Some(2), ..report(InProgress) };
    let error = world.update_with("j1", "lamp-1", request).unwrap_err();
    let Error::VersionMismatch { state, .. } = error else { panic!("{error:?}") };
    assert_eq!((state.status, state.version_number), (Queued, 1));
    let request = UpdateExecution { expected_version: Some(1), ..report(InProgress) };
    world.update_with("j1", "lamp-1", request).unwrap();
}

#[test]
fn details_stay_until_others_are_sent() {
    let mut world = world();
    let request = UpdateExecution {
        status_details: details(&[("a", "1"), ("b", "2")]),
        ..report(InProgress)
    };
    world.update_with("j1", "lamp-1", request).unwrap();
    world.update("j1", "lamp-1", InProgress).unwrap();
    assert_eq!(
        world.execution("j1", "lamp-1").status_details,
        details(&[("a", "1"), ("b", "2")]).as_ref()
    );
    let request = UpdateExecution { status_details: details(&[("c", "3")]), ..report(Succeeded) };
    world.update_with("j1", "lamp-1", request).unwrap();
    assert_eq!(world.execution("j1", "lamp-1").status_details, details(&[("c", "3")]).as_ref());
}

#[test]
fn a_refused_update_changes_nothing() {
    let mut world = world();
    let too_many: Vec<(String, &str)> = (0..11).map(|n| (format!("k{n}"), "v")).collect();
    let too_many: Vec<(&str, &str)> = too_many.iter().map(|(k, v)| (k.as_str(), *v)).collect();
    for request in [
        UpdateExecution { status_details: details(&too_many), ..report(InProgress) },
        UpdateExecution { status_details: details(&[("a b", "x")]), ..report(InProgress) },
        UpdateExecution { step_timeout_in_minutes: Some(0), ..report(InProgress) },
        UpdateExecution { step_timeout_in_minutes: Some(10_081), ..report(InProgress) },
    ] {
        let error = world.update_with("j1", "lamp-1", request).unwrap_err();
        assert!(matches!(error, Error::InvalidRequest(_)), "{error:?}");
    }
    for (job, thing, number) in
        [("j2", "lamp-1", None), ("j1", "lamp-2", None), ("j1", "lamp-1", Some(2))]
    {
        let request = UpdateExecution { execution_number: number, ..report(InProgress) };
        let error = world.update_with(job, thing, request).unwrap_err();
        assert!(matches!(error, Error::ResourceNotFound(_)), "{error:?}");
    }
    assert_eq!(world.state("j1", "lamp-1"), Queued);
    assert_eq!(world.execution("j1", "lamp-1").version_number, 1);
}

#[test]
fn start_next_takes_what_is_in_progress_before_what_was_queued_first() {
    let mut world = world();
    world.now = world.now.after(1);
    world.create("j2", &["lamp-1"], json!({})).unwrap();
    world.update("j2", "lamp-1", InProgress).unwrap();
    // The one in progress is answered as it is, whatever the request says.
    let request =
        StartNext { status_details: details(&[("new", "x")]), step_timeout_in_minutes: Some(1) };
    let view = world.engine.start_next("lamp-1", request, world.now, &mut world.effects);
    let view = view.unwrap().unwrap();
    assert_eq!((view.job_id, view.version_number), ("j2", 2));
    assert_eq!((view.status_details, view.times_out_at), (None, None));
    world.update("j2", "lamp-1", Succeeded).unwrap();
    assert_eq!(world.start("lamp-1"), Some(("j1".to_owned(), 2)));
    world.update("j1", "lamp-1", Succeeded).unwrap();
    assert_eq!(world.start("lamp-1"), None);
    assert_eq!(world.start("never-heard-of"), None);
}

#[test]
fn describing_an_execution_that_has_ended_is_refused() {
    let mut world = world();
    let view = world.engine.describe("lamp-1", WhichExecution::Job("j1", None)).unwrap().unwrap();
    assert_eq!(view.status, Queued);
    assert!(world.engine.describe("lamp-1", WhichExecution::Next).unwrap().is_some());
    world.update("j1", "lamp-1", Rejected).unwrap();
    let error = world.engine.describe("lamp-1", WhichExecution::Job("j1", None)).unwrap_err();
    assert!(matches!(error, Error::TerminalState(_)), "{error:?}");
    let error = world.engine.describe("lamp-1", WhichExecution::Job("j9", None)).unwrap_err();
    assert!(matches!(error, Error::ResourceNotFound(_)), "{error:?}");
    assert!(world.engine.describe("lamp-1", WhichExecution::Next).unwrap().is_none());
}

#[test]
fn the_in_progress_timer_runs_from_the_start_and_is_not_extended() {
    let mut world = World::new();
    let timeout = json!({"timeoutConfig": {"inProgressTimeoutInMinutes": 2}});
    world.create("j1", &["lamp-1"], timeout).unwrap();
    world.advance(60 * MINUTE);
    assert_eq!(world.state("j1", "lamp-1"), Queued);
    world.start("lamp-1");
    world.advance(MINUTE);
    world.update("j1", "lamp-1", InProgress).unwrap();
    let seconds = world.execution("j1", "lamp-1").approximate_seconds_before_timed_out(world.now);
    assert_eq!(seconds, Some(60));
    world.advance(MINUTE - 1);
    assert_eq!(world.state("j1", "lamp-1"), InProgress);
    world.advance(1);
    assert_eq!(world.state("j1", "lamp-1"), TimedOut);
    assert_eq!(
        world.told(),
        ["event timed_out j1 lamp-1 1", "notify lamp-1", "notify-next lamp-1", "job completed j1"]
    );
}

#[test]
fn a_step_timer_is_replaced_kept_and_stopped() {
    let step = |minutes| UpdateExecution { step_timeout_in_minutes: minutes, ..report(InProgress) };
    for (second, ends) in [(Some(3), Some(4)), (None, Some(2)), (Some(-1), None)] {
        let mut world = world();
        world.update_with("j1", "lamp-1", step(Some(2))).unwrap();
        world.advance(MINUTE);
        world.update_with("j1", "lamp-1", step(second)).unwrap();
        let expected = ends.map(|minutes| START.after(minutes * MINUTE));
        assert_eq!(world.execution("j1", "lamp-1").times_out_at, expected, "{second:?}");
        world.advance(5 * MINUTE);
        let status = if ends.is_some() { TimedOut } else { InProgress };
        assert_eq!(world.state("j1", "lamp-1"), status, "{second:?}");
    }
}

#[test]
fn a_step_timer_does_not_lengthen_the_in_progress_timer() {
    let mut world = World::new();
    let timeout = json!({"timeoutConfig": {"inProgressTimeoutInMinutes": 2}});
    world.create("j1", &["lamp-1"], timeout).unwrap();
    let request = StartNext { status_details: None, step_timeout_in_minutes: Some(10) };
    world.engine.start_next("lamp-1", request, world.now, &mut world.effects).unwrap();
    world.advance(2 * MINUTE);
    assert_eq!(world.state("j1", "lamp-1"), TimedOut);
}

#[test]
fn a_new_timeout_is_for_executions_that_start_later() {
    let mut world = World::new();
    let timeout = json!({"timeoutConfig": {"inProgressTimeoutInMinutes": 1}});
    world.create("j1", &["lamp-1", "lamp-2"], timeout).unwrap();
    world.start("lamp-1");
    let update = UpdateJob {
        timeout_config: Some(TimeoutConfig { in_progress_timeout_in_minutes: Some(5) }),
        ..UpdateJob::default()
    };
    world.engine.update_job("j1", update, world.now, &mut world.effects).unwrap();
    world.start("lamp-2");
    world.advance(MINUTE);
    assert_eq!(world.state("j1", "lamp-1"), TimedOut);
    assert_eq!(world.state("j1", "lamp-2"), InProgress);
    world.advance(4 * MINUTE);
    assert_eq!(world.state("j1", "lamp-2"), TimedOut);
}

#[test]
fn the_lists_of_a_device_leave_out_what_has_ended() {
    let mut world = world();
    world.now = world.now.after(1);
    world.create("j2", &["lamp-1"], json!({})).unwrap();
    world.create("j3", &["lamp-1"], json!({})).unwrap();
    world.update("j2", "lamp-1", InProgress).unwrap();
    world.update("j3", "lamp-1", Rejected).unwrap();
    let pending = world.engine.pending("lamp-1", 10);
    let ids = |views: &[ExecutionView<'_>]| -> Vec<String> {
        views.iter().map(|view| view.job_id.to_owned()).collect()
    };
    assert_eq!(ids(&pending.in_progress), ["j2"]);
    assert_eq!(ids(&pending.queued), ["j1"]);
    assert_eq!(ids(&world.engine.pending("lamp-1", 1).queued), [""; 0]);
    assert!(world.engine.pending("nobody", 10).queued.is_empty());
}
