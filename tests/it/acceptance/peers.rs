//! Clients of others on our local cloud: AWS's device SDK, the stock `cdk` program,
//! mosquitto.
//!
//! They were written for AWS and know nothing of us. Whatever they cannot do here, a user's
//! devices cannot do either.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Map, Value, json};

use super::live::{Live, json_file};
use crate::judge;
use crate::judge::cdk::{cdk, succeed};
use crate::judge::cloud::{Cloud, REGION};
use crate::judge::install;
use crate::project::Project;

const STACK: &str = "IoTFirmwareUpdatesStack-dev";

/// The stack on our cloud, and its outputs.
fn deployed() -> (Live, Map<String, Value>) {
    let live = Live::ours(Project::empty());
    live.run(["bootstrap"]).success();
    live.run(["deploy", "--yes", "--outputs-file", "outputs.json"]).success();
    let outputs = json_file(&live.project.path("outputs.json"));
    let outputs = outputs[STACK].as_object().unwrap().clone();
    (live, outputs)
}

/// A device that somebody else's program plays.
struct Device {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Device {
    fn start(order: &Value) -> Self {
        let mut child = judge::start(&mut judge::script("device.py"), order);
        let lines = BufReader::new(child.stdout.take().unwrap());
        Device { child, lines }
    }

    /// The next step, which must be this one.
    fn step(&mut self, name: &str) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        let step: Value = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("the device ended before `{name}`: {line}"));
        assert_eq!(step["step"], name, "{step}");
        step
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_device_of_awss_own_sdk_claims_its_certificate_and_runs_a_job() {
    let (live, outputs) = deployed();
    let secret = live.cloud.aws(&[
        "secretsmanager",
        "get-secret-value",
        "--secret-id",
        outputs["ClaimSecretArn"].as_str().unwrap(),
    ]);
    let claim: Value = serde_json::from_str(secret["SecretString"].as_str().unwrap()).unwrap();
    let mut device = Device::start(&json!({
        "host": "localhost",
        "port": live.cloud.mqtt().unwrap(),
        "authority": live.cloud.authority(),
        "claim": { "certificate": claim["certificatePem"], "key": claim["privateKey"] },
        "template": outputs["ProvisioningTemplateName"],
        "serial": "sdk-1",
        "clientId": "firmware-dev-sdk-1",
    }));
    device.step("keys");
    assert_eq!(device.step("registered")["thing"], "firmware-dev-sdk-1");
    device.step("shadow");
    assert_eq!(device.step("reported")["reported"]["firmware"]["version"], "1.0.0");
    device.step("listening");

    let project = &live.project;
    std::fs::write(project.path("pump.bin"), "firmware of a pump").unwrap();
    let key = live.run(["firmware", "upload", "pump.bin", "-V", "1.4.0", "--sign"]);
    let key = key.success().trim().to_owned();
    assert_eq!(key, "firmware/1.4.0/pump.bin");
    let job = live.run(["job", "create", &key]);
    let job = job.success().trim().to_owned();

    assert_eq!(device.step("notified")["job"], job.as_str());
    let document = device.step("started")["document"].clone();
    let url = document["firmware"]["url"].as_str().unwrap();
    assert!(url.starts_with(live.cloud.endpoint()) && url.contains("X-Amz-Signature="), "{url}");
    device.step("updated");
    device.step("done");

    let watched = live.run(["job", "watch", &job]);
    assert_eq!(watched.code, 0, "{watched:#?}");
    let status = live.run(["job", "status", &job, "--things", "--json"]);
    let status: Value = serde_json::from_str(status.success()).unwrap();
    assert_eq!(status["job"]["status"], "COMPLETED");
    assert_eq!(status["things"][0]["thing"], "firmware-dev-sdk-1");
    assert_eq!(status["things"][0]["status"], "SUCCEEDED");
    let devices = live.run(["device", "list", "--json"]);
    let devices: Value = serde_json::from_str(devices.success()).unwrap();
    assert_eq!(devices[0]["firmware"], "1.0.0");
    let list = live.run(["firmware", "list", "--json"]);
    let list: Value = serde_json::from_str(list.success()).unwrap();
    assert_eq!((&list[0]["version"], &list[0]["signed"]), (&json!("1.4.0"), &json!(true)));
    let jobs = live.run(["job", "list"]);
    assert!(jobs.success().contains(&job));
    let shadow = live.run(["device", "shadow", "firmware-dev-sdk-1"]);
    assert!(shadow.success().contains("1.0.0"));
}

#[test]
fn the_stock_cdk_program_deploys_what_iotstack_synthesized() {
    let live = Live::ours(Project::empty());
    live.run(["synth", "--env", "dev"]).success();
    let folder = live.project.path("");
    let run = |words: &[&str]| {
        let mut command = cdk(&folder, Some(&live.cloud));
        command.args(words);
        succeed(command.output().unwrap(), words[0])
    };
    run(&["bootstrap", "--app", "iotstack.out"]);
    run(&["deploy", "--app", "iotstack.out", "--require-approval", "never"]);
    assert_eq!(live.state(STACK), "CREATE_COMPLETE");
    run(&["destroy", "--app", "iotstack.out", "--force"]);
    let stacks = live.cloud.aws(&["cloudformation", "describe-stacks"]);
    let names: Vec<&str> = stacks["Stacks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stack| stack["StackName"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["CDKToolkit"]);
}

#[test]
fn awss_own_client_speaks_over_websockets_if_it_signs() {
    let cloud = Cloud::ours(&[]);
    let (host, port) = cloud.endpoint().trim_start_matches("http://").split_once(':').unwrap();
    let order = json!({
        "host": host,
        "port": port.parse::<u16>().unwrap(),
        "region": REGION,
        "key": "test",
        "secret": "test",
    });
    let mut script = judge::script("websocket.py");
    let found: Value = judge::found(judge::start(&mut script, &order));
    assert_eq!(found["signed"], "from one", "{found:#}");
    assert_eq!(found["own page"], "from two", "{found:#}");
    for stranger in ["wrong secret", "unsigned", "foreign page"] {
        let refused = found[stranger].as_str().unwrap().starts_with("refused: ");
        assert!(refused, "{stranger}: {found:#}");
    }
}

#[test]
fn the_clients_of_mosquitto_publish_and_subscribe() {
    let (live, _) = deployed();
    let folder = live.project.path("pump");
    let provisioned = live.run([
        "device",
        "provision",
        "firmware-dev-pump-7",
        "--into",
        folder.to_str().unwrap(),
    ]);
    provisioned.success();
    std::fs::write(folder.join("authority.pem"), live.cloud.authority()).unwrap();
    let client = |name: &str, arguments: &[&str]| -> Command {
        let mut command = install::mosquitto(name);
        command
            .current_dir(&folder)
            .args(["-h", "localhost", "-p", &live.cloud.mqtt().unwrap().to_string()])
            .args(["--cafile", "authority.pem", "--cert", "certificate.pem"])
            .args(["--key", "private-key.pem", "-i", "firmware-dev-pump-7", "-q", "1", "-W", "20"])
            .args(arguments);
        command
    };
    let shadow = "$aws/things/firmware-dev-pump-7/shadow/update";
    // One client subscribes and then publishes: an answer comes back on its own topic.
    let output = client(
        "mosquitto_rr",
        &[
            "-t",
            shadow,
            "-e",
            &format!("{shadow}/accepted"),
            "-m",
            r#"{"state":{"reported":{"rpm":7}}}"#,
        ],
    );
    let mut output = output;
    let answer = succeed(output.output().unwrap(), "mosquitto_rr");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["state"]["reported"]["rpm"], 7);
    // What no policy allows ends the connection.
    let mut denied = client("mosquitto_sub", &["-t", "somebody/else", "-C", "1"]);
    assert!(!denied.output().unwrap().status.success());
}

#[test]
fn a_client_of_mosquitto_hears_what_another_publishes() {
    let live = Live::ours(Project::empty());
    let folder = live.project.path("");
    let statement = r#"{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}"#;
    let policy = format!(r#"{{"Version": "2012-10-17", "Statement": [{statement}]}}"#);
    let iot = |arguments: &[&str]| live.cloud.aws(&[&["iot"], arguments].concat());
    iot(&["create-policy", "--policy-name", "all", "--policy-document", &policy]);
    let made = iot(&["create-keys-and-certificate", "--set-as-active"]);
    let arn = made["certificateArn"].as_str().unwrap();
    iot(&["attach-policy", "--policy-name", "all", "--target", arn]);
    for (name, text) in [
        ("authority.pem", live.cloud.authority()),
        ("certificate.pem", made["certificatePem"].as_str().unwrap()),
        ("private-key.pem", made["keyPair"]["PrivateKey"].as_str().unwrap()),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    let port = live.cloud.mqtt().unwrap().to_string();
    let client = |name: &str, arguments: &[&str]| -> Command {
        let mut command = install::mosquitto(name);
        command
            .current_dir(&folder)
            .args(["-h", "localhost", "-p", &port, "--cafile", "authority.pem"])
            .args(["--cert", "certificate.pem", "--key", "private-key.pem", "-q", "1"])
            .args(["-t", "pumps/1/speed"])
            .args(arguments);
        command
    };
    for version in ["mqttv311", "mqttv5"] {
        let listen = ["-V", version, "-i", "listener", "-C", "1", "-W", "60"];
        let mut listener = client("mosquitto_sub", &listen).stdout(Stdio::piped()).spawn().unwrap();
        // Nobody says when it listens: it is told again until it has heard, or gives up.
        while listener.try_wait().unwrap().is_none() {
            let publish = ["-V", version, "-i", "speaker", "-m", version];
            succeed(client("mosquitto_pub", &publish).output().unwrap(), "mosquitto_pub");
        }
        let heard = listener.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&heard.stdout).trim(), version);
    }
}
