//! An app that is a command: starts it as `cdk` would, and sees whether it delivered.
//!
//! The variables are those of AWS CDK's own protocol, so a CDK app in any language can be
//! run; `iotstack:env` and `iotstack:parameters` in the context are ours. The app's
//! standard output is passed on to standard error, because standard output belongs to
//! what the user asked for.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::{Map, Value};

use crate::cli::context::Context;
use crate::cli::error::{Error, Result};
use crate::cli::handlers;

/// The assembly version and the program whose protocol this is; apps may look at both.
const ASSEMBLY_VERSION: &str = "55.0.0";
const PROTOCOL_OF: &str = "2.1148.1";

/// Linux hands over at most 128 KiB in one variable.
const LONGEST_VARIABLE: usize = 100 * 1024;

/// Runs the app so that it writes into `output`.
pub fn run(context: &Context, app: &str, output: &Path) -> Result<()> {
    let output = std::path::absolute(output)
        .map_err(|error| Error::stack(format!("cannot find {}: {error}", output.display())))?;
    let mut command = shell(app);
    let folder = &context.config()?.folder;
    if !folder.as_os_str().is_empty() && context.options.app.is_none() {
        command.current_dir(folder);
    }
    let _overflow = hand_over(context, &mut command, &output)?;
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| Error::stack(format!("cannot start the app `{app}`: {error}")))?;
    let (first_line, status) = follow(child)
        .map_err(|error| Error::stack(format!("cannot follow the app `{app}`: {error}")))?;
    if !status.success() {
        let origin = match (&context.options.app, &context.config()?.file) {
            (None, Some(file)) => format!("`app` in {}", file.display()),
            _ => "`--app`".to_owned(),
        };
        return Err(failed(app, status, &origin));
    }
    if output.join("manifest.json").exists() {
        return Ok(());
    }
    let error = Error::stack(format!(
        "the app `{app}` wrote no cloud assembly: it ended well, but there is no manifest.json"
    ));
    let error = match first_line {
        Some(line) => error.hint(format!("its output begins with `{line}`")),
        None => error,
    };
    Err(error.hint(
        "an app writes into the folder that the variable CDK_OUTDIR names; `app.run()` does that",
    ))
}

/// Sets the variables of the protocol. Removes what it wrote when the answer is dropped.
fn hand_over(context: &Context, command: &mut Command, output: &Path) -> Result<Option<Overflow>> {
    let (name, environment) = context.environment()?;
    let values = context_values(context, &name)?.to_string();
    command
        .env("CDK_OUTDIR", output)
        .env("CDK_CLI_ASM_VERSION", ASSEMBLY_VERSION)
        .env("CDK_CLI_VERSION", PROTOCOL_OF);
    if let Some(account) = &environment.account {
        command.env("CDK_DEFAULT_ACCOUNT", account);
    }
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let region = context
        .region()?
        .or_else(|| variable("AWS_REGION"))
        .or_else(|| variable("AWS_DEFAULT_REGION"));
    if let Some(region) = region {
        command.env("CDK_DEFAULT_REGION", region);
    }
    let handlers = handlers::find(context.options.handlers.as_deref());
    match handlers {
        Ok(found) => {
            command.env("IOTSTACK_HANDLERS", absolute(&found.path));
            command.env("IOTSTACK_HANDLERS_ARCHITECTURE", found.architecture.name());
        }
        // Most apps need none; one that was named on purpose must be good.
        Err(error) if context.options.handlers.is_some() => return Err(error),
        Err(_) => {}
    }
    if values.len() <= LONGEST_VARIABLE {
        command.env("CDK_CONTEXT_JSON", values);
        return Ok(None);
    }
    let overflow = Overflow(output.with_extension("context.json"));
    std::fs::write(&overflow.0, values)
        .map_err(|error| Error::stack(format!("cannot write {}: {error}", overflow.0.display())))?;
    command.env("CDK_CONTEXT_JSON", "{}").env("CONTEXT_OVERFLOW_LOCATION_ENV", &overflow.0);
    Ok(Some(overflow))
}

/// Everything the app is told: the project's context, what CDK looked up earlier, the
/// command line, and what iotstack adds.
fn context_values(context: &Context, environment: &str) -> Result<Value> {
    let config = context.config()?;
    let mut values = looked_up(&config.folder.join("cdk.context.json"))?;
    if let Some(qualifier) = &config.toolkit.qualifier {
        // CDK's own key, which its apps read by themselves.
        values.insert("@aws-cdk/core:bootstrapQualifier".into(), qualifier.as_str().into());
    }
    values.extend(config.context.clone());
    values.extend(context.context_options()?);
    values.insert("iotstack:env".into(), environment.into());
    values.insert("iotstack:parameters".into(), Value::Object(context.parameters()?));
    Ok(Value::Object(values))
}

fn looked_up(path: &Path) -> Result<Map<String, Value>> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| Error::stack(format!("{} is not valid: {error}", path.display()))),
        Err(_) => Ok(Map::new()),
    }
}

/// Context that is too long for a variable waits in a file.
struct Overflow(PathBuf);

impl Drop for Overflow {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn shell(line: &str) -> Command {
    let (program, option) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let mut command = Command::new(program);
    command.arg(option).arg(line);
    command
}

/// Passes the app's output on and waits for its end; keeps the first line.
fn follow(mut child: Child) -> std::io::Result<(Option<String>, ExitStatus)> {
    let mut first = None;
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).split(b'\n') {
            let line = line?;
            // A closed standard error is no reason to stop the app.
            let _ = std::io::stderr().write_all(&[&line[..], b"\n"].concat());
            let text = String::from_utf8_lossy(&line);
            if first.is_none() && !text.trim().is_empty() {
                first = Some(text.trim().chars().take(60).collect());
            }
        }
    }
    Ok((first, child.wait()?))
}

fn failed(app: &str, status: ExitStatus, origin: &str) -> Error {
    match status.code() {
        Some(code) => {
            let error = Error::stack(format!("the app `{app}` failed with exit code {code}"));
            match code {
                127 => error.hint(format!(
                    "the shell did not find the command, nor is there such a folder; check {origin}"
                )),
                _ => error.hint("its own messages are above"),
            }
        }
        None => Error::stack(format!("the app `{app}` was stopped: {status}")),
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
