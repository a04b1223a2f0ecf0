//! Simulated devices on our own local cloud whose broker withholds answers, says things twice
//! and brings them out of their turn. Every device must get through all the same.
//!
//! Cloud and devices run in this process, as only a program that holds the cloud may have it
//! misbehave; the operator is the program as people use it.

use std::sync::Arc;
use std::time::Duration;

use iotstack_local::{LocalCloud, Misbehaviour};
use iotstack_sim::{Did, Event, Observer, Pace, Scenario};

use crate::operator::Operator;
use crate::project::Project;

const SCENARIO: &str = "
fleet:
  size: 7
  serials: 'unit-{n}'
  profiles: [{version: 1.0.0, bandwidth: 8 KiB}]
firmware: {version: 1.1.0, size: 64 KiB}
job:
  rollout: {maximum_per_minute: 1000}
expect: [succeeded = 100%, no device is bricked, job completes]
";

/// What each device meets, and whether it loses the connection over it.
fn faults() -> [(&'static str, Misbehaviour, bool); 7] {
    let none = Misbehaviour::default();
    [
        ("firmware-dev-unit-1", Misbehaviour { withholds_connack: true, ..none }, true),
        ("firmware-dev-unit-2", Misbehaviour { withholds_suback: true, ..none }, true),
        ("firmware-dev-unit-3", Misbehaviour { withholds_puback: true, ..none }, true),
        ("firmware-dev-unit-4", Misbehaviour { withholds_pingresp: true, ..none }, true),
        ("firmware-dev-unit-5", Misbehaviour { redelivers: true, ..none }, false),
        ("firmware-dev-unit-6", Misbehaviour { repeats_qos0: true, ..none }, false),
        ("firmware-dev-unit-7", Misbehaviour { swaps_neighbours: true, ..none }, false),
    ]
}

#[test]
fn every_device_gets_through_on_a_broker_that_misbehaves() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let local = Arc::new(runtime.block_on(iotstack_local::start(Default::default())).unwrap());
    let operator = Operator {
        project: Project::empty(),
        endpoint: local.endpoint().to_owned(),
        mqtt: local.mqtt().to_owned(),
        authority: local.ca_pem().to_owned(),
    };
    operator.deploy();
    let mut target = operator.target(&faults().map(|(device, ..)| device));
    let patience = Duration::from_secs(10);
    target.pace = Pace { patience, keep_alive: 1, ..Pace::local() };
    for (device, misbehaviour, _) in faults() {
        local.misbehave(device, misbehaviour);
    }
    let scenario = Scenario::from_yaml(SCENARIO).unwrap();
    let mending = Arc::new(Mending(local.clone()));
    let run = iotstack_sim::run(&scenario, target, &operator, mending);
    let report = runtime.block_on(run).unwrap();
    assert!(report.is_passed(), "{:#?}", report.verdicts);
    for (name, misbehaviour, is_lost) in faults() {
        let device = report.fleet.devices.iter().find(|device| device.thing == name).unwrap();
        assert_eq!(device.losses > 0, is_lost, "{misbehaviour:?}: {device:#?}");
        assert_eq!(device.updates.len(), 1, "{misbehaviour:?}: {device:#?}");
    }
}

/// Serves a device as it should be once it has lost its connection.
struct Mending(Arc<LocalCloud>);

impl Observer for Mending {
    fn hear(&self, event: &Event<'_>) {
        if let Event::Device { thing, did: Did::Disconnect { .. } } = event {
            self.0.misbehave(thing, Misbehaviour::default());
        }
    }
}
