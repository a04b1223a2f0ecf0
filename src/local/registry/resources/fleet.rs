//! Provisioning templates, role aliases and fleet metrics as CloudFormation has
//! them.
//!
//! An update of a template's body makes a new version and drops the old one.

use iotstack_local_kernel::{ResourceFault, ResourceRequest, ResourceState};
use serde_json::{Map, Value};

use super::{
    Kind, Outcome, changed, flag, gone, integer, name_or_made, nested, properties, required, small,
    text, unchanged,
};
use crate::api::templates::{NewTemplate, TemplateChange, kind};
use crate::core::{Registry, Tx};
use crate::fault;
use crate::state::Hook;

pub const KINDS: &[Kind] = &[
    Kind {
        name: "AWS::IoT::ProvisioningTemplate",
        create: create_template,
        update: update_template,
        delete: delete_template,
    },
    Kind {
        name: "AWS::IoT::RoleAlias",
        create: create_alias,
        update: update_alias,
        delete: delete_alias,
    },
    Kind {
        name: "AWS::IoT::FleetMetric",
        create: create_metric,
        update: update_metric,
        delete: delete_metric,
    },
];

fn create_template(registry: &Registry, request: &ResourceRequest) -> Outcome<ResourceState> {
    let all = properties(request);
    let new = NewTemplate {
        name: name_or_made(request, "TemplateName", 36),
        description: text(&all, "Description"),
        body: body(&all)?,
        enabled: flag(&all, "Enabled"),
        role: required(&all, "ProvisioningRoleArn")?,
        hook: hook(&all)?,
        just_in_time: kind(text(&all, "TemplateType").as_deref())?,
    };
    let name = new.name.clone();
    let tags = request.tags()?;
    changed(registry.change(|tx| {
        tx.create_template(new)?;
        let arn = tx.arn(format_args!("provisioningtemplate/{name}"));
        tx.put_tags(&arn, tags);
        Ok(ResourceState::new(&*name).with("TemplateArn", arn))
    }))
}

fn update_template(registry: &Registry, request: &ResourceRequest) -> Outcome<ResourceState> {
    unchanged(request, &["TemplateName", "TemplateType"])?;
    let name = request.physical_id()?;
    let all = properties(request);
    let body = body(&all)?;
    let hook = hook(&all)?;
    let change = TemplateChange {
        description: Some(text(&all, "Description").unwrap_or_default()),
        enabled: Some(flag(&all, "Enabled")),
        role: Some(required(&all, "ProvisioningRoleArn")?),
        remove_hook: hook.is_none(),
        hook,
        default: None,
    };
    let tags = request.tags()?;
    changed(registry.change(|tx| {
        let found = tx.state.templates.get(name);
        let found =
            found.cloned().ok_or_else(|| fault::not_found("provisioning template", name))?;
        if found.body() != body {
            crate::provisioning::check_body(&body, true).map_err(fault::invalid)?;
            // The body that was replaced is not needed any more.
            let default = found.default;
            let mut kept = found;
            kept.versions.retain(|number, _| *number == default);
            tx.put_template(kept);
            tx.create_template_version(name, &body, true)?;
            if let Some(mut found) = tx.state.templates.get(name).cloned() {
                let default = found.default;
                found.versions.retain(|number, _| *number == default);
                tx.put_template(found);
            }
        }
        tx.update_template(name, change)?;
        let arn = tx.arn(format_args!("provisioningtemplate/{name}"));
        tx.put_tags(&arn, tags);
        Ok(ResourceState::new(name).with("TemplateArn", arn))
    }))
}

fn delete_template(registry: &Registry, request: &ResourceRequest) -> Outcome<()> {
    let name = request.physical_id()?;
    gone(registry.change(|tx| tx.delete_template(name, true)))
}

fn body(all: &Map<String, Value>) -> Result<String, ResourceFault> {
    match all.get("TemplateBody") {
        Some(body @ Value::Object(_)) => Ok(body.to_string()),
        _ => required(all, "TemplateBody"),
    }
}

fn hook(all: &Map<String, Value>) -> Result<Option<Hook>, ResourceFault> {
    let hook = nested(all, "PreProvisioningHook");
    match hook.is_empty() {
        true => Ok(None),
        false => Ok(Some(Hook {
            payload_version: text(&hook, "PayloadVersion"),
            target_arn: required(&hook, "TargetArn")?,
        })),
    }
}

fn create_alias(registry: &Registry, request: &ResourceRequest) -> Outcome<ResourceState> {
    let all = properties(request);
    let name = name_or_made(request, "RoleAlias", 128);
    let role = required(&all, "RoleArn")?;
    let tags = request.tags()?;
    changed(registry.change(|tx| {
        tx.create_role_alias(&name, &role, integer(&all, "CredentialDurationSeconds"))?;
        let arn = tx.arn(format_args!("rolealias/{name}"));
        tx.put_tags(&arn, tags);
        Ok(ResourceState::new(&*name).with("RoleAliasArn", arn))
    }))
}

fn update_alias(registry: &Registry, request: &ResourceRequest) -> Outcome<ResourceState> {
    unchanged(request, &["RoleAlias"])?;
    let name = request.physical_id()?;
    let all = properties(request);
    let role = required(&all, "RoleArn")?;
    let tags = request.tags()?;
    changed(registry.change(|tx| {
        let duration = integer(&all, "CredentialDurationSeconds").unwrap_or(3600);
        tx.update_role_alias(name, Some(&role), Some(duration))?;
        let arn = tx.arn(format_args!("rolealias/{name}"));
        tx.put_tags(&arn, tags);
        Ok(ResourceState::new(name).with("RoleAliasArn", arn))
    }))
}

fn delete_alias(registry: &Registry, request: &ResourceRequest) -> Outcome<()> {
    let name = request.physical_id()?;
    gone(registry.change(|tx| tx.delete_role_alias(name)))
}

fn create_metric(registry: &Registry, request: &ResourceRequest) -> Outcome<ResourceState> {
    let all = properties(request);
    let name = required(&all, "MetricName")?;
    let members = metric(&all);
    let tags = request.tags()?;
    changed(registry.change(|tx| {
        tx.create_fleet_metric(&name, &members)?;
        let arn = tx.arn(format_args!("fleetmetric/{name}"));
        tx.put_tags(&arn, tags);
        Ok(metric_state(tx, &name))
    }))
}

fn update_metric(registry: &Registry, request: &ResourceRequest) -> Outcome<ResourceState> {
    unchanged(request, &["MetricName"])?;
    let name = request.physical_id()?;
    let members = metric(&properties(request));
    let tags = request.tags()?;
    changed(registry.change(|tx| {
        tx.update_fleet_metric(name, &members)?;
        let arn = tx.arn(format_args!("fleetmetric/{name}"));
        tx.put_tags(&arn, tags);
        Ok(metric_state(tx, name))
    }))
}

fn delete_metric(registry: &Registry, request: &ResourceRequest) -> Outcome<()> {
    let name = request.physical_id()?;
    gone(registry.change(|tx| tx.delete_fleet_metric(name, None)))
}

fn metric(all: &Map<String, Value>) -> Map<String, Value> {
    let mut members = small(all.clone());
    if let Some(Value::Object(kind)) = members.get("aggregationType") {
        let kind = small(kind.clone());
        members.insert("aggregationType".to_owned(), Value::Object(kind));
    }
    if let Some(period) = integer(all, "Period") {
        members.insert("period".to_owned(), Value::from(period));
    }
    members
}

fn metric_state(tx: &Tx<'_>, name: &str) -> ResourceState {
    let mut state =
        ResourceState::new(name).with("MetricArn", tx.arn(format_args!("fleetmetric/{name}")));
    if let Some(found) = tx.state.fleet_metrics.get(name) {
        state = state
            .with("CreationDate", found.created.fractional_seconds())
            .with("LastModifiedDate", found.modified.fractional_seconds())
            .with("Version", found.version);
    }
    state
}
