//! What an evaluated template wants: at most one thing, one certificate, and
//! any number of policies.
//!
//! Pure: whether all this can be had is asked when the plan is carried out.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::template::{Evaluated, Resource};

/// What shall exist when a device is provisioned.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    pub thing: Option<ThingPlan>,
    pub certificate: Option<CertificatePlan>,
    /// A certificate signing request, for templates that are evaluated by an operator.
    pub request: Option<String>,
    pub policies: Vec<PolicyPlan>,
    pub device_configuration: BTreeMap<String, String>,
}

/// A thing of a plan.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ThingPlan {
    pub logical: String,
    pub name: String,
    pub thing_type: Option<String>,
    pub attributes: BTreeMap<String, String>,
    pub groups: Vec<String>,
    pub billing_group: Option<String>,
    pub attributes_if_exists: Override,
    pub type_if_exists: Override,
    pub groups_if_exists: Override,
}

/// What happens to a property of something that exists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Override {
    #[default]
    DoNothing,
    Replace,
    Merge,
    Fail,
}

/// The certificate of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct CertificatePlan {
    pub logical: String,
    pub source: CertificateSource,
    pub active: bool,
    pub exclusive: bool,
    pub status_if_exists: Override,
}

/// Where the certificate comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum CertificateSource {
    /// A registered one.
    Id(String),
    /// A signing request.
    Request,
    /// A certificate, with that of its authority.
    Pem(String, Option<String>),
}

/// A policy of a plan.
#[derive(Debug, Clone, PartialEq)]
pub enum PolicyPlan {
    /// One that exists, under its logical name.
    Named(String, String),
    /// One that is made from a document.
    Document(String, String),
}

impl Plan {
    /// The plan of a template.
    ///
    /// # Errors
    /// What does not fit.
    pub fn of(evaluated: &Evaluated) -> Result<Self, String> {
        let mut plan = Plan {
            device_configuration: evaluated.device_configuration.clone(),
            ..Plan::default()
        };
        for (logical, resource) in &evaluated.resources {
            check_properties(logical, resource)?;
            match resource.kind.as_str() {
                "AWS::IoT::Thing" if plan.thing.is_none() => {
                    plan.thing = Some(thing(logical, resource)?);
                }
                "AWS::IoT::Certificate" if plan.certificate.is_none() => {
                    let properties = &resource.properties;
                    plan.request = text(properties, "CertificateSigningRequest")?;
                    plan.certificate = Some(certificate(logical, resource)?);
                }
                "AWS::IoT::Policy" => plan.policies.push(policy(logical, resource)?),
                kind => return Err(format!("the template has more than one {kind}")),
            }
        }
        if plan.certificate.is_none() && !plan.policies.is_empty() {
            return Err("the template has policies but no certificate to attach them to".to_owned());
        }
        Ok(plan)
    }
}

/// Whether all properties are known; one that is passed over would be missed later.
fn check_properties(logical: &str, resource: &Resource) -> Result<(), String> {
    let known: &[&str] = match resource.kind.as_str() {
        "AWS::IoT::Thing" => {
            &["ThingName", "AttributePayload", "ThingTypeName", "ThingGroups", "BillingGroup"]
        }
        "AWS::IoT::Certificate" => &[
            "CertificateSigningRequest",
            "CertificateId",
            "CertificatePem",
            "CACertificatePem",
            "Status",
            "ThingPrincipalType",
        ],
        _ => &["PolicyName", "PolicyDocument"],
    };
    match resource.properties.keys().find(|name| !known.contains(&name.as_str())) {
        Some(other) => Err(format!(
            "resource `{logical}` has the property `{other}`; {} are known",
            known.join(", ")
        )),
        None => Ok(()),
    }
}

fn thing(logical: &str, resource: &Resource) -> Result<ThingPlan, String> {
    let properties = &resource.properties;
    let name = text(properties, "ThingName")?
        .ok_or_else(|| format!("resource `{logical}` has no ThingName"))?;
    let mut attributes = BTreeMap::new();
    match properties.get("AttributePayload") {
        None | Some(Value::Null) => {}
        Some(Value::Object(members)) => {
            for (key, value) in members {
                let Value::String(value) = value else {
                    return Err(format!("attribute `{key}` must be a text, not {value}"));
                };
                attributes.insert(key.clone(), value.clone());
            }
        }
        Some(other) => return Err(format!("AttributePayload must be an object, not {other}")),
    }
    let groups = match properties.get("ThingGroups") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| {
                item.as_str()
                    .map(str::to_owned)
                    .ok_or_else(|| format!("ThingGroups cannot hold {item}"))
            })
            .collect::<Result<_, _>>()?,
        Some(other) => return Err(format!("ThingGroups must be a list, not {other}")),
    };
    let overrides = &resource.overrides;
    Ok(ThingPlan {
        logical: logical.to_owned(),
        name,
        thing_type: text(properties, "ThingTypeName")?.filter(|name| !name.is_empty()),
        attributes,
        groups,
        billing_group: text(properties, "BillingGroup")?.filter(|name| !name.is_empty()),
        attributes_if_exists: setting(overrides, ["AttributePayload", "ATTRIBUTE_PAYLOAD"], true)?,
        type_if_exists: setting(overrides, ["ThingTypeName", "THING_TYPE_NAME"], false)?,
        groups_if_exists: setting(overrides, ["ThingGroups", "THING_GROUPS"], true)?,
    })
}

fn certificate(logical: &str, resource: &Resource) -> Result<CertificatePlan, String> {
    let properties = &resource.properties;
    let sources = [
        text(properties, "CertificateId")?.map(CertificateSource::Id),
        text(properties, "CertificateSigningRequest")?.map(|_| CertificateSource::Request),
        match text(properties, "CertificatePem")? {
            Some(pem) => Some(CertificateSource::Pem(pem, text(properties, "CACertificatePem")?)),
            None => None,
        },
    ];
    let mut given = sources.into_iter().flatten();
    let (Some(source), None) = (given.next(), given.next()) else {
        return Err(format!(
            "resource `{logical}` needs exactly one of CertificateId, CertificateSigningRequest and \
             CertificatePem"
        ));
    };
    let status = text(properties, "Status")?.unwrap_or_else(|| "ACTIVE".to_owned());
    let active = match status.to_ascii_uppercase().as_str() {
        "ACTIVE" => true,
        "INACTIVE" => false,
        _ => {
            return Err(format!(
                "Status of `{logical}` must be ACTIVE or INACTIVE, not `{status}`"
            ));
        }
    };
    let exclusive = match text(properties, "ThingPrincipalType")?.as_deref() {
        None | Some("NON_EXCLUSIVE_THING") => false,
        Some("EXCLUSIVE_THING") => true,
        Some(other) => {
            return Err(format!(
                "ThingPrincipalType must be EXCLUSIVE_THING or NON_EXCLUSIVE_THING, not `{other}`"
            ));
        }
    };
    Ok(CertificatePlan {
        logical: logical.to_owned(),
        source,
        active,
        exclusive,
        status_if_exists: setting(&resource.overrides, ["Status", "STATUS"], false)?,
    })
}

fn policy(logical: &str, resource: &Resource) -> Result<PolicyPlan, String> {
    let properties = &resource.properties;
    let name = text(properties, "PolicyName")?;
    let document = match properties.get("PolicyDocument") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(document @ Value::Object(_)) => Some(document.to_string()),
        Some(other) => {
            return Err(format!("PolicyDocument must be a text or an object, not {other}"));
        }
    };
    match (name, document) {
        (Some(name), None) => Ok(PolicyPlan::Named(logical.to_owned(), name)),
        (None, Some(document)) => Ok(PolicyPlan::Document(logical.to_owned(), document)),
        _ => Err(format!("resource `{logical}` needs either PolicyName or PolicyDocument")),
    }
}

fn setting(
    overrides: &Map<String, Value>,
    names: [&str; 2],
    merges: bool,
) -> Result<Override, String> {
    let Some(value) = names.iter().find_map(|name| overrides.get(*name)) else {
        return Ok(Override::DoNothing);
    };
    match value.as_str() {
        Some("DO_NOTHING") => Ok(Override::DoNothing),
        Some("REPLACE") => Ok(Override::Replace),
        Some("FAIL") => Ok(Override::Fail),
        Some("MERGE") if merges => Ok(Override::Merge),
        _ => Err(format!(
            "OverrideSettings {} must be DO_NOTHING, REPLACE, FAIL{}, not {value}",
            names[0],
            if merges { " or MERGE" } else { "" }
        )),
    }
}

fn text(properties: &Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    match properties.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(format!("{name} must be a text, not {other}")),
    }
}
