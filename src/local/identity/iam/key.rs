//! Access keys of users.
//!
//! Two per user, as on AWS; one that is switched off signs nothing. A secret is
//! shown once, when its key is made.

use iotstack_local_kernel::{Call, Caller, Fault, Reply, Timestamp, id, loose};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::operations::paged;
use super::{Iam, Kind, no_such};
use crate::records::Written;

/// An access key. `Debug` does not show the secret.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct AccessKey {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) user: String,
    pub(crate) active: bool,
    created: Timestamp,
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Iam {
    pub(super) fn create_key(&self, call: Call) -> Written {
        let user = self.user_of(&call)?;
        let (key, commit) = self.keys.change(|keys| {
            if keys.values().filter(|key| key.user == user).count() >= 2 {
                let reason = "Cannot exceed quota for AccessKeysPerUser: 2";
                return Err(Fault::new("LimitExceeded", 409, reason));
            }
            let key = AccessKey {
                id: format!("AKIA{}", id::capitals(16)),
                secret: id::hex_digits(40),
                user: user.clone(),
                active: true,
                created: self.now(),
            };
            keys.put(&key.id.clone(), key.clone());
            Ok(key)
        })?;
        let shown = json!({
            "UserName": key.user,
            "AccessKeyId": key.id,
            "SecretAccessKey": key.secret,
            "Status": "Active",
            "CreateDate": key.created.iso8601(),
        });
        Ok((json!({"AccessKey": shown}).into(), commit))
    }

    pub(super) fn list_keys(&self, call: Call) -> Result<Reply, Fault> {
        let user = self.user_of(&call)?;
        let mut keys = self.keys.all();
        keys.retain(|key| key.user == user);
        let shown = |key: &AccessKey| {
            json!({
                "UserName": key.user,
                "AccessKeyId": key.id,
                "Status": if key.active { "Active" } else { "Inactive" },
                "CreateDate": key.created.iso8601(),
            })
        };
        paged(&call.input, "AccessKeyMetadata", keys, |key| key.id.clone(), shown)
    }

    pub(super) fn update_key(&self, call: Call) -> Written {
        let id = loose::required(&call.input, "AccessKeyId")?;
        let active = match loose::required(&call.input, "Status")?.as_str() {
            "Active" => true,
            "Inactive" => false,
            other => {
                let reason = format!("Status must be Active or Inactive, not `{other}`");
                return Err(Fault::invalid_input(reason));
            }
        };
        let ((), commit) = self.keys.change(|keys| {
            let mut key = keys.get(&id).cloned().ok_or_else(|| no_key(&id))?;
            key.active = active;
            keys.put(&id, key);
            Ok(())
        })?;
        Ok((Reply::empty(), commit))
    }

    pub(super) fn delete_key(&self, call: Call) -> Written {
        let id = loose::required(&call.input, "AccessKeyId")?;
        let ((), commit) =
            self.keys.change(|keys| keys.remove(&id).map(drop).ok_or_else(|| no_key(&id)))?;
        Ok((Reply::empty(), commit))
    }

    /// The user that a call names, else the one that calls.
    fn user_of(&self, call: &Call) -> Result<String, Fault> {
        let named = loose::text(&call.input, "UserName")?;
        let own = match &call.caller {
            Caller::Principal { arn } => arn.rsplit('/').next().map(str::to_owned),
            _ => None,
        };
        let name = named.or(own).ok_or_else(|| Fault::invalid_input("UserName is required"))?;
        match self.entity(Kind::User, &name) {
            Some(user) => Ok(user.name),
            None => Err(no_such("user", &name)),
        }
    }
}

fn no_key(id: &str) -> Fault {
    Fault::new("NoSuchEntity", 404, format!("The Access Key with id {id} cannot be found"))
}
