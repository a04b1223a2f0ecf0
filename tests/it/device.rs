//! `iotstack device`: provision, show and list, on a stack of our own cloud.
//!
//! That what `provision` writes is good for a connection is shown by mosquitto's clients in
//! `acceptance::peers`.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::acceptance::live::{Live, json_file};
use crate::project::Project;

#[test]
fn provisions_shows_and_lists_devices() {
    let live = Live::deployed(1);
    let provisioned = live.run(["device", "provision", "firmware-dev-pump-7"]);
    assert_eq!(provisioned.success(), "firmware-dev-pump-7\n");
    let folder = "firmware-dev-pump-7";
    assert_eq!(live.project.names(folder), ["certificate.pem", "device.json", "private-key.pem"]);
    for name in live.project.names(folder) {
        let file = live.project.path(folder).join(name);
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
    let about = json_file(&live.project.path(folder).join("device.json"));
    assert_eq!(about["thing"], "firmware-dev-pump-7");
    assert_eq!(about["region"], "us-east-1");
    let port = format!(":{}", live.cloud.mqtt().unwrap());
    assert!(about["endpoint"].as_str().unwrap().ends_with(&port), "{about}");

    // The certificate is that device's, good, and as able as every device's.
    let id = about["certificateId"].as_str().unwrap();
    let found = live.cloud.aws(&["iot", "describe-certificate", "--certificate-id", id]);
    let found = &found["certificateDescription"];
    assert_eq!(found["status"], "ACTIVE");
    let pem = live.project.read("firmware-dev-pump-7/certificate.pem");
    assert_eq!(found["certificatePem"].as_str().unwrap().trim(), pem.trim());
    let arn = found["certificateArn"].as_str().unwrap();
    let policies = live.cloud.aws(&["iot", "list-attached-policies", "--target", arn]);
    assert_eq!(policies["policies"][0]["policyName"], "firmware-dev-device");
    let groups = ["iot", "list-thing-groups-for-thing", "--thing-name", "firmware-dev-pump-7"];
    assert_eq!(live.cloud.aws(&groups)["thingGroups"][0]["groupName"], "firmware-dev");

    // A key has no copy: the folder keeps it, and nothing was made for the refusal.
    live.run(["device", "provision", "firmware-dev-pump-7"]).failure(
        2,
        "error: `firmware-dev-pump-7/private-key.pem` exists already\n\
         hint: name another folder with --into\n",
    );
    let certificates = || -> Value {
        let devices = live.run(["device", "list", "--json"]).json();
        let pump = devices.as_array().unwrap().iter().find(|device| device["thing"] == folder);
        pump.unwrap()["certificates"].clone()
    };
    assert_eq!(certificates(), json!([id]));
    let second = ["device", "provision", "firmware-dev-pump-7", "--into", "second", "--json"];
    let second = live.run(second).json();
    assert_eq!(second["thing"], "firmware-dev-pump-7");
    assert_ne!(second["certificateId"], id);
    assert_eq!(certificates().as_array().unwrap().len(), 2);
    std::fs::write(live.project.path("file"), "").unwrap();
    let into_a_file = live.run(["device", "provision", "firmware-dev-pump-8", "--into", "file"]);
    assert_eq!(into_a_file.code, 2, "{into_a_file:?}");
    assert!(into_a_file.err.starts_with("error: cannot make the folder `file`: "));

    live.run(["device", "shadow", "firmware-dev-0001"])
        .failure(1, "error: `firmware-dev-0001` has no shadow\n");
    let report = |shadow: &[&str], payload: &str| {
        let update = ["iot-data", "update-thing-shadow", "--thing-name", "firmware-dev-0001"];
        let payload = ["--payload", payload, "/dev/null"];
        live.cloud.aws(&[&update[..], shadow, &payload[..]].concat());
    };
    report(&[], r#"{"state":{"reported":{"firmware":{"version":"4.5.6"}}}}"#);
    report(&["--shadow-name", "config"], r#"{"state":{"desired":{"rpm":7}}}"#);
    let shadow = live.run(["device", "shadow", "firmware-dev-0001"]).json();
    assert_eq!(shadow["state"]["reported"]["firmware"]["version"], "4.5.6");
    let named = live.run(["device", "shadow", "firmware-dev-0001", "--name", "config"]).json();
    assert_eq!(named["state"]["desired"], json!({"rpm": 7}));
    live.run(["device", "shadow", "firmware-dev-0001", "--name", "other"])
        .failure(1, "error: `firmware-dev-0001` has no shadow `other`\n");

    let listed = live.run(["device", "list"]);
    assert_eq!(
        listed.success(),
        "THING                FIRMWARE  CERTIFICATES\n\
         firmware-dev-0001    4.5.6     0\n\
         firmware-dev-pump-7  -         2\n"
    );
}

#[test]
fn a_thing_name_that_aws_refuses_is_refused() {
    let run = Project::empty().run(["device", "provision", "pump 7"]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("pump 7"), "{run:?}");
}
