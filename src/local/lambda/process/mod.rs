//! A function's process: started in a group of its own, fed with invocations
//! through its own Runtime API, and ended with everything that it started.
//!
//! Time limits of functions are the machine's time, as the process lives in it,
//! whatever the clock of the cloud does.

mod api;
mod output;

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::process::{Pid, Resource, Rlimit, Signal};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::{Child, Command};

pub(crate) use output::{LogTarget, Report};

use crate::code::{Package, private_folder};
use crate::interpreter;
use api::{Answer, Exchange, Init, Task};
use output::Output;

/// What a process is started with. Not `Debug`: keys are in the environment.
pub(crate) struct Launch {
    pub(crate) runtime: String,
    pub(crate) handler: String,
    pub(crate) package: Arc<Package>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) memory_megabytes: u32,
    pub(crate) logs: LogTarget,
}

/// What a process is asked.
pub(crate) struct Invocation {
    pub(crate) request_id: String,
    pub(crate) function_arn: String,
    pub(crate) version: String,
    pub(crate) payload: Bytes,
    pub(crate) client_context: Option<String>,
    pub(crate) timeout: Duration,
    /// Whether the end of the log is wanted with the answer.
    pub(crate) tail: bool,
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) payload: Bytes,
    pub(crate) error: Option<String>,
    pub(crate) duration: Duration,
    pub(crate) log_tail: Option<String>,
    /// Whether the process can take another invocation.
    pub(crate) reusable: bool,
}

/// A running process.
pub(crate) struct Worker {
    exchange: Arc<Exchange>,
    output: Output,
    child: Child,
    group: Group,
    memory_megabytes: u32,
    started: Option<Instant>,
    // These go with the process.
    _api: api::Server,
    _folder: TempDir,
    _package: Arc<Package>,
}

impl Worker {
    /// Starts a process. The failure is what the invocation answers.
    pub(crate) async fn start(launch: Launch) -> Result<Self, Failure> {
        let began = Instant::now();
        let code = launch.package.folder().await.map_err(Failure::machine)?.to_owned();
        let folder = private_folder().map_err(Failure::machine)?;
        let command = interpreter::command(&launch.runtime, &code, folder.path())
            .map_err(Failure::machine)?;
        let exchange = Arc::new(Exchange::default());
        let (address, server) = api::serve(exchange.clone()).await.map_err(Failure::listener)?;
        let mut process = Command::new(&command.program);
        process
            .args(&command.arguments)
            .current_dir(&code)
            .env_clear()
            .envs(base(&code, folder.path().to_owned(), &launch, &address.to_string()))
            .envs(launch.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = spawn(&mut process).await.map_err(|error| Failure::entry(&error))?;
        let group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
        if command.limits_memory {
            group.limit_memory(launch.memory_megabytes);
        }
        let output = Output::pump(child.stdout.take(), child.stderr.take(), launch.logs);
        Ok(Worker {
            exchange,
            output,
            child,
            group,
            memory_megabytes: launch.memory_megabytes,
            started: Some(began),
            _api: server,
            _folder: folder,
            _package: launch.package,
        })
    }

    /// Hands an invocation over and waits for its end.
    pub(crate) async fn invoke(&mut self, invocation: Invocation) -> Outcome {
        let id = invocation.request_id.clone();
        let (timeout, tail) = (invocation.timeout, invocation.tail);
        self.output.begin(&id, &invocation.version).await;
        let init = match self.started.take() {
            None => None,
            Some(began) => match self.wait_until_ready(&id, timeout).await {
                Ok(()) => Some(began.elapsed()),
                Err(failure) => {
                    return self.finish(&id, Err(failure), began.elapsed(), None, tail).await;
                }
            },
        };
        let began = Instant::now();
        let answer = self.exchange.hand_over(Task {
            request_id: invocation.request_id,
            function_arn: invocation.function_arn,
            payload: invocation.payload,
            client_context: invocation.client_context,
            timeout,
        });
        let outcome = tokio::select! {
            answer = answer => match answer {
                Some(Answer::Response(payload)) => Ok(payload),
                Some(Answer::Failure { payload }) => Err(Failure { payload, fatal: false }),
                None => Err(Failure::exit(&id, None)),
            },
            status = self.child.wait() => Err(Failure::exit(&id, status.ok())),
            () = tokio::time::sleep(timeout) => Err(Failure::timeout(&id, timeout)),
        };
        self.finish(&id, outcome, began.elapsed(), init, tail).await
    }

    /// Waits for the first request for an invocation.
    async fn wait_until_ready(&mut self, id: &str, timeout: Duration) -> Result<(), Failure> {
        // As on AWS a slow start gets the function's own time on top.
        let limit = INIT_LIMIT + timeout;
        let mut init = self.exchange.init();
        tokio::select! {
            biased;
            found = init.wait_for(|init| !matches!(init, Init::Starting)) => match found.as_deref() {
                Ok(Init::Failed(payload)) => Err(Failure { payload: payload.clone(), fatal: true }),
                _ => Ok(()),
            },
            status = self.child.wait() => Err(Failure::exit(id, status.ok())),
            () = tokio::time::sleep(limit) => Err(Failure::timeout(id, limit)),
        }
    }

    async fn finish(
        &mut self,
        id: &str,
        outcome: Result<Bytes, Failure>,
        duration: Duration,
        init: Option<Duration>,
        tail: bool,
    ) -> Outcome {
        let used = self.group.most_memory();
        let (payload, error, reusable) = match outcome {
            Ok(payload) => (payload, None, true),
            Err(failure) => (failure.payload, Some("Unhandled".to_owned()), !failure.fatal),
        };
        if !reusable {
            self.group.end();
        }
        let report = Report {
            request_id: id.to_owned(),
            duration,
            init,
            memory_megabytes: self.memory_megabytes,
            used_megabytes: used,
            error: (!reusable).then(|| String::from_utf8_lossy(&payload).into_owned()),
        };
        let log_tail = self.output.end(report, tail).await;
        Outcome { payload, error, duration, log_tail, reusable }
    }
}

/// Why an invocation has no answer of the function.
pub(crate) struct Failure {
    pub(crate) payload: Bytes,
    /// Whether the process is beyond use.
    fatal: bool,
}

impl Failure {
    fn new(kind: &str, message: String) -> Self {
        let payload = json!({"errorType": kind, "errorMessage": message}).to_string().into();
        Failure { payload, fatal: true }
    }

    fn timeout(id: &str, limit: Duration) -> Self {
        let seconds = limit.as_secs_f64();
        let message = format!("RequestId: {id} Error: Task timed out after {seconds:.2} seconds");
        Self::new("Sandbox.Timedout", message)
    }

    fn exit(id: &str, status: Option<ExitStatus>) -> Self {
        let how = match status {
            Some(status) if status.success() => {
                "Runtime exited without providing a reason".to_owned()
            }
            Some(status) => match (status.code(), status.signal()) {
                (Some(code), _) => format!("Runtime exited with error: exit status {code}"),
                (None, Some(signal)) => format!("Runtime exited with error: signal {signal}"),
                (None, None) => "Runtime exited".to_owned(),
            },
            None => "Runtime exited".to_owned(),
        };
        Self::new("Runtime.ExitError", format!("RequestId: {id} Error: {how}"))
    }

    fn entry(error: &std::io::Error) -> Self {
        let hint = match error.raw_os_error() {
            // ENOEXEC: the file is a program, but not of this machine.
            Some(8) => " (the local cloud runs programs built for this machine)",
            _ => "",
        };
        Self::new("Runtime.InvalidEntrypoint", format!("bootstrap cannot be run: {error}{hint}"))
    }

    fn machine(error: crate::Error) -> Self {
        Self::new("Runtime.Unknown", error.to_string())
    }

    fn listener(error: std::io::Error) -> Self {
        Self::new("Runtime.Unknown", format!("the Runtime API cannot listen: {error}"))
    }
}

/// The group of processes that a function is.
struct Group(Option<Pid>);

impl Group {
    /// Ends all of them.
    fn end(&self) {
        if let Some(leader) = self.0 {
            // A group that is already gone is what was wanted.
            let _ = rustix::process::kill_process_group(leader, Signal::KILL);
        }
    }

    /// Limits what the leader may allocate, as Lambda limits its memory.
    fn limit_memory(&self, megabytes: u32) {
        let bytes = u64::from(megabytes) * 1024 * 1024;
        let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
        if let Err(error) = rustix::process::prlimit(self.0, Resource::Data, limit) {
            tracing::debug!(%error, "the memory of a function is not limited");
        }
    }

    /// The most memory that the leader had at a time, where the machine tells it.
    fn most_memory(&self) -> Option<u64> {
        let leader = self.0?;
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", leader.as_raw_nonzero())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kilobytes.div_ceil(1024))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts a program. Another thread that starts one at the same moment may still
/// hold a file that was just unpacked; that passes.
async fn spawn(command: &mut Command) -> std::io::Result<Child> {
    for _ in 0..100 {
        match command.spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            other => return other,
        }
    }
    command.spawn()
}

/// What every process finds in its environment, whatever the function says.
fn base(
    code: &std::path::Path,
    own: PathBuf,
    launch: &Launch,
    api: &str,
) -> Vec<(String, std::ffi::OsString)> {
    let mut found: Vec<(String, std::ffi::OsString)> = Vec::new();
    let mut set = |name: &str, value: std::ffi::OsString| found.push((name.to_owned(), value));
    set("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into()));
    set("LANG", "en_US.UTF-8".into());
    set("TZ", ":UTC".into());
    // Nobody's home: no profile and no configuration of the user is found there.
    set("HOME", own.clone().into());
    set("TMPDIR", own.into());
    set("AWS_EC2_METADATA_DISABLED", "true".into());
    set("AWS_LAMBDA_RUNTIME_API", api.into());
    set("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".into());
    set("LAMBDA_TASK_ROOT", code.into());
    set("LAMBDA_RUNTIME_DIR", code.into());
    set("_HANDLER", launch.handler.clone().into());
    set("AWS_LAMBDA_LOG_GROUP_NAME", launch.logs.group.clone().into());
    set("AWS_LAMBDA_LOG_STREAM_NAME", launch.logs.stream.clone().into());
    if let Some(name) = interpreter::execution_environment(&launch.runtime) {
        set("AWS_EXECUTION_ENV", name.into());
    }
    found
}

/// What AWS gives a process to ask for its first invocation.
const INIT_LIMIT: Duration = Duration::from_secs(10);
