//! Side by side with AWS CDK: its program on our assembly, our program on its assembly.
//!
//! Both keep to one format and one protocol, so a team can change its mind in either
//! direction, one command at a time. The programs are told nothing about each other.
//! That either's templates are good is not the question here.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use super::live::{Live, json_file};
use crate::judge::cdk::{Peer, cdk, succeed};
use crate::judge::cloud::{ACCOUNT, Options, REGION, left_over};
use crate::project::Project;

const STACK: &str = "IoTFirmwareUpdatesStack-dev";

#[test]
fn the_stock_cdk_lists_compares_deploys_and_destroys_our_assembly() {
    let live = Live::start(Project::empty(), Options::default());
    live.run(["synth", "-q", "-c", "fleet.count=2"]).success();
    live.run(["bootstrap"]).success();
    let bootstrapped = live.cloud.inventory();
    let ours = |arguments: &[&str]| {
        let mut command = cdk(&live.project.path(""), Some(&live.cloud));
        let output = command.args(["--app", "iotstack.out"]).args(arguments).output().unwrap();
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success(), out, errors(&output))
    };

    assert_eq!(ours(&["ls"]), (true, format!("{STACK}\n"), String::new()));
    let (good, template, _) = ours(&["synth", "--json"]);
    assert!(good);
    let template: Value = serde_json::from_str(&template).unwrap();
    let written = json_file(&live.project.path(format!("iotstack.out/{STACK}.template.json")));
    assert_eq!(template, written, "cdk prints the template that we wrote");
    let (_, _, differences) = ours(&["diff"]);
    assert!(differences.contains("Number of stacks with differences: 1"), "{differences}");

    let (good, _, progress) = ours(&["deploy", "--require-approval", "never"]);
    assert!(good, "{progress}");
    assert_eq!(live.state(STACK), "CREATE_COMPLETE");
    let (_, _, differences) = ours(&["diff", "--fail"]);
    assert!(differences.contains("Number of stacks with differences: 0"), "{differences}");

    // What cdk has deployed is up to date for iotstack, and the other way round.
    let run = live.run(["deploy", "--app", "iotstack.out"]);
    run.success();
    assert!(run.err.contains(&format!("{STACK}: no changes\n")), "{}", run.err);
    live.run(["synth", "-q", "-c", "fleet.count=3"]).success();
    live.run(["deploy", "--app", "iotstack.out"]).success();
    let (good, _, progress) = ours(&["deploy", "--require-approval", "never"]);
    assert!(good && progress.contains("(no changes)"), "{progress}");

    let (good, _, progress) = ours(&["destroy", "--force"]);
    assert!(good, "{progress}");
    let left = left_over(&bootstrapped, &live.cloud.inventory());
    assert_eq!(left.keys().collect::<Vec<_>>(), ["s3/object_versions"], "{left:#?}");
}

#[test]
fn cdk_starts_our_program_as_its_app() {
    let project = Project::empty();
    let program = env!("CARGO_BIN_EXE_iotstack");
    let started = |arguments: &[&str]| {
        let app = format!("{program} synth -q --env staging -c fleet.count=2");
        let output =
            cdk(&project.path(""), None).args(["--app", &app]).args(arguments).output().unwrap();
        succeed(output, "cdk")
    };
    assert_eq!(started(&["ls"]), "IoTFirmwareUpdatesStack-staging\n");
    started(&["synth", "--quiet", "--output", "elsewhere.out"]);
    let folder = project.path("elsewhere.out");
    assert!(folder.join("IoTFirmwareUpdatesStack-staging.template.json").exists());
    let manifest = json_file(&folder.join("manifest.json"));
    assert!(manifest["artifacts"]["IoTFirmwareUpdatesStack-staging"].is_object());
    assert!(!project.path("iotstack.out").exists(), "the assembly belongs where cdk wants it");
}

/// The app is built first, because cdk is run without a home folder and cargo needs one.
#[test]
fn cdk_starts_a_crate_of_a_user() {
    let project = Project::empty();
    project.run(["init", "valve-fleet"]).success();
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = project.path("valve-fleet");
    std::fs::copy(checkout.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    // Shared with the test of `init`: the same dependencies.
    let target = checkout.join("target/init");
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--offline", "--quiet"]).current_dir(&folder);
    build.env("CARGO_TARGET_DIR", &target).env_remove("CARGO_BUILD_TARGET_DIR");
    succeed(build.output().unwrap(), "cargo build");

    let app = target.join("debug/valve-fleet");
    let started = |arguments: &[&str]| {
        let mut command = cdk(&folder, None);
        command.args(["--app", app.to_str().unwrap(), "-c", "iotstack:env=prod"]);
        succeed(command.args(arguments).output().unwrap(), "cdk")
    };
    assert_eq!(started(&["ls"]), "ValveFleet-prod\n");
    let template: Value = serde_json::from_str(&started(&["synth", "--json"])).unwrap();
    let has_group =
        |resource: &Value| resource["Properties"]["ThingGroupName"] == "valve-fleet-prod";
    assert!(template["Resources"].as_object().unwrap().values().any(has_group), "{template}");
}

#[test]
fn an_assembly_of_the_cdk_is_listed_checked_compared_and_deployed() {
    let peer = Peer::compile();
    let assembly = peer.synth(2);
    let live = Live::start(Project::empty(), Options::default());
    let theirs =
        |arguments: &[&str]| live.run([&["--app", assembly.to_str().unwrap()], arguments].concat());
    assert_eq!(theirs(&["ls"]).success(), format!("{STACK}\n"));
    let run = theirs(&["check"]);
    run.success();
    assert!(!run.err.contains("error["), "{}", run.err);

    live.run(["bootstrap"]).success();
    let bootstrapped = live.cloud.inventory();
    let run = theirs(&["diff", "--method", "template", "--fail"]);
    assert_eq!(run.code, 1, "{run:#?}");
    assert!(run.out.contains("[+] AWS::IoT::Thing"), "{}", run.out);
    theirs(&["deploy", "--yes"]).success();
    assert_eq!(live.state(STACK), "CREATE_COMPLETE");
    let things = live.cloud.aws(&["iot", "list-things"]);
    assert_eq!(things["things"].as_array().unwrap().len(), 2);

    let run = theirs(&["diff", "--method", "template", "--fail"]);
    assert_eq!(run.success(), format!("Stack {STACK}\nThere were no differences\n"));
    let run = theirs(&["deploy"]);
    run.success();
    assert!(run.err.contains(&format!("{STACK}: no changes\n")), "{}", run.err);
    theirs(&["destroy", "--force", "--empty-buckets"]).success();
    let left = left_over(&bootstrapped, &live.cloud.inventory());
    let stacks = left.get("cloudformation/stacks");
    assert_eq!(stacks, None, "{ACCOUNT} in {REGION} still has {stacks:?}");
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
