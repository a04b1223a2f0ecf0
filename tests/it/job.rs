//! `iotstack job`: create, watch, list and cancel, on a stack of our own cloud.
//!
//! Two things take part without a device: the AWS CLI says for them what devices would say.
//! Devices that do it themselves are in `acceptance::peers` and `simulate`.

use serde_json::{Value, json};

use crate::acceptance::live::Live;
use crate::project::Project;

const KEY: &str = "firmware/1.4.0/pump.bin";
/// What could be the id of a version, and is none.
const ABSENT: &str = "0123456789abcdef0123456789abcdef";
const THINGS: [&str; 2] = ["firmware-dev-0001", "firmware-dev-0002"];

/// A stack with two things and signed firmware.
fn with_firmware() -> Live {
    let live = Live::deployed(2);
    std::fs::write(live.project.path("pump.bin"), "firmware of a pump").unwrap();
    live.run(["firmware", "upload", "pump.bin", "-V", "1.4.0", "--sign"]).success();
    live
}

/// Lets a thing begin its next job, and end it so.
fn play(live: &Live, thing: &str, end: Option<&str>) {
    let thing = ["--thing-name", thing];
    let start = ["iot-jobs-data", "start-next-pending-job-execution"];
    let begun = live.cloud.aws(&[&start[..], &thing].concat());
    let job = begun["execution"]["jobId"].as_str().unwrap();
    if let Some(status) = end {
        let update = ["iot-jobs-data", "update-job-execution", "--job-id", job, "--status", status];
        live.cloud.aws(&[&update[..], &thing].concat());
    }
}

/// How far a job is.
fn status(live: &Live, job: &str) -> Value {
    live.run(["job", "status", job, "--json"]).json()["job"].clone()
}

#[test]
fn a_job_is_created_watched_listed_and_ends() {
    let live = with_firmware();
    let none = live.run(["job", "list"]);
    assert_eq!((none.success(), none.err.as_str()), ("", "there are no jobs\n"));

    let created = live.run(["job", "create", KEY, "--description", "night shift", "--json"]).json();
    let job = created["job_id"].as_str().unwrap();
    assert!(job.starts_with("firmware-dev-1-4-0-"), "{created}");
    assert_eq!(created["firmware_version"], "1.4.0");
    assert_eq!(created["thing_group"], "firmware-dev");
    // The settings are those of the stack.
    let described = live.cloud.aws(&["iot", "describe-job", "--job-id", job]);
    let rollout = &described["job"]["jobExecutionsRolloutConfig"];
    assert_eq!(rollout["exponentialRate"]["baseRatePerMinute"], 10);
    assert_eq!(described["job"]["description"], "night shift");

    let queued = live.run(["job", "status", job]);
    assert_eq!(queued.success(), format!("{job} IN_PROGRESS: 2 queued\n"));
    play(&live, THINGS[0], None);
    let both = live.run(["job", "status", job, "--things", "--json"]).json();
    assert_eq!(both["job"]["executions"]["IN_PROGRESS"], 1);
    assert_eq!(
        both["things"],
        json!([
            {"thing": THINGS[0], "status": "IN_PROGRESS", "execution_number": 1},
            {"thing": THINGS[1], "status": "QUEUED", "execution_number": 1},
        ])
    );
    let listed = live.run(["job", "list"]);
    let lines: Vec<&str> = listed.success().lines().collect();
    assert!(lines[0].starts_with("JOB ") && lines[0].ends_with("ENDED"), "{lines:#?}");
    assert!(lines[1].starts_with(&format!("{job}  IN_PROGRESS  20")), "{lines:#?}");

    let mut watch = live.spawn(&["job", "watch", job]);
    watch.until("1 at it");
    play(&live, THINGS[0], Some("SUCCEEDED"));
    watch.until("1/2 succeeded");
    play(&live, THINGS[1], Some("SUCCEEDED"));
    let (code, heard) = watch.end();
    assert_eq!(code, 0, "{heard}");
    assert!(heard.ends_with(&format!("{job} COMPLETED: 2 succeeded\n")), "{heard}");

    let completed = live.run(["job", "list", "--status", "COMPLETED", "--json"]).json();
    assert_eq!(completed[0]["job_id"], job);
    assert!(completed[0]["completed_at"].as_str().unwrap().starts_with("20"), "{completed}");
    assert_eq!(live.run(["job", "list", "--status", "IN_PROGRESS", "--json"]).json(), json!([]));
    let table = live.run(["job", "status", job, "--things"]);
    assert!(table.success().contains("firmware-dev-0002  SUCCEEDED  1"), "{table:?}");
    let late = live.run(["job", "cancel", job]);
    assert_eq!(late.code, 3, "{late:?}");
    assert!(late.err.contains(&format!("job `{job}` is COMPLETED and cannot be canceled")));
}

#[test]
fn a_job_is_cancelled_also_on_things_that_are_at_it() {
    let live = with_firmware();
    let create = ["job", "create", KEY, "--job-id", "firmware-dev-night", "--continuous"];
    assert_eq!(live.run(create).success(), "firmware-dev-night\n");
    play(&live, THINGS[0], None);
    let cancel = ["job", "cancel", "firmware-dev-night", "--reason", "bad driver", "--json"];
    let cancelled = live.run(cancel).json();
    assert_eq!(cancelled["status"], "CANCELED");
    let job = status(&live, "firmware-dev-night");
    assert_eq!((&job["status"], &job["reason"]), (&json!("CANCELED"), &json!("bad driver")));
    assert_eq!(
        (&job["executions"]["IN_PROGRESS"], &job["executions"]["CANCELED"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(job["target_selection"], "CONTINUOUS");
    // Whoever waits for it learns that it will not complete.
    let watched = live.run(["job", "watch", "firmware-dev-night"]);
    assert_eq!(watched.code, 3, "{watched:?}");
    assert!(watched.err.contains("firmware-dev-night CANCELED: 1 in progress, 1 canceled"));
    assert_eq!(live.run(["job", "cancel", "firmware-dev-night"]).code, 0, "twice is fine");
    let update = ["iot-jobs-data", "update-job-execution", "--job-id", "firmware-dev-night"];
    let end = ["--thing-name", THINGS[0], "--status", "FAILED"];
    live.cloud.aws(&[&update[..], &end[..]].concat());

    live.run(["job", "create", KEY, "--job-id", "firmware-dev-again"]).success();
    play(&live, THINGS[0], None);
    live.run(["job", "cancel", "firmware-dev-again", "--force"]).success();
    assert_eq!(status(&live, "firmware-dev-again")["executions"]["CANCELED"], 2);
    let mine = live.run(["job", "list", "--status", "CANCELED", "--json"]).json();
    assert_eq!(mine.as_array().unwrap().len(), 2);

    for (arguments, code, words) in [
        (
            vec!["create", "firmware/9.9.9/pump.bin"],
            3,
            "there is no object `firmware/9.9.9/pump.bin`",
        ),
        (vec!["create", "firmware/9.9.9/pump.bin"], 3, "hint: `iotstack firmware list` shows"),
        (vec!["create", KEY, "--group", "nobody"], 3, "there is no thing group `nobody`"),
        (
            vec!["create", KEY, "--job-id", "mine"],
            2,
            "job ids of this fleet begin with `firmware-dev-`",
        ),
        (vec!["create", KEY, "--version-id", "nope"], 2, "in version `nope`"),
        (vec!["create", KEY, "--version-id", ABSENT], 3, "there is no object"),
        (vec!["status", "firmware-dev-none"], 3, "there is no job `firmware-dev-none`"),
        (vec!["watch", "firmware-dev-none"], 3, "hint: `iotstack job list` shows the jobs"),
        (vec!["cancel", "somebody-elses"], 2, "job ids of this fleet begin with `firmware-dev-`"),
    ] {
        let run = live.run([vec!["job"], arguments.clone()].concat());
        assert!(run.code == code && run.err.contains(words), "{arguments:?}: {run:#?}");
    }
    std::fs::write(live.project.path("new.bin"), "nobody has signed this").unwrap();
    live.run(["firmware", "upload", "new.bin", "-V", "2.0.0"]).success();
    let unsigned = live.run(["job", "create", "firmware/2.0.0/new.bin"]);
    assert_eq!(unsigned.code, 3, "{unsigned:?}");
    assert!(unsigned.err.contains("has not signed `firmware/2.0.0/new.bin`"), "{unsigned:?}");
    assert!(unsigned.err.contains("hint: `iotstack firmware sign KEY` signs it"), "{unsigned:?}");
}

#[test]
fn names_that_are_none_are_refused_before_anything_is_asked() {
    for (arguments, words) in [
        (vec!["status", "a b"], "job id `a b` is not valid: expected 1 to 64 of the characters"),
        (vec!["watch", ""], "job id `` is not valid"),
        (vec!["cancel", "a/b"], "job id `a/b` is not valid"),
        (
            vec!["list", "--status", "ODD"],
            "job status `ODD` is not known: expected one of SCHEDULED,",
        ),
        (vec!["create", KEY, "--group", "a b"], "thing group name `a b` is not valid"),
        (vec!["create", KEY, "--job-id", "a b"], "job id `a b` is not valid"),
        (vec!["create", KEY, "-V", "a b"], "firmware version `a b` is not valid"),
    ] {
        let run = Project::empty().run([vec!["job"], arguments.clone()].concat());
        assert!(run.code == 2 && run.err.contains(words), "{arguments:?}: {run:#?}");
    }
}

#[test]
fn an_action_is_needed() {
    let run = Project::empty().run(["job"]);
    assert_eq!(run.code, 2);
    for action in ["create", "status", "watch", "list", "cancel"] {
        assert!(run.err.contains(action), "{run:?}");
    }
}
