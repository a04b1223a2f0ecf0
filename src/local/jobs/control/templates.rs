//! Job templates of the account, and those that AWS manages.
//!
//! A document that lies in S3 is fetched when the template is created, and never again.
//! Managed templates cannot be changed or deleted.

use std::sync::Arc;

use iotstack_jobs::{CreateTemplate, managed};
use iotstack_local_kernel::page::page as cut;
use iotstack_local_kernel::{Call, Fault, Reply};
use serde_json::{Value, json};

use super::jobs::listing;
use super::{Control, page};
use crate::error;

impl Control {
    pub(super) async fn create_template(self: Arc<Self>, call: Call) -> Result<Reply, Fault> {
        let id = call.text("jobTemplateId")?.to_owned();
        self.check(&call, &format!("jobtemplate/{id}"))?;
        let request: CreateTemplate = call.parse()?;
        let arn = self.add_template(&id, request).await?;
        Ok(json!({"jobTemplateArn": arn, "jobTemplateId": id}).into())
    }

    /// Creates a template, whoever asks for it, and answers its ARN.
    pub(crate) async fn add_template(
        &self,
        id: &str,
        mut request: CreateTemplate,
    ) -> Result<String, Fault> {
        if request.document.is_none()
            && let Some(url) = &request.document_source
        {
            request.document = Some(self.fetch(url).await?);
        }
        let created = self.jobs.act(|turn| turn.engine.create_template(id, request, turn.now));
        created.await.map_err(error::template)
    }

    pub(super) fn describe_template(&self, call: Call) -> Result<Reply, Fault> {
        let id = call.text("jobTemplateId")?;
        self.check(&call, &format!("jobtemplate/{id}"))?;
        let template = self.jobs.read(|engine, _| engine.template(id));
        Reply::of(&template.map_err(error::template)?)
    }

    pub(super) async fn delete_template(self: Arc<Self>, call: Call) -> Result<Reply, Fault> {
        let id = call.text("jobTemplateId")?;
        self.check(&call, &format!("jobtemplate/{id}"))?;
        self.remove_template(id).await?;
        Ok(Reply::empty())
    }

    /// Deletes a template, whoever asks for it.
    pub(crate) async fn remove_template(&self, id: &str) -> Result<(), Fault> {
        let deleted = self.jobs.act(|turn| turn.engine.delete_template(id));
        deleted.await.map_err(error::template)
    }

    pub(super) fn list_templates(&self, call: Call) -> Result<Reply, Fault> {
        self.check(&call, "*")?;
        let page = page(&call)?;
        let listed = self.jobs.read(|engine, _| engine.list_templates(&page));
        let (templates, next) = listed.map_err(error::template)?;
        let summaries: Vec<Value> = templates
            .iter()
            .map(|template| {
                json!({
                    "jobTemplateArn": template.job_template_arn,
                    "jobTemplateId": template.job_template_id,
                    "description": template.contents.description,
                    "createdAt": template.created_at.fractional_seconds(),
                })
            })
            .collect();
        Ok(listing("jobTemplates", summaries.into(), next))
    }

    pub(super) fn list_managed_templates(&self, call: Call) -> Result<Reply, Fault> {
        self.check(&call, "*")?;
        let name = call.optional_text("templateName")?;
        let limit = match call.optional_integer("maxResults")? {
            None => 250,
            Some(limit @ 1..=250) => usize::try_from(limit).unwrap_or(1),
            Some(limit) => {
                return Err(Fault::invalid_input(format!(
                    "maxResults is {limit}: expected 1 to 250"
                )));
            }
        };
        let all = managed::ALL.iter().filter(|t| name.is_none_or(|name| t.name == name));
        let token = call.optional_text("nextToken")?;
        let (found, next) = cut(all, |template| template.name.to_owned(), token, limit)?;
        let summaries: Vec<Value> = found.iter().map(|template| self.managed(template)).collect();
        Ok(listing("managedJobTemplates", summaries.into(), next))
    }

    pub(super) fn describe_managed_template(&self, call: Call) -> Result<Reply, Fault> {
        let name = call.text("templateName")?;
        self.check(&call, "*")?;
        let version = call.optional_text("templateVersion")?.unwrap_or(managed::VERSION);
        let template =
            managed::find(name).filter(|_| version == managed::VERSION).ok_or_else(|| {
                let message = format!("there is no managed job template `{name}` {version}");
                Fault::new("ResourceNotFoundException", 404, message)
            })?;
        let mut described = self.managed(template);
        let parameters: Vec<Value> = template
            .parameters()
            .map(|parameter| {
                json!({
                    "key": parameter.key,
                    "description": parameter.description,
                    "regex": "^.+$",
                    "example": parameter.example,
                    "optional": parameter.optional,
                })
            })
            .collect();
        described["documentParameters"] = parameters.into();
        described["document"] = template.document().to_string().into();
        Ok(described.into())
    }

    fn managed(&self, template: &managed::ManagedTemplate) -> Value {
        let account = &self.jobs.account;
        json!({
            "templateArn": template.arn(account.partition(), &account.region),
            "templateName": template.name,
            "description": template.description,
            "environments": managed::ENVIRONMENTS,
            "templateVersion": managed::VERSION,
        })
    }
}
