//! Writing: templates, asset lists, staged assets and manifest.
//!
//! The manifest goes away first and comes back last, so a folder whose writing failed
//! is not an assembly and cannot be taken for one. Stacks are rendered and written one
//! by one; a fleet of many stacks needs the memory of one.

use std::fs;
use std::path::Path;

use indexmap::IndexMap;
use iotstack_assembly::asset::{
    AssetManifest, FileAsset, FileDestination, FileSource, Packaging, files_below, sha256_hex,
};
use iotstack_assembly::manifest::{
    Artifact, Manifest, MetadataEntry, StackProperties, WRITTEN_VERSION, kind,
};
use iotstack_assembly::template::to_indented_json;
use iotstack_assembly::{Error as AssemblyError, Severity};
use serde_json::{Map, Value, json};

use super::names::{artifact_id, stack_name};
use super::{Plan, render};
use crate::Result;
use crate::asset::Asset;
use crate::stack::Synthesizer;
use crate::tree::{Element, NodeId, StackData, Tree};

/// Writes the assembly of a whole tree.
pub(crate) fn write(tree: &Tree, plan: &Plan, directory: &Path) -> Result<()> {
    write_folder(tree, plan, NodeId::ROOT, directory)
}

/// Writes the stacks of the app or of one stage, and its stages into folders below.
fn write_folder(tree: &Tree, plan: &Plan, parent: NodeId, directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).map_err(AssemblyError::io("create", directory))?;
    let manifest_path = directory.join("manifest.json");
    if manifest_path.exists() {
        fs::remove_file(&manifest_path).map_err(AssemblyError::io("replace", &manifest_path))?;
    }
    let mut artifacts = IndexMap::new();
    for child in &tree.node(parent).children {
        match &tree.node(*child).element {
            Element::Stack(data) => {
                write_stack(tree, plan, *child, data, directory, &mut artifacts)?;
            }
            Element::Stage => {
                let id = format!("assembly-{}", tree.path(*child).replace('/', "-"));
                write_folder(tree, plan, *child, &directory.join(&id))?;
                let properties = json!({"directoryName": id, "displayName": tree.path(*child)});
                artifacts.insert(id, artifact(kind::ASSEMBLY, properties));
            }
            _ => {}
        }
    }
    let manifest = Manifest { version: WRITTEN_VERSION.into(), artifacts, missing: Vec::new() };
    write_file(&manifest_path, &to_indented_json(&manifest))
}

fn write_stack(
    tree: &Tree,
    plan: &Plan,
    stack: NodeId,
    data: &StackData,
    directory: &Path,
    artifacts: &mut IndexMap<String, Artifact>,
) -> Result<()> {
    let id = artifact_id(tree, stack);
    let template_file = format!("{id}.template.json");
    let template = render::template(tree, plan, stack).to_json();
    let template_hash = sha256_hex(&template);
    write_file(&directory.join(&template_file), &template)?;

    let roles = Roles::of(data);
    let template_key = format!("{template_hash}.json");
    let mut assets = AssetManifest { version: WRITTEN_VERSION.into(), ..AssetManifest::default() };
    for asset in &data.assets {
        stage(asset, directory)?;
        let source = FileSource {
            path: Some(staged_name(asset).into()),
            packaging: asset.packaging,
            executable: None,
        };
        assets.files.insert(
            asset.hash.clone(),
            roles.file(&asset.display_name, source, asset.object_key()),
        );
    }
    let source = FileSource {
        path: Some(template_file.clone().into()),
        packaging: Packaging::File,
        executable: None,
    };
    let display_name = format!("{} template", tree.path(stack));
    assets.files.insert(template_hash, roles.file(&display_name, source, template_key.clone()));
    let assets_file = format!("{id}.assets.json");
    write_file(&directory.join(&assets_file), &to_indented_json(&assets))?;

    let assets_id = format!("{id}.assets");
    artifacts.insert(assets_id.clone(), artifact(kind::ASSETS, json!({"file": assets_file})));

    let properties = StackProperties {
        template_file,
        stack_name: Some(stack_name(tree, stack)),
        tags: data.stack.tags.clone().into_iter().collect(),
        notification_arns: data.stack.notification_arns.clone(),
        termination_protection: data.stack.termination_protection.then_some(true),
        assume_role_arn: roles.arn("deploy-role"),
        cloud_formation_execution_role_arn: roles.arn("cfn-exec-role"),
        stack_template_asset_object_url: Some(format!("s3://{}/{template_key}", roles.bucket())),
        requires_bootstrap_stack_version: Some(BOOTSTRAP_VERSION),
        bootstrap_stack_version_ssm_parameter: Some(format!(
            "/cdk-bootstrap/{}/version",
            roles.qualifier
        )),
        ..StackProperties::default()
    };
    let mut dependencies = vec![assets_id];
    let needed = plan.references.stack_dependencies.get(&stack);
    dependencies.extend(needed.into_iter().flatten().map(|needed| artifact_id(tree, *needed)));
    let stack_artifact = Artifact {
        kind: kind::STACK.into(),
        environment: Some(data.stack.environment.to_string()),
        properties: object(serde_json::to_value(&properties).unwrap_or_default()),
        dependencies,
        metadata: messages(tree, plan, stack),
        additional_metadata_file: None,
        display_name: Some(tree.path(stack)),
    };
    artifacts.insert(id, stack_artifact);
    Ok(())
}

/// What constructs of the stack want to be heard, by construct path.
fn messages(tree: &Tree, plan: &Plan, stack: NodeId) -> IndexMap<String, Vec<MetadataEntry>> {
    let prefix = tree.path(stack);
    let mut messages: IndexMap<String, Vec<MetadataEntry>> = IndexMap::new();
    for finding in plan.findings.iter() {
        let path = finding.place.construct.clone().unwrap_or_default();
        let inside =
            path == prefix || path.strip_prefix(&prefix).is_some_and(|rest| rest.starts_with('/'));
        if inside {
            let kind = match finding.severity {
                Severity::Error => "aws:cdk:error",
                Severity::Warning => "aws:cdk:warning",
                Severity::Info => "aws:cdk:info",
            };
            let text = format!("{} [{}]", finding.message, finding.code);
            messages
                .entry(format!("/{path}"))
                .or_default()
                .push(MetadataEntry { kind: kind.into(), data: Value::String(text) });
        }
    }
    messages
}

/// Names of the bootstrap's bucket and roles, for one stack.
struct Roles<'a> {
    qualifier: &'a str,
    account: &'a str,
    region: &'a str,
    assumes_roles: bool,
}

impl<'a> Roles<'a> {
    fn of(data: &'a StackData) -> Self {
        let environment = &data.stack.environment;
        Roles {
            qualifier: data.stack.synthesizer.qualifier(),
            account: environment.account.as_deref().unwrap_or("${AWS::AccountId}"),
            region: environment.region.as_deref().unwrap_or("${AWS::Region}"),
            assumes_roles: matches!(data.stack.synthesizer, Synthesizer::Bootstrapped { .. }),
        }
    }

    fn bucket(&self) -> String {
        format!("cdk-{}-assets-{}-{}", self.qualifier, self.account, self.region)
    }

    fn arn(&self, role: &str) -> Option<String> {
        let Roles { qualifier, account, region, .. } = self;
        self.assumes_roles.then(|| {
            format!("arn:${{AWS::Partition}}:iam::{account}:role/cdk-{qualifier}-{role}-{account}-{region}")
        })
    }

    fn file(&self, name: &str, source: FileSource, key: String) -> FileAsset {
        let known_region = (!self.region.starts_with('$')).then(|| self.region.to_owned());
        let destination = FileDestination {
            bucket_name: self.bucket(),
            object_key: key,
            region: known_region,
            assume_role_arn: self.arn("file-publishing-role"),
            assume_role_external_id: None,
        };
        let id = format!("{}-{}", self.account.trim_matches(['$', '{', '}']), self.region)
            .replace("AWS::AccountId", "current_account")
            .replace("${AWS::Region}", "current_region");
        FileAsset {
            display_name: Some(name.to_owned()),
            source,
            destinations: IndexMap::from([(id, destination)]),
        }
    }
}

/// Copies an asset into the assembly, once: the name holds the hash of the content.
fn stage(asset: &Asset, directory: &Path) -> Result<()> {
    let target = directory.join(staged_name(asset));
    if target.exists() {
        return Ok(());
    }
    // A copy that was interrupted must not pass for a whole one.
    let partial = directory.join(format!("partial.{}", staged_name(asset)));
    if asset.source.is_dir() {
        for file in files_below(&asset.source)? {
            place(&asset.source.join(&file), &partial.join(&file))?;
        }
    } else if let Some(name) = &asset.rename {
        place(&asset.source, &partial.join(name))?;
    } else {
        place(&asset.source, &partial)?;
    }
    Ok(fs::rename(&partial, &target).map_err(AssemblyError::io("create", &target))?)
}

fn staged_name(asset: &Asset) -> String {
    match (asset.packaging, asset.source.extension()) {
        (Packaging::File, Some(extension)) => {
            format!("asset.{}.{}", asset.hash, extension.to_string_lossy())
        }
        _ => format!("asset.{}", asset.hash),
    }
}

fn place(source: &Path, target: &Path) -> Result<()> {
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).map_err(AssemblyError::io("create", parent))?;
    }
    // Copying says only that it failed; whether the source is the reason is asked first.
    fs::metadata(source).map_err(AssemblyError::io("read", source))?;
    fs::copy(source, target).map_err(AssemblyError::io("copy to", target))?;
    Ok(())
}

fn artifact(kind: &str, properties: Value) -> Artifact {
    Artifact {
        kind: kind.into(),
        environment: None,
        properties: object(properties),
        dependencies: Vec::new(),
        metadata: IndexMap::new(),
        additional_metadata_file: None,
        display_name: None,
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    Ok(fs::write(path, bytes).map_err(AssemblyError::io("write", path))?)
}

/// The oldest bootstrap whose roles and bucket are enough.
const BOOTSTRAP_VERSION: u32 = 6;
