//! The cases of Device Advisor in which nothing goes wrong, and how long devices wait.
//!
//! What is asserted is what the broker heard, and for waits what the device said that it
//! would do: how busy the machine is must not decide about a test.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use iotstack_sim::{DevicePlan, Did, Event, Fault, Fleet, Observer};
use serde_json::{Value, json};

use super::cloud::{Cloud, LONG, Mischief, THING, image, lamp};

/// Waits for something that will be true.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = tokio::time::Instant::now() + LONG;
    while !is_so() {
        assert!(tokio::time::Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A device that does one job, and is there when nothing is left to do.
async fn updated() -> (Cloud, Fleet) {
    let cloud = Cloud::start().await;
    let fleet = cloud.device(lamp(), Some(Fault::Nothing));
    let document = cloud.document(&image("1.1.0"));
    cloud.queue(THING, "job-1", document);
    cloud.until(|all| all[0].1 == "SUCCEEDED").await;
    assert!(fleet.wait(LONG, |counts| counts.succeeded == 1).await);
    (cloud, fleet)
}

#[tokio::test]
async fn mqtt_connect() {
    let cloud = Cloud::start().await;
    let fleet = cloud.device(lamp(), Some(Fault::Nothing));
    assert!(fleet.wait(LONG, |counts| counts.ready == 1).await);
    assert_eq!(cloud.greetings(), [(THING.to_owned(), true)]);
    assert_eq!(fleet.counts().lost, 0);
}

#[tokio::test]
async fn mqtt_subscribe() {
    let cloud = Cloud::start().await;
    let fleet = cloud.device(lamp(), Some(Fault::Nothing));
    assert!(fleet.wait(LONG, |counts| counts.ready == 1).await);
    let mut filters = cloud.filters();
    filters.sort();
    let expected = [
        "jobs/+/get/+",
        "jobs/+/update/+",
        "jobs/get/+",
        "jobs/notify-next",
        "jobs/start-next/+",
        "shadow/update/delta",
    ];
    assert_eq!(filters, expected.map(|end| format!("$aws/things/{THING}/{end}")));
    assert_eq!(cloud.subscribes(), 1, "all in one packet");
}

#[tokio::test]
async fn mqtt_publish() {
    let (cloud, fleet) = updated().await;
    let mine = format!("$aws/things/{THING}/");
    let messages = cloud.messages();
    assert!(messages.iter().all(|(topic, _)| topic.starts_with(&mine)), "{messages:?}");
    // Everything that the broker acknowledges is said once: each request has its own token.
    let mut tokens: Vec<&str> =
        messages.iter().filter_map(|(_, body)| body["clientToken"].as_str()).collect();
    let count = tokens.len();
    tokens.sort_unstable();
    tokens.dedup();
    assert!(count >= 3 && tokens.len() == count, "{messages:?}");
    assert_eq!(fleet.stop().await.devices[0].losses, 0);
}

#[tokio::test]
async fn shadow_publish_reported_state() {
    let (cloud, _fleet) = updated().await;
    let reported = || -> Vec<String> {
        let messages = cloud.messages();
        let shadows = messages.iter().filter(|(topic, _)| topic.ends_with("/shadow/update"));
        let version = |body: &Value| {
            body["state"]["reported"]["firmware"]["version"].as_str().map(str::to_owned)
        };
        shadows.filter_map(|(_, body)| version(body)).collect()
    };
    until("both versions are reported", || reported().len() == 2).await;
    assert_eq!(reported(), ["1.0.0", "1.1.0"], "each once, and nothing that is on trial");
}

#[tokio::test]
async fn mqtt_client_puback_qos1() {
    let cloud = Cloud::start().await;
    let fleet = cloud.device(lamp(), Some(Fault::Nothing));
    assert!(fleet.wait(LONG, |counts| counts.ready == 1).await);
    let (before, _) = cloud.acknowledged();
    for end in ["jobs/notify-next", "shadow/update/delta", "jobs/start-next/accepted"] {
        cloud.say(THING, &format!("$aws/things/{THING}/{end}"), &json!({"timestamp": 1}));
    }
    until("everything is acknowledged", || {
        let (sent, acknowledged) = cloud.acknowledged();
        sent >= before + 3 && sent == acknowledged
    })
    .await;
    assert_eq!(fleet.counts().lost, 0);
}

#[tokio::test]
async fn job_execution() {
    let (cloud, fleet) = updated().await;
    let start = format!("$aws/things/{THING}/jobs/");
    let asked: Vec<(String, String)> = cloud
        .messages()
        .iter()
        .filter_map(|(topic, body)| {
            let verb = topic.strip_prefix(&start)?;
            let status = body["status"].as_str().unwrap_or_default();
            (verb == "start-next" || verb.ends_with("/update"))
                .then(|| (verb.to_owned(), status.to_owned()))
        })
        .collect();
    let updates: Vec<&(String, String)> =
        asked.iter().filter(|(verb, _)| verb == "job-1/update").collect();
    let statuses: Vec<&str> = updates.iter().map(|(_, status)| status.as_str()).collect();
    assert_eq!(statuses, ["IN_PROGRESS", "SUCCEEDED"]);
    let first = asked.iter().position(|(verb, _)| verb == "start-next").unwrap();
    let progress = asked.iter().position(|(verb, _)| verb == "job-1/update").unwrap();
    assert!(first < progress, "{asked:?}");
    assert_eq!(cloud.executions(), [("job-1".into(), "SUCCEEDED".into(), "accepted".into())]);
    let device = fleet.stop().await.devices.remove(0);
    assert!(device.is_as_expected(), "{device:?}");
}

/// How long devices said that they would wait.
#[derive(Default)]
struct Waits(Mutex<BTreeMap<String, Vec<Duration>>>);

impl Observer for Waits {
    fn hear(&self, event: &Event<'_>) {
        if let Event::Device { thing, did: Did::Wait { time } } = event {
            self.0.lock().unwrap().entry((*thing).to_owned()).or_default().push(*time);
        }
    }
}

impl Waits {
    fn of(&self, thing: &str) -> Vec<Duration> {
        self.0.lock().unwrap().get(thing).cloned().unwrap_or_default()
    }
}

const BASE: Duration = Duration::from_millis(10);
const LIMIT: Duration = Duration::from_millis(100);

/// The first waits of two devices of a fleet with this seed that are refused again and again.
async fn waits(seed: u64) -> [Vec<Duration>; 2] {
    let cloud = Cloud::start().await;
    cloud.misbehave(Mischief { refuses: u32::MAX, ..Mischief::default() });
    let mut target = cloud.target();
    target.pace.connects_per_second = 10_000.0;
    (target.pace.backoff, target.pace.longest_backoff) = (BASE, LIMIT);
    let profile = Arc::new(lamp());
    let device = |serial: &str| DevicePlan {
        serial: serial.to_owned(),
        profile: profile.clone(),
        fault: None,
    };
    let heard = Arc::new(Waits::default());
    let plan = [device("1"), device("2")];
    let fleet = Fleet::start(&plan, 0..2, target, seed, heard.clone()).unwrap();
    let both = || ["fleet-1", "fleet-2"].map(|thing| heard.of(thing));
    until("both have waited", || both().iter().all(|waits| waits.len() >= ATTEMPTS)).await;
    // As soon as nobody refuses them they are there.
    cloud.misbehave(Mischief::default());
    assert!(fleet.wait(LONG, |counts| counts.ready == 2).await);
    both().map(|waits| waits[..ATTEMPTS].to_vec())
}

const ATTEMPTS: usize = 7;

#[tokio::test]
async fn mqtt_connect_exponential_backoff_retries() {
    for waits in waits(7).await {
        for (attempt, wait) in waits.iter().enumerate() {
            let whole = (BASE * 2_u32.pow(attempt as u32)).min(LIMIT);
            assert!(whole / 2 <= *wait && *wait <= whole, "{attempt}: {wait:?} of {whole:?}");
        }
    }
}

#[tokio::test]
async fn mqtt_connect_jitter_backoff_retries_differ_from_device_to_device() {
    let [one, other] = waits(7).await;
    for (attempt, (one, other)) in one.iter().zip(&other).enumerate() {
        assert_ne!(one, other, "{attempt}");
    }
    // What looks like chance is the seed's.
    let [again, _] = waits(7).await;
    assert_eq!(one, again);
    let [different, _] = waits(8).await;
    assert_ne!(one, different);
}
