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
    assert_eq!(scenario.job.rollout.maximum_per_minute, 50);
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
    assert_eq!(message, "scenario is not valid: `fleet.size` is 0: expected at least 1");
    let message = error(&CANARY.replace("maximum_per_minute: 50", "maximum_per_minute: 5000"));
    assert!(message.contains("`rollout.maximum_per_minute` is 5000: expected"), "{message}");
    let message = error(&CANARY.replace("succeeded >= 80%", "succeeds always"));
    assert!(message.starts_with("expectation `succeeds always` is not valid: "), "{message}");
    assert!(error("fleet: [").starts_with("scenario is not valid: "));
}
