//! Policies of secrets. They are kept for those who read them.

use iotstack_local_kernel::policy::Policy;
use iotstack_local_kernel::{Call, Fault, Reply, loose};
use serde_json::json;

use super::Secrets;
use crate::records::Written;

impl Secrets {
    pub(super) fn get_policy(&self, call: Call) -> Result<Reply, Fault> {
        let secret = self.called(&call)?;
        let mut reply = secret.short();
        if let Some(policy) = secret.policy {
            reply["ResourcePolicy"] = json!(policy);
        }
        Ok(reply.into())
    }

    pub(super) fn put_policy(&self, call: Call) -> Written {
        let secret = self.called(&call)?;
        let policy = loose::required(&call.input, "ResourcePolicy")?;
        Policy::parse(&policy)
            .map_err(|reason| Fault::new("MalformedPolicyDocumentException", 400, reason))?;
        let (reply, commit) = self.edit(&secret.name, |secret| {
            secret.policy = Some(policy);
            Ok(secret.short())
        })?;
        Ok((reply.into(), commit))
    }

    pub(super) fn delete_policy(&self, call: Call) -> Written {
        let secret = self.called(&call)?;
        let (reply, commit) = self.edit(&secret.name, |secret| {
            secret.policy = None;
            Ok(secret.short())
        })?;
        Ok((reply.into(), commit))
    }
}
