//! Judges CloudFormation templates before AWS does.
//!
//! [`check`] runs every rule over one template and returns diagnostics; [`explain`]
//! tells what a rule's code means. A rule is one file in `rules/` and one line in its
//! list. Most findings come from the facts in `iotstack-schema`, walked with knowledge
//! of CloudFormation's functions: what a function returns is never guessed, and both
//! branches of a condition are judged.
//!
//! Invariants: no finding about a template that AWS accepts and that means what it
//! says; nothing is read besides the template and the [`Context`]; a clean value costs
//! no memory; the same template has the same findings in the same order.
//!
//! ```
//! use iotstack_assembly::Template;
//! use iotstack_check::{Context, check};
//!
//! let template = Template::from_json(
//!     br#"{"Resources": {"Pump": {"Type": "AWS::IoT::Thing",
//!         "Properties": {"ThignName": "pump-1"}}}}"#,
//! )?;
//! let findings = check(&template, &Context::default());
//! let found = findings.iter().next().ok_or("nothing found")?;
//! assert_eq!(found.code, "unknown-property");
//! assert_eq!(found.help.as_deref(), Some("did you mean `ThingName`?"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod context;
mod error;
mod facts;
mod findings;
mod pattern;
pub mod report;
mod rule;
mod rules;
mod subject;
mod value;

use std::collections::HashMap;

use iotstack_assembly::intrinsic::Trail;
use iotstack_assembly::parse::Positions;
use iotstack_assembly::{Diagnostics, Template};
use iotstack_schema::ResourceType;

pub use context::Context;
pub use error::{Error, Result};
pub use facts::SchemaFacts;
pub use findings::Findings;
pub use rule::{Code, Rule, Types};
pub use subject::{ResourceSubject, Subject};

/// Runs every rule over a template.
pub fn check(template: &Template, context: &Context) -> Diagnostics {
    let subject = Subject::new(template, context);
    let mut findings = Findings::new(template, context);
    for rule in rules::ALL {
        rule.template(&subject, &mut findings);
    }
    let mut kinds: HashMap<&str, Kind> = HashMap::new();
    let resources = Trail::Root.key("Resources");
    for (id, resource) in &template.resources {
        let kind = kinds.entry(resource.kind.as_str()).or_insert_with_key(|kind| Kind::of(kind));
        let place = resources.key(id);
        let properties = place.key("Properties");
        let resource = ResourceSubject {
            id,
            resource,
            facts: kind.facts,
            place: &place,
            properties: &properties,
        };
        for rule in &kind.rules {
            rule.resource(&resource, &subject, &mut findings);
        }
    }
    findings.finish()
}

/// What a code means and how to deal with it; `None` for a code that no rule has.
pub fn explain(code: &str) -> Option<&'static str> {
    codes().find(|known| known.name == code).map(|known| known.explanation)
}

/// Every code that [`check`] can give, in the order of the rules.
pub fn codes() -> impl Iterator<Item = &'static Code> {
    rules::ALL.iter().flat_map(|rule| rule.codes())
}

/// Gives every finding the line and column of its place.
pub fn locate(findings: &mut Diagnostics, positions: &Positions) {
    for finding in findings.iter_mut() {
        finding.place.position = positions.of(&finding.place.path);
    }
}

/// What all resources of one type share.
struct Kind {
    facts: Option<&'static ResourceType>,
    rules: Vec<&'static dyn Rule>,
}

impl Kind {
    fn of(name: &str) -> Self {
        let concerned = rules::ALL.iter().copied().filter(|rule| rule.types().include(name));
        Kind { facts: iotstack_schema::resource_type(name), rules: concerned.collect() }
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
