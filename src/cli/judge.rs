//! Judging stacks: what the app says about its constructs, and what the checks say about
//! its templates.
//!
//! Findings are collected over all stacks and shown together, because a user who mends
//! one thing at a time pays for every round. Templates are read one after the other and
//! never kept.

use iotstack_assembly::{
    Diagnostic, Diagnostics, Environment, Place, Severity, StackArtifact, Template,
};
use iotstack_check as check;

use super::context::Context;
use super::error::{Error, Kind, Result};
use super::ui::{count, findings, tell};

/// The findings so far.
#[derive(Debug, Default)]
pub struct Judgement {
    findings: Diagnostics,
}

impl Judgement {
    /// Reads a stack's template and judges everything about it.
    pub fn judge(&mut self, stack: &StackArtifact, region: Option<&str>) -> Result<()> {
        self.hear_app(stack);
        let bytes = stack.template_bytes()?;
        self.check(stack, &read(stack, &bytes)?, bytes.len(), region);
        Ok(())
    }

    /// Takes over what the app itself says about its constructs.
    pub fn hear_app(&mut self, stack: &StackArtifact) {
        for message in &stack.messages {
            let severity = match message.level.as_str() {
                "error" => Severity::Error,
                "warning" => Severity::Warning,
                _ => Severity::Info,
            };
            let mut place = Place::construct(message.construct.trim_start_matches('/'));
            place.stack = Some(stack.display_name.clone());
            let found = Diagnostic::error(APP_MESSAGE, place, &message.text);
            self.findings.push(Diagnostic { severity, ..found });
        }
    }

    /// Runs the checks over a template. A region that was named on the command line counts
    /// where the stack names none.
    pub fn check(
        &mut self,
        stack: &StackArtifact,
        template: &Template,
        bytes: usize,
        region: Option<&str>,
    ) {
        let Environment { account, region: own } = stack.environment.clone();
        let environment = Environment { account, region: own.or(region.map(str::to_owned)) };
        let context = check::Context {
            size: Some(bytes),
            ..check::Context::stack(&stack.display_name, environment)
        };
        self.findings.extend(check::check(template, &context));
    }

    /// The findings.
    pub fn into_findings(self) -> Diagnostics {
        self.findings
    }

    /// Shows the findings and fails if there are errors, or warnings with `--strict`.
    pub fn finish(self, context: &Context) -> Result<()> {
        // Notes are for who asks: by `iotstack check`, or by `-v`.
        let least = if context.options.verbose > 0 { Severity::Info } else { Severity::Warning };
        findings::show(&self.findings, least);
        verdict(&self.findings, context.options.strict)
    }
}

/// Whether findings let a command go on.
fn verdict(findings: &Diagnostics, strict: bool) -> Result<()> {
    let (errors, warnings) = (findings.count(Severity::Error), findings.count(Severity::Warning));
    if errors > 0 {
        tell(format!("{} found; `iotstack explain CODE` tells more", count(errors, "error")));
        return Err(Error::told(Kind::Stack));
    }
    if strict && warnings > 0 {
        tell(format!("{} found, and --strict allows none", count(warnings, "warning")));
        return Err(Error::told(Kind::Stack));
    }
    Ok(())
}

/// Reads a stack's template from its bytes.
pub fn read(stack: &StackArtifact, bytes: &[u8]) -> Result<Template> {
    Template::from_json(bytes)
        .map_err(|error| Error::stack(format!("{}: {error}", stack.template_path().display())))
}

/// The code of a template file that cannot be read as a template.
pub const UNREADABLE: &str = "unreadable-template";

/// What that code means.
pub const ABOUT_UNREADABLE: &str = "\
The file is no CloudFormation template: it is neither JSON nor YAML, has a key twice, or a \
section or resource has the wrong shape. CloudFormation answers such a file with a validation \
error. Nothing else in the file was judged.";

/// The code of what an app says about itself.
pub const APP_MESSAGE: &str = "app-message";

/// What that code means.
pub const ABOUT_APP_MESSAGE: &str = "\
The app attached this message to one of its constructs, with `addError`, `addWarning` or \
`addInfo` in AWS CDK or the like in iotstack. iotstack passes it on as it is. An error stops \
the command; what to do about it is for the construct's author to say.";
