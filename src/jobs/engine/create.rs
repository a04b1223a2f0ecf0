//! Jobs begin and change: CreateJob, UpdateJob, AssociateTargetsWithJob.
//!
//! Everything that a request says is judged before anything happens. What it does
//! not say may come from a job template; what it says wins.

use std::collections::BTreeSet;
use std::sync::Arc;

use iotstack_protocol::{JobStatus, TargetSelection};

use super::{Engine, Membership, check_id};
use crate::config::{RetryConfig, check_all};
use crate::document;
use crate::effect::Effect;
use crate::error::{Error, Result, invalid};
use crate::job::{Counts, CreateJob, Job, JobRecord, Tag, UpdateJob};
use crate::rollout::Rollout;
use crate::schedule::Schedule;
use crate::slab::NONE;
use crate::text::{check_text, is_word, shortened};
use crate::thing::ThingIndex;
use crate::time::Time;

impl Engine {
    /// Creates a job and tells the first things.
    ///
    /// `request.document` holds the document, also if it came from a source that
    /// the caller has fetched.
    pub fn create_job(
        &mut self,
        id: &str,
        mut request: CreateJob,
        members: &dyn Membership,
        now: Time,
        out: &mut Vec<Effect>,
    ) -> Result<()> {
        self.advance(now, out);
        check_id(id)?;
        if self.jobs.by_id.contains_key(id) {
            return Err(Error::ResourceAlreadyExists(format!("the job `{id}` exists already")));
        }
        self.apply_template(&mut request)?;
        let schedule = check(&request, now)?;
        self.check_targets(&request.targets, 0, members)?;
        if self.active >= self.limits.active_jobs {
            return Err(Error::LimitExceeded(format!(
                "{} jobs are active: expected at most {}",
                self.active, self.limits.active_jobs
            )));
        }
        let sequence = u32::try_from(self.jobs.list.len())
            .ok()
            .filter(|sequence| *sequence != NONE)
            .ok_or_else(|| Error::LimitExceeded("no more jobs can be numbered".to_owned()))?;
        let record = JobRecord {
            sequence,
            id: id.into(),
            request,
            status: JobStatus::InProgress,
            force_canceled: false,
            reason_code: None,
            comment: None,
            created_at: now,
            updated_at: now,
            completed_at: None,
            rollout: Rollout::default(),
            rolled_out: false,
            ended: false,
            sweep: None,
        };
        self.add_job(Job::new(record, schedule));
        let targets = self.jobs[sequence].record.request.targets.clone();
        self.add_targets(sequence, &targets, members);
        self.touch_job(sequence);
        self.drive(sequence, now, out);
        Ok(())
    }

    /// Changes what may be changed while a job is active.
    pub fn update_job(
        &mut self,
        id: &str,
        update: UpdateJob,
        now: Time,
        out: &mut Vec<Effect>,
    ) -> Result<()> {
        self.advance(now, out);
        let index = self.find(id)?;
        let job = &self.jobs[index];
        if !job.is_active() {
            return invalid(format!(
                "the job `{id}` is {}: expected SCHEDULED or IN_PROGRESS",
                job.record.status
            ));
        }
        check_text("description", update.description.as_deref(), 2028)?;
        check_all(&[
            &update.presigned_url_config,
            &update.job_executions_rollout_config,
            &update.abort_config,
            &update.timeout_config,
            &update.job_executions_retry_config,
        ])?;
        if let Some(config) = &update.job_executions_retry_config {
            let before = job.record.request.job_executions_retry_config.as_ref();
            if before != Some(config)
                && config.criteria_list.iter().any(|c| c.number_of_retries > 0)
            {
                return invalid(
                    "jobExecutionsRetryConfig of a job that exists can only be lowered: expected \
                     every numberOfRetries to be 0",
                );
            }
        }
        let record = &mut self.jobs[index].record;
        let request = &mut record.request;
        let rollout = &update.job_executions_rollout_config;
        if rollout.is_some() && *rollout != request.job_executions_rollout_config {
            record.rollout.begin_again();
        }
        replace(&mut request.description, update.description);
        replace(&mut request.presigned_url_config, update.presigned_url_config);
        replace(&mut request.job_executions_rollout_config, update.job_executions_rollout_config);
        replace(&mut request.abort_config, update.abort_config);
        replace(&mut request.timeout_config, update.timeout_config);
        lower(&mut request.job_executions_retry_config, update.job_executions_retry_config);
        record.updated_at = now;
        self.touch_job(index);
        self.drive(index, now, out);
        Ok(())
    }

    /// Adds targets to a continuous job that is in progress.
    pub fn associate_targets(
        &mut self,
        id: &str,
        targets: &[String],
        comment: Option<String>,
        members: &dyn Membership,
        now: Time,
        out: &mut Vec<Effect>,
    ) -> Result<()> {
        self.advance(now, out);
        let index = self.find(id)?;
        let job = &self.jobs[index];
        if !job.is_continuous() || job.record.status != JobStatus::InProgress {
            return invalid(format!(
                "the job `{id}` is {} and {}: expected CONTINUOUS and IN_PROGRESS",
                job.selection(),
                job.record.status
            ));
        }
        if job.record.ended {
            return invalid(format!("the end time of the job `{id}` is over: nothing can begin"));
        }
        check_text("comment", comment.as_deref(), 2028)?;
        let known: BTreeSet<&String> = job.record.request.targets.iter().collect();
        let mut added: Vec<String> = Vec::new();
        for target in targets {
            if !known.contains(target) && !added.contains(target) {
                added.push(target.clone());
            }
        }
        let held = job.record.request.targets.len();
        if targets.is_empty() {
            return invalid("targets is empty: expected at least one");
        }
        self.check_targets(&added, held, members)?;
        let job = &mut self.jobs[index];
        job.record.request.targets.extend(added.iter().cloned());
        job.record.updated_at = now;
        if comment.is_some() {
            job.record.comment = comment;
        }
        job.record.rolled_out = false;
        self.add_targets(index, &added, members);
        self.touch_job(index);
        self.drive(index, now, out);
        Ok(())
    }

    /// Puts a job into every index.
    pub(super) fn add_job(&mut self, job: Job) {
        let index = job.record.sequence;
        if job.is_active() {
            self.active += 1;
        }
        if job.record.status == JobStatus::DeletionInProgress {
            self.deleting += 1;
        }
        if job.is_active() && job.is_continuous() {
            self.continuous.insert(index);
        }
        self.jobs.insert(job);
    }

    fn add_targets(&mut self, index: u32, targets: &[String], members: &dyn Membership) {
        let mut found: Vec<ThingIndex> = Vec::new();
        for target in targets {
            if let Some(thing) = self.scope.thing(target) {
                found.push(self.fleet.things.intern(thing));
            } else if let Some(group) = self.scope.group(target) {
                let things = &mut self.fleet.things;
                members.each_member(group, &mut |thing| found.push(things.intern(thing)));
            }
        }
        found.retain(|thing| self.may_begin(index, *thing));
        for thing in &found {
            self.journal_waiting(index, *thing, true);
        }
        // In one go, because a set of a million is built much faster than filled.
        let mut waiting: BTreeSet<u32> = found.iter().map(|thing| thing.0).collect();
        self.jobs[index].waiting.append(&mut waiting);
    }

    /// Whether a job should begin on a thing that has become a target.
    pub(super) fn may_begin(&self, index: u32, thing: ThingIndex) -> bool {
        match self.jobs[index].latest.get(&thing.0) {
            None => true,
            Some(latest) => {
                let status = self.fleet.executions[*latest].status;
                status.is_terminal() && status != iotstack_protocol::JobExecutionStatus::Succeeded
            }
        }
    }

    fn check_targets(
        &self,
        targets: &[String],
        held: usize,
        members: &dyn Membership,
    ) -> Result<()> {
        if targets.is_empty() && held == 0 {
            return invalid("targets is empty: expected at least one thing or thing group");
        }
        if held + targets.len() > self.limits.targets {
            return Err(Error::LimitExceeded(format!(
                "the job has {} targets: expected at most {}",
                held + targets.len(),
                self.limits.targets
            )));
        }
        for target in targets {
            let length = target.chars().count();
            if length > 2048 {
                return invalid(format!(
                    "the target `{}…` has {length} characters: expected at most 2048",
                    shortened(target)
                ));
            }
            let exists = if let Some(thing) = self.scope.thing(target) {
                members.thing_exists(thing)
            } else if let Some(group) = self.scope.group(target) {
                members.group_exists(group)
            } else {
                return invalid(format!(
                    "the target `{}` is not valid: expected the ARN of a thing or a thing group, \
                     such as `{}`",
                    shortened(target),
                    self.scope.arn("thinggroup", "NAME")
                ));
            };
            if !exists {
                return Err(Error::ResourceNotFound(format!(
                    "the target `{}` does not exist",
                    shortened(target)
                )));
            }
        }
        Ok(())
    }
}

impl Job {
    /// A job without executions.
    pub(super) fn new(record: JobRecord, schedule: Schedule) -> Job {
        Job {
            namespace: record.request.namespace_id.as_deref().map(Arc::from),
            document: record.request.document.as_deref().unwrap_or_default().into(),
            record,
            schedule,
            waiting: BTreeSet::new(),
            latest: std::collections::BTreeMap::new(),
            things: Counts::default(),
            executions: Counts::default(),
            entered: [0; 8],
            wake: None,
            changed: false,
        }
    }
}

/// Judges a request that templates have completed.
fn check(request: &CreateJob, now: Time) -> Result<Schedule> {
    check_text("description", request.description.as_deref(), 2028)?;
    check_all(&[
        &request.presigned_url_config,
        &request.job_executions_rollout_config,
        &request.abort_config,
        &request.timeout_config,
        &request.job_executions_retry_config,
    ])?;
    if let Some(namespace) = request.namespace_id.as_deref().filter(|space| !is_word(space)) {
        return invalid(format!(
            "namespaceId `{}` is not valid: expected the characters a-z, A-Z, 0-9, `_` and `-`",
            shortened(namespace)
        ));
    }
    check_tags(&request.tags)?;
    check_packages(request.destination_package_versions.as_deref())?;
    check_source(request.document_source.as_deref())?;
    let Some(document) = &request.document else {
        return invalid(
            "the job has no document: expected document, documentSource or jobTemplateArn",
        );
    };
    let signs = document::check(document)?;
    let role = request.presigned_url_config.as_ref().and_then(|config| config.role_arn.as_ref());
    if signs && role.is_none() {
        return invalid(
            "the document asks for presigned URLs: expected presignedUrlConfig with the roleArn \
             that signs them",
        );
    }
    let selection = request.target_selection.unwrap_or(TargetSelection::Snapshot);
    match &request.scheduling_config {
        Some(config) => Schedule::create(config, selection, now),
        None => Ok(Schedule::default()),
    }
}

pub(super) fn check_tags(tags: &[Tag]) -> Result<()> {
    if tags.len() > 50 {
        return invalid(format!("tags has {} entries: expected at most 50", tags.len()));
    }
    for tag in tags {
        let length = tag.key.chars().count();
        let value = tag.value.as_deref().map_or(0, |value| value.chars().count());
        let is_reserved = tag.key.to_ascii_lowercase().starts_with("aws:");
        if !(1..=128).contains(&length) || value > 256 || is_reserved {
            return invalid(format!(
                "the tag `{}` is not valid: expected a key of 1 to 128 characters that does not \
                 begin with `aws:` and a value of at most 256",
                shortened(&tag.key)
            ));
        }
    }
    Ok(())
}

/// Judges the versions that a job brings; whether they exist is not known here.
pub(super) fn check_packages(versions: Option<&[String]>) -> Result<()> {
    let versions = versions.unwrap_or_default();
    if versions.len() > 25 {
        return invalid(format!(
            "destinationPackageVersions has {} entries: expected at most 25",
            versions.len()
        ));
    }
    let is_version = |arn: &str| {
        let resource = arn.strip_prefix("arn:").and_then(|arn| arn.splitn(5, ':').nth(4));
        let names =
            resource.and_then(|name| name.strip_prefix("package/")?.split_once("/version/"));
        arn.len() <= 1600
            && arn.bytes().all(|byte| byte.is_ascii_graphic())
            && names.is_some_and(|(package, version)| !package.is_empty() && !version.is_empty())
    };
    match versions.iter().find(|arn| !is_version(arn)) {
        None => Ok(()),
        Some(arn) => invalid(format!(
            "destinationPackageVersions has `{}`: expected ARNs of package versions, which end in \
             `package/NAME/version/VERSION`",
            shortened(arn)
        )),
    }
}

/// Judges the place of a document that the caller has fetched.
pub(super) fn check_source(source: Option<&str>) -> Result<()> {
    match source.map(|source| source.chars().count()) {
        Some(length) if !(1..=1350).contains(&length) => {
            invalid(format!("documentSource has {length} characters: expected 1 to 1350"))
        }
        _ => Ok(()),
    }
}

fn replace<T>(place: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *place = value;
    }
}

/// Sets the retries to zero but keeps the criteria, so that used retries stay theirs.
fn lower(place: &mut Option<RetryConfig>, value: Option<RetryConfig>) {
    match (place.as_mut(), value) {
        (Some(config), Some(value)) if *config != value => {
            config.criteria_list.iter_mut().for_each(|c| c.number_of_retries = 0);
        }
        (None, Some(value)) => *place = Some(value),
        _ => {}
    }
}
