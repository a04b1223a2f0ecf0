//! What is indexed, as UpdateIndexingConfiguration sets it.
//!
//! The words are AWS's and stored as they came; locations and Device Defender are
//! refused, as nothing would index them.

use iotstack_local_kernel::Fault;
use serde::{Deserialize, Serialize};

use crate::fault;

/// The configuration of indexing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Configuration {
    pub thing_indexing_configuration: ThingIndexing,
    pub thing_group_indexing_configuration: GroupIndexing,
}

/// How things are indexed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ThingIndexing {
    pub thing_indexing_mode: String,
    #[serde(default = "off")]
    pub thing_connectivity_indexing_mode: String,
    #[serde(default = "off")]
    pub device_defender_indexing_mode: String,
    #[serde(default = "off")]
    pub named_shadow_indexing_mode: String,
    #[serde(default)]
    pub custom_fields: Vec<CustomField>,
    #[serde(default)]
    pub filter: Filter,
}

/// How groups are indexed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupIndexing {
    pub thing_group_indexing_mode: String,
    #[serde(default)]
    pub custom_fields: Vec<CustomField>,
}

/// A field that can be aggregated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CustomField {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
}

/// Which shadows are indexed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Filter {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub named_shadow_names: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub geo_locations: Vec<serde_json::Value>,
}

impl Default for ThingIndexing {
    fn default() -> Self {
        ThingIndexing {
            thing_indexing_mode: off(),
            thing_connectivity_indexing_mode: off(),
            device_defender_indexing_mode: off(),
            named_shadow_indexing_mode: off(),
            custom_fields: Vec::new(),
            filter: Filter::default(),
        }
    }
}

impl Default for GroupIndexing {
    fn default() -> Self {
        GroupIndexing { thing_group_indexing_mode: off(), custom_fields: Vec::new() }
    }
}

impl ThingIndexing {
    /// Whether the words fit each other.
    pub fn check(&self) -> Result<(), Fault> {
        one_of("thingIndexingMode", &self.thing_indexing_mode, THING_MODES)?;
        one_of(
            "thingConnectivityIndexingMode",
            &self.thing_connectivity_indexing_mode,
            &["OFF", "STATUS"],
        )?;
        one_of(
            "deviceDefenderIndexingMode",
            &self.device_defender_indexing_mode,
            &["OFF", "VIOLATIONS"],
        )?;
        one_of("namedShadowIndexingMode", &self.named_shadow_indexing_mode, &["OFF", "ON"])?;
        if self.device_defender_indexing_mode != "OFF" {
            return Err(fault::invalid(
                "deviceDefenderIndexingMode must be OFF: the local cloud has no Device Defender",
            ));
        }
        if !self.filter.geo_locations.is_empty() {
            return Err(fault::invalid(
                "the local cloud indexes no locations; leave geoLocations out",
            ));
        }
        let beyond = self.thing_connectivity_indexing_mode != "OFF"
            || self.named_shadow_indexing_mode != "OFF";
        if self.thing_indexing_mode == "OFF" && beyond {
            return Err(fault::invalid(
                "connectivity and named shadows are indexed only with things: set thingIndexingMode \
                 to REGISTRY or REGISTRY_AND_SHADOW",
            ));
        }
        if self.filter.named_shadow_names.len() > 10 {
            return Err(fault::invalid(format!(
                "at most 10 named shadows are indexed, not {}",
                self.filter.named_shadow_names.len()
            )));
        }
        check_fields(&self.custom_fields)
    }
}

impl GroupIndexing {
    /// Whether the words fit each other.
    pub fn check(&self) -> Result<(), Fault> {
        one_of("thingGroupIndexingMode", &self.thing_group_indexing_mode, &["OFF", "ON"])?;
        check_fields(&self.custom_fields)
    }
}

impl Configuration {
    /// Whether things are indexed at all.
    pub fn things_indexed(&self) -> bool {
        self.thing_indexing_configuration.thing_indexing_mode != "OFF"
    }

    /// Whether groups are indexed.
    pub fn groups_indexed(&self) -> bool {
        self.thing_group_indexing_configuration.thing_group_indexing_mode == "ON"
    }

    /// Whether classic shadows are indexed.
    pub fn classic_indexed(&self) -> bool {
        self.thing_indexing_configuration.thing_indexing_mode == "REGISTRY_AND_SHADOW"
    }

    /// Whether a named shadow is indexed.
    pub fn named_indexed(&self, name: &str) -> bool {
        let things = &self.thing_indexing_configuration;
        things.named_shadow_indexing_mode == "ON"
            && things.filter.named_shadow_names.iter().any(|indexed| indexed == name)
    }

    /// The named shadows that are indexed.
    pub fn named_shadows(&self) -> Vec<String> {
        let things = &self.thing_indexing_configuration;
        match things.named_shadow_indexing_mode == "ON" {
            true => things.filter.named_shadow_names.clone(),
            false => Vec::new(),
        }
    }

    /// Whether connectivity is indexed.
    pub fn connectivity_indexed(&self) -> bool {
        self.thing_indexing_configuration.thing_connectivity_indexing_mode == "STATUS"
    }

    /// What DescribeIndex calls the schema of the index of things.
    pub fn schema(&self) -> &'static str {
        let things = &self.thing_indexing_configuration;
        if things.named_shadow_indexing_mode == "ON" {
            return "MULTI_INDEXING_MODE";
        }
        match (self.classic_indexed(), self.connectivity_indexed()) {
            (false, false) => "REGISTRY",
            (true, false) => "REGISTRY_AND_SHADOW",
            (false, true) => "REGISTRY_AND_CONNECTIVITY_STATUS",
            (true, true) => "REGISTRY_AND_SHADOW_AND_CONNECTIVITY_STATUS",
        }
    }

    /// The type of a field that can be aggregated: a managed or a custom one.
    pub fn aggregated(&self, field: &str, groups: bool) -> Option<&str> {
        let custom = match groups {
            true => &self.thing_group_indexing_configuration.custom_fields,
            false => &self.thing_indexing_configuration.custom_fields,
        };
        let managed = if groups { GROUP_FIELDS } else { THING_FIELDS };
        managed.iter().find(|(name, _)| *name == field).map(|(_, kind)| *kind).or_else(|| {
            custom.iter().find(|custom| custom.name == field).map(|custom| &*custom.kind)
        })
    }
}

fn off() -> String {
    "OFF".to_owned()
}

fn one_of(name: &str, value: &str, words: &[&str]) -> Result<(), Fault> {
    match words.contains(&value) {
        true => Ok(()),
        false => Err(fault::invalid(format!(
            "{name} must be one of {}, not `{value}`",
            words.join(", ")
        ))),
    }
}

fn check_fields(fields: &[CustomField]) -> Result<(), Fault> {
    if fields.len() > MOST_FIELDS {
        return Err(fault::invalid(format!(
            "at most {MOST_FIELDS} custom fields are indexed, not {}",
            fields.len()
        )));
    }
    for field in fields {
        one_of("the type of a custom field", &field.kind, &["Number", "String", "Boolean"])?;
    }
    Ok(())
}

/// The fields that the index of things has without being asked, with their types.
pub const THING_FIELDS: &[(&str, &str)] = &[
    ("thingId", "String"),
    ("thingName", "String"),
    ("registry.version", "Number"),
    ("registry.thingTypeName", "String"),
    ("registry.thingGroupNames", "String"),
    ("shadow.version", "Number"),
    ("shadow.hasDelta", "Boolean"),
    ("connectivity.timestamp", "Number"),
    ("connectivity.connected", "Boolean"),
    ("connectivity.disconnectReason", "String"),
];

/// The same for groups.
pub const GROUP_FIELDS: &[(&str, &str)] = &[
    ("thingGroupId", "String"),
    ("thingGroupName", "String"),
    ("thingGroupDescription", "String"),
    ("parentGroupNames", "String"),
];

const MOST_FIELDS: usize = 5;
const THING_MODES: &[&str] = &["OFF", "REGISTRY", "REGISTRY_AND_SHADOW"];
