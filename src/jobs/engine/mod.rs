//! The engine: every input of the Jobs service, each with the time.
//!
//! An operation first does what has fallen due, then judges the request, then
//! changes the state and pushes what the world must be told. A refused request
//! changes nothing beyond what was due. The files are split by who asks: the
//! control plane (`create`, `control`, `executions`, `templates`), a device
//! (`device`), the registry (`membership`) and the clock (`clock`); `transition`
//! holds the one place in which an execution changes its state.

mod clock;
mod control;
mod create;
mod device;
mod executions;
mod journal;
mod membership;
mod templates;
mod transition;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use iotstack_protocol::{JobId, JobStatus};

use crate::error::{Error, Result};
use crate::execution::{ExecutionView, Flags};
use crate::job::Job;
use crate::queue::Fleet;
use crate::slab::NONE;
use crate::text::shortened;
use crate::thing::ThingIndex;
use crate::time::Time;

pub use control::{CancelJob, JobFilter};
pub use device::{PendingExecutions, StartNext, UpdateExecution, WhichExecution};
pub use executions::{CancelExecution, JobExecutionsPage, ThingExecutionsPage};
pub use journal::Change;
pub use membership::Membership;
pub use templates::{CreateTemplate, TemplateView};

/// The Jobs service of one account in one region.
#[derive(Debug)]
pub struct Engine {
    scope: Scope,
    limits: Limits,
    fleet: Fleet,
    jobs: Jobs,
    templates: BTreeMap<String, templates::Template>,
    /// When executions run out of time.
    timers: BTreeSet<(Time, u32)>,
    /// When jobs have something to do.
    wakes: BTreeSet<(Time, u32)>,
    /// Jobs that are rolling out, and those that wait until they may.
    slots: BTreeSet<u32>,
    slot_queue: BTreeSet<u32>,
    /// Continuous jobs that are active.
    continuous: BTreeSet<u32>,
    active: usize,
    deleting: usize,
    journal: journal::Journal,
}

/// Whose service it is; the parts of every ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Such as `aws` or `aws-cn`.
    pub partition: String,
    /// Such as `eu-central-1`.
    pub region: String,
    /// Twelve digits.
    pub account: String,
}

/// The quotas of the account; the defaults are those of AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Jobs that have not ended.
    pub active_jobs: usize,
    /// Jobs that roll out at the same time; further ones wait.
    pub concurrent_jobs: usize,
    /// Jobs that are being deleted at the same time.
    pub deleting_jobs: usize,
    /// Targets of one job.
    pub targets: usize,
    /// Job templates.
    pub templates: usize,
    /// For how many days an ended job is kept.
    pub retention_days: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            active_jobs: 100_000,
            concurrent_jobs: 500,
            deleting_jobs: 10,
            targets: 100,
            templates: 100,
            retention_days: 730,
        }
    }
}

/// Whether an operation may end what devices are working on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Force {
    /// Only what has not begun, or has ended.
    #[default]
    No,
    /// Also what is in progress.
    Yes,
}

impl From<bool> for Force {
    fn from(force: bool) -> Self {
        if force { Force::Yes } else { Force::No }
    }
}

/// Which part of a list is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// At most so many, 1 to 250; 250 if absent.
    pub max_results: Option<i64>,
    /// Where the part before this one ended.
    pub next_token: Option<String>,
}

impl Page {
    fn size(&self) -> Result<usize> {
        let size = self.max_results.unwrap_or(250);
        crate::config::within("maxResults", size, 1, 250)?;
        Ok(usize::try_from(size).unwrap_or(1))
    }

    fn token<T: std::str::FromStr>(&self) -> Result<Option<T>> {
        let Some(token) = &self.next_token else { return Ok(None) };
        let token = token.parse().map_err(|_| {
            let token = shortened(token);
            Error::InvalidRequest(format!("nextToken `{token}` does not come from this service"))
        })?;
        Ok(Some(token))
    }
}

impl Engine {
    /// An empty service.
    pub fn new(scope: Scope, limits: Limits) -> Self {
        Engine {
            scope,
            limits,
            fleet: Fleet::default(),
            jobs: Jobs::default(),
            templates: BTreeMap::new(),
            timers: BTreeSet::new(),
            wakes: BTreeSet::new(),
            slots: BTreeSet::new(),
            slot_queue: BTreeSet::new(),
            continuous: BTreeSet::new(),
            active: 0,
            deleting: 0,
            journal: journal::Journal::default(),
        }
    }

    /// The name of a thing of an effect.
    pub fn thing_name(&self, thing: ThingIndex) -> &str {
        self.fleet.things.name(thing)
    }

    /// How many executions there are, ended ones included.
    pub fn execution_count(&self) -> usize {
        self.fleet.executions.len()
    }

    /// The ARN of a job.
    pub fn job_arn(&self, id: &str) -> String {
        self.scope.arn("job", id)
    }

    /// The ARN of a thing.
    pub fn thing_arn(&self, name: &str) -> String {
        self.scope.arn("thing", name)
    }

    fn find(&self, id: &str) -> Result<u32> {
        self.jobs
            .by_id
            .get(id)
            .copied()
            .ok_or_else(|| Error::ResourceNotFound(format!("there is no job `{}`", shortened(id))))
    }

    /// The newest attempt of a job on a thing.
    fn find_latest(&self, job: u32, thing: &str) -> Option<u32> {
        let thing = self.fleet.things.find(thing)?;
        // Pending lists are short; they spare the search in the index of a large job.
        let mut pending = self.fleet.pending(thing).take(4);
        pending
            .find(|index| self.fleet.executions[*index].job == job)
            .or_else(|| self.jobs[job].latest.get(&thing.0).copied())
    }

    /// One attempt of a job on a thing; the newest if `number` is absent.
    fn find_execution(&self, id: &str, thing: &str, number: Option<i64>) -> Result<u32> {
        let not_found = || {
            let number = number.map_or(String::new(), |number| format!(" with number {number}"));
            Error::ResourceNotFound(format!(
                "there is no execution{number} of the job `{}` on the thing `{}`",
                shortened(id),
                shortened(thing)
            ))
        };
        let job = self.jobs.by_id.get(id).copied().ok_or_else(not_found)?;
        let mut index = self.find_latest(job, thing).ok_or_else(not_found)?;
        if let Some(number) = number {
            while i64::from(self.fleet.executions[index].number) != number {
                index = self.fleet.executions[index].attempt_before;
                if index == NONE {
                    return Err(not_found());
                }
            }
        }
        Ok(index)
    }

    fn view(&self, index: u32) -> ExecutionView<'_> {
        let execution = &self.fleet.executions[index];
        ExecutionView {
            job_id: &self.jobs[execution.job].record.id,
            thing_name: self.fleet.things.name(execution.thing),
            status: execution.status,
            status_details: execution.details.as_deref(),
            queued_at: execution.queued_at,
            started_at: execution.started_at.known(),
            last_updated_at: execution.updated_at,
            version_number: execution.version,
            execution_number: execution.number,
            retry_attempt: execution.retries.iter().map(|used| u32::from(*used)).sum(),
            force_canceled: execution.flags.has(Flags::FORCED),
            times_out_at: execution.deadline(),
        }
    }

    fn set_job_status(&mut self, index: u32, status: JobStatus) {
        let job = &mut self.jobs[index];
        let before = job.is_active();
        job.record.status = status;
        let after = job.is_active();
        if before && !after {
            self.active -= 1;
            self.continuous.remove(&index);
        }
    }
}

impl Scope {
    fn arn(&self, kind: &str, name: &str) -> String {
        format!("arn:{}:iot:{}:{}:{kind}/{name}", self.partition, self.region, self.account)
    }

    /// The thing that an ARN names.
    fn thing<'a>(&self, arn: &'a str) -> Option<&'a str> {
        self.name(arn, "thing/")
    }

    /// The group that an ARN names.
    fn group<'a>(&self, arn: &'a str) -> Option<&'a str> {
        self.name(arn, "thinggroup/")
    }

    fn name<'a>(&self, arn: &'a str, kind: &str) -> Option<&'a str> {
        arn.strip_prefix("arn:")?
            .strip_prefix(&self.partition)?
            .strip_prefix(":iot:")?
            .strip_prefix(&self.region)?
            .strip_prefix(':')?
            .strip_prefix(&self.account)?
            .strip_prefix(':')?
            .strip_prefix(kind)
    }
}

/// The jobs, numbered in the order of their creation.
#[derive(Debug, Default)]
struct Jobs {
    list: Vec<Option<Box<Job>>>,
    by_id: BTreeMap<Arc<str>, u32>,
}

impl Jobs {
    fn get(&self, index: u32) -> Option<&Job> {
        self.list.get(index as usize)?.as_deref()
    }

    fn insert(&mut self, job: Job) {
        let index = job.record.sequence;
        self.by_id.insert(Arc::clone(&job.record.id), index);
        while self.list.len() <= index as usize {
            self.list.push(None);
        }
        self.list[index as usize] = Some(Box::new(job));
    }

    fn remove(&mut self, index: u32) {
        if let Some(job) = self.list[index as usize].take() {
            self.by_id.remove(&job.record.id);
        }
    }
}

impl std::ops::Index<u32> for Jobs {
    type Output = Job;

    #[expect(clippy::expect_used, reason = "see the message")]
    fn index(&self, index: u32) -> &Job {
        // A job goes only after its executions and every index of it have gone.
        self.get(index).expect("the numbers of jobs that are held anywhere exist")
    }
}

impl std::ops::IndexMut<u32> for Jobs {
    #[expect(clippy::expect_used, reason = "see the message")]
    fn index_mut(&mut self, index: u32) -> &mut Job {
        let job = self.list.get_mut(index as usize).and_then(Option::as_deref_mut);
        job.expect("the numbers of jobs that are held anywhere exist")
    }
}

fn check_id(id: &str) -> Result<()> {
    match id.parse::<JobId>() {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::InvalidRequest(error.to_string())),
    }
}
