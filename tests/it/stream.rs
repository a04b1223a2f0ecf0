//! Simulated devices take an update of AWS IoT's own OTA service, which sends the image over
//! MQTT: CreateOTAUpdate has it signed, makes the stream and the job.

use std::sync::Arc;

use iotstack_protocol::JobId;
use iotstack_sim::{Answer, Cloud, JobView, Rollout, Scenario, Silence};
use serde_json::Value;

use crate::judge::cloud::Cloud as Process;
use crate::operator::Operator;
use crate::project::Project;

const SCENARIO: &str = "
fleet:
  size: 3
  serials: 'unit-{n}'
  profiles: [{version: 1.0.0}]
firmware: {version: 1.1.0, size: 64 KiB}
expect: [succeeded = 100%, no device runs an unsigned image, job completes]
";

/// Makes the update, with a role that may, and waits until the service has.
const UPDATE: &str = "
import boto3, json, sys, time
bucket, key, profile, target, certificates = json.loads(sys.argv[1])
iot, iam = boto3.client('iot'), boto3.client('iam')
allow = lambda **what: json.dumps({'Version': '2012-10-17', 'Statement': [{'Effect': 'Allow', **what}]})
role = iam.create_role(RoleName='ota', AssumeRolePolicyDocument=allow(
    Principal={'Service': 'iot.amazonaws.com'}, Action='sts:AssumeRole'))['Role']['Arn']
iam.put_role_policy(RoleName='ota', PolicyName='all', PolicyDocument=allow(Action='*', Resource='*'))
iot.create_policy(policyName='streams', policyDocument=allow(
    Action=['iot:Publish', 'iot:Receive', 'iot:Subscribe'], Resource='*'))
for certificate in certificates:
    iot.attach_policy(policyName='streams', target=certificate)
version = boto3.client('s3').head_object(Bucket=bucket, Key=key)['VersionId']
iot.create_ota_update(
    otaUpdateId='pumps', targets=[target], protocols=['MQTT'], roleArn=role, files=[{
        'fileName': 'pump.bin',
        'fileLocation': {'s3Location': {'bucket': bucket, 'key': key, 'version': version}},
        'codeSigning': {'startSigningJobParameter': {
            'signingProfileName': profile,
            'destination': {'s3Destination': {'bucket': bucket, 'prefix': 'signed/'}}}}}])
for _ in range(600):
    update = iot.get_ota_update(otaUpdateId='pumps')['otaUpdateInfo']
    if update['otaUpdateStatus'] in ('CREATE_COMPLETE', 'CREATE_FAILED'):
        break
    time.sleep(0.1)
print(json.dumps(update, default=str))
";

#[test]
fn devices_take_an_update_that_comes_over_mqtt() {
    let process = Process::ours(&[]);
    let operator = Operator {
        project: Project::empty(),
        endpoint: process.endpoint().to_owned(),
        mqtt: format!("localhost:{}", process.mqtt().unwrap()),
        authority: process.authority().to_owned(),
    };
    operator.deploy();
    let scenario = Scenario::from_yaml(SCENARIO).unwrap();
    let target =
        operator.target(&["firmware-dev-unit-1", "firmware-dev-unit-2", "firmware-dev-unit-3"]);
    let streams = Streams { operator, process };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let run = iotstack_sim::run(&scenario, target, &streams, Arc::new(Silence));
    let report = runtime.block_on(run).unwrap();
    assert!(report.is_passed(), "{:#?}\n{:#?}", report.verdicts, report.fleet.devices);
    assert!(report.fleet.devices.iter().all(|device| device.version.as_deref() == Some("1.1.0")));
}

/// Rolls out by the OTA service; all else is as usual.
struct Streams {
    operator: Operator,
    process: Process,
}

impl Cloud for Streams {
    fn roll_out<'a>(&'a self, rollout: &'a Rollout) -> Answer<'a, JobId> {
        Box::pin(async move {
            let Operator { project, .. } = &self.operator;
            std::fs::write(project.path("pump.bin"), &rollout.image).unwrap();
            let version = rollout.version.as_str();
            let key = self.operator.run(&["firmware", "upload", "pump.bin", "-V", version]);
            let output = |name: &str| self.operator.run(&["outputs", "--name", name]);
            let group = output("ThingGroupName");
            let group =
                self.process.aws(&["iot", "describe-thing-group", "--thing-group-name", &group]);
            let certificates = self.process.aws(&["iot", "list-certificates"]);
            let certificates = certificates["certificates"].as_array().unwrap();
            let arns: Vec<&Value> =
                certificates.iter().map(|certificate| &certificate["certificateArn"]).collect();
            let order = serde_json::json!([
                output("FirmwareBucketName"),
                key,
                output("SigningProfileName"),
                group["thingGroupArn"],
                arns,
            ]);
            let made = self.process.boto3(UPDATE, &[&order.to_string()]);
            assert_eq!(made["otaUpdateStatus"], "CREATE_COMPLETE", "{made:#}");
            Ok(made["awsIotJobId"].as_str().unwrap().parse().unwrap())
        })
    }

    fn job<'a>(&'a self, job: &'a JobId) -> Answer<'a, JobView> {
        Box::pin(async move {
            let found = self.process.aws(&["iot", "describe-job", "--job-id", job.as_str()]);
            let counts = &found["job"]["jobProcessDetails"];
            let count = |name: &str| counts[name].as_u64().unwrap_or(0);
            let status = found["job"]["status"].as_str().unwrap().parse().unwrap();
            Ok(JobView {
                queued: count("numberOfQueuedThings"),
                in_progress: count("numberOfInProgressThings"),
                succeeded: count("numberOfSucceededThings"),
                failed: count("numberOfFailedThings"),
                rejected: count("numberOfRejectedThings"),
                ..JobView::new(status, |_| 0)
            })
        })
    }

    fn cancel_job<'a>(&'a self, job: &'a JobId) -> Answer<'a, ()> {
        self.operator.cancel_job(job)
    }

    fn cancel_execution<'a>(&'a self, thing: &'a str, job: &'a JobId) -> Answer<'a, ()> {
        self.operator.cancel_execution(thing, job)
    }
}
