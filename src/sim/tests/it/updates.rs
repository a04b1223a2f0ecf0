//! The end-to-end cases of AWS IoT Device Tester, and the bad servers of section A.

use iotstack_protocol::JobExecutionStatus;
use iotstack_sim::{Behaviour, Fleet, Profile, Reason, Recipe, Signer, digest};
use serde_json::{Value, json};

use super::cloud::{Cloud, LONG, Mischief, THING, image, is_terminal, lamp};
use super::web::Manner;

/// Lets a device do one job with a server that behaves like this.
async fn with_server(manners: &[Manner]) -> (Cloud, iotstack_sim::DeviceRecord) {
    let cloud = Cloud::start().await;
    cloud.web.behave(manners);
    let document = cloud.document(&image("1.1.0"));
    let device = cloud.update(None, document).await;
    (cloud, device)
}

/// A device in the middle of a download for `job-1` that stands still, and the document.
async fn amid_a_download() -> (Cloud, Fleet, Value) {
    let cloud = Cloud::start().await;
    cloud.web.behave(&[Manner::StallsAfter(9000), Manner::Good]);
    let fleet = cloud.device(lamp(), None);
    let document = cloud.document(&image("1.1.0"));
    cloud.queue(THING, "job-1", document.clone());
    let asked = async {
        while cloud.web.asked().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, asked).await.unwrap();
    (cloud, fleet, document)
}

fn reason(device: &iotstack_sim::DeviceRecord) -> Reason {
    device.updates[0].reason.unwrap()
}

/// Whether every request but the first one goes on with a page that is there. How much
/// of it arrived before the connection broke is up to the operating system.
fn is_resumed(asked: &[String]) -> bool {
    let is_later = |range: &String| range == "bytes=4096-" || range == "bytes=8192-";
    asked.len() > 1 && asked[0].is_empty() && asked[1..].iter().all(is_later)
}

#[tokio::test]
async fn otae2e_greater_version_updates_over_the_wire() {
    let (cloud, device) = with_server(&[Manner::Good]).await;
    assert_eq!(cloud.executions(), [("job-1".into(), "SUCCEEDED".into(), "accepted".into())]);
    assert_eq!(device.version.as_deref(), Some("1.1.0"));
    assert!(device.image_is_good && device.boots == 2, "{device:?}");
    let reports =
        |status: &str| cloud.messages().iter().filter(|(_, body)| body["status"] == status).count();
    assert_eq!((reports("SUCCEEDED"), reports("IN_PROGRESS")), (1, 1));
    let shadow = |version: &str| {
        cloud.messages().iter().any(|(topic, body)| {
            topic.ends_with("/shadow/update")
                && body["state"]["reported"]["firmware"]["version"] == version
        })
    };
    assert!(shadow("1.0.0") && shadow("1.1.0"), "the shadow says what runs");
}

#[tokio::test]
async fn otae2e_back_to_back_downloads_over_the_wire() {
    let cloud = Cloud::start().await;
    let fleet = cloud.device(lamp(), None);
    for version in ["1.1.0", "1.2.0", "1.3.0"] {
        let document = cloud.document(&image(version));
        cloud.queue(THING, &format!("job-{}", version.replace('.', "-")), document);
        cloud.until(|all| all.iter().all(|(_, status, _)| status == "SUCCEEDED")).await;
    }
    assert!(fleet.wait(LONG, |counts| counts.succeeded == 3).await);
    assert_eq!(fleet.stop().await.devices[0].version.as_deref(), Some("1.3.0"));
}

/// Lets a device update to an image that behaves like this.
async fn is_rolled_back(behaviour: Behaviour) {
    let cloud = Cloud::start().await;
    let document = cloud.document(&Recipe { behaviour, ..image("1.1.0") });
    let device = cloud.update(None, document).await;
    assert_eq!(reason(&device), Reason::RolledBack, "{behaviour:?}");
    assert_eq!(device.version.as_deref(), Some("1.0.0"));
    assert_eq!(device.updates[0].status, JobExecutionStatus::Failed);
}

/// What is wrong with an image or its document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Same,
    Old,
    Unsigned,
    Stranger,
    Algorithm,
    Model,
    Expired,
    Unreadable,
}

/// Lets a device refuse a wrong image.
async fn is_refused(wrong: Wrong, status: &str, expected: Reason) {
    let cloud = Cloud::start().await;
    let recipe = match wrong {
        Wrong::Same => image("1.0.0"),
        Wrong::Old => image("0.9.0"),
        Wrong::Model => Recipe { model: Some("pump".to_owned()), ..image("1.1.0") },
        _ => image("1.1.0"),
    };
    let mut document = cloud.document(&recipe);
    let signature = &mut document["firmware"]["signature"];
    match wrong {
        Wrong::Unsigned => *signature = json!(null),
        Wrong::Stranger => {
            let stranger = Signer::generate("stranger.pem").unwrap();
            let claim = stranger.sign(&digest(&recipe.make().unwrap()));
            *signature = json!({"algorithm": claim.algorithm, "value": claim.value,
                                "certificate": claim.certificate});
        }
        Wrong::Algorithm => signature["algorithm"] = json!("SHA256withRSA"),
        Wrong::Expired => document["expires"] = json!(1_000_000),
        Wrong::Unreadable => document["operation"] = json!("reboot"),
        _ => {}
    }
    let device = cloud.update(None, document).await;
    assert_eq!(reason(&device), expected, "{wrong:?}");
    let word = expected.to_string();
    assert_eq!(cloud.executions(), [("job-1".into(), status.into(), word)], "{wrong:?}");
    assert_eq!(device.version.as_deref(), Some("1.0.0"), "{wrong:?}");
    // Everything but the model is found out without the image.
    assert_eq!(cloud.web.asked().is_empty(), wrong != Wrong::Model, "{wrong:?}");
}

/// One test for each case, so that each has a name.
macro_rules! cases {
    ($($name:ident = $play:ident($($argument:expr),*);)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                $play($($argument),*).await;
            }
        )*
    };
}

cases! {
    otae2e_rollback_if_unable_to_connect_after_update = is_rolled_back(Behaviour::CannotConnect);
    otae2e_image_crashed = is_rolled_back(Behaviour::Crashes);
    f3_an_image_that_fails_its_self_test = is_rolled_back(Behaviour::FailsSelfTest);
    otae2e_same_version = is_refused(Wrong::Same, "REJECTED", Reason::SameVersion);
    otae2e_previous_version = is_refused(Wrong::Old, "REJECTED", Reason::Rollback);
    otae2e_unsigned_image = is_refused(Wrong::Unsigned, "FAILED", Reason::Signature);
    otae2e_untrusted_certificate =
        is_refused(Wrong::Stranger, "REJECTED", Reason::UntrustedSigner);
    otae2e_incorrect_signing_algorithm =
        is_refused(Wrong::Algorithm, "REJECTED", Reason::Algorithm);
    a9_an_image_for_another_model = is_refused(Wrong::Model, "REJECTED", Reason::WrongDevice);
    a8_a_document_that_has_expired = is_refused(Wrong::Expired, "FAILED", Reason::Expired);
    a_document_that_cannot_be_read = is_refused(Wrong::Unreadable, "REJECTED", Reason::Document);
}

#[tokio::test]
async fn otae2e_disconnect_resume_goes_on_where_it_was() {
    let (cloud, device) = with_server(&[Manner::BreaksAfter(9000), Manner::Good]).await;
    assert_eq!(reason(&device), Reason::Accepted);
    assert!(is_resumed(&cloud.web.asked()), "{:?}", cloud.web.asked());
}

#[tokio::test]
async fn otae2e_disconnect_resume_survives_a_second_client_with_its_name() {
    let (cloud, fleet, _) = amid_a_download().await;
    // Another connection with the same client id: the broker drops the device.
    let stream = tokio::net::TcpStream::connect(cloud.address).await.unwrap();
    let options = iotstack_mqtt::client::Options::new(THING);
    let other = iotstack_mqtt::client::Client::open(stream, &options, Default::default()).await;
    let other = other.map_err(|(error, _)| error).unwrap();
    cloud.until(|all| all[0].1 == "SUCCEEDED").await;
    drop(other);
    let device = fleet.stop().await.devices.remove(0);
    assert!(device.losses >= 1 && device.connects >= 2, "{device:?}");
    assert!(is_resumed(&cloud.web.asked()), "{:?}", cloud.web.asked());
}

#[tokio::test]
async fn otae2e_presigned_url_expired_asks_for_a_fresh_document() {
    let (cloud, device) =
        with_server(&[Manner::BreaksAfter(9000), Manner::Expired, Manner::Good]).await;
    assert_eq!(reason(&device), Reason::Accepted);
    let asked = cloud.web.asked();
    assert!(asked.len() == 3 && is_resumed(&asked) && asked[1] == asked[2], "{asked:?}");
    let fresh = cloud.messages().iter().any(|(topic, body)| {
        topic.ends_with("/jobs/job-1/get") && body["includeJobDocument"] == true
    });
    assert!(fresh, "{:?}", cloud.messages());
}

#[tokio::test]
async fn a_url_that_has_really_expired_is_replaced() {
    let cloud = Cloud::start().await;
    cloud.web.behave(&[Manner::BreaksAfter(9000), Manner::Good]);
    let document = cloud.document(&image("1.1.0"));
    let fleet = cloud.device(lamp(), None);
    cloud.queue(THING, "job-1", document);
    while cloud.web.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    cloud.web.expire_urls();
    cloud.until(|all| all[0].1 == "SUCCEEDED").await;
    drop(fleet);
}

#[tokio::test]
async fn otae2e_2_updates_cancel_1st() {
    for how in ["CANCELED", "TIMED_OUT", "REMOVED"] {
        let cloud = Cloud::start().await;
        cloud.web.behave(&[Manner::StallsAfter(9000), Manner::Good]);
        let fleet = cloud.device(lamp(), None);
        let first = cloud.document(&image("1.1.0"));
        cloud.queue(THING, "job-1", first.clone());
        cloud.queue(THING, "job-2", first);
        while cloud.web.asked().is_empty() {
            tokio::task::yield_now().await;
        }
        cloud.end(THING, "job-1", how);
        cloud.until(|all| all.iter().all(|(_, status, _)| is_terminal(status))).await;
        let ends: Vec<_> = cloud.executions().into_iter().map(|(_, status, _)| status).collect();
        assert_eq!(ends, [how, "SUCCEEDED"]);
        assert!(fleet.wait(LONG, |c| c.abandoned == 1 && c.succeeded == 1).await, "{how}");
        assert_eq!(fleet.stop().await.devices[0].version.as_deref(), Some("1.1.0"));
    }
}

#[tokio::test]
async fn otae2e_disconnect_cancel_update_aborts_and_takes_the_next_job() {
    let (cloud, fleet, document) = amid_a_download().await;
    // The device hears nothing of the end, because it is not connected.
    cloud.misbehave(Mischief { closes: 3, ..Mischief::default() });
    cloud.kick(THING);
    cloud.end(THING, "job-1", "CANCELED");
    cloud.queue(THING, "job-2", document);
    cloud.until(|all| all.iter().all(|(_, status, _)| is_terminal(status))).await;
    let ends: Vec<_> = cloud.executions().into_iter().map(|(_, status, _)| status).collect();
    assert_eq!(ends, ["CANCELED", "SUCCEEDED"]);
    assert!(fleet.wait(LONG, |c| c.abandoned == 1).await);
}

#[tokio::test]
async fn otae2e_cancel_then_update_completes_the_second_one() {
    let (cloud, fleet, document) = amid_a_download().await;
    cloud.end(THING, "job-1", "CANCELED");
    assert!(fleet.wait(LONG, |c| c.abandoned == 1).await);
    assert!(fleet.counts().busy == 0, "nothing is left of the first one");
    cloud.queue(THING, "job-2", document);
    cloud.until(|all| is_terminal(&all[1].1)).await;
    assert_eq!(cloud.executions()[1].1, "SUCCEEDED");
    assert!(fleet.wait(LONG, |c| c.succeeded == 1).await);
    let device = fleet.stop().await.devices.remove(0);
    assert_eq!((device.version.as_deref(), device.boots), (Some("1.1.0"), 2), "{device:?}");
}

#[tokio::test]
async fn f6_a_job_cancelled_while_the_image_is_on_trial_does_not_stay() {
    let cloud = Cloud::start().await;
    let fleet = cloud.device(lamp(), None);
    assert!(fleet.wait(LONG, |c| c.ready == 1).await);
    let document = cloud.document(&image("1.1.0"));
    cloud.queue(THING, "job-1", document);
    let installed =
        || cloud.messages().iter().any(|(_, body)| body["statusDetails"]["step"] == "installed");
    // As soon as the device says that it will reset.
    let end = tokio::time::Instant::now() + LONG;
    while !installed() {
        assert!(tokio::time::Instant::now() < end);
        tokio::task::yield_now().await;
    }
    cloud.end(THING, "job-1", "CANCELED");
    assert!(fleet.wait(LONG, |c| c.abandoned == 1 || c.succeeded == 1).await);
    let device = fleet.stop().await.devices.remove(0);
    assert_eq!(device.version.as_deref(), Some("1.0.0"), "{device:?}");
    assert!(device.image_is_good);
    assert_eq!(cloud.executions()[0].1, "CANCELED");
}

#[tokio::test]
async fn a1_an_image_that_ends_early_fails_as_checksum() {
    let (_, device) = with_server(&[Manner::EndsEarly]).await;
    assert_eq!(reason(&device), Reason::Checksum);
}

#[tokio::test]
async fn a10_endless_data_and_lies_about_the_length_fail_as_size() {
    for manner in [Manner::Endless, Manner::SaysMore] {
        let (_, device) = with_server(&[manner]).await;
        assert_eq!(reason(&device), Reason::Size, "{manner:?}");
        assert_eq!(device.version.as_deref(), Some("1.0.0"));
    }
}

#[tokio::test]
async fn a11_a_stalled_download_resumes_and_a_dead_one_ends() {
    let (cloud, device) = with_server(&[Manner::StallsAfter(9000), Manner::Good]).await;
    assert_eq!(reason(&device), Reason::Accepted);
    assert!(is_resumed(&cloud.web.asked()), "{:?}", cloud.web.asked());
    let (_, device) = with_server(&[Manner::Fails]).await;
    assert_eq!(reason(&device), Reason::Timeout, "never stuck in progress");
}

#[tokio::test]
async fn a13_only_redirects_within_the_host_are_followed() {
    let (_, device) = with_server(&[Manner::RedirectsAway]).await;
    assert_eq!(reason(&device), Reason::Tls);
    let (_, device) = with_server(&[Manner::RedirectsHome, Manner::Good]).await;
    assert_eq!(reason(&device), Reason::Accepted);
}

#[tokio::test]
async fn a13_plain_http_is_refused_unless_it_is_allowed() {
    let cloud = Cloud::start().await;
    let mut target = cloud.target();
    target.allows_plain_downloads = false;
    let fleet = cloud.device_in(lamp(), None, target);
    let document = cloud.document(&image("1.1.0"));
    cloud.queue(THING, "job-1", document);
    cloud.until(|all| all[0].1 == "FAILED").await;
    assert_eq!(cloud.executions()[0].2, "tls");
    assert!(cloud.web.asked().is_empty());
    drop(fleet);
}

#[tokio::test]
async fn a13_images_come_over_https_from_the_right_host_only() {
    for (name, expected) in [("localhost", Reason::Accepted), ("elsewhere", Reason::Tls)] {
        let mut cloud = Cloud::with_tls("localhost").await;
        cloud.serve_https(name).await;
        let document = cloud.document(&image("1.1.0"));
        let device = cloud.update(None, document).await;
        assert_eq!(reason(&device), expected, "{name}");
        assert_eq!(cloud.web.asked().is_empty(), expected == Reason::Tls);
    }
}

#[tokio::test]
async fn a13_an_unknown_authority_is_not_trusted() {
    let mut cloud = Cloud::with_tls("localhost").await;
    let other = Cloud::with_tls("localhost").await;
    cloud.serve_https("localhost").await;
    let mut target = cloud.target();
    target.web_authority = other.target().authority;
    let fleet = cloud.device_in(lamp(), None, target);
    let document = cloud.document(&image("1.1.0"));
    cloud.queue(THING, "job-1", document);
    assert!(fleet.wait(LONG, |counts| counts.failed == 1).await, "{:?}", cloud.executions());
    assert_eq!(cloud.executions()[0].2, "tls");
}

#[tokio::test]
async fn a15_a_server_that_ignores_ranges_or_changes_the_image_starts_anew() {
    for manner in [Manner::IgnoresRange, Manner::OtherTag, Manner::SplicesOther] {
        let (cloud, device) = with_server(&[Manner::BreaksAfter(9000), manner, Manner::Good]).await;
        assert_eq!(reason(&device), Reason::Accepted, "{manner:?} {:?}", cloud.web.asked());
        assert!(device.image_is_good);
    }
}

#[tokio::test]
async fn a18_messages_about_other_jobs_are_ignored() {
    let cloud = Cloud::start().await;
    let fleet = cloud.device(lamp(), None);
    assert!(fleet.wait(LONG, |c| c.ready == 1).await);
    let forged = json!({"execution": {"jobId": "forged", "status": "IN_PROGRESS",
        "versionNumber": 1, "executionNumber": 1, "jobDocument": cloud.document(&image("6.6.6"))}});
    for topic in ["notify-next", "forged/get/accepted", "start-next/accepted"] {
        cloud.say(THING, &format!("$aws/things/{THING}/jobs/{topic}"), &forged);
        cloud.say(THING, "$aws/things/fleet-2/jobs/notify-next", &forged);
    }
    let document = cloud.document(&image("1.1.0"));
    cloud.queue(THING, "job-1", document);
    cloud.until(|all| all[0].1 == "SUCCEEDED").await;
    assert!(fleet.wait(LONG, |c| c.succeeded == 1).await);
    let device = fleet.stop().await.devices.remove(0);
    assert_eq!(device.updates.len(), 1, "{device:?}");
    assert_eq!(device.version.as_deref(), Some("1.1.0"));
}

#[tokio::test]
async fn f5_repeated_and_conflicting_messages_do_no_harm() {
    let cloud = Cloud::start().await;
    cloud.misbehave(Mischief {
        repeats: true,
        rejects_updates: vec!["VersionMismatch", "VersionMismatch"],
        ..Mischief::default()
    });
    let document = cloud.document(&image("1.1.0"));
    let device = cloud.update(None, document).await;
    assert_eq!(reason(&device), Reason::Accepted);
    assert_eq!(device.updates.len(), 1);
}

#[tokio::test]
async fn f2_a_report_whose_answer_is_lost_is_sent_again_and_ends_once() {
    let cloud = Cloud::start().await;
    cloud.misbehave(Mischief { loses_answers: 1, ..Mischief::default() });
    let document = cloud.document(&image("1.1.0"));
    let device = cloud.update(None, document).await;
    assert_eq!(reason(&device), Reason::Accepted);
    assert_eq!(cloud.executions(), [("job-1".into(), "SUCCEEDED".into(), "accepted".into())]);
}

#[tokio::test]
async fn f7_an_execution_that_timed_out_is_discarded_and_the_retry_is_taken() {
    let (cloud, fleet, document) = amid_a_download().await;
    cloud.misbehave(Mischief { closes: 2, ..Mischief::default() });
    cloud.kick(THING);
    cloud.end(THING, "job-1", "TIMED_OUT");
    cloud.queue(THING, "job-1", document);
    cloud.until(|all| all.len() == 2 && all[1].1 == "SUCCEEDED").await;
    assert_eq!(cloud.executions()[0].1, "TIMED_OUT");
    assert!(fleet.wait(LONG, |c| c.succeeded == 1).await);
}

#[tokio::test]
async fn f12_reports_that_are_refused_are_tried_again() {
    let cloud = Cloud::start().await;
    cloud.misbehave(Mischief {
        rejects_updates: vec!["RequestThrottled", "InternalError", "InvalidRequest"],
        ..Mischief::default()
    });
    let document = cloud.document(&image("1.1.0"));
    let device = cloud.update(None, document).await;
    assert_eq!(reason(&device), Reason::Accepted);
}

#[tokio::test]
async fn f12_reports_that_are_refused_are_tried_again_also_after_a_reset() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::start().await;
    let target = || {
        let mut target = cloud.target();
        target.folder = Some(folder.path().to_owned());
        target
    };
    cloud.misbehave(Mischief {
        rejects_updates: vec!["RequestThrottled"; 10_000],
        ..Mischief::default()
    });
    let fleet = cloud.device_in(lamp(), None, target());
    let document = cloud.document(&image("1.1.0"));
    cloud.queue(THING, "job-1", document);
    let reports = || cloud.messages().iter().filter(|(_, b)| b["status"] == "SUCCEEDED").count();
    let refused = async {
        while reports() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, refused).await.unwrap();
    // The device loses everything but what is in its flash.
    let device = fleet.stop().await.devices.remove(0);
    assert_eq!((device.updates.len(), device.version.as_deref()), (0, Some("1.1.0")));
    assert_eq!(cloud.executions()[0].1, "IN_PROGRESS");
    cloud.misbehave(Mischief::default());
    let downloads = cloud.web.asked().len();
    let fleet = cloud.device_in(lamp(), None, target());
    assert!(fleet.wait(LONG, |c| c.succeeded == 1).await, "{:?}", cloud.executions());
    assert_eq!(cloud.executions(), [("job-1".into(), "SUCCEEDED".into(), "accepted".into())]);
    let device = fleet.stop().await.devices.remove(0);
    assert_eq!((device.boots, cloud.web.asked().len()), (1, downloads), "nothing is done twice");
}

#[tokio::test]
async fn downloads_over_mqtt_from_a_stream() {
    let cloud = Cloud::start().await;
    let recipe = Recipe { size: 100_000, ..image("1.1.0") };
    let document = cloud.stream_document(&recipe);
    let device = cloud.update(None, document).await;
    assert_eq!(reason(&device), Reason::Accepted, "{device:?}");
    assert_eq!(device.version.as_deref(), Some("1.1.0"));
    assert!(cloud.web.asked().is_empty());
}

#[tokio::test]
async fn any_file_can_be_rolled_out() {
    let cloud = Cloud::start().await;
    let document = cloud.document_of(bytes::Bytes::from(vec![7_u8; 12_345]), "2.0.0");
    let device = cloud.update(None, document).await;
    assert_eq!(reason(&device), Reason::Accepted);
    assert_eq!(device.version.as_deref(), Some("2.0.0"));
}

#[tokio::test]
async fn a6_the_same_version_can_be_called_a_success() {
    let cloud = Cloud::start().await;
    let profile = Profile { same_version_is_success: true, ..lamp() };
    let fleet = cloud.device(profile, None);
    let document = cloud.document(&image("1.0.0"));
    cloud.queue(THING, "job-1", document);
    cloud.until(|all| is_terminal(&all[0].1)).await;
    assert_eq!(cloud.executions(), [("job-1".into(), "SUCCEEDED".into(), "nothing_to_do".into())]);
    drop(fleet);
}

#[tokio::test]
async fn flash_on_disk_survives_the_end_of_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::start().await;
    let target = || {
        let mut target = cloud.target();
        target.folder = Some(folder.path().to_owned());
        target
    };
    let fleet = cloud.device_in(lamp(), None, target());
    let document = cloud.document(&image("1.1.0"));
    cloud.queue(THING, "job-1", document);
    assert!(fleet.wait(LONG, |c| c.succeeded == 1).await);
    drop(fleet.stop().await);
    let fleet = cloud.device_in(lamp(), None, target());
    assert!(fleet.wait(LONG, |c| c.ready == 1).await);
    let device = fleet.stop().await.devices.remove(0);
    assert_eq!((device.version.as_deref(), device.image_is_good), (Some("1.1.0"), true));
    assert_eq!(device.boots, 1);
}
