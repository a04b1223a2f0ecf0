//! Installing the packages that carry the schemas, at exactly the pinned versions.
//!
//! Each package goes through its ordinary client into a folder below `target`, and a
//! marker file says that this version is complete; a later run finds the marker and
//! does nothing. Nothing outside that folder is touched, and no install script of a
//! package is run.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Error, Result};

/// The Python package with the provider schemas.
const SCHEMAS: (&str, &str) = ("cfn-lint", "1.58.0");
/// The npm package with relations, ARN forms and statefulness.
const SERVICE_SPEC: (&str, &str) = ("@aws-cdk/aws-service-spec", "0.1.216");

/// Where the installed packages are.
pub struct Packages {
    /// The interpreter that can import the Python package.
    pub python: PathBuf,
    /// The folder of the npm package.
    pub service_spec: PathBuf,
}

/// Installs what is missing below `folder`.
pub fn packages(folder: &Path) -> Result<Packages> {
    let python = folder.join(format!("python-{}", SCHEMAS.1));
    once(&python, || {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&python))?;
        let package = format!("{}=={}", SCHEMAS.0, SCHEMAS.1);
        let interpreter = python.join("bin/python");
        let options = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        run(Command::new(interpreter).args(options).arg(package))
    })?;
    let node = folder.join(format!("npm-{}", SERVICE_SPEC.1));
    once(&node, || {
        let package = format!("{}@{}", SERVICE_SPEC.0, SERVICE_SPEC.1);
        let options = ["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"];
        run(Command::new("npm").args(options).arg("--prefix").arg(&node).arg(package))
    })?;
    Ok(Packages {
        python: python.join("bin/python"),
        service_spec: node.join("node_modules").join(SERVICE_SPEC.0),
    })
}

/// Runs a command and returns what it printed.
pub fn output(command: &mut Command) -> Result<Vec<u8>> {
    let text = format!("{command:?}");
    match command.output() {
        Ok(output) if output.status.success() => Ok(output.stdout),
        Ok(output) => Err(Error::Command {
            command: text,
            reason: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        }),
        Err(error) => Err(Error::Command { command: text, reason: error.to_string() }),
    }
}

fn run(command: &mut Command) -> Result<()> {
    output(command).map(|_| ())
}

/// Does `install` unless it has succeeded for this folder before.
fn once(folder: &Path, install: impl FnOnce() -> Result<()>) -> Result<()> {
    let marker = folder.join(".complete");
    if marker.exists() {
        return Ok(());
    }
    let failed = |source| Error::File { path: folder.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    install()?;
    std::fs::write(&marker, b"").map_err(failed)
}
