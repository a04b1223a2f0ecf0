//! Helpers for the tests of rules.
//!
//! A test names the whole template or one resource, and demands nothing, one line or some
//! codes. They panic where tests should fail, and are built for tests only.

use iotstack_assembly::{Diagnostics, Environment, Template};
use serde_json::{Value, json};

use crate::{Context, check};

/// Checks a whole template.
pub(crate) fn findings(template: Value) -> Diagnostics {
    check(&Template::from_value(template).unwrap(), &Context::default())
}

/// Checks a whole template for a region.
pub(crate) fn findings_in(region: &str, template: Value) -> Diagnostics {
    let environment = Environment { region: Some(region.into()), account: None };
    check(&Template::from_value(template).unwrap(), &Context::stack("s", environment))
}

/// Checks one resource, under the id `A`.
pub(crate) fn resource(kind: &str, properties: Value) -> Diagnostics {
    findings(json!({"Resources": {"A": {"Type": kind, "Properties": properties}}}))
}

/// `code at path: message` of each finding.
#[track_caller]
pub(crate) fn lines(found: &Diagnostics) -> Vec<String> {
    found
        .iter()
        .map(|found| format!("{} {}: {}", found.code, found.place.path.join("/"), found.message))
        .collect()
}

/// Demands that nothing is found.
#[track_caller]
pub(crate) fn clean(found: &Diagnostics) {
    assert!(found.is_empty(), "{:#?}", lines(found));
}

/// Demands exactly one finding, and gives it as a line.
#[track_caller]
pub(crate) fn only(found: &Diagnostics) -> String {
    let mut lines = lines(found);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    lines.remove(0)
}

/// Demands exactly these codes.
#[track_caller]
pub(crate) fn has_codes(found: &Diagnostics, codes: &[&str]) {
    let given: Vec<_> = found.iter().map(|found| found.code).collect();
    assert_eq!(given, codes, "{:#?}", lines(found));
}
