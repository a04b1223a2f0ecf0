//! Somebody who rolls firmware out to simulated devices of a test, by the program's commands.
//!
//! The devices run in the test, so that it can have them meet what no scenario can say.

use iotstack_protocol::{JobId, JobStatus};
use iotstack_sim::{Address, Answer, Cloud, JobView, KeyPair, Rollout, Target};
use serde_json::Value;

use crate::judge::install;
use crate::project::Project;

/// Somebody with the program, in front of a cloud.
pub struct Operator {
    pub project: Project,
    /// Where the cloud answers.
    pub endpoint: String,
    /// Where devices connect.
    pub mqtt: String,
    /// Who vouches for that, PEM.
    pub authority: String,
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

    /// Runs the program, which must end well, and gives what it prints.
    pub fn run(&self, arguments: &[&str]) -> String {
        self.project.run_with(arguments, &self.variables()).success().trim().to_owned()
    }

    /// Runs the AWS CLI.
    pub fn aws(&self, arguments: &[&str]) -> Value {
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

    /// Bootstraps the cloud and deploys the stack.
    pub fn deploy(&self) {
        self.run(&["bootstrap"]);
        self.run(&["deploy", "--yes"]);
    }

    /// What devices must know, with a certificate for each.
    pub fn target(&self, devices: &[&str]) -> Target {
        let (host, port) = self.mqtt.rsplit_once(':').unwrap();
        let address = Address { host: host.to_owned(), port: port.parse().unwrap() };
        let mut target = Target::new(address, "firmware-dev");
        target.authority = Some(self.authority.clone());
        target.allows_plain_downloads = true;
        target.signers.extend([self.signer()]);
        for device in devices {
            self.run(&["device", "provision", device, "--into", device]);
            let read = |name: &str| self.project.read(&format!("{device}/{name}"));
            let pair = KeyPair {
                certificate: read("certificate.pem"),
                private_key: read("private-key.pem"),
            };
            target.identities.insert((*device).to_owned(), pair);
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
