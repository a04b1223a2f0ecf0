//! `iotstack simulate`: what it refuses before it begins, and a run in an account.
//!
//! The account is one of our own cloud, with a stack in it that is not the simulation's:
//! what was made there must be gone afterwards, also when somebody presses Ctrl-C. Runs on a
//! cloud of their own are in `demo`.

use serde_json::json;

use crate::acceptance::live::Live;
use crate::project::{Project, Run};

const SCENARIO: &str = "\
fleet:
  size: 3
  serials: sim-{n}
  profiles: [{version: 1.0.0}]
firmware: {version: 1.1.0, size: 64 KiB}
job:
  rollout: {maximum_per_minute: 7}
  in_progress_timeout_minutes: 9
expect: [succeeded = 100%]
";

/// Asserts that nothing of a simulation is left beside the stack's own thing.
fn assert_clean(live: &Live) {
    let names = |arguments: &[&str], list: &str, name: &str| -> Vec<String> {
        let found = live.cloud.aws(arguments);
        let found = found[list].as_array().unwrap();
        found.iter().map(|one| one[name].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&["iot", "list-things"], "things", "thingName"), ["firmware-dev-0001"]);
    assert_eq!(names(&["iot", "list-thing-groups"], "thingGroups", "groupName"), ["firmware-dev"]);
    assert!(names(&["iot", "list-jobs"], "jobs", "jobId").is_empty());
    let certificates = live.cloud.aws(&["iot", "list-certificates"]);
    let certificates = certificates["certificates"].as_array().unwrap();
    assert_eq!(certificates.len(), 1, "the claim certificate alone: {certificates:#?}");
    assert_eq!(live.run(["firmware", "list", "--json"]).json(), json!([]));
}

#[test]
fn a_run_in_an_account_brings_its_job_settings_and_leaves_nothing_behind() {
    let live = Live::deployed(1);
    let simulate = ["simulate", "fleet.yaml", "--env", "dev", "--yes"];
    let write = |scenario: &str| {
        std::fs::write(live.project.path("fleet.yaml"), scenario).unwrap();
    };

    // Two minutes for a download are time enough to look.
    write(&SCENARIO.replace("{version: 1.0.0}", "{version: 1.0.0, bandwidth: 512/s}"));
    let mut running = live.spawn(&simulate);
    running.until("devices update");
    let jobs = live.cloud.aws(&["iot", "list-jobs"]);
    let job = jobs["jobs"][0]["jobId"].as_str().unwrap();
    let described = live.cloud.aws(&["iot", "describe-job", "--job-id", job]);
    let job = &described["job"];
    assert_eq!(job["jobExecutionsRolloutConfig"], json!({"maximumPerMinute": 7}));
    assert_eq!(job["timeoutConfig"], json!({"inProgressTimeoutInMinutes": 9}));
    let target = job["targets"][0].as_str().unwrap();
    assert!(target.contains(":thinggroup/firmware-dev-simulation-"), "{target}");
    running.interrupt();
    let (code, heard) = running.end();
    assert_eq!(code, 130, "{heard}");
    assert!(heard.contains("removing what was made"), "{heard}");
    assert!(heard.ends_with("error: stopped by Ctrl-C\n"), "{heard}");
    assert_clean(&live);

    // One device is to get two more updates at once, and so all do.
    write(
        &SCENARIO
            .replace("{version: 1.0.0}", "{version: 1.0.0, faults: [OTAE2EBackToBackDownloads]}"),
    );
    let run = live.run(simulate);
    assert_eq!(run.code, 0, "{run:#?}");
    assert!(run.err.contains("succeeded = 100%: 100.0% (3 of 3)"), "{run:#?}");
    assert_clean(&live);

    // A thing that is there already is not the simulation's to take away.
    write(&SCENARIO.replace("sim-{n}", "000{n}"));
    live.run(simulate).failure(
        2,
        "error: the thing `firmware-dev-0001` exists already; a simulation takes only things of \
         its own\nhint: set `fleet.serials` in the scenario, such as `serials: sim-{n}`\n",
    );
    write(SCENARIO);
    let unasked = live.run(["simulate", "fleet.yaml", "--env", "dev"]);
    assert_eq!(unasked.code, 1, "{unasked:?}");
    assert!(unasked.err.contains("3 things with certificates, a thing group, firmware 1.1.0"));
    assert_clean(&live);
}

/// Simulates a scenario that is refused.
fn refused(scenario: &str, arguments: &[&str]) -> Run {
    let project = Project::empty().file("s.yaml", scenario);
    let run = project.run([&["simulate", "s.yaml"][..], arguments].concat());
    assert_eq!(run.code, 2, "{scenario}: {run:#?}");
    run
}

#[test]
fn a_scenario_that_is_none_is_refused_with_its_place() {
    for (scenario, words) in [
        ("fleet: {size: 0}\nfirmware: {version: 1.1.0}\n", "fleet.size"),
        ("fleet: {siez: 1}\nfirmware: {version: 1.1.0}\n", "siez"),
        ("# nothing\n", "missing field `fleet`"),
        (
            "fleet: {size: 1}\nfirmware: {version: 1.1.0, file: pump.bin}\n",
            "`firmware.file` is `pump.bin`: it cannot be read: No such file",
        ),
        (
            "fleet: {size: 1}\nfirmware: {version: 1.1.0, size: 900 GB}\n",
            "`firmware.size` is 900000000000: expected at most",
        ),
        (
            "fleet: {size: 1, serials: 'a b {n}'}\nfirmware: {version: 1.1.0}\n",
            "`fleet.serials` is `a b {n}`",
        ),
        ("fleet: {size: 1}\nfirmware: {version: 1.1.0}\ntimeout: 0\n", "`timeout` is 0"),
    ] {
        let run = refused(scenario, &[]);
        assert!(run.err.starts_with("error: s.yaml: ") && run.err.contains(words), "{run:#?}");
    }
    assert_eq!(Project::empty().run(["simulate", "nothing.yaml"]).code, 2);
}

#[test]
fn where_no_device_may_claim_a_certificate_simulated_ones_get_theirs() {
    let live = Live::ours(Project::empty().file("fleet.yaml", SCENARIO));
    live.run(["bootstrap"]).success();
    live.run(["deploy", "--env", "prod", "--yes"]).success();
    let run = live.run(["simulate", "fleet.yaml", "--env", "prod", "--yes"]);
    assert_eq!(run.code, 0, "{run:#?}");
    assert!(run.err.contains("things get certificates"), "{run:#?}");
    assert!(run.err.contains("succeeded = 100%: 100.0% (3 of 3)"), "{run:#?}");
    let left = live.cloud.aws(&["iot", "list-certificates"]);
    assert_eq!(left["certificates"], json!([]));
    assert_eq!(live.run(["firmware", "list", "--env", "prod", "--json"]).json(), json!([]));

    let mut running = live.spawn(&["simulate", "fleet.yaml", "--env", "prod", "--yes"]);
    running.until("things get certificates");
    running.interrupt();
    let (code, heard) = running.end();
    assert_eq!(code, 130, "{heard}");
    let left = live.cloud.aws(&["iot", "list-certificates"]);
    assert_eq!(left["certificates"], json!([]), "{heard}");
}

#[test]
fn the_faults_that_devices_can_be_given_are_listed() {
    let project = Project::empty();
    let list = project.run(["simulate", "--faults"]);
    assert!(list.success().contains("the certificate of the image's server has another name"));
    let list = project.run(["simulate", "--faults", "--json"]).json();
    let kick = list.as_array().unwrap().iter().find(|fault| fault["fault"] == "F4.duplicate");
    let kick = kick.unwrap_or_else(|| panic!("{list:#}"));
    assert_eq!(
        (&kick["ends"], &kick["aliases"]),
        (&json!("SUCCEEDED"), &json!(["OTAE2EDisconnectResume"]),)
    );
}

#[test]
fn options_that_say_nothing_where_it_happens_are_refused() {
    let scenario = "fleet: {size: 1}\nfirmware: {version: 1.1.0}\n";
    for (arguments, words) in [
        (vec!["--broker", "localhost:8883"], "`--broker` is about a cloud that runs already"),
        (vec!["--stack", "Other"], "`--stack` is about a cloud that runs already"),
        (vec!["--env", "dev", "--time-lapse", "60"], "`--time-lapse 60` is about the cloud that"),
        (vec!["--time-lapse", "0"], "expected a number from 0.1 to 100000"),
        (vec!["--broker", "a:b"], "'a:b' for '--broker <HOST:PORT>': expected HOST or HOST:PORT"),
        (vec!["--workers", "many"], "invalid value 'many' for '--workers <N>'"),
        (vec!["--html", "none/report.html"], "cannot write the report to none/report.html: "),
    ] {
        let run = refused(scenario, &arguments);
        assert!(run.err.contains(words), "{arguments:?}: {run:#?}");
    }
}
