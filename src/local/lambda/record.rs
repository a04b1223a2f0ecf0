//! What is known of a function, as it is kept and as it is shown.
//!
//! A function keeps its latest state, its published versions, aliases, permissions
//! and how its events are treated in one record, which is stored whole. Code is
//! named by its hash and kept apart.

use std::collections::BTreeMap;

use iotstack_local_kernel::{Account, Fault, Timestamp, id};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::not_found;
use crate::name::{FunctionName, function_arn};
use crate::policy::Statement;
use crate::settings::Settings;

/// A function with all its versions.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) latest: Version,
    pub(crate) versions: BTreeMap<u64, Version>,
    pub(crate) last_version: u64,
    pub(crate) aliases: BTreeMap<String, Alias>,
    /// Who else may invoke it, by qualifier; the function itself under the empty one.
    pub(crate) statements: BTreeMap<String, Vec<Statement>>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) reserved_concurrency: Option<u32>,
    /// How asynchronous invocations are treated, by qualifier (`$LATEST` for none).
    pub(crate) event_configs: BTreeMap<String, EventConfig>,
}

/// One state of code and settings.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Version {
    /// `$LATEST` or a number.
    pub(crate) number: String,
    pub(crate) settings: Settings,
    /// The SHA-256 of the zip in hexadecimal digits, which names the code.
    pub(crate) code: String,
    /// The same in base64, as the API shows it.
    pub(crate) code_sha256: String,
    pub(crate) code_size: u64,
    pub(crate) modified: Timestamp,
    pub(crate) revision: String,
}

/// A name for a version.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Alias {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) description: String,
    pub(crate) revision: String,
}

/// How asynchronous invocations are treated.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct EventConfig {
    pub(crate) retries: Option<u32>,
    pub(crate) longest_age_seconds: Option<u32>,
    pub(crate) on_success: Option<String>,
    pub(crate) on_failure: Option<String>,
    pub(crate) modified: Timestamp,
}

impl Function {
    /// The version that a qualifier means.
    pub(crate) fn version(
        &self,
        account: &Account,
        qualifier: Option<&str>,
    ) -> Result<&Version, Fault> {
        let number = match qualifier {
            None | Some("$LATEST") => return Ok(&self.latest),
            Some(text) => self.aliases.get(text).map_or(text, |alias| alias.version.as_str()),
        };
        if number == "$LATEST" {
            return Ok(&self.latest);
        }
        let found = number.parse().ok().and_then(|number: u64| self.versions.get(&number));
        found.ok_or_else(|| {
            let name =
                FunctionName { name: self.name.clone(), qualifier: qualifier.map(str::to_owned) };
            not_found(format!("Function not found: {}", name.arn(account)))
        })
    }

    /// All versions, `$LATEST` first.
    pub(crate) fn all_versions(&self) -> impl Iterator<Item = &Version> {
        std::iter::once(&self.latest).chain(self.versions.values())
    }

    /// Gives the latest version a new revision.
    pub(crate) fn touch(&mut self, at: Timestamp) {
        self.latest.modified = at;
        self.latest.revision = id::uuid();
    }
}

impl Version {
    /// Sorts versions: `$LATEST` first, then by number.
    pub(crate) fn order(&self) -> String {
        self.number.parse().map_or_else(|_| String::new(), |number: u64| format!("{number:020}"))
    }

    /// The configuration, as `GetFunctionConfiguration` shows it; the ARN has the
    /// qualifier only if the request had one.
    pub(crate) fn configuration(&self, account: &Account, name: &FunctionName) -> Value {
        let settings = &self.settings;
        let mut shown: Map<String, Value> = Map::new();
        let mut show = |name: &str, value: Value| {
            shown.insert(name.to_owned(), value);
        };
        show("FunctionName", json!(name.name));
        show("FunctionArn", json!(name.arn(account)));
        show("Runtime", json!(settings.runtime));
        show("Role", json!(settings.role));
        show("Handler", json!(settings.handler));
        show("CodeSize", json!(self.code_size));
        show("Description", json!(settings.description));
        show("Timeout", json!(settings.timeout_seconds));
        show("MemorySize", json!(settings.memory_megabytes));
        show("LastModified", json!(modified(self.modified)));
        show("CodeSha256", json!(self.code_sha256));
        show("Version", json!(self.number));
        if let Some(vpc) = &settings.vpc {
            show("VpcConfig", vpc.clone());
        }
        if let Some(target) = &settings.dead_letter {
            show("DeadLetterConfig", json!({"TargetArn": target}));
        }
        if !settings.environment.is_empty() {
            show("Environment", json!({"Variables": settings.environment}));
        }
        if let Some(key) = &settings.kms_key {
            show("KMSKeyArn", json!(key));
        }
        show("TracingConfig", json!({"Mode": settings.tracing}));
        show("RevisionId", json!(self.revision));
        show("State", json!("Active"));
        show("LastUpdateStatus", json!("Successful"));
        show("PackageType", json!("Zip"));
        show("Architectures", json!([settings.architecture]));
        show("EphemeralStorage", json!({"Size": settings.storage_megabytes}));
        show("SnapStart", json!({"ApplyOn": settings.snap_start, "OptimizationStatus": "Off"}));
        show("LoggingConfig", settings.logging.shown(&name.name));
        Value::Object(shown)
    }
}

impl Alias {
    pub(crate) fn shown(&self, account: &Account, function: &str) -> Value {
        json!({
            "AliasArn": format!("{}:{}", function_arn(account, function), self.name),
            "Name": self.name,
            "FunctionVersion": self.version,
            "Description": self.description,
            "RevisionId": self.revision,
        })
    }
}

impl EventConfig {
    pub(crate) fn shown(&self, function_arn: &str) -> Value {
        let target = |arn: &Option<String>| match arn {
            Some(arn) => json!({"Destination": arn}),
            None => json!({}),
        };
        json!({
            "FunctionArn": function_arn,
            "LastModified": self.modified.fractional_seconds(),
            "MaximumRetryAttempts": self.retries,
            "MaximumEventAgeInSeconds": self.longest_age_seconds,
            "DestinationConfig": {
                "OnSuccess": target(&self.on_success),
                "OnFailure": target(&self.on_failure),
            },
        })
    }
}

/// Lambda writes the zone as `+0000`.
fn modified(at: Timestamp) -> String {
    at.iso8601().replace('Z', "+0000")
}
