//! Versions of a secret and the stages that point at them.
//!
//! A stage points at one version. The version that loses AWSCURRENT gets
//! AWSPREVIOUS. Versions without a stage are kept up to a hundred.

use iotstack_local_kernel::{Fault, Timestamp, loose};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::secret::Secret;
use crate::wire::{base64, bytes, moment};

/// A version. Not `Debug`, for its value.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SecretVersion {
    pub(super) id: String,
    pub(super) content: Content,
    pub(super) created: Timestamp,
    pub(super) stages: Vec<String>,
}

/// A value. Not `Debug`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Content {
    Text(String),
    Bytes(Vec<u8>),
}

impl Content {
    /// The value that a call brings, if it does.
    pub(super) fn read(input: &Map<String, Value>) -> Result<Option<Self>, Fault> {
        let text = loose::text(input, "SecretString")?;
        let binary = bytes(input, "SecretBinary")?;
        let content = match (text, binary) {
            (Some(_), Some(_)) => {
                let reason = "SecretString and SecretBinary exclude each other";
                return Err(Fault::new("InvalidParameterException", 400, reason));
            }
            (Some(text), None) => Content::Text(text),
            (None, Some(bytes)) => Content::Bytes(bytes),
            (None, None) => return Ok(None),
        };
        if content.size() > 65_536 {
            let reason = format!("a secret has 65536 bytes at most, not {}", content.size());
            return Err(Fault::new("InvalidParameterException", 400, reason));
        }
        Ok(Some(content))
    }

    pub(super) fn size(&self) -> usize {
        match self {
            Content::Text(text) => text.len(),
            Content::Bytes(bytes) => bytes.len(),
        }
    }
}

impl SecretVersion {
    /// As `GetSecretValue` shows it.
    pub(super) fn shown(&self) -> Value {
        let (member, value) = match &self.content {
            Content::Text(text) => ("SecretString", text.clone()),
            Content::Bytes(bytes) => ("SecretBinary", base64(bytes)),
        };
        json!({
            "VersionId": self.id,
            member: value,
            "VersionStages": self.stages,
            "CreatedDate": moment(self.created),
        })
    }
}

impl Secret {
    /// Adds a version; without stages, or as the first, it becomes the current one. Once
    /// more with the same id and value changes nothing.
    pub(super) fn put(
        &mut self,
        id: String,
        content: Content,
        stages: &[String],
        now: Timestamp,
    ) -> Result<String, Fault> {
        if let Some(kept) = self.versions.iter().find(|version| version.id == id) {
            if kept.content == content {
                return Ok(id);
            }
            return Err(self.in_use(&id));
        }
        if !(32..=64).contains(&id.len()) {
            let reason =
                format!("ClientRequestToken must have 32 to 64 characters, not {}", id.len());
            return Err(Fault::new("InvalidParameterException", 400, reason));
        }
        let is_first = self.versions.is_empty();
        self.versions.push(SecretVersion {
            id: id.clone(),
            content,
            created: now,
            stages: Vec::new(),
        });
        if is_first || stages.is_empty() {
            self.point(CURRENT, &id);
        }
        for stage in stages {
            self.point(stage, &id);
        }
        if self.versions.len() > 100 {
            let unused = self.versions.iter().position(|version| version.stages.is_empty());
            if let Some(unused) = unused {
                self.versions.remove(unused);
            }
        }
        self.changed = now;
        Ok(id)
    }

    /// A version by its id or stage; the current one if neither is named.
    pub(super) fn value(
        &self,
        id: Option<&str>,
        stage: Option<&str>,
    ) -> Result<&SecretVersion, Fault> {
        let wanted = match (id, stage) {
            (None, None) => (None, Some(CURRENT)),
            other => other,
        };
        let has_id = |version: &&SecretVersion| wanted.0.is_none_or(|id| version.id == id);
        let fits = |version: &&SecretVersion| {
            has_id(version)
                && wanted.1.is_none_or(|stage| version.stages.iter().any(|own| own == stage))
        };
        self.versions.iter().find(fits).ok_or_else(|| {
            let what = match wanted {
                (Some(_), Some(_)) if self.versions.iter().any(|version| has_id(&version)) => {
                    let reason = "You provided a VersionStage that is not associated to the \
                                  provided VersionId.";
                    return Fault::new("InvalidRequestException", 400, reason);
                }
                (Some(id), _) => format!("VersionId: {id}"),
                (None, stage) => format!("staging label: {}", stage.unwrap_or(CURRENT)),
            };
            let reason =
                format!("Secrets Manager can't find the specified secret value for {what}");
            Fault::new("ResourceNotFoundException", 400, reason)
        })
    }

    /// Why a token cannot be that of another value.
    pub(super) fn in_use(&self, token: &str) -> Fault {
        let reason = format!(
            "You can't use ClientRequestToken {token} because that value is already in use for a \
             version of secret {}.",
            self.arn
        );
        Fault::new("ResourceExistsException", 400, reason)
    }

    /// Moves a stage from one version to another.
    pub(super) fn move_stage(
        &mut self,
        stage: &str,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<(), Fault> {
        let holder = self.versions.iter().find(|version| version.stages.iter().any(|s| s == stage));
        let holder = holder.map(|version| version.id.clone());
        let refuse = |reason: String| Err(Fault::new("InvalidParameterException", 400, reason));
        if let Some(from) = from
            && holder.as_deref() != Some(from)
        {
            return refuse(format!("stage `{stage}` does not point at version `{from}`"));
        }
        match (to, holder) {
            (Some(to), holder) => {
                self.value(Some(to), None)?;
                if from.is_none() && holder.as_deref().is_some_and(|holder| holder != to) {
                    let holder = holder.unwrap_or_default();
                    return refuse(format!(
                        "The parameter RemoveFromVersionId can't be empty. Staging label {stage} \
                         is currently attached to version {holder}, so you must explicitly \
                         reference that version in RemoveFromVersionId."
                    ));
                }
                self.point(stage, to);
            }
            (None, Some(_)) if stage == CURRENT => {
                return refuse(format!("stage `{stage}` can only be moved to another version"));
            }
            (None, _) => self.take(stage),
        }
        Ok(())
    }

    /// Versions with their stages.
    pub(super) fn stages(&self) -> Value {
        let staged = self.versions.iter().filter(|version| !version.stages.is_empty());
        Value::Object(staged.map(|v| (v.id.clone(), json!(v.stages))).collect())
    }

    /// Points a stage at a version.
    fn point(&mut self, stage: &str, id: &str) {
        let holder = self
            .versions
            .iter()
            .find(|version| version.stages.iter().any(|own| own == stage))
            .map(|version| version.id.clone());
        if holder.as_deref() == Some(id) {
            return;
        }
        self.take(stage);
        if let Some(version) = self.versions.iter_mut().find(|version| version.id == id) {
            version.stages.push(stage.to_owned());
        }
        if let (CURRENT, Some(holder)) = (stage, holder) {
            self.point(PREVIOUS, &holder);
        }
    }

    /// Takes a stage from whichever version has it.
    fn take(&mut self, stage: &str) {
        for version in &mut self.versions {
            version.stages.retain(|own| own != stage);
        }
    }
}

const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";
