//! Templates: given back, summarized, validated.
//!
//! The original is the text as it came, the processed one has its loops unrolled.
//! A summary needs no values of parameters; loops over parameters are unrolled with
//! their defaults.

use std::sync::Arc;

use indexmap::IndexMap;
use iotstack_assembly::Template;
use iotstack_local_kernel::{Call, Reply};
use serde_json::{Value, json};

use super::CloudFormation;
use super::change_sets::find;
use super::input::{required, text};
use crate::engine::functions::scalar;
use crate::engine::{capabilities, extensions, parameters, prepare_again, source, validate};
use crate::state::Definition;
use crate::{Error, Result};

pub fn get(service: &CloudFormation, call: &Call) -> Result<Reply> {
    let stage = text(call, "TemplateStage").unwrap_or("Original");
    if !matches!(stage, "Original" | "Processed") {
        return Err(Error::invalid(format!(
            "TemplateStage must be Original or Processed, not {stage}"
        )));
    }
    let (definition, name) = match text(call, "ChangeSetName") {
        Some(_) => {
            let (stack_id, set) = find(service, call)?;
            (Some(set.definition), stack_id)
        }
        None => {
            let name = required(call, "StackName")?;
            let found = service.engine.read(|state| {
                state.find(name).map(|stack| (stack.definition.clone(), stack.head.name.clone()))
            });
            found.ok_or_else(|| Error::no_stack(name))?
        }
    };
    let body = match &definition {
        // A stack that was only looked at so far has a template without anything in it.
        None => "{}".to_owned(),
        Some(definition) if stage == "Processed" => processed(service, definition, &name)?,
        Some(definition) => definition.text.clone(),
    };
    Ok(json!({ "TemplateBody": body, "StagesAvailable": ["Original", "Processed"] }).into())
}

pub async fn summarize(service: Arc<CloudFormation>, call: Call) -> Result<Reply> {
    let text = match text(&call, "StackName") {
        Some(name) => {
            let found =
                service.engine.read(|state| state.find(name).map(|stack| stack.definition.clone()));
            let definition = found.ok_or_else(|| Error::no_stack(name))?;
            definition.map(|definition| definition.text.clone()).unwrap_or_default()
        }
        None => given(&service, &call).await?,
    };
    let raw = source::parse(&text)?;
    let declared = raw.get("Parameters").and_then(Value::as_object);
    let shown: Vec<Value> = declared
        .into_iter()
        .flatten()
        .map(|(name, declaration)| {
            let mut told = parameter(name, declaration);
            told["ParameterType"] = json!(declaration.get("Type").and_then(Value::as_str));
            let allowed = declaration.get("AllowedValues").and_then(Value::as_array);
            let allowed: Option<Vec<_>> =
                allowed.map(|allowed| allowed.iter().filter_map(scalar).collect());
            told["ParameterConstraints"] = json!({ "AllowedValues": allowed });
            told
        })
        .collect();
    let template = template_of(&service, &raw)?;
    let mut kinds: IndexMap<&str, Vec<&str>> = IndexMap::new();
    for (id, resource) in &template.resources {
        kinds.entry(&resource.kind).or_default().push(id);
    }
    let identifiers: Vec<Value> = kinds
        .iter()
        .filter_map(|(kind, ids)| {
            let facts = iotstack_schema::resource_type(kind)?;
            let names: Vec<String> =
                facts.primary_identifier.iter().map(ToString::to_string).collect();
            (!names.is_empty()).then(|| {
                json!({
                    "ResourceType": kind,
                    "LogicalResourceIds": ids,
                    "ResourceIdentifiers": names,
                })
            })
        })
        .collect();
    let metadata = raw.get("Metadata").filter(|metadata| !metadata.is_null());
    let mut told = json!({
        "Parameters": shown,
        "Description": raw.get("Description").and_then(Value::as_str),
        "ResourceTypes": kinds.keys().collect::<Vec<_>>(),
        "Version": raw.get("AWSTemplateFormatVersion").and_then(scalar),
        "Metadata": metadata.map(Value::to_string),
        "DeclaredTransforms": extensions::transforms(&raw),
        "ResourceIdentifierSummaries": identifiers,
    });
    add_capabilities(&mut told, &template);
    Ok(told.into())
}

pub async fn validate(service: Arc<CloudFormation>, call: Call) -> Result<Reply> {
    let cloud = service.cloud()?;
    let text = given(&service, &call).await?;
    let raw = source::parse(&text)?;
    let template = template_of(&service, &raw)?;
    validate::alone(&cloud, &template)?;
    let declared = raw.get("Parameters").and_then(Value::as_object);
    let shown: Vec<Value> = declared
        .into_iter()
        .flatten()
        .map(|(name, declaration)| parameter(name, declaration))
        .collect();
    let mut told = json!({
        "Parameters": shown,
        "Description": raw.get("Description").and_then(Value::as_str),
        "DeclaredTransforms": extensions::transforms(&raw),
    });
    add_capabilities(&mut told, &template);
    Ok(told.into())
}

async fn given(service: &CloudFormation, call: &Call) -> Result<String> {
    let cloud = service.cloud()?;
    source::read(&cloud, text(call, "TemplateBody"), text(call, "TemplateURL"))
        .await?
        .ok_or_else(|| Error::invalid("Either Template URL or Template Body must be specified."))
}

/// The template with its loops unrolled, as far as that goes without parameters.
fn template_of(service: &CloudFormation, raw: &Value) -> Result<Template> {
    let cloud = service.cloud()?;
    let defaults = parameters::defaults(raw);
    let raw = extensions::unroll(raw.clone(), &defaults, &cloud.account, "stack")?;
    Template::from_value(raw)
        .map_err(|error| Error::invalid(format!("Template format error: {error}")))
}

fn processed(service: &CloudFormation, definition: &Arc<Definition>, name: &str) -> Result<String> {
    let raw = source::parse(&definition.text)?;
    if extensions::transforms(&raw).is_empty() {
        return Ok(definition.text.clone());
    }
    let cloud = service.cloud()?;
    let prepared = prepare_again(definition, &cloud.account, name)?;
    let mut template = prepared.template.to_value();
    if let Some(sections) = template.as_object_mut() {
        sections.shift_remove("Transform");
    }
    Ok(template.to_string())
}

fn parameter(name: &str, declaration: &Value) -> Value {
    let is_secret = declaration.get("NoEcho").and_then(scalar);
    json!({
        "ParameterKey": name,
        "DefaultValue": declaration.get("Default").and_then(scalar),
        "NoEcho": is_secret.is_some_and(|text| text.eq_ignore_ascii_case("true")),
        "Description": declaration.get("Description").and_then(Value::as_str),
    })
}

fn add_capabilities(told: &mut Value, template: &Template) {
    let (needed, kinds) = capabilities::needed(template);
    if !needed.is_empty() {
        told["Capabilities"] = json!(needed);
        told["CapabilitiesReason"] = json!(format!(
            "The following resource(s) require capabilities: [{}]",
            kinds.join(", ")
        ));
    }
}
