//! The test cases of Device Advisor: TLS, and a broker that does not answer.

use std::sync::Arc;
use std::time::Duration;

use iotstack_mqtt::tls::{Identity, ServerConfig, ServerSettings};
use iotstack_sim::{Counts, Fleet};
use rcgen::{CertificateParams, KeyPair};
use serde_json::json;

use super::cloud::{Cloud, Everybody, LONG, Mischief, THING, image, lamp};

async fn until_ready(fleet: &Fleet) {
    assert!(fleet.wait(LONG, |counts| counts.ready == 1).await, "{:?}", fleet.counts());
}

fn withhold(packet: &'static str, times: u32) -> Mischief {
    Mischief { withheld: [(packet, times)].into(), ..Mischief::default() }
}

#[tokio::test]
async fn tls_connect_and_fleet_provisioning_give_the_device_its_own_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::with_tls("localhost").await;
    let target = || {
        let mut target = cloud.target();
        target.folder = Some(folder.path().to_owned());
        target
    };
    let fleet = cloud.device_in(lamp(), None, target());
    until_ready(&fleet).await;
    assert_eq!(fleet.counts().provisioned, 1);
    let document = cloud.document(&image("1.1.0"));
    cloud.queue(THING, "job-1", document);
    cloud.until(|all| all[0].1 == "SUCCEEDED").await;
    drop(fleet.stop().await);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let key = folder.path().join("1").join("private.key");
        assert_eq!(std::fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // The second life begins with the certificate of the first.
    let claims = |cloud: &Cloud| {
        cloud.messages().iter().filter(|(topic, _)| topic.contains("/create-from-csr/")).count()
    };
    assert_eq!(claims(&cloud), 1);
    let fleet = cloud.device_in(lamp(), None, target());
    until_ready(&fleet).await;
    assert_eq!(claims(&cloud), 1);
}

#[tokio::test]
async fn a19_a_refused_claim_is_made_again_with_a_new_key() {
    let cloud = Cloud::with_tls("localhost").await;
    cloud.misbehave(Mischief { refuses_claims: 2, ..Mischief::default() });
    let fleet = cloud.device(lamp(), None);
    until_ready(&fleet).await;
    let requests: std::collections::BTreeSet<String> = cloud
        .messages()
        .iter()
        .filter_map(|(_, body)| body["certificateSigningRequest"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(requests.len(), 3, "each time another key");
    assert_eq!(fleet.stop().await.devices[0].losses, 2);
}

#[tokio::test]
async fn a_cloud_that_knows_no_signing_requests_is_asked_for_keys() {
    let cloud = Cloud::with_tls("localhost").await;
    cloud.misbehave(Mischief { ignores_requests: true, ..Mischief::default() });
    let fleet = cloud.device(lamp(), None);
    until_ready(&fleet).await;
    let asked = |topic: &str| cloud.messages().iter().filter(|(found, _)| found == topic).count();
    assert_eq!(asked("$aws/certificates/create-from-csr/json"), 1);
    assert_eq!(asked("$aws/certificates/create/json"), 1);
}

#[tokio::test]
async fn tls_incorrect_subject_name_server_cert_is_not_trusted() {
    let cloud = Cloud::with_tls("elsewhere").await;
    let fleet = cloud.device(lamp(), None);
    assert!(fleet.wait(LONG, |counts| counts.lost >= 3).await);
    assert_eq!(fleet.counts().ready, 0);
    assert!(cloud.connects().is_empty(), "not a single packet was sent");
}

#[tokio::test]
async fn tls_unsecure_server_cert_is_not_trusted() {
    let cloud = Cloud::with_tls("localhost").await;
    let other = Cloud::with_tls("localhost").await;
    let mut target = cloud.target();
    target.authority = other.target().authority;
    let fleet = cloud.device_in(lamp(), None, target);
    assert!(fleet.wait(LONG, |counts| counts.lost >= 2).await);
    assert!(cloud.connects().is_empty());
}

#[tokio::test]
async fn tls_expired_server_cert_is_not_trusted() {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let cloud = Cloud::with_server(params, mutual).await;
    let fleet = cloud.device(lamp(), None);
    assert!(fleet.wait(LONG, |counts| counts.lost >= 2).await);
    assert!(cloud.connects().is_empty());
}

#[tokio::test]
async fn tls_large_size_server_cert_is_read() {
    let mut names = vec!["localhost".to_owned()];
    names.extend((0..400).map(|number| format!("name-{number}.a-rather-long-domain.invalid")));
    let params = CertificateParams::new(names).unwrap();
    let cloud = Cloud::with_server(params, mutual).await;
    let fleet = cloud.device(lamp(), None);
    until_ready(&fleet).await;
}

#[tokio::test]
async fn tls_support_aws_iot_cipher_suites() {
    let suites = rustls::crypto::ring::default_provider().cipher_suites;
    // Every suite of AWS IoT's policies that is not broken by today's measure.
    let names: std::collections::BTreeSet<String> =
        suites.iter().map(|suite| format!("{:?}", suite.suite())).collect();
    for name in [
        "TLS13_AES_128_GCM_SHA256",
        "TLS13_AES_256_GCM_SHA384",
        "TLS13_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    ] {
        assert!(names.contains(name), "{name} is not among {names:?}");
    }
    for suite in suites {
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let key = match format!("{:?}", suite.suite()).contains("_RSA_") {
            // Made for this test; a key of this kind takes long to make.
            true => KeyPair::from_pem(include_str!("rsa.pem")).unwrap(),
            false => KeyPair::generate().unwrap(),
        };
        let cloud = Cloud::with_server_key(params, key, |identity| {
            let mut config = ServerConfig::clone(&mutual(identity));
            let mut provider = ServerConfig::crypto_provider(&config).as_ref().clone();
            provider.cipher_suites = vec![suite];
            let versions: &[_] = match suite.version().version {
                rustls::ProtocolVersion::TLSv1_3 => &[&rustls::version::TLS13],
                _ => &[&rustls::version::TLS12],
            };
            let resolver = config.cert_resolver.clone();
            config = ServerConfig::builder_with_provider(Arc::new(provider))
                .with_protocol_versions(versions)
                .unwrap()
                .with_no_client_auth()
                .with_cert_resolver(resolver);
            Arc::new(config)
        })
        .await;
        let fleet = cloud.device(lamp(), None);
        until_ready(&fleet).await;
    }
}

#[tokio::test]
async fn tls_receive_maximum_size_fragments() {
    let cloud = Cloud::with_tls("localhost").await;
    let fleet = cloud.device(lamp(), None);
    until_ready(&fleet).await;
    // Several records of the largest size, and then a job as if nothing had happened.
    let large = json!({"state": {"note": "x".repeat(120_000)}});
    cloud.say(THING, "$aws/things/fleet-1/shadow/update/delta", &large);
    let document = cloud.document(&image("1.1.0"));
    cloud.queue(THING, "job-1", document);
    cloud.until(|all| all[0].1 == "SUCCEEDED").await;
    let is_note = |body: &serde_json::Value| {
        body["state"]["reported"]["note"].as_str().is_some_and(|note| note.len() == 120_000)
    };
    assert!(cloud.messages().iter().any(|(_, body)| is_note(body)));
    assert_eq!(fleet.stop().await.devices[0].losses, 0);
}

#[tokio::test]
async fn mqtt_persistent_session_happy_case() {
    let cloud = Cloud::start().await;
    let profile = iotstack_sim::Profile { keeps_session: true, ..lamp() };
    let fleet = cloud.device(profile, None);
    until_ready(&fleet).await;
    assert_eq!(cloud.subscribes(), 1);
    cloud.kick(THING);
    assert!(fleet.wait(LONG, |counts| counts.lost == 1 && counts.connected == 1).await);
    let document = cloud.document(&image("1.1.0"));
    cloud.queue(THING, "job-1", document);
    cloud.until(|all| all[0].1 == "SUCCEEDED").await;
    assert_eq!(cloud.subscribes(), 1, "the session has the subscriptions");
}

#[tokio::test]
async fn mqtt_expired_persistent_session_subscribes_again() {
    let cloud = Cloud::start().await;
    let profile = iotstack_sim::Profile { keeps_session: true, ..lamp() };
    let fleet = cloud.device(profile, None);
    until_ready(&fleet).await;
    cloud.misbehave(Mischief { forgets_sessions: true, ..Mischief::default() });
    cloud.kick(THING);
    assert!(fleet.wait(LONG, |counts| counts.lost == 1 && counts.connected == 1).await);
    let document = cloud.document(&image("1.1.0"));
    cloud.queue(THING, "job-1", document);
    cloud.until(|all| all[0].1 == "SUCCEEDED").await;
    assert!(cloud.subscribes() >= 2);
}

#[tokio::test]
async fn mqtt_long_duration_with_intermittent_connectivity_and_long_disconnects() {
    let cloud = Cloud::start().await;
    let offline = iotstack_sim::Offline {
        every: Duration::from_millis(120),
        lasts: Duration::from_millis(60),
    };
    let bytes_per_second = Some(100_000);
    let link =
        iotstack_sim::Link { offline: Some(offline), bytes_per_second, ..Default::default() };
    let fleet = cloud.device(iotstack_sim::Profile { link, ..lamp() }, None);
    for version in ["1.1.0", "1.2.0", "1.3.0"] {
        let document = cloud.document(&image(version));
        cloud.queue(THING, &format!("job-{}", version.replace('.', "-")), document);
        cloud.until(|all| all.iter().all(|(_, status, _)| status == "SUCCEEDED")).await;
    }
    assert!(fleet.wait(LONG, |counts| counts.succeeded == 3).await);
    let device = fleet.stop().await.devices.remove(0);
    assert!(device.connects > 5, "{device:?}");
}

#[tokio::test]
async fn a_lost_notification_is_made_up_for_by_asking() {
    let cloud = Cloud::start().await;
    let mut target = cloud.target();
    target.pace.poll = Duration::from_millis(200);
    let fleet = cloud.device_in(lamp(), None, target);
    until_ready(&fleet).await;
    let document = cloud.document(&image("1.1.0"));
    cloud.queue_silently(THING, "job-1", document);
    cloud.until(|all| all[0].1 == "SUCCEEDED").await;
}

fn mutual(identity: Identity) -> Arc<ServerConfig> {
    ServerSettings::mutual(identity, Arc::new(Everybody)).build().unwrap()
}

#[tokio::test]
async fn mqtt_connect_jitter_backoff_retries() {
    let cloud = Cloud::start().await;
    cloud.misbehave(Mischief { refuses: 5, ..Mischief::default() });
    let mut target = cloud.target();
    target.pace.backoff = Duration::from_millis(40);
    target.pace.longest_backoff = Duration::from_secs(10);
    let fleet = cloud.device_in(lamp(), None, target);
    until_ready(&fleet).await;
    let connects = cloud.connects();
    assert_eq!(connects.len(), 6);
    let waits: Vec<Duration> = connects.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (attempt, wait) in waits.iter().enumerate() {
        let whole = Duration::from_millis(40 << attempt);
        assert!(*wait >= whole / 2, "attempt {attempt}: {wait:?}");
    }
}

#[tokio::test]
async fn mqtt_connect_retries_without_a_connack() {
    let cloud = Cloud::start().await;
    cloud.misbehave(withhold("CONNACK", 1));
    let fleet = cloud.device(lamp(), None);
    until_ready(&fleet).await;
    assert!(cloud.connects().len() >= 2);
}

#[tokio::test]
async fn the_end_of_a_simulation_waits_for_no_broker() {
    let cloud = Cloud::start().await;
    cloud.misbehave(withhold("CONNACK", u32::MAX));
    let mut target = cloud.target();
    target.pace.patience = Duration::from_secs(600);
    let fleet = cloud.device_in(lamp(), None, target);
    let end = tokio::time::Instant::now() + LONG;
    while cloud.connects().is_empty() {
        assert!(tokio::time::Instant::now() < end);
        tokio::task::yield_now().await;
    }
    let stopped = tokio::time::timeout(LONG, fleet.stop()).await.unwrap();
    assert_eq!(stopped.devices.len(), 1);
}

#[tokio::test]
async fn mqtt_subscribe_retry_no_suback() {
    let cloud = Cloud::start().await;
    cloud.misbehave(withhold("SUBACK", 1));
    let fleet = cloud.device(lamp(), None);
    until_ready(&fleet).await;
    assert!(cloud.connects().len() >= 2);
}

#[tokio::test]
async fn mqtt_publish_retry_no_puback() {
    let cloud = Cloud::start().await;
    cloud.misbehave(withhold("PUBACK", 1));
    let fleet = cloud.device(lamp(), None);
    assert!(fleet.wait(LONG, |counts| counts.lost >= 1 && counts.connected == 1).await);
    let end = tokio::time::Instant::now() + LONG;
    let reports =
        || cloud.messages().iter().filter(|(topic, _)| topic.ends_with("/shadow/update")).count();
    while reports() < 2 {
        assert!(tokio::time::Instant::now() < end, "{:?}", cloud.messages());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn mqtt_no_ack_pingresp() {
    let cloud = Cloud::start().await;
    cloud.misbehave(withhold("PINGRESP", 1));
    let mut target = cloud.target();
    target.pace.keep_alive = 1;
    let fleet = cloud.device_in(lamp(), None, target);
    until_ready(&fleet).await;
    assert!(fleet.wait(LONG, |counts| counts.lost >= 1).await);
    assert!(fleet.wait(LONG, |counts| counts.connected == 1).await);
    assert!(cloud.connects().len() >= 2);
}

#[tokio::test]
async fn mqtt_reconnect_backoff_retries_on_server_disconnect() {
    let cloud = Cloud::start().await;
    let fleet = cloud.device(lamp(), None);
    until_ready(&fleet).await;
    for round in 1..=3 {
        cloud.kick(THING);
        assert!(fleet.wait(LONG, |counts| counts.lost >= round && counts.connected == 1).await);
    }
    let document = cloud.document(&image("1.1.0"));
    cloud.queue(THING, "job-1", document);
    cloud.until(|all| all[0].1 == "SUCCEEDED").await;
}

#[tokio::test]
async fn mqtt_reconnect_backoff_retries_on_unstable_connection() {
    let cloud = Cloud::start().await;
    cloud.misbehave(Mischief { closes: 4, ..Mischief::default() });
    let fleet = cloud.device(lamp(), None);
    until_ready(&fleet).await;
    assert_eq!(cloud.connects().len(), 5);
}

#[tokio::test]
async fn f10_a_herd_comes_back_spread_out() {
    let cloud = Cloud::start().await;
    let profile = std::sync::Arc::new(lamp());
    let plan: Vec<_> = (1..=60)
        .map(|number| iotstack_sim::DevicePlan {
            serial: number.to_string(),
            profile: profile.clone(),
            fault: None,
        })
        .collect();
    let mut target = cloud.target();
    target.pace.connects_per_second = 10_000.0;
    target.pace.backoff = Duration::from_millis(600);
    target.pace.longest_backoff = Duration::from_secs(5);
    let silence = std::sync::Arc::new(iotstack_sim::Silence);
    let fleet = Fleet::start(&plan, 0..60, target, 3, silence).unwrap();
    assert!(fleet.wait(LONG, |counts: &Counts| counts.ready == 60).await);
    let before = cloud.connects().len();
    fleet.cut();
    assert!(fleet.wait(LONG, |counts| counts.lost >= 60 && counts.connected == 60).await);
    let again = cloud.connects().split_off(before);
    assert_eq!(again.len(), 60);
    let spread = *again.iter().max().unwrap() - *again.iter().min().unwrap();
    assert!(spread > Duration::from_millis(150), "{spread:?}");
    let outcome = fleet.stop().await;
    assert!(outcome.times.iter().any(|time| time.name == "reconnect" && time.count == 60));
}

#[tokio::test]
async fn shadow_update_reported_state_takes_on_wishes_while_telemetry_flows() {
    let cloud = Cloud::start().await;
    cloud.wish(THING, json!({"color": "red", "firmware": {"version": "9"}}));
    let mut target = cloud.target();
    target.telemetry_topic = Some("dt/fleet/{thing}/telemetry".to_owned());
    let profile = iotstack_sim::Profile { telemetry: Some(Duration::from_millis(20)), ..lamp() };
    let fleet = cloud.device_in(profile, None, target);
    assert!(fleet.wait(LONG, |counts| counts.telemetry >= 3).await);
    let end = tokio::time::Instant::now() + LONG;
    let has = |wanted: &dyn Fn(&str, &serde_json::Value) -> bool| {
        cloud.messages().iter().any(|(topic, body)| wanted(topic, body))
    };
    while !has(&|_, body| body["state"]["reported"]["color"] == "red")
        || !has(&|topic, body| topic == "dt/fleet/fleet-1/telemetry" && body["firmware"] == "1.0.0")
    {
        assert!(tokio::time::Instant::now() < end, "{:?}", cloud.messages());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!has(&|_, body| body["state"]["reported"]["firmware"]["version"] == "9"));
}
