//! From an app to its cloud assembly.
//!
//! There are three kinds of app: the ready stacks, which are part of this program; a
//! command, which is started with the variables that AWS CDK gives its apps and writes an
//! assembly; and a folder that holds an assembly already. Whichever it is, what comes out
//! is the same [`CloudAssembly`], and nothing after this step knows the difference.

mod command;
mod ready;

use std::path::{Path, PathBuf};

use iotstack_assembly::{CloudAssembly, Error as AssemblyError};

use super::context::{App, Context};
use super::error::{Error, Result};
use super::folder::NewFolder;
use super::ui::{self, style};

/// An assembly, and where people find it.
#[derive(Debug)]
pub struct Synthesized {
    /// The assembly.
    pub assembly: CloudAssembly,
    /// Its folder, as the user named it.
    pub folder: PathBuf,
}

/// Runs the app, or opens the folder that was given instead of one.
pub fn synthesize(context: &Context) -> Result<Synthesized> {
    let app = context.app()?;
    if let App::Folder(folder) = app {
        if !folder.join("manifest.json").exists() {
            return Err(Error::usage(format!(
                "the folder `{}` is no cloud assembly: it has no manifest.json",
                folder.display()
            ))
            .hint("`--app` takes a folder that synthesis wrote, or a command that writes one"));
        }
        if context.options.env.is_some() {
            // The assembly has its environments inside, but a misspelt name is still wrong.
            context.environment()?;
        }
        if context.options.output.is_some() {
            ui::tell(format!(
                "{}: `-o` is not used: `{}` is a cloud assembly already",
                style::care("warning"),
                folder.display()
            ));
        }
        let assembly = CloudAssembly::read(&folder)?;
        warn_of_lookups(&assembly);
        return Ok(Synthesized { assembly, folder });
    }
    let (folder, new) = match context.given_output() {
        Some(folder) => (folder.clone(), NewFolder::given(&folder)?),
        None => {
            let folder = context.output()?;
            (folder.clone(), NewFolder::beside(&folder)?)
        }
    };
    match &app {
        App::Command(command) => {
            command::run(context, command, new.path())?;
            // Read before it is put in place: what cannot be read replaces nothing.
            CloudAssembly::read(new.path())
                .map_err(|error| unreadable(command, new.path(), error))?;
        }
        App::Ready | App::Folder(_) => {
            tell_of_cdk(context)?;
            ready::synthesize(context, new.path())?;
        }
    }
    new.commit()?;
    let assembly = CloudAssembly::read(&folder)?;
    warn_of_lookups(&assembly);
    Ok(Synthesized { assembly, folder })
}

/// Values that a CDK app wants to be looked up in the account are not looked up here.
pub fn refuse_lookups(assembly: &CloudAssembly) -> Result<()> {
    match lookups(assembly).as_slice() {
        [] => Ok(()),
        keys => Err(Error::stack(format!(
            "the app waits for values that iotstack does not look up: {}",
            keys.join(", ")
        ))
        .hint("`cdk synth` looks them up once and keeps them in cdk.context.json; or set them with `-c KEY=VALUE`")),
    }
}

/// Whoever comes from CDK expects the app of cdk.json, not the ready stacks.
fn tell_of_cdk(context: &Context) -> Result<()> {
    let started_by_cdk = context.given_output().is_some();
    if !started_by_cdk && context.config()?.file.is_none() && Path::new("cdk.json").exists() {
        ui::tell(format!(
            "{}: cdk.json is not read, the ready stacks are used; `--app` or iotstack.yaml names \
             another app",
            style::care("warning")
        ));
    }
    Ok(())
}

fn warn_of_lookups(assembly: &CloudAssembly) {
    let keys = lookups(assembly);
    if !keys.is_empty() {
        ui::tell(format!(
            "{}: the app used placeholders for values that iotstack does not look up: {}",
            style::care("warning"),
            keys.join(", ")
        ));
    }
}

fn lookups(assembly: &CloudAssembly) -> Vec<String> {
    let key = |missing: &serde_json::Value| missing.get("key")?.as_str().map(str::to_owned);
    assembly.missing().iter().filter_map(key).collect()
}

fn unreadable(command: &str, folder: &Path, error: AssemblyError) -> Error {
    // The folder is gone when the user reads this; the name inside it is what counts.
    let reason = error.to_string().replace(&format!("{}/", folder.display()), "");
    match error {
        AssemblyError::Version { .. } => {
            return Error::stack(reason).hint("install a newer iotstack");
        }
        AssemblyError::Cycle { .. } => return error.into(),
        _ => {}
    }
    Error::stack(format!(
        "the app `{command}` wrote a cloud assembly that cannot be read: {reason}"
    ))
}
