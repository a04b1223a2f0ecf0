//! The rules of the service, one test each, and a model to compare with.
//!
//! Which test holds which rule is listed in `local/jobs/tests/rules.rs`, together with the
//! tests of the wires.
//!
//! Tests speak to the engine through [`World`], which keeps a little registry, a
//! stepped clock and the effects of the last input.

mod control;
mod device;
mod limits;
mod membership;
mod model;
mod notify;
mod restore;
mod rollout;
mod schedule;
mod templates;

use std::collections::{BTreeMap, BTreeSet};

use iotstack_protocol::{JobExecutionStatus, JobStatus, TargetSelection};
use serde_json::{Value, json};

use crate::*;

pub(crate) const START: Time = Time(1_795_255_200_000);

/// Things and groups, as the engine asks for them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Registry {
    pub groups: BTreeMap<String, BTreeSet<String>>,
    pub missing: BTreeSet<String>,
}

impl Membership for Registry {
    fn thing_exists(&self, thing: &str) -> bool {
        !self.missing.contains(thing)
    }

    fn group_exists(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    fn each_member(&self, group: &str, visit: &mut dyn FnMut(&str)) {
        self.groups.get(group).into_iter().flatten().for_each(|thing| visit(thing));
    }

    fn is_member(&self, group: &str, thing: &str) -> bool {
        self.groups.get(group).is_some_and(|things| things.contains(thing))
    }
}

/// An engine, its surroundings and what the last input brought about.
pub(crate) struct World {
    pub engine: Engine,
    pub registry: Registry,
    pub now: Time,
    pub effects: Vec<Effect>,
}

impl World {
    pub(crate) fn new() -> World {
        World::with(Limits::default())
    }

    pub(crate) fn with(limits: Limits) -> World {
        let engine = Engine::new(scope(), limits);
        World { engine, registry: Registry::default(), now: START, effects: Vec::new() }
    }

    /// A group of things `lamp-0` and so on.
    pub(crate) fn group(&mut self, name: &str, size: usize) {
        let things = (0..size).map(|n| format!("lamp-{n}")).collect();
        self.registry.groups.insert(name.to_owned(), things);
    }

    /// Creates a job for groups and things from the fields of the API.
    pub(crate) fn create(&mut self, id: &str, targets: &[&str], fields: Value) -> Result<()> {
        let mut request: CreateJob = serde_json::from_value(fields).unwrap();
        for target in targets {
            let group = self.registry.groups.contains_key(*target);
            let kind = if group { "thinggroup" } else { "thing" };
            request.targets.push(arn(kind, target));
        }
        request.document.get_or_insert_with(|| "{}".to_owned());
        self.effects.clear();
        self.engine.create_job(id, request, &self.registry, self.now, &mut self.effects)
    }

    pub(crate) fn start(&mut self, thing: &str) -> Option<(String, u32)> {
        self.effects.clear();
        let next = self.engine.start_next(thing, StartNext::default(), self.now, &mut self.effects);
        next.unwrap().map(|view| (view.job_id.to_owned(), view.version_number))
    }

    pub(crate) fn update(
        &mut self,
        id: &str,
        thing: &str,
        status: JobExecutionStatus,
    ) -> Result<()> {
        self.update_with(id, thing, report(status))
    }

    pub(crate) fn update_with(
        &mut self,
        id: &str,
        thing: &str,
        request: UpdateExecution,
    ) -> Result<()> {
        self.effects.clear();
        self.engine.update_execution(id, thing, request, self.now, &mut self.effects).map(|_| ())
    }

    pub(crate) fn advance(&mut self, millis: u64) {
        self.now = self.now.after(millis);
        self.effects.clear();
        self.engine.advance(self.now, &mut self.effects);
    }

    /// Walks from one wake-up to the next, as a stepped clock does.
    pub(crate) fn walk(&mut self, millis: u64) {
        let end = self.now.after(millis);
        while let Some(next) = self.engine.next_wakeup().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.effects.clear();
            self.engine.advance(self.now, &mut self.effects);
        }
        self.now = end;
    }

    pub(crate) fn job(&self, id: &str) -> JobView {
        self.engine.job(id, self.now).unwrap()
    }

    pub(crate) fn status(&self, id: &str) -> JobStatus {
        self.job(id).status
    }

    pub(crate) fn execution(&self, id: &str, thing: &str) -> ExecutionView<'_> {
        self.engine.execution(id, thing, None).unwrap()
    }

    pub(crate) fn state(&self, id: &str, thing: &str) -> JobExecutionStatus {
        self.execution(id, thing).status
    }

    /// The effects as short words, in their order.
    pub(crate) fn told(&self) -> Vec<String> {
        let name = |thing: &ThingIndex| self.engine.thing_name(*thing).to_owned();
        self.effects
            .iter()
            .map(|effect| match effect {
                Effect::Notify { thing, namespace: None } => format!("notify {}", name(thing)),
                Effect::Notify { thing, namespace: Some(space) } => {
                    format!("notify-namespace-{space} {}", name(thing))
                }
                Effect::NotifyNext { thing } => format!("notify-next {}", name(thing)),
                Effect::Execution(effect) => {
                    let word = effect.operation().map_or_else(
                        || effect.status.as_str().to_lowercase(),
                        |operation| format!("event {operation}"),
                    );
                    format!("{word} {} {} {}", effect.job, name(&effect.thing), effect.number)
                }
                Effect::Job(effect) => format!("job {} {}", effect.operation.as_str(), effect.job),
            })
            .collect()
    }
}

pub(crate) fn scope() -> Scope {
    Scope {
        partition: "aws".to_owned(),
        region: "eu-central-1".to_owned(),
        account: "123456789012".to_owned(),
    }
}

pub(crate) fn arn(kind: &str, name: &str) -> String {
    format!("arn:aws:iot:eu-central-1:123456789012:{kind}/{name}")
}

pub(crate) fn report(status: JobExecutionStatus) -> UpdateExecution {
    UpdateExecution {
        status,
        status_details: None,
        expected_version: None,
        execution_number: None,
        step_timeout_in_minutes: None,
    }
}

pub(crate) fn details(pairs: &[(&str, &str)]) -> Option<BTreeMap<String, String>> {
    Some(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
}

pub(crate) const MINUTE: u64 = 60_000;
pub(crate) const SNAPSHOT: TargetSelection = TargetSelection::Snapshot;

#[test]
fn a_job_without_things_is_completed_at_once() {
    let mut world = World::new();
    world.group("lamps", 0);
    world.create("j1", &["lamps"], json!({})).unwrap();
    assert_eq!(world.status("j1"), JobStatus::Completed);
    assert_eq!(world.told(), ["job completed j1"]);
    assert_eq!(world.job("j1").target_selection, SNAPSHOT);
}
