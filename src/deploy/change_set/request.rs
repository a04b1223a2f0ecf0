//! What is sent to CloudFormation for a change set.
//!
//! Everything that can be found wrong without asking AWS is found here, before anything
//! is waited for or created: the template's size, parameters that the template does not
//! have, parameters without a value.

use aws_sdk_cloudformation as cfn;
use cfn::operation::create_change_set::builders::CreateChangeSetFluentBuilder;
use indexmap::IndexMap;
use iotstack_assembly::StackArtifact;
use serde_json::Value;

use super::{DeployOptions, INLINE_TEMPLATE_LIMIT, OnFailure, TEMPLATE_LIMIT};
use crate::stack::Stack;
use crate::{Clients, Error, Result};

/// A change set to be asked for.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) stack: String,
    pub(crate) change_set_name: String,
    pub(crate) template: TemplateSource,
    /// The template's parameters, as it declares them.
    pub(crate) declared: IndexMap<String, Value>,
    /// The values that were given.
    pub(crate) parameters: IndexMap<String, String>,
    pub(crate) previous_parameters: bool,
    pub(crate) tags: IndexMap<String, String>,
    pub(crate) notification_arns: Vec<String>,
    pub(crate) role_arn: Option<String>,
    pub(crate) on_failure: OnFailure,
}

/// How the template travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TemplateSource {
    /// In the request.
    Inline(String),
    /// From a bucket.
    Url(String),
}

impl Request {
    /// The request for a stack of an assembly.
    pub(crate) fn from_artifact(
        clients: &Clients,
        artifact: &StackArtifact,
        options: &DeployOptions,
    ) -> Result<Self> {
        let properties = &artifact.properties;
        let template = artifact.template()?;
        let mut parameters = properties.parameters.clone();
        for (name, value) in &options.parameters {
            parameters.insert(name.clone(), value.clone());
        }
        check_names(artifact, &template.parameters, &parameters)?;
        let mut tags = properties.tags.clone();
        tags.extend(options.tags.clone());
        let notification_arns = match options.notification_arns.as_slice() {
            [] => &properties.notification_arns,
            given => given,
        };
        let role = options
            .role_arn
            .as_ref()
            .or(properties.cloud_formation_execution_role_arn.as_ref())
            .map(|role| clients.fill_in(role));
        Ok(Request {
            stack: artifact.stack_name.clone(),
            change_set_name: options.change_set_name.clone(),
            template: template_source(clients, artifact)?,
            declared: template.parameters,
            parameters,
            previous_parameters: options.previous_parameters,
            tags,
            notification_arns: notification_arns.iter().map(|arn| clients.fill_in(arn)).collect(),
            role_arn: role,
            on_failure: options.on_failure,
        })
    }

    /// The call, given how the stack stands.
    pub(super) fn call(
        &self,
        clients: &Clients,
        stack: Option<&Stack>,
    ) -> Result<CreateChangeSetFluentBuilder> {
        let kind = match super::creates(stack) {
            true => cfn::types::ChangeSetType::Create,
            false => cfn::types::ChangeSetType::Update,
        };
        let call = clients
            .cloudformation
            .create_change_set()
            .stack_name(&self.stack)
            .change_set_name(&self.change_set_name)
            .change_set_type(kind)
            .description("made by iotstack")
            .capabilities(cfn::types::Capability::CapabilityIam)
            .capabilities(cfn::types::Capability::CapabilityNamedIam)
            .capabilities(cfn::types::Capability::CapabilityAutoExpand)
            .set_parameters(Some(self.values(stack)?))
            .set_role_arn(self.role_arn.clone())
            .set_tags(some(
                self.tags
                    .iter()
                    .map(|(key, value)| cfn::types::Tag::builder().key(key).value(value).build()),
            ))
            .set_notification_arns(some(self.notification_arns.iter().cloned()));
        Ok(match &self.template {
            TemplateSource::Inline(body) => call.template_body(body),
            TemplateSource::Url(url) => call.template_url(url),
        })
    }

    /// A value for each parameter: the given one, the previous one, or none where the
    /// template has a default.
    fn values(&self, stack: Option<&Stack>) -> Result<Vec<cfn::types::Parameter>> {
        let previous = stack.filter(|_| self.previous_parameters && !super::creates(stack));
        let (mut values, mut without) = (Vec::new(), Vec::new());
        for (name, declaration) in &self.declared {
            let value = cfn::types::Parameter::builder().parameter_key(name);
            if let Some(given) = self.parameters.get(name) {
                values.push(value.parameter_value(given).build());
            } else if previous.is_some_and(|stack| stack.parameters.contains_key(name)) {
                values.push(value.use_previous_value(true).build());
            } else if declaration.get("Default").is_none() {
                without.push(name.clone());
            }
        }
        match without.is_empty() {
            true => Ok(values),
            false => {
                Err(Error::MissingParameters { stack: self.stack.clone(), parameters: without })
            }
        }
    }
}

/// Inline or by URL; path-style, because that is what every endpoint understands.
pub(crate) fn template_source(
    clients: &Clients,
    artifact: &StackArtifact,
) -> Result<TemplateSource> {
    let bytes = artifact.template_bytes()?;
    let size = bytes.len();
    let stack = || artifact.display_name.clone();
    if size > TEMPLATE_LIMIT {
        let limit = TEMPLATE_LIMIT;
        return Err(Error::TemplateTooLargeForBucket { stack: stack(), bytes: size, limit });
    }
    if let Some(location) = &artifact.properties.stack_template_asset_object_url {
        let location = clients.fill_in(location);
        let path = location.strip_prefix("s3://").unwrap_or(&location);
        return Ok(match location.starts_with("https://") {
            true => TemplateSource::Url(location),
            false => TemplateSource::Url(format!("{}/{path}", clients.s3_endpoint())),
        });
    }
    if size > INLINE_TEMPLATE_LIMIT {
        let limit = INLINE_TEMPLATE_LIMIT;
        return Err(Error::TemplateTooLarge { stack: stack(), bytes: size, limit });
    }
    let text = String::from_utf8(bytes).map_err(|error| iotstack_assembly::Error::Invalid {
        path: artifact.template_path(),
        message: format!("it is not text in UTF-8: {error}"),
    })?;
    Ok(TemplateSource::Inline(text))
}

fn check_names(
    artifact: &StackArtifact,
    declared: &IndexMap<String, Value>,
    given: &IndexMap<String, String>,
) -> Result<()> {
    match given.keys().find(|name| !declared.contains_key(*name)) {
        None => Ok(()),
        Some(unknown) => Err(Error::UnknownParameter {
            stack: artifact.display_name.clone(),
            parameter: unknown.clone(),
            available: declared.keys().cloned().collect(),
        }),
    }
}

/// A list, or nothing at all if it is empty: an empty list would take away what is set.
fn some<T>(items: impl Iterator<Item = T>) -> Option<Vec<T>> {
    let items: Vec<T> = items.collect();
    (!items.is_empty()).then_some(items)
}
