//! Every fault that a scenario can inject, by the program on the cloud that it starts.
//!
//! Closer tests of each stand where the devices are; here they meet our own cloud, and each
//! update must end as it must. That the cloud is killed is in `killed`.

use std::fmt::Write as _;

use iotstack_sim::Fault;
use serde_json::Value;

use crate::project::Project;

#[test]
fn every_fault_ends_as_it_must_on_the_local_cloud() {
    // These two reach all devices, and would take the others' faults from them.
    let shared = [Fault::Herd, Fault::CloudKilled];
    let alone = Fault::ALL.iter().filter(|fault| !shared.contains(fault));
    play(&alone.collect::<Vec<_>>());
    play(&[&Fault::Herd, &Fault::Nothing, &Fault::Nothing]);
}

/// One device for each fault. A minute is six seconds, as one needs a timer of AWS IoT.
fn play(faults: &[&Fault]) {
    let mut scenario = format!("fleet:\n  size: {}\n  profiles:\n", faults.len());
    for fault in faults {
        let device = "version: 1.0.0, bandwidth: 32 KiB";
        writeln!(scenario, "    - {{name: '{fault}', {device}, faults: [{fault}]}}").unwrap();
    }
    scenario.push_str(
        "
firmware: {version: 1.1.0, size: 64 KiB}
job:
  rollout: {maximum_per_minute: 1000}
  abort: []
timeout: 10 min
expect:
  - every fault ends as it must
  - no device is bricked
  - no device runs an unsigned image
",
    );
    let project = Project::empty().file("faults.yaml", &scenario);
    let run = project.run(["simulate", "faults.yaml", "--time-lapse", "10", "--json"]);
    assert_eq!(run.code, 0, "{}", told(&run.out));
}

/// What was found, and how each device fared.
fn told(report: &str) -> String {
    let Ok(report) = serde_json::from_str::<Value>(report) else { return report.to_owned() };
    let devices = report["fleet"]["devices"].as_array().unwrap();
    let told = devices.iter().map(|device| format!("{device}\n"));
    format!("{:#}\n{}", report["verdicts"], told.collect::<String>())
}
