//! Findings as JUnit's XML, the form in which CI systems take the results of tests.
//!
//! One suite per stack or file, one test case per finding. Errors and warnings are
//! failures, notes are passed cases with their text as output. Without findings there
//! is one passed case, because some systems take an empty report for a broken run.

use std::fmt::Write;

use iotstack_assembly::{Diagnostic, Diagnostics, Severity};

/// Findings as JUnit XML text.
pub fn junit(findings: &Diagnostics) -> String {
    let mut suites: Vec<(String, Vec<&Diagnostic>)> = Vec::new();
    for finding in findings.iter() {
        let name = suite_name(finding);
        match suites.iter_mut().find(|(known, _)| *known == name) {
            Some((_, list)) => list.push(finding),
            None => suites.push((name, vec![finding])),
        }
    }
    let failures = findings.iter().filter(|finding| is_failure(finding)).count();
    let tests = findings.len().max(1);
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        xml,
        "<testsuites name=\"iotstack check\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\">"
    );
    if suites.is_empty() {
        xml.push_str(
            "  <testsuite name=\"iotstack check\" tests=\"1\" failures=\"0\" errors=\"0\" \
             skipped=\"0\">\n    <testcase name=\"no findings\" classname=\"iotstack.check\"/>\n  \
             </testsuite>\n",
        );
    }
    for (name, list) in suites {
        suite(&mut xml, &name, &list);
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn suite(xml: &mut String, name: &str, findings: &[&Diagnostic]) {
    let failures = findings.iter().filter(|finding| is_failure(finding)).count();
    let _ = writeln!(
        xml,
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\">",
        escape(name),
        findings.len()
    );
    for finding in findings {
        case(xml, finding);
    }
    xml.push_str("  </testsuite>\n");
}

fn case(xml: &mut String, finding: &Diagnostic) {
    let place = finding.place.path.join("/");
    let place = finding.place.construct.as_deref().unwrap_or(&place);
    let _ = write!(
        xml,
        "    <testcase name=\"{}\" classname=\"{}\"",
        escape(&format!("{} at {}", finding.code, if place.is_empty() { "/" } else { place })),
        escape(finding.code),
    );
    if let Some(file) = &finding.place.file {
        let _ = write!(xml, " file=\"{}\"", escape(file));
    }
    if let Some((line, _)) = finding.place.position {
        let _ = write!(xml, " line=\"{line}\"");
    }
    let mut text = finding.message.clone();
    if let Some(help) = &finding.help {
        let _ = write!(text, "\nhelp: {help}");
    }
    if !finding.place.path.is_empty() {
        let _ = write!(text, "\nat: {}", finding.place.path.join("/"));
    }
    if is_failure(finding) {
        let kind = if finding.severity == Severity::Error { "error" } else { "warning" };
        let _ = writeln!(
            xml,
            ">\n      <failure message=\"{}\" type=\"{kind}\">{}</failure>\n    </testcase>",
            escape(&finding.message),
            escape(&text)
        );
    } else {
        let _ =
            writeln!(xml, ">\n      <system-out>{}</system-out>\n    </testcase>", escape(&text));
    }
}

fn suite_name(finding: &Diagnostic) -> String {
    let place = &finding.place;
    place.stack.as_ref().or(place.file.as_ref()).map_or("template", String::as_str).to_owned()
}

fn is_failure(finding: &Diagnostic) -> bool {
    finding.severity != Severity::Info
}

/// Text for XML; characters that XML 1.0 cannot hold are replaced.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(character),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}
