//! The program on a full disk.
//!
//! No file may grow beyond a limit, which any user may set for a process and take back
//! again; a write beyond it fails as one on a full disk does. What a simulated device does
//! when its flash is full is tested where devices are.

use serde_json::{Value, json};

use crate::judge::cloud::Cloud;
use crate::project::{Project, Run};

/// Makes secrets until one is refused, and then tries other services.
const FILL: &str = "
import boto3, json
from botocore.exceptions import ClientError

secrets, iot, s3 = map(boto3.client, ['secretsmanager', 'iot', 's3'])

def answer(ask):
    try:
        ask()
    except ClientError as error:
        told = error.response['Error']
        status = error.response['ResponseMetadata']['HTTPStatusCode']
        return {'status': status, 'code': told['Code'], 'message': told['Message']}

kept, refused = [], None
for number in range(40):
    name = f'secret-{number}'
    refused = answer(lambda: secrets.create_secret(Name=name, SecretString='x' * 60000))
    if refused:
        break
    kept.append(name)
print(json.dumps({
    'kept': kept,
    'refused': refused,
    'thing': answer(lambda: iot.create_thing(thingName='during')),
    'again': answer(lambda: iot.create_thing(thingName='during')),
    'object': answer(lambda: s3.put_object(Bucket='pumps', Key='large', Body=b'x' * 4000000)),
    'read': s3.get_object(Bucket='pumps', Key='small')['Body'].read().decode(),
}))
";

/// What is there.
const LOOK: &str = "
import boto3, json
iot, secrets, s3 = map(boto3.client, ['iot', 'secretsmanager', 's3'])
objects = s3.list_objects_v2(Bucket='pumps').get('Contents', [])
print(json.dumps({
    'things': [thing['thingName'] for thing in iot.list_things()['things']],
    'secrets': sorted(one['Name'] for one in secrets.list_secrets(MaxResults=100)['SecretList']),
    'objects': {one['Key']: one['Size'] for one in objects},
}))
";

const BEFORE: &str = "
import boto3
boto3.client('iot').create_thing(thingName='before')
s3 = boto3.client('s3')
s3.create_bucket(Bucket='pumps')
s3.put_object(Bucket='pumps', Key='small', Body=b'a pump')
print('null')
";

const AFTER: &str = "
import boto3
boto3.client('iot').create_thing(thingName='later')
boto3.client('s3').put_object(Bucket='pumps', Key='large', Body=b'x' * 4000000)
print('null')
";

/// A cloud with some things in it, whose state has come to the end of the disk, and what it
/// answered then.
fn filled(project: &Project) -> (Cloud, Value) {
    let state = project.path("state");
    let cloud = Cloud::ours_on_a_small_disk(&["--state", state.to_str().unwrap()]);
    cloud.boto3(BEFORE, &[]);
    let size = std::fs::metadata(state.join("state.redb")).unwrap().len();
    cloud.fill_disk(Some(size));
    let told = cloud.boto3(FILL, &[]);
    for refused in ["refused", "thing", "again", "object"] {
        let answer = &told[refused];
        assert_eq!(answer["status"], 503, "{refused}: {told:#}");
        assert_eq!(answer["code"], "ServiceUnavailable");
        let message = answer["message"].as_str().unwrap();
        assert!(message.contains("File too large"), "{refused}: {message}");
    }
    assert_eq!(told["read"], "a pump", "what is there can still be read");
    assert_eq!(project.names("state/objects").len(), 1, "half an object takes no space");
    (cloud, told)
}

#[test]
fn a_cloud_on_a_full_disk_says_so_and_goes_on_once_there_is_space() {
    let project = Project::empty();
    let (mut cloud, told) = filled(&project);
    let log = cloud.log();
    assert!(log.contains("the state on disk lags behind"), "{log}");
    assert!(log.contains("File too large"), "{log}");
    assert!(log.contains(project.path("state").to_str().unwrap()), "the disk is named: {log}");

    cloud.fill_disk(None);
    cloud.boto3(AFTER, &[]);
    let found = cloud.boto3(LOOK, &[]);
    assert_eq!(found["things"], json!(["before", "during", "later"]));
    assert_eq!(found["objects"], json!({ "large": 4_000_000, "small": 6 }));
    cloud.kill();
    cloud.start_again(&["--state", project.path("state").to_str().unwrap()]);
    assert_eq!(cloud.boto3(LOOK, &[]), found, "all of it is on the disk: {told:#}");
}

#[test]
fn what_was_confirmed_survives_a_cloud_that_is_killed_on_a_full_disk() {
    let project = Project::empty();
    let (mut cloud, told) = filled(&project);
    cloud.kill();
    cloud.start_again(&["--state", project.path("state").to_str().unwrap()]);
    let found = cloud.boto3(LOOK, &[]);
    assert_eq!(found["things"], json!(["before"]));
    assert_eq!(found["secrets"], told["kept"]);
    assert_eq!(found["objects"], json!({ "small": 6 }));
}

/// Runs a line of shell in which no file may grow beyond so many blocks of 512 bytes.
fn limited(project: &Project, blocks: u32, line: &str) -> Run {
    project.shell(&format!("trap '' XFSZ; ulimit -f {blocks}; {line}"))
}

#[test]
fn a_cloud_that_finds_no_space_for_its_state_does_not_start_and_does_no_harm() {
    let project = Project::empty();
    let line = "exec \"$IOTSTACK\" local --state state --port 0 --mqtt-port 0";
    let run = limited(&project, 40, line);
    assert_eq!(run.code, 2, "{run:#?}");
    assert!(run.err.contains("the state in `state` cannot be opened: "), "{run:#?}");
    assert!(run.err.contains("File too large"), "{run:#?}");
    let state = project.path("state");
    let cloud = Cloud::ours(&["--state", state.to_str().unwrap()]);
    cloud.boto3(BEFORE, &[]);
}

#[test]
fn an_assembly_that_does_not_fit_leaves_the_one_before() {
    let project = Project::empty();
    project.run(["synth", "-q"]).success();
    let (names, manifest) = (project.names(""), project.read("iotstack.out/manifest.json"));
    let files = project.names("iotstack.out");
    let run = limited(&project, 1000, "exec \"$IOTSTACK\" synth -q -c fleet.count=7");
    assert_eq!(run.code, 1, "{run:#?}");
    assert!(run.err.starts_with("error: cannot "), "{run:#?}");
    assert!(run.err.contains("iotstack.out") && run.err.contains("File too large"), "{run:#?}");
    assert_eq!(project.names(""), names);
    assert_eq!(project.names("iotstack.out"), files);
    assert_eq!(project.read("iotstack.out/manifest.json"), manifest);
}

#[test]
fn a_template_that_does_not_fit_where_it_is_led_to_is_an_error() {
    let project = Project::empty();
    let run = project.shell("exec \"$IOTSTACK\" synth > /dev/full");
    assert_eq!(run.code, 1, "{run:#?}");
    assert!(
        run.err.ends_with(
            "error: cannot write to standard output: No space left on device (os error 28)\n"
        ),
        "{run:#?}"
    );
}

#[test]
fn a_report_that_does_not_fit_is_an_error_after_the_verdict() {
    let scenario = "
fleet:
  size: 2
  profiles: [{version: 1.0.0}]
firmware: {version: 1.1.0, size: 4 KiB}
expect: [succeeded = 100%]
";
    let project = Project::empty().file("small.yaml", scenario);
    let run = project.run(["simulate", "small.yaml", "--html", "/dev/full"]);
    assert_eq!(run.code, 1, "{run:#?}");
    assert!(run.err.contains("✓ succeeded = 100%: 100.0% (2 of 2)\n"), "{run:#?}");
    let error = "error: cannot write the report to /dev/full: No space left on device";
    assert!(run.err.contains(error), "{run:#?}");
}
