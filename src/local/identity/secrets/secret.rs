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
    /// Whether it ever had a tag: only then a description has a list of them.
    #[serde(default)]
    pub(super) tagged: bool,
}

impl Secret {
    pub(super) fn is_gone(&self, now: Timestamp) -> bool {
        self.deleted.is_some_and(|(_, end)| end <= now)
    }

    pub(super) fn marked(&self) -> Fault {
        let reason = "You can't perform this operation on the secret because it was marked for \
                      deletion.";
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
        });
        if self.tagged || !self.tags.is_empty() {
            shown["Tags"] = tag_list(&self.tags, ("Key", "Value"));
        }
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
}
