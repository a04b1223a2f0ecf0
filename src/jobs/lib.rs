//! The AWS IoT Jobs service as a pure state machine.
//!
//! Jobs, rollouts, abort criteria, timers, retries, schedules, maintenance windows,
//! templates and the pending queue of every device. An input and a time go in; the
//! new state is kept, and what the world must be told comes out as [`Effect`]s.
//! The local cloud drives the engine with real MQTT, a forecast with a virtual
//! clock, tests with a stepped one.
//!
//! Invariants, absences above all: no clock, no randomness, no async, no I/O, and
//! no map without order that anybody could see. The same inputs give the same
//! effects and the same records. Counters always equal a recount; nothing leaves an
//! end state; versions only grow; no minute holds more notifications of a rollout
//! than its rate.
//!
//! ```
//! use iotstack_jobs::{CreateJob, Effect, Engine, Limits, Membership, Scope, StartNext, Time};
//!
//! struct Registry;
//! impl Membership for Registry {
//!     fn thing_exists(&self, _: &str) -> bool { true }
//!     fn group_exists(&self, _: &str) -> bool { false }
//!     fn each_member(&self, _: &str, _: &mut dyn FnMut(&str)) {}
//!     fn is_member(&self, _: &str, _: &str) -> bool { false }
//! }
//!
//! let scope = Scope {
//!     partition: "aws".into(), region: "eu-central-1".into(), account: "123456789012".into(),
//! };
//! let mut engine = Engine::new(scope, Limits::default());
//! let (mut effects, now) = (Vec::new(), Time(1_700_000_000_000));
//! let request = CreateJob {
//!     targets: vec![engine.thing_arn("lamp-1")],
//!     document: Some(r#"{"operation":"reboot"}"#.into()),
//!     ..CreateJob::default()
//! };
//! engine.create_job("reboot-1", request, &Registry, now, &mut effects)?;
//! assert!(effects.iter().any(|effect| matches!(effect, Effect::NotifyNext { .. })));
//! let next = engine.start_next("lamp-1", StartNext::default(), now, &mut effects)?;
//! assert_eq!(next.map(|execution| execution.job_id), Some("reboot-1"));
//! # Ok::<(), iotstack_jobs::Error>(())
//! ```

mod config;
mod cron;
mod document;
mod effect;
mod engine;
mod error;
mod execution;
mod job;
pub mod managed;
mod queue;
mod rollout;
mod schedule;
mod slab;
mod text;
mod thing;
mod time;

#[cfg(test)]
mod tests;

pub use config::{
    AbortConfig, AbortCriterion, EndBehavior, ExponentialRate, FailureType, MaintenanceWindow,
    PresignedUrlConfig, RateIncreaseCriteria, RetryConfig, RetryCriterion, RolloutConfig,
    SchedulingConfig, TimeoutConfig,
};
pub use cron::Cron;
pub use document::{ObjectRequest, Purpose, Recipient, has_placeholders, source, substitute};
pub use effect::{Details, Effect, ExecutionChange, ExecutionEffect, JobEffect, JobOperation};
pub use engine::{
    CancelExecution, CancelJob, Change, CreateTemplate, Engine, Force, JobExecutionsPage,
    JobFilter, Limits, Membership, Page, PendingExecutions, Scope, StartNext, TemplateView,
    ThingExecutionsPage, UpdateExecution, WhichExecution,
};
pub use error::{Error, ExecutionState, Result};
pub use execution::ExecutionView;
pub use job::{
    Counts, CreateJob, JobSummary, JobView, ProcessDetails, ScheduledRollout, Tag, UpdateJob,
};
pub use thing::ThingIndex;
pub use time::Time;
