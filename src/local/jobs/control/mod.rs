//! The control plane: jobs, executions and templates in the scope `iot`.
//!
//! `jobs`, `executions` and `templates` hold the operations by noun. Who may do what
//! is judged here by the resource; the gateway knows actions only.

mod executions;
mod jobs;
mod templates;

use std::str::FromStr;
use std::sync::Arc;

use http::Method;
use iotstack_jobs::{Force, Page, source};
use iotstack_local_kernel::{Call, Caller, Fault, Operation, Operations, Protocol, Service};

use crate::service::Jobs;

/// The control plane.
pub(crate) struct Control {
    pub jobs: Arc<Jobs>,
}

impl Service for Control {
    fn scopes(&self) -> &'static [&'static str] {
        // Older clients sign for API Gateway.
        &["iot", "execute-api"]
    }

    fn protocols(&self) -> &'static [Protocol] {
        &[Protocol::RestJson]
    }

    fn invalid_input(&self) -> &'static str {
        "InvalidRequestException"
    }

    fn operations(self: Arc<Self>) -> Vec<Operation> {
        let (get, put, post) = (Method::GET, Method::PUT, Method::POST);
        let (patch, delete) = (Method::PATCH, Method::DELETE);
        Operations::of(self)
            .rest_async("CreateJob", put.clone(), "/jobs/{jobId}", Self::create_job)
            .rest("DescribeJob", get.clone(), DESCRIBE, Self::describe_job)
            .rest_async("UpdateJob", patch, "/jobs/{jobId}?namespaceId", Self::update_job)
            .rest_async("CancelJob", put.clone(), "/jobs/{jobId}/cancel?force:bool", Self::cancel_job)
            .rest_async(
                "DeleteJob",
                delete.clone(),
                "/jobs/{jobId}?force:bool&namespaceId",
                Self::delete_job,
            )
            .rest("GetJobDocument", get.clone(), DOCUMENT, Self::job_document)
            .rest("ListJobs", get.clone(), LIST, Self::list_jobs)
            .rest_async(
                "AssociateTargetsWithJob",
                post,
                "/jobs/{jobId}/targets?namespaceId",
                Self::associate_targets,
            )
            .rest(
                "ListJobExecutionsForJob",
                get.clone(),
                "/jobs/{jobId}/things?status&maxResults:int&nextToken",
                Self::executions_for_job,
            )
            .rest("ListJobExecutionsForThing", get.clone(), FOR_THING, Self::executions_for_thing)
            .rest(
                "DescribeJobExecution",
                get.clone(),
                "/things/{thingName}/jobs/{jobId}?executionNumber:int",
                Self::describe_execution,
            )
            .rest_async(
                "CancelJobExecution",
                put.clone(),
                "/things/{thingName}/jobs/{jobId}/cancel?force:bool",
                Self::cancel_execution,
            )
            .rest_async(
                "DeleteJobExecution",
                delete.clone(),
                "/things/{thingName}/jobs/{jobId}/executionNumber/{executionNumber}?force:bool&namespaceId",
                Self::delete_execution,
            )
            .rest_async(
                "CreateJobTemplate",
                put,
                "/job-templates/{jobTemplateId}",
                Self::create_template,
            )
            .rest(
                "DescribeJobTemplate",
                get.clone(),
                "/job-templates/{jobTemplateId}",
                Self::describe_template,
            )
            .rest_async(
                "DeleteJobTemplate",
                delete,
                "/job-templates/{jobTemplateId}",
                Self::delete_template,
            )
            .rest(
                "ListJobTemplates",
                get.clone(),
                "/job-templates?maxResults:int&nextToken",
                Self::list_templates,
            )
            .rest(
                "ListManagedJobTemplates",
                get.clone(),
                "/managed-job-templates?templateName&maxResults:int&nextToken",
                Self::list_managed_templates,
            )
            .rest(
                "DescribeManagedJobTemplate",
                get,
                "/managed-job-templates/{templateName}?templateVersion",
                Self::describe_managed_template,
            )
            .list()
    }
}

impl Control {
    /// Refuses a caller who may not do what it asks for on a resource, such as `job/j1`.
    pub(crate) fn check(&self, call: &Call, resource: &str) -> Result<(), Fault> {
        let cloud = self.jobs.cloud()?;
        let arn = match resource {
            "*" => resource.to_owned(),
            arn if arn.starts_with("arn:") => arn.to_owned(),
            resource => cloud.account.arn("iot", resource),
        };
        let action = format!("iot:{}", call.operation);
        let (caller, allowed) = match &call.caller {
            Caller::Root | Caller::Service { .. } => return Ok(()),
            Caller::Principal { arn: caller } => {
                (caller, cloud.ports.credentials()?.allows(&call.caller, &action, &arn))
            }
            // A certificate opens the data plane alone.
            Caller::Device { certificate_id } => (certificate_id, false),
        };
        if allowed {
            return Ok(());
        }
        let message =
            format!("User: {caller} is not authorized to perform: {action} on resource: {arn}");
        Err(Fault::new("AccessDeniedException", 403, message))
    }

    /// Fetches the document that a request names instead of holding it.
    async fn fetch(&self, url: &str) -> Result<String, Fault> {
        let refuse = |reason: &str| {
            Fault::new(
                "InvalidRequestException",
                400,
                format!("documentSource `{url}` cannot be read: {reason}"),
            )
        };
        if !(1..=1350).contains(&url.len()) {
            return Err(refuse("expected 1 to 1350 characters"));
        }
        let (bucket, key, version) =
            source(url).ok_or_else(|| refuse("expected the URL of an object in Amazon S3"))?;
        let cloud = self.jobs.cloud()?;
        let objects = cloud.ports.objects()?;
        let object = objects
            .get(&bucket, &key, version.as_deref())
            .await
            .map_err(|fault| refuse(&fault.message))?;
        String::from_utf8(object.bytes.to_vec()).map_err(|_| refuse("it is not UTF-8"))
    }
}

/// Reads which part of a list is asked for.
pub(crate) fn page(call: &Call) -> Result<Page, Fault> {
    Ok(Page {
        max_results: call.optional_integer("maxResults")?,
        next_token: call.optional_text("nextToken")?.map(str::to_owned),
    })
}

fn force(call: &Call) -> Result<Force, Fault> {
    Ok(call.flag("force")?.into())
}

/// A member that is one of a list of words.
fn word<T: FromStr<Err: std::fmt::Display>>(call: &Call, member: &str) -> Result<Option<T>, Fault> {
    let Some(word) = call.optional_text(member)? else { return Ok(None) };
    match word.parse::<T>() {
        Ok(word) => Ok(Some(word)),
        Err(error) => Err(Fault::invalid_input(error.to_string())),
    }
}

const DESCRIBE: &str = "/jobs/{jobId}?beforeSubstitution:bool";
const DOCUMENT: &str = "/jobs/{jobId}/job-document?beforeSubstitution:bool";
const LIST: &str = "/jobs?status&targetSelection&maxResults:int&nextToken&thingGroupName\
    &thingGroupId&namespaceId";
const FOR_THING: &str =
    "/things/{thingName}/jobs?status&namespaceId&maxResults:int&nextToken&jobId";
