//! The settings of a function: read from a request, judged, kept.
//!
//! Requests of the API and of stacks name the same members. What cannot be had on this
//! machine is refused by name rather than accepted and forgotten.

use std::collections::BTreeMap;

use iotstack_local_kernel::{Fault, loose};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::invalid;
use crate::interpreter;

/// Everything about a function except its code. Not `Debug`: the environment may
/// hold secrets.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) runtime: String,
    pub(crate) handler: String,
    pub(crate) role: String,
    pub(crate) description: String,
    pub(crate) timeout_seconds: u32,
    pub(crate) memory_megabytes: u32,
    pub(crate) storage_megabytes: u32,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) architecture: String,
    pub(crate) tracing: String,
    pub(crate) snap_start: String,
    pub(crate) vpc: Option<Value>,
    pub(crate) dead_letter: Option<String>,
    pub(crate) kms_key: Option<String>,
    pub(crate) logging: Logging,
}

/// Where and how the function's lines are logged.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Logging {
    /// Another group than `/aws/lambda/<function>`.
    pub(crate) group: Option<String>,
    /// Whether the lines of the platform are JSON.
    pub(crate) json: bool,
    pub(crate) application_level: Option<String>,
    pub(crate) system_level: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            runtime: String::new(),
            handler: String::new(),
            role: String::new(),
            description: String::new(),
            timeout_seconds: 3,
            memory_megabytes: 128,
            storage_megabytes: 512,
            environment: BTreeMap::new(),
            architecture: "x86_64".to_owned(),
            tracing: "PassThrough".to_owned(),
            snap_start: "None".to_owned(),
            vpc: None,
            dead_letter: None,
            kms_key: None,
            logging: Logging::default(),
        }
    }
}

impl Settings {
    /// Takes over what a request says; the rest stays.
    pub(crate) fn apply(&mut self, input: &Map<String, Value>) -> Result<(), Fault> {
        refuse_unsupported(input)?;
        if let Some(runtime) = loose::text(input, "Runtime")? {
            interpreter::judge(&runtime)?;
            self.runtime = runtime;
        }
        if let Some(handler) = loose::text(input, "Handler")? {
            if handler.is_empty() || handler.len() > 128 || handler.contains(char::is_whitespace) {
                return Err(Fault::invalid_input(format!(
                    "Handler `{handler}` must be 1 to 128 characters without white space"
                )));
            }
            self.handler = handler;
        }
        if let Some(role) = loose::text(input, "Role")? {
            judge_role(&role)?;
            self.role = role;
        }
        if let Some(description) = loose::text(input, "Description")? {
            if description.chars().count() > 256 {
                return Err(Fault::invalid_input("Description must have at most 256 characters"));
            }
            self.description = description;
        }
        within(input, "Timeout", 1..=900, &mut self.timeout_seconds)?;
        within(input, "MemorySize", 128..=10_240, &mut self.memory_megabytes)?;
        let storage = loose::object(input, "EphemeralStorage")?;
        within(&storage, "Size", 512..=10_240, &mut self.storage_megabytes)?;
        if input.contains_key("Environment") {
            self.environment = environment(&loose::object(input, "Environment")?)?;
        }
        if let Some(name) = loose::texts(input, "Architectures")?.first() {
            one_of("Architectures", name, &["x86_64", "arm64"])?;
            self.architecture = name.clone();
        }
        if let Some(mode) = loose::text(&loose::object(input, "TracingConfig")?, "Mode")? {
            one_of("TracingConfig.Mode", &mode, &["PassThrough", "Active"])?;
            self.tracing = mode;
        }
        if let Some(on) = loose::text(&loose::object(input, "SnapStart")?, "ApplyOn")? {
            one_of("SnapStart.ApplyOn", &on, &["None", "PublishedVersions"])?;
            self.snap_start = on;
        }
        if input.contains_key("VpcConfig") {
            let vpc = loose::object(input, "VpcConfig")?;
            let is_empty = loose::texts(&vpc, "SubnetIds")?.is_empty();
            self.vpc = (!is_empty).then_some(Value::Object(vpc));
        }
        if input.contains_key("DeadLetterConfig") {
            let target = loose::text(&loose::object(input, "DeadLetterConfig")?, "TargetArn")?;
            self.dead_letter = target.filter(|arn| !arn.is_empty());
        }
        if let Some(key) = loose::text(input, "KMSKeyArn")?.or(loose::text(input, "KmsKeyArn")?) {
            self.kms_key = Some(key).filter(|key| !key.is_empty());
        }
        if input.contains_key("LoggingConfig") {
            self.logging = Logging::read(&loose::object(input, "LoggingConfig")?)?;
        }
        Ok(())
    }

    /// Judges what a complete function must have.
    pub(crate) fn complete(&self) -> Result<(), Fault> {
        for (member, value) in
            [("Role", &self.role), ("Runtime", &self.runtime), ("Handler", &self.handler)]
        {
            if value.is_empty() {
                let message = format!("{member} is required for a function from a zip");
                return Err(invalid(message));
            }
        }
        Ok(())
    }
}

impl Logging {
    /// The group that a function writes to.
    pub(crate) fn group_of(&self, function: &str) -> String {
        self.group.clone().unwrap_or_else(|| format!("/aws/lambda/{function}"))
    }

    pub(crate) fn shown(&self, function: &str) -> Value {
        let mut shown = json!({
            "LogFormat": if self.json { "JSON" } else { "Text" },
            "LogGroup": self.group_of(function),
        });
        if let Some(level) = &self.application_level {
            shown["ApplicationLogLevel"] = json!(level);
        }
        if let Some(level) = &self.system_level {
            shown["SystemLogLevel"] = json!(level);
        }
        shown
    }

    fn read(input: &Map<String, Value>) -> Result<Self, Fault> {
        let format = loose::text(input, "LogFormat")?.unwrap_or_else(|| "Text".to_owned());
        one_of("LoggingConfig.LogFormat", &format, &["Text", "JSON"])?;
        Ok(Logging {
            group: loose::text(input, "LogGroup")?.filter(|group| !group.is_empty()),
            json: format == "JSON",
            application_level: loose::text(input, "ApplicationLogLevel")?,
            system_level: loose::text(input, "SystemLogLevel")?,
        })
    }
}

/// What AWS offers and a local process cannot give is refused by name.
fn refuse_unsupported(input: &Map<String, Value>) -> Result<(), Fault> {
    for member in [
        "Layers",
        "FileSystemConfigs",
        "ImageConfig",
        "CodeSigningConfigArn",
        "CapacityProviderConfig",
        "DurableConfig",
        "TenancyConfig",
    ] {
        let is_empty = match input.get(member) {
            None | Some(Value::Null) => true,
            Some(Value::Array(items)) => items.is_empty(),
            Some(Value::Object(members)) => members.is_empty(),
            Some(_) => false,
        };
        if !is_empty {
            return Err(invalid(format!(
                "the local cloud does not offer `{member}`; a function is one zip that runs as a local process"
            )));
        }
    }
    match loose::text(input, "PackageType")?.as_deref() {
        None | Some("Zip") => Ok(()),
        Some(other) => Err(invalid(format!(
            "the local cloud does not offer PackageType `{other}`; it runs functions from a zip"
        ))),
    }
}

fn judge_role(role: &str) -> Result<(), Fault> {
    let parts: Vec<&str> = role.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", _, "iam", "", account, resource]
            if account.len() == 12 && resource.starts_with("role/") =>
        {
            Ok(())
        }
        _ => Err(Fault::invalid_input(format!("Role `{role}` must be the ARN of an IAM role"))),
    }
}

fn within(
    input: &Map<String, Value>,
    member: &str,
    range: std::ops::RangeInclusive<i64>,
    into: &mut u32,
) -> Result<(), Fault> {
    let Some(value) = loose::integer(input, member)? else { return Ok(()) };
    if !range.contains(&value) {
        return Err(Fault::invalid_input(format!(
            "{member} must be {} to {}, not {value}",
            range.start(),
            range.end()
        )));
    }
    *into = u32::try_from(value).unwrap_or(u32::MAX);
    Ok(())
}

fn one_of(member: &str, value: &str, accepted: &[&str]) -> Result<(), Fault> {
    if accepted.contains(&value) {
        return Ok(());
    }
    let accepted = accepted.join(", ");
    Err(Fault::invalid_input(format!("{member} must be one of {accepted}, not `{value}`")))
}

fn environment(input: &Map<String, Value>) -> Result<BTreeMap<String, String>, Fault> {
    let variables = loose::object(input, "Variables")?;
    let (mut found, mut size) = (BTreeMap::new(), 0);
    for name in variables.keys() {
        let mut bytes = name.bytes();
        let begins_well = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic());
        let goes_on_well = bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !begins_well || !goes_on_well || name.len() < 2 {
            return Err(Fault::invalid_input(format!(
                "variable `{name}` must be two or more letters, digits and underscores and begin with a letter"
            )));
        }
        if RESERVED.contains(&name.as_str()) {
            return Err(invalid(format!("variable `{name}` is reserved: Lambda sets it itself")));
        }
        let value = loose::text(&variables, name)?.unwrap_or_default();
        if value.contains('\0') {
            return Err(invalid(format!("variable `{name}` must not hold a zero byte")));
        }
        size += name.len() + value.len();
        found.insert(name.clone(), value);
    }
    if size > LARGEST_ENVIRONMENT {
        return Err(invalid(format!(
            "the environment has {size} bytes; {LARGEST_ENVIRONMENT} are allowed"
        )));
    }
    Ok(found)
}

const LARGEST_ENVIRONMENT: usize = 4096;

const RESERVED: &[&str] = &[
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
];
