//! Every fault, injected into one device, ends as its row says.

use iotstack_sim::{Counts, DeviceRecord, Expected, Fault, Fleet, Reason};
use serde_json::Value;

use super::cloud::{Cloud, LONG, Mischief, THING, image, is_terminal, lamp};

/// Ends the first execution as the fault wants it, which whoever runs the simulation is
/// asked for, and retries it if that is what follows.
async fn end_as_asked(fault: Fault, cloud: &Cloud, fleet: &Fleet, document: &Value) {
    let asked = |end: &str| cloud.messages().iter().any(|(topic, _)| topic.ends_with(end));
    match fault {
        Fault::Cancelled => cloud.until(|all| all[0].1 == "IN_PROGRESS").await,
        Fault::CancelledInQueue => {
            cloud.until(|_| asked("/jobs/get")).await;
            assert_eq!(cloud.executions()[0].1, "QUEUED");
        }
        Fault::CancelledOnTrial => {
            assert!(fleet.wait(LONG, |counts| counts.boots == 2).await);
            cloud.until(|_| asked("/jobs/job-1/get")).await;
            assert_eq!(cloud.executions()[0].1, "IN_PROGRESS");
        }
        Fault::TimedOut => {
            let is_away = |c: &Counts| c.started == 1 && c.connected == 0;
            assert!(fleet.wait(LONG, is_away).await);
            let begun = |(topic, body): &(String, Value)| {
                topic.ends_with("/start-next") && body["stepTimeoutInMinutes"] == 1
            };
            assert!(cloud.messages().iter().any(begun), "{:?}", cloud.messages());
            cloud.end(THING, "job-1", "TIMED_OUT");
            return cloud.queue(THING, "job-1", document.clone());
        }
        _ => return,
    }
    cloud.end(THING, "job-1", "CANCELED");
}

/// Plays a fault in the first update of a device and returns how that ended.
async fn play(fault: Fault) -> Option<Reason> {
    let needs_tls = fault.id().starts_with("TLS_")
        || matches!(fault, Fault::WrongClock | Fault::ClockAhead | Fault::ClaimRefused);
    let cloud = match needs_tls {
        true => Cloud::with_tls("localhost").await,
        false => Cloud::start().await,
    };
    let document = cloud.document(&image("1.1.0"));
    let fleet = cloud.device(lamp(), Some(fault));
    cloud.queue(THING, "job-1", document.clone());
    end_as_asked(fault, &cloud, &fleet, &document).await;
    cloud.until(|all| all.iter().all(|(_, status, _)| is_terminal(status))).await;
    let ended = |c: &Counts| c.succeeded + c.failed + c.rejected + c.abandoned > 0;
    assert!(fleet.wait(LONG, ended).await, "{fault}: the device does not know");
    // Afterwards the device is as good as any other.
    for (job, version) in [("job-2", "1.2.0"), ("job-3", "1.3.0")] {
        cloud.queue(THING, job, cloud.document(&image(version)));
        cloud.until(|all| all.iter().all(|(_, status, _)| is_terminal(status))).await;
        let last = cloud.executions().pop().unwrap();
        assert_eq!((last.0.as_str(), last.1.as_str()), (job, "SUCCEEDED"), "{fault}");
        let all = cloud.executions().len() as u64;
        let ended = |c: &Counts| c.succeeded + c.failed + c.rejected + c.abandoned == all;
        assert!(fleet.wait(LONG, ended).await, "{fault}: the device does not know of {job}");
    }
    let device = fleet.stop().await.devices.remove(0);
    assert!(device.image_is_good, "{fault}: {device:?}");
    assert_eq!(device.version.as_deref(), Some("1.3.0"), "{fault}");
    assert!(device.is_as_expected(), "{fault}: {device:?}");
    let executions = cloud.executions();
    assert_eq!(executions.len(), device.updates.len(), "{fault}: both know the same");
    for ((_, status, _), update) in executions.iter().zip(&device.updates) {
        // A device is told that an execution is over, and not that it was a timer's doing.
        let status = if status == "TIMED_OUT" { "CANCELED" } else { status };
        assert_eq!(status, update.status.to_string(), "{fault}: both tell the same");
    }
    device.updates[0].reason
}

/// One test for each fault, so that each has a name.
macro_rules! faults {
    ($($name:ident = $fault:ident;)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                let reason = play(Fault::$fault).await;
                match Fault::$fault.expected() {
                    Expected::Ends(expected) => assert_eq!(reason, Some(expected)),
                    Expected::Succeeds | Expected::SucceedsThrice => {
                        assert_eq!(reason, Some(Reason::Accepted));
                    }
                    Expected::EndedByTheCloud => assert_eq!(reason, None),
                    Expected::AsTheCloudDecides => {}
                }
            }
        )*

        #[test]
        fn every_fault_has_a_test() {
            let tested = [$(Fault::$fault),*];
            for fault in Fault::ALL {
                assert!(tested.contains(fault), "{fault}");
            }
        }
    };
}

faults! {
    none = Nothing;
    tls_unsecure_server_cert = UnknownBroker;
    tls_incorrect_subject_name_server_cert = MisnamedBroker;
    tls_expired_server_cert = ExpiredBroker;
    tls_large_size_server_cert = LargeCertificate;
    tls_support_aws_iot_cipher_suites = CipherSuites;
    tls_receive_maximum_size_fragments = LargestFragments;
    shadow_update_reported_state = ShadowWish;
    otae2e_back_to_back_downloads = BackToBack;
    a1_bit_flip = BitFlip;
    a1_truncated = Truncated;
    a2_unsigned = Unsigned;
    a2_garbage_signature = GarbageSignature;
    a3_untrusted_signer = UntrustedSigner;
    a3_revoked_signer = RevokedSigner;
    a3_expired_signer = ExpiredSigner;
    a4_wrong_algorithm = WrongAlgorithm;
    a5_downgrade = Downgrade;
    a6_same_version = SameVersion;
    a7_fast_forward = FastForward;
    a8_expired = Expired;
    a8_expired_image = ExpiredImage;
    a8_replay = Replay;
    a9_wrong_device = WrongDevice;
    a10_endless_data = EndlessData;
    a10_length_lie = LengthLie;
    a11_slow_retrieval = SlowRetrieval;
    a11_stall = Stall;
    a12_extra_bytes = ExtraBytes;
    a13_redirect = Redirect;
    a13_plain_redirect = PlainRedirect;
    a13_misnamed_server = MisnamedServer;
    a13_unknown_server = UnknownServer;
    a14_url_expired = UrlExpired;
    a15_mix_and_match = MixAndMatch;
    a15_range_ignored = RangeIgnored;
    a16_swapped_image = SwappedImage;
    a17_wrong_base = WrongBase;
    a18_foreign_job = ForeignJob;
    a18_foreign_certificate = ForeignCertificate;
    security_device_policies = ForeignTopics;
    a19_claim_refused = ClaimRefused;
    f1_power_cut = PowerCut;
    f1_torn_write = TornWrite;
    f2_cut_before_report = CutBeforeReport;
    f2_cut_after_install = CutAfterInstall;
    f3_crash = Crash;
    f3_hang = Hang;
    f3_self_test = SelfTest;
    f3_no_connection = NoConnection;
    f4_network_loss = NetworkLoss;
    otae2e_disconnect_resume = SecondClient;
    mqtt_long_duration = Intermittent;
    mqtt_persistent_session_happy_case = KeptSession;
    mqtt_expired_persistent_session = LostSession;
    f4_no_connack = NoConnack;
    f4_no_puback = NoPuback;
    f4_no_suback = NoSuback;
    f4_no_pingresp = NoPingresp;
    f5_duplicates = Duplicates;
    f5_reordered = Reordered;
    f5_conflict = Conflict;
    f6_cancelled = Cancelled;
    f6_cancelled_in_queue = CancelledInQueue;
    f6_cancelled_on_trial = CancelledOnTrial;
    f7_timed_out = TimedOut;
    f8_flash_full = FlashFull;
    f8_flash_read_only = FlashReadOnly;
    f8_bad_block = BadBlock;
    f8_sync_fails = SyncFails;
    f9_wrong_clock = WrongClock;
    f9_clock_ahead = ClockAhead;
    f9_clock_jumps = ClockJumps;
    f10_herd = Herd;
    f11_cloud_killed = CloudKilled;
    f12_report_refused = ReportRefused;
}

/// The update of a device with a fault, on a cloud that does this wrong.
async fn play_with(fault: Fault, mischief: Mischief) -> DeviceRecord {
    watch(fault, mischief).await.1
}

/// The same, with the cloud as a witness.
async fn watch(fault: Fault, mischief: Mischief) -> (Cloud, DeviceRecord) {
    let cloud = Cloud::start().await;
    cloud.misbehave(mischief);
    let document = cloud.document(&image("1.1.0"));
    let device = cloud.update(Some(fault), document).await;
    assert_eq!(cloud.executions()[0].1, "SUCCEEDED");
    (cloud, device)
}

#[tokio::test]
async fn f2_the_power_fails_before_anybody_hears_of_the_install_and_on_trial() {
    let (cloud, device) = watch(Fault::CutAfterInstall, Mischief::default()).await;
    // The first boot, the one into the new image, and the one after the cut on trial.
    assert_eq!(device.boots, 3, "{device:?}");
    let told: Vec<Value> =
        cloud.messages().into_iter().map(|(_, body)| body["status"].clone()).collect();
    assert!(!told.contains(&"IN_PROGRESS".into()), "nobody heard of the install");
    assert_eq!(told.iter().filter(|status| **status == "SUCCEEDED").count(), 1);
    let (_, device) = watch(Fault::CutBeforeReport, Mischief::default()).await;
    assert_eq!(device.boots, 3, "{device:?}");
}

#[tokio::test]
async fn f5_a_report_that_conflicts_is_made_again_with_the_new_version() {
    let (cloud, device) = watch(Fault::Conflict, Mischief::default()).await;
    assert!(device.is_as_expected(), "{device:?}");
    let versions: Vec<Option<i64>> = cloud
        .messages()
        .iter()
        .filter(|(_, body)| body["status"] == "SUCCEEDED")
        .map(|(_, body)| body["expectedVersion"].as_i64())
        .collect();
    let [Some(stale), Some(fresh)] = versions[..] else { panic!("{versions:?}") };
    assert_eq!(fresh, stale + 1);
}

#[tokio::test]
async fn f6_a_job_that_is_cancelled_while_there_is_no_connection_is_given_up() {
    let cloud = Cloud::start().await;
    let fleet = cloud.device(lamp(), Some(Fault::CancelledInQueue));
    cloud.queue(THING, "job-1", cloud.document(&image("1.1.0")));
    let asked =
        || cloud.messages().iter().filter(|(topic, _)| topic.ends_with("/jobs/get")).count();
    // Who asks again has heard what is queued, and has asked the operator.
    cloud.until(|_| asked() >= 2).await;
    cloud.kick(THING);
    cloud.end(THING, "job-1", "CANCELED");
    assert!(fleet.wait(LONG, |counts| counts.abandoned == 1).await, "the end was not seen");
    let device = fleet.stop().await.devices.remove(0);
    assert!(device.losses >= 1 && device.is_as_expected(), "{device:?}");
}

#[tokio::test]
async fn f12_the_power_fails_between_refusals_and_the_report_is_kept() {
    let (cloud, device) = watch(Fault::ReportRefused, Mischief::default()).await;
    assert_eq!(device.boots, 3, "{device:?}");
    assert_eq!(cloud.web.asked().len(), 1, "nothing is fetched again");
    assert_eq!(cloud.executions(), [("job-1".into(), "SUCCEEDED".into(), "accepted".into())]);
}

#[tokio::test]
async fn otae2e_disconnect_resume_goes_on_with_what_is_there() {
    let (cloud, device) = watch(Fault::SecondClient, Mischief::default()).await;
    assert!(device.is_as_expected() && device.losses >= 1, "{device:?}");
    let greetings = cloud.greetings().len();
    assert!(greetings >= 4, "two clients before the reset and one after it: {greetings}");
    let asked = cloud.web.asked();
    assert_eq!((asked.len(), asked[0].as_str(), asked[1].as_str()), (2, "", "bytes=8192-"));
}

#[tokio::test]
async fn a18_a_cloud_without_policies_is_found_out() {
    let nothing = Mischief { has_no_policy: true, ..Mischief::default() };
    let filters = Mischief { grants_filters: true, ..Mischief::default() };
    for (fault, mischief, words) in [
        (Fault::ForeignCertificate, &nothing, "the broker let the certificate of another thing in"),
        (Fault::ForeignTopics, &nothing, "the broker let the device listen to other things"),
        (Fault::ForeignTopics, &filters, "the broker let the device listen to other things"),
    ] {
        let device = play_with(fault, mischief.clone()).await;
        assert!(!device.is_as_expected(), "{device:?}");
        assert_eq!(device.mishap.as_deref(), Some(words));
    }
}

#[tokio::test]
async fn security_device_policies_are_tried_filter_by_filter_and_by_speaking() {
    let (cloud, device) = watch(Fault::ForeignTopics, Mischief::default()).await;
    assert!(device.is_as_expected(), "{device:?}");
    let filters = cloud.filters();
    let foreign: Vec<&str> = filters.iter().take(2).map(String::as_str).collect();
    assert_eq!(foreign, ["$aws/things/fleet-1-stranger/jobs/notify-next", "#"]);
    assert_eq!(cloud.refused(), ["$aws/things/fleet-1-stranger/jobs/get"]);
}

#[tokio::test]
async fn security_device_policies_are_tried_again_after_a_connection_that_failed() {
    let mischief = Mischief { withheld: [("CONNACK", 1)].into(), ..Mischief::default() };
    let (cloud, device) = watch(Fault::ForeignTopics, mischief).await;
    assert!(device.losses == 1 && device.is_as_expected(), "{device:?}");
    assert_eq!(cloud.refused(), ["$aws/things/fleet-1-stranger/jobs/get"]);
}

#[tokio::test]
async fn f4_a_broker_that_serves_two_clients_with_one_name_is_found_out() {
    let mischief = Mischief { serves_twins: true, ..Mischief::default() };
    let device = play_with(Fault::SecondClient, mischief).await;
    assert!(!device.is_as_expected(), "{device:?}");
    assert_eq!(device.mishap.as_deref(), Some("the broker served two clients with one name"));
}

#[tokio::test]
async fn mqtt_persistent_session_that_is_forgotten_is_found_out() {
    let mischief = Mischief { forgets_sessions: true, ..Mischief::default() };
    let device = play_with(Fault::KeptSession, mischief).await;
    assert!(!device.is_as_expected(), "{device:?}");
    assert_eq!(device.mishap.as_deref(), Some("the broker has not kept the session"));
}

#[tokio::test]
async fn an_impostor_is_met_and_refused_before_anything_is_said() {
    for fault in [Fault::UnknownBroker, Fault::MisnamedBroker, Fault::ExpiredBroker] {
        let device = play_with(fault, Mischief::default()).await;
        assert!(device.is_as_expected(), "{device:?}");
        assert!(device.losses == 1 && device.connects >= 1, "{device:?}");
    }
}

#[tokio::test]
async fn a_fault_on_the_wire_that_never_came_was_not_survived() {
    let cloud = Cloud::start().await;
    let fleet = cloud.device(lamp(), Some(Fault::SecondClient));
    assert!(fleet.wait(LONG, |counts| counts.ready == 1).await);
    let device = fleet.stop().await.devices.remove(0);
    assert_eq!(device.mishap.as_deref(), Some("the fault was never met"));
}
