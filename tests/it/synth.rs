//! `iotstack synth`: streams, formats, the output folder, determinism.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::project::{Project, topics};

#[test]
fn prints_the_template_of_the_only_stack_as_yaml_and_nothing_else() {
    let run = Project::with_stacks(&[("Fleet", topics(&["Alarms"]))]).run(["synth"]);
    assert_eq!(run.success(), "Resources:\n  Alarms:\n    Type: AWS::SNS::Topic\n");
    assert_eq!(run.err, "");
}

#[test]
fn prints_json_when_asked() {
    let project = Project::with_stacks(&[("Fleet", topics(&["Alarms"]))]);
    assert_eq!(project.run(["synth", "--json"]).json(), topics(&["Alarms"]));
    assert_eq!(project.run(["synth", "--format", "json"]).json(), topics(&["Alarms"]));
}

#[test]
fn announces_the_folder_when_there_are_several_stacks() {
    let project = Project::with_stacks(&[("One", topics(&["A"])), ("Two", topics(&["B"]))]);
    let run = project.run(["synth"]);
    assert_eq!(run.success(), "");
    assert_eq!(run.err, "Successfully synthesized to app.out\n");
    assert_eq!(project.run(["synth", "-q"]).err, "");
    assert!(project.run(["synth", "Two"]).success().contains("  B:\n"));
}

#[test]
fn findings_go_to_standard_error_and_errors_fail() {
    let template = json!({"Resources": {"Pump":
        {"Type": "AWS::IoT::Thing", "Properties": {"ThignName": "pump-1"}}}});
    let project = Project::with_stacks(&[("Fleet", template)]);
    let run = project.run(["synth"]);
    assert_eq!(run.code, 1);
    assert!(run.out.starts_with("Resources:\n"), "{run:?}");
    assert!(run.err.contains("error[unknown-property]"), "{run:?}");
    assert!(run.err.contains("did you mean `ThingName`?"), "{run:?}");
    let run = project.run(["synth", "--no-check"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
}

#[test]
fn messages_of_the_app_count_as_findings() {
    let manifest = json!({"version": "36.0.0", "artifacts": {"Fleet":
        {"type": "aws:cloudformation:stack",
        "environment": "aws://unknown-account/unknown-region",
        "properties": {"templateFile": "t.json"},
        "metadata": {"/Fleet/Pump": [{"type": "aws:cdk:warning", "data": "too small"}]}}}});
    let project = Project::with_config("app: a.out\n")
        .file("a.out/manifest.json", &manifest.to_string())
        .file("a.out/t.json", &topics(&["A"]).to_string());
    let run = project.run(["synth", "-q"]);
    assert_eq!(run.code, 0);
    assert_eq!(run.err, "warning[app-message]: too small\n  at Fleet/Pump\n");
    let run = project.run(["synth", "-q", "--strict"]);
    assert_eq!(run.code, 1);
    assert!(run.err.ends_with("1 warning found, and --strict allows none\n"), "{run:?}");
}

#[test]
fn the_ready_stacks_are_the_same_to_the_byte_every_time() {
    let project = Project::empty();
    for folder in ["one.out", "two.out"] {
        project.run(["synth", "--env", "dev", "-q", "-o", folder]).success();
    }
    let names = project.names("one.out");
    assert_eq!(names, project.names("two.out"));
    for name in names {
        let read = |folder: &str| fs::read(project.path(folder).join(&name));
        // Assets may be folders; their names are their contents' hashes.
        if let (Ok(one), Ok(two)) = (read("one.out"), read("two.out")) {
            assert!(one == two, "{name} differs");
        }
    }
}

#[test]
fn the_environment_is_part_of_the_stacks_name_and_its_parameters_count() {
    let project = Project::with_config(
        "parameters: {fleet: {count: 2}}\nenvironments:\n  lab: {parameters: {fleet: {count: 3}}}\n",
    );
    let things = |arguments: &[&str]| {
        let template: Value = project.run([&["synth", "--json"], arguments].concat()).json();
        let resources = template["Resources"].as_object().unwrap().clone();
        resources.values().filter(|one| one["Type"] == "AWS::IoT::Thing").count()
    };
    assert_eq!(things(&[]), 3);
    assert_eq!(things(&["-c", "fleet.count=5"]), 5);
    assert_eq!(project.run(["ls"]).success(), "IoTFirmwareUpdatesStack-lab\n");
}

#[test]
fn a_failing_synthesis_leaves_the_previous_assembly() {
    let project = Project::empty()
        .assembly("good", &[("Fleet", topics(&["A"]))])
        .file("app.sh", "cp -r good/. $CDK_OUTDIR && exit $(cat code)")
        .file("code", "0");
    project.run(["synth", "--app", "sh app.sh", "-q"]).success();
    let before = project.read("iotstack.out/manifest.json");
    let project = project.file("code", "7").file("good/manifest.json", "{");
    let run = project.run(["synth", "--app", "sh app.sh", "-q"]);
    run.failure(
        1,
        "error: the app `sh app.sh` failed with exit code 7\nhint: its own messages are above\n",
    );
    assert_eq!(project.read("iotstack.out/manifest.json"), before);
    assert_eq!(project.names("."), ["app.sh", "code", "good", "iotstack.out"]);
}

#[test]
fn a_full_disk_leaves_nothing_half_written() {
    // A limit on the size of files fails writes in the middle, as a full disk does.
    let project = Project::empty();
    let run = project.shell("trap '' XFSZ; ulimit -f 1; $IOTSTACK synth --env dev -q");
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.err.starts_with("error: cannot "), "{run:?}");
    assert!(run.err.contains("File too large"), "{run:?}");
    assert_eq!(project.names("."), Vec::<String>::new());
}

#[test]
fn a_read_only_output_folder_is_refused_and_left_alone() {
    let project = Project::empty().assembly("iotstack.out", &[("Old", topics(&["A"]))]);
    let folder = project.path("iotstack.out");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    let run = project.run(["synth", "--env", "dev", "-q"]);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    run.failure(1, "error: cannot write to the output folder iotstack.out: it is read-only\n");
    assert_eq!(project.names("."), ["iotstack.out"]);
    assert_eq!(project.names("iotstack.out"), ["Old.template.json", "manifest.json"]);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let run = Project::empty().run(["synth", "--env", "dev", "-o", "/proc/iotstack.out"]);
    assert_eq!(run.code, 1);
    assert!(
        run.err.starts_with("error: cannot write to the output folder /proc/iotstack.out: "),
        "{run:?}"
    );
}

#[test]
fn other_peoples_files_are_never_replaced() {
    let project = Project::empty().file("docs/thesis.txt", "years");
    project.run(["synth", "--env", "dev", "-o", "docs"]).failure(
        2,
        "error: the output folder `docs` holds `thesis.txt` and no cloud assembly; it would be \
         replaced as a whole\nhint: choose another folder with `-o DIR`, or empty this one\n",
    );
    assert_eq!(project.read("docs/thesis.txt"), "years");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let ids: Vec<String> = (0..5000).map(|number| format!("Topic{number}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let project = Project::with_stacks(&[("Fleet", topics(&ids))]);
    let run = project.shell("$IOTSTACK synth --no-check | head -n 1");
    assert_eq!((run.out.as_str(), run.err.as_str()), ("Resources:\n", ""));
}

#[test]
fn started_as_an_app_it_writes_where_its_caller_wants() {
    let project = Project::empty().file("theirs/synth.lock", "1");
    let folder = project.path("theirs");
    let folder = folder.to_str().unwrap();
    project.run_with(["synth", "--env", "dev", "-q"], &[("CDK_OUTDIR", folder)]).success();
    assert!(project.names("theirs").contains(&"manifest.json".to_owned()));
    assert!(project.names("theirs").contains(&"synth.lock".to_owned()));
    assert_eq!(project.names("."), ["theirs"]);
    // One iotstack as the app of another.
    let line = format!("{} synth --env staging -q", env!("CARGO_BIN_EXE_iotstack"));
    let run = project.run(["ls", "--app", &line]);
    assert_eq!(run.success(), "IoTFirmwareUpdatesStack-staging\n");
}

#[test]
fn the_qualifier_of_the_bootstrap_stack_reaches_bucket_and_roles() {
    let project = Project::with_config("toolkit: {qualifier: fleet}\n");
    project.run(["synth", "--env", "dev", "-q"]).success();
    let manifest = project.read("iotstack.out/manifest.json");
    assert!(manifest.contains("cdk-fleet-deploy-role"), "{manifest}");
    for name in project.names("iotstack.out").iter().filter(|name| name.ends_with(".json")) {
        assert!(!project.read(&format!("iotstack.out/{name}")).contains("hnb659fds"), "{name}");
    }
}
