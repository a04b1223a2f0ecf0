//! Provisioning templates with their versions, claims, and RegisterThing.
//!
//! A body is judged when it is stored, as far as that can be done without values;
//! the rest shows when a device is provisioned.

use std::collections::BTreeMap;
use std::sync::Arc;

use iotstack_local_kernel::{Call, Fault, Reply, tags};
use serde_json::{Map, Value, json};

use super::input::{self, listed, object, text_of};
use super::policies::MOST_VERSIONS;
use super::routes::stored;
use crate::core::{Changed, Registry, Tx};
use crate::fault;
use crate::provisioning::{self, Evaluated, Plan};
use crate::state::{Hook, State, Template, TemplateVersion};

/// What a new template shall be.
#[derive(Debug, Default, Clone)]
pub struct NewTemplate {
    pub name: String,
    pub description: Option<String>,
    pub body: String,
    pub enabled: bool,
    pub role: String,
    pub hook: Option<Hook>,
    pub just_in_time: bool,
}

/// How a template shall change.
#[derive(Debug, Default, Clone)]
pub struct TemplateChange {
    pub description: Option<String>,
    pub enabled: Option<bool>,
    pub role: Option<String>,
    pub hook: Option<Hook>,
    pub remove_hook: bool,
    pub default: Option<u32>,
}

pub fn create(registry: &Registry, call: &Call) -> Changed {
    let new = NewTemplate {
        name: call.text("templateName")?.to_owned(),
        description: call.optional_text("description")?.map(str::to_owned),
        body: call.text("templateBody")?.to_owned(),
        enabled: call.flag("enabled")?,
        role: call.text("provisioningRoleArn")?.to_owned(),
        hook: hook(&call.input)?,
        just_in_time: kind(call.optional_text("type")?)?,
    };
    let name = new.name.clone();
    let tags = tags::read(&call.input)?;
    registry.change(|tx| {
        tx.create_template(new)?;
        let arn = tx.arn(format_args!("provisioningtemplate/{name}"));
        tx.put_tags(&arn, tags);
        Ok(json!({"templateArn": arn, "templateName": name, "defaultVersionId": 1}))
    })
}

pub fn update(registry: &Registry, call: &Call) -> Changed {
    let name = call.text("templateName")?;
    let default = call.optional_integer("defaultVersionId")?;
    let change = TemplateChange {
        description: call.optional_text("description")?.map(str::to_owned),
        enabled: match call.input.get("enabled") {
            None | Some(Value::Null) => None,
            Some(_) => Some(call.flag("enabled")?),
        },
        role: call.optional_text("provisioningRoleArn")?.map(str::to_owned),
        hook: hook(&call.input)?,
        remove_hook: call.flag("removePreProvisioningHook")?,
        default: default.map(|number| u32::try_from(number).unwrap_or(0)),
    };
    registry.change(|tx| {
        tx.update_template(name, change)?;
        Ok(json!({}))
    })
}

pub fn delete(registry: &Registry, call: &Call) -> Changed {
    let name = call.text("templateName")?;
    registry.change(|tx| {
        tx.delete_template(name, false)?;
        Ok(json!({}))
    })
}

pub fn describe(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let name = call.text("templateName")?;
    registry.read(|state| {
        let found = known(state, name)?;
        let mut answer = show(registry, found);
        answer["defaultVersionId"] = json!(found.default);
        answer["templateBody"] = json!(found.body());
        answer["provisioningRoleArn"] = json!(found.role);
        if let Some(hook) = &found.hook {
            answer["preProvisioningHook"] = json!(hook);
        }
        Ok(answer)
    })
}

pub fn list(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    registry.read(|state| {
        let all = state.templates.values();
        listed(
            call,
            "templates",
            all,
            |found| found.name.to_string(),
            |found| show(registry, found),
        )
    })
}

pub fn create_version(registry: &Registry, call: &Call) -> Changed {
    let name = call.text("templateName")?;
    let body = call.text("templateBody")?;
    let default = call.flag("setAsDefault")?;
    registry.change(|tx| {
        let number = tx.create_template_version(name, body, default)?;
        Ok(json!({
            "templateArn": tx.arn(format_args!("provisioningtemplate/{name}")),
            "templateName": name,
            "versionId": number,
            "isDefaultVersion": default,
        }))
    })
}

pub fn delete_version(registry: &Registry, call: &Call) -> Changed {
    let name = call.text("templateName")?;
    let number = version_number(call)?;
    registry.change(|tx| {
        let mut found = known(tx.state, name)?.clone();
        version_of(&found, number)?;
        if found.default == number {
            return Err(fault::delete_conflict(format!(
                "version {number} is the default version of template `{name}` and cannot be deleted"
            )));
        }
        found.versions.remove(&number);
        tx.put_template(found);
        Ok(json!({}))
    })
}

pub fn describe_version(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let name = call.text("templateName")?;
    let number = version_number(call)?;
    registry.read(|state| {
        let found = known(state, name)?;
        let version = version_of(found, number)?;
        Ok(json!({
            "versionId": number,
            "creationDate": version.created.fractional_seconds(),
            "templateBody": version.body,
            "isDefaultVersion": found.default == number,
        }))
    })
}

pub fn versions(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let name = call.text("templateName")?;
    registry.read(|state| {
        let found = known(state, name)?;
        listed(
            call,
            "versions",
            &found.versions,
            |(number, _)| format!("{number:010}"),
            |(number, version)| {
                json!({
                    "versionId": number,
                    "creationDate": version.created.fractional_seconds(),
                    "isDefaultVersion": found.default == *number,
                })
            },
        )
    })
}

pub async fn claim(registry: Arc<Registry>, call: Call) -> Result<Reply, Fault> {
    let name = call.text("templateName")?;
    registry.read(|state| known(state, name).map(drop))?;
    let issued = registry.ca.issue_keys().await?;
    let created = registry.change(|tx| {
        // It may have gone while the key was made.
        known(tx.state, name)?;
        let until = tx.issued_as_claim(&issued);
        let document = provisioning::claim_policy(tx.account, name);
        let policy = provisioning::policy_of(tx, &document)?;
        let target = tx.arn(format_args!("cert/{}", issued.id)).into();
        tx.attach_policy(&policy, &target)?;
        let keys = issued.keys.as_ref();
        Ok(json!({
            "certificateId": issued.id,
            "certificatePem": tx.certificate(&issued.id)?.pem(),
            "keyPair": {
                "PublicKey": keys.map(|keys| &keys.public),
                "PrivateKey": keys.map(|keys| &keys.private),
            },
            "expiration": until.fractional_seconds(),
        }))
    });
    stored(created).await
}

/// RegisterThing: a template that is not kept, evaluated at once.
pub fn register_thing(registry: &Registry, call: &Call) -> Changed {
    let body = call.text("templateBody")?;
    let parameters = object(&call.input, "parameters")?;
    let mut values = BTreeMap::new();
    for (name, value) in parameters {
        match value {
            Value::String(text) => values.insert(name, text),
            other => {
                return Err(fault::invalid(format!(
                    "parameter `{name}` must be a text, not {other}"
                )));
            }
        };
    }
    provisioning::check_body(body, false).map_err(fault::invalid)?;
    let evaluated: Evaluated =
        provisioning::evaluate(body, &values, false).map_err(fault::registration_failure)?;
    let plan = Plan::of(&evaluated).map_err(fault::registration_failure)?;
    let issued = match &plan.request {
        Some(request) => {
            Some(registry.ca.issue_request(request).map_err(fault::registration_failure)?)
        }
        None => None,
    };
    registry.change(|tx| {
        let done = provisioning::register(tx, &plan, issued.as_ref(), None)?;
        Ok(json!({"certificatePem": done.certificate_pem, "resourceArns": done.arns}))
    })
}

fn hook(members: &Map<String, Value>) -> Result<Option<Hook>, Fault> {
    let Some(Value::Object(members)) = members.get("preProvisioningHook") else { return Ok(None) };
    let target_arn = text_of(members, "targetArn")?
        .ok_or_else(|| fault::invalid("preProvisioningHook needs a targetArn"))?;
    Ok(Some(Hook { payload_version: text_of(members, "payloadVersion")?, target_arn }))
}

fn check_hook(hook: &Hook) -> Result<(), Fault> {
    let Some(version) = &hook.payload_version else { return Ok(()) };
    let fits = (10..=32).contains(&version.len())
        && version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    match fits {
        true => Ok(()),
        false => Err(fault::invalid(format!(
            "payloadVersion `{version}` must have 10 to 32 digits and hyphens, as in 2020-04-01"
        ))),
    }
}

/// Whether a template of this `type` is for just-in-time provisioning.
pub fn kind(word: Option<&str>) -> Result<bool, Fault> {
    match word {
        None | Some("FLEET_PROVISIONING") => Ok(false),
        Some("JITP") => Ok(true),
        Some(other) => {
            Err(fault::invalid(format!("type must be FLEET_PROVISIONING or JITP, not `{other}`")))
        }
    }
}

fn show(registry: &Registry, found: &Template) -> Value {
    let mut shown = json!({
        "templateArn": registry.account.arn("iot", format_args!("provisioningtemplate/{}", found.name)),
        "templateName": &*found.name,
        "creationDate": found.created.fractional_seconds(),
        "lastModifiedDate": found.modified.fractional_seconds(),
        "enabled": found.enabled,
        "type": found.kind(),
    });
    if let Some(description) = &found.description {
        shown["description"] = json!(description);
    }
    shown
}

fn known<'s>(state: &'s State, name: &str) -> Result<&'s Template, Fault> {
    state.templates.get(name).ok_or_else(|| fault::not_found("provisioning template", name))
}

fn version_number(call: &Call) -> Result<u32, Fault> {
    // A label of the path, so it arrives as a text.
    let text = match call.input.get("versionId") {
        Some(Value::Number(number)) => number.to_string(),
        _ => call.text("versionId")?.to_owned(),
    };
    text.parse().map_err(|_| fault::invalid(format!("versionId `{text}` is no number")))
}

fn version_of(found: &Template, number: u32) -> Result<&TemplateVersion, Fault> {
    found
        .versions
        .get(&number)
        .ok_or_else(|| fault::not_found("template version", &format!("{number} of {}", found.name)))
}

impl Tx<'_> {
    /// Makes a template with its first version.
    pub fn create_template(&mut self, new: NewTemplate) -> Result<(), Fault> {
        input::name("template name", &new.name, 36, "-")?;
        provisioning::check_body(&new.body, true).map_err(fault::invalid)?;
        check_role(&new.role)?;
        check_description(new.description.as_deref())?;
        if let Some(hook) = &new.hook {
            check_hook(hook)?;
        }
        if self.state.templates.contains_key(&*new.name) {
            let arn = self.arn(format_args!("provisioningtemplate/{}", new.name));
            return Err(fault::exists("provisioning template", &new.name, &new.name, &arn));
        }
        if self.state.templates.len() >= MOST_TEMPLATES {
            return Err(fault::limit(format!(
                "{MOST_TEMPLATES} provisioning templates are the most"
            )));
        }
        let version = TemplateVersion { body: new.body, created: self.now };
        self.put_template(Template {
            name: new.name.into(),
            description: new.description,
            enabled: new.enabled,
            role: new.role,
            hook: new.hook,
            just_in_time: new.just_in_time,
            created: self.now,
            modified: self.now,
            versions: BTreeMap::from([(1, version)]),
            default: 1,
            next: 2,
        });
        Ok(())
    }

    /// Changes a template.
    pub fn update_template(&mut self, name: &str, change: TemplateChange) -> Result<(), Fault> {
        let mut found = known(self.state, name)?.clone();
        if let Some(number) = change.default {
            version_of(&found, number)?;
            found.default = number;
        }
        if let Some(role) = change.role {
            check_role(&role)?;
            found.role = role;
        }
        if let Some(hook) = change.hook {
            if change.remove_hook {
                return Err(fault::invalid(
                    "preProvisioningHook and removePreProvisioningHook exclude each other",
                ));
            }
            check_hook(&hook)?;
            found.hook = Some(hook);
        }
        if change.remove_hook {
            found.hook = None;
        }
        check_description(change.description.as_deref())?;
        if change.description.is_some() {
            found.description = change.description;
        }
        found.enabled = change.enabled.unwrap_or(found.enabled);
        found.modified = self.now;
        self.put_template(found);
        Ok(())
    }

    /// Adds a version to a template; gives its number.
    pub fn create_template_version(
        &mut self,
        name: &str,
        body: &str,
        default: bool,
    ) -> Result<u32, Fault> {
        provisioning::check_body(body, true).map_err(fault::invalid)?;
        let mut found = known(self.state, name)?.clone();
        if found.versions.len() >= MOST_VERSIONS {
            return Err(fault::versions_limit("provisioning template", name));
        }
        let number = found.next;
        let version = TemplateVersion { body: body.to_owned(), created: self.now };
        found.versions.insert(number, version);
        found.next += 1;
        found.modified = self.now;
        if default {
            found.default = number;
        }
        self.put_template(found);
        Ok(number)
    }

    /// Deletes a template; with further versions only if `all`.
    pub fn delete_template(&mut self, name: &str, all: bool) -> Result<(), Fault> {
        let found = known(self.state, name)?;
        if found.versions.len() > 1 && !all {
            return Err(fault::delete_conflict(format!(
                "template `{name}` cannot be deleted: it has {} versions; delete all but the \
                 default one",
                found.versions.len()
            )));
        }
        let user = self.state.cas.values().find(|ca| {
            ca.registration
                .as_ref()
                .is_some_and(|registration| registration.template_name.as_deref() == Some(name))
        });
        if let Some(ca) = user {
            return Err(fault::delete_conflict(format!(
                "template `{name}` cannot be deleted: CA certificate `{}` provisions by it",
                ca.id
            )));
        }
        self.remove_template(name);
        let arn = self.arn(format_args!("provisioningtemplate/{name}"));
        self.put_tags(&arn, BTreeMap::new());
        Ok(())
    }
}

fn check_role(role: &str) -> Result<(), Fault> {
    let is_role = role.starts_with("arn:") && role.contains(":role/");
    match is_role {
        true => Ok(()),
        false => Err(fault::invalid(format!("`{role}` is no ARN of a role"))),
    }
}

fn check_description(text: Option<&str>) -> Result<(), Fault> {
    match text.map(|text| text.chars().count()).filter(|length| *length > 500) {
        Some(length) => Err(fault::invalid(format!(
            "the description of a template has at most 500 characters, not {length}"
        ))),
        None => Ok(()),
    }
}

const MOST_TEMPLATES: usize = 256;
