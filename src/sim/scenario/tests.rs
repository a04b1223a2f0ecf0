//! Scenario files: what they mean, and what is wrong with them.

use super::*;

const CANARY: &str = "
name: Canary
seed: 7
fleet:
  size: 10
  serials: sim-{n}
  profiles:
    - name: indoor
      share: 4
      model: lamp
      version: 1.0.0
      bandwidth: 256 KiB/s
      latency: 40 ms
      crash_rate: 1%
    - name: odd
      faults: [A1, OTAE2EImageCrashed]
firmware: {version: 1.1.0, size: 8 KiB, model: lamp}
job:
  rollout: {maximum_per_minute: 50}
timeout: 2 min
expect:
  - succeeded >= 80%
  - no device runs an unsigned image
";

fn error(text: &str) -> String {
    Scenario::from_yaml(text).unwrap_err().to_string()
}

#[test]
fn deals_profiles_and_faults_out_in_turn() {
    let scenario = Scenario::from_yaml(CANARY).unwrap();
    assert_eq!(scenario.profiles(), BTreeMap::from([("indoor", 8), ("odd", 2)]));
    let faults: Vec<_> = scenario.devices.iter().filter_map(|device| device.fault).collect();
    assert_eq!(faults, [Fault::BitFlip, Fault::Crash]);
    assert_eq!(scenario.devices[0].serial, "sim-1");
    assert_eq!(scenario.devices[9].serial, "sim-10");
    let indoor = &scenario.devices[0].profile;
    assert_eq!((indoor.name.as_str(), indoor.model.as_str()), ("indoor", "lamp"));
    assert_eq!(indoor.link.bytes_per_second, Some(262_144));
    assert_eq!(indoor.crash_rate, 0.01);
    assert_eq!(scenario.job.unwrap().rollout.maximum_per_minute, 50);
    assert_eq!(scenario.timeout, Duration::from_secs(120));
    assert_eq!(scenario.expectations.len(), 2);
    let again = Scenario::from_yaml(CANARY).unwrap();
    assert_eq!(scenario.firmware.bytes().unwrap(), again.firmware.bytes().unwrap());
    let other = again.with_seed(8);
    assert_ne!(scenario.firmware.bytes().unwrap(), other.firmware.bytes().unwrap());
}

#[test]
fn needs_little() {
    let scenario = Scenario::from_yaml("fleet: {size: 1}\nfirmware: {version: 2.0.0}\n").unwrap();
    assert_eq!(scenario.devices.len(), 1);
    assert_eq!(scenario.devices[0].serial, "1");
    assert_eq!(scenario.name, "simulation");
    assert_eq!(scenario.job, None);
    assert!(scenario.firmware.bytes().unwrap().len() > 60_000);
}

#[test]
fn names_the_place_the_value_and_what_is_accepted() {
    let wrong = CANARY.replace("1%", "130%");
    let message = error(&wrong);
    assert!(message.starts_with("scenario is not valid: "), "{message}");
    assert!(message.contains("`130%` is not valid: expected a share such as"), "{message}");
    assert!(message.contains("line 14"), "{message}");
    let message = error(&CANARY.replace("latency", "latencey"));
    assert!(message.contains("unknown field `latencey`, expected one of"), "{message}");
    assert!(message.contains("line "), "{message}");
    let message = error(&CANARY.replace("A1", "A99"));
    assert!(message.contains("`A99` is not known: expected one of A1, "), "{message}");
    let message = error(&CANARY.replace("size: 10", "size: 0"));
    assert!(
        message.contains(
            "fleet.size: invalid value: integer `0`, expected a whole number from 1 to 1000000"
        ),
        "{message}"
    );
    let message = error(&CANARY.replace("maximum_per_minute: 50", "maximum_per_minute: 5000"));
    assert!(message.contains("`rollout.maximum_per_minute` is 5000: expected"), "{message}");
    let message = error(&CANARY.replace("succeeded >= 80%", "succeeds always"));
    assert!(message.starts_with("expectation `succeeds always` is not valid: "), "{message}");
    assert!(error("fleet: [").starts_with("scenario is not valid: "));
}

#[test]
fn refuses_what_no_run_could_live_with_before_it_begins() {
    let firmware = "firmware: {version: 1.1.0}";
    let fleet = "fleet: {size: 1}";
    for (text, words) in [
        ("5", "expected a scenario, with `fleet` and `firmware`"),
        ("fleet: 5", "expected a fleet, such as `{size: 200}`"),
        (
            &format!("fleet: {{size: many}}\n{firmware}"),
            "expected a whole number from 1 to 1000000",
        ),
        (
            &format!("fleet: {{size: 1, serials: x}}\n{firmware}"),
            "`fleet.serials` is `x`: expected `{n}` in it",
        ),
        (
            &format!("fleet: {{size: 1, serials: 'a b {{n}}'}}\n{firmware}"),
            "`fleet.serials` is `a b {n}`: expected `{n}` and at most 80 of the characters",
        ),
        (
            &format!("fleet: {{size: 1, profiles: [{{share: -1}}]}}\n{firmware}"),
            "profiles[0].share: `-1` is not valid: expected a share beside the others",
        ),
        (
            &format!("fleet: {{size: 1, profiles: [{{share: 0}}]}}\n{firmware}"),
            "`fleet.profiles` has no share above 0",
        ),
        (
            &format!("fleet: {{size: 1, profiles: [5]}}\n{firmware}"),
            "expected a profile, such as `{name: indoor, share: 90%}`",
        ),
        (
            &format!("fleet: {{size: 1, profiles: [{{}}, {{slot_size: 1}}]}}\n{firmware}"),
            "`fleet.profiles[1].slot_size` is 1: expected 8192 to 1073741824 bytes",
        ),
        (
            &format!(
                "fleet: {{size: 1, profiles: [{{offline: {{every: 0, lasts: 1}}}}]}}\n{firmware}"
            ),
            "`fleet.profiles[0].offline` has a time of 0",
        ),
        (
            &format!("fleet: {{size: 1, profiles: [{{step_timeout_minutes: 0}}]}}\n{firmware}"),
            "expected a whole number from 1 to 10080",
        ),
        (&format!("{fleet}\n{firmware}\ntimeout: 0"), "`timeout` is 0: expected a time above 0"),
        (&format!("{fleet}\n{firmware}\nseed: -1"), "expected a whole number from 0 on"),
        (
            &format!("{fleet}\nfirmware: {{version: 1.1.0, size: 900 GB}}"),
            "`firmware.size` is 900000000000: expected at most 1073741824 bytes",
        ),
        (
            &format!("{fleet}\nfirmware: 1.1.0"),
            "expected firmware, such as `{version: 1.1.0, size: 64 KiB}`",
        ),
    ] {
        let message = error(text);
        assert!(message.contains(words), "{text}:\n{message}");
    }
}

#[test]
fn a_file_lies_beside_its_scenario() {
    let text = "fleet: {size: 1}\nfirmware: {version: 2.0.0, file: pump.bin}\n";
    let scenario = Scenario::from_yaml(text).unwrap().in_folder(Path::new("scenarios"));
    let FirmwareImage::File(file) = &scenario.firmware.image else { panic!("{scenario:?}") };
    assert_eq!(file, Path::new("scenarios/pump.bin"));
}

#[test]
fn a_file_that_cannot_be_rolled_out_is_refused_before_the_run() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("empty.bin"), "").unwrap();
    std::fs::write(folder.path().join("good.bin"), "image").unwrap();
    let check = |file: &str| {
        let text = format!("fleet: {{size: 1}}\nfirmware: {{version: 2.0.0, file: {file}}}\n");
        Scenario::from_yaml(&text).unwrap().in_folder(folder.path()).firmware.check()
    };
    check("good.bin").unwrap();
    for (file, words) in [
        ("nothing.bin", "nothing.bin`: it cannot be read: No such file"),
        ("empty.bin", "empty.bin`: it has 0 bytes: expected 1 to 1073741824"),
        (".", "`: expected a file"),
    ] {
        let message = check(file).unwrap_err().to_string();
        assert!(message.contains("`firmware.file` is `") && message.contains(words), "{message}");
    }
}

#[test]
fn firmware_that_follows_is_later_and_says_so() {
    for (version, later) in [
        ("1.1.0", "1.1.1"),
        ("9", "10"),
        ("2.0.9+build.7", "2.0.10"),
        ("1.1.0-rc", "1.1.0-rc.1"),
        ("1.1.0-rc.1", "1.1.0-rc.2"),
        ("v3", "v3.1"),
    ] {
        let text = format!("fleet: {{size: 1}}\nfirmware: {{version: '{version}'}}\n");
        let firmware = Scenario::from_yaml(&text).unwrap().firmware.later().unwrap();
        assert_eq!(firmware.version.as_str(), later);
        assert!(crate::version::compare(later, version).is_gt(), "{version}");
        let image = firmware.bytes().unwrap();
        assert_eq!(crate::image::read(&image).unwrap().unwrap().0.version, later);
    }
    let longest = "1".repeat(46);
    let text = format!("fleet: {{size: 1}}\nfirmware: {{version: '{longest}'}}\n");
    let error = Scenario::from_yaml(&text).unwrap().firmware.later().unwrap_err().to_string();
    assert!(error.starts_with("version of the next update is not valid: "), "{error}");
    let named = ["`firmware.version`", &longest, "OTAE2EBackToBackDownloads"];
    assert!(named.iter().all(|name| error.contains(name)), "{error}");
}

#[test]
fn a_file_that_says_its_version_is_not_rolled_out_in_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    let text = "fleet: {size: 1}\nfirmware: {version: '1', file: image}\n";
    let firmware = Scenario::from_yaml(text).unwrap().in_folder(folder.path()).firmware;
    std::fs::write(&path, b"any bytes").unwrap();
    assert_eq!(firmware.later().unwrap().version.as_str(), "2");
    std::fs::write(&path, Recipe::new("1", 1000).make().unwrap()).unwrap();
    let error = firmware.later().unwrap_err().to_string();
    assert!(error.starts_with("scenario is not valid: `firmware.file` is `"), "{error}");
    assert!(error.contains("OTAE2EBackToBackDownloads"), "{error}");
}
