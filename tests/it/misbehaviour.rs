//! Simulated devices on our own local cloud whose broker withholds answers, says things twice
//! and brings them out of their turn. Every device must get through all the same.
//!
//! Cloud and devices run in this process, as only a program that holds the cloud may have it
//! misbehave; the operator is the program as people use it.

use std::sync::Arc;

use iotstack_local::{LocalCloud, Misbehaviour};
use iotstack_protocol::{JobId, JobStatus};
use iotstack_sim::{
    Answer, Cloud, Did, Event, JobView, KeyPair, Observer, Pace, Rollout, Scenario, Target,
};
use serde_json::Value;

use crate::judge::install;
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
    let operator = Operator { project: Project::empty(), endpoint: local.endpoint().to_owned() };
    operator.run(&["bootstrap"]);
    operator.run(&["deploy", "--yes"]);
    let target = operator.target(&local);
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

/// Somebody with the program.
struct Operator {
    project: Project,
    endpoint: String,
}

impl Operator {
    fn variables(&self) -> [(&str, &str); 4] {
        [
            ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_REGION", "us-east-1"),
        ]
    }

    fn run(&self, arguments: &[&str]) -> String {
        self.project.run_with(arguments, &self.variables()).success().trim().to_owned()
    }

    fn aws(&self, arguments: &[&str]) -> Value {
        let mut command = install::tool("aws");
        command.args(arguments).args(["--output", "json", "--region", "us-east-1"]);
        let output = command.envs(self.variables()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The certificate that firmware is signed with, and the name that devices know it by.
    fn signer(&self) -> (String, String) {
        let output = |name: &str| self.run(&["outputs", "--name", name]);
        let profile = output("SigningProfileName");
        let profile = self.aws(&["signer", "get-signing-profile", "--profile-name", &profile]);
        let name = profile["signingParameters"]["certname"].as_str().unwrap().to_owned();
        let parameter = output("SigningCertificateParameter");
        let parameter = self.aws(&["ssm", "get-parameter", "--name", &parameter]);
        (name, parameter["Parameter"]["Value"].as_str().unwrap().to_owned())
    }

    /// What devices must know, with a certificate for each and little patience.
    fn target(&self, local: &LocalCloud) -> Target {
        let (host, port) = local.mqtt().rsplit_once(':').unwrap();
        let address = iotstack_sim::Address { host: host.to_owned(), port: port.parse().unwrap() };
        let mut target = Target::new(address, "firmware-dev");
        target.authority = Some(local.ca_pem().to_owned());
        target.allows_plain_downloads = true;
        target.signers.extend([self.signer()]);
        let patience = std::time::Duration::from_secs(3);
        target.pace = Pace { patience, keep_alive: 1, ..Pace::local() };
        for (device, ..) in faults() {
            self.run(&["device", "provision", device, "--into", device]);
            let read = |name: &str| self.project.read(&format!("{device}/{name}"));
            let pair = KeyPair {
                certificate: read("certificate.pem"),
                private_key: read("private-key.pem"),
            };
            target.identities.insert(device.to_owned(), pair);
        }
        target
    }
}

impl Cloud for Operator {
    fn roll_out<'a>(&'a self, rollout: &'a Rollout) -> Answer<'a, JobId> {
        Box::pin(async move {
            std::fs::write(self.project.path("image.bin"), &rollout.image).unwrap();
            let version = rollout.version.as_str();
            let key = self.run(&["firmware", "upload", "image.bin", "-V", version, "--sign"]);
            Ok(self.run(&["job", "create", &key]).parse().unwrap())
        })
    }

    fn job<'a>(&'a self, job: &'a JobId) -> Answer<'a, JobView> {
        Box::pin(async move {
            let found = self.run(&["job", "status", job.as_str(), "--json"]);
            let found: Value = serde_json::from_str(&found).unwrap();
            let status: JobStatus = found["job"]["status"].as_str().unwrap().parse().unwrap();
            let counts = &found["job"]["executions"];
            Ok(JobView::new(status, |state| counts[state.as_str()].as_u64().unwrap_or(0)))
        })
    }

    fn cancel_job<'a>(&'a self, _: &'a JobId) -> Answer<'a, ()> {
        unreachable!("no device asks for it")
    }

    fn cancel_execution<'a>(&'a self, _: &'a str, _: &'a JobId) -> Answer<'a, ()> {
        unreachable!("no device asks for it")
    }
}
