//! Functions: made from a zip, shown, changed, removed.
//!
//! Code is fetched and judged before anything changes. A function is active at once,
//! as there is no image to prepare; waiters of the clients find that state.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use iotstack_local_kernel::{Call, Commit, Fault, Reply, id, loose, page};
use serde_json::{Map, Value, json};

use super::{limit, named, unqualified};
use crate::archive;
use crate::code::Package;
use crate::error::{conflict, invalid, stale_revision, too_large};
use crate::interpreter;
use crate::name::FunctionName;
use crate::record::{Function, Version};
use crate::service::Lambda;
use crate::settings::Settings;

impl Lambda {
    pub(crate) async fn create_function(self: Arc<Self>, call: Call) -> Result<Reply, Fault> {
        let tags = loose::pairs(&call.input, "Tags", ("Key", "Value"))?.into_iter().collect();
        let (shown, commit) = self.make(&call.input, tags).await?;
        commit.stored().await?;
        Ok(Reply::from(shown).status(201))
    }

    /// Makes a function; gives its configuration.
    pub(crate) async fn make(
        &self,
        input: &Map<String, Value>,
        tags: BTreeMap<String, String>,
    ) -> Result<(Value, Commit), Fault> {
        let name = FunctionName::parse(&loose::required(input, "FunctionName")?, None)?;
        let mut settings = Settings::default();
        settings.apply(input)?;
        settings.complete()?;
        super::tag::judge(&tags)?;
        if self.functions().contains_key(&name.name) {
            return Err(conflict(format!("Function already exist: {}", name.name)));
        }
        self.judge_role(&settings.role)?;
        // Held until the function is in, so that its code is not forgotten.
        let package = self.fetch(&loose::object(input, "Code")?).await?;
        let mut function = Function {
            name: name.name.clone(),
            latest: Version {
                number: "$LATEST".to_owned(),
                settings,
                code: package.hash.clone(),
                code_sha256: package.sha256.clone(),
                code_size: package.size,
                modified: self.now(),
                revision: id::uuid(),
            },
            versions: BTreeMap::new(),
            last_version: 0,
            aliases: BTreeMap::new(),
            statements: BTreeMap::new(),
            tags,
            reserved_concurrency: None,
            event_configs: BTreeMap::new(),
        };
        let mut shown = function.latest.configuration(&self.account, &name);
        if loose::flag(input, "Publish")?.unwrap_or(false) {
            // Its first version is told by its number alone; the ARN stays that of the function.
            shown = self.publish(&mut function, None, self.now());
            shown["FunctionArn"] = Value::String(self.arn(&name.name));
        }
        let commit = self.insert(function)?;
        Ok((shown, commit))
    }

    pub(crate) async fn update_function_code(self: Arc<Self>, call: Call) -> Result<Reply, Fault> {
        let name = unqualified(&call)?;
        let (shown, commit) = self.replace_code(&name, &call.input).await?;
        commit.stored().await?;
        Ok(shown.into())
    }

    /// Gives a function new code.
    pub(crate) async fn replace_code(
        &self,
        name: &FunctionName,
        input: &Map<String, Value>,
    ) -> Result<(Value, Commit), Fault> {
        self.read(name, |_| Ok(()))?;
        let package = self.fetch(input).await?;
        let mut settings = None;
        if let Some(architecture) = input.get("Architectures") {
            settings = Some(Map::from_iter([("Architectures".to_owned(), architecture.clone())]));
        }
        let revision = loose::text(input, "RevisionId")?;
        let dry = loose::flag(input, "DryRun")?.unwrap_or(false);
        let publish = loose::flag(input, "Publish")?.unwrap_or(false);
        let at = self.now();
        let (shown, commit) = self.change(name, |function| {
            check_revision(function, revision.as_deref())?;
            let before = function.latest.clone();
            if let Some(settings) = &settings {
                function.latest.settings.apply(settings)?;
            }
            function.latest.code = package.hash.clone();
            function.latest.code_sha256 = package.sha256.clone();
            function.latest.code_size = package.size;
            function.touch(at);
            let shown = function.latest.configuration(&self.account, name);
            if dry {
                function.latest = before;
            } else if publish {
                return Ok(self.publish(function, None, at));
            }
            Ok(shown)
        })?;
        self.settle(&name.name);
        Ok((shown, commit))
    }

    pub(crate) fn update_function_configuration(
        &self,
        call: Call,
    ) -> Result<(Reply, Commit), Fault> {
        let name = unqualified(&call)?;
        let (shown, commit) = self.configure(&name, &call.input)?;
        Ok((shown.into(), commit))
    }

    /// Gives a function other settings.
    pub(crate) fn configure(
        &self,
        name: &FunctionName,
        input: &Map<String, Value>,
    ) -> Result<(Value, Commit), Fault> {
        let revision = loose::text(input, "RevisionId")?;
        if let Some(role) = loose::text(input, "Role")? {
            self.judge_role(&role)?;
        }
        let changed = self.change(name, |function| {
            check_revision(function, revision.as_deref())?;
            function.latest.settings.apply(input)?;
            function.latest.settings.complete()?;
            function.touch(self.now());
            Ok(function.latest.configuration(&self.account, name))
        })?;
        self.settle(&name.name);
        Ok(changed)
    }

    pub(crate) fn get_function(&self, call: Call) -> Result<Reply, Fault> {
        let name = named(&call)?;
        let (configuration, tags, concurrency, code) = self.read(&name, |function| {
            let version = function.version(&self.account, name.qualifier.as_deref())?;
            let configuration = version.configuration(&self.account, &name);
            let concurrency = function.reserved_concurrency;
            Ok((configuration, function.tags.clone(), concurrency, version.code.clone()))
        })?;
        // AWS gives a URL here; no bucket holds the zip, so the code is named.
        let mut shown = json!({
            "Configuration": configuration,
            "Code": {"RepositoryType": "S3", "Location": format!("sha256:{code}")},
        });
        if !tags.is_empty() {
            shown["Tags"] = json!(tags);
        }
        if let Some(concurrency) = concurrency {
            shown["Concurrency"] = json!({"ReservedConcurrentExecutions": concurrency});
        }
        Ok(shown.into())
    }

    pub(crate) fn get_function_configuration(&self, call: Call) -> Result<Reply, Fault> {
        let name = named(&call)?;
        let shown = self.read(&name, |function| {
            let version = function.version(&self.account, name.qualifier.as_deref())?;
            Ok(version.configuration(&self.account, &name))
        })?;
        Ok(shown.into())
    }

    pub(crate) fn list_functions(&self, call: Call) -> Result<Reply, Fault> {
        let marker = call.optional_text("Marker")?;
        let all = match call.optional_text("FunctionVersion")? {
            None => false,
            Some("ALL") => true,
            Some(other) => {
                return Err(Fault::invalid_input(format!(
                    "FunctionVersion must be ALL, not `{other}`"
                )));
            }
        };
        let limit = limit(&call)?;
        let functions = self.functions();
        let versions = functions.values().flat_map(|function| {
            let shown = function.all_versions().take(if all { usize::MAX } else { 1 });
            shown.map(|version| (function.name.as_str(), version))
        });
        let key = |(name, version): &(&str, &Version)| format!("{name}\0{}", version.order());
        let (found, next) = page::page(versions, key, marker, limit)?;
        let shown: Vec<Value> = found
            .into_iter()
            .map(|(name, version)| {
                let qualifier = all.then(|| version.number.clone());
                let name = FunctionName { name: name.to_owned(), qualifier };
                version.configuration(&self.account, &name)
            })
            .collect();
        Ok(json!({"Functions": shown, "NextMarker": next}).into())
    }

    pub(crate) fn delete_function(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let name = named(&call)?;
        let commit = match name.qualifier.as_deref() {
            None => self.remove(&name)?,
            Some("$LATEST") => {
                return Err(invalid("$LATEST cannot be deleted; delete the function"));
            }
            Some(qualifier) => {
                let ((), commit) = self.change(&name, |function| {
                    if let Some(alias) =
                        function.aliases.values().find(|alias| alias.version == qualifier)
                    {
                        return Err(conflict(format!(
                            "version {qualifier} cannot be deleted: alias `{}` points to it",
                            alias.name
                        )));
                    }
                    let number: Option<u64> = qualifier.parse().ok();
                    number
                        .and_then(|number| function.versions.remove(&number))
                        .map(drop)
                        .ok_or_else(|| self.unknown(&name))
                })?;
                self.settle(&name.name);
                commit
            }
        };
        Ok((Reply::empty().status(204), commit))
    }

    pub(crate) fn get_code_signing(&self, call: Call) -> Result<Reply, Fault> {
        let name = unqualified(&call)?;
        self.read(&name, |function| {
            Ok(json!({"FunctionName": function.name, "CodeSigningConfigArn": ""}).into())
        })
    }

    /// Fetches the zip that a request brings or names.
    async fn fetch(&self, input: &Map<String, Value>) -> Result<Arc<Package>, Fault> {
        if loose::text(input, "ImageUri")?.is_some() {
            return Err(invalid("the local cloud does not offer images; give a zip"));
        }
        let zip = match (loose::text(input, "ZipFile")?, loose::text(input, "S3Bucket")?) {
            (Some(_), Some(_)) => {
                return Err(invalid("give either ZipFile or S3Bucket and S3Key, not both"));
            }
            (Some(zip), None) => {
                let decoded = STANDARD.decode(zip.trim());
                decoded.map(Bytes::from).map_err(|_| {
                    Fault::invalid_input("ZipFile must be the bytes of a zip in base64")
                })?
            }
            (None, Some(bucket)) => {
                let key = loose::required(input, "S3Key")?;
                let version = loose::text(input, "S3ObjectVersion")?;
                let cloud = self.cloud()?;
                let objects = cloud.ports.objects()?;
                let object = objects.get(&bucket, &key, version.as_deref()).await;
                let object = object.map_err(|fault| {
                    invalid(format!(
                        "Error occurred while GetObject. S3 Error Code: {}. S3 Error Message: {}",
                        fault.code, fault.message
                    ))
                })?;
                object.bytes
            }
            (None, None) => return Err(invalid("give the code as ZipFile or S3Bucket and S3Key")),
        };
        if zip.len() > LARGEST_ZIP {
            let message = format!("the zip has {} bytes; {LARGEST_ZIP} are allowed", zip.len());
            return Err(too_large(message));
        }
        Ok(self.codes.add(zip)?)
    }
}

/// The code of a template, in which `ZipFile` is the text of the only file. Beside it lies
/// the module that answers requests of custom resources.
pub(crate) fn code_of_template(
    code: &Map<String, Value>,
    runtime: &str,
) -> Result<Map<String, Value>, Fault> {
    let mut code = code.clone();
    if let Some(text) = loose::text(&code, "ZipFile")? {
        let (file, answers) = interpreter::inline_files(runtime).ok_or_else(|| {
            invalid(format!("ZipFile is for Python and Node, not for runtime `{runtime}`"))
        })?;
        let zip = archive::pack(&[(file, &text), answers])?;
        code.insert("ZipFile".to_owned(), json!(STANDARD.encode(zip)));
    }
    Ok(code)
}

/// Refuses a change that was made for another revision.
pub(crate) fn check_revision(function: &Function, wanted: Option<&str>) -> Result<(), Fault> {
    match wanted {
        Some(wanted) if wanted != function.latest.revision => Err(stale_revision()),
        _ => Ok(()),
    }
}

/// What a zip may have. AWS allows fifty megabytes directly and as much as the
/// unpacked limit from a bucket; one limit serves both here.
const LARGEST_ZIP: usize = 250 * 1024 * 1024;
