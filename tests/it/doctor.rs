//! `iotstack doctor`.

use serde_json::Value;

use crate::aws::Aws;
use crate::project::{Project, topics};

fn outcome(report: &Value, check: &str) -> String {
    let found = report.as_array().unwrap().iter().find(|one| one["check"] == check);
    found.map(|one| one["outcome"].as_str().unwrap().to_owned()).unwrap_or_default()
}

#[test]
fn a_good_project_is_in_order() {
    let project = Project::with_stacks(&[("Fleet", topics(&["A"]))]);
    let report = project.run(["doctor", "--offline", "--json"]).json();
    for check in ["program", "configuration", "environment", "app", "output"] {
        assert_eq!(outcome(&report, check), "ok", "{report:#}");
    }
    assert_eq!(project.names("."), ["app.out", "iotstack.yaml"]);
}

#[test]
fn says_what_is_wrong_and_what_to_do_and_goes_on() {
    let run = Project::with_config("aap: x\n").run(["doctor", "--offline"]);
    assert_eq!(run.code, 1);
    assert!(run.out.contains("fail  configuration iotstack.yaml:1:1: there is no key `aap`"));
    assert!(run.out.contains("help: did you mean `app`?"), "{run:?}");
    assert!(run.out.contains("handlers"), "{run:?}");
}

#[test]
fn missing_credentials_are_a_failure() {
    let project = Project::with_stacks(&[("Fleet", topics(&["A"]))]);
    let run = project.run_with(["doctor"], &[("AWS_REGION", "eu-central-1")]);
    assert_eq!(run.code, 1);
    assert!(run.out.contains("fail  credentials"), "{run:?}");
}

#[test]
fn credentials_of_another_account_are_a_failure() {
    let aws = Aws::with_account("210987654321");
    let project = Project::with_config(
        "app: app.out\nenvironments: {prod: {account: \"123456789012\", region: eu-west-1}}\n",
    )
    .assembly("app.out", &[("Fleet", topics(&["A"]))]);
    let run = project.run_with(["doctor", "--json"], &aws.variables());
    assert_eq!(run.code, 1, "{run:?}");
    let report: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(outcome(&report, "credentials"), "ok");
    assert_eq!(outcome(&report, "account"), "fail");
    assert_eq!(outcome(&report, "endpoint"), "warn");
}
