//! `iotstack ls`.

use serde_json::json;

use crate::project::{Project, topics};

fn project() -> Project {
    let stack = |name: &str, needs: &[&str]| {
        json!({"type": "aws:cloudformation:stack", "displayName": name,
            "environment": "aws://123456789012/eu-central-1", "dependencies": needs,
            "properties": {"templateFile": "t.json", "stackName": name.replace('/', "-")}})
    };
    let manifest = json!({"version": "36.0.0", "artifacts": {
        "Web": stack("Web", &["Core"]), "Core": stack("Core", &[]),
        "ProdCore": stack("Prod/Core", &[]),
    }});
    Project::with_config("app: app.out\n")
        .file("app.out/manifest.json", &manifest.to_string())
        .file("app.out/t.json", &topics(&["A"]).to_string())
}

#[test]
fn lists_stacks_in_the_order_of_deployment() {
    assert_eq!(project().run(["ls"]).success(), "Core\nWeb\nProd/Core (Prod-Core)\n");
}

#[test]
fn shows_environments_and_what_stacks_need() {
    assert_eq!(
        project().run(["list", "Web", "--long", "--show-dependencies"]).success(),
        "Web  aws://123456789012/eu-central-1\n  needs Core\n"
    );
}

#[test]
fn a_pattern_that_fits_nothing_is_no_error() {
    let run = project().run(["ls", "Nope*"]);
    assert_eq!(run.success(), "");
    assert_eq!(run.err, "");
}

#[test]
fn a_stack_has_its_name_in_the_account_too() {
    assert_eq!(project().run(["ls", "Prod-Core"]).success(), "Prod/Core (Prod-Core)\n");
}

#[test]
fn gives_json_to_scripts() {
    assert_eq!(
        project().run(["ls", "Prod/*", "--json"]).json(),
        json!([{"id": "Prod/Core", "name": "Prod-Core",
            "environment": "aws://123456789012/eu-central-1", "account": "123456789012",
            "region": "eu-central-1", "dependencies": []}])
    );
}

#[test]
fn the_ready_stacks_need_no_configuration() {
    let run = Project::empty().run(["ls", "--env", "staging"]);
    assert!(run.success().starts_with("IoTFirmwareUpdatesStack-staging"), "{run:?}");
}

#[test]
fn a_variable_that_is_empty_chooses_nothing() {
    let run = Project::empty().run_with(["ls"], &[("IOTSTACK_ENV", "")]);
    assert!(run.success().starts_with("IoTFirmwareUpdatesStack-dev"), "{run:?}");
    let run = Project::empty().run(["ls", "--env", ""]);
    assert_eq!(run.code, 2, "{run:?}");
}
