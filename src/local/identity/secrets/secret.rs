//! A secret: the record, and how the API shows it without its values.
//!
//! Which version is current and how labels move is in [`super::versions`].

use iotstack_local_kernel::{Fault, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::versions::SecretVersion;
use crate::wire::{Tags, moment, tag_list};

/// A secret. Not `Debug`, for its values.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Secret {
    pub(super) arn: String,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) kms_key_id: Option<String>,
    pub(super) created: Timestamp,
    pub(super) changed: Timestamp,
    pub(super) accessed: Option<Timestamp>,
    /// When deletion was asked for, and when it will happen.
    pub(super) deleted: Option<(Timestamp, Timestamp)>,
    /// The oldest first.
    pub(super) versions: Vec<SecretVersion>,
    pub(super) policy: Option<String>,
    pub(super) tags: Tags,
}

impl Secret {
    pub(super) fn is_gone(&self, now: Timestamp) -> bool {
        self.deleted.is_some_and(|(_, end)| end <= now)
    }

    pub(super) fn marked(&self) -> Fault {
        let reason = format!("the secret `{}` is marked for deletion", self.name);
        Fault::new("InvalidRequestException", 400, reason)
    }

    pub(super) fn short(&self) -> Value {
        json!({"ARN": self.arn, "Name": self.name})
    }

    pub(super) fn described(&self) -> Value {
        let mut shown = json!({
            "ARN": self.arn,
            "Name": self.name,
            "CreatedDate": moment(self.created),
            "LastChangedDate": moment(self.changed),
            "Tags": tag_list(&self.tags, ("Key", "Value")),
        });
        if let Some(description) = &self.description {
            shown["Description"] = json!(description);
        }
        if let Some(key) = &self.kms_key_id {
            shown["KmsKeyId"] = json!(key);
        }
        if let Some(at) = self.accessed {
            // Told to the day.
            let day = Timestamp(at.seconds() / 86_400 * 86_400_000);
            shown["LastAccessedDate"] = moment(day);
        }
        if let Some((at, _)) = self.deleted {
            shown["DeletedDate"] = moment(at);
        }
        shown
    }

    /// Whether a filter of a list fits: a value with `!` in front must not.
    pub(super) fn fits(&self, filter: &Value) -> bool {
        let holds = |wanted: &str| {
            let wanted = wanted.to_lowercase();
            let begins = |text: &str| text.to_lowercase().starts_with(&wanted);
            let keys = || self.tags.keys().any(|key| begins(key));
            let values = || self.tags.values().any(|value| begins(value));
            let description = || self.description.as_deref().is_some_and(begins);
            match filter["Key"].as_str().unwrap_or_default() {
                "name" => begins(&self.name),
                "description" => description(),
                "tag-key" => keys(),
                "tag-value" => values(),
                "all" => begins(&self.name) || description() || keys() || values(),
                _ => false,
            }
        };
        let values = filter["Values"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut any = false;
        let mut positive = false;
        for value in values {
            match value.strip_prefix('!') {
                Some(not) if holds(not) => return false,
                Some(_) => {}
                None => {
                    positive = true;
                    any |= holds(value);
                }
            }
        }
        any || !positive
    }
}
