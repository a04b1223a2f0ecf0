//! Role aliases: under which name devices ask for the credentials of a role.
//!
//! They are kept and listed. The credential provider itself, which devices ask by
//! HTTPS, is not part of the registry.

use std::collections::BTreeMap;
use std::sync::Arc;

use iotstack_local_kernel::{Call, Fault, tags};
use serde_json::{Value, json};

use super::input::{self, marked};
use crate::core::{Changed, Registry, Tx};
use crate::fault;
use crate::state::RoleAlias;

pub fn create(registry: &Registry, call: &Call) -> Changed {
    let name = call.text("roleAlias")?;
    let role = call.text("roleArn")?;
    let duration = call.optional_integer("credentialDurationSeconds")?;
    let tags = tags::read(&call.input)?;
    registry.change(|tx| {
        tx.create_role_alias(name, role, duration)?;
        let arn = tx.arn(format_args!("rolealias/{name}"));
        tx.put_tags(&arn, tags);
        Ok(json!({"roleAlias": name, "roleAliasArn": arn}))
    })
}

pub fn update(registry: &Registry, call: &Call) -> Changed {
    let name = call.text("roleAlias")?;
    let role = call.optional_text("roleArn")?;
    let duration = call.optional_integer("credentialDurationSeconds")?;
    registry.change(|tx| {
        tx.update_role_alias(name, role, duration)?;
        Ok(json!({"roleAlias": name, "roleAliasArn": tx.arn(format_args!("rolealias/{name}"))}))
    })
}

pub fn delete(registry: &Registry, call: &Call) -> Changed {
    let name = call.text("roleAlias")?;
    registry.change(|tx| {
        tx.delete_role_alias(name)?;
        Ok(json!({}))
    })
}

pub fn describe(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let name = call.text("roleAlias")?;
    registry.read(|state| {
        let found =
            state.role_aliases.get(name).ok_or_else(|| fault::not_found("role alias", name))?;
        Ok(json!({"roleAliasDescription": {
            "roleAlias": name,
            "roleAliasArn": registry.account.arn("iot", format_args!("rolealias/{name}")),
            "roleArn": found.role,
            "owner": registry.account.id,
            "credentialDurationSeconds": found.duration,
            "creationDate": found.created.fractional_seconds(),
            "lastModifiedDate": found.modified.fractional_seconds(),
        }}))
    })
}

pub fn list(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    registry.read(|state| {
        let names: Vec<&Arc<str>> = state.role_aliases.keys().collect();
        marked(call, "roleAliases", names, |name| name.to_string(), |name| json!(&**name))
    })
}

impl Tx<'_> {
    pub fn create_role_alias(
        &mut self,
        name: &str,
        role: &str,
        duration: Option<i64>,
    ) -> Result<(), Fault> {
        input::name("role alias", name, 128, "=,@-")?;
        check(role, duration)?;
        if self.state.role_aliases.contains_key(name) {
            let arn = self.arn(format_args!("rolealias/{name}"));
            return Err(fault::exists("role alias", name, name, &arn));
        }
        if self.state.role_aliases.len() >= MOST {
            return Err(fault::limit(format!("{MOST} role aliases are the most")));
        }
        self.put_role_alias(RoleAlias {
            name: name.into(),
            role: role.to_owned(),
            duration: duration.unwrap_or(3600),
            created: self.now,
            modified: self.now,
        });
        Ok(())
    }

    pub fn update_role_alias(
        &mut self,
        name: &str,
        role: Option<&str>,
        duration: Option<i64>,
    ) -> Result<(), Fault> {
        let found = self.state.role_aliases.get(name);
        let mut found = found.cloned().ok_or_else(|| fault::not_found("role alias", name))?;
        check(role.unwrap_or(&found.role), duration)?;
        found.role = role.map_or(found.role, str::to_owned);
        found.duration = duration.unwrap_or(found.duration);
        found.modified = self.now;
        self.put_role_alias(found);
        Ok(())
    }

    pub fn delete_role_alias(&mut self, name: &str) -> Result<(), Fault> {
        self.remove_role_alias(name).ok_or_else(|| fault::not_found("role alias", name))?;
        let arn = self.arn(format_args!("rolealias/{name}"));
        self.put_tags(&arn, BTreeMap::new());
        Ok(())
    }
}

fn check(role: &str, duration: Option<i64>) -> Result<(), Fault> {
    if !role.starts_with("arn:") || !role.contains(":role/") {
        return Err(fault::invalid(format!("`{role}` is no ARN of a role")));
    }
    match duration {
        Some(seconds) if !(900..=43_200).contains(&seconds) => Err(fault::invalid(format!(
            "credentialDurationSeconds must be 900 to 43200, not {seconds}"
        ))),
        _ => Ok(()),
    }
}

const MOST: usize = 100;
