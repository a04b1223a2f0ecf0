//! A stack as it stands in the account: read by name, never changed here.
//!
//! CloudFormation says that a stack does not exist by refusing the question, with a
//! message that no error code tells from others; [`describe`] turns that into `None`.

use std::time::SystemTime;

use aws_sdk_cloudformation as cfn;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use indexmap::IndexMap;

use crate::error::{code_of, message_of};
use crate::outputs::Output;
use crate::state::StackStatus;
use crate::{Clients, Error, Result};

/// A stack as it stands in the account.
#[derive(Debug, Clone, PartialEq)]
pub struct Stack {
    /// The stack's ARN; it stays valid after deletion.
    pub id: String,
    /// The stack's name.
    pub name: String,
    /// Where it stands.
    pub status: StackStatus,
    /// Why, if there is something to say.
    pub reason: Option<String>,
    /// When it was made.
    pub created: Option<SystemTime>,
    /// When it was changed last.
    pub updated: Option<SystemTime>,
    /// The parameters with their values; secret ones are masked by CloudFormation.
    pub parameters: IndexMap<String, String>,
    /// The tags.
    pub tags: IndexMap<String, String>,
    /// The outputs, in the service's order.
    pub outputs: Vec<Output>,
    /// Whether deletion is refused.
    pub termination_protected: bool,
    /// The role that CloudFormation uses for it.
    pub role_arn: Option<String>,
}

/// A resource of a stack as it stands in the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackResource {
    /// The logical id.
    pub logical_id: String,
    /// The name in the account, once it has one.
    pub physical_id: Option<String>,
    /// The type.
    pub resource_type: String,
    /// The state, such as `CREATE_COMPLETE`.
    pub status: String,
    /// Why, if there is something to say.
    pub reason: Option<String>,
}

/// The stack of this name or ARN, if there is one. A deleted stack is found by its ARN
/// alone.
pub async fn describe(clients: &Clients, name: &str) -> Result<Option<Stack>> {
    let answer = clients.cloudformation.describe_stacks().stack_name(name).send().await;
    match answer {
        Ok(answer) => answer.stacks.unwrap_or_default().pop().map(from_answer).transpose(),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(clients.failed(DESCRIBE)(error)),
    }
}

/// The resources of a stack, all pages.
pub async fn resources(clients: &Clients, name: &str) -> Result<Vec<StackResource>> {
    match resources_with(clients, &clients.cloudformation, name).await {
        // The deployment role that `cdk bootstrap` makes may not list resources.
        Err(Error::AccessDenied { .. }) => {
            resources_with(clients, &clients.own.cloudformation, name).await
        }
        result => result,
    }
}

/// Whether a call failed because there is no such stack. The code is shared with every
/// other mistake, so the words decide.
pub(crate) fn is_absent<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    code_of(error) == Some("ValidationError") && message_of(error).contains("does not exist")
}

/// A moment of the SDK as a moment of the standard library.
pub(crate) fn time(moment: aws_smithy_types::DateTime) -> SystemTime {
    SystemTime::try_from(moment).unwrap_or(SystemTime::UNIX_EPOCH)
}

async fn resources_with(
    clients: &Clients,
    client: &cfn::Client,
    name: &str,
) -> Result<Vec<StackResource>> {
    let mut pages = client.list_stack_resources().stack_name(name).into_paginator().send();
    let mut resources = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(clients.failed("cloudformation:ListStackResources"))?;
        for summary in page.stack_resource_summaries.unwrap_or_default() {
            resources.push(StackResource {
                logical_id: summary.logical_resource_id.unwrap_or_default(),
                physical_id: summary.physical_resource_id.filter(|id| !id.is_empty()),
                resource_type: summary.resource_type.unwrap_or_default(),
                status: summary
                    .resource_status
                    .map(|status| status.as_str().to_owned())
                    .unwrap_or_default(),
                reason: summary.resource_status_reason,
            });
        }
    }
    Ok(resources)
}

fn from_answer(stack: cfn::types::Stack) -> Result<Stack> {
    let missing = |missing| Error::UnexpectedAnswer { action: DESCRIBE, missing };
    let name = stack.stack_name.ok_or_else(|| missing("StackName"))?;
    let status = stack.stack_status.ok_or_else(|| missing("StackStatus"))?;
    let parameters = stack.parameters.unwrap_or_default().into_iter().filter_map(|parameter| {
        Some((parameter.parameter_key?, parameter.parameter_value.unwrap_or_default()))
    });
    let tags = stack
        .tags
        .unwrap_or_default()
        .into_iter()
        .filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default())));
    let outputs = stack.outputs.unwrap_or_default().into_iter().filter_map(|output| {
        Some(Output {
            name: output.output_key?,
            value: output.output_value.unwrap_or_default(),
            description: output.description.filter(|text| !text.is_empty()),
            export: output.export_name.filter(|name| !name.is_empty()),
        })
    });
    Ok(Stack {
        id: stack.stack_id.unwrap_or_else(|| name.clone()),
        name,
        status: StackStatus::parse(status.as_str()),
        reason: stack.stack_status_reason.filter(|reason| !reason.is_empty()),
        created: stack.creation_time.map(time),
        updated: stack.last_updated_time.map(time),
        parameters: parameters.collect(),
        tags: tags.collect(),
        outputs: outputs.collect(),
        termination_protected: stack.enable_termination_protection.unwrap_or(false),
        role_arn: stack.role_arn.filter(|role| !role.is_empty()),
    })
}

const DESCRIBE: &str = "cloudformation:DescribeStacks";
