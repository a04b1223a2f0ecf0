//! Create, list, cancel and delete: what an operator may do, and what is refused.
//!
//! Each refusal must leave everything as it was, so many tests look at the state after
//! an error as well.

use serde_json::json;

use super::*;
use JobExecutionStatus::{Canceled, Failed, InProgress, Queued, Succeeded};

fn cancel(world: &mut World, id: &str, force: Force) -> Result<()> {
    world.effects.clear();
    world.engine.cancel_job(id, CancelJob::default(), force, world.now, &mut world.effects)
}

fn delete(world: &mut World, id: &str, force: Force) -> Result<()> {
    world.effects.clear();
    world.engine.delete_job(id, force, world.now, &mut world.effects)
}

#[test]
fn requests_that_the_service_refuses_change_nothing() {
    let mut world = World::new();
    world.group("lamps", 1);
    let presigned =
        r#"{"url":"${aws:iot:s3-presigned-url:https://s3.us-east-1.amazonaws.com/b/k}"}"#;
    for (id, targets, fields, part) in [
        ("a b", &["lamps"][..], json!({}), "job id `a b` is not valid"),
        ("j1", &[], json!({}), "targets is empty"),
        ("j1", &["lamps"], json!({"document": "[]"}), "is not a JSON object"),
        ("j1", &["lamps"], json!({"document": presigned}), "presignedUrlConfig"),
        ("j1", &["lamps"], json!({"targets": ["arn:aws:s3:::b"]}), "`arn:aws:s3:::b` is not valid"),
        ("j1", &["lamps"], json!({"description": "x".repeat(2029)}), "2029 characters"),
        ("j1", &["lamps"], json!({"namespaceId": "a b"}), "namespaceId `a b`"),
        ("j1", &["lamps"], json!({"timeoutConfig": {"inProgressTimeoutInMinutes": 0}}), "is 0"),
        ("j1", &["lamps"], json!({"documentParameters": {"a": "b"}}), "managed job template"),
        ("j1", &["lamps"], json!({"jobTemplateArn": "arn:x"}), "`arn:x` is no ARN"),
        ("j1", &["lamps"], json!({"tags": [{"Key": "aws:x", "Value": "y"}]}), "the tag `aws:x`"),
    ] {
        let error = world.create(id, targets, fields.clone()).unwrap_err();
        assert!(matches!(error, Error::InvalidRequest(_)), "{error:?}");
        assert!(error.to_string().contains(part), "{error}");
    }
    world.registry.missing.insert("ghost".to_owned());
    let error = world.create("j1", &["ghost"], json!({})).unwrap_err();
    assert!(matches!(error, Error::ResourceNotFound(_)), "{error:?}");
    let targets: Vec<String> = (0..101).map(|n| format!("t{n}")).collect();
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let error = world.create("j1", &targets, json!({})).unwrap_err();
    assert!(matches!(error, Error::LimitExceeded(_)), "{error:?}");
    let (jobs, _) = world.engine.list_jobs(&JobFilter::default(), &Page::default()).unwrap();
    assert!(jobs.is_empty());
}

#[test]
fn an_id_is_taken_until_the_job_is_deleted() {
    let mut world = World::new();
    world.create("j1", &["lamp-1"], json!({})).unwrap();
    let error = world.create("j1", &["lamp-1"], json!({})).unwrap_err();
    assert!(matches!(error, Error::ResourceAlreadyExists(_)), "{error:?}");
    delete(&mut world, "j1", Force::Yes).unwrap();
    world.walk(1000);
    world.create("j1", &["lamp-1"], json!({})).unwrap();
    assert_eq!(world.state("j1", "lamp-1"), Queued);
}

#[test]
fn a_job_is_shown_as_the_api_shows_it() {
    let mut world = World::new();
    let fields = json!({"description": "new firmware", "document": "{\"a\":1}",
        "presignedUrlConfig": {"roleArn": "arn:aws:iam::123456789012:role/r", "expiresInSec": 60},
        "timeoutConfig": {"inProgressTimeoutInMinutes": 5}});
    world.create("j1", &["lamp-1"], fields).unwrap();
    let mut shown = serde_json::to_value(world.job("j1")).unwrap();
    let shown = shown.as_object_mut().unwrap();
    assert_eq!(shown["jobArn"], arn("job", "j1"));
    assert_eq!(shown["targets"], json!([arn("thing", "lamp-1")]));
    assert_eq!(shown["createdAt"], json!(1_795_255_200.0));
    assert_eq!(shown["jobProcessDetails"]["numberOfQueuedThings"], 1);
    assert_eq!(shown["presignedUrlConfig"]["expiresInSec"], 60);
    assert!(!shown.contains_key("document") && !shown.contains_key("completedAt"));
    assert_eq!(&*world.engine.job_document("j1").unwrap(), "{\"a\":1}");
    let role = Some("arn:aws:iam::123456789012:role/r");
    assert_eq!(world.engine.presigning("j1").unwrap(), (role, 60));
}

#[test]
fn everything_that_a_job_was_told_is_shown() {
    let mut world = World::new();
    let packages = json!(["arn:aws:iot:eu-central-1:123456789012:package/lamp/version/2"]);
    let fields = json!({"description": "d", "targetSelection": "CONTINUOUS", "namespaceId": "n",
        "presignedUrlConfig": {"roleArn": "arn:aws:iam::123456789012:role/r", "expiresInSec": 60},
        "jobExecutionsRolloutConfig": {"maximumPerMinute": 5},
        "abortConfig": {"criteriaList": [{"failureType": "ALL", "action": "CANCEL",
            "thresholdPercentage": 12.5, "minNumberOfExecutedThings": 3}]},
        "timeoutConfig": {"inProgressTimeoutInMinutes": 5},
        "jobExecutionsRetryConfig": {"criteriaList": [{"failureType": "ALL", "numberOfRetries": 1}]},
        "schedulingConfig": {"startTime": "2026-11-21 11:00", "endTime": "2026-12-21 11:00",
            "endBehavior": "CANCEL", "maintenanceWindows":
                [{"startTime": "cron(0 20 * * ? *)", "durationInMinutes": 60}]},
        "documentParameters": {"command": "ls"}, "destinationPackageVersions": packages,
        "jobTemplateArn": "arn:aws:iot:eu-central-1::jobtemplate/AWS-Run-Command:1.0"});
    world.create("j1", &["lamp-1"], fields.clone()).unwrap();
    let shown = serde_json::to_value(world.job("j1")).unwrap();
    for (field, value) in fields.as_object().unwrap() {
        assert_eq!(shown[field], *value, "{field}");
    }
    assert_eq!(shown["status"], "SCHEDULED");
    assert_eq!(shown["isConcurrent"], false);
    assert_eq!(shown["scheduledJobRollouts"].as_array().unwrap().len(), 7);
    assert_eq!(shown["jobProcessDetails"]["processingTargets"], shown["targets"]);
    let request = CancelJob { reason_code: Some("WHY".into()), comment: Some("c".into()) };
    world.engine.cancel_job("j1", request, Force::Yes, world.now, &mut world.effects).unwrap();
    let shown = serde_json::to_value(world.job("j1")).unwrap();
    assert_eq!((&shown["reasonCode"], &shown["comment"]), (&json!("WHY"), &json!("c")));
    assert_eq!((&shown["status"], &shown["forceCanceled"]), (&json!("CANCELED"), &json!(true)));
    assert_eq!(shown["completedAt"], shown["lastUpdatedAt"]);
    assert_eq!(shown["jobProcessDetails"].get("processingTargets"), None);
}

#[test]
fn a_snapshot_job_is_completed_when_everything_has_ended() {
    let mut world = World::new();
    world.create("j1", &["lamp-1", "lamp-2"], json!({})).unwrap();
    world.update("j1", "lamp-1", Succeeded).unwrap();
    assert_eq!(world.status("j1"), JobStatus::InProgress);
    world.now = world.now.after(5);
    world.update("j1", "lamp-2", Failed).unwrap();
    assert_eq!(world.status("j1"), JobStatus::Completed);
    assert_eq!(world.job("j1").completed_at, Some(world.now));
    assert_eq!(world.told().last().unwrap(), "job completed j1");
}

#[test]
fn cancelling_leaves_devices_at_work_alone() {
    let mut world = World::new();
    world.create("j1", &["lamp-1", "lamp-2", "lamp-3"], json!({})).unwrap();
    world.start("lamp-1");
    world.update("j1", "lamp-3", Succeeded).unwrap();
    cancel(&mut world, "j1", Force::No).unwrap();
    assert_eq!(
        world.told(),
        [
            "job cancellation_in_progress j1",
            "event canceled j1 lamp-2 1",
            "notify lamp-2",
            "notify-next lamp-2",
            "job canceled j1",
        ]
    );
    assert_eq!(world.status("j1"), JobStatus::Canceled);
    assert_eq!(world.state("j1", "lamp-1"), InProgress);
    assert_eq!(world.state("j1", "lamp-3"), Succeeded);
    let error = cancel(&mut world, "j1", Force::No).unwrap_err();
    assert!(matches!(error, Error::InvalidRequest(_)), "{error:?}");
    // What goes on can still be stopped by force, once.
    cancel(&mut world, "j1", Force::Yes).unwrap();
    assert_eq!(world.state("j1", "lamp-1"), Canceled);
    assert!(world.job("j1").force_canceled);
    cancel(&mut world, "j1", Force::Yes).unwrap_err();
}

#[test]
fn a_forced_cancel_ends_everything_and_no_device_can_report_any_more() {
    let mut world = World::new();
    world.create("j1", &["lamp-1", "lamp-2"], json!({})).unwrap();
    world.start("lamp-1");
    let request = CancelJob { reason_code: Some("BAD_1".into()), comment: Some("why".into()) };
    world.engine.cancel_job("j1", request, Force::Yes, world.now, &mut world.effects).unwrap();
    let view = world.execution("j1", "lamp-1");
    assert_eq!((view.status, view.force_canceled, view.version_number), (Canceled, true, 3));
    let error = world.update("j1", "lamp-1", Succeeded).unwrap_err();
    assert!(matches!(error, Error::InvalidStateTransition { .. }), "{error:?}");
    let job = world.job("j1");
    assert_eq!((job.reason_code.as_deref(), job.comment.as_deref()), (Some("BAD_1"), Some("why")));
}

#[test]
fn reasons_are_judged() {
    let mut world = World::new();
    world.create("j1", &["lamp-1"], json!({})).unwrap();
    for code in ["bad", "A B", "", &"A".repeat(129)] {
        let request = CancelJob { reason_code: Some(code.to_owned()), comment: None };
        let error =
            world.engine.cancel_job("j1", request, Force::No, world.now, &mut world.effects);
        assert!(matches!(error, Err(Error::InvalidRequest(_))), "{code}: {error:?}");
    }
    assert_eq!(world.status("j1"), JobStatus::InProgress);
}

#[test]
fn one_execution_is_cancelled_by_the_rules() {
    let mut world = World::new();
    world.create("j1", &["lamp-1", "lamp-2"], json!({})).unwrap();
    world.start("lamp-1");
    let mut cancel = |thing: &str, expected, force| {
        let request = CancelExecution {
            expected_version: expected,
            status_details: details(&[("by", "me")]),
        };
        world.engine.cancel_execution("j1", thing, request, force, world.now, &mut world.effects)
    };
    let refused = cancel("lamp-1", None, Force::No);
    assert!(matches!(refused, Err(Error::InvalidStateTransition { .. })), "{refused:?}");
    let refused = cancel("lamp-1", Some(7), Force::Yes);
    assert!(matches!(refused, Err(Error::VersionMismatch { .. })), "{refused:?}");
    let refused = cancel("lamp-9", None, Force::No);
    assert!(matches!(refused, Err(Error::ResourceNotFound(_))), "{refused:?}");
    cancel("lamp-1", Some(2), Force::Yes).unwrap();
    cancel("lamp-2", None, Force::No).unwrap();
    let refused = cancel("lamp-2", None, Force::Yes);
    assert!(matches!(refused, Err(Error::InvalidStateTransition { .. })), "{refused:?}");
    assert_eq!(world.execution("j1", "lamp-1").status_details, details(&[("by", "me")]).as_ref());
    assert_eq!(world.status("j1"), JobStatus::Completed);
}

#[test]
fn a_job_is_deleted_when_it_has_ended_or_by_force() {
    let mut world = World::new();
    world.create("j1", &["lamp-1"], json!({})).unwrap();
    let error = delete(&mut world, "j1", Force::No).unwrap_err();
    assert!(matches!(error, Error::InvalidStateTransition { .. }), "{error:?}");
    delete(&mut world, "j1", Force::Yes).unwrap();
    assert_eq!(world.told(), ["job deletion_in_progress j1"]);
    assert_eq!(world.status("j1"), JobStatus::DeletionInProgress);
    let error = delete(&mut world, "j1", Force::Yes).unwrap_err();
    assert!(matches!(error, Error::InvalidStateTransition { .. }), "{error:?}");
    world.advance(1);
    assert_eq!(world.told(), ["notify lamp-1", "notify-next lamp-1", "job deleted j1"]);
    assert!(matches!(world.engine.job("j1", world.now), Err(Error::ResourceNotFound(_))));
    assert_eq!(world.engine.execution_count(), 0);
    assert_eq!(world.engine.next_wakeup(), None);
}

#[test]
fn only_ten_jobs_are_deleted_at_the_same_time() {
    let mut world = World::new();
    for number in 0..11 {
        world.create(&format!("j{number}"), &["lamp-1"], json!({})).unwrap();
    }
    for number in 0..10 {
        delete(&mut world, &format!("j{number}"), Force::Yes).unwrap();
    }
    let error = delete(&mut world, "j10", Force::Yes).unwrap_err();
    assert!(matches!(error, Error::LimitExceeded(_)), "{error:?}");
    world.walk(10);
    delete(&mut world, "j10", Force::Yes).unwrap();
}

#[test]
fn one_execution_is_deleted_by_the_rules() {
    let mut world = World::new();
    world.create("j1", &["lamp-1", "lamp-2", "lamp-3"], json!({})).unwrap();
    world.start("lamp-1");
    world.update("j1", "lamp-3", Failed).unwrap();
    world.effects.clear();
    let mut delete = |thing: &str, number, force| {
        world.engine.delete_execution("j1", thing, number, force, world.now, &mut world.effects)
    };
    for thing in ["lamp-1", "lamp-2"] {
        let refused = delete(thing, 1, Force::No);
        assert!(matches!(refused, Err(Error::InvalidStateTransition { .. })), "{refused:?}");
    }
    assert!(matches!(delete("lamp-3", 2, Force::No), Err(Error::ResourceNotFound(_))));
    delete("lamp-3", 1, Force::No).unwrap();
    delete("lamp-1", 1, Force::Yes).unwrap();
    assert_eq!(
        world.told(),
        [
            "event deleted j1 lamp-3 1",
            "event deleted j1 lamp-1 1",
            "notify lamp-1",
            "notify-next lamp-1"
        ]
    );
    let details = world.job("j1").job_process_details;
    assert_eq!((details.number_of_failed_things, details.number_of_in_progress_things), (0, 0));
    world.update("j1", "lamp-2", Succeeded).unwrap();
    assert_eq!(world.status("j1"), JobStatus::Completed);
}

#[test]
fn deleting_an_attempt_shows_the_one_before() {
    let mut world = World::new();
    let retries = json!({"jobExecutionsRetryConfig":
        {"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 2}]}});
    world.create("j1", &["lamp-1"], retries).unwrap();
    world.update("j1", "lamp-1", Failed).unwrap();
    world.update("j1", "lamp-1", Failed).unwrap();
    let mut delete = |number| {
        world
            .engine
            .delete_execution("j1", "lamp-1", number, Force::Yes, world.now, &mut world.effects)
            .unwrap();
    };
    delete(2);
    delete(3);
    let view = world.execution("j1", "lamp-1");
    assert_eq!((view.execution_number, view.status), (1, Failed));
    assert_eq!(world.job("j1").job_process_details.number_of_failed_things, 1);
    assert_eq!(world.status("j1"), JobStatus::Completed);
}

#[test]
fn lists_come_in_pages() {
    let mut world = World::new();
    world.group("lamps", 5);
    for number in 0..5 {
        world.now = world.now.after(1);
        world.create(&format!("j{number}"), &["lamps"], json!({})).unwrap();
    }
    cancel(&mut world, "j3", Force::No).unwrap();
    let page = |token: Option<String>| Page { max_results: Some(2), next_token: token };
    let (mut token, mut jobs, mut things, mut on_thing) = (None, vec![], vec![], vec![]);
    loop {
        let (part, next) = world.engine.list_jobs(&JobFilter::default(), &page(token)).unwrap();
        jobs.extend(part.iter().map(|job| job.job_id.to_string()));
        token = next;
        if token.is_none() {
            break;
        }
    }
    loop {
        let (part, next) = world.engine.executions_for_job("j1", None, &page(token)).unwrap();
        things.extend(part.iter().map(|view| view.thing_name.to_owned()));
        token = next;
        if token.is_none() {
            break;
        }
    }
    loop {
        let (part, next) =
            world.engine.executions_for_thing("lamp-2", None, None, None, &page(token)).unwrap();
        on_thing.extend(part.iter().map(|view| view.job_id.to_owned()));
        token = next;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(jobs, ["j4", "j3", "j2", "j1", "j0"]);
    assert_eq!(things, ["lamp-0", "lamp-1", "lamp-2", "lamp-3", "lamp-4"]);
    assert_eq!(on_thing, ["j4", "j3", "j2", "j1", "j0"]);
    let filter = JobFilter { status: Some(JobStatus::Canceled), ..JobFilter::default() };
    let (jobs, _) = world.engine.list_jobs(&filter, &Page::default()).unwrap();
    assert_eq!(jobs.len(), 1);
    let filter = JobFilter { thing_group_name: Some("other".into()), ..JobFilter::default() };
    assert!(world.engine.list_jobs(&filter, &Page::default()).unwrap().0.is_empty());
    for bad in [
        Page { max_results: Some(251), ..Page::default() },
        Page { next_token: Some("?".into()), ..Page::default() },
    ] {
        assert!(world.engine.list_jobs(&JobFilter::default(), &bad).is_err());
        assert!(world.engine.executions_for_job("j1", None, &bad).is_err());
        assert!(world.engine.executions_for_thing("lamp-1", None, None, None, &bad).is_err());
    }
}

#[test]
fn a_list_goes_on_behind_an_entry_that_was_deleted() {
    let mut world = World::new();
    for job in ["j0", "j1", "j2"] {
        world.create(job, &["lamp-1"], json!({})).unwrap();
        world.now = world.now.after(1);
    }
    let first = Page { max_results: Some(1), next_token: None };
    let (_, token) = world.engine.executions_for_thing("lamp-1", None, None, None, &first).unwrap();
    let (now, out) = (world.now, &mut world.effects);
    world.engine.delete_execution("j2", "lamp-1", 1, Force::Yes, now, out).unwrap();
    let next = Page { max_results: None, next_token: token };
    let (left, _) = world.engine.executions_for_thing("lamp-1", None, None, None, &next).unwrap();
    let left: Vec<&str> = left.iter().map(|view| view.job_id).collect();
    assert_eq!(left, ["j1", "j0"]);
}

#[test]
fn targets_are_added_to_continuous_jobs_in_progress_only() {
    let mut world = World::new();
    world.group("lamps", 2);
    world.create("j1", &["lamp-9"], json!({})).unwrap();
    world.create("j2", &["lamp-9"], json!({"targetSelection": "CONTINUOUS"})).unwrap();
    let mut associate = |id: &str, targets: &[String]| {
        world.engine.associate_targets(
            id,
            targets,
            None,
            &world.registry,
            world.now,
            &mut world.effects,
        )
    };
    let lamps = [arn("thinggroup", "lamps"), arn("thing", "lamp-9")];
    assert!(matches!(associate("j1", &lamps), Err(Error::InvalidRequest(_))));
    assert!(matches!(associate("j3", &lamps), Err(Error::ResourceNotFound(_))));
    assert!(matches!(associate("j2", &[arn("thinggroup", "x")]), Err(Error::ResourceNotFound(_))));
    let many: Vec<String> = (0..100).map(|n| arn("thing", &format!("t{n}"))).collect();
    assert!(matches!(associate("j2", &many), Err(Error::LimitExceeded(_))));
    associate("j2", &lamps).unwrap();
    assert_eq!(world.job("j2").targets.len(), 2);
    assert_eq!(world.state("j2", "lamp-1"), Queued);
}

#[test]
fn ended_jobs_are_kept_for_two_years() {
    let mut world = World::new();
    world.create("j1", &["lamp-1"], json!({})).unwrap();
    world.update("j1", "lamp-1", Succeeded).unwrap();
    world.walk(729 * 24 * 60 * MINUTE);
    assert_eq!(world.status("j1"), JobStatus::Completed);
    world.walk(2 * 24 * 60 * MINUTE);
    assert!(world.engine.job("j1", world.now).is_err());
    assert_eq!(world.engine.execution_count(), 0);
}
