//! Runtimes: what runs the code of a function on this machine.
//!
//! Custom runtimes bring their own `bootstrap`. Python and Node are run by the
//! interpreter of the machine through a small program of our own, which speaks
//! the Runtime API; their version is the machine's, not the one in the name, if
//! that one is not installed. Other runtimes are refused.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use iotstack_local_kernel::Fault;

use crate::error::invalid;

/// How a function is started.
pub(crate) struct Command {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// Whether a limit on its data is safe: Node reserves far more than it uses.
    pub(crate) limits_memory: bool,
}

/// Judges the name of a runtime, and whether this machine can run it.
pub(crate) fn judge(runtime: &str) -> Result<(), Fault> {
    match kind(runtime) {
        Some(Kind::Custom) => Ok(()),
        Some(kind) => interpreter(kind, runtime).map(drop).ok_or_else(|| {
            let program = kind.program();
            invalid(format!(
                "runtime `{runtime}` needs `{program}`, which is not installed on this machine"
            ))
        }),
        None => Err(invalid(format!(
            "the local cloud does not run `{runtime}`; it runs provided.al2023, provided.al2, \
             and python3.x and nodejs with the interpreter of this machine"
        ))),
    }
}

/// The command that runs code in `folder`. `support` is a private folder for the
/// program that speaks for interpreters.
pub(crate) fn command(
    runtime: &str,
    folder: &Path,
    support: &Path,
) -> Result<Command, crate::Error> {
    let write = |name: &str, text: &str| {
        let file = support.join(name);
        std::fs::write(&file, text)
            .map_err(crate::Error::machine("the runtime's program cannot be written"))?;
        Ok::<_, crate::Error>(file)
    };
    match kind(runtime) {
        Some(Kind::Python) => Ok(Command {
            program: interpreter(Kind::Python, runtime).unwrap_or_else(|| "python3".into()),
            arguments: vec!["-u".into(), write("bootstrap.py", PYTHON)?.into()],
            limits_memory: true,
        }),
        Some(Kind::Node) => Ok(Command {
            program: interpreter(Kind::Node, runtime).unwrap_or_else(|| "node".into()),
            arguments: vec![write("bootstrap.mjs", NODE)?.into()],
            limits_memory: false,
        }),
        _ => Ok(Command {
            program: folder.join("bootstrap"),
            arguments: Vec::new(),
            limits_memory: true,
        }),
    }
}

/// The name of the only file of code that a template holds as a text, and the module, with
/// its name, that CloudFormation puts beside it.
pub(crate) fn inline_files(runtime: &str) -> Option<(&'static str, (&'static str, &'static str))> {
    match kind(runtime)? {
        Kind::Custom => None,
        Kind::Python => Some(("index.py", ("cfnresponse.py", include_str!("cfnresponse.py")))),
        Kind::Node => Some((
            "index.js",
            ("node_modules/cfn-response/index.js", include_str!("cfn-response.js")),
        )),
    }
}

/// What AWS calls the runtime in `AWS_EXECUTION_ENV`; custom ones have none.
pub(crate) fn execution_environment(runtime: &str) -> Option<String> {
    (kind(runtime)? != Kind::Custom).then(|| format!("AWS_Lambda_{runtime}"))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Custom,
    Python,
    Node,
}

impl Kind {
    fn program(self) -> &'static str {
        match self {
            Kind::Custom => "bootstrap",
            Kind::Python => "python3",
            Kind::Node => "node",
        }
    }
}

fn kind(runtime: &str) -> Option<Kind> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if matches!(runtime, "provided" | "provided.al2" | "provided.al2023") {
        Some(Kind::Custom)
    } else if runtime.strip_prefix("python3.").is_some_and(is_number) {
        Some(Kind::Python)
    } else if runtime
        .strip_prefix("nodejs")
        .and_then(|rest| rest.strip_suffix(".x"))
        .is_some_and(is_number)
    {
        Some(Kind::Node)
    } else {
        None
    }
}

/// The interpreter of exactly this version if it is there, else the machine's own.
fn interpreter(kind: Kind, runtime: &str) -> Option<PathBuf> {
    let exact = if kind == Kind::Python { in_path(runtime) } else { None };
    exact.filter(|file| runs(file)).or_else(|| in_path(kind.program()))
}

/// Whether a program runs at all. Managers of versions put programs into the path for every
/// version that they have, and refuse to run the ones that are not chosen.
fn runs(program: &Path) -> bool {
    static KNOWN: Mutex<Option<HashMap<PathBuf, bool>>> = Mutex::new(None);
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runs) = known().as_ref().and_then(|known| known.get(program)) {
        return *runs;
    }
    // A machine that cannot start anything just now says nothing of the program.
    let Some(runs) = tells_its_version(program) else { return false };
    known().get_or_insert_default().insert(program.to_owned(), runs);
    runs
}

/// Whether a program tells its version, and soon; nothing if it could not be started.
fn tells_its_version(program: &Path) -> Option<bool> {
    let mut command = std::process::Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if let Some(status) = child.try_wait().ok()? {
            return Some(status.success());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let _ = child.kill();
    let _ = child.wait();
    Some(false)
}

/// How long an interpreter may take to tell its version.
const PATIENCE: Duration = Duration::from_secs(5);

fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

const PYTHON: &str = include_str!("bootstrap.py");
const NODE: &str = include_str!("bootstrap.mjs");
