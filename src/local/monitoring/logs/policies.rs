//! Resource policies: which services may write to log groups.
//!
//! They are kept for those who read them: the services of this cloud write without.

use iotstack_local_kernel::policy::Policy;
use iotstack_local_kernel::{Call, Commit, Fault, Reply, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Logs, POLICIES, page, shape};

/// A resource policy of the account.
#[derive(Serialize, Deserialize)]
pub(super) struct ResourcePolicy {
    document: String,
    updated: Timestamp,
}

impl ResourcePolicy {
    fn shown(&self, name: &str) -> Value {
        json!({
            "policyName": name,
            "policyDocument": self.document,
            "lastUpdatedTime": self.updated.millis(),
            "policyScope": "ACCOUNT",
        })
    }
}

impl Logs {
    pub(super) fn put_resource_policy(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let (name, document) = (call.text("policyName")?, call.text("policyDocument")?);
        let (shown, commit) = self.keep_policy(name, document, call.at)?;
        Ok((json!({ "resourcePolicy": shown }).into(), commit))
    }

    pub(super) fn delete_resource_policy(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        Ok((Reply::empty(), self.drop_policy(call.text("policyName")?)?))
    }

    /// Keeps a policy, in place of the one of its name, and shows it.
    pub(super) fn keep_policy(
        &self,
        name: &str,
        document: &str,
        at: Timestamp,
    ) -> Result<(Value, Commit), Fault> {
        if document.len() > LONGEST {
            return Err(Fault::invalid_input(format!(
                "policyDocument must have at most {LONGEST} characters, not {}",
                document.len()
            )));
        }
        Policy::parse(document).map_err(|problem| {
            Fault::invalid_input(format!("policyDocument is no policy: {problem}"))
        })?;
        let mut groups = self.groups();
        if groups.policies.len() >= MOST && !groups.policies.contains_key(name) {
            return Err(Fault::new("LimitExceededException", 400, "Resource limit exceeded."));
        }
        let policy = ResourcePolicy { document: document.to_owned(), updated: at };
        let mut batch = self.store.batch();
        batch.put(POLICIES, name, &policy);
        let shown = policy.shown(name);
        groups.policies.insert(name.to_owned(), policy);
        Ok((shown, self.store.commit(batch)))
    }

    /// Forgets a policy.
    pub(super) fn drop_policy(&self, name: &str) -> Result<Commit, Fault> {
        let mut groups = self.groups();
        if groups.policies.remove(name).is_none() {
            let message = format!("Policy with name [{name}] does not exist");
            return Err(Fault::new("ResourceNotFoundException", 400, message));
        }
        let mut batch = self.store.batch();
        batch.remove(POLICIES, name);
        Ok(self.store.commit(batch))
    }

    pub(super) fn describe_resource_policies(&self, call: Call) -> Result<Reply, Fault> {
        let limit = shape::limit(&call, 50)?;
        let token = call.optional_text("nextToken")?;
        let groups = self.groups();
        let (found, next) = page(&groups.policies, |(name, _)| (*name).clone(), token, limit)?;
        let shown: Vec<Value> =
            found.into_iter().map(|(name, policy)| policy.shown(name)).collect();
        Ok(json!({"resourcePolicies": shown, "nextToken": next}).into())
    }
}

/// How many an account may have.
const MOST: usize = 10;

/// The characters of a document.
const LONGEST: usize = 5120;
