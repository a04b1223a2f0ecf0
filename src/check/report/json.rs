//! Findings as JSON: a list, and how many there are of each weight.
//!
//! A form of our own, for scripts. Fields may be added; those that are there keep their
//! names and meaning.

use iotstack_assembly::{Diagnostics, Severity};
use serde_json::json;

/// Findings as JSON text.
pub fn json(findings: &Diagnostics) -> String {
    let report = json!({
        "findings": findings,
        "counts": {
            "error": findings.count(Severity::Error),
            "warning": findings.count(Severity::Warning),
            "info": findings.count(Severity::Info),
        }
    });
    format!("{report:#}\n")
}
