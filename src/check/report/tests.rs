//! Each form, read back.
//!
//! Reports are read back by a parser where there is one, and searched otherwise. Nothing is
//! checked against the published schemas of the forms.

use iotstack_assembly::{Diagnostic, Diagnostics, Place};
use serde_json::Value;

use super::*;

fn findings() -> Diagnostics {
    let mut place = Place::path(["Resources", "A", "Properties", "X<Y>"]);
    place.file = Some("my templates/a.yaml".into());
    place.stack = Some("Stack".into());
    place.position = Some((3, 7));
    let mut findings = Diagnostics::new();
    findings
        .push(Diagnostic::error("unknown-property", place, "no \"X<Y>\" & co").help("leave it"));
    findings.push(Diagnostic::warning("unused-parameter", Place::default(), "nothing uses `P`"));
    findings
}

#[test]
fn json_has_places_and_counts() {
    let report: Value = serde_json::from_str(&json(&findings())).unwrap();
    assert_eq!(report["counts"]["error"], 1);
    assert_eq!(report["findings"][0]["code"], "unknown-property");
    assert_eq!(report["findings"][0]["place"]["position"], serde_json::json!([3, 7]));
}

#[test]
fn sarif_has_rules_and_locations() {
    let report: Value = serde_json::from_str(&sarif(&findings())).unwrap();
    let run = &report["runs"][0];
    assert_eq!(report["version"], "2.1.0");
    let rule = &run["tool"]["driver"]["rules"][0];
    assert_eq!(rule["id"], "unknown-property");
    assert_eq!(rule["name"], "UnknownProperty");
    assert!(rule["help"]["text"].as_str().unwrap().contains("misspelled"));
    let result = &run["results"][0];
    assert_eq!((result["ruleIndex"].as_u64(), result["level"].as_str()), (Some(0), Some("error")));
    let physical = &result["locations"][0]["physicalLocation"];
    assert_eq!(physical["artifactLocation"]["uri"], "my%20templates/a.yaml");
    assert_eq!(physical["region"]["startLine"], 3);
    assert_eq!(result["locations"][0]["logicalLocations"][0]["name"], "A");
}

#[test]
fn junit_escapes_and_counts() {
    let report = junit(&findings());
    assert!(report.contains("tests=\"2\" failures=\"2\""), "{report}");
    assert!(report.contains("no &quot;X&lt;Y&gt;&quot; &amp; co"), "{report}");
    assert!(report.contains("file=\"my templates/a.yaml\" line=\"3\""), "{report}");
}

#[test]
fn a_report_without_findings_is_a_passed_test() {
    let report = junit(&Diagnostics::new());
    assert!(report.contains("tests=\"1\" failures=\"0\""), "{report}");
    let report: Value = serde_json::from_str(&sarif(&Diagnostics::new())).unwrap();
    assert_eq!(report["runs"][0]["results"], serde_json::json!([]));
}

#[test]
fn names_the_forms_that_exist() {
    assert_eq!("sarif".parse::<Format>().unwrap(), Format::Sarif);
    assert_eq!(
        "xml".parse::<Format>().unwrap_err().to_string(),
        "report format `xml` is unknown: expected one of json, sarif, junit"
    );
}
