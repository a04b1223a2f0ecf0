//! The console of the local cloud, in a browser.
//!
//! A stack is deployed, things report, a job waits and metrics arrive, all by the AWS APIs;
//! then Chromium opens every page, on a large screen and on a phone. What its own console
//! complains about is an error here. How pages look nobody judges but people.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::acceptance::live::Live;
use crate::judge::install;

#[test]
fn pages_show_things_with_versions_a_jobs_counts_and_charts_without_an_error() {
    let live = Live::deployed(2);
    let things = live.cloud.aws(&["iot", "list-things"]);
    let thing = things["things"][0]["thingName"].as_str().unwrap();
    live.cloud.aws(&[
        "iot-data",
        "update-thing-shadow",
        "--thing-name",
        thing,
        "--payload",
        r#"{"state":{"reported":{"firmware":{"version":"4.5.6"}}}}"#,
        "/dev/null",
    ]);
    let arn = things["things"][0]["thingArn"].as_str().unwrap();
    let job = ["iot", "create-job", "--job-id", "look", "--document", "{}", "--targets", arn];
    live.cloud.aws(&job);
    live.cloud.aws(&[
        "cloudwatch",
        "put-metric-data",
        "--namespace",
        "IoTStack/firmware-dev",
        "--metric-name",
        "JobExecutions.succeeded",
        "--value",
        "7",
    ]);

    let device = format!("fleet/{thing}");
    let visits = [
        ("", "IoTFirmwareUpdatesStack-dev"),
        ("fleet", "4.5.6"),
        (&device, "4.5.6"),
        ("jobs", "1 queued"),
        ("jobs/look", thing),
        ("dashboards", "Executions over time"),
        ("logs", "Logs"),
        // The stack leaves fleet indexing off.
        (
            "fleet?connectivity.connected%3Afalse%20AND%20shadow.reported.firmware.version%3A4.5.6",
            "1 things",
        ),
    ];
    for width in [1280, 400] {
        let seen = browse(&live, width, &visits);
        for ((path, awaited), page) in visits.iter().zip(seen["visits"].as_array().unwrap()) {
            let text = page["text"].as_str().unwrap();
            assert!(text.contains(awaited), "`{awaited}` is not on page `{path}`:\n{text}");
            assert!(!text.contains("[object") && !text.contains("undefined"), "{path}:\n{text}");
            assert_eq!(page["wide"], width, "page `{path}` is wider than the screen");
        }
        let charts = seen["visits"][5]["charts"].as_array().unwrap();
        let chart = charts.iter().find(|chart| {
            chart["title"].as_str().is_some_and(|title| title.contains("succeeded: 7"))
        });
        assert_eq!(chart.unwrap_or_else(|| panic!("{charts:#?}"))["drawn"], 1);
        assert_eq!(seen["errors"], json!([]));
    }
}

/// Opens pages of the console and waits on each for a text.
fn browse(live: &Live, width: u32, visits: &[(&str, &str)]) -> Value {
    let visits: Vec<Value> =
        visits.iter().map(|(path, text)| json!({ "path": path, "await": text })).collect();
    let order = json!({
        "playwright": install::node_modules().join("playwright-core"),
        "chromium": install::chromium(),
        "base": format!("{}/_iotstack/console/", live.cloud.endpoint()),
        "width": width,
        "visits": visits,
    });
    let script =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/judge/browser.mjs");
    let mut browser = std::process::Command::new("node")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    write!(browser.stdin.take().unwrap(), "{order}").unwrap();
    let output = browser.wait_with_output().unwrap();
    assert!(output.status.success(), "the browser ended with {}", output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}
