//! Findings as SARIF 2.1.0, the form in which code hosts take the results of analyses.
//!
//! Rules are those that found something, with their explanation as help. A finding
//! without a file points at its logical place only, which the format allows. No
//! fingerprints are given: hosts make their own.

use iotstack_assembly::{Diagnostic, Diagnostics, Place, Severity};
use serde_json::{Map, Value, json};

/// Findings as SARIF text.
pub fn sarif(findings: &Diagnostics) -> String {
    let mut codes: Vec<&'static str> = Vec::new();
    for finding in findings.iter() {
        if !codes.contains(&finding.code) {
            codes.push(finding.code);
        }
    }
    let results: Vec<Value> = findings.iter().map(|finding| result(finding, &codes)).collect();
    let report = json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "iotstack",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": codes.iter().map(|code| rule(code)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }]
    });
    format!("{report:#}\n")
}

fn rule(code: &str) -> Value {
    let known = crate::codes().find(|known| known.name == code);
    let text = known.map_or(code, |known| known.explanation);
    let severity = known.map_or(Severity::Warning, |known| known.severity);
    // The short form is the first sentence.
    let short = text.split_once(". ").map_or(text, |(first, _)| first);
    json!({
        "id": code,
        "name": camel_case(code),
        "shortDescription": {"text": format!("{}.", short.trim_end_matches('.'))},
        "fullDescription": {"text": text},
        "help": {"text": text},
        "defaultConfiguration": {"level": level(severity)},
    })
}

fn result(finding: &Diagnostic, codes: &[&str]) -> Value {
    let text = match &finding.help {
        Some(help) => format!("{}; {help}", finding.message),
        None => finding.message.clone(),
    };
    json!({
        "ruleId": finding.code,
        "ruleIndex": codes.iter().position(|code| *code == finding.code),
        "level": level(finding.severity),
        "message": {"text": text},
        "locations": [location(&finding.place)],
    })
}

fn location(place: &Place) -> Value {
    let mut location = Map::new();
    if let Some(file) = &place.file {
        let mut physical = Map::new();
        physical.insert("artifactLocation".into(), json!({"uri": uri(file)}));
        if let Some((line, column)) = place.position {
            physical.insert("region".into(), json!({"startLine": line, "startColumn": column}));
        }
        location.insert("physicalLocation".into(), physical.into());
    }
    let name = place.logical_id.as_deref().or(place.construct.as_deref());
    let full = match &place.construct {
        Some(construct) => construct.clone(),
        None => place.stack.iter().chain(&place.path).cloned().collect::<Vec<_>>().join("/"),
    };
    if !full.is_empty() {
        location.insert(
            "logicalLocations".into(),
            json!([{
                "name": name.unwrap_or(&full),
                "fullyQualifiedName": full,
                "kind": "resource",
            }]),
        );
    }
    location.into()
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

/// A file's name as a reference: with slashes, and with what is not allowed escaped.
fn uri(file: &str) -> String {
    use std::fmt::Write;

    let mut uri = String::with_capacity(file.len());
    if file.starts_with('/') {
        uri.push_str("file://");
    }
    for byte in file.bytes() {
        match byte {
            b'\\' => uri.push('/'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            other => {
                let _ = write!(uri, "%{other:02X}");
            }
        }
    }
    uri
}

fn camel_case(code: &str) -> String {
    code.split('-')
        .map(|word| {
            let mut letters = word.chars();
            letters
                .next()
                .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
        })
        .collect()
}
