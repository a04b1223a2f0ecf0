//! Judges that are not ours: linters, the stock `cdk` program, a stand-in for AWS.
//!
//! Everything here calls programs that other people wrote, at pinned versions
//! which the suite installs by itself on first use ([`install`]): `cfn-lint`,
//! `cloudformation-validate` and `parliament` over templates ([`lint`]),
//! `ministack` as the cloud that is deployed to ([`cloud`]), the AWS CLI, and the
//! `cdk` program with a TypeScript app as the peer ([`cdk`]).
//!
//! The tests in this module judge the judges: a linter that finds nothing because
//! it was never started would be worth nothing. What iotstack makes is judged
//! where it is made, in the modules of the verbs.

// Test code throughout: a panic is how it reports.
#![allow(clippy::unwrap_used)]

pub mod cdk;
pub mod cloud;
pub mod install;
pub mod lint;

mod tests;

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Prepares a script of this folder.
pub fn script(name: &str) -> Command {
    let mut command = install::python();
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/judge").join(name));
    command
}

/// Starts a script, and gives it its order in one line.
pub fn start(script: &mut Command, order: &Value) -> Child {
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{order}").unwrap();
    child
}

/// Waits for the end of a script, which must be a good one, and reads what it found.
pub fn found<T: DeserializeOwned>(script: Child) -> T {
    let output = script.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "a judge ended with {}:\n{errors}", output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}
