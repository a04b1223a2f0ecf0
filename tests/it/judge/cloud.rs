//! A cloud to deploy to: ministack, on loopback, gone when the test is.
//!
//! `cloud.py` starts it on a free port with every socket kept on loopback; this
//! holds the other end of its standard input, whose closing ends it with all the
//! Lambda functions it runs, also when the test process is killed. Each cloud is
//! new and empty and has its own temporary folder.
//!
//! [`Cloud::ours`] starts `iotstack local` in its place, so that what holds for the one can
//! be asked of the other.
//!
//! It is not AWS. Templates are hardly checked there (the linters do that), and
//! some properties are accepted and dropped (reserved concurrency, encryption and
//! lifecycle of buckets, keys of topics). [`Cloud::moto`] applies most of those, but
//! knows fewer types and runs no functions.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::install;

/// The account every cloud starts with.
pub const ACCOUNT: &str = "123456789012";
/// The region of [`Cloud::env`].
pub const REGION: &str = "us-east-1";

/// What our own cloud is called in messages.
const OURS: &str = "iotstack local";

/// How a cloud behaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Evaluates the policies of the roles that Lambda functions run with, and
    /// asks for capabilities. The key `test` may do everything.
    pub authorize: bool,
    /// Listens for devices.
    pub mqtt: bool,
}

/// A running cloud.
#[derive(Debug)]
pub struct Cloud {
    process: Child,
    endpoint: String,
    mqtt: Option<u16>,
    authority: Option<String>,
    is_ours: bool,
    folder: TempDir,
}

/// What exists in a cloud: for each store of each service, the keys in it.
pub type Inventory = BTreeMap<String, BTreeSet<String>>;

impl Cloud {
    /// Starts an empty cloud and waits until it answers.
    pub fn start(options: Options) -> Self {
        Self::run("cloud.py", options)
    }

    /// Starts moto in its place, which cannot list what it holds.
    pub fn moto() -> Self {
        Self::run("moto_cloud.py", Options::default())
    }

    /// Starts `iotstack local` in its place, with these further arguments.
    pub fn ours(arguments: &[&str]) -> Self {
        Self::started(OURS, local("0", "0", arguments), tempfile::tempdir().unwrap())
    }

    /// The same, on a disk that [`Cloud::fill_disk`] can fill.
    pub fn ours_on_a_small_disk(arguments: &[&str]) -> Self {
        let program = local("0", "0", arguments);
        let mut command = Command::new("sh");
        // Without a signal, a file that must not grow is an error like any other.
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
        command.arg(program.get_program()).args(program.get_args());
        Self::started(OURS, command, tempfile::tempdir().unwrap())
    }

    /// Lets no file of `iotstack local` grow beyond so many bytes; none sets it free.
    pub fn fill_disk(&self, limit: Option<u64>) {
        let limit = limit.map_or("unlimited".to_owned(), |limit| limit.to_string());
        let process = self.process.id().to_string();
        // The soft limit alone: whoever may not raise it again could not go on.
        let mut prlimit = Command::new("prlimit");
        let status = prlimit.args(["--pid", &process, &format!("--fsize={limit}:")]).status();
        assert!(status.unwrap().success());
    }

    /// Kills `iotstack local` in the middle of whatever it does.
    pub fn kill(&mut self) {
        assert!(self.is_ours, "judges are not ours to kill");
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again after [`Cloud::kill`], where clients know it.
    pub fn start_again(&mut self, arguments: &[&str]) {
        let port = self.endpoint.rsplit(':').next().unwrap();
        let mqtt = self.mqtt.unwrap().to_string();
        let mut last = None;
        // Clients that look for it hold its ports for moments: each end of a connection
        // has a port, and the system gives out those that nobody listens at.
        for _ in 0..20 {
            match try_start(local(port, &mqtt, arguments), self.folder.path()) {
                Ok((process, answer)) => {
                    assert_eq!(answer["endpoint"], self.endpoint.as_str());
                    self.process = process;
                    return;
                }
                Err(log) => last = Some(log),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("`{OURS}` did not start again:\n{}", last.unwrap_or_default());
    }

    /// What the cloud has said on standard error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn run(script: &str, options: Options) -> Self {
        let mut command = install::python();
        command
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/judge").join(script))
            .env("AUTH", if options.authorize { "true" } else { "false" })
            .env("JUDGE_MQTT", if options.mqtt { "1" } else { "0" });
        Self::started(script, command, tempfile::tempdir().unwrap())
    }

    fn started(name: &str, command: Command, folder: TempDir) -> Self {
        let started = try_start(command, folder.path());
        let (process, answer) =
            started.unwrap_or_else(|log| panic!("`{name}` did not start:\n{log}"));
        Self {
            process,
            endpoint: answer["endpoint"].as_str().unwrap().to_owned(),
            mqtt: match &answer["mqtt"] {
                Value::String(address) => address.rsplit(':').next().unwrap().parse().ok(),
                port => port.as_u64().map(|port| port.try_into().unwrap()),
            },
            authority: answer["authority"].as_str().map(str::to_owned),
            is_ours: name == OURS,
            folder,
        }
    }

    /// Where it answers, such as `http://127.0.0.1:40123`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The port devices connect to, if [`Options::mqtt`] was set.
    pub fn mqtt(&self) -> Option<u16> {
        self.mqtt
    }

    /// The certificate that vouches for the broker, PEM.
    pub fn authority(&self) -> &str {
        self.authority.as_deref().unwrap()
    }

    /// The variables with which the program finds this cloud.
    pub fn variables(&self) -> Vec<(&'static str, &str)> {
        vec![
            ("AWS_ENDPOINT_URL", self.endpoint()),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_REGION", REGION),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]
    }

    /// Makes `command` talk to this cloud and nothing else of AWS: endpoint,
    /// credentials, region, and no configuration from the home folder.
    pub fn reach<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        install::without_configuration(command);
        command.envs(self.variables()).env("AWS_DEFAULT_REGION", REGION)
    }

    /// Runs the AWS CLI and returns the JSON it prints.
    pub fn aws(&self, arguments: &[&str]) -> Value {
        let output = self.try_aws(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`aws {}` failed:\n{errors}", arguments.join(" "));
        if output.stdout.trim_ascii().is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("`aws {}` printed no JSON: {error}", arguments.join(" "))
        })
    }

    /// What the AWS CLI says on standard error with these keys.
    pub fn try_aws_as(&self, key: &str, secret: &str, arguments: &[&str]) -> String {
        let mut command = install::tool("aws");
        command.args(arguments).env("AWS_PAGER", "").current_dir(self.folder.path());
        self.reach(&mut command);
        command.env("AWS_ACCESS_KEY_ID", key).env("AWS_SECRET_ACCESS_KEY", secret);
        String::from_utf8(command.output().unwrap().stderr).unwrap()
    }

    /// Runs a script with boto3, which asks nothing twice, and returns the JSON it prints.
    pub fn boto3(&self, script: &str, arguments: &[&str]) -> Value {
        let mut command = install::python();
        self.reach(command.args(["-c", script]).args(arguments)).env("AWS_MAX_ATTEMPTS", "1");
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs the AWS CLI, which may fail.
    pub fn try_aws(&self, arguments: &[&str]) -> Output {
        let mut command = install::tool("aws");
        command
            .args(arguments)
            .args(["--output", "json"])
            .env("AWS_PAGER", "")
            .current_dir(self.folder.path());
        self.reach(&mut command).output().unwrap()
    }

    /// Lists every resource of every service.
    ///
    /// Left out is what AWS keeps as well when everything is deleted: deleted
    /// stacks and their events, keys waiting for deletion, cancelled profiles,
    /// finished signing jobs, metrics, the history of alarms and events; and what every
    /// account has, such as the default event bus.
    pub fn inventory(&self) -> Inventory {
        serde_json::from_str(&self.get("/_judge/inventory")).unwrap()
    }

    /// Asks for a page that needs no signature.
    pub fn get(&self, path: &str) -> String {
        let address: SocketAddr = self.endpoint.trim_start_matches("http://").parse().unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{path} answered:\n{answer}");
        body.to_owned()
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        // All end by themselves, with everything they started, when this is closed.
        drop(self.process.stdin.take());
        let end = Instant::now() + Duration::from_secs(60);
        while matches!(self.process.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        // One that hangs must not hold the tests up.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `iotstack local` on these ports.
fn local(port: &str, mqtt: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_iotstack"));
    command.args(["local", "--until-input-ends", "--port", port, "--mqtt-port", mqtt, "--json"]);
    command.args(arguments);
    command
}

/// Starts a cloud and waits for the line in which it says where it is; what it said
/// instead if there is none.
fn try_start(mut command: Command, folder: &Path) -> Result<(Child, Value), String> {
    let log = folder.join("log");
    let errors = std::fs::File::options().create(true).append(true).open(&log).unwrap();
    let own: Vec<_> = command
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect();
    // Lambda functions inherit this environment, so it is made from nothing.
    let mut process = command
        .env_clear()
        .envs(own)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .env("TMPDIR", folder)
        .env("MINISTACK_ACCOUNT_ID", ACCOUNT)
        .env("MINISTACK_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(errors)
        .spawn()
        .unwrap();
    let mut output = BufReader::new(process.stdout.take().unwrap());
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        // An error and an early end both leave the line empty.
        let _ = output.read_line(&mut line);
        let _ = send.send(line);
    });
    let line = receive.recv_timeout(Duration::from_secs(90)).unwrap_or_default();
    match serde_json::from_str::<Value>(&line) {
        Ok(answer) => Ok((process, answer)),
        Err(_) => {
            let _ = process.kill();
            let _ = process.wait();
            Err(std::fs::read_to_string(&log).unwrap_or_default())
        }
    }
}

/// Returns what is in `after` and was not in `before`.
pub fn left_over(before: &Inventory, after: &Inventory) -> Inventory {
    let mut left = Inventory::new();
    for (store, keys) in after {
        let new: BTreeSet<String> = keys
            .iter()
            .filter(|key| !before.get(store).is_some_and(|old| old.contains(*key)))
            .cloned()
            .collect();
        if !new.is_empty() {
            left.insert(store.clone(), new);
        }
    }
    left
}
