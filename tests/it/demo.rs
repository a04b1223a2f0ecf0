//! `iotstack demo`.

use crate::project::Project;

#[test]
fn a_signed_update_goes_from_end_to_end() {
    let project = Project::empty();
    let run = project.run(["demo", "--devices", "8", "--json", "--html", "report.html"]);
    assert_eq!(run.code, 0, "{run:#?}");
    let report: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(report["facts"]["succeeded"], 8, "{report:#}");
    assert_eq!(report["facts"]["updated"], 8);
    assert_eq!(report["facts"]["unsigned"], 0);
    assert_eq!(report["view"]["status"], "COMPLETED");
    let page = project.read("report.html");
    assert!(page.starts_with("<!doctype html>") && !page.contains("src=\"http"));
}
