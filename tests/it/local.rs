//! `iotstack local`: the cloud as a program, and who it keeps out.
//!
//! What its services do is tested where they are; here it is asked as strangers would ask:
//! the AWS CLI, raw requests, pages of somebody else.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::acceptance::live::Live;
use crate::judge::cloud::{ACCOUNT, Cloud, REGION};
use crate::project::Project;

/// Sends a request as it stands and returns status and body.
fn raw(cloud: &Cloud, request: &str) -> (u16, String) {
    let address = cloud.endpoint().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    let request = request.replace("HOST", address).replace('\n', "\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split_whitespace().nth(1).and_then(|code| code.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    (status.unwrap_or(0), body.unwrap_or(answer))
}

#[test]
fn the_aws_cli_is_at_home() {
    let cloud = Cloud::ours(&[]);
    let identity = cloud.aws(&["sts", "get-caller-identity"]);
    assert_eq!(identity["Account"], ACCOUNT);
    cloud.aws(&["iot", "create-thing", "--thing-name", "pump-1"]);
    let things = cloud.aws(&["iot", "list-things"]);
    assert_eq!(things["things"][0]["thingName"], "pump-1");
    cloud.aws(&["s3api", "create-bucket", "--bucket", "pumps"]);
    let buckets = cloud.aws(&["s3api", "list-buckets"]);
    assert_eq!(buckets["Buckets"][0]["Name"], "pumps");
    let endpoint = cloud.aws(&["iot", "describe-endpoint", "--endpoint-type", "iot:Data-ATS"]);
    assert!(endpoint["endpointAddress"].is_string(), "{endpoint}");
    cloud.aws(&["ssm", "put-parameter", "--name", "/a", "--value", "1", "--type", "String"]);
    assert_eq!(cloud.aws(&["ssm", "get-parameter", "--name", "/a"])["Parameter"]["Value"], "1");
    for (command, operation, member) in [
        ("cloudformation", "list-stacks", "StackSummaries"),
        ("lambda", "list-functions", "Functions"),
        ("iam", "list-roles", "Roles"),
        ("sns", "list-topics", "Topics"),
        ("events", "list-event-buses", "EventBuses"),
        ("dynamodb", "list-tables", "TableNames"),
        ("cloudwatch", "list-metrics", "Metrics"),
        ("logs", "describe-log-groups", "logGroups"),
        ("kms", "list-keys", "Keys"),
        ("acm", "list-certificates", "CertificateSummaryList"),
        ("secretsmanager", "list-secrets", "SecretList"),
        ("iot", "list-jobs", "jobs"),
    ] {
        let answer = cloud.aws(&[command, operation]);
        assert!(answer[member].is_array(), "{command} {operation}: {answer}");
    }
    // This version of the CLI takes no endpoint for queues from the environment.
    let endpoint = cloud.endpoint();
    cloud.aws(&["sqs", "create-queue", "--queue-name", "mails", "--endpoint-url", endpoint]);
    let signer = cloud.aws(&["signer", "list-signing-jobs"]);
    assert!(signer["jobs"].is_array(), "{signer}");
}

#[test]
fn who_does_not_sign_or_signs_badly_is_refused() {
    let cloud = Cloud::ours(&[]);
    let (status, body) =
        raw(&cloud, "GET /things HTTP/1.1\nHost: HOST\nx-amz-target: X.Y\nConnection: close\n\n");
    assert_eq!(status, 403, "{body}");
    let (status, body) = raw(
        &cloud,
        "POST / HTTP/1.1\nHost: HOST\nContent-Type: application/x-www-form-urlencoded\n\
         Content-Length: 23\nConnection: close\n\nAction=GetQueueUrl&x=1%",
    );
    assert_eq!(status, 403, "{body}");
    assert!(body.contains("<ErrorResponse"), "a client that sends forms reads XML: {body}");
    let unknown = cloud.try_aws_as("nobody", "secret", &["iot", "list-things"]);
    assert!(unknown.contains("UnrecognizedClientException"), "{unknown}");
    let wrong = cloud.try_aws_as("test", "guess", &["iot", "list-things"]);
    assert!(wrong.contains("SignatureDoesNotMatch"), "{wrong}");
    let wrong = cloud.try_aws_as("test", "guess", &["s3api", "list-buckets"]);
    assert!(wrong.contains("SignatureDoesNotMatch"), "{wrong}");
}

#[test]
fn pages_of_others_and_bent_names_are_refused() {
    let cloud = Cloud::ours(&[]);
    for headers in [
        "Host: evil.example",
        "Host: HOST\nOrigin: https://evil.example",
        "Host: HOST\nSec-Fetch-Site: cross-site",
    ] {
        let request = format!("GET /_iotstack/health HTTP/1.1\n{headers}\nConnection: close\n\n");
        assert_eq!(raw(&cloud, &request).0, 403, "{headers}");
    }
    let (status, body) =
        raw(&cloud, "GET /_iotstack/health HTTP/1.1\nHost: HOST\nConnection: close\n\n");
    assert_eq!(status, 200);
    let health: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(health["region"], REGION);
}

#[test]
fn whoever_opens_it_to_others_is_warned() {
    let project = Project::empty();
    // An address for documents, which no machine has.
    let run = project.run(["local", "--host", "192.0.2.1", "--port", "0", "--mqtt-port", "0"]);
    assert_ne!(run.code, 0, "{run:#?}");
    let warning = "warning: whoever reaches 192.0.2.1 can use this cloud with a key that";
    assert!(run.err.starts_with(warning), "{run:#?}");
    assert_eq!(Cloud::ours(&[]).log(), "", "nobody else is");
    let coverage = project.run(["local", "--host", "0.0.0.0", "--coverage"]);
    assert_eq!((coverage.code, coverage.err.as_str()), (0, ""), "nothing is served");
}

#[test]
fn what_is_missing_is_refused_by_name() {
    let cloud = Cloud::ours(&[]);
    for (arguments, name) in [
        (vec!["ec2", "describe-vpcs"], "ec2"),
        (vec!["iot", "list-audit-tasks", "--start-time", "0", "--end-time", "1"], "iot"),
        (vec!["kms", "list-retirable-grants", "--retiring-principal", "x"], "ListRetirableGrants"),
        (
            "lambda put-provisioned-concurrency-config --function-name f --qualifier 1 \
             --provisioned-concurrent-executions 1"
                .split_whitespace()
                .collect(),
            "lambda:PutProvisionedConcurrencyConfig",
        ),
        (vec!["s3api", "get-bucket-website", "--bucket", "pumps"], "GetBucketWebsite"),
    ] {
        let output = cloud.try_aws(&arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success());
        assert!(errors.contains(name) && errors.contains("local cloud"), "{errors}");
    }
}

#[test]
fn coverage_is_listed_without_a_port() {
    let run = Project::empty().run(["local", "--coverage"]);
    let text = run.success();
    for name in ["CreateJob", "CreateStack", "PutMetricData", "AWS::IoT::Thing"] {
        assert!(text.contains(name), "no {name} in:\n{text}");
    }
    let run = Project::empty().run(["local", "--coverage", "--json"]);
    let json: Value = serde_json::from_str(run.success()).unwrap();
    assert!(json["services"]["iot"]["operations"].as_array().unwrap().len() > 80);
    // One of each way to ask.
    for (service, operation, reason) in [
        ("iot", "ListAuthorizers", "custom authorizers are not offered"),
        ("lambda", "InvokeAsync", "it was replaced by Invoke with the type Event"),
        ("sqs", "AddPermission", "write the policy with SetQueueAttributes"),
        ("sts", "GetFederationToken", "there is no federation"),
        ("monitoring", "PutInsightRule", "there are no contributor insights here"),
        ("s3", "GetBucketWebsite", "buckets are not served as websites"),
    ] {
        let found = &json["services"][service];
        assert_eq!(found["refused"][operation], reason, "{service}:{operation}");
        let offered = found["operations"].as_array().unwrap();
        assert!(!offered.iter().any(|offered| offered == operation), "{service}:{operation}");
        assert!(text.contains(&format!("{operation}: {reason}")), "{operation} in:\n{text}");
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let cloud = Cloud::ours(&[]);
    let port = cloud.endpoint().rsplit(':').next().unwrap().to_owned();
    let run = Project::empty().run(["local", "--port", &port, "--mqtt-port", "0"]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains(&port) && run.err.contains("another port"), "{run:?}");
}

#[test]
fn values_that_cannot_be_are_refused() {
    for arguments in [["--time-lapse", "0"], ["--account", "12"], ["--host", "here"]] {
        let run = Project::empty().run(["local"].into_iter().chain(arguments));
        assert_eq!(run.code, 2, "{run:?}");
    }
}

#[test]
fn the_state_survives_a_killed_process() {
    let project = Project::empty();
    let folder = project.path("state");
    let state = ["--state", folder.to_str().unwrap()];
    let mut cloud = Cloud::ours(&state);
    cloud.aws(&["iot", "create-thing", "--thing-name", "pump-1"]);
    cloud.aws(&["ssm", "put-parameter", "--name", "/a", "--value", "1", "--type", "String"]);
    cloud.aws(&["s3api", "create-bucket", "--bucket", "pumps"]);
    cloud.kill();
    drop(cloud);
    let cloud = Cloud::ours(&state);
    assert_eq!(cloud.aws(&["iot", "list-things"])["things"][0]["thingName"], "pump-1");
    assert_eq!(cloud.aws(&["ssm", "get-parameter", "--name", "/a"])["Parameter"]["Value"], "1");
    assert_eq!(cloud.aws(&["s3api", "list-buckets"])["Buckets"][0]["Name"], "pumps");
}

#[test]
fn the_console_is_served_with_all_it_needs() {
    let cloud = Cloud::ours(&[]);
    let get = |path: &str| {
        raw(
            &cloud,
            &format!("GET /_iotstack/console/{path} HTTP/1.1\nHost: HOST\nConnection: close\n\n"),
        )
    };
    let (status, page) = get("");
    assert_eq!(status, 200);
    for file in ["style.css", "app.js", "chart.js"] {
        assert_eq!(get(file).0, 200, "{file}");
    }
    assert!(page.contains("app.js") && !page.contains("://"), "nothing comes from elsewhere");
    for path in ["api/overview", "api/things", "api/jobs", "api/dashboards", "api/logs"] {
        let (status, body) = get(path);
        assert_eq!(status, 200, "{path}: {body}");
    }
    assert_eq!(get("api/things/nobody").0, 404);
    assert_eq!(get("..%2F..%2FCargo.toml").0, 404);
}

#[test]
fn further_processes_take_devices_in_when_one_is_full() {
    let scenario = "fleet: {size: 7}\nfirmware: {version: 1.1.0, size: 16 KiB}\n\
                    expect: [succeeded = 100%, no device runs an unsigned image]\n";
    let project = Project::with_config(FAST_ROLLOUT).file("s.yaml", scenario);
    let live = Live { project, cloud: Cloud::ours(&["--connections-per-process", "2"]) };
    let doors = || -> Value {
        let (_, health) =
            raw(&live.cloud, "GET /_iotstack/health HTTP/1.1\nHost: HOST\nConnection: close\n\n");
        serde_json::from_str::<Value>(&health).unwrap()["doors"].clone()
    };
    assert_eq!(doors(), 0);
    live.run(["bootstrap"]).success();
    live.run(["deploy", "--yes"]).success();
    let run = live.run(["simulate", "s.yaml", "--env", "dev", "--yes", "--json"]);
    run.success();
    assert_eq!(run.json()["facts"]["succeeded"], 7);
    // Seven devices at a time, of which this process takes two, and each other two.
    assert!(doors().as_u64().unwrap() >= 3, "{}", doors());
}

#[test]
fn a_door_opens_for_a_broker_only() {
    let run = Project::empty().run(["local", "--door"]);
    assert_eq!(run.code, 2, "{run:#?}");
    assert!(run.err.contains("only a broker opens doors"), "{run:#?}");
}

const FAST_ROLLOUT: &str = "parameters: {jobs: {rollout: {maximum_per_minute: 1000}}}\n";
