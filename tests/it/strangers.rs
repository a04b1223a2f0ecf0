//! What nobody should send, sent to the running cloud: broken packets, wrong certificates,
//! names that would lead out of their folder, forged and expired requests, too much at once.
//!
//! Each part has its own, closer tests where it lives; here the whole program must refuse
//! the same, and live on.

use serde_json::{Value, json};

use crate::judge;
use crate::judge::cloud::Cloud;
use crate::project::Project;

/// CONNACK of a connection that was let in.
const WELCOME: &str = "20020000";

#[test]
fn what_nobody_should_send_is_refused_and_the_cloud_lives_on() {
    let project = Project::empty();
    let state = project.path("inner/state");
    let cloud = Cloud::ours(&["--state", state.to_str().unwrap()]);
    let order = json!({
        "host": "localhost",
        "port": cloud.mqtt(),
        "authority": cloud.authority(),
        "endpoint": cloud.endpoint(),
        "folder": project.path(""),
    });
    let mut script = judge::script("strangers.py");
    cloud.reach(&mut script).env("AWS_MAX_ATTEMPTS", "1");
    let found: Value = judge::found(judge::start(&mut script, &order));

    // Only an active certificate of this cloud opens the door.
    for refused in ["without", "foreign", "inactive", "revoked"] {
        assert_eq!(found[refused], json!(["ended"]), "{refused}: {found:#}");
    }
    for welcome in ["active", "again"] {
        assert_eq!(found[welcome], json!([WELCOME]), "{welcome}: {found:#}");
    }
    // The largest message is taken, one byte more is not, and broken packets end it.
    assert_eq!(found["published"], json!([WELCOME, "40020001"]), "{found:#}");
    for ends in ["oversized", "nothing", "endless", "short"] {
        assert_eq!(found[ends], json!([WELCOME, "ended"]), "{ends}: {found:#}");
    }

    // Keys are names and no paths: each gives back its own bytes, and no file has one.
    for (key, answer) in found["keys"].as_object().unwrap() {
        assert_eq!(answer, key.as_str(), "{found:#}");
    }
    assert_eq!(project.names("inner"), ["state"], "nothing beside the state");
    assert!(!project.path("escape").exists() && !project.path("inner/escape").exists());
    let objects = project.names("inner/state/objects");
    assert!(objects.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_hexdigit())));
    let zip = found["zip"].as_str().unwrap();
    assert!(zip.starts_with("InvalidParameterValueException: "), "{zip}");
    assert!(zip.contains("../../escape"), "{zip}");

    assert_eq!(found["presigned"], 200, "{found:#}");
    assert_eq!((&found["forged"], &found["expired"]), (&json!(403), &json!(403)));
    // It may have heard enough before everything was sent.
    assert!(found["large"] == "ended" || found["large"].as_u64().unwrap() >= 400, "{found:#}");
    assert_eq!(found["things"], "done");
}
