//! OTA updates, with little stand-ins for streams and Signer.
//!
//! The stand-ins remember what they were asked for; whether Signer's signatures are good
//! is tested where Signer lives.

use http::Method;
use iotstack_local_kernel::{Call, Operation, Operations, Protocol, Reply, Service};
use serde_json::json;

use super::*;

/// What the stand-ins were asked for.
#[derive(Default)]
struct Neighbours(Mutex<Vec<(String, Value)>>);

impl Neighbours {
    fn note(&self, call: Call) -> Result<Reply, Fault> {
        let answer = match call.operation {
            "StartSigningJob" => json!({"jobId": "s1"}),
            "DescribeSigningJob" => json!({"status": "Succeeded", "profileName": "profile_1",
                "signedObject": {"s3": {"bucketName": "documents", "key": "signed"}}}),
            "GetSigningProfile" => json!({"signingParameters": {"certname": "/device/cert"}}),
            _ => json!({}),
        };
        let input = Value::Object(call.input);
        self.0.lock().unwrap().push((call.operation.to_owned(), input));
        Ok(answer.into())
    }
}

struct Streams(Arc<Neighbours>);
struct Signer(Arc<Neighbours>);

impl Service for Streams {
    fn scopes(&self) -> &'static [&'static str] {
        &["iot"]
    }

    fn protocols(&self) -> &'static [Protocol] {
        &[Protocol::RestJson]
    }

    fn operations(self: Arc<Self>) -> Vec<Operation> {
        Operations::of(self)
            .rest("CreateStream", Method::POST, "/streams/{streamId}", |s, call| s.0.note(call))
            .rest("DeleteStream", Method::DELETE, "/streams/{streamId}", |s, call| s.0.note(call))
            .list()
    }
}

impl Service for Signer {
    fn scopes(&self) -> &'static [&'static str] {
        &["signer"]
    }

    fn protocols(&self) -> &'static [Protocol] {
        &[Protocol::RestJson]
    }

    fn operations(self: Arc<Self>) -> Vec<Operation> {
        Operations::of(self)
            .named("StartSigningJob", |s, call| s.0.note(call))
            .named("DescribeSigningJob", |s, call| s.0.note(call))
            .named("GetSigningProfile", |s, call| s.0.note(call))
            .list()
    }
}

fn world() -> (World, Arc<Neighbours>) {
    let world = World::new();
    let neighbours = Arc::new(Neighbours::default());
    world.cloud.services.add(Arc::new(Streams(neighbours.clone())));
    world.cloud.services.add(Arc::new(Signer(neighbours.clone())));
    (world, neighbours)
}

fn request(id: &str, protocols: Value, signing: Value) -> Value {
    json!({
        "otaUpdateId": id,
        "targets": ["arn:aws:iot:us-east-1:123456789012:thing/lamp-1"],
        "protocols": protocols,
        "roleArn": "arn:aws:iam::123456789012:role/updates",
        "awsJobAbortConfig": {"abortCriteriaList": [{"failureType": "FAILED", "action": "CANCEL",
            "thresholdPercentage": 10, "minNumberOfExecutedThings": 1}]},
        "files": [{
            "fileName": "/device/firmware", "fileType": 3,
            "fileLocation": {"s3Location": {"bucket": "firmware", "key": "lamp.bin", "version": "v7"}},
            "codeSigning": signing,
        }],
    })
}

fn custom() -> Value {
    json!({"customCodeSigning": {"signature": {"inlineDocument": "c2ln"},
        "certificateChain": {"certificateName": "cert.pem"},
        "hashAlgorithm": "SHA256", "signatureAlgorithm": "ECDSA"}})
}

/// Waits until an update is made or has failed.
async fn made(world: &World, id: &str) -> Value {
    for _ in 0..5000 {
        let found = world.call("GetOTAUpdate", json!({"otaUpdateId": id})).await.unwrap();
        let info = &found["otaUpdateInfo"];
        if !["CREATE_PENDING", "CREATE_IN_PROGRESS"]
            .contains(&info["otaUpdateStatus"].as_str().unwrap())
        {
            return info.clone();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("{id} was never made");
}

async fn document(world: &World) -> Value {
    let (_, body) = world.ask("$aws/things/lamp-1/jobs/start-next", "{}").await;
    body["execution"]["jobDocument"]["afr_ota"].clone()
}

#[tokio::test]
async fn an_update_over_both_ways_becomes_a_stream_and_a_job() {
    let (world, neighbours) = world();
    let input = request("u1", json!(["MQTT", "HTTP"]), custom());
    let created = world.call("CreateOTAUpdate", input.clone()).await.unwrap();
    assert_eq!(created["otaUpdateStatus"], "CREATE_PENDING");
    assert_eq!(created["awsIotJobId"], "AFR_OTA-u1");
    let info = made(&world, "u1").await;
    assert_eq!(info["otaUpdateStatus"], "CREATE_COMPLETE", "{info}");
    assert_eq!(info["otaUpdateFiles"][0]["fileName"], "/device/firmware");
    assert_eq!(info.get("roleArn"), None);
    let (_, stream) = neighbours.0.lock().unwrap()[0].clone();
    let file = json!({"fileId": 0, "s3Location": {"bucket": "firmware", "key": "lamp.bin", "version": "v7"}});
    assert_eq!(stream["files"], json!([file]));
    assert_eq!(
        document(&world).await,
        json!({"protocols": ["MQTT", "HTTP"], "streamname": stream["streamId"], "files": [{
            "filepath": "/device/firmware", "filesize": 8, "fileid": 0, "fileType": 3,
            "update_data_url": "get firmware lamp.bin v7 1800", "auth_scheme": "aws.s3.presigned",
            "certfile": "cert.pem", "sig-sha256-ecdsa": "c2ln"}]})
    );
    let job = world.call("DescribeJob", json!({"jobId": "AFR_OTA-u1"})).await.unwrap();
    assert_eq!(job["job"]["abortConfig"]["criteriaList"][0]["failureType"], "FAILED");
    let again = world.call("CreateOTAUpdate", input).await.unwrap_err();
    assert_eq!((again.code.as_str(), again.status), ("ResourceAlreadyExistsException", 409));
    let listed =
        world.call("ListOTAUpdates", json!({"otaUpdateStatus": "CREATE_COMPLETE"})).await.unwrap();
    assert_eq!(listed["otaUpdates"][0]["otaUpdateId"], "u1");

    let refused = world.call("DeleteOTAUpdate", json!({"otaUpdateId": "u1"})).await.unwrap_err();
    assert_eq!(refused.code, "InvalidRequestException");
    let input = json!({"otaUpdateId": "u1", "deleteStream": true, "forceDeleteAWSJob": true});
    world.call("DeleteOTAUpdate", input).await.unwrap();
    assert_eq!(neighbours.0.lock().unwrap().last().unwrap().0, "DeleteStream");
    let gone = world.call("GetOTAUpdate", json!({"otaUpdateId": "u1"})).await.unwrap_err();
    assert_eq!(gone.status, 404);
}

#[tokio::test]
async fn signer_signs_what_is_delivered() {
    let (world, neighbours) = world();
    let signing = json!({"startSigningJobParameter": {"signingProfileName": "profile_1",
        "destination": {"s3Destination": {"bucket": "documents", "prefix": "p/"}}}});
    world.call("CreateOTAUpdate", request("u1", json!(["HTTP"]), signing)).await.unwrap();
    let info = made(&world, "u1").await;
    assert_eq!(info["otaUpdateStatus"], "CREATE_COMPLETE", "{info}");
    let asked = neighbours.0.lock().unwrap().clone();
    let source = json!({"s3": {"bucketName": "firmware", "key": "lamp.bin", "version": "v7"}});
    assert_eq!((asked[0].0.as_str(), &asked[0].1["source"]), ("StartSigningJob", &source));
    let document = document(&world).await;
    assert_eq!(document["files"][0]["sig-sha256-ecdsa"], "c2lnbmVk");
    assert_eq!(document["files"][0]["certfile"], "/device/cert");
    assert_eq!(document.get("streamname"), None);
}

#[tokio::test]
async fn an_update_that_cannot_be_made_says_why() {
    let (world, _) = world();
    let mut input = request("u1", json!(["HTTP"]), custom());
    input["files"][0]["fileLocation"]["s3Location"]["key"] = json!("missing.bin");
    world.call("CreateOTAUpdate", input).await.unwrap();
    let info = made(&world, "u1").await;
    assert_eq!(info["otaUpdateStatus"], "CREATE_FAILED");
    let message = info["errorInfo"]["message"].as_str().unwrap();
    assert!(message.contains("firmware/missing.bin"), "{message}");
    for (member, value) in [
        ("files", json!([])),
        ("targets", json!([])),
        ("roleArn", json!("")),
        ("protocols", json!(["MQTT", "MQTT"])),
        ("protocols", json!(["FTP"])),
        ("files", json!([{"fileName": "x"}])),
    ] {
        let mut input = request("u2", json!(["HTTP"]), custom());
        input[member] = value;
        let fault = world.call("CreateOTAUpdate", input).await.unwrap_err();
        assert_eq!(fault.code, "InvalidRequestException", "{member}");
    }
    let two = json!({"awsSignerJobId": "s1", "customCodeSigning": {}});
    let fault =
        world.call("CreateOTAUpdate", request("u2", json!(["HTTP"]), two)).await.unwrap_err();
    assert!(fault.message.contains("exactly one of"), "{fault}");
}

#[tokio::test]
async fn an_update_keeps_its_tags_and_takes_others() {
    let (world, _) = world();
    let mut input = request("u1", json!(["HTTP"]), custom());
    input["tags"] = json!([{"Key": "team", "Value": "a"}]);
    world.call("CreateOTAUpdate", input).await.unwrap();
    let keeper = world.cloud.ports.tagged("otaupdate").unwrap();
    assert_eq!(keeper.tags("otaupdate", "u1").unwrap()["team"], "a");
    assert_eq!(keeper.tags("otaupdate", "u2"), None);
    let clear: iotstack_local_kernel::tags::ChangeTags = Box::new(|tags| {
        tags.clear();
        Ok(())
    });
    keeper.change_tags("otaupdate", "u1", clear).await.unwrap();
    assert!(keeper.tags("otaupdate", "u1").unwrap().is_empty());
    let nothing = Box::new(|_: &mut _| Ok(()));
    let gone = keeper.change_tags("otaupdate", "u2", nothing).await.unwrap_err();
    assert_eq!(gone.status, 404);
}
