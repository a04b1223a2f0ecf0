//! `cfn-lint`, `cloudformation-validate` and `parliament` over templates.
//!
//! All templates go through one Python process (`lint.py`), because a judge loads
//! its tables longer than it judges. Errors and warnings both count:
//! `cloudformation-validate` reports a wrong enum value only as a warning, and
//! CloudFormation would refuse it. What is known and explained stands in
//! `allowed.json`, each with a reason; an allowance that meets nothing any more is
//! reported too.

use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use super::install;

/// A template to judge.
pub struct Template {
    /// What findings call it, such as `firmware-updates prod`.
    pub name: String,
    /// The JSON file.
    pub path: PathBuf,
    /// The region whose rules apply.
    pub region: String,
}

/// What the judges said.
#[derive(Debug)]
pub struct Verdict {
    /// Everything that no allowance explains.
    pub findings: Vec<Finding>,
    /// Allowances of `allowed.json` that met nothing in these templates.
    pub unused: Vec<Value>,
    /// How many policy documents were found in the templates and judged.
    pub policies: u64,
}

/// One thing that one judge does not like.
#[derive(Clone, Debug)]
pub struct Finding {
    /// `cfn-lint`, `cloudformation-validate` or `parliament`.
    pub judge: String,
    /// The judge's own name for what is wrong, such as `E3030`.
    pub rule: String,
    /// [`Template::name`].
    pub template: String,
    /// The place in the template.
    pub path: String,
    /// The judge's words.
    pub message: String,
}

/// Has all judges look at all templates.
pub fn lint(templates: &[Template]) -> Verdict {
    lint_with(templates, &serde_json::from_str(include_str!("allowed.json")).unwrap())
}

/// The same with other allowances.
pub fn lint_with(templates: &[Template], allowed: &Value) -> Verdict {
    let list: Vec<Value> = templates
        .iter()
        .map(|t| json!({"name": t.name, "path": t.path, "region": t.region}))
        .collect();
    let request = json!({"templates": list, "allowed": allowed});

    let mut child = install::python()
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/judge/lint.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(request.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the linters stopped ({}):\n{errors}", output.status);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();

    assert_eq!(
        answer["judged"]["templates"],
        templates.len(),
        "not every template was judged:\n{errors}"
    );
    Verdict {
        findings: answer["findings"].as_array().unwrap().iter().map(Finding::from).collect(),
        unused: answer["unused"].as_array().unwrap().clone(),
        policies: answer["judged"]["policies"].as_u64().unwrap(),
    }
}

impl From<&Value> for Finding {
    fn from(value: &Value) -> Self {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        Self {
            judge: text("judge"),
            rule: text("rule"),
            template: text("template"),
            path: text("path"),
            message: text("message"),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} in {} at {}: {}",
            self.judge, self.rule, self.template, self.path, self.message
        )
    }
}
