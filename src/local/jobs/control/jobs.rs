//! Jobs: create, describe, update, cancel, delete, list, and add targets.
//!
//! Groups are asked for their members before the engine is locked; things that move in
//! the meantime are looked at again afterwards. What a resource of a stack needs is
//! apart from what a request needs, because only requests have a caller.

use std::sync::Arc;

use iotstack_jobs::{CancelJob, CreateJob, JobFilter, UpdateJob, managed};
use iotstack_local_kernel::{Call, Fault, Reply};
use serde_json::{Map, Value, json};

use super::{Control, force, page, word};
use crate::error;
use crate::members::Named;

impl Control {
    pub(super) async fn create_job(self: Arc<Self>, call: Call) -> Result<Reply, Fault> {
        let id = call.text("jobId")?.to_owned();
        let request: CreateJob = call.parse()?;
        self.check(&call, &format!("job/{id}"))?;
        for target in &request.targets {
            self.check(&call, target)?;
        }
        self.create(&id, request).await
    }

    /// Creates a job, whoever asks for it.
    pub(crate) async fn create(&self, id: &str, mut request: CreateJob) -> Result<Reply, Fault> {
        if request.document.is_none()
            && let Some(url) = &request.document_source
        {
            request.document = Some(self.fetch(url).await?);
        }
        let registry = self.jobs.cloud()?.ports.registry()?.clone();
        let targets = request.targets.clone();
        let named = Named::of(&targets, &*registry)?;
        let created = self.jobs.act(|turn| {
            turn.engine.create_job(id, request, &named, turn.now, &mut turn.effects)?;
            turn.changed.insert(id.into());
            Ok((turn.engine.job_arn(id), turn.engine.job(id, turn.now)?.description))
        });
        let (arn, description) = created.await.map_err(error::control)?;
        self.notice_moves(&targets, &named)?;
        Ok(answer(arn, id, description))
    }

    pub(super) fn describe_job(&self, call: Call) -> Result<Reply, Fault> {
        let id = call.text("jobId")?;
        self.check(&call, &format!("job/{id}"))?;
        let described = self.jobs.read(|engine, now| {
            let source = engine.document_source(id)?.map(str::to_owned);
            Ok((source, engine.job(id, now)?))
        });
        let (source, job) = described.map_err(error::control)?;
        let mut body = Map::new();
        if let Some(source) = source {
            body.insert("documentSource".to_owned(), source.into());
        }
        body.insert("job".to_owned(), json!(job));
        Ok(Value::Object(body).into())
    }

    pub(super) fn job_document(&self, call: Call) -> Result<Reply, Fault> {
        let id = call.text("jobId")?;
        self.check(&call, &format!("job/{id}"))?;
        let before = call.flag("beforeSubstitution")?;
        let found = self.jobs.read(|engine, now| {
            Ok((engine.job_document(id)?, engine.job(id, now)?.job_template_arn))
        });
        let (document, template) = found.map_err(error::control)?;
        let template = template.as_deref().filter(|_| before).and_then(|arn| {
            let name = arn.rsplit_once(":jobtemplate/")?.1;
            managed::find(name.split(':').next()?)
        });
        let document = match template {
            Some(template) => template.document().to_string(),
            None => document.to_string(),
        };
        Ok(json!({ "document": document }).into())
    }

    pub(super) fn list_jobs(&self, call: Call) -> Result<Reply, Fault> {
        self.check(&call, "*")?;
        if call.optional_text("thingGroupId")?.is_some() {
            return Err(Fault::invalid_input(
                "thingGroupId cannot be asked for here: expected thingGroupName",
            ));
        }
        let filter = JobFilter {
            status: word(&call, "status")?,
            target_selection: word(&call, "targetSelection")?,
            thing_group_name: call.optional_text("thingGroupName")?.map(str::to_owned),
            namespace_id: call.optional_text("namespaceId")?.map(str::to_owned),
        };
        let page = page(&call)?;
        let listed = self.jobs.read(|engine, _| engine.list_jobs(&filter, &page));
        let (jobs, next) = listed.map_err(error::control)?;
        Ok(listing("jobs", json!(jobs), next))
    }

    pub(super) async fn update_job(self: Arc<Self>, call: Call) -> Result<Reply, Fault> {
        let id = call.text("jobId")?;
        self.check(&call, &format!("job/{id}"))?;
        let update: UpdateJob = call.parse()?;
        self.update(id, update).await?;
        Ok(Reply::empty())
    }

    /// Changes a job, whoever asks for it.
    pub(crate) async fn update(&self, id: &str, update: UpdateJob) -> Result<(), Fault> {
        let updated = self.jobs.act(|turn| {
            turn.changed.insert(id.into());
            turn.engine.update_job(id, update, turn.now, &mut turn.effects)
        });
        updated.await.map_err(error::control)
    }

    pub(super) async fn cancel_job(self: Arc<Self>, call: Call) -> Result<Reply, Fault> {
        let id = call.text("jobId")?;
        self.check(&call, &format!("job/{id}"))?;
        let force = force(&call)?;
        let request = CancelJob {
            reason_code: call.optional_text("reasonCode")?.map(str::to_owned),
            comment: call.optional_text("comment")?.map(str::to_owned),
        };
        let cancelled = self.jobs.act(|turn| {
            let (now, out) = (turn.now, &mut turn.effects);
            turn.engine.cancel_job(id, request, force, now, out)?;
            Ok((turn.engine.job_arn(id), turn.engine.job(id, now)?.description))
        });
        let (arn, description) = cancelled.await.map_err(error::control)?;
        Ok(answer(arn, id, description))
    }

    pub(super) async fn delete_job(self: Arc<Self>, call: Call) -> Result<Reply, Fault> {
        let id = call.text("jobId")?;
        self.check(&call, &format!("job/{id}"))?;
        let force = force(&call)?;
        self.delete(id, force).await?;
        Ok(Reply::empty())
    }

    /// Begins to delete a job, whoever asks for it.
    pub(crate) async fn delete(&self, id: &str, force: iotstack_jobs::Force) -> Result<(), Fault> {
        let deleted =
            self.jobs.act(|turn| turn.engine.delete_job(id, force, turn.now, &mut turn.effects));
        deleted.await.map_err(error::control)
    }

    pub(super) async fn associate_targets(self: Arc<Self>, call: Call) -> Result<Reply, Fault> {
        let id = call.text("jobId")?;
        self.check(&call, &format!("job/{id}"))?;
        let targets: Vec<String> = match call.input.get("targets") {
            Some(targets) => serde_json::from_value(targets.clone())
                .map_err(|error| Fault::invalid_input(format!("targets: {error}")))?,
            None => return Err(Fault::invalid_input("targets is required")),
        };
        for target in &targets {
            self.check(&call, target)?;
        }
        let comment = call.optional_text("comment")?.map(str::to_owned);
        let registry = self.jobs.cloud()?.ports.registry()?.clone();
        let named = Named::of(&targets, &*registry)?;
        let associated = self.jobs.act(|turn| {
            let (now, out) = (turn.now, &mut turn.effects);
            turn.engine.associate_targets(id, &targets, comment, &named, now, out)?;
            turn.changed.insert(id.into());
            Ok((turn.engine.job_arn(id), turn.engine.job(id, now)?.description))
        });
        let (arn, description) = associated.await.map_err(error::control)?;
        self.notice_moves(&targets, &named)?;
        Ok(answer(arn, id, description))
    }

    /// Looks again at things that moved while the engine was given its targets.
    fn notice_moves(&self, targets: &[String], named: &Named) -> Result<(), Fault> {
        let cloud = self.jobs.cloud()?;
        let after = Named::of(targets, &**cloud.ports.registry()?)?;
        for thing in named.difference(&after) {
            self.jobs.note_moved(&thing, false);
        }
        Ok(())
    }
}

/// An answer that names a job.
fn answer(arn: String, id: &str, description: Option<String>) -> Reply {
    let mut body = Map::new();
    body.insert("jobArn".to_owned(), arn.into());
    body.insert("jobId".to_owned(), id.into());
    if let Some(description) = description {
        body.insert("description".to_owned(), description.into());
    }
    Value::Object(body).into()
}

/// An answer that is a page of a list.
pub(super) fn listing(member: &str, items: Value, next: Option<String>) -> Reply {
    let mut body = Map::new();
    body.insert(member.to_owned(), items);
    if let Some(next) = next {
        body.insert("nextToken".to_owned(), next.into());
    }
    Value::Object(body).into()
}
