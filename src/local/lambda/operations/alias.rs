//! Aliases: names for versions. Weights between two versions are refused.
//!
//! An alias points to one version and may be pointed elsewhere; invocations through
//! it run what it points to at that moment.

use iotstack_local_kernel::{Call, Commit, Fault, Reply, id, loose, page};
use serde_json::{Map, Value, json};

use super::{limit, unqualified};
use crate::error::{conflict, invalid, not_found, stale_revision};
use crate::name::{FunctionName, is_alias};
use crate::record::{Alias, Function};
use crate::service::Lambda;

impl Lambda {
    pub(crate) fn create_alias(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let name = unqualified(&call)?;
        let (shown, commit) = self.make_alias(&name, &call.input)?;
        Ok((Reply::from(shown).status(201), commit))
    }

    /// Makes an alias.
    pub(crate) fn make_alias(
        &self,
        name: &FunctionName,
        input: &Map<String, Value>,
    ) -> Result<(Value, Commit), Fault> {
        refuse_weights(input)?;
        let alias = loose::required(input, "Name")?;
        if !is_alias(&alias) {
            return Err(Fault::invalid_input(format!(
                "alias `{alias}` must be letters, digits, hyphens and underscores and no number"
            )));
        }
        let version = loose::required(input, "FunctionVersion")?;
        let description = loose::text(input, "Description")?.unwrap_or_default();
        self.change(name, |function| {
            self.judge_version(function, &version)?;
            if function.aliases.contains_key(&alias) {
                return Err(conflict(format!("Alias already exists: {alias}")));
            }
            let made = Alias { name: alias.clone(), version, description, revision: id::uuid() };
            let shown = made.shown(&self.account, &name.name);
            function.aliases.insert(alias.clone(), made);
            Ok(shown)
        })
    }

    pub(crate) fn get_alias(&self, call: Call) -> Result<Reply, Fault> {
        let name = unqualified(&call)?;
        let alias = call.text("Name")?;
        self.read(&name, |function| {
            let found = function.aliases.get(alias).ok_or_else(|| self.no_alias(&name, alias))?;
            Ok(found.shown(&self.account, &name.name).into())
        })
    }

    pub(crate) fn update_alias(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let name = unqualified(&call)?;
        let (shown, commit) = self.change_alias(&name, call.text("Name")?, &call.input)?;
        Ok((shown.into(), commit))
    }

    /// Points an alias elsewhere.
    pub(crate) fn change_alias(
        &self,
        name: &FunctionName,
        alias: &str,
        input: &Map<String, Value>,
    ) -> Result<(Value, Commit), Fault> {
        refuse_weights(input)?;
        let version = loose::text(input, "FunctionVersion")?;
        let description = loose::text(input, "Description")?;
        let revision = loose::text(input, "RevisionId")?;
        self.change(name, |function| {
            if let Some(version) = &version {
                self.judge_version(function, version)?;
            }
            let found =
                function.aliases.get_mut(alias).ok_or_else(|| self.no_alias(name, alias))?;
            if revision.is_some_and(|revision| revision != found.revision) {
                return Err(stale_revision());
            }
            if let Some(version) = version {
                found.version = version;
            }
            if let Some(description) = description {
                found.description = description;
            }
            found.revision = id::uuid();
            Ok(found.shown(&self.account, &name.name))
        })
    }

    pub(crate) fn delete_alias(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let name = unqualified(&call)?;
        let alias = call.text("Name")?;
        // One that is not there is no error, as on AWS.
        let ((), commit) = self.change(&name, |function| {
            function.aliases.remove(alias);
            function.statements.remove(alias);
            Ok(())
        })?;
        Ok((Reply::empty().status(204), commit))
    }

    pub(crate) fn list_aliases(&self, call: Call) -> Result<Reply, Fault> {
        let name = unqualified(&call)?;
        let limit = limit(&call)?;
        let version = call.optional_text("FunctionVersion")?;
        self.read(&name, |function| {
            let fitting = function
                .aliases
                .values()
                .filter(|alias| version.is_none_or(|version| alias.version == version));
            let marker = call.optional_text("Marker")?;
            let (found, next) = page::page(fitting, |alias| alias.name.clone(), marker, limit)?;
            let shown: Vec<Value> =
                found.into_iter().map(|alias| alias.shown(&self.account, &name.name)).collect();
            Ok(json!({"Aliases": shown, "NextMarker": next}).into())
        })
    }

    fn judge_version(&self, function: &Function, version: &str) -> Result<(), Fault> {
        if function.aliases.contains_key(version) {
            return Err(invalid(format!("FunctionVersion `{version}` must be no alias")));
        }
        function.version(&self.account, Some(version)).map(drop)
    }

    fn no_alias(&self, name: &FunctionName, alias: &str) -> Fault {
        let name = FunctionName { name: name.name.clone(), qualifier: Some(alias.to_owned()) };
        not_found(format!("Cannot find alias arn: {}", name.arn(&self.account)))
    }
}

fn refuse_weights(input: &Map<String, Value>) -> Result<(), Fault> {
    let routing = loose::object(input, "RoutingConfig")?;
    if loose::object(&routing, "AdditionalVersionWeights")?.is_empty() {
        return Ok(());
    }
    Err(invalid("the local cloud does not share invocations between versions"))
}
