//! `iotstack firmware`: publish, sign and list, on a stack of our own cloud.
//!
//! What AWS would be asked is asked of `iotstack local`, and the AWS CLI looks at what came of
//! it. Most of what is refused is refused before any cloud is looked for.

use serde_json::{Value, json};

use crate::acceptance::live::{Live, json_file};
use crate::project::Project;

#[test]
fn publishes_signs_and_lists_firmware() {
    let live = Live::deployed(0);
    let nothing = live.run(["firmware", "list"]);
    assert_eq!(nothing.success(), "");
    assert_eq!(
        nothing.err,
        "there is no firmware yet; `iotstack firmware upload` publishes some\n"
    );
    assert_eq!(live.run(["firmware", "list", "--json"]).json(), json!([]));

    let image = "firmware of a pump, 1.4.0";
    std::fs::write(live.project.path("pump.bin"), image).unwrap();
    let upload = ["firmware", "upload", "pump.bin", "-V", "1.4.0", "--sign", "--json"];
    let both = live.run(upload).json();
    let (published, signed) = (&both["published"], &both["signed"]);
    assert_eq!(published["key"], "firmware/1.4.0/pump.bin");
    assert_eq!(published["size"], image.len());
    assert_eq!(signed["key"], published["key"]);
    assert_eq!(signed["version_id"], published["version_id"]);
    assert!(signed["profile"].as_str().unwrap().starts_with("firmware_dev_"), "{signed}");
    let bucket = published["bucket"].as_str().unwrap();
    let sha256 = live.project.shell("sha256sum pump.bin").success().to_owned();
    assert!(sha256.starts_with(published["sha256"].as_str().unwrap()), "{sha256} {published}");

    // What is in the bucket is the file, and the signature is one of it.
    let get = |key: &str| {
        let file = live.project.path("got");
        let file = file.to_str().unwrap();
        live.cloud.aws(&["s3api", "get-object", "--bucket", bucket, "--key", key, file]);
    };
    get("firmware/1.4.0/pump.bin");
    assert_eq!(live.project.read("got"), image);
    get(signed["signature_key"].as_str().unwrap());
    let signature = json_file(&live.project.path("got"));
    assert_eq!(signature["rawPayloadSize"], image.len());
    assert_eq!(signature["payloadLocation"]["s3"]["version"], published["version_id"]);

    // The same in two steps, as people are told.
    let uploaded = live.run(["firmware", "upload", "pump.bin", "-V", "1.5.0"]);
    assert_eq!(uploaded.success(), "firmware/1.5.0/pump.bin\n");
    let next = "next: iotstack firmware sign firmware/1.5.0/pump.bin";
    assert!(uploaded.err.contains("published firmware/1.5.0/pump.bin"), "{uploaded:?}");
    assert!(uploaded.err.contains(next), "{uploaded:?}");
    let is_signed = |key: &str| {
        let all = live.run(["firmware", "list", "--json"]).json();
        let all = all.as_array().unwrap().clone();
        let found: Vec<&Value> = all.iter().filter(|one| one["key"] == key).collect();
        assert_eq!(found.len(), 1, "{all:#?}");
        found[0]["signed"].as_bool().unwrap()
    };
    assert!(!is_signed("firmware/1.5.0/pump.bin") && is_signed("firmware/1.4.0/pump.bin"));
    let signing = live.run(["firmware", "sign", "firmware/1.5.0/pump.bin"]);
    assert!(signing.success().starts_with("signed/"), "{signing:?}");
    assert!(signing.err.starts_with("signed firmware/1.5.0/pump.bin by firmware_dev_"));
    assert!(is_signed("firmware/1.5.0/pump.bin"));

    // A signature is for one version of an object: new bytes have none.
    std::fs::write(live.project.path("pump.bin"), "firmware of another pump").unwrap();
    live.run(["firmware", "upload", "pump.bin", "-V", "1.4.0"]).success();
    assert!(!is_signed("firmware/1.4.0/pump.bin"));
    let old = published["version_id"].as_str().unwrap();
    let again = ["firmware", "sign", "firmware/1.4.0/pump.bin", "--version-id", old, "--json"];
    assert_eq!(live.run(again).json()["version_id"], old);
    assert!(!is_signed("firmware/1.4.0/pump.bin"), "the newest version is the other one");
    let listed = live.run(["firmware", "list"]);
    let lines: Vec<&str> = listed.success().lines().collect();
    assert!(lines[0].starts_with("VERSION  BYTES  SIGNATURE   PUBLISHED"), "{lines:#?}");
    assert!(lines[1].starts_with("1.4.0    24     not signed  20"), "newest first: {lines:#?}");
    assert!(lines[2].ends_with("  firmware/1.5.0/pump.bin") && lines.len() == 3, "{lines:#?}");

    let missing = live.run(["firmware", "sign", "firmware/9.9.9/pump.bin"]);
    missing.failure(
        2,
        &format!(
            "error: there is no firmware `firmware/9.9.9/pump.bin` in bucket `{bucket}`\n\
             hint: `iotstack firmware list` shows what is there\n"
        ),
    );
    let version = ["firmware", "sign", "firmware/1.4.0/pump.bin", "--version-id", "nope"];
    let missing = live.run(version);
    assert!(
        missing.code == 2 && missing.err.contains("in version `nope` in bucket"),
        "{missing:?}"
    );
    assert_eq!(live.run(["firmware", "sign", ""]).code, 2);
    std::fs::write(live.project.path("empty.bin"), "").unwrap();
    live.run(["firmware", "upload", "empty.bin", "-V", "1.6.0"]).failure(
        2,
        "error: the firmware `empty.bin` is not valid: expected a file that is not empty\n",
    );
    live.run(["firmware", "list", "--stack", "Other"]).failure(
        3,
        "error: stack `Other` does not exist in aws://123456789012/us-east-1\n\
         hint: `iotstack deploy --env dev` deploys the ready stack\n",
    );
}

#[test]
fn a_version_that_is_none_is_refused() {
    let run = Project::empty().run(["firmware", "upload", "pump.bin", "-V", "one two"]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("one two"), "{run:?}");
}

#[test]
fn a_file_that_is_not_there_is_refused_before_anything_is_asked() {
    Project::empty()
        .run(["firmware", "upload", "pump.bin", "-V", "1.4.0"])
        .failure(2, "error: cannot read pump.bin: No such file or directory (os error 2)\n");
}

#[test]
fn an_action_is_needed() {
    let run = Project::empty().run(["firmware"]);
    assert_eq!(run.code, 2);
    for action in ["upload", "sign", "list"] {
        assert!(run.err.contains(action), "{run:?}");
    }
}
