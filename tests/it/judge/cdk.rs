//! The stock `cdk` program, and a CDK TypeScript app as its users write them.
//!
//! The app is `benches/peer`: the same firmware-update system as ours. Here it is
//! compiled and run to get an assembly that CDK itself made. The program is started
//! without telemetry, notices and warnings about Node, which would go to the
//! network or into the output.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use super::cloud::Cloud;
use super::install;

/// Prepares `cdk` in `folder`; with a cloud it talks to that one.
pub fn cdk(folder: &Path, cloud: Option<&Cloud>) -> Command {
    let mut command = Command::new("node");
    command.arg(install::node_modules().join("aws-cdk/bin/cdk"));
    quiet(&mut command);
    command.arg("--no-notices").arg("--no-color").current_dir(folder);
    // It keeps a cache of accounts at home, and looks for profiles there.
    command.env("HOME", folder.join(".home"));
    if let Some(cloud) = cloud {
        cloud.reach(&mut command);
    }
    command
}

/// A folder with the peer app, compiled.
pub struct Peer {
    folder: TempDir,
}

impl Peer {
    /// Copies the app and compiles it.
    pub fn compile() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peer");
        copy(&source, folder.path());
        let modules = install::node_modules();
        std::os::unix::fs::symlink(&modules, folder.path().join("node_modules")).unwrap();
        let mut command = Command::new("node");
        command
            .arg(modules.join("typescript/bin/tsc"))
            .args(["--noEmit", "false", "--outDir", "js"]);
        succeed(command.current_dir(folder.path()).output().unwrap(), "tsc");
        Self { folder }
    }

    /// The folder of the app, where `cdk --app "node js/bin/app.js"` works.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs the app for so many things and returns the folder of its assembly.
    pub fn synth(&self, things: usize) -> PathBuf {
        let assembly = self.folder.path().join(format!("things-{things}.out"));
        let mut command = Command::new("node");
        quiet(command.arg("js/bin/app.js")).current_dir(self.folder.path());
        command
            .env("PEER_THINGS", things.to_string())
            .env("CDK_OUTDIR", &assembly)
            .env("CDK_VALIDATION", "false");
        // What `cdk` would pass on from cdk.json.
        let settings: serde_json::Value =
            serde_json::from_slice(&fs::read(self.folder.path().join("cdk.json")).unwrap())
                .unwrap();
        command.env("CDK_CONTEXT_JSON", settings["context"].to_string());
        succeed(command.output().unwrap(), "the peer app");
        assembly
    }
}

/// Returns the standard output of a program that has to succeed.
pub fn succeed(output: Output, what: &str) -> String {
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what} failed ({}):\n{stdout}{stderr}", output.status);
    stdout.into_owned()
}

fn quiet(command: &mut Command) -> &mut Command {
    command
        .env("CDK_DISABLE_CLI_TELEMETRY", "true")
        .env("CDK_DISABLE_VERSION_CHECK", "1")
        .env("NODE_NO_WARNINGS", "1")
        .env_remove("CDK_OUTDIR")
        .env_remove("CI")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if !entry.file_type().unwrap().is_dir() {
            fs::copy(entry.path(), target).unwrap();
        } else if entry.file_name() != "node_modules" {
            copy(&entry.path(), &target);
        }
    }
}
