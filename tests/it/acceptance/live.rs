//! The program with a cloud that behaves: a project, a cloud, and a way between them.
//!
//! What a test says here is what a person would type: the program's own commands, and the
//! AWS CLI to see what became of them. Nothing waits by the clock. Where something takes
//! time, a program is asked that waits itself, or its output is followed.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use serde_json::Value;

use crate::judge::cloud::{Cloud, Options};
use crate::judge::install;
use crate::project::{Project, Run};

/// A project and the cloud that it is deployed to.
pub struct Live {
    pub project: Project,
    pub cloud: Cloud,
}

impl Live {
    /// An empty cloud for a project.
    pub fn start(project: Project, options: Options) -> Self {
        Live { project, cloud: Cloud::start(options) }
    }

    /// Our own local cloud for a project.
    pub fn ours(project: Project) -> Self {
        Live { project, cloud: Cloud::ours(&[]) }
    }

    /// Our own local cloud with the firmware-update stack and so many things.
    pub fn deployed(things: u32) -> Self {
        let live = Live::ours(Project::empty());
        live.run(["bootstrap"]).success();
        live.run(["deploy", "--yes", "-c", &format!("fleet.count={things}")]).success();
        live
    }

    /// Runs the program in the project against the cloud.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Run {
        self.project.run_with(arguments, &self.cloud.variables())
    }

    /// Starts the program, so that a test can do something while it works.
    pub fn spawn(&self, arguments: &[&str]) -> Running {
        let mut command = program(&self.project, &self.cloud, arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        Running { child, lines, heard: String::new() }
    }

    /// The state of a stack.
    pub fn state(&self, stack: &str) -> String {
        let answer = self.cloud.aws(&["cloudformation", "describe-stacks", "--stack-name", stack]);
        answer["Stacks"][0]["StackStatus"].as_str().unwrap().to_owned()
    }

    /// Runs a line of shell in which `aws` is the judges' AWS CLI.
    pub fn shell_with_aws(&self, line: &str) -> Value {
        let tool = install::tool("aws");
        let words: Vec<String> = std::iter::once(tool.get_program())
            .chain(tool.get_args())
            .map(|word| format!("'{}'", word.to_str().unwrap()))
            .collect();
        let script = self.project.path("tools/aws");
        std::fs::create_dir_all(script.parent().unwrap()).unwrap();
        std::fs::write(&script, format!("#!/bin/sh\nexec {} \"$@\"\n", words.join(" "))).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("sh");
        command
            .args(["-c", line])
            .current_dir(self.project.path(""))
            .env("PATH", format!("{}:{path}", script.parent().unwrap().display()))
            .env("AWS_PAGER", "");
        let output = self.cloud.reach(&mut command).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`{line}` failed:\n{errors}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// Prepares the program in a project against a cloud.
pub fn program(project: &Project, cloud: &Cloud, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_iotstack"));
    command
        .args(arguments)
        .current_dir(project.path(""))
        .env_clear()
        .env("HOME", project.path(""))
        .envs(cloud.variables())
        .stdin(Stdio::null());
    command
}

/// A program that runs.
pub struct Running {
    child: Child,
    lines: BufReader<ChildStderr>,
    heard: String,
}

impl Running {
    /// Follows standard error up to a line that contains `text`.
    pub fn until(&mut self, text: &str) {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            let read = self.lines.read_line(&mut line).unwrap();
            self.heard.push_str(&line);
            assert_ne!(read, 0, "ended before it said `{text}`:\n{}", self.heard);
        }
    }

    /// Presses Ctrl-C.
    pub fn interrupt(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    }

    /// Waits for its end; the exit code, and all it said on standard error.
    pub fn end(mut self) -> (i32, String) {
        self.lines.read_to_string(&mut self.heard).unwrap();
        let status = self.child.wait().unwrap();
        (status.code().unwrap_or(-1), std::mem::take(&mut self.heard))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends `body` to an address of the cloud, as somebody who signals a wait condition does.
pub fn put(url: &str, body: &str) {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(
        stream,
        "PUT /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n\
         {body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// Reads a JSON file.
pub fn json_file(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
