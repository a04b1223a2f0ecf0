//! `SimulatePrincipalPolicy`: what an identity's policies say, without doing it.
//!
//! Takes the account's own identities, actions and resources; no policies that
//! are not attached, and no condition keys.

use iotstack_local_kernel::policy::{Question, Verdict};
use iotstack_local_kernel::{Call, Fault, Reply, loose};
use serde_json::{Value, json};

use super::{Iam, Kind, no_such};

impl Iam {
    pub(super) fn simulate(&self, call: Call) -> Result<Reply, Fault> {
        let source = loose::required(&call.input, "PolicySourceArn")?;
        let (kind, path) = source
            .rsplit_once(":role/")
            .map(|(_, path)| (Kind::Role, path))
            .or_else(|| source.rsplit_once(":user/").map(|(_, path)| (Kind::User, path)))
            .ok_or_else(|| no_such("identity", &source))?;
        let name = path.rsplit('/').next().unwrap_or(path);
        self.entity(kind, name).ok_or_else(|| no_such("identity", &source))?;
        let actions = loose::texts(&call.input, "ActionNames")?;
        let mut resources = loose::texts(&call.input, "ResourceArns")?;
        if resources.is_empty() {
            resources.push("*".to_owned());
        }
        if actions.is_empty() || actions.len() * resources.len() > 1000 {
            return Err(Fault::invalid_input("name 1 to 1000 pairs of actions and resources"));
        }
        let context = self.context();
        let mut results: Vec<Value> = Vec::new();
        for action in &actions {
            for resource in &resources {
                let question = Question { principal: None, action, resource, context: &context };
                let decision = match self.verdict(kind, name, &question) {
                    Verdict::Allow => "allowed",
                    Verdict::Deny => "explicitDeny",
                    Verdict::Silent => "implicitDeny",
                };
                results.push(json!({
                    "EvalActionName": action,
                    "EvalResourceName": resource,
                    "EvalDecision": decision,
                    "MatchedStatements": [],
                    "MissingContextValues": [],
                }));
            }
        }
        Ok(json!({"EvaluationResults": results, "IsTruncated": false}).into())
    }
}
