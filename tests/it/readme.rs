//! What the README shows, as it stands there.
//!
//! Its Rust compiles as a test of the library, its configuration and parameters are in
//! `bad_input`, the new project is in `init`, the demo in `demo`. Here its scenario is
//! played, and its commands are typed, with a yes where the program would ask a person.

use crate::judge::cloud::Cloud;
use crate::project::{Project, Run};

/// The blocks of the README of this kind, without their fences.
fn blocks(kind: &str) -> Vec<String> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let begin = format!("```{kind}\n");
    let blocks = readme.split(&begin).skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// The lines of the block of commands that has this one, up to their comments.
fn commands(with: &str) -> Vec<String> {
    let blocks = blocks("sh");
    let block = blocks.iter().find(|block| block.contains(with));
    let lines = block.unwrap_or_else(|| panic!("the README does not show `{with}`")).lines();
    lines.map(|line| line.split(" #").next().unwrap().trim().to_owned()).collect()
}

/// Types a line in a project where `iotstack` is this program.
fn type_in(project: &Project, line: &str, variables: &[(&str, &str)]) -> Run {
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_iotstack")).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    project.shell_with(line, &[variables, &[("PATH", &path)]].concat())
}

#[test]
fn its_scenario_holds_what_it_expects() {
    let [scenario] = blocks("yml").try_into().unwrap();
    let expected = scenario.split("expect:").nth(1).unwrap();
    let expected: Vec<&str> =
        expected.lines().filter_map(|line| line.trim().strip_prefix("- ")).collect();
    assert_eq!(expected.len(), 3);
    let project = Project::empty().file("crash.yaml", &scenario);
    let [here, in_an_account] = commands("iotstack simulate").try_into().unwrap();
    let run = type_in(&project, &here, &[]);
    assert_eq!(run.code, 0, "{run:#?}");
    for expectation in expected {
        assert!(run.err.contains(&format!("✓ {expectation}: ")), "{expectation}: {run:#?}");
    }
    assert!(project.read("report.html").starts_with("<!doctype html>"));
    let report = project.read("report.xml");
    assert!(report.contains("tests=\"3\"") && report.contains("failures=\"0\""), "{report}");

    // The other one looks for the stack of `staging`, which this cloud does not have.
    let cloud = Cloud::ours(&[]);
    let run = type_in(&project, &in_an_account, &cloud.variables());
    assert_eq!(run.code, 3, "{run:#?}");
    assert!(run.err.contains("`IoTFirmwareUpdatesStack-staging` does not exist"), "{run:#?}");
}

#[test]
fn its_commands_bring_a_stack_up_roll_firmware_out_and_take_all_away() {
    let cloud = Cloud::ours(&[]);
    let project = Project::empty().file("pump.bin", "firmware of a pump");
    let run = |line: &str| {
        let agreed = [("deploy", "--yes"), ("destroy", "--yes --empty-buckets")];
        let line = agreed.iter().fold(line.to_owned(), |line, (verb, yes)| {
            line.replace(&format!("iotstack {verb} "), &format!("iotstack {verb} {yes} "))
        });
        let run = type_in(&project, &line, &cloud.variables());
        assert_eq!(run.code, 0, "{line}: {run:#?}");
        run
    };
    let to_aws = commands("iotstack diff");
    let [doctor, bootstrap, diff, deploy, outputs, destroy] = to_aws.try_into().unwrap();
    assert!(run(&doctor).out.contains("credentials"));
    run(&bootstrap);
    assert!(run(&diff).out.contains("AWS::S3::Bucket"));
    run(&deploy);
    assert!(run(&outputs).out.contains("FirmwareBucketName"));

    let here = commands("iotstack local");
    let [local, deploy_again, upload, job] = here.try_into().unwrap();
    assert_eq!(local, "iotstack local", "this cloud is one");
    run(&deploy_again);
    assert_eq!(run(&upload).out, "firmware/1.4.0/pump.bin\n");
    // Nobody watches for devices that there are none of.
    let made = run(job.strip_suffix(" --watch").unwrap());
    assert!(made.out.starts_with("firmware-dev-1-4-0-"), "{made:#?}");
    run(&destroy);
    assert!(run(&outputs).err.contains("is not deployed"));
}
