//! `manifest.json`: the list of what an app synthesized.
//!
//! The format is that of the CDK cloud assembly. Readers ignore what they do not know,
//! so fields of newer CDK versions pass through reading without being understood;
//! iotstack writes only fields that are older than the version it declares.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The version that iotstack writes: the lowest whose fields it uses, so that older
/// `cdk` programs read its assemblies too.
pub const WRITTEN_VERSION: &str = "36.0.0";

/// The highest major version that iotstack reads.
pub const SUPPORTED_MAJOR: u64 = 55;

/// The manifest of one assembly folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The schema version, `MAJOR.0.0`.
    pub version: String,
    /// The artifacts by id.
    #[serde(default)]
    pub artifacts: IndexMap<String, Artifact>,
    /// Context values that the app asks its caller to look up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Value>,
}

/// One artifact: a stack, a tree, an asset list or a nested assembly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// What it is, such as `aws:cloudformation:stack`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it goes, `aws://ACCOUNT/REGION`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// What its kind needs.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub properties: Map<String, Value>,
    /// Artifacts that come first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<String>,
    /// Messages and facts by construct path.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub metadata: IndexMap<String, Vec<MetadataEntry>>,
    /// A file with more of `metadata`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub additional_metadata_file: Option<String>,
    /// What users call it; the id where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

/// One metadata entry of a construct.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetadataEntry {
    /// Such as `aws:cdk:logicalId`, `aws:cdk:warning` or `aws:cdk:error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The value, usually text.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub data: Value,
}

/// The properties of an `aws:cloudformation:stack` artifact.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StackProperties {
    /// The template, relative to the assembly's folder.
    pub template_file: String,
    /// The stack's name in the account; the artifact's id where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack_name: Option<String>,
    /// Values of template parameters.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub parameters: IndexMap<String, String>,
    /// Tags on the stack, which CloudFormation hands on to its resources.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub tags: IndexMap<String, String>,
    /// Topics that hear the stack's events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notification_arns: Vec<String>,
    /// Whether deletion is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub termination_protection: Option<bool>,
    /// The role to deploy as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assume_role_arn: Option<String>,
    /// The external id for `assume_role_arn`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assume_role_external_id: Option<String>,
    /// The role that CloudFormation itself uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_formation_execution_role_arn: Option<String>,
    /// Where the template lies when it is published as an asset, `s3://BUCKET/KEY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack_template_asset_object_url: Option<String>,
    /// The lowest version of the bootstrap stack that the roles and bucket need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires_bootstrap_stack_version: Option<u32>,
    /// The parameter that holds the bootstrap stack's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap_stack_version_ssm_parameter: Option<String>,
}

/// Kinds of artifacts that iotstack writes or follows.
pub mod kind {
    /// A CloudFormation stack.
    pub const STACK: &str = "aws:cloudformation:stack";
    /// A list of files to publish.
    pub const ASSETS: &str = "cdk:asset-manifest";
    /// The construct tree, for viewers.
    pub const TREE: &str = "cdk:tree";
    /// An assembly in a folder of its own: a stage.
    pub const ASSEMBLY: &str = "cdk:cloud-assembly";
}
