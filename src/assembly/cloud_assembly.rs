//! A cloud assembly: the folder an app writes and the tools read.
//!
//! Reading loads the manifests, of nested stages too, and puts the stacks in the order
//! of deployment. Templates and asset lists stay on disk until somebody asks, so an
//! assembly of many stacks costs little memory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::asset::AssetManifest;
use crate::manifest::{Artifact, Manifest, SUPPORTED_MAJOR, StackProperties, kind};
use crate::{Environment, Error, Result, Template};

/// An assembly that was read from a folder.
#[derive(Debug, Clone)]
pub struct CloudAssembly {
    directory: PathBuf,
    stacks: Vec<StackArtifact>,
    missing: Vec<serde_json::Value>,
}

/// A stack of an assembly.
#[derive(Debug, Clone)]
pub struct StackArtifact {
    /// The artifact's id; unique in its folder.
    pub id: String,
    /// What users call it: `IoTFirmwareUpdatesStack-dev`, or `Prod/Core` inside a stage.
    pub display_name: String,
    /// The stack's name in the account.
    pub stack_name: String,
    /// Where it goes.
    pub environment: Environment,
    /// The rest of what the manifest says.
    pub properties: StackProperties,
    /// Messages of the app about its constructs, with the construct's path.
    pub messages: Vec<AppMessage>,
    /// Ids of stacks in the same folder that are deployed first.
    pub dependencies: Vec<String>,
    /// Asset lists that are published first.
    pub asset_manifests: Vec<PathBuf>,
    /// The folder that holds the template.
    pub directory: PathBuf,
}

/// Something that the app wants its user to hear about a construct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppMessage {
    /// `error`, `warning` or `info`.
    pub level: String,
    /// The construct's path.
    pub construct: String,
    /// The text.
    pub text: String,
}

impl CloudAssembly {
    /// Reads the assembly in a folder.
    pub fn read(directory: impl Into<PathBuf>) -> Result<Self> {
        let directory = directory.into();
        let mut missing = Vec::new();
        let mut stacks = Vec::new();
        read_folder(&directory, &mut stacks, &mut missing)?;
        Ok(CloudAssembly { directory, stacks, missing })
    }

    /// The folder.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The stacks, those that others need first.
    pub fn stacks(&self) -> &[StackArtifact] {
        &self.stacks
    }

    /// Look-ups that the app could not make and asks its caller for.
    pub fn missing(&self) -> &[serde_json::Value] {
        &self.missing
    }

    /// The stacks that `stack` needs, directly and through others, in deployment order.
    pub fn dependencies_of<'a>(&'a self, stack: &'a StackArtifact) -> Vec<&'a StackArtifact> {
        let mut wanted: BTreeSet<&str> = BTreeSet::new();
        let mut open = vec![stack];
        while let Some(next) = open.pop() {
            for needed in self.stacks.iter().filter(|other| {
                other.directory == stack.directory && next.dependencies.contains(&other.id)
            }) {
                if wanted.insert(&needed.id) {
                    open.push(needed);
                }
            }
        }
        self.stacks
            .iter()
            .filter(|other| {
                other.directory == stack.directory && wanted.contains(other.id.as_str())
            })
            .collect()
    }
}

impl StackArtifact {
    /// Where the template is.
    pub fn template_path(&self) -> PathBuf {
        self.directory.join(&self.properties.template_file)
    }

    /// The template's bytes.
    pub fn template_bytes(&self) -> Result<Vec<u8>> {
        let path = self.template_path();
        std::fs::read(&path).map_err(Error::io("read", path))
    }

    /// The template.
    pub fn template(&self) -> Result<Template> {
        Template::from_json(&self.template_bytes()?).map_err(|error| Error::Invalid {
            path: self.template_path(),
            message: error.to_string(),
        })
    }

    /// The asset lists, each with the folder that its paths start from.
    pub fn assets(&self) -> Result<Vec<(PathBuf, AssetManifest)>> {
        self.asset_manifests
            .iter()
            .map(|path| Ok((self.directory.clone(), read_json(path)?)))
            .collect()
    }
}

fn read_folder(
    directory: &Path,
    stacks: &mut Vec<StackArtifact>,
    missing: &mut Vec<serde_json::Value>,
) -> Result<()> {
    let path = directory.join("manifest.json");
    let manifest: Manifest = read_json(&path)?;
    check_version(&path, &manifest.version)?;
    missing.extend(manifest.missing.iter().cloned());

    let mut here = BTreeMap::new();
    for (id, artifact) in &manifest.artifacts {
        match artifact.kind.as_str() {
            kind::STACK => {
                let stack = read_stack(directory, &path, id, artifact, &manifest)?;
                here.insert(id.clone(), stack);
            }
            kind::ASSEMBLY => {
                let name = artifact.properties.get("directoryName").and_then(|name| name.as_str());
                let name = name.ok_or_else(|| Error::Invalid {
                    path: path.clone(),
                    message: format!("artifact `{id}` has no `directoryName`"),
                })?;
                read_folder(&directory.join(name), stacks, missing)?;
            }
            _ => {}
        }
    }
    let order: Vec<&String> =
        manifest.artifacts.keys().filter(|id| here.contains_key(*id)).collect();
    for id in deployment_order(&order, &here)? {
        stacks.extend(here.remove(&id));
    }
    Ok(())
}

fn read_stack(
    directory: &Path,
    manifest_path: &Path,
    id: &str,
    artifact: &Artifact,
    manifest: &Manifest,
) -> Result<StackArtifact> {
    let invalid = |message: String| Error::Invalid { path: manifest_path.into(), message };
    let properties: StackProperties = serde_json::from_value(artifact.properties.clone().into())
        .map_err(|error| invalid(format!("stack `{id}`: {error}")))?;
    let environment = artifact
        .environment
        .as_deref()
        .ok_or_else(|| {
            invalid(format!("stack `{id}` has no `environment`; expected `aws://ACCOUNT/REGION`"))
        })?
        .parse()
        .map_err(|error| invalid(format!("stack `{id}`: {error}")))?;

    let (mut dependencies, mut asset_manifests) = (Vec::new(), Vec::new());
    for needed in &artifact.dependencies {
        let other = manifest.artifacts.get(needed).ok_or_else(|| {
            invalid(format!("stack `{id}` depends on `{needed}`, which the manifest does not list"))
        })?;
        match other.kind.as_str() {
            kind::STACK => dependencies.push(needed.clone()),
            kind::ASSETS => {
                let file = other.properties.get("file").and_then(|file| file.as_str());
                let file =
                    file.ok_or_else(|| invalid(format!("artifact `{needed}` has no `file`")))?;
                asset_manifests.push(directory.join(file));
            }
            _ => {}
        }
    }
    Ok(StackArtifact {
        id: id.to_owned(),
        display_name: artifact.display_name.clone().unwrap_or_else(|| id.to_owned()),
        stack_name: properties.stack_name.clone().unwrap_or_else(|| id.to_owned()),
        environment,
        messages: messages(directory, artifact)?,
        properties,
        dependencies,
        asset_manifests,
        directory: directory.to_owned(),
    })
}

/// Messages stand in the artifact or, in newer CDK versions, in a file beside it.
fn messages(directory: &Path, artifact: &Artifact) -> Result<Vec<AppMessage>> {
    let mut metadata = artifact.metadata.clone();
    if let Some(file) = &artifact.additional_metadata_file {
        metadata.extend(read_json::<indexmap::IndexMap<_, _>>(&directory.join(file))?);
    }
    let mut found = Vec::new();
    for (construct, entries) in metadata {
        for entry in entries {
            let level = entry.kind.strip_prefix("aws:cdk:");
            if let Some(level @ ("error" | "warning" | "info")) = level {
                let text =
                    entry.data.as_str().map_or_else(|| entry.data.to_string(), str::to_owned);
                found.push(AppMessage { level: level.into(), construct: construct.clone(), text });
            }
        }
    }
    Ok(found)
}

/// Needed stacks first, otherwise as the manifest lists them.
fn deployment_order(
    order: &[&String],
    stacks: &BTreeMap<String, StackArtifact>,
) -> Result<Vec<String>> {
    let mut done: Vec<String> = Vec::new();
    let mut seen = BTreeSet::new();
    // Each entry is a stack and how many of its dependencies were looked at.
    for start in order {
        let mut path: Vec<(&str, usize)> = vec![(start, 0)];
        while let Some((id, next)) = path.pop() {
            if seen.contains(id) {
                continue;
            }
            let needed = &stacks[id].dependencies;
            match needed.get(next) {
                None => {
                    seen.insert(id);
                    done.push(id.to_owned());
                }
                Some(dependency) => {
                    path.push((id, next + 1));
                    if let Some(begin) = path.iter().position(|(known, _)| known == dependency) {
                        let circle = path[begin..].iter().map(|(id, _)| *id);
                        let circle = circle.chain([dependency.as_str()]).map(str::to_owned);
                        return Err(Error::Cycle { stacks: circle.collect() });
                    }
                    path.push((dependency, 0));
                }
            }
        }
    }
    Ok(done)
}

fn check_version(path: &Path, version: &str) -> Result<()> {
    let major = version.split('.').next().and_then(|major| major.parse::<u64>().ok());
    match major {
        Some(major) if major <= SUPPORTED_MAJOR => Ok(()),
        Some(_) => Err(Error::Version {
            path: path.into(),
            found: version.into(),
            supported: SUPPORTED_MAJOR,
        }),
        None => Err(Error::Invalid {
            path: path.into(),
            message: format!("`version` is `{version}`; expected a version such as `36.0.0`"),
        }),
    }
}

/// Reads a JSON file; the error names the file, line and column.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Error::Invalid { path: path.into(), message: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn write(manifest: Value) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("manifest.json"), manifest.to_string()).unwrap();
        folder
    }

    fn stack(dependencies: &[&str]) -> Value {
        json!({"type": "aws:cloudformation:stack", "environment": "aws://unknown-account/unknown-region",
            "properties": {"templateFile": "t.json"}, "dependencies": dependencies})
    }

    fn order(manifest: Value) -> Result<Vec<String>> {
        let folder = write(manifest);
        let assembly = CloudAssembly::read(folder.path())?;
        Ok(assembly.stacks().iter().map(|stack| stack.id.clone()).collect())
    }

    #[test]
    fn puts_needed_stacks_first() {
        let manifest = json!({"version": "36.0.0", "artifacts":
            {"C": stack(&["B"]), "A": stack(&[]), "B": stack(&["A"])}});
        assert_eq!(order(manifest).unwrap(), ["A", "B", "C"]);
    }

    #[test]
    fn names_the_stacks_of_a_circle() {
        let manifest =
            json!({"version": "36.0.0", "artifacts": {"A": stack(&["B"]), "B": stack(&["A"])}});
        let error = order(manifest).unwrap_err();
        assert_eq!(error.to_string(), "the stacks A → B → A depend on each other in a circle");
    }

    #[test]
    fn refuses_an_assembly_of_a_newer_tool() {
        let error = order(json!({"version": "56.0.0"})).unwrap_err().to_string();
        assert!(
            error.ends_with("has cloud assembly version 56.0.0; this program reads up to 55.x.x"),
            "{error}"
        );
        assert_eq!(order(json!({"version": "1.0.0"})).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn refuses_a_stack_without_environment() {
        let error = order(json!({"version": "36.0.0", "artifacts": {"A":
            {"type": "aws:cloudformation:stack", "properties": {"templateFile": "t"}}}}));
        assert!(error.unwrap_err().to_string().contains("stack `A` has no `environment`"));
    }
}
