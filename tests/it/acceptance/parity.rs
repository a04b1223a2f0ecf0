//! The same on two clouds: ministack beside our local one.
//!
//! A fleet that only our own cloud understands would prove nothing, so the simulated devices
//! update on ministack as well, with nothing changed but the addresses. And one table of
//! requests is played to both, whose answers differ only where `judge/parity.json` says so,
//! with the fact about AWS that decides. A difference that is not listed fails, and so does
//! one that is listed and gone.

use std::collections::BTreeSet;
use std::process::Stdio;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::live::Live;
use crate::judge;
use crate::judge::cloud::{Cloud, Options};
use crate::project::Project;

const SCENARIO: &str = "\
name: parity
fleet:
  size: 20
  profiles:
    - {name: indoor, share: 0.5, version: 1.0.0}
    - {name: outdoor, share: 0.5, version: 1.0.1}
firmware: {version: 1.1.0, size: 64 KiB}
expect:
  - succeeded >= 100%
  - no device runs an unsigned image
";

/// Nobody wants to wait for the next minute's devices.
const CONFIG: &str = "parameters: {jobs: {rollout: {maximum_per_minute: 1000}}}\n";

#[test]
fn the_simulated_fleet_updates_on_ministack_unchanged() {
    let cloud = Cloud::start(Options { mqtt: true, ..Options::default() });
    let live = Live { project: Project::with_config(CONFIG).file("s.yaml", SCENARIO), cloud };
    std::fs::write(live.project.path("authority.pem"), live.cloud.authority()).unwrap();
    live.run(["bootstrap"]).success();
    live.run(["deploy", "--yes"]).success();

    let broker = format!("localhost:{}", live.cloud.mqtt().unwrap());
    let run = live.run([
        "simulate",
        "s.yaml",
        "--env",
        "dev",
        "--yes",
        "--broker",
        &broker,
        "--broker-ca",
        "authority.pem",
        "--json",
    ]);
    run.success();
    let facts = &run.json()["facts"];
    assert_eq!((&facts["devices"], &facts["succeeded"]), (&20.into(), &20.into()), "{facts}");

    // What was made for the devices is gone again.
    let things = live.cloud.aws(&["iot", "list-things"]);
    assert_eq!(things["things"].as_array().unwrap().len(), 0, "{things}");
}

/// Differences with one cause.
#[derive(Deserialize)]
struct Listed {
    /// The fact about AWS that decides who is right.
    reason: String,
    differences: Vec<Value>,
}

#[test]
fn both_clouds_answer_devices_alike_except_where_it_is_known_why() {
    let ours = play(&Cloud::ours(&[]));
    let theirs = play(&Cloud::start(Options { mqtt: true, ..Options::default() }));
    assert!(ours.len() > 70, "only {} requests were played", ours.len());
    assert!(ours.keys().eq(theirs.keys()));

    let mut found = BTreeSet::new();
    for (step, answers) in &ours {
        compare(step, "", Some(answers), theirs.get(step), &mut found);
    }
    let listed: Vec<Listed> = serde_json::from_str(include_str!("../judge/parity.json")).unwrap();
    assert!(listed.iter().all(|cause| !cause.reason.is_empty()));
    let listed: BTreeSet<String> =
        listed.into_iter().flat_map(|cause| cause.differences).map(text).collect();
    let new: Vec<&String> = found.difference(&listed).collect();
    let gone: Vec<&String> = listed.difference(&found).collect();
    assert!(new.is_empty() && gone.is_empty(), "new: {new:#?}\nlisted and gone: {gone:#?}");
}

/// What a cloud answers to every request of the table.
fn play(cloud: &Cloud) -> Map<String, Value> {
    let order = json!({
        "endpoint": cloud.endpoint(),
        "host": "localhost",
        "port": cloud.mqtt().unwrap(),
        "authority": cloud.authority(),
    });
    let mut script = judge::script("parity.py");
    judge::found(judge::start(script.stderr(Stdio::piped()), &order))
}

/// Notes the places where two answers differ; a side that has nothing there is left out.
fn compare(
    step: &str,
    at: &str,
    ours: Option<&Value>,
    theirs: Option<&Value>,
    found: &mut BTreeSet<String>,
) {
    match (ours, theirs) {
        (Some(Value::Object(ours)), Some(Value::Object(theirs))) => {
            let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
            for name in names {
                let at = if at.is_empty() { name.clone() } else { format!("{at} {name}") };
                compare(step, &at, ours.get(name), theirs.get(name), found);
            }
        }
        (Some(Value::Array(ours)), Some(Value::Array(theirs))) if ours.len() == theirs.len() => {
            for (ours, theirs) in ours.iter().zip(theirs) {
                compare(step, at, Some(ours), Some(theirs), found);
            }
        }
        (ours, theirs) if ours == theirs => {}
        (ours, theirs) => {
            let mut difference = json!({"step": step, "at": at});
            for (side, value) in [("ours", ours), ("theirs", theirs)] {
                if let Some(value) = value {
                    difference[side] = value.clone();
                }
            }
            found.insert(text(difference));
        }
    }
}

/// The same text for the same fields, in whatever order they came.
fn text(mut value: Value) -> String {
    value.sort_all_objects();
    value.to_string()
}
