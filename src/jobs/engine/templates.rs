//! Job templates: kept ones of the account, and those that AWS manages.
//!
//! A template supplies what a CreateJob request leaves out. Templates never change;
//! a job that was made from one keeps what it was made with.

use iotstack_protocol::jobs::DOCUMENT_LIMIT;
use serde::{Deserialize, Serialize};

use super::create::{check_packages, check_source, check_tags};
use super::{Engine, Page};
use crate::config::{
    AbortConfig, MaintenanceWindow, PresignedUrlConfig, RetryConfig, RolloutConfig, TimeoutConfig,
    check_all,
};
use crate::document;
use crate::error::{Error, Result, invalid};
use crate::job::{CreateJob, Tag, epoch};
use crate::managed;
use crate::schedule::check_windows;
use crate::text::{check_text, is_word, shortened};
use crate::time::Time;

/// A request to create a job template; the names are those of the API.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the names of the API say it; CreateJob describes them")]
pub struct CreateTemplate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_source: Option<String>,
    #[serde(skip_serializing)]
    pub job_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presigned_url_config: Option<PresignedUrlConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_executions_rollout_config: Option<RolloutConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort_config: Option<AbortConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_config: Option<TimeoutConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_executions_retry_config: Option<RetryConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance_windows: Option<Vec<MaintenanceWindow>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_package_versions: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
}

/// A template that is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Template {
    request: CreateTemplate,
    created_at: Time,
}

/// A template, as DescribeJobTemplate shows it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateView {
    /// Its ARN.
    pub job_template_arn: String,
    /// Its id.
    pub job_template_id: String,
    /// When it was created.
    #[serde(serialize_with = "epoch")]
    pub created_at: Time,
    /// What it supplies; its tags are not shown.
    #[serde(flatten)]
    pub contents: CreateTemplate,
}

impl Engine {
    /// Creates a job template and answers its ARN.
    pub fn create_template(
        &mut self,
        id: &str,
        mut request: CreateTemplate,
        now: Time,
    ) -> Result<String> {
        if id.len() > 64 || !is_word(id) {
            return invalid(format!(
                "jobTemplateId `{}` is not valid: expected 1 to 64 of the characters a-z, A-Z, \
                 0-9, `_` and `-`",
                shortened(id)
            ));
        }
        if self.templates.contains_key(id) {
            return Err(Error::Conflict(format!("the job template `{id}` exists already")));
        }
        self.copy_job(&mut request)?;
        check(&request, now)?;
        if self.templates.len() >= self.limits.templates {
            return Err(Error::LimitExceeded(format!(
                "{} job templates exist: expected at most {}",
                self.templates.len(),
                self.limits.templates
            )));
        }
        self.templates.insert(id.to_owned(), Template { request, created_at: now });
        self.touch_template(id);
        Ok(self.scope.arn("jobtemplate", id))
    }

    /// A job template.
    pub fn template(&self, id: &str) -> Result<TemplateView> {
        let template = self.find_template(id)?;
        let contents = CreateTemplate { tags: Vec::new(), ..template.request.clone() };
        Ok(TemplateView {
            job_template_arn: self.scope.arn("jobtemplate", id),
            job_template_id: id.to_owned(),
            created_at: template.created_at,
            contents,
        })
    }

    /// The tags of a job template.
    pub fn template_tags(&self, id: &str) -> Result<&[Tag]> {
        Ok(&self.find_template(id)?.request.tags)
    }

    /// Gives a job template other tags.
    pub fn set_template_tags(&mut self, id: &str, tags: Vec<Tag>) -> Result<()> {
        check_tags(&tags)?;
        self.find_template(id)?;
        if let Some(template) = self.templates.get_mut(id) {
            template.request.tags = tags;
        }
        self.touch_template(id);
        Ok(())
    }

    /// The tags of a job.
    pub fn job_tags(&self, id: &str) -> Result<&[Tag]> {
        Ok(&self.jobs[self.find(id)?].record.request.tags)
    }

    /// Gives a job other tags, whatever its state.
    pub fn set_job_tags(&mut self, id: &str, tags: Vec<Tag>) -> Result<()> {
        check_tags(&tags)?;
        let index = self.find(id)?;
        self.jobs[index].record.request.tags = tags;
        self.touch_job(index);
        Ok(())
    }

    /// Deletes a job template; jobs that were made from it stay.
    pub fn delete_template(&mut self, id: &str) -> Result<()> {
        self.find_template(id)?;
        self.templates.remove(id);
        self.touch_template(id);
        Ok(())
    }

    /// The job templates in the order of their ids.
    pub fn list_templates(&self, page: &Page) -> Result<(Vec<TemplateView>, Option<String>)> {
        let size = page.size()?;
        let after = page.next_token.clone().unwrap_or_default();
        let ids: Vec<&String> =
            self.templates.keys().filter(|id| **id > after).take(size + 1).collect();
        let next = (ids.len() > size).then(|| ids[size - 1].clone());
        let views = ids.iter().take(size).map(|id| self.template(id)).collect::<Result<_>>()?;
        Ok((views, next))
    }

    /// Completes a request with what its template says.
    pub(super) fn apply_template(&self, request: &mut CreateJob) -> Result<()> {
        let Some(arn) = request.job_template_arn.clone() else {
            if request.document_parameters.is_some() {
                return invalid("documentParameters is for jobs from a managed job template");
            }
            return Ok(());
        };
        if let Some(template) = managed::find_arn(&arn, &self.scope.partition, &self.scope.region) {
            let given = request.document_parameters.clone().unwrap_or_default();
            request.document = Some(template.fill(&given)?);
            request.description.get_or_insert_with(|| template.description.to_owned());
            return Ok(());
        }
        if request.document_parameters.is_some() {
            return invalid("documentParameters is for jobs from a managed job template");
        }
        let id = self.scope.name(&arn, "jobtemplate/").ok_or_else(|| {
            let arn = shortened(&arn);
            Error::InvalidRequest(format!(
                "jobTemplateArn `{arn}` is no ARN of a job template here"
            ))
        })?;
        let template = self.find_template(id)?.request.clone();
        if request.document.is_none() {
            request.document = template.document;
            request.document_source = request.document_source.take().or(template.document_source);
        }
        supply(&mut request.description, template.description);
        supply(&mut request.presigned_url_config, template.presigned_url_config);
        supply(&mut request.job_executions_rollout_config, template.job_executions_rollout_config);
        supply(&mut request.abort_config, template.abort_config);
        supply(&mut request.timeout_config, template.timeout_config);
        supply(&mut request.job_executions_retry_config, template.job_executions_retry_config);
        supply(&mut request.destination_package_versions, template.destination_package_versions);
        if let Some(windows) = template.maintenance_windows {
            let scheduling = request.scheduling_config.get_or_insert_default();
            supply(&mut scheduling.maintenance_windows, Some(windows));
        }
        Ok(())
    }

    /// Takes from a job what a template of it leaves out.
    fn copy_job(&self, request: &mut CreateTemplate) -> Result<()> {
        let Some(arn) = &request.job_arn else { return Ok(()) };
        let id = self.scope.name(arn, "job/").ok_or_else(|| {
            let arn = shortened(arn);
            Error::InvalidRequest(format!("jobArn `{arn}` is no ARN of a job here"))
        })?;
        let job = self.jobs[self.find(id)?].record.request.clone();
        if request.document.is_none() {
            request.document = job.document;
            supply(&mut request.document_source, job.document_source);
        }
        supply(&mut request.presigned_url_config, job.presigned_url_config);
        supply(&mut request.job_executions_rollout_config, job.job_executions_rollout_config);
        supply(&mut request.abort_config, job.abort_config);
        supply(&mut request.timeout_config, job.timeout_config);
        supply(&mut request.job_executions_retry_config, job.job_executions_retry_config);
        supply(&mut request.destination_package_versions, job.destination_package_versions);
        let windows = job.scheduling_config.and_then(|config| config.maintenance_windows);
        supply(&mut request.maintenance_windows, windows);
        Ok(())
    }

    fn find_template(&self, id: &str) -> Result<&Template> {
        self.templates.get(id).ok_or_else(|| {
            let id = shortened(id);
            Error::ResourceNotFound(format!("there is no job template `{id}`"))
        })
    }
}

fn check(request: &CreateTemplate, now: Time) -> Result<()> {
    let Some(description) = &request.description else {
        return invalid("the job template has no description");
    };
    check_text("description", Some(description), 2028)?;
    check_all(&[
        &request.presigned_url_config,
        &request.job_executions_rollout_config,
        &request.abort_config,
        &request.timeout_config,
        &request.job_executions_retry_config,
    ])?;
    check_tags(&request.tags)?;
    check_packages(request.destination_package_versions.as_deref())?;
    check_source(request.document_source.as_deref())?;
    check_windows(request.maintenance_windows.as_deref().unwrap_or_default(), now)?;
    let Some(text) = &request.document else {
        return invalid(
            "the job template has no document: expected document, documentSource or jobArn",
        );
    };
    if text.len() > DOCUMENT_LIMIT {
        return invalid(format!(
            "the job document has {} bytes: expected at most {DOCUMENT_LIMIT}",
            text.len()
        ));
    }
    document::check(text).map(|_| ())
}

fn supply<T>(place: &mut Option<T>, value: Option<T>) {
    if place.is_none() {
        *place = value;
    }
}
