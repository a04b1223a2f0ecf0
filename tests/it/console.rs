//! The console of the local cloud, in a browser.
//!
//! A stack is deployed; then Chromium opens every page, on a large screen and on a phone, and
//! while it looks, things report, connect, get a job and fail it, and functions log, all by
//! the APIs: what is new must come to the page by itself, which asks nobody by the clock
//! here. On every page all words must be readable in light and dark. What the browser's own
//! console complains about is an error. How pages look nobody judges but people.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::acceptance::live::Live;
use crate::judge::install;

/// The device that connects.
const PUMP: &str = "firmware-dev-pump-7";
/// Those that get jobs.
const THINGS: [&str; 2] = ["firmware-dev-0001", "firmware-dev-0002"];
/// What the Web Content Accessibility Guidelines ask of words of ordinary size.
const READABLE: f64 = 4.5;

#[test]
fn pages_show_what_there_is_and_what_happens_without_an_error() {
    let live = Live::deployed(2);
    let folder = live.project.path("pump");
    let provision = ["device", "provision", PUMP, "--into", folder.to_str().unwrap()];
    live.run(provision).success();
    std::fs::write(folder.join("authority.pem"), live.cloud.authority()).unwrap();
    live.cloud.aws(&["logs", "create-log-group", "--log-group-name", "pumps"]);
    let stream = ["logs", "create-log-stream", "--log-group-name", "pumps"];
    live.cloud.aws(&[&stream[..], &["--log-stream-name", "one"]].concat());
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

    for width in [1280, 400] {
        let mut page = Page::open(&live, width);
        odd_addresses(&mut page);
        overview(&mut page);
        fleet(&live, &mut page);
        device(&live, &mut page);
        job(&live, &mut page);
        dashboards(&mut page);
        logs(&live, &mut page);
        page.close();
    }
}

/// Addresses that somebody typed, one of them as the first page of all.
fn odd_addresses(page: &mut Page) {
    page.visit("jobs?100%", "h1", &["Jobs"]);
    page.visit("%", "h1", &["Overview"]);
    page.visit("jobs", "h1", &["Jobs"]);
    page.visit("constructor", "h1", &["Overview"]);
}

fn overview(page: &mut Page) {
    page.visit("", "tr", &["IoTFirmwareUpdatesStack-dev", "create complete"]);
    page.see(".card", &["things in firmware-dev", "3"]);
    page.see("#live.on", &["live"]);
}

/// Versions, reported while somebody looks.
fn fleet(live: &Live, page: &mut Page) {
    let (version, before) = (format!("4.5.{}", page.width), format!("9.9.{}", page.width));
    report(live, THINGS[0], &before);
    page.visit("fleet", "tr", &[THINGS[0], &before]);
    report(live, THINGS[0], &version);
    page.see("tr", &[THINGS[0], &version]);
    page.see("tr", &[THINGS[1], "none reported"]);
    // The stack leaves fleet indexing off.
    let query = "connectivity.connected%3Afalse%20AND%20shadow.reported.firmware.version%3A";
    let found = page.visit(&format!("fleet?{query}{version}"), "main", &["1 things", THINGS[0]]);
    assert!(!found["text"].as_str().unwrap().contains(THINGS[1]), "{found:#}");
}

/// One device: connection, shadow and what happened to it, while somebody looks.
fn device(live: &Live, page: &mut Page) {
    let version = format!("7.5.{}", page.width);
    page.visit(&format!("fleet/{PUMP}"), "h1", &[PUMP]);
    page.see(".card", &["firmware-dev", "groups"]);
    let connection = connect(live);
    page.see("h1 .state.good", &["connected"]);
    page.see(".timeline .good", &["connected"]);
    report(live, PUMP, &version);
    page.see(".card", &[&version, "firmware"]);
    page.see(".timeline li", &["shadow changed"]);
    page.see("pre", &["reported", &version]);
    drop(connection);
    page.see("h1 .state.bad", &["disconnected"]);
    page.see(".timeline .bad", &["disconnected"]);
}

/// A job over two things, from its creation until so many have failed that it is canceled.
fn job(live: &Live, page: &mut Page) {
    let id = format!("look-{}", page.width);
    let card = |page: &mut Page, texts: &[&str]| {
        page.see(".card", &[&[id.as_str()][..], texts].concat());
    };
    let limits = "canceled if 60 % failed once 2 ended; now";
    page.visit("jobs", "h1", &["Jobs"]);
    create_job(live, &id);
    card(page, &["2 queued", "2 things told in the last minute, at most 50 things a minute"]);
    card(page, &["in progress", &format!("{limits} 0.0 % of 0, 2 more would be enough")]);

    page.visit("", "h2", &["Rollouts"]);
    card(page, &["2 queued"]);
    page.visit(&format!("jobs/{id}"), "h1", &[&id]);
    page.see("tr", &[THINGS[1], "queued"]);
    start(live, THINGS[0]);
    card(page, &["1 in progress", "1 queued"]);
    page.see("tr", &[THINGS[0], "in progress"]);
    finish(live, THINGS[0], &id);
    card(page, &["1 failed", &format!("{limits} 100.0 % of 1, 1 more would be enough")]);

    page.visit(&format!("fleet/{}", THINGS[1]), ".timeline li", &[&id, "queued"]);
    start(live, THINGS[1]);
    page.see(".timeline li", &[&id, "in progress"]);
    page.visit(&format!("jobs/{id}"), "tr", &[THINGS[1], "in progress"]);
    finish(live, THINGS[1], &id);
    page.see(".card .state.idle", &["canceled"]);
    card(page, &["2 failed"]);
    page.visit(&format!("fleet/{}", THINGS[1]), ".timeline .bad", &[&id, "failed"]);
}

fn dashboards(page: &mut Page) {
    let seen = page.visit("dashboards", ".card", &["Executions over time", "succeeded"]);
    let charts = seen["charts"].as_array().unwrap();
    let chart = charts
        .iter()
        .find(|chart| chart["title"].as_str().is_some_and(|title| title.contains("succeeded: 7")));
    assert_eq!(chart.unwrap_or_else(|| panic!("{charts:#?}"))["drawn"], 1);
    // Rules are told apart, though each is counted under the same names.
    let rules = page.see(".card", &["Topic rules", "Success", "Failure"]);
    let rules = rules["charts"].as_array().unwrap().iter().filter_map(|one| one["title"].as_str());
    let rules = rules.filter(|title| title.contains(" Success: ") && title.contains(" Failure: "));
    assert_eq!(rules.count(), 1, "{charts:#?}");
}

/// Lines of a log, the second written while somebody reads the first.
fn logs(live: &Live, page: &mut Page) {
    let (hot, cold) = (format!("hot at {}", page.width), format!("cold at {}", page.width));
    page.visit("logs", "tr", &["pumps"]);
    write_line(live, &hot);
    page.visit("logs/pumps", "pre.lines", &[&hot]);
    write_line(live, &cold);
    page.see("pre.lines", &[&hot, &cold]);
    // Another page in between, so that what is seen is not what was there before.
    page.visit("logs", "tr", &["pumps"]);
    let found = page.visit("logs/pumps?cold", "pre.lines", &[&cold]);
    assert!(!found["text"].as_str().unwrap().contains("hot"), "{found:#}");
}

/// A browser that looks at the console.
struct Page {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    width: u32,
}

impl Page {
    fn open(live: &Live, width: u32) -> Self {
        let order = json!({
            "playwright": install::node_modules().join("playwright-core"),
            "chromium": install::chromium(),
            "base": format!("{}/_iotstack/console/", live.cloud.endpoint()),
            "width": width,
        });
        let script =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/judge/browser.mjs");
        let mut process = Command::new("node")
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        let mut page = Page { process, orders, answers, width };
        assert_eq!(page.ask(&order), json!({}));
        page
    }

    /// Goes to a page and waits for an element with these texts.
    fn visit(&mut self, path: &str, place: &str, texts: &[&str]) -> Value {
        let seen = self.ask(&json!({ "path": path, "place": place, "texts": texts }));
        self.judge(place, texts, seen)
    }

    /// Stays on the page and waits for an element with these texts.
    fn see(&mut self, place: &str, texts: &[&str]) -> Value {
        let seen = self.ask(&json!({ "place": place, "texts": texts }));
        self.judge(place, texts, seen)
    }

    fn close(mut self) {
        drop(self.orders);
        let status = self.process.wait().unwrap();
        assert!(status.success(), "the browser ended with {status}");
    }

    fn ask(&mut self, order: &Value) -> Value {
        writeln!(self.orders, "{order}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap_or_else(|_| panic!("no answer to {order}: {answer}"))
    }

    /// What holds of every page.
    fn judge(&self, place: &str, texts: &[&str], seen: Value) -> Value {
        let (title, text) = (&seen["title"], seen["text"].as_str().unwrap());
        assert_eq!(seen["found"], true, "no `{place}` has {texts:?} on {title}:\n{text}");
        assert!(!text.contains("[object") && !text.contains("undefined"), "{title}:\n{text}");
        assert_eq!(seen["wide"], self.width, "{title} is wider than the screen");
        assert_eq!(seen["errors"], json!([]), "{title}");
        for (scheme, is_dark) in [("light", false), ("dark", true)] {
            let colours = seen["schemes"][scheme].as_array().unwrap();
            assert!(colours.len() > 2, "{title} has words in few colours: {colours:#?}");
            for colour in colours {
                let number = |name: &str| colour[name].as_f64().unwrap();
                assert!(number("contrast") >= READABLE, "{title}, {scheme}: {colour:#}");
                let is_on_dark = number("words") > number("ground");
                assert_eq!(is_on_dark, is_dark, "{title}, {scheme}: {colour:#}");
            }
        }
        seen
    }
}

/// A device that is connected until this is dropped.
struct Connection(Child);

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn connect(live: &Live) -> Connection {
    let mut client = install::mosquitto("mosquitto_sub");
    client
        .current_dir(live.project.path("pump"))
        .args(["-h", "localhost", "-p", &live.cloud.mqtt().unwrap().to_string()])
        .args(["--cafile", "authority.pem", "--cert", "certificate.pem"])
        .args(["--key", "private-key.pem", "-i", PUMP])
        .args(["-t", &format!("$aws/things/{PUMP}/shadow/update/accepted")])
        .stdout(Stdio::null());
    Connection(client.spawn().unwrap())
}

fn report(live: &Live, thing: &str, version: &str) {
    let reported = json!({ "firmware": { "version": version } });
    let payload = json!({ "state": { "reported": reported } }).to_string();
    let update = ["iot-data", "update-thing-shadow", "--thing-name", thing];
    live.cloud.aws(&[&update[..], &["--payload", &payload, "/dev/null"]].concat());
}

fn create_job(live: &Live, id: &str) {
    let things = live.cloud.aws(&["iot", "list-things"]);
    let things = things["things"].as_array().unwrap().iter();
    let mut targets = things
        .filter(|thing| THINGS.iter().any(|name| thing["thingName"] == *name))
        .map(|thing| thing["thingArn"].as_str().unwrap());
    let targets = [targets.next().unwrap(), targets.next().unwrap()];
    let abort = r#"{"criteriaList": [{"failureType": "FAILED", "action": "CANCEL",
        "thresholdPercentage": 60, "minNumberOfExecutedThings": 2}]}"#;
    let create = ["iot", "create-job", "--job-id", id, "--document", "{}", "--targets"];
    let rollout = ["--job-executions-rollout-config", r#"{"maximumPerMinute": 50}"#];
    live.cloud.aws(&[&create[..], &targets, &rollout, &["--abort-config", abort]].concat());
}

/// Lets a thing begin its next job.
fn start(live: &Live, thing: &str) {
    let start = ["iot-jobs-data", "start-next-pending-job-execution", "--thing-name", thing];
    live.cloud.aws(&start);
}

/// Lets a thing fail.
fn finish(live: &Live, thing: &str, job: &str) {
    let update = ["iot-jobs-data", "update-job-execution", "--status", "FAILED"];
    live.cloud.aws(&[&update[..], &["--job-id", job, "--thing-name", thing]].concat());
}

fn write_line(live: &Live, message: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let lines = json!([{ "timestamp": u64::try_from(now).unwrap(), "message": message }]);
    let put = ["logs", "put-log-events", "--log-group-name", "pumps", "--log-stream-name", "one"];
    live.cloud.aws(&[&put[..], &["--log-events", &lines.to_string()]].concat());
}
