//! What must be written down, and how a service is read back.
//!
//! Every input marks what it has changed. The caller takes the changes and writes
//! them into a key-value store in one batch, before it answers; after a crash the
//! same records make the same service. The counters and indices are not written:
//! they are counted again. Nothing is recorded until recording is switched on.

use std::collections::BTreeMap;
use std::sync::Arc;

use iotstack_protocol::JobExecutionStatus;
use serde::{Deserialize, Serialize};

use super::{Engine, Limits, Scope};
use crate::error::{Error, Result};
use crate::execution::{Execution, Flags};
use crate::job::{Job, JobRecord};
use crate::schedule::Schedule;
use crate::slab::NONE;
use crate::thing::ThingIndex;
use crate::time::Time;

/// One record that has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where it is kept.
    pub key: String,
    /// What to write, as JSON; none to remove it.
    pub value: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Journal {
    recording: bool,
    executions: Vec<u32>,
    jobs: Vec<u32>,
    waiting: Vec<(Arc<str>, ThingIndex, bool)>,
    templates: Vec<String>,
    removed: Vec<String>,
}

/// An execution as it is written.
#[derive(Serialize, Deserialize)]
struct Written {
    status: JobExecutionStatus,
    queued: u64,
    started: u64,
    updated: u64,
    step_ends: u64,
    version: u32,
    timeout: u16,
    flags: u8,
    retries: [u8; 2],
    #[serde(default, skip_serializing_if = "Option::is_none")]
    details: Option<BTreeMap<String, String>>,
}

impl Engine {
    /// Records changes from now on; [`Engine::changes`] must then be taken regularly.
    pub fn start_recording(&mut self) {
        self.journal.recording = true;
    }

    /// Whether something has changed since the changes were taken.
    pub fn has_changes(&self) -> bool {
        let journal = &self.journal;
        !(journal.executions.is_empty()
            && journal.jobs.is_empty()
            && journal.waiting.is_empty()
            && journal.templates.is_empty()
            && journal.removed.is_empty())
    }

    /// Takes what has changed since the last time. Later entries win.
    pub fn changes(&mut self) -> Vec<Change> {
        let journal = std::mem::take(&mut self.journal);
        self.journal.recording = journal.recording;
        let mut changes: Vec<Change> =
            journal.removed.into_iter().map(|key| Change { key, value: None }).collect();
        for (job, thing, waits) in journal.waiting {
            let key = format!("waiting/{job}/{}", self.fleet.things.name(thing));
            changes.push(Change { key, value: waits.then(|| "true".to_owned()) });
        }
        for index in journal.jobs {
            if let Some(job) = self.jobs.list[index as usize].as_mut().filter(|job| job.changed) {
                job.changed = false;
                changes.push(put(format!("job/{}", job.record.id), &job.record));
            }
        }
        for id in journal.templates {
            if let Some(template) = self.templates.get(&id) {
                changes.push(put(format!("template/{id}"), template));
            }
        }
        for index in journal.executions {
            let execution = &mut self.fleet.executions[index];
            if !execution.flags.has(Flags::CHANGED) {
                continue;
            }
            execution.flags.clear(Flags::CHANGED);
            let execution = &self.fleet.executions[index];
            let written = Written {
                status: execution.status,
                queued: execution.queued_at.0,
                started: execution.started_at.0,
                updated: execution.updated_at.0,
                step_ends: execution.step_ends.0,
                version: execution.version,
                timeout: execution.timeout,
                flags: execution.flags.0,
                retries: execution.retries,
                details: execution.details.as_deref().cloned(),
            };
            changes.push(put(self.execution_key(execution), &written));
        }
        changes
    }

    /// Reads a service back from the records that were written.
    pub fn restore<K: AsRef<str>, V: AsRef<str>>(
        scope: Scope,
        limits: Limits,
        records: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Engine> {
        let mut engine = Engine::new(scope, limits);
        let (mut jobs, mut waiting, mut executions) = (Vec::new(), Vec::new(), Vec::new());
        for (key, value) in records {
            let (key, value) = (key.as_ref(), value.as_ref());
            match key.split('/').collect::<Vec<_>>()[..] {
                ["job", _] => jobs.push(read::<JobRecord>(key, value)?),
                ["template", id] => {
                    engine.templates.insert(id.to_owned(), read(key, value)?);
                }
                ["waiting", job, thing] => waiting.push((job.to_owned(), thing.to_owned())),
                ["execution", job, thing, number] => {
                    let number: u32 = number.parse().map_err(|_| damaged(key, "number"))?;
                    let written: Written = read(key, value)?;
                    executions.push((job.to_owned(), thing.to_owned(), number, written));
                }
                _ => return Err(damaged(key, "key")),
            }
        }
        jobs.sort_by_key(|record| record.sequence);
        for record in jobs {
            let config = record.request.scheduling_config.clone().unwrap_or_default();
            let schedule = Schedule::parse(&config)?;
            engine.add_job(Job::new(record, schedule));
        }
        for (job, thing) in waiting {
            let index = engine.find(&job)?;
            let thing = engine.fleet.things.intern(&thing);
            engine.jobs[index].waiting.insert(thing.0);
        }
        let mut found = Vec::with_capacity(executions.len());
        for (job, thing, number, written) in executions {
            let job = engine.find(&job)?;
            let thing = engine.fleet.things.intern(&thing);
            found.push(written.execution(job, thing, number));
        }
        found.sort_by_key(Execution::order);
        for execution in found {
            engine.add_execution(execution);
        }
        for index in 0..engine.jobs.list.len() as u32 {
            if engine.jobs.get(index).is_some() {
                engine.wake_after_restart(index);
            }
        }
        Ok(engine)
    }

    pub(super) fn touch(&mut self, index: u32) {
        let flags = &mut self.fleet.executions[index].flags;
        if self.journal.recording && !flags.has(Flags::CHANGED) {
            flags.set(Flags::CHANGED);
            self.journal.executions.push(index);
        }
    }

    pub(super) fn touch_job(&mut self, index: u32) {
        let job = &mut self.jobs[index];
        if self.journal.recording && !job.changed {
            job.changed = true;
            self.journal.jobs.push(index);
        }
    }

    pub(super) fn touch_template(&mut self, id: &str) {
        if self.journal.recording {
            self.journal.templates.push(id.to_owned());
            if !self.templates.contains_key(id) {
                self.journal.removed.push(format!("template/{id}"));
            }
        }
    }

    pub(super) fn journal_waiting(&mut self, index: u32, thing: ThingIndex, waits: bool) {
        if self.journal.recording {
            let id = Arc::clone(&self.jobs[index].record.id);
            self.journal.waiting.push((id, thing, waits));
        }
    }

    pub(super) fn journal_removed(&mut self, index: u32) {
        if self.journal.recording {
            let key = self.execution_key(&self.fleet.executions[index]);
            self.journal.removed.push(key);
        }
    }

    pub(super) fn journal_removed_job(&mut self, index: u32) {
        if self.journal.recording {
            self.journal.removed.push(format!("job/{}", self.jobs[index].record.id));
        }
    }

    fn execution_key(&self, execution: &Execution) -> String {
        let job = &self.jobs[execution.job].record.id;
        format!("execution/{job}/{}/{}", self.fleet.things.name(execution.thing), execution.number)
    }

    fn add_execution(&mut self, execution: Execution) {
        let (job, thing, status) = (execution.job, execution.thing, execution.status);
        let index = self.fleet.add(execution);
        let job = &mut self.jobs[job];
        if let Some(before) = job.latest.insert(thing.0, index) {
            job.things.subtract(self.fleet.executions[before].status);
            self.fleet.executions[index].attempt_before = before;
        }
        job.things.add(status);
        job.executions.add(status);
        job.entered[JobExecutionStatus::Queued as usize] += 1;
        if status != JobExecutionStatus::Queued {
            job.entered[status as usize] += 1;
        }
        self.start_timer(index);
    }
}

impl Written {
    fn execution(self, job: u32, thing: ThingIndex, number: u32) -> Execution {
        Execution {
            queued_at: Time(self.queued),
            started_at: Time(self.started),
            updated_at: Time(self.updated),
            step_ends: Time(self.step_ends),
            details: self.details.map(Arc::new),
            job,
            thing,
            number,
            version: self.version,
            next: NONE,
            previous: NONE,
            older: NONE,
            attempt_before: NONE,
            timeout: self.timeout,
            status: self.status,
            flags: Flags(self.flags & !Flags::CHANGED.0),
            retries: self.retries,
        }
    }
}

#[expect(clippy::expect_used, reason = "see the comment")]
fn put<T: Serialize>(key: String, value: &T) -> Change {
    // Only maps with keys that are no text fail to serialize; there are none.
    let value = serde_json::to_string(value).expect("records are plain data");
    Change { key, value: Some(value) }
}

fn read<T: for<'a> Deserialize<'a>>(key: &str, value: &str) -> Result<T> {
    serde_json::from_str(value).map_err(|error| damaged(key, &error.to_string()))
}

fn damaged(key: &str, reason: &str) -> Error {
    Error::DamagedRecord(format!("the stored record `{key}` cannot be read: {reason}"))
}
