//! What happens to the engine and to the model, and how it is made up.
//!
//! Numbers stand for jobs, things and groups, so that a case that fails shrinks to a few
//! small ones. Everything that a job may be told when it is created is in [`Config`].

use proptest::prelude::*;
use serde_json::json;

use crate::tests::*;
use JobExecutionStatus::{Failed, InProgress, Rejected, Succeeded};

#[derive(Debug, Clone)]
pub(super) enum Op {
    Create {
        job: usize,
        config: Config,
    },
    Change {
        job: usize,
        rate: Option<Rate>,
        settings: Settings,
    },
    Associate {
        job: usize,
        groups: Vec<usize>,
        things: Vec<usize>,
    },
    Start {
        thing: usize,
        step: Option<i64>,
    },
    Update {
        job: usize,
        thing: usize,
        status: JobExecutionStatus,
        version: Option<i64>,
        step: Option<i64>,
    },
    CancelJob {
        job: usize,
        force: bool,
    },
    DeleteJob {
        job: usize,
        force: bool,
    },
    CancelExecution {
        job: usize,
        thing: usize,
        force: bool,
    },
    DeleteExecution {
        job: usize,
        thing: usize,
        number: i64,
        force: bool,
    },
    Join {
        group: usize,
        thing: usize,
    },
    Leave {
        group: usize,
        thing: usize,
    },
    DeleteThing {
        thing: usize,
    },
    Advance {
        millis: u64,
    },
}

#[derive(Debug, Clone)]
pub(super) struct Config {
    pub continuous: bool,
    pub groups: Vec<usize>,
    pub things: Vec<usize>,
    pub rate: Rate,
    pub settings: Settings,
    pub plan: Plan,
}

/// What a job may be told again later.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub timeout: Option<u32>,
    pub retries: Vec<(FailureType, u32)>,
    pub abort: Option<(FailureType, u32, u32)>,
}

/// How fast things are told.
#[derive(Debug, Clone)]
pub(super) struct Rate {
    pub most: u32,
    pub growth: Option<Growth>,
}

#[derive(Debug, Clone)]
pub(super) struct Growth {
    pub base: u32,
    /// The factor in tenths.
    pub tenths: u32,
    pub notified: Option<u32>,
    pub succeeded: Option<u32>,
}

/// When a job may tell things, in minutes from its creation.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub start: Option<u64>,
    pub length: Option<u64>,
    pub behavior: Option<EndBehavior>,
    pub hourly: bool,
}

/// Gives an operation to the engine; says whether it was accepted.
pub(super) fn perform(world: &mut World, op: &Op) -> bool {
    let thing = |thing: usize| format!("lamp-{thing}");
    let id = |job: usize| format!("j{job}");
    let group = |group: usize| format!("g{group}");
    let arns = |groups: &[usize], things: &[usize]| -> Vec<String> {
        let groups = groups.iter().map(|each| arn("thinggroup", &group(*each)));
        groups.chain(things.iter().map(|each| arn("thing", &thing(*each)))).collect()
    };
    let World { engine, registry, now, effects } = world;
    effects.clear();
    match op.clone() {
        Op::Create { job, config } => {
            let mut fields = config.fields(now.0);
            fields["targets"] = json!(arns(&config.groups, &config.things));
            fields["document"] = json!("{}");
            let request = serde_json::from_value(fields).unwrap();
            engine.create_job(&id(job), request, registry, *now, effects).is_ok()
        }
        Op::Change { job, rate, settings } => {
            let mut fields = settings.fields();
            if let Some(rate) = rate {
                fields["jobExecutionsRolloutConfig"] = rate.field();
            }
            let update = serde_json::from_value(fields).unwrap();
            engine.update_job(&id(job), update, *now, effects).is_ok()
        }
        Op::Associate { job, groups, things } => {
            let targets = arns(&groups, &things);
            engine.associate_targets(&id(job), &targets, None, registry, *now, effects).is_ok()
        }
        Op::Start { thing: t, step } => {
            let request = StartNext { status_details: None, step_timeout_in_minutes: step };
            engine.start_next(&thing(t), request, *now, effects).is_ok()
        }
        Op::Update { job, thing: t, status, version, step } => {
            let request = UpdateExecution {
                expected_version: version,
                step_timeout_in_minutes: step,
                ..report(status)
            };
            engine.update_execution(&id(job), &thing(t), request, *now, effects).is_ok()
        }
        Op::CancelJob { job, force } => {
            let request = CancelJob::default();
            engine.cancel_job(&id(job), request, force.into(), *now, effects).is_ok()
        }
        Op::DeleteJob { job, force } => {
            engine.delete_job(&id(job), force.into(), *now, effects).is_ok()
        }
        Op::CancelExecution { job, thing: t, force } => {
            let request = CancelExecution::default();
            engine
                .cancel_execution(&id(job), &thing(t), request, force.into(), *now, effects)
                .is_ok()
        }
        Op::DeleteExecution { job, thing: t, number, force } => engine
            .delete_execution(&id(job), &thing(t), number, force.into(), *now, effects)
            .is_ok(),
        Op::Join { group: g, thing: t } => {
            registry.groups.get_mut(&group(g)).unwrap().insert(thing(t));
            engine.thing_moved(&thing(t), registry, *now, effects);
            true
        }
        Op::Leave { group: g, thing: t } => {
            registry.groups.get_mut(&group(g)).unwrap().remove(&thing(t));
            engine.thing_moved(&thing(t), registry, *now, effects);
            true
        }
        Op::DeleteThing { thing: t } => {
            engine.thing_deleted(&thing(t), *now, effects);
            true
        }
        Op::Advance { millis } => {
            *now = now.after(millis);
            engine.advance(*now, effects);
            true
        }
    }
}

impl Config {
    /// As the API has it, for a job that is created at `now`.
    fn fields(&self, now: u64) -> Value {
        let mut fields = self.settings.fields();
        fields["targetSelection"] = json!(if self.continuous { "CONTINUOUS" } else { "SNAPSHOT" });
        fields["jobExecutionsRolloutConfig"] = self.rate.field();
        let (start, end) = self.plan.moments(now);
        let mut scheduling = json!({});
        for (field, moment) in [("startTime", start), ("endTime", end)] {
            if let Some(moment) = moment {
                scheduling[field] = crate::time::format(Time(moment)).into();
            }
        }
        if let Some(behavior) = self.plan.behavior {
            scheduling["endBehavior"] = json!(behavior);
        }
        if self.plan.hourly {
            scheduling["maintenanceWindows"] = json!([{
                "startTime": "cron(0 * * * ? *)", "durationInMinutes": WINDOW / MINUTE}]);
        }
        fields["schedulingConfig"] = scheduling;
        fields
    }
}

impl Settings {
    fn fields(&self) -> Value {
        let mut fields = json!({});
        if let Some(minutes) = self.timeout {
            fields["timeoutConfig"] = json!({"inProgressTimeoutInMinutes": minutes});
        }
        if !self.retries.is_empty() {
            let criteria: Vec<Value> = self
                .retries
                .iter()
                .map(|(kind, most)| json!({"failureType": kind, "numberOfRetries": most}))
                .collect();
            fields["jobExecutionsRetryConfig"] = json!({"criteriaList": criteria});
        }
        if let Some((kind, share, least)) = self.abort {
            fields["abortConfig"] = json!({"criteriaList": [{"failureType": kind,
                "action": "CANCEL", "thresholdPercentage": share,
                "minNumberOfExecutedThings": least}]});
        }
        fields
    }
}

impl Rate {
    /// Things per minute after so many were told and so many have succeeded.
    pub(super) fn after(&self, notified: u32, succeeded: u32) -> u32 {
        let Some(growth) = &self.growth else { return self.most };
        let passed = |count: u32, criterion: Option<u32>| criterion.map_or(0, |c| count / c);
        let steps = passed(notified, growth.notified).max(passed(succeeded, growth.succeeded));
        // In whole numbers: base × tenths^steps / 10^steps, as far as it may grow.
        let (mut above, mut below) = (u128::from(growth.base), 1_u128);
        for _ in 0..steps {
            if above / below >= u128::from(self.most) {
                break;
            }
            (above, below) = (above * u128::from(growth.tenths), below * 10);
        }
        u32::try_from(above / below).unwrap_or(u32::MAX).min(self.most)
    }

    fn field(&self) -> Value {
        let mut field = json!({"maximumPerMinute": self.most});
        if let Some(growth) = &self.growth {
            let mut criteria = json!({});
            for (criterion, number) in [
                ("numberOfNotifiedThings", growth.notified),
                ("numberOfSucceededThings", growth.succeeded),
            ] {
                if let Some(number) = number {
                    criteria[criterion] = number.into();
                }
            }
            field["exponentialRate"] = json!({"baseRatePerMinute": growth.base,
                "incrementFactor": f64::from(growth.tenths) / 10.0,
                "rateIncreaseCriteria": criteria});
        }
        field
    }
}

impl Plan {
    /// Start and end of a job that is created at `now`, on whole minutes.
    pub(super) fn moments(&self, now: u64) -> (Option<u64>, Option<u64>) {
        let whole = |at: u64| at - at % MINUTE;
        let start = self.start.map(|minutes| whole(now + minutes * MINUTE));
        let end = self.length.map(|minutes| whole(start.unwrap_or(now) + minutes * MINUTE));
        (start, end)
    }
}

pub(super) const THINGS: usize = 8;
pub(super) const GROUPS: usize = 2;

/// How long a window stays open.
pub(super) const WINDOW: u64 = 20 * MINUTE;

fn kind() -> impl Strategy<Value = FailureType> {
    prop_oneof![Just(FailureType::Failed), Just(FailureType::TimedOut), Just(FailureType::All)]
}

fn rate() -> impl Strategy<Value = Rate> {
    // At least one of both criteria.
    let criteria = prop_oneof![
        (1_u32..5).prop_map(|notified| (Some(notified), None)),
        (1_u32..4).prop_map(|succeeded| (None, Some(succeeded))),
        (1_u32..5, 1_u32..4).prop_map(|(notified, succeeded)| (Some(notified), Some(succeeded))),
    ];
    let tenths = prop::sample::select(vec![11_u32, 15, 20, 50]);
    let growth = (1_u32..3, tenths, criteria).prop_map(|(base, tenths, (notified, succeeded))| {
        Growth { base, tenths, notified, succeeded }
    });
    (1_u32..5, prop::option::weighted(0.6, growth)).prop_map(|(most, growth)| Rate { most, growth })
}

fn settings() -> impl Strategy<Value = Settings> {
    let abort = (kind(), prop::sample::select(vec![20_u32, 50, 100]), 1_u32..5);
    let retries = prop::collection::vec((kind(), 0_u32..3), 0..3);
    (prop::option::of(1_u32..4), retries, prop::option::of(abort))
        .prop_map(|(timeout, retries, abort)| Settings { timeout, retries, abort })
}

fn plan() -> impl Strategy<Value = Plan> {
    let behavior = prop::sample::select(vec![
        EndBehavior::StopRollout,
        EndBehavior::Cancel,
        EndBehavior::ForceCancel,
    ]);
    let minutes = |weight, first| {
        prop::option::weighted(weight, prop::sample::select(vec![first, first + 5, first + 40]))
    };
    // Most jobs have no schedule, so that the others have time to work.
    (minutes(0.15, 30_u64), minutes(0.3, 30_u64), prop::option::of(behavior), 0_u32..5).prop_map(
        |(start, length, behavior, hourly)| Plan {
            start,
            length,
            behavior: behavior.filter(|_| length.is_some()),
            hourly: hourly == 0,
        },
    )
}

fn config() -> impl Strategy<Value = Config> {
    let groups = prop::sample::subsequence(vec![0, 1], 1..=GROUPS);
    (any::<bool>(), groups, some_things(), rate(), settings(), plan()).prop_map(
        |(continuous, groups, things, rate, settings, plan)| Config {
            continuous,
            groups,
            things,
            rate,
            settings,
            plan: Plan { hourly: plan.hourly && continuous, ..plan },
        },
    )
}

fn some_things() -> impl Strategy<Value = Vec<usize>> {
    prop::sample::subsequence((0..THINGS).collect::<Vec<_>>(), 0..3)
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    let (job, thing, group) = (0..3_usize, 0..THINGS, 0..GROUPS);
    let status = prop::sample::select(JobExecutionStatus::ALL.to_vec());
    let report = prop::sample::select(vec![InProgress, Succeeded, Failed, Rejected, Failed]);
    let status = prop_oneof![6 => report, 1 => status];
    let step = prop::option::weighted(0.3, prop_oneof![Just(-1_i64), 1_i64..4]);
    let version = prop::option::weighted(0.2, 1_i64..4);
    let millis =
        prop::sample::select(vec![1_u64, 1000, 30_000, 59_000, 60_000, 90_000, 600_000, 1_900_000]);
    prop_oneof![
        2 => (job.clone(), config()).prop_map(|(job, config)| Op::Create { job, config }),
        3 => (job.clone(), prop::option::weighted(0.7, rate()), settings())
            .prop_map(|(job, rate, settings)| Op::Change { job, rate, settings }),
        3 => (job.clone(), prop::sample::subsequence(vec![0, 1], 0..=GROUPS), some_things())
            .prop_map(|(job, groups, things)| Op::Associate { job, groups, things }),
        4 => (thing.clone(), step.clone()).prop_map(|(thing, step)| Op::Start { thing, step }),
        8 => (job.clone(), thing.clone(), status, version, step).prop_map(
            |(job, thing, status, version, step)| Op::Update { job, thing, status, version, step }
        ),
        1 => (job.clone(), any::<bool>()).prop_map(|(job, force)| Op::CancelJob { job, force }),
        1 => (job.clone(), any::<bool>()).prop_map(|(job, force)| Op::DeleteJob { job, force }),
        1 => (job.clone(), thing.clone(), any::<bool>())
            .prop_map(|(job, thing, force)| Op::CancelExecution { job, thing, force }),
        1 => (job, thing.clone(), 1_i64..3, any::<bool>()).prop_map(
            |(job, thing, number, force)| Op::DeleteExecution { job, thing, number, force }
        ),
        2 => (group.clone(), thing.clone()).prop_map(|(group, thing)| Op::Join { group, thing }),
        2 => (group, thing.clone()).prop_map(|(group, thing)| Op::Leave { group, thing }),
        1 => thing.prop_map(|thing| Op::DeleteThing { thing }),
        4 => millis.prop_map(|millis| Op::Advance { millis }),
    ]
}
