//! Permissions: who else may invoke a function.
//!
//! Permissions are kept per qualifier, so that an alias may be invoked by others than
//! the function. The whole policy cannot be written at once, as on AWS.

use iotstack_local_kernel::{Call, Commit, Fault, Reply, loose};
use serde_json::{Map, Value, json};

use super::function::check_revision;
use super::named;
use crate::error::{conflict, not_found};
use crate::name::FunctionName;
use crate::policy::{Statement, document, judge_action};
use crate::service::Lambda;

impl Lambda {
    pub(crate) fn add_permission(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let name = named(&call)?;
        let (statement, commit) = self.permit(&name, &call.input)?;
        Ok((Reply::from(json!({"Statement": statement})).status(201), commit))
    }

    /// Adds a permission; gives its statement as a text.
    pub(crate) fn permit(
        &self,
        name: &FunctionName,
        input: &Map<String, Value>,
    ) -> Result<(String, Commit), Fault> {
        if loose::text(input, "FunctionUrlAuthType")?.is_some() {
            return Err(crate::error::invalid("the local cloud does not offer function URLs"));
        }
        let statement = Statement {
            id: loose::required(input, "StatementId")?,
            action: loose::required(input, "Action")?,
            principal: loose::required(input, "Principal")?,
            source_arn: loose::text(input, "SourceArn")?,
            source_account: loose::text(input, "SourceAccount")?,
            organization: loose::text(input, "PrincipalOrgID")?,
            event_source_token: loose::text(input, "EventSourceToken")?,
        };
        judge_action(&statement.action)?;
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if statement.id.len() > 100 || !statement.id.bytes().all(is_word) {
            return Err(Fault::invalid_input(format!(
                "StatementId `{}` must be up to 100 letters, digits, hyphens and underscores",
                statement.id
            )));
        }
        let revision = loose::text(input, "RevisionId")?;
        let arn = name.arn(&self.account);
        self.change(name, |function| {
            check_revision(function, revision.as_deref())?;
            function.version(&self.account, name.qualifier.as_deref())?;
            let all = function.statements.entry(key(name)).or_default();
            if all.iter().any(|known| known.id == statement.id) {
                return Err(conflict(format!(
                    "The statement id ({}) provided already exists. Please provide a new statement id, or remove the existing statement.",
                    statement.id
                )));
            }
            let shown = statement.shown(&arn).to_string();
            all.push(statement);
            Ok(shown)
        })
    }

    pub(crate) fn remove_permission(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let name = named(&call)?;
        let revision = loose::text(&call.input, "RevisionId")?;
        let commit = self.forbid(&name, call.text("StatementId")?, revision.as_deref())?;
        Ok((Reply::empty().status(204), commit))
    }

    /// Removes a permission.
    pub(crate) fn forbid(
        &self,
        name: &FunctionName,
        statement: &str,
        revision: Option<&str>,
    ) -> Result<Commit, Fault> {
        let ((), commit) = self.change(name, |function| {
            check_revision(function, revision)?;
            let all = function.statements.entry(key(name)).or_default();
            if all.is_empty() {
                return Err(not_found("No policy is associated with the given resource."));
            }
            let place = all.iter().position(|known| known.id == statement);
            let place = place.ok_or_else(|| {
                not_found(format!("Statement {statement} is not found in resource policy."))
            })?;
            all.remove(place);
            Ok(())
        })?;
        Ok(commit)
    }

    pub(crate) fn get_policy(&self, call: Call) -> Result<Reply, Fault> {
        let name = named(&call)?;
        let arn = name.arn(&self.account);
        self.read(&name, |function| {
            let statements = function.statements.get(&key(&name)).map(Vec::as_slice);
            match statements.unwrap_or_default() {
                [] => Err(not_found("The resource you requested does not exist.")),
                statements => Ok(json!({
                    "Policy": document(statements, &arn),
                    "RevisionId": function.latest.revision,
                })
                .into()),
            }
        })
    }
}

/// Under which qualifier permissions are kept.
fn key(name: &FunctionName) -> String {
    name.qualifier.clone().filter(|qualifier| qualifier != "$LATEST").unwrap_or_default()
}
