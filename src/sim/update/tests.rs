//! Updates without sockets: every outcome, and a power cut at every write.

use bytes::Bytes;
use iotstack_protocol::JobExecutionStatus;

use super::*;
use crate::boot::{BootError, Manifest, boot, manufacture};
use crate::flash::{Shelf, Slot, Wear};
use crate::image::{Behaviour, Recipe, digest};
use crate::order::Source;
use crate::signer::Signer;
use crate::trust::Claim;

const NOW: u64 = 1_900_000_000;
const CAPACITY: u64 = 256 * 1024;

/// A device, its makers, and what the cloud was told.
struct Bench {
    flash: Flash,
    trust: Trust,
    signer: Signer,
    reports: Vec<Outcome>,
    floor: String,
    boots: u32,
    order: Order,
    served: Bytes,
    key: JobKey,
    is_acknowledged: bool,
    same_version_is_success: bool,
}

impl Bench {
    fn new(flash: Flash) -> Self {
        let signer = Signer::generate("signer.pem").unwrap();
        let mut trust = Trust::new();
        trust.add("signer.pem", signer.certificate()).unwrap();
        let mut bench = Bench {
            flash,
            trust,
            reports: Vec::new(),
            floor: "1.0.0".to_owned(),
            boots: 0,
            order: Order {
                version: None,
                source: Source::Url(String::new()),
                size: 0,
                sha256: None,
                claim: Claim::default(),
                expires: None,
                sequence: None,
            },
            served: Bytes::new(),
            key: JobKey { id: "job-1".parse().unwrap(), execution: 1 },
            is_acknowledged: false,
            same_version_is_success: false,
            signer,
        };
        let factory = lamp("1.0.0").make().unwrap();
        let sha256 = digest(&factory);
        let manifest = Manifest {
            version: "1.0.0".to_owned(),
            size: factory.len() as u64,
            sha256,
            claim: bench.signer.sign(&sha256),
            job: None,
            sequence: None,
            behaviour: Behaviour::Healthy,
        };
        manufacture(&mut bench.flash, factory, manifest).unwrap();
        bench.offer(lamp("1.1.0"));
        bench
    }

    fn in_memory() -> Self {
        Bench::new(Flash::in_memory(CAPACITY, Shelf::default()))
    }

    /// The cloud has a job with this image.
    fn offer(&mut self, recipe: Recipe) {
        self.offer_bytes(recipe.make().unwrap(), &recipe.version);
    }

    fn offer_bytes(&mut self, image: Bytes, version: &str) {
        let sha256 = digest(&image);
        self.order = Order {
            version: Some(version.to_owned()),
            source: Source::Url("https://h/k".to_owned()),
            size: image.len() as u64,
            sha256: Some(sha256),
            claim: self.signer.sign(&sha256),
            expires: None,
            sequence: None,
        };
        self.served = image;
    }

    fn next_job(&mut self, id: &str) {
        self.key = JobKey { id: id.parse().unwrap(), execution: 1 };
        self.is_acknowledged = false;
        self.reports.clear();
    }

    /// Lives until the cloud has the report, over resets and power cuts.
    fn live(&mut self) -> Outcome {
        for _ in 0..60 {
            match self.power_cycle() {
                Ok(()) if self.is_acknowledged => {
                    let first = self.reports[0].clone();
                    // A report can be sent twice, but never with another end.
                    assert!(self.reports.iter().all(|r| *r == first), "{:?}", self.reports);
                    return first;
                }
                Ok(()) => {}
                Err(FlashError::PowerLost) => self.flash.power_on(),
                Err(error) => panic!("the device died: {error}"),
            }
        }
        panic!("the update never ended: {:?}", self.reports);
    }

    /// From a reset to the next one, or to the acknowledged report.
    fn power_cycle(&mut self) -> Result<(), FlashError> {
        self.boots += 1;
        let running = match boot(&mut self.flash, &self.trust) {
            Ok(running) => running,
            Err(BootError::Flash(error)) => return Err(error),
            Err(error) => panic!("nothing boots: {error}"),
        };
        self.check_invariants(&running);
        if matches!(running.behaviour, Behaviour::Crashes | Behaviour::Hangs) {
            return Ok(());
        }
        let mut updater = Updater::wake(&mut self.flash, running)?;
        loop {
            let rules = Rules {
                model: "lamp",
                now: NOW,
                trust: &self.trust,
                same_version_is_success: self.same_version_is_success,
            };
            match updater.state().clone() {
                State::Idle if self.is_acknowledged => return Ok(()),
                State::Idle => {
                    let order = Ok(self.order.clone());
                    updater.accept(&mut self.flash, self.key.clone(), order, &rules)?;
                }
                State::Downloading { .. } => {
                    let (at, tag) = updater.resume_point();
                    assert!(at == 0 || tag.is_some());
                    if updater.start_body(&mut self.flash, at, Some("etag"))? {
                        for chunk in self.served[at as usize..].chunks(3000) {
                            updater.take(&mut self.flash, chunk)?;
                        }
                        updater.complete(&mut self.flash, &rules)?;
                    }
                }
                State::Rebooting => return Ok(()),
                State::Testing => match updater.running().behaviour {
                    Behaviour::Healthy => updater.commit(&mut self.flash)?,
                    _ => updater.revert(&mut self.flash, "self test failed")?,
                },
                State::Ended(outcome) => {
                    self.reports.push(outcome);
                    // Whoever sends it a second time is told that it is known.
                    updater.reported(&mut self.flash)?;
                    self.is_acknowledged = true;
                }
            }
        }
    }

    /// What must hold at every boot: the image is signed, and the floor holds.
    fn check_invariants(&mut self, running: &Booted) {
        let record = boot::read(&self.flash).unwrap();
        let manifest = record.slots[running.slot.index()].clone().unwrap();
        let bytes = self.flash.read_slot(running.slot, manifest.size).unwrap();
        assert_eq!(digest(&bytes), manifest.sha256);
        assert_eq!(self.trust.vouches(&digest(&bytes), &manifest.claim), Ok(()));
        assert!(crate::version::compare(&running.version, &record.floor).is_ge());
        assert!(crate::version::compare(&record.floor, &self.floor).is_ge(), "the floor sank");
        self.floor = record.floor;
    }

    fn floor(&self) -> String {
        boot::read(&self.flash).unwrap().floor
    }

    fn version(&mut self) -> String {
        boot(&mut self.flash, &self.trust).unwrap().version
    }
}

fn lamp(version: &str) -> Recipe {
    Recipe { model: Some("lamp".to_owned()), ..Recipe::new(version, 10_000) }
}

fn ends(bench: &mut Bench, reason: Reason, version: &str) {
    let outcome = bench.live();
    assert_eq!(outcome.reason, reason, "{outcome}");
    assert_eq!(bench.version(), version);
}

#[test]
fn otae2e_greater_version_updates() {
    let mut bench = Bench::in_memory();
    ends(&mut bench, Reason::Accepted, "1.1.0");
    assert_eq!(bench.reports[0].status(), JobExecutionStatus::Succeeded);
    assert_eq!(bench.floor(), "1.1.0", "the floor moves with the commit");
}

#[test]
fn otae2e_back_to_back_downloads_succeed() {
    let mut bench = Bench::in_memory();
    for version in ["1.1.0", "1.2.0", "2.0.0"] {
        bench.next_job(&format!("job-{}", version.replace('.', "-")));
        bench.offer(lamp(version));
        ends(&mut bench, Reason::Accepted, version);
    }
}

#[test]
fn a1_flipped_and_missing_bytes_fail_before_install() {
    let mut bench = Bench::in_memory();
    let mut bytes = bench.served.to_vec();
    bytes[7000] ^= 1;
    bench.served = bytes.into();
    ends(&mut bench, Reason::Checksum, "1.0.0");
    bench.next_job("job-2");
    bench.offer(lamp("1.1.0"));
    bench.served.truncate(9000);
    ends(&mut bench, Reason::Checksum, "1.0.0");
}

#[test]
fn a2_unsigned_images_are_never_fetched() {
    for value in ["", "bm90IGEgc2lnbmF0dXJl"] {
        let mut bench = Bench::in_memory();
        bench.order.claim.value = value.to_owned();
        bench.flash.tamper(Slot::B, 0, b"before");
        ends(&mut bench, Reason::Signature, "1.0.0");
        assert_eq!(bench.flash.read_slot(Slot::B, 6).unwrap(), "before", "nothing was written");
    }
}

#[test]
fn a3_untrusted_signers_are_rejected() {
    let mut bench = Bench::in_memory();
    let stranger = Signer::generate("stranger.pem").unwrap();
    bench.order.claim = stranger.sign(&bench.order.sha256.unwrap());
    ends(&mut bench, Reason::UntrustedSigner, "1.0.0");
    let mut bench = Bench::in_memory();
    bench.trust.revoke("signer.pem");
    ends(&mut bench, Reason::UntrustedSigner, "1.0.0");
}

#[test]
fn a3_a_signer_whose_certificate_ran_out_is_rejected() {
    let mut bench = Bench::in_memory();
    let expired = Signer::generate_expired("expired.pem").unwrap();
    bench.trust.add("expired.pem", expired.certificate()).unwrap();
    bench.order.claim = expired.sign(&bench.order.sha256.unwrap());
    ends(&mut bench, Reason::UntrustedSigner, "1.0.0");
    assert_eq!(bench.reports[0].status(), JobExecutionStatus::Rejected);
    assert!(bench.reports[0].detail.contains("`expired.pem` ran out"), "{}", bench.reports[0]);
}

#[test]
fn a4_other_algorithms_are_rejected() {
    let mut bench = Bench::in_memory();
    bench.order.claim.algorithm = "SHA1withRSA".to_owned();
    ends(&mut bench, Reason::Algorithm, "1.0.0");
}

#[test]
fn a5_older_versions_are_rejected_also_after_a_reset() {
    let mut bench = Bench::in_memory();
    ends(&mut bench, Reason::Accepted, "1.1.0");
    for (job, version) in [("job-2", "1.0.0"), ("job-3", "1.0.9")] {
        bench.next_job(job);
        bench.offer(lamp(version));
        ends(&mut bench, Reason::Rollback, "1.1.0");
    }
}

#[test]
fn a6_the_same_version_is_rejected_or_a_success_without_work() {
    for (is_success, reason) in [(false, Reason::SameVersion), (true, Reason::NothingToDo)] {
        let mut bench = Bench::in_memory();
        bench.same_version_is_success = is_success;
        bench.offer(lamp("1.0.0"));
        let writes = bench.flash.writes();
        ends(&mut bench, reason, "1.0.0");
        assert!(bench.flash.writes() - writes <= 3, "no reflash");
        assert_eq!(bench.boots, 1);
    }
}

#[test]
fn a7_a_high_version_counts_only_if_it_is_signed() {
    let mut bench = Bench::in_memory();
    bench.order.version = Some("999.0.0".to_owned());
    ends(&mut bench, Reason::Document, "1.0.0");
    assert_eq!(bench.floor(), "1.0.0");
    bench.next_job("job-2");
    bench.offer(Recipe { behaviour: Behaviour::FailsSelfTest, ..lamp("999.0.0") });
    ends(&mut bench, Reason::RolledBack, "1.0.0");
    assert_eq!(bench.floor(), "1.0.0", "the floor moves only with a commit");
    bench.next_job("job-3");
    bench.offer(lamp("999.0.0"));
    ends(&mut bench, Reason::Accepted, "999.0.0");
    assert_eq!(bench.floor(), "999.0.0");
}

#[test]
fn a8_expired_and_replayed_orders_fail() {
    let mut bench = Bench::in_memory();
    bench.order.expires = Some(NOW);
    ends(&mut bench, Reason::Expired, "1.0.0");
    let mut bench = Bench::in_memory();
    bench.offer(Recipe { expires: Some(NOW - 1), ..lamp("1.1.0") });
    ends(&mut bench, Reason::Expired, "1.0.0");
    let mut bench = Bench::in_memory();
    bench.offer(Recipe { sequence: Some(9), ..lamp("1.1.0") });
    ends(&mut bench, Reason::Accepted, "1.1.0");
    bench.next_job("job-2");
    bench.offer(Recipe { sequence: Some(8), ..lamp("1.2.0") });
    ends(&mut bench, Reason::Expired, "1.1.0");
    bench.next_job("job-3");
    bench.offer(lamp("1.2.0"));
    bench.order.sequence = Some(3);
    ends(&mut bench, Reason::Expired, "1.1.0");
}

#[test]
fn a9_images_for_another_model_are_rejected() {
    let mut bench = Bench::in_memory();
    bench.offer(Recipe { model: Some("pump".to_owned()), ..lamp("1.1.0") });
    ends(&mut bench, Reason::WrongDevice, "1.0.0");
}

#[test]
fn a10_nothing_beyond_the_declared_size_is_stored() {
    let mut bench = Bench::in_memory();
    bench.served = [bench.served.clone(), vec![0; 300_000].into()].concat().into();
    ends(&mut bench, Reason::Size, "1.0.0");
    let stored = bench.flash.read_slot(Slot::B, u64::MAX).unwrap().len() as u64;
    assert!(stored <= bench.order.size, "{stored}");
    bench.next_job("job-2");
    bench.offer(Recipe { size: 300_000, ..lamp("1.1.0") });
    ends(&mut bench, Reason::Storage, "1.0.0");
}

#[test]
fn a12_bytes_after_the_image_are_rejected() {
    let mut bench = Bench::in_memory();
    let image = [lamp("1.1.0").make().unwrap(), Bytes::from_static(b"more")].concat();
    bench.offer_bytes(image.into(), "1.1.0");
    ends(&mut bench, Reason::ExtraBytes, "1.0.0");
}

#[test]
fn a15_two_images_are_never_spliced() {
    let mut bench = Bench::in_memory();
    let trust = bench.trust.clone();
    let rules = Rules { model: "lamp", now: NOW, trust: &trust, same_version_is_success: false };
    let running = boot(&mut bench.flash, &bench.trust).unwrap();
    let mut updater = Updater::wake(&mut bench.flash, running).unwrap();
    let order = Ok(bench.order.clone());
    updater.accept(&mut bench.flash, bench.key.clone(), order, &rules).unwrap();
    assert!(updater.start_body(&mut bench.flash, 0, Some("one")).unwrap());
    updater.take(&mut bench.flash, &bench.served[..5000]).unwrap();
    assert_eq!(updater.resume_point(), (4096, Some("one")));
    // The server has another image now: what is there must go.
    assert!(!updater.start_body(&mut bench.flash, 4096, Some("two")).unwrap());
    assert_eq!(updater.resume_point(), (0, None));
    // A server that ignores the range sends everything: that is a new beginning, too.
    assert!(updater.start_body(&mut bench.flash, 0, Some("two")).unwrap());
    updater.take(&mut bench.flash, &bench.served[..5000]).unwrap();
    assert!(updater.start_body(&mut bench.flash, 0, Some("two")).unwrap());
    assert_eq!(updater.arrived(), 0);
    updater.take(&mut bench.flash, &bench.served).unwrap();
    updater.complete(&mut bench.flash, &rules).unwrap();
    assert_eq!(*updater.state(), State::Rebooting);
}

#[test]
fn a15_an_image_that_changes_for_ever_ends_the_update() {
    let mut bench = Bench::in_memory();
    let trust = bench.trust.clone();
    let rules = Rules { model: "lamp", now: NOW, trust: &trust, same_version_is_success: false };
    let running = boot(&mut bench.flash, &trust).unwrap();
    let mut updater = Updater::wake(&mut bench.flash, running).unwrap();
    let order = Ok(bench.order.clone());
    updater.accept(&mut bench.flash, bench.key.clone(), order, &rules).unwrap();
    for round in 0..20 {
        let (at, _) = updater.resume_point();
        if updater.start_body(&mut bench.flash, at, Some(&format!("tag-{round}"))).unwrap() {
            updater.take(&mut bench.flash, &bench.served[at as usize..][..4096]).unwrap();
        }
    }
    let State::Ended(outcome) = updater.state() else { panic!("{:?}", updater.state()) };
    assert_eq!(outcome.reason, Reason::Download);
}

#[test]
fn a16_an_image_changed_before_the_boot_does_not_run() {
    let mut bench = Bench::in_memory();
    bench.power_cycle().unwrap();
    bench.flash.tamper(Slot::B, 9000, b"changed");
    ends(&mut bench, Reason::RolledBack, "1.0.0");
    // And the same for the image that runs: the other slot is still there.
    let mut bench = Bench::in_memory();
    ends(&mut bench, Reason::Accepted, "1.1.0");
    bench.flash.tamper(Slot::B, 9000, b"changed");
    let error = boot(&mut bench.flash, &bench.trust).unwrap_err();
    // Version 1.0.0 is below the floor by now, so nothing may run.
    assert!(matches!(error, BootError::NothingToBoot { .. }), "{error}");
}

#[test]
fn a17_an_image_on_another_base_is_rejected() {
    let mut bench = Bench::in_memory();
    bench.offer(Recipe { base: Some(digest(b"something else")), ..lamp("1.1.0") });
    ends(&mut bench, Reason::WrongBase, "1.0.0");
    bench.next_job("job-2");
    let base = digest(&lamp("1.0.0").make().unwrap());
    bench.offer(Recipe { base: Some(base), ..lamp("1.1.0") });
    ends(&mut bench, Reason::Accepted, "1.1.0");
}

#[test]
fn f3_images_that_do_not_live_are_rolled_back() {
    for behaviour in [Behaviour::Crashes, Behaviour::Hangs, Behaviour::FailsSelfTest] {
        let mut bench = Bench::in_memory();
        bench.offer(Recipe { behaviour, ..lamp("1.1.0") });
        ends(&mut bench, Reason::RolledBack, "1.0.0");
        assert_eq!(bench.reports[0].status(), JobExecutionStatus::Failed);
        assert!(bench.boots <= 3 + u32::from(crate::boot::TRIALS), "{}", bench.boots);
    }
}

#[test]
fn f5_an_execution_that_has_ended_is_not_done_twice() {
    let mut bench = Bench::in_memory();
    ends(&mut bench, Reason::Accepted, "1.1.0");
    let writes = bench.flash.writes();
    bench.is_acknowledged = false;
    ends(&mut bench, Reason::Accepted, "1.1.0");
    assert_eq!(bench.reports.len(), 2);
    assert!(bench.flash.writes() - writes <= 3);
}

#[test]
fn f6_a_cancelled_update_leaves_no_trace() {
    // Cancelled while downloading, while waiting for the reset, and while on trial.
    for cut in 0..3 {
        let mut bench = Bench::in_memory();
        let trust = bench.trust.clone();
        let rules =
            Rules { model: "lamp", now: NOW, trust: &trust, same_version_is_success: false };
        let running = boot(&mut bench.flash, &trust).unwrap();
        let mut updater = Updater::wake(&mut bench.flash, running).unwrap();
        let order = Ok(bench.order.clone());
        updater.accept(&mut bench.flash, bench.key.clone(), order, &rules).unwrap();
        updater.start_body(&mut bench.flash, 0, Some("tag")).unwrap();
        updater.take(&mut bench.flash, &bench.served).unwrap();
        if cut > 0 {
            updater.complete(&mut bench.flash, &rules).unwrap();
        }
        if cut > 1 {
            let running = boot(&mut bench.flash, &trust).unwrap();
            updater = Updater::wake(&mut bench.flash, running).unwrap();
            assert_eq!(*updater.state(), State::Testing);
        }
        updater.abandon(&mut bench.flash).unwrap();
        let running = boot(&mut bench.flash, &trust).unwrap();
        assert_eq!(running.version, "1.0.0", "{cut}");
        assert_eq!(*Updater::wake(&mut bench.flash, running).unwrap().state(), State::Idle);
        // The next job runs.
        bench.next_job("job-2");
        ends(&mut bench, Reason::Accepted, "1.1.0");
    }
}

#[test]
fn f8_a_flash_that_fails_leaves_the_old_image() {
    for wear in [
        Wear { is_read_only: true, ..Wear::default() },
        Wear { full_after: Some(6000), ..Wear::default() },
        Wear { bad_page: Some(1), ..Wear::default() },
        Wear { sync_fails: true, ..Wear::default() },
    ] {
        let mut bench = Bench::in_memory();
        bench.flash.wear(wear);
        ends(&mut bench, Reason::Storage, "1.0.0");
    }
}

#[test]
fn f9_a_wrong_clock_is_named() {
    let bench = Bench::in_memory();
    let rules =
        Rules { model: "lamp", now: 1000, trust: &bench.trust, same_version_is_success: false };
    let running = Booted {
        slot: Slot::A,
        version: "1.0.0".to_owned(),
        behaviour: Behaviour::Healthy,
        is_trial: false,
        sha256: digest(b""),
    };
    let outcome = verify::order(&bench.order, &running, "1.0.0", 0, CAPACITY, &rules).unwrap_err();
    assert_eq!(outcome.reason, Reason::Clock, "{outcome}");
}

/// The heart of it: the power fails at every persistent write, whole and torn.
#[test]
fn f1_a_power_cut_at_any_write_leaves_old_or_new_and_one_report() {
    let stories: [(&str, Recipe, Reason, &str); 4] = [
        ("good", lamp("1.1.0"), Reason::Accepted, "1.1.0"),
        (
            "crashing",
            Recipe { behaviour: Behaviour::Crashes, ..lamp("1.1.0") },
            Reason::RolledBack,
            "1.0.0",
        ),
        (
            "failing",
            Recipe { behaviour: Behaviour::FailsSelfTest, ..lamp("1.1.0") },
            Reason::RolledBack,
            "1.0.0",
        ),
        ("old", lamp("0.9.0"), Reason::Rollback, "1.0.0"),
    ];
    for (name, recipe, reason, version) in stories {
        let mut bench = Bench::in_memory();
        bench.offer(recipe.clone());
        bench.flash.wear(Wear { cut_at_write: Some(u64::MAX), ..Wear::default() });
        assert_eq!(bench.live().reason, reason);
        let writes = bench.flash.writes();
        assert!(writes >= 2, "{name}: {writes}");
        for cut in 1..=writes {
            for is_torn in [false, true] {
                let mut bench = Bench::in_memory();
                bench.offer(recipe.clone());
                bench.flash.wear(Wear { cut_at_write: Some(cut), is_torn, ..Wear::default() });
                let outcome = bench.live();
                assert_eq!(outcome.reason, reason, "{name}, write {cut}, torn {is_torn}");
                assert_eq!(bench.version(), version, "{name}, write {cut}, torn {is_torn}");
            }
        }
    }
}

#[test]
fn f1_a_power_cut_at_any_write_of_the_second_update_is_survived_too() {
    // The second update writes over the factory's slot, where an old image still is.
    let prepare = || {
        let mut bench = Bench::in_memory();
        assert_eq!(bench.live().reason, Reason::Accepted);
        bench.next_job("job-2");
        bench.offer(lamp("1.2.0"));
        bench
    };
    let mut bench = prepare();
    bench.flash.wear(Wear { cut_at_write: Some(u64::MAX), ..Wear::default() });
    bench.live();
    for cut in 1..=bench.flash.writes() {
        for is_torn in [false, true] {
            let mut bench = prepare();
            bench.flash.wear(Wear { cut_at_write: Some(cut), is_torn, ..Wear::default() });
            assert_eq!(bench.live().reason, Reason::Accepted, "write {cut}, torn {is_torn}");
            assert_eq!(bench.version(), "1.2.0");
        }
    }
}

#[test]
fn f1_two_power_cuts_in_one_update_are_survived() {
    for first in 1..=12 {
        for second in 1..=8 {
            let mut bench = Bench::in_memory();
            bench.flash.wear(Wear { cut_at_write: Some(first), is_torn: true, ..Wear::default() });
            while bench.power_cycle().is_ok() && !bench.is_acknowledged {}
            bench.flash.power_on();
            if bench.is_acknowledged {
                continue;
            }
            bench.flash.wear(Wear { cut_at_write: Some(second), is_torn: true, ..Wear::default() });
            assert_eq!(bench.live().reason, Reason::Accepted, "{first} {second}");
        }
    }
}

#[test]
fn f1_files_survive_a_power_cut_as_memory_does() {
    for cut in 1..=14 {
        let folder = tempfile::tempdir().unwrap();
        let mut bench = Bench::new(Flash::in_folder(folder.path(), CAPACITY).unwrap());
        bench.flash.wear(Wear { cut_at_write: Some(cut), is_torn: true, ..Wear::default() });
        assert_eq!(bench.live().reason, Reason::Accepted, "write {cut}");
    }
}

#[test]
fn f2_a_cut_between_commit_and_report_is_reported_after_the_boot() {
    let mut bench = Bench::in_memory();
    bench.power_cycle().unwrap();
    let running = boot(&mut bench.flash, &bench.trust).unwrap();
    let mut updater = Updater::wake(&mut bench.flash, running).unwrap();
    updater.commit(&mut bench.flash).unwrap();
    drop(updater);
    ends(&mut bench, Reason::Accepted, "1.1.0");
    assert_eq!(bench.reports.len(), 1);
}

#[test]
fn a_resumed_download_goes_on_where_the_journal_says() {
    let mut bench = Bench::in_memory();
    bench.offer(Recipe { size: 200_000, ..lamp("1.1.0") });
    let trust = bench.trust.clone();
    let rules = Rules { model: "lamp", now: NOW, trust: &trust, same_version_is_success: false };
    let running = boot(&mut bench.flash, &trust).unwrap();
    let mut updater = Updater::wake(&mut bench.flash, running.clone()).unwrap();
    let order = Ok(bench.order.clone());
    updater.accept(&mut bench.flash, bench.key.clone(), order, &rules).unwrap();
    updater.start_body(&mut bench.flash, 0, Some("etag")).unwrap();
    updater.take(&mut bench.flash, &bench.served[..150_000]).unwrap();
    let updater = Updater::wake(&mut bench.flash, running).unwrap();
    assert_eq!(updater.resume_point(), (131_072, Some("etag")));
    ends(&mut bench, Reason::Accepted, "1.1.0");
}
