//! The whole way, on a cloud that holds every function to its role's policies: from an
//! empty account to firmware that a device verifies, and back to an account in which
//! nothing is left.
//!
//! One cloud, one fleet, one firmware image. The steps are functions in the order in which
//! a person would take them; each takes up what the one before has left.
//!
//! What this cloud cannot show: it has no CloudWatch action for topic rules, so the counters
//! of job executions are not seen here; it serves the newest version of an image, not the
//! one in the URL; it drops some properties, for which moto is asked at the end.

use std::collections::BTreeSet;
use std::process::Stdio;

use serde_json::{Map, Value, json};

use super::live::{Live, json_file};
use crate::judge::cdk::succeed;
use crate::judge::cloud::{ACCOUNT, Cloud, Inventory, Options, REGION, left_over};
use crate::judge::install;
use crate::project::Project;

const STACK: &str = "IoTFirmwareUpdatesStack-dev";
const ASSETS: &str = "cdk-hnb659fds-assets-123456789012-us-east-1";
const IMAGE: &str = "images/1.4.0.bin";

/// What every job of this fleet is to be like; nothing in it is a default.
const CONFIG: &str = "\
environments:
  dev:
    parameters:
      jobs:
        rollout:
          maximum_per_minute: 120
          exponential:
            base_rate_per_minute: 7
            increment_factor: 1.5
            number_of_notified_things: 20
        abort:
          - failure_type: REJECTED
            threshold_percentage: 12.5
            min_number_of_executed_things: 8
        in_progress_timeout_minutes: 45
        retries:
          - failure_type: TIMED_OUT
            number_of_retries: 3
        presigned_url_expires_seconds: 600
";

#[test]
fn firmware_reaches_a_fleet_and_destroying_leaves_nothing_behind() {
    let project = Project::with_config(CONFIG);
    let live = Live::start(project, Options { authorize: true, ..Options::default() });
    let bootstrapped = bootstrap(&live);
    needs_a_yes(&live, &bootstrapped);
    let outputs = deploy(&live);
    has_a_fleet_of(&live, 3);
    let mails = listen(&live, &outputs);
    let version = upload(&live, &outputs);
    let job = create_job(&live, &outputs, &version);
    the_job_is_as_configured(&live, &outputs, &job, &version);
    a_device_gets_what_was_signed(&live, &outputs, &job);
    a_failure_and_a_cancellation_reach_people(&live, &job, &mails);
    nothing_changes_without_a_change(&live, &outputs);
    grows(&live);
    clear(&live, &job, &mails);
    destroy(&live, &bootstrapped);
}

fn bootstrap(live: &Live) -> Inventory {
    let empty = live.cloud.inventory();
    live.run(["bootstrap"]).success();
    let bootstrapped = live.cloud.inventory();
    let made = left_over(&empty, &bootstrapped);
    let roles = ["cfn-exec", "deploy", "file-publishing", "image-publishing", "lookup"];
    let roles = roles.map(|role| format!("{ACCOUNT}/cdk-hnb659fds-{role}-role-{ACCOUNT}-{REGION}"));
    assert_eq!(made["iam/roles"], BTreeSet::from(roles));
    assert_eq!(made["s3/buckets"], BTreeSet::from([format!("{ACCOUNT}/{ASSETS}")]));
    bootstrapped
}

/// Roles and policies are new: nobody agreed to them, and nobody can be asked.
fn needs_a_yes(live: &Live, before: &Inventory) {
    let run = live.run(["deploy", "-c", "fleet.count=3"]);
    assert_eq!(run.code, 1, "{run:#?}");
    assert_only_published(&left_over(before, &live.cloud.inventory()));
}

fn deploy(live: &Live) -> Map<String, Value> {
    let arguments = ["deploy", "-c", "fleet.count=3", "--yes", "--outputs-file", "outputs.json"];
    let run = live.run(arguments);
    assert_eq!(run.success(), "");
    let file = json_file(&live.project.path("outputs.json"));
    let outputs = file[STACK].as_object().unwrap().clone();

    let described = live.cloud.aws(&["cloudformation", "describe-stacks", "--stack-name", STACK]);
    let stack = &described["Stacks"][0];
    assert_eq!(stack["StackStatus"], "CREATE_COMPLETE");
    let found: Map<String, Value> = stack["Outputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["OutputKey"].as_str().unwrap().to_owned(), one["OutputValue"].clone()))
        .collect();
    assert_eq!(found, outputs, "the file holds what CloudFormation says");

    let bucket = text(&outputs, "FirmwareBucketName");
    assert!(bucket.starts_with("iotfirmwareupdatesstack-dev-firmware"), "{bucket}");
    let profile = text(&outputs, "SigningProfileName");
    assert!(profile.starts_with("firmware_dev_"), "{profile}");
    assert_eq!(outputs["LambdaFunctionName"], "firmware-dev-update-manager");
    assert_eq!(outputs["ThingGroupName"], "firmware-dev");
    assert_eq!(
        outputs["SnsTopicArn"],
        format!("arn:aws:sns:{REGION}:{ACCOUNT}:firmware-dev-updates")
    );
    assert_eq!(
        outputs["DashboardURL"],
        format!(
            "https://{REGION}.console.aws.amazon.com/cloudwatch/home?region={REGION}\
             #dashboards:name=firmware-dev-updates"
        )
    );
    outputs
}

/// Every thing is in the group and has the type, which CloudFormation alone cannot do.
fn has_a_fleet_of(live: &Live, count: usize) {
    let names: Vec<String> = (1..=count).map(|n| format!("firmware-dev-{n:04}")).collect();
    let things = live.cloud.aws(&["iot", "list-things"]);
    let mut typed: Vec<(&str, &str)> = things["things"]
        .as_array()
        .unwrap()
        .iter()
        .map(|thing| {
            let name = thing["thingName"].as_str().unwrap();
            (name, thing["thingTypeName"].as_str().unwrap_or("no type"))
        })
        .collect();
    typed.sort_unstable();
    let expected: Vec<(&str, &str)> =
        names.iter().map(|name| (name.as_str(), "firmware-dev")).collect();
    assert_eq!(typed, expected);
    let group = ["iot", "list-things-in-thing-group", "--thing-group-name", "firmware-dev"];
    let mut members: Vec<String> =
        serde_json::from_value(live.cloud.aws(&group)["things"].clone()).unwrap();
    members.sort();
    assert_eq!(members, names);
}

/// A queue that gets what the topic would send by mail; its address.
fn listen(live: &Live, outputs: &Map<String, Value>) -> String {
    let queue = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:mails");
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage", "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": outputs["SnsTopicArn"]}}}]});
    let attributes = json!({"Policy": policy.to_string()}).to_string();
    let create = ["create-queue", "--queue-name", "mails", "--attributes", &attributes];
    let url = text(sqs(live, &create).as_object().unwrap(), "QueueUrl").to_owned();
    let topic = text(outputs, "SnsTopicArn");
    live.cloud.aws(&[
        "sns",
        "subscribe",
        "--topic-arn",
        topic,
        "--protocol",
        "sqs",
        "--notification-endpoint",
        &queue,
    ]);
    url
}

/// Puts an image into the bucket; the id of its version.
fn upload(live: &Live, outputs: &Map<String, Value>) -> String {
    let image: Vec<u8> = (0..70_000_u32).map(|n| (n % 251 * (n % 13) % 256) as u8).collect();
    let path = live.project.path("image.bin");
    std::fs::write(&path, image).unwrap();
    let bucket = text(outputs, "FirmwareBucketName");
    let body = path.to_str().unwrap();
    let put = ["s3api", "put-object", "--bucket", bucket, "--key", IMAGE, "--body", body];
    live.cloud.aws(&put)["VersionId"].as_str().unwrap().to_owned()
}

/// An unsigned image is refused with the command that signs it; after that command a job
/// comes out.
fn create_job(live: &Live, outputs: &Map<String, Value>, version: &str) -> String {
    let bucket = text(outputs, "FirmwareBucketName");
    let request = json!({"action": "create_job", "firmware_version": "1.4.0",
        "thing_group": "firmware-dev", "s3_bucket": bucket, "s3_key": IMAGE});
    let (status, refusal) = ask(live, &request);
    assert_eq!(status, 409, "{refusal}");
    assert_eq!(refusal["error"]["code"], "FirmwareNotSigned");
    let profile = text(outputs, "SigningProfileName");
    let command = refusal["error"]["command"].as_str().unwrap();
    assert_eq!(
        command,
        format!(
            "aws signer start-signing-job --region {REGION} --profile-name {profile} \
             --source '{{\"s3\":{{\"bucketName\":\"{bucket}\",\"key\":\"{IMAGE}\",\
             \"version\":\"{version}\"}}}}' \
             --destination '{{\"s3\":{{\"bucketName\":\"{bucket}\",\"prefix\":\"signed/\"}}}}'"
        )
    );
    let signing_job = live.shell_with_aws(command)["jobId"].as_str().unwrap().to_owned();
    live.cloud.aws(&["signer", "wait", "successful-signing-job", "--job-id", &signing_job]);

    let (status, answer) = ask(live, &request);
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["created"], true);
    assert_eq!(answer["s3_version_id"], version);
    assert_eq!(answer["size"], 70_000);
    assert_eq!(answer["signing_job_id"], signing_job.as_str());
    let job = answer["job_id"].as_str().unwrap().to_owned();
    assert!(job.starts_with("firmware-dev-1-4-0-"), "{job}");
    job
}

fn the_job_is_as_configured(live: &Live, outputs: &Map<String, Value>, job: &str, version: &str) {
    let described = live.cloud.aws(&["iot", "describe-job", "--job-id", job]);
    let found = &described["job"];
    let group = format!("arn:aws:iot:{REGION}:{ACCOUNT}:thinggroup/firmware-dev");
    assert_eq!(found["targets"], json!([group]));
    assert_eq!(
        found["jobExecutionsRolloutConfig"],
        json!({"maximumPerMinute": 120, "exponentialRate": {"baseRatePerMinute": 7,
            "incrementFactor": 1.5, "rateIncreaseCriteria": {"numberOfNotifiedThings": 20}}})
    );
    assert_eq!(
        found["abortConfig"],
        json!({"criteriaList": [{"failureType": "REJECTED", "action": "CANCEL",
            "thresholdPercentage": 12.5, "minNumberOfExecutedThings": 8}]})
    );
    assert_eq!(found["timeoutConfig"], json!({"inProgressTimeoutInMinutes": 45}));
    assert_eq!(
        found["jobExecutionsRetryConfig"],
        json!({"criteriaList": [{"failureType": "TIMED_OUT", "numberOfRetries": 3}]})
    );
    assert_eq!(found["presignedUrlConfig"]["expiresInSec"], 600);

    let document = live.cloud.aws(&["iot", "get-job-document", "--job-id", job]);
    let mut document: Value = serde_json::from_str(document["document"].as_str().unwrap()).unwrap();
    let signature = document["firmware"]["signature"].as_object_mut().unwrap().remove("value");
    assert!(signature.is_some_and(|value| value.as_str().unwrap().len() > 80));
    let sha256 = document["firmware"].as_object_mut().unwrap().remove("sha256").unwrap();
    assert_eq!(sha256.as_str().unwrap().len(), 64, "its value is checked with the image");
    let bucket = text(outputs, "FirmwareBucketName");
    assert_eq!(
        document,
        json!({"version": "1.0", "operation": "firmware_update", "firmware": {
            "version": "1.4.0", "size": 70_000,
            "url": format!("${{aws:iot:s3-presigned-url-v2:https://{bucket}.s3.{REGION}.\
                amazonaws.com/{IMAGE}%3FversionId%3D{version}}}"),
            "signature": {"algorithm": "SHA256withECDSA",
                "certificate": "/etc/iotstack/code-signing.pem"}}})
    );
}

/// Takes the part of a device: the document that the service hands out, the image behind
/// its URL, the certificate that the stack publishes, and a library of somebody else.
fn a_device_gets_what_was_signed(live: &Live, outputs: &Map<String, Value>, job: &str) {
    let next = jobs_data(live, "start-next-pending-job-execution", &[]);
    assert_eq!(next["execution"]["jobId"], job);
    let document = next["execution"]["jobDocument"].as_str().unwrap();
    let parameter = text(outputs, "SigningCertificateParameter");
    let parameter = live.cloud.aws(&["ssm", "get-parameter", "--name", parameter]);
    let certificate = parameter["Parameter"]["Value"].as_str().unwrap();
    assert!(!certificate.contains("PRIVATE KEY"));

    let verify = |tamper: &str| {
        let mut command = install::python();
        command
            .args(["-c", DEVICE, document, certificate, tamper])
            .arg(live.project.path("image.bin"))
            .stdin(Stdio::null());
        command.output().unwrap()
    };
    assert_eq!(succeed(verify(""), "the device"), "verified\n");
    let output = verify("one byte");
    assert!(!output.status.success(), "another image must not verify");
    assert!(String::from_utf8_lossy(&output.stderr).contains("InvalidSignature"), "{output:?}");
}

const DEVICE: &str = r#"
import base64, hashlib, json, sys, urllib.request
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

document, certificate, tamper, uploaded = sys.argv[1:]
firmware = json.loads(document)["firmware"]
with urllib.request.urlopen(firmware["url"], timeout=30) as response:
    image = response.read()
with open(uploaded, "rb") as file:
    assert image == file.read(), "another image"
assert len(image) == firmware["size"], "another size"
assert hashlib.sha256(image).hexdigest() == firmware["sha256"], "another digest"
if tamper:
    image = bytes([image[0] ^ 1]) + image[1:]
key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
assert isinstance(key.curve, ec.SECP256R1)
signature = base64.b64decode(firmware["signature"]["value"], validate=True)
key.verify(signature, image, ec.ECDSA(SHA256()))
print("verified")
"#;

fn a_failure_and_a_cancellation_reach_people(live: &Live, job: &str, mails: &str) {
    let (status, answer) = ask(live, &json!({"action": "check_job_status", "job_id": job}));
    assert_eq!((status, &answer["status"]), (200, &json!("IN_PROGRESS")), "{answer}");
    assert_eq!(executions(&answer), [("IN_PROGRESS", 1), ("QUEUED", 2)]);
    let (status, answer) = ask(live, &json!({"action": "list_jobs", "status": "IN_PROGRESS"}));
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["jobs"].as_array().unwrap().len(), 1);
    assert_eq!(answer["jobs"][0]["job_id"], job);

    jobs_data(live, "update-job-execution", &["--job-id", job, "--status", "FAILED"]);
    let thing = format!("arn:aws:iot:{REGION}:{ACCOUNT}:thing/firmware-dev-0001");
    heard(live, mails, &[format!(" [dev] {thing} did not finish job {job}: FAILED.")]);

    let cancel = json!({"action": "cancel_job", "job_id": job, "reason": "field test"});
    let (status, answer) = ask(live, &cancel);
    assert_eq!((status, &answer["status"]), (200, &json!("CANCELED")), "{answer}");
    heard(live, mails, &[format!(" [dev] Job {job} is now CANCELED.")]);
    let (_, answer) = ask(live, &json!({"action": "check_job_status", "job_id": job}));
    assert_eq!(answer["status"], "CANCELED", "{answer}");
    assert_eq!(answer["reason"], "field test");
    assert_eq!(executions(&answer), [("CANCELED", 2), ("FAILED", 1)]);

    refuses_jobs_of_others(live);
}

/// Job ids of another fleet are not its own, and what does not exist is not invented.
fn refuses_jobs_of_others(live: &Live) {
    let (status, answer) = ask(live, &json!({"action": "cancel_job", "job_id": "pumps-prod-1"}));
    assert_eq!((status, &answer["error"]["code"]), (400, &json!("InvalidRequest")), "{answer}");
    let unknown = json!({"action": "check_job_status", "job_id": "firmware-dev-none"});
    let (status, answer) = ask(live, &unknown);
    assert_eq!((status, &answer["error"]["code"]), (404, &json!("JobNotFound")), "{answer}");
}

fn nothing_changes_without_a_change(live: &Live, outputs: &Map<String, Value>) {
    let run = live.run(["deploy", "-c", "fleet.count=3"]);
    assert_eq!(run.success(), "");
    assert!(run.err.contains(&format!("{STACK}: no changes\n")), "{run:#?}");
    let run = live.run(["diff", "-c", "fleet.count=3", "--fail"]);
    assert_eq!(run.success(), format!("Stack {STACK}\nThere were no differences\n"));
    let mut expected = Map::new();
    expected.insert(STACK.to_owned(), Value::Object(outputs.clone()));
    assert_eq!(live.run(["outputs", "--json"]).json(), Value::Object(expected));
}

/// One more thing and other logs: compared, deployed, in place.
fn grows(live: &Live) {
    let changed = ["-c", "fleet.count=4", "-c", "log_retention_days=90"];
    let diff = [&["diff", "--fail"], &changed[..]].concat();
    let run = live.run(&diff);
    assert_eq!(run.code, 1, "{run:#?}");
    let new = format!("[+] AWS::IoT::Thing {STACK}/Things/firmware-dev-0004/Resource");
    assert!(run.out.contains(&new), "{}", run.out);
    assert!(run.out.contains("    ~ RetentionInDays: 30 → 90\n"), "{}", run.out);

    // No role and no policy changes, so nobody has to agree.
    let run = live.run([&["deploy"], &changed[..]].concat());
    run.success();
    assert_eq!(live.state(STACK), "UPDATE_COMPLETE");
    has_a_fleet_of(live, 4);
    let groups = live.cloud.aws(&["logs", "describe-log-groups"]);
    let days: Vec<&Value> = groups["logGroups"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|group| group["logGroupName"].as_str().unwrap().contains("UpdateManager"))
        .map(|group| &group["retentionInDays"])
        .collect();
    assert_eq!(days, [&json!(90)]);
    live.run(&diff).success();
}

/// Removes what this test made, and not the stack: the job and the queue.
fn clear(live: &Live, job: &str, mails: &str) {
    live.cloud.aws(&["iot", "delete-job", "--job-id", job, "--force"]);
    sqs(live, &["delete-queue", "--queue-url", mails]);
}

fn destroy(live: &Live, before: &Inventory) {
    let full = live.cloud.inventory();
    let run = live.run(["destroy", "--force"]);
    assert_eq!(run.code, 1, "{run:#?}");
    assert!(
        run.err.ends_with(
            "error: a bucket is not empty, and there is no terminal to ask at\n\
             hint: `--empty-buckets` deletes the objects, `--keep-buckets` leaves the buckets\n"
        ),
        "{}",
        run.err
    );
    assert_eq!(live.cloud.inventory(), full, "a refusal changes nothing");

    let run = live.run(["destroy", "--force", "--empty-buckets"]);
    run.success();
    assert!(run.err.contains(&format!("{STACK}: destroyed\n")), "{}", run.err);
    assert_only_published(&left_over(before, &live.cloud.inventory()));
    let events = live.cloud.aws(&["iot", "describe-event-configurations"]);
    assert_eq!(events["eventConfigurations"]["JOB"]["Enabled"], false, "{events}");
    assert_eq!(events["eventConfigurations"]["JOB_EXECUTION"]["Enabled"], false, "{events}");

    let run = live.run(["destroy", "--force"]);
    run.success();
    assert_eq!(run.err, format!("{STACK}: there is nothing to destroy\n"));
}

/// Published assets stay in the bootstrap bucket, as they do with the CDK.
fn assert_only_published(left: &Inventory) {
    let stores: Vec<&str> = left.keys().map(String::as_str).collect();
    assert_eq!(stores, ["s3/object_versions"], "{left:#?}");
    let elsewhere: Vec<&String> =
        left["s3/object_versions"].iter().filter(|key| !key.contains(ASSETS)).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
}

/// Invokes the update manager; the status code and the body it answers with.
fn ask(live: &Live, request: &Value) -> (u64, Value) {
    let answer = live.project.path("answer.json");
    let function = "firmware-dev-update-manager";
    let payload = request.to_string();
    let invoke = ["lambda", "invoke", "--function-name", function, "--payload", &payload];
    let invoked = live.cloud.aws(&[&invoke[..], &[answer.to_str().unwrap()]].concat());
    assert_eq!(invoked.get("FunctionError"), None, "{invoked}");
    let answer = json_file(&answer);
    let body = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    (answer["statusCode"].as_u64().unwrap(), body)
}

/// The states of executions that are not zero, by name.
fn executions(answer: &Value) -> Vec<(&str, u64)> {
    let counts = answer["executions"].as_object().unwrap();
    let mut counts: Vec<(&str, u64)> =
        counts.iter().map(|(name, count)| (name.as_str(), count.as_u64().unwrap())).collect();
    counts.retain(|(_, count)| *count > 0);
    counts.sort_unstable();
    counts
}

/// Reads mails until all of `endings` have come; each read waits for mail by itself.
fn heard(live: &Live, mails: &str, endings: &[String]) {
    let mut heard = Vec::new();
    for _ in 0..15 {
        let receive = ["receive-message", "--queue-url", mails, "--wait-time-seconds", "2"];
        let answer = sqs(live, &[&receive[..], &["--max-number-of-messages", "10"]].concat());
        for message in answer["Messages"].as_array().into_iter().flatten() {
            let envelope: Value = serde_json::from_str(message["Body"].as_str().unwrap()).unwrap();
            let mail = envelope["Message"].as_str().unwrap().trim_matches('"').to_owned();
            heard.push(mail);
            let receipt = message["ReceiptHandle"].as_str().unwrap();
            sqs(live, &["delete-message", "--queue-url", mails, "--receipt-handle", receipt]);
        }
        if endings.iter().all(|ending| heard.iter().any(|mail| mail.ends_with(ending.as_str()))) {
            return;
        }
    }
    panic!("expected mails that end with {endings:?}, heard {heard:?}");
}

/// The AWS CLI takes the address of SQS from nowhere but its option.
fn sqs(live: &Live, arguments: &[&str]) -> Value {
    let service = ["--endpoint-url", live.cloud.endpoint(), "sqs"];
    live.cloud.aws(&[&service[..], arguments].concat())
}

/// What a device would do over MQTT or HTTPS.
fn jobs_data(live: &Live, operation: &str, arguments: &[&str]) -> Value {
    let service = ["--endpoint-url", live.cloud.endpoint(), "iot-jobs-data", operation];
    let thing = ["--thing-name", "firmware-dev-0001"];
    live.cloud.aws(&[&service[..], &thing, arguments].concat())
}

fn text<'a>(outputs: &'a Map<String, Value>, name: &str) -> &'a str {
    outputs.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("no output {name}"))
}

/// Reserved concurrency and the bucket's key, which ministack takes and forgets.
#[test]
fn moto_applies_what_ministack_drops() {
    let project = Project::empty();
    let synth = ["synth", "-q", "-o", "kms.out", "-c", "encryption=kms"];
    project.run(synth).success();
    let template = json_file(&project.path(format!("kms.out/{STACK}.template.json")));
    let kept = without_custom_resources(&template);
    let path = project.path("kept.json");
    std::fs::write(&path, kept.to_string()).unwrap();

    let moto = Cloud::moto();
    let body = format!("file://{}", path.display());
    let create = ["cloudformation", "create-stack", "--stack-name", "kept", "--template-body"];
    moto.aws(&[&create[..], &[&body, "--capabilities", "CAPABILITY_IAM"]].concat());
    moto.aws(&["cloudformation", "wait", "stack-create-complete", "--stack-name", "kept"]);

    let function = "firmware-dev-update-manager";
    let ask = ["lambda", "get-function-concurrency", "--function-name", function];
    assert_eq!(moto.aws(&ask)["ReservedConcurrentExecutions"], 5);
    let buckets = moto.aws(&["s3api", "list-buckets"]);
    let bucket = buckets["Buckets"][0]["Name"].as_str().unwrap();
    let encryption = moto.aws(&["s3api", "get-bucket-encryption", "--bucket", bucket]);
    let rule = &encryption["ServerSideEncryptionConfiguration"]["Rules"][0];
    let default = &rule["ApplyServerSideEncryptionByDefault"];
    assert_eq!(default["SSEAlgorithm"], "aws:kms");
    let keys = moto.aws(&["kms", "list-keys"]);
    assert_eq!(keys["Keys"].as_array().unwrap().len(), 1);
    assert_eq!(default["KMSMasterKeyID"], keys["Keys"][0]["KeyArn"]);
}

/// The bucket, its key and the update manager of our template; moto runs no functions, so
/// what functions would have made is replaced by its name.
fn without_custom_resources(template: &Value) -> Value {
    let mut kept = Map::new();
    for (id, resource) in template["Resources"].as_object().unwrap() {
        let kind = resource["Type"].as_str().unwrap();
        let is_kept = match kind {
            "AWS::S3::Bucket" | "AWS::KMS::Key" => true,
            "AWS::Lambda::Function" | "AWS::IAM::Role" => {
                id.contains("UpdateManager") || id.contains("Presigner")
            }
            _ => false,
        };
        if !is_kept {
            continue;
        }
        let mut resource = resource.clone();
        let members = resource.as_object_mut().unwrap();
        members.remove("DependsOn");
        if kind == "AWS::Lambda::Function" {
            let properties = members["Properties"].as_object_mut().unwrap();
            properties.remove("Environment");
            properties.remove("LoggingConfig");
            properties.insert("Code".into(), json!({"ZipFile": "unused"}));
        }
        kept.insert(id.clone(), resource);
    }
    assert!(kept.len() >= 4, "{:?}", kept.keys());
    json!({ "Resources": kept })
}
