//! What was written down makes the same service again.
//!
//! The store of these tests takes changes in batches, as a real one does; a service that
//! is read back from it must show the same and go on in the same way.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use JobExecutionStatus::{Failed, InProgress, Queued, Succeeded};

/// A store that takes changes in batches, as a real one does.
#[derive(Default)]
pub(crate) struct Store(pub BTreeMap<String, String>);

impl Store {
    pub(crate) fn take(&mut self, engine: &mut Engine) {
        for change in engine.changes() {
            match change.value {
                Some(value) => self.0.insert(change.key, value),
                None => self.0.remove(&change.key),
            };
        }
        assert!(!engine.has_changes());
    }

    pub(crate) fn restore(&self) -> Engine {
        Engine::restore(scope(), Limits::default(), &self.0).unwrap()
    }
}

/// Everything that can be seen of a service.
pub(crate) fn snapshot(engine: &Engine, now: Time) -> Vec<String> {
    let mut lines = Vec::new();
    let (jobs, _) = engine.list_jobs(&JobFilter::default(), &Page::default()).unwrap();
    for job in jobs {
        let view = engine.job(&job.job_id, now).unwrap();
        lines.push(serde_json::to_string(&view).unwrap());
        let (executions, _) =
            engine.executions_for_job(&job.job_id, None, &Page::default()).unwrap();
        let mut executions: Vec<String> =
            executions.iter().map(|view| format!("{view:?}")).collect();
        executions.sort();
        lines.extend(executions);
    }
    for number in 0..10 {
        let thing = format!("lamp-{number}");
        lines.push(format!("{:?}", engine.pending(&thing, 250)));
        let history = engine.executions_for_thing(&thing, None, None, None, &Page::default());
        lines.push(format!("{:?}", history.unwrap().0));
    }
    let (templates, _) = engine.list_templates(&Page::default()).unwrap();
    lines.extend(templates.iter().map(|t| serde_json::to_string(t).unwrap()));
    lines
}

#[test]
fn a_rollout_goes_on_where_it_was_killed() {
    let (mut world, mut store) = (World::new(), Store::default());
    world.engine.start_recording();
    world.group("lamps", 10);
    let fields = json!({"jobExecutionsRolloutConfig": {"maximumPerMinute": 4},
        "timeoutConfig": {"inProgressTimeoutInMinutes": 1},
        "jobExecutionsRetryConfig": {"criteriaList": [{"failureType": "ALL", "numberOfRetries": 1}]}});
    world.create("j1", &["lamps"], fields).unwrap();
    let contents = CreateTemplate {
        description: Some("t".into()),
        document: Some("{}".into()),
        ..CreateTemplate::default()
    };
    world.engine.create_template("t1", contents, world.now).unwrap();
    world.start("lamp-0");
    world.update("j1", "lamp-1", Failed).unwrap();
    let request = UpdateExecution { status_details: details(&[("a", "b")]), ..report(InProgress) };
    world.update_with("j1", "lamp-2", request).unwrap();
    store.take(&mut world.engine);

    let mut again = World { engine: store.restore(), ..World::new() };
    again.registry = world.registry.clone();
    again.advance(0);
    assert_eq!(snapshot(&again.engine, world.now), snapshot(&world.engine, world.now));
    // The minute of the rollout is not over because somebody has restarted.
    for world in [&mut world, &mut again] {
        world.walk(1000);
        assert_eq!(world.engine.rollout("j1").unwrap(), (4, 6));
        world.walk(MINUTE);
        assert_eq!(world.engine.rollout("j1").unwrap(), (4, 2));
        assert_eq!(world.state("j1", "lamp-0"), Queued);
        world.walk(MINUTE);
    }
    assert_eq!(snapshot(&again.engine, world.now), snapshot(&world.engine, world.now));
}

#[test]
fn what_was_deleted_does_not_come_back() {
    let (mut world, mut store) = (World::new(), Store::default());
    world.engine.start_recording();
    world.group("lamps", 10);
    world
        .create("j1", &["lamps"], json!({"jobExecutionsRolloutConfig": {"maximumPerMinute": 4}}))
        .unwrap();
    store.take(&mut world.engine);
    world.engine.delete_job("j1", Force::Yes, world.now, &mut world.effects).unwrap();
    store.take(&mut world.engine);
    // Killed in the middle of the deletion.
    let mut again = World { engine: store.restore(), ..World::new() };
    again.engine.start_recording();
    assert_eq!(again.status("j1"), JobStatus::DeletionInProgress);
    again.walk(1000);
    store.take(&mut again.engine);
    assert!(store.0.is_empty(), "{:?}", store.0.keys());
}

#[test]
fn a_cancelled_job_stays_cancelled() {
    let (mut world, mut store) = (World::new(), Store::default());
    world.engine.start_recording();
    world.create("j1", &["lamp-1", "lamp-2"], json!({})).unwrap();
    world.update("j1", "lamp-1", Succeeded).unwrap();
    world
        .engine
        .cancel_job("j1", CancelJob::default(), Force::Yes, world.now, &mut world.effects)
        .unwrap();
    store.take(&mut world.engine);
    let again = store.restore();
    assert_eq!(snapshot(&again, world.now), snapshot(&world.engine, world.now));
}

#[test]
fn damaged_records_are_refused_by_name() {
    for (key, value) in [
        ("nonsense", "x"),
        ("job/j1", "{"),
        ("execution/j1/lamp-1/one", "{}"),
        ("waiting/j1/lamp-1", ""),
    ] {
        let records = [(key, value)];
        let error = Engine::restore(scope(), Limits::default(), records).unwrap_err();
        let known = matches!(error, Error::DamagedRecord(_) | Error::ResourceNotFound(_));
        assert!(known, "{error:?}");
    }
}
