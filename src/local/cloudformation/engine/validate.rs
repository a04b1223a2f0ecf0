//! What is wrong with a template before anything exists.
//!
//! The rules of `iotstack check` judge it. What CloudFormation refuses outright
//! (unknown names, circles, wrong functions, too much of anything) refuses the
//! request, in AWS's words where clients know them. What it finds in the
//! properties of single resources fails the change set instead, as the
//! validation before a deployment does on AWS.

use std::collections::BTreeSet;

use iotstack_assembly::template::is_custom;
use iotstack_assembly::{Diagnostic, Diagnostics, Environment, Severity, Template};
use iotstack_check::Context;
use iotstack_local_kernel::Cloud;

use super::Prepared;
use crate::run::provider;
use crate::state::Finding;
use crate::{Error, Result};

/// Judges the template as a whole.
///
/// # Errors
/// Everything that is found, in one text.
pub fn template(cloud: &Cloud, prepared: &Prepared) -> Result<()> {
    alone(cloud, &prepared.template)?;
    offered(cloud, &prepared.template)
}

/// Judges a template that nobody deploys yet.
///
/// # Errors
/// Everything that is found, in one text.
pub fn alone(cloud: &Cloud, template: &Template) -> Result<()> {
    if template.resources.is_empty() {
        return Err(Error::invalid(
            "Template format error: At least one Resources member must be defined.",
        ));
    }
    let found = judged(cloud, template);
    let refused: Vec<&Diagnostic> = errors(&found).filter(|found| is_outright(found)).collect();
    if !refused.is_empty() {
        return Err(Error::invalid(sentence(&refused)));
    }
    Ok(())
}

/// What is wrong with the properties of single resources, as far as it can be told.
pub fn properties(cloud: &Cloud, template: &Template) -> Vec<Finding> {
    errors(&judged(cloud, template))
        .filter(|found| !is_outright(found))
        .map(|found| {
            let logical_id = found.place.logical_id.clone().unwrap_or_default();
            let kind = template.resources.get(&logical_id);
            Finding {
                kind: kind.map(|resource| resource.kind.clone()).unwrap_or_default(),
                path: format!("/{}", found.place.path.join("/")),
                message: with_help(found),
                logical_id,
            }
        })
        .collect()
}

/// Refuses types that exist on AWS and that nobody here serves, all at once.
fn offered(cloud: &Cloud, template: &Template) -> Result<()> {
    let missing: BTreeSet<&str> = template
        .resources
        .values()
        .map(|resource| resource.kind.as_str())
        .filter(|kind| !provider::is_offered(cloud, kind))
        .collect();
    if !missing.is_empty() {
        let missing: Vec<&str> = missing.into_iter().collect();
        return Err(Error::NotOffered(format!(
            "the resource types [{}]; nothing was created",
            missing.join(", ")
        )));
    }
    for (id, resource) in &template.resources {
        let token = resource.properties.get("ServiceToken").and_then(|value| value.as_str());
        if is_custom(&resource.kind)
            && token.is_some_and(|token| token.split(':').nth(2) == Some("sns"))
        {
            return Err(Error::NotOffered(format!(
                "custom resources that are answered through SNS ({id}); name a Lambda function as ServiceToken"
            )));
        }
    }
    Ok(())
}

fn judged(cloud: &Cloud, template: &Template) -> Diagnostics {
    let environment = Environment::new(cloud.account.id.clone(), cloud.account.region.clone());
    // The size was judged where the text came in.
    let context = Context { environment, size: Some(0), ..Context::default() };
    iotstack_check::check(template, &context)
}

fn errors(found: &Diagnostics) -> impl Iterator<Item = &Diagnostic> {
    found.iter().filter(|found| found.severity == Severity::Error)
}

/// Whether CloudFormation refuses the whole template for it.
fn is_outright(found: &Diagnostic) -> bool {
    OUTRIGHT.contains(&found.code)
}

fn sentence(refused: &[&Diagnostic]) -> String {
    let of = |code: &str| -> Vec<&Diagnostic> {
        refused.iter().copied().filter(|found| found.code == code).collect()
    };
    let unresolved = of("unknown-reference");
    if !unresolved.is_empty() {
        let names: BTreeSet<&str> =
            unresolved.iter().filter_map(|found| quoted(&found.message)).collect();
        let section = unresolved[0].place.path.first().map_or("Resources", String::as_str);
        let help: Vec<String> = unresolved.iter().map(|found| told(found)).collect();
        return format!(
            "Template format error: Unresolved resource dependencies [{}] in the {section} block of the template ({})",
            names.into_iter().collect::<Vec<_>>().join(", "),
            help.join("; ")
        );
    }
    let unknown = of("unknown-type");
    if !unknown.is_empty() {
        let names: BTreeSet<&str> =
            unknown.iter().filter_map(|found| quoted(&found.message)).collect();
        return format!(
            "Template format error: Unrecognized resource types: [{}]",
            names.into_iter().collect::<Vec<_>>().join(", ")
        );
    }
    let circles = of("circular-dependency");
    if let Some(circle) = circles.first() {
        let mut names: Vec<&str> = circle.message.split('`').skip(1).step_by(2).collect();
        names.dedup();
        let names: BTreeSet<&str> = names.into_iter().collect();
        return format!(
            "Circular dependency between resources: [{}]",
            names.into_iter().collect::<Vec<_>>().join(", ")
        );
    }
    let all: Vec<String> = refused.iter().map(|found| told(found)).collect();
    format!("Template error: {}", all.join("; "))
}

fn told(found: &Diagnostic) -> String {
    format!("{}: {}", found.place.path.join("/"), with_help(found))
}

fn with_help(found: &Diagnostic) -> String {
    match &found.help {
        Some(help) => format!("{} ({help})", found.message),
        None => found.message.clone(),
    }
}

/// The first word in backquotes.
fn quoted(message: &str) -> Option<&str> {
    message.split('`').nth(1)
}

/// The findings for which CloudFormation refuses a template at once.
const OUTRIGHT: &[&str] = &[
    "attribute-form",
    "circular-dependency",
    "condition-on-resource",
    "deletion-policy",
    "description-size",
    "duplicate-export",
    "format-version",
    "invalid-default",
    "invalid-output",
    "invalid-parameter",
    "logical-id",
    "malformed-function",
    "misplaced-function",
    "no-resources",
    "null-value",
    "too-many",
    "unknown-attribute",
    "unknown-condition",
    "unknown-function",
    "unknown-mapping",
    "unknown-reference",
    "unknown-resource-attribute",
    "unknown-section",
    "unknown-type",
];
