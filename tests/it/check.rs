//! `iotstack check`: files from anywhere, stacks of the app, forms of the report.

use serde_json::{Value, json};

use crate::project::{Project, topics};

const BAD: &str = "\
Resources:
  Pump:
    Type: AWS::IoT::Thing
    Properties:
      ThignName: pump-1
";

fn file() -> Project {
    Project::empty().file("t.yaml", BAD)
}

#[test]
fn names_the_line_and_column_of_a_finding_in_a_file() {
    let run = file().run(["check", "--template", "t.yaml"]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.out.starts_with("error[unknown-property]: "), "{run:?}");
    assert!(run.out.contains("t.yaml:5:7"), "{run:?}");
    assert!(run.out.ends_with("\n1 error\n"), "{run:?}");
    assert_eq!(run.err, "");
}

#[test]
fn reads_a_template_from_standard_input() {
    let run = file().shell("$IOTSTACK check --template - < t.yaml");
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.out.contains("standard input:5:7"), "{run:?}");
}

#[test]
fn a_good_template_has_no_findings() {
    let project = Project::with_stacks(&[("Fleet", topics(&["A"]))]);
    assert_eq!(project.run(["check"]).success(), "no findings\n");
}

#[test]
fn the_ready_stacks_have_no_errors_and_no_warnings_in_any_environment() {
    let project = Project::empty();
    for environment in ["dev", "staging", "prod"] {
        project.run(["check", "--strict", "--env", environment]).success();
    }
}

#[test]
fn names_the_stack_and_the_property_of_a_finding_in_the_app() {
    let template = json!({"Resources": {"Pump":
        {"Type": "AWS::IoT::Thing", "Properties": {"ThignName": "pump-1"}}}});
    let project = Project::with_stacks(&[("Fleet", template)]);
    let run = project.run(["check"]);
    assert_eq!(run.code, 1);
    assert!(run.out.contains("at Fleet, Resources/Pump/Properties/ThignName\n"), "{run:?}");
}

#[test]
fn strict_fails_on_warnings() {
    let template = json!({"Parameters": {"Unused": {"Type": "String", "Default": "x"}},
        "Resources": {"A": {"Type": "AWS::SNS::Topic"}}});
    let project = Project::with_stacks(&[("Fleet", template)]);
    let run = project.run(["check"]);
    assert!(run.success().contains("1 warning"), "{run:?}");
    assert_eq!(project.run(["check", "--strict"]).code, 1);
}

#[test]
fn gives_each_form_to_machines() {
    let project = file();
    let report = |format| project.run(["check", "--template", "t.yaml", "--format", format]);
    let json: Value = serde_json::from_str(&report("json").out).unwrap();
    assert!(json.to_string().contains("unknown-property"));
    let sarif: Value = serde_json::from_str(&report("sarif").out).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "unknown-property");
    let junit = report("junit");
    assert!(junit.out.starts_with("<?xml"), "{junit:?}");
    assert_eq!(junit.code, 1);
}

#[test]
fn a_type_that_the_region_does_not_have_is_found_for_that_region() {
    let project = Project::empty().file(
        "t.json",
        &json!({"Resources": {"D": {"Type": "AWS::IoT::ThingGroup", "Properties": {}}}})
            .to_string(),
    );
    project.run(["check", "--template", "t.json", "--region", "eu-central-1"]).success();
    let run = project.run(["check", "--template", "t.json", "--region", "ap-southeast-4"]);
    // Melbourne has no AWS IoT.
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.out.contains("ap-southeast-4"), "{run:?}");
}

#[test]
fn a_file_that_is_no_template_is_a_finding_beside_those_of_other_files() {
    let project = file().file("t.json", "{\"Resources\": {\n  \"A\": [1,]}}");
    let run = project.run(["check", "--template", "t.json"]);
    assert_eq!(run.code, 1);
    assert!(run.out.starts_with("error[unreadable-template]: "), "{run:?}");
    assert!(run.out.contains("at t.json:2:"), "{run:?}");
    let both = ["check", "--template", "t.yaml", "--template", "t.json", "--format", "junit"];
    let report = project.run(both).out;
    for code in ["unknown-property", "unreadable-template"] {
        assert!(report.contains(code), "{report}");
    }
    project
        .run(["check", "--template", "none.json"])
        .failure(2, "error: cannot read none.json: No such file or directory (os error 2)\n");
}
