//! Throw-away projects, and the program run in them.
//!
//! Each project is a folder of its own. The program sees nothing of the person who runs
//! the tests: no home folder, no credentials, no variables but the path. Paths in what it
//! says are replaced by `DIR`, so that messages can be compared as a whole.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with the files of a project.
pub struct Project {
    folder: TempDir,
}

/// What the program said and how it ended.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Project {
    /// An empty folder.
    pub fn empty() -> Self {
        Project { folder: tempfile::tempdir().unwrap() }
    }

    /// A project with an `iotstack.yaml`.
    pub fn with_config(text: &str) -> Self {
        Project::empty().file("iotstack.yaml", text)
    }

    /// A project whose app is a finished assembly of these stacks, by display name.
    pub fn with_stacks(stacks: &[(&str, Value)]) -> Self {
        Project::with_config("app: app.out\n").assembly("app.out", stacks)
    }

    /// The project with one more file.
    pub fn file(self, path: &str, text: &str) -> Self {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// The project with one more assembly.
    pub fn assembly(self, folder: &str, stacks: &[(&str, Value)]) -> Self {
        let mut artifacts = serde_json::Map::new();
        let mut project = self;
        for (name, template) in stacks {
            let id = name.replace('/', "");
            let file = format!("{id}.template.json");
            artifacts.insert(
                id,
                json!({"type": "aws:cloudformation:stack", "displayName": name,
                    "environment": "aws://unknown-account/unknown-region",
                    "properties": {"templateFile": file}}),
            );
            project = project.file(&format!("{folder}/{file}"), &template.to_string());
        }
        let manifest = json!({"version": "36.0.0", "artifacts": artifacts});
        project.file(&format!("{folder}/manifest.json"), &manifest.to_string())
    }

    /// A path in the project.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(path)
    }

    /// A file's text.
    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap()
    }

    /// The names in a folder of the project, hidden ones too, sorted.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Runs the program in the project.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Run {
        self.run_with(arguments, &[])
    }

    /// Runs the program with more variables.
    pub fn run_with<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
        variables: &[(&str, &str)],
    ) -> Run {
        let mut command = self.command(env!("CARGO_BIN_EXE_iotstack"));
        command.args(arguments).envs(variables.iter().copied());
        self.finish(command)
    }

    /// Runs a line of shell, in which `$IOTSTACK` is the program.
    pub fn shell(&self, line: &str) -> Run {
        self.shell_with(line, &[])
    }

    /// Runs a line of shell with more variables.
    pub fn shell_with(&self, line: &str, variables: &[(&str, &str)]) -> Run {
        let mut command = self.command("sh");
        command.arg("-c").arg(line).env("IOTSTACK", env!("CARGO_BIN_EXE_iotstack"));
        command.envs(variables.iter().copied());
        self.finish(command)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_MAX_ATTEMPTS", "1")
            .stdin(std::process::Stdio::null());
        command
    }

    fn finish(&self, mut command: Command) -> Run {
        let output = command.output().unwrap();
        // On some systems the folder for temporary files is a link.
        let resolved = self.folder.path().canonicalize().unwrap();
        let text = |bytes: Vec<u8>| {
            String::from_utf8(bytes)
                .unwrap()
                .replace(resolved.to_str().unwrap(), "DIR")
                .replace(self.folder.path().to_str().unwrap(), "DIR")
        };
        Run {
            code: output.status.code().unwrap_or(-1),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

impl Run {
    /// Asserts success, and gives what is on standard output.
    #[track_caller]
    pub fn success(&self) -> &str {
        assert_eq!(self.code, 0, "{self:#?}");
        &self.out
    }

    /// Asserts a failure with this exit code and exactly this on standard error.
    #[track_caller]
    pub fn failure(&self, code: i32, err: &str) {
        assert_eq!((self.code, self.err.as_str()), (code, err), "{self:#?}");
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(self.success()).unwrap()
    }
}

/// A template of topics with these logical ids.
pub fn topics(ids: &[&str]) -> Value {
    let resources: serde_json::Map<String, Value> =
        ids.iter().map(|id| ((*id).to_owned(), json!({"Type": "AWS::SNS::Topic"}))).collect();
    json!({ "Resources": resources })
}
