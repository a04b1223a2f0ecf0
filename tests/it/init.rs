//! `iotstack init`: the project builds, synthesizes and passes its own test.

use std::path::Path;
use std::process::Command;

use crate::project::Project;

#[test]
fn the_new_project_builds_synthesizes_and_passes_its_test() {
    let project = Project::empty();
    project.run(["init", "pump-fleet"]).success();
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = project.path("pump-fleet");
    // The versions of the checkout, so that nothing has to be looked up.
    std::fs::copy(checkout.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    // Kept between runs; the path of the project differs, its dependencies do not.
    let target = checkout.join("target/init");

    let mut test = Command::new(env!("CARGO"));
    test.args(["test", "--offline", "--quiet"]).current_dir(&folder);
    test.env("CARGO_TARGET_DIR", &target).env_remove("CARGO_BUILD_TARGET_DIR");
    let output = test.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let home = std::env::var("HOME").unwrap_or_default();
    let mut synth = Command::new(env!("CARGO_BIN_EXE_iotstack"));
    synth.args(["synth", "--env", "prod", "--strict"]).current_dir(&folder);
    // Cargo needs its home; iotstack's own tests run without one.
    synth.env("HOME", home).env("CARGO_TARGET_DIR", &target).env("CARGO_NET_OFFLINE", "true");
    let output = synth.output().unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{err}");
    assert!(out.contains("ThingName: pump-3-prod"), "{out}");
    assert!(out.contains("DevicePolicyName:"), "{out}");
}

#[test]
fn a_folder_with_files_is_left_alone() {
    let project = Project::empty().file("mine/notes.txt", "x");
    project.run(["init", "mine"]).failure(
        2,
        "error: the folder `mine` is not empty: it holds `notes.txt`\n\
         hint: name a new folder: `iotstack init DIR`\n",
    );
    assert_eq!(project.names("mine"), ["notes.txt"]);
}

#[test]
fn a_name_that_is_no_crate_is_refused() {
    Project::empty().run(["init", "x", "--name", "Pump Fleet"]).failure(
        2,
        "error: `Pump Fleet` cannot be the project's name: it becomes a crate and part of a \
         stack's name, so it has at most 60 lower-case letters, digits and hyphens, starts with \
         a letter, and is no name of Rust's own\nhint: choose one with `--name NAME`\n",
    );
}

#[test]
fn a_checkout_that_is_none_is_refused() {
    Project::empty().run(["init", "x", "--iotstack", "nowhere"]).failure(
        2,
        "error: the checkout of iotstack `nowhere` has no Cargo.toml\n\
         hint: name one with `--iotstack DIR`\n",
    );
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
