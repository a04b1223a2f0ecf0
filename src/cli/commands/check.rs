//! `iotstack check`: judges templates, those of the app or any file.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use iotstack_assembly::{Diagnostic, Diagnostics, Environment, Place, Severity, parse};
use iotstack_check::{self as checks, report};
use iotstack_deploy::{Selection, plan};

use crate::cli::app;
use crate::cli::context::Context;
use crate::cli::error::{Error, Kind, Result};
use crate::cli::judge::{self, Judgement};
use crate::cli::ui::{findings, out};

/// Finds what AWS would refuse in templates, before it does
///
/// Judges the templates of the app, or any template file, in JSON or YAML, from anywhere:
/// properties that do not exist or are missing, values of the wrong type or form,
/// references to nothing and in circles, limits, types that the region does not have, and
/// what AWS IoT refuses although the schema allows it. Every finding has a code, a place
/// and, where it is known, the way to mend it. Nothing is sent anywhere.
///
/// Errors end the command with exit code 1, with --strict warnings do too.
#[derive(Debug, clap::Args)]
#[command(visible_alias = "validate", after_long_help = EXAMPLES)]
pub struct Arguments {
    /// Names or patterns of stacks [default: all]
    #[arg(value_name = "STACKS", conflicts_with = "template")]
    stacks: Vec<String>,

    /// Judges this file instead of the app's stacks; `-` is standard input; may be given more
    /// than once
    #[arg(long, value_name = "FILE")]
    template: Vec<PathBuf>,

    /// The form of the report
    #[arg(long, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    format: Format,

    /// Prints JSON; the same as `--format json`
    #[arg(short, long, conflicts_with = "format")]
    json: bool,
}

/// A form of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// An object with the findings and their counts.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// JUnit XML, for test reports.
    Junit,
}

/// Runs the command.
pub fn run(arguments: Arguments, context: &Context) -> Result<()> {
    let region = context.options.region.as_deref();
    let found = if arguments.template.is_empty() {
        check_app(&arguments.stacks, context)?
    } else {
        let mut found = Diagnostics::new();
        for path in &arguments.template {
            found.extend(check_file(path, region)?);
        }
        found
    };
    let format = if arguments.json { Format::Json } else { arguments.format };
    match format {
        Format::Text => out(&findings::report(&found))?,
        Format::Json => out(&report::json(&found))?,
        Format::Sarif => out(&report::sarif(&found))?,
        Format::Junit => out(&report::junit(&found))?,
    }
    let fails =
        found.has_errors() || (context.options.strict && found.count(Severity::Warning) > 0);
    // The report has said it all.
    if fails { Err(Error::told(Kind::Stack)) } else { Ok(()) }
}

fn check_app(patterns: &[String], context: &Context) -> Result<Diagnostics> {
    let app = app::synthesize(context)?;
    let mut judgement = Judgement::default();
    if app.assembly.stacks().is_empty() {
        return Ok(judgement.into_findings());
    }
    let selection =
        Selection { patterns: patterns.to_vec(), all: patterns.is_empty(), exclusively: true };
    for stack in plan::select(&app.assembly, &selection)? {
        judgement.judge(stack, context.options.region.as_deref())?;
    }
    Ok(judgement.into_findings())
}

fn check_file(path: &Path, region: Option<&str>) -> Result<Diagnostics> {
    let (name, text) = read(path)?;
    let (template, positions) = match parse::template(&text) {
        Ok(parsed) => parsed,
        // A report must say so too, and about the other files besides.
        Err(error) => return Ok(Diagnostics::from_iter([unreadable(name, error)])),
    };
    let context = checks::Context {
        environment: Environment { account: None, region: region.map(str::to_owned) },
        size: Some(text.len()),
        ..checks::Context::file(&name)
    };
    let mut found = checks::check(&template, &context);
    if !found.is_empty() {
        checks::locate(&mut found, &positions);
    }
    Ok(found)
}

fn unreadable(file: String, error: iotstack_assembly::Error) -> Diagnostic {
    let (position, message) = match error {
        iotstack_assembly::Error::Syntax { line, column, message } => {
            (Some((line, column)), message)
        }
        other => (None, other.to_string()),
    };
    let place = Place { file: Some(file), position, ..Place::default() };
    Diagnostic::error(judge::UNREADABLE, place, message)
}

fn read(path: &Path) -> Result<(String, String)> {
    let name =
        if path == Path::new("-") { "standard input".into() } else { path.display().to_string() };
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.map_err(|error| Error::usage(format!("cannot read {name}: {error}")))?;
    Ok((name, text))
}

/// What `explain` says besides the rules' own codes.
pub fn explanation(code: &str) -> Option<&'static str> {
    match code {
        judge::APP_MESSAGE => Some(judge::ABOUT_APP_MESSAGE),
        judge::UNREADABLE => Some(judge::ABOUT_UNREADABLE),
        code => checks::explain(code),
    }
}

const EXAMPLES: &str = "\
Examples:
  iotstack check --env prod
  iotstack check --template template.yaml --region eu-central-1
  iotstack check --app cdk.out --strict
  iotstack check --format sarif > findings.sarif
  kubectl get cm stack -o jsonpath='{.data.template}' | iotstack check --template -";
