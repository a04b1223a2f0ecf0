//! What is deployed, for comparison with what would be.
//!
//! Comparing templates is the assembly crate's work; this file fetches the other side,
//! and asks CloudFormation for a change set that is deleted again. A preview never
//! fails for a reason of CloudFormation's own: then it is [`Preview::Unavailable`], and
//! the caller falls back to the templates.

use aws_sdk_cloudformation as cfn;
use iotstack_assembly::StackArtifact;

use crate::change_set::{
    ChangeSet, DeployOptions, OnFailure, Proposal, Request, TemplateSource, delete, discard,
    propose_request,
};
use crate::event::{EventSink, Silence};
use crate::state::{DeployAction, StackStatus, on_deploy};
use crate::{Clients, Error, Result, asset, stack};

/// What CloudFormation says about a template that is not going to be deployed.
#[derive(Debug, Clone, PartialEq)]
pub enum Preview {
    /// There is no such stack: everything would be new. No change set is made, because
    /// that would leave an empty stack behind.
    NewStack,
    /// Nothing would change.
    NoChanges,
    /// This would change. The change set is deleted already.
    Changes(ChangeSet),
    /// CloudFormation cannot say, for this reason; compare the templates instead.
    Unavailable(String),
}

/// The template of the deployed stack as it was sent, if there is such a stack.
pub async fn deployed_template(clients: &Clients, stack: &str) -> Result<Option<Vec<u8>>> {
    let found = stack::describe(clients, stack).await?;
    let stands = |status: &StackStatus| {
        !matches!(status, StackStatus::ReviewInProgress | StackStatus::DeleteComplete)
    };
    let Some(found) = found.filter(|found| stands(&found.status)) else { return Ok(None) };
    let call = clients
        .cloudformation
        .get_template()
        .stack_name(&found.id)
        .template_stage(cfn::types::TemplateStage::Original);
    match call.send().await {
        Ok(answer) => Ok(answer.template_body.map(String::into_bytes)),
        Err(error) if stack::is_absent(&error) => Ok(None),
        Err(error) => Err(clients.failed("cloudformation:GetTemplate")(error)),
    }
}

/// The template that a change set would deploy, as it was sent.
pub async fn proposed_template(clients: &Clients, change_set: &ChangeSet) -> Result<Vec<u8>> {
    let call = clients
        .cloudformation
        .get_template()
        .stack_name(&change_set.stack_id)
        .change_set_name(&change_set.id)
        .template_stage(cfn::types::TemplateStage::Original);
    let answer = call.send().await.map_err(clients.failed("cloudformation:GetTemplate"))?;
    Ok(answer.template_body.unwrap_or_default().into_bytes())
}

/// Asks CloudFormation what deploying would do, and leaves nothing behind.
pub async fn preview(
    clients: &Clients,
    artifact: &StackArtifact,
    options: &DeployOptions,
    sink: &dyn EventSink,
) -> Result<Preview> {
    // Keeping the stack on failure lets a change set be made for one that failed before.
    let options = DeployOptions {
        change_set_name: NAME.into(),
        on_failure: OnFailure::Keep,
        ..options.clone()
    };
    let request = match Request::from_artifact(clients, artifact, &options) {
        Err(error @ Error::TemplateTooLarge { .. }) => {
            return Ok(Preview::Unavailable(error.to_string()));
        }
        request => request?,
    };
    let found = stack::describe(clients, &artifact.stack_name).await?;
    let status = found.map(|found| found.status);
    match on_deploy(status.as_ref()) {
        DeployAction::Create | DeployAction::CreateAfterReview => return Ok(Preview::NewStack),
        DeployAction::Update | DeployAction::RollBackOrRetry => {}
        _ => {
            let status = status.map(|status| status.to_string()).unwrap_or_default();
            return Ok(Preview::Unavailable(format!("the stack is in state {status}")));
        }
    }
    if matches!(request.template, TemplateSource::Url(_))
        && let Err(error) = asset::publish_template(clients, artifact, sink).await
    {
        return unavailable(error);
    }
    match propose_request(clients, &request, &Silence).await {
        Ok(Proposal::Changes(change_set)) => {
            discard(clients, &change_set).await?;
            Ok(Preview::Changes(change_set))
        }
        Ok(Proposal::NoChanges(_)) => Ok(Preview::NoChanges),
        Ok(Proposal::Recover(recovery)) => {
            Ok(Preview::Unavailable(format!("the stack is in state {}", recovery.status)))
        }
        Err(error) => {
            // Whatever is left must not stand in the way of the next question.
            let _ = delete(clients, &request.stack, NAME).await;
            unavailable(error)
        }
    }
}

/// Reasons of the stack's own become a preview that is not available; reasons of the
/// caller's (credentials, permissions, the network) stay errors.
fn unavailable(error: Error) -> Result<Preview> {
    match error {
        Error::ChangeSetFailed { reason, .. } => Ok(Preview::Unavailable(reason)),
        Error::Service { .. }
        | Error::NotBootstrapped { .. }
        | Error::StackState { .. }
        | Error::RolledBack { .. }
        | Error::Failed { .. } => Ok(Preview::Unavailable(error.to_string())),
        error => Err(error),
    }
}

/// The name of the change set that is made and deleted.
const NAME: &str = "cdk-diff-change-set";
