//! Published versions: the code and the settings of a moment.
//!
//! A version never changes and keeps its code, whatever happens to the function.
//! Publishing what was not changed since gives the version that is there.

use iotstack_local_kernel::{Call, Commit, Fault, Reply, Timestamp, id, loose, page};
use serde_json::{Value, json};

use super::function::check_revision;
use super::{limit, unqualified};
use crate::error::invalid;
use crate::name::FunctionName;
use crate::record::{Function, Version};
use crate::service::Lambda;

impl Lambda {
    pub(crate) fn publish_version(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let name = unqualified(&call)?;
        let description = loose::text(&call.input, "Description")?;
        let revision = loose::text(&call.input, "RevisionId")?;
        let hash = loose::text(&call.input, "CodeSha256")?;
        let (shown, commit) = self.change(&name, |function| {
            check_revision(function, revision.as_deref())?;
            if let Some(hash) = hash.filter(|hash| *hash != function.latest.code_sha256) {
                return Err(invalid(format!(
                    "CodeSha256 `{hash}` differs from the code's, `{}`",
                    function.latest.code_sha256
                )));
            }
            Ok(self.publish(function, description, call.at))
        })?;
        Ok((Reply::from(shown).status(201), commit))
    }

    /// Publishes the latest state; one that did not change since is not published twice.
    pub(crate) fn publish(
        &self,
        function: &mut Function,
        description: Option<String>,
        at: Timestamp,
    ) -> Value {
        let unchanged = function.versions.values().next_back().filter(|last| {
            last.code == function.latest.code && last.modified == function.latest.modified
        });
        let number = match unchanged {
            Some(last) => last.number.parse().unwrap_or(function.last_version),
            None => {
                function.last_version += 1;
                let mut version = Version {
                    number: function.last_version.to_string(),
                    revision: id::uuid(),
                    ..function.latest.clone()
                };
                if let Some(description) = description {
                    version.settings.description = description;
                }
                version.modified = function.latest.modified;
                function.versions.insert(function.last_version, version);
                function.last_version
            }
        };
        tracing::debug!(function = %function.name, number, at = at.millis(), "a version is published");
        let name =
            FunctionName { name: function.name.clone(), qualifier: Some(number.to_string()) };
        function
            .versions
            .get(&number)
            .map_or(Value::Null, |version| version.configuration(&self.account, &name))
    }

    pub(crate) fn list_versions(&self, call: Call) -> Result<Reply, Fault> {
        let name = unqualified(&call)?;
        let limit = limit(&call)?;
        self.read(&name, |function| {
            let key = |version: &&Version| version.order();
            let marker = call.optional_text("Marker")?;
            let (found, next) = page::page(function.all_versions(), key, marker, limit)?;
            let shown: Vec<Value> = found
                .into_iter()
                .map(|version| {
                    let qualifier = Some(version.number.clone());
                    let name = FunctionName { name: name.name.clone(), qualifier };
                    version.configuration(&self.account, &name)
                })
                .collect();
            Ok(json!({"Versions": shown, "NextMarker": next}).into())
        })
    }
}
