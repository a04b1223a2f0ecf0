//! The cloud on this machine that `demo` and `simulate` play in.
//!
//! It lives in this process, unless a device of the scenario has the cloud killed (fault
//! F11): then it is `iotstack local` in a process of its own that keeps its state in a
//! folder, is killed without a warning, and is started again where devices know it. Nothing
//! else would show what a crash leaves behind. Either is gone when it is dropped.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use iotstack_local::{Clock, LocalCloud, Options};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use super::commands::local::{door, this_program};
use super::error::{Error, Result};

/// A cloud on this machine.
pub enum Host {
    /// In this process.
    Here(Box<LocalCloud>),
    /// In a process of its own.
    Apart(Box<CloudProcess>),
}

impl Host {
    /// Starts one, in a process of its own if it must be possible to kill it.
    pub async fn start(time_lapse: f64, is_killed: bool) -> Result<Self> {
        if is_killed {
            return Ok(Host::Apart(Box::new(CloudProcess::start().await?)));
        }
        let clock = Clock::time_lapse(time_lapse);
        let options = Options { clock, door: Some(door()?), ..Options::default() };
        Ok(Host::Here(Box::new(iotstack_local::start(options).await?)))
    }

    /// Where it answers, its region, and the owner's key and its secret.
    pub fn session(&self) -> [&str; 4] {
        match self {
            Host::Here(local) => {
                let key = local.root();
                let region = &local.account().region;
                [local.endpoint(), region, &key.access_key_id, &key.secret_access_key]
            }
            Host::Apart(process) => {
                let told = &process.told;
                [&told.endpoint, &told.region, &told.access_key_id, &told.secret_access_key]
            }
        }
    }

    /// Host and port of its broker.
    pub fn mqtt(&self) -> &str {
        match self {
            Host::Here(local) => local.mqtt(),
            Host::Apart(process) => &process.told.mqtt,
        }
    }

    /// The certificate that vouches for its broker, PEM.
    pub fn authority(&self) -> &str {
        match self {
            Host::Here(local) => local.ca_pem(),
            Host::Apart(process) => &process.told.authority,
        }
    }
}

/// `iotstack local` in a process of its own, with its state in a folder.
pub struct CloudProcess {
    /// It ends when its standard input does, which this holds: also when this process is
    /// killed, and however.
    child: Mutex<Child>,
    told: Told,
    // After the process, which writes into it.
    folder: TempDir,
}

/// What it says about itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    endpoint: String,
    mqtt: String,
    region: String,
    access_key_id: String,
    secret_access_key: String,
    authority: String,
}

impl CloudProcess {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()
            .map_err(|error| Error::stack(format!("cannot make a folder for a state: {error}")))?;
        let (child, told) = spawn(folder.path(), "0", "0").await?;
        Ok(CloudProcess { child: Mutex::new(child), told, folder })
    }

    /// Kills it and starts it again on the same ports.
    pub async fn restart(&self) -> Result<()> {
        let mut child = self.child.lock().await;
        let killed = child.kill().await;
        killed.map_err(|error| Error::stack(format!("cannot kill the local cloud: {error}")))?;
        let (http, mqtt) = (port(&self.told.endpoint), port(&self.told.mqtt));
        let mut tries = 0;
        loop {
            match spawn(self.folder.path(), http, mqtt).await {
                Ok((started, _)) => {
                    *child = started;
                    return Ok(());
                }
                // Devices that look for it hold ports of this machine for moments, and one
                // may happen to be a port of the cloud.
                Err(_) if tries < TRIES => tries += 1,
                Err(error) => return Err(error),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Starts the process and waits until it says where it is.
async fn spawn(folder: &Path, http: &str, mqtt: &str) -> Result<(Child, Told)> {
    let failed = |reason: String| Error::stack(format!("the local cloud did not start: {reason}"));
    let log = folder.join("log");
    let errors = File::create(&log).map_err(|error| failed(error.to_string()))?;
    let mut child = Command::new(this_program()?)
        .args(["local", "--until-input-ends", "--json"])
        .args(["--port", http, "--mqtt-port", mqtt, "--state"])
        .arg(folder.join("state"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(errors)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        let mut stdout = BufReader::new(stdout);
        // Whatever goes wrong leaves the line empty.
        let _ = tokio::time::timeout(PATIENCE, stdout.read_line(&mut line)).await;
    }
    match serde_json::from_str(&line) {
        Ok(told) => Ok((child, told)),
        Err(_) => {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            let reason = match said.trim() {
                "" => "it says nothing",
                said => said,
            };
            Err(failed(reason.to_owned()))
        }
    }
}

/// The port at the end of an address.
fn port(address: &str) -> &str {
    address.rsplit(':').next().unwrap_or_default()
}

/// How long a cloud may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a start is tried again.
const TRIES: u32 = 20;

/// How long to wait in between.
const PAUSE: Duration = Duration::from_millis(100);
