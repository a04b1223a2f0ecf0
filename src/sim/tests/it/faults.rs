//! Every fault, injected into one device, ends as its row says.

use iotstack_sim::{Expected, Fault, Reason};

use super::cloud::{Cloud, LONG, THING, image, is_terminal, lamp};

/// Plays a fault in the first update of a device and returns how that ended.
async fn play(fault: Fault) -> Option<Reason> {
    let needs_tls = matches!(fault, Fault::WrongClock | Fault::ClaimRefused);
    let cloud = match needs_tls {
        true => Cloud::with_tls("localhost").await,
        false => Cloud::start().await,
    };
    let document = cloud.document(&image("1.1.0"));
    let fleet = cloud.device(lamp(), Some(fault));
    cloud.queue(THING, "job-1", document.clone());
    if fault == Fault::Cancelled {
        // What whoever runs the simulation is asked for, done here by hand.
        cloud.until(|all| all[0].1 == "IN_PROGRESS").await;
        cloud.end(THING, "job-1", "CANCELED");
    }
    cloud.until(|all| all.iter().all(|(_, status, _)| is_terminal(status))).await;
    let ended = |c: &iotstack_sim::Counts| c.succeeded + c.failed + c.rejected + c.abandoned > 0;
    assert!(fleet.wait(LONG, ended).await, "{fault}: the device does not know");
    // Afterwards the device is as good as any other.
    cloud.queue(THING, "job-2", cloud.document(&image("1.2.0")));
    cloud.until(|all| is_terminal(&all[1].1)).await;
    assert_eq!(cloud.executions()[1].1, "SUCCEEDED", "{fault}: the next job");
    let both = |c: &iotstack_sim::Counts| c.succeeded + c.failed + c.rejected + c.abandoned > 1;
    assert!(fleet.wait(LONG, both).await, "{fault}: the device does not know of the second");
    let device = fleet.stop().await.devices.remove(0);
    assert!(device.image_is_good, "{fault}: {device:?}");
    assert_eq!(device.version.as_deref(), Some("1.2.0"), "{fault}");
    assert!(device.is_as_expected(), "{fault}: {device:?}");
    let status = &cloud.executions()[0].1;
    assert_eq!(*status, device.updates[0].status.to_string(), "{fault}: both tell the same");
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
                    Expected::Succeeds => assert_eq!(reason, Some(Reason::Accepted)),
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
    a1_bit_flip = BitFlip;
    a1_truncated = Truncated;
    a2_unsigned = Unsigned;
    a2_garbage_signature = GarbageSignature;
    a3_untrusted_signer = UntrustedSigner;
    a3_revoked_signer = RevokedSigner;
    a4_wrong_algorithm = WrongAlgorithm;
    a5_downgrade = Downgrade;
    a6_same_version = SameVersion;
    a7_fast_forward = FastForward;
    a8_expired = Expired;
    a8_expired_image = ExpiredImage;
    a9_wrong_device = WrongDevice;
    a10_endless_data = EndlessData;
    a11_slow_retrieval = SlowRetrieval;
    a11_stall = Stall;
    a12_extra_bytes = ExtraBytes;
    a13_redirect = Redirect;
    a14_url_expired = UrlExpired;
    a15_mix_and_match = MixAndMatch;
    a16_swapped_image = SwappedImage;
    a17_wrong_base = WrongBase;
    a18_foreign_job = ForeignJob;
    a19_claim_refused = ClaimRefused;
    f1_power_cut = PowerCut;
    f1_torn_write = TornWrite;
    f2_cut_before_report = CutBeforeReport;
    f3_crash = Crash;
    f3_hang = Hang;
    f3_self_test = SelfTest;
    f3_no_connection = NoConnection;
    f4_network_loss = NetworkLoss;
    f4_no_connack = NoConnack;
    f4_no_puback = NoPuback;
    f4_no_suback = NoSuback;
    f4_no_pingresp = NoPingresp;
    f5_duplicates = Duplicates;
    f6_cancelled = Cancelled;
    f7_offline_in_download = OfflineInDownload;
    f8_flash_full = FlashFull;
    f8_flash_read_only = FlashReadOnly;
    f8_bad_block = BadBlock;
    f8_sync_fails = SyncFails;
    f9_wrong_clock = WrongClock;
    f10_herd = Herd;
    f11_cloud_killed = CloudKilled;
    f12_report_refused = ReportRefused;
}
