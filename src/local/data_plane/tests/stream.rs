//! Streams: the operations, and what devices ask for.
//!
//! The bucket is made of paper and counts its reads; blocks are compared with the image
//! that lies in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ciborium::Value as Cbor;
use iotstack_local_kernel::tags::Tags;
use iotstack_local_kernel::testing::call;
use iotstack_local_kernel::{CloudEvent, ResourceRequest};
use serde_json::json;

use super::*;

const ROLE: &str = "arn:aws:iam::123456789012:role/streams";
const TOPIC: &str = "$aws/things/lamp/streams/fw";

fn image() -> Vec<u8> {
    (0..10_000u32).map(|n| (n * 7 % 251) as u8).collect()
}

fn wish() -> Value {
    json!({
        "streamId": "fw", "description": "firmware", "roleArn": ROLE,
        "files": [
            {"fileId": 0, "s3Location": {"bucket": "b", "key": "image"}},
            {"fileId": 7, "s3Location": {"bucket": "b", "key": "notes", "version": "v1"}},
        ],
    })
}

async fn stream() -> (Arc<Cloud>, Arc<Paper>) {
    let (cloud, paper) = world();
    paper.put("b/image", image());
    paper.put("b/notes", "hello");
    call(&cloud, "iot", "CreateStream", wish()).await.unwrap();
    (cloud, paper)
}

async fn ask(cloud: &Cloud, paper: &Paper, what: &str, request: Value) -> Vec<(String, Value)> {
    receive(cloud, &format!("{TOPIC}/{what}/json"), request.to_string());
    settle().await;
    let tail = |(topic, payload): (String, Value)| {
        (topic.strip_prefix(&format!("{TOPIC}/")).unwrap().to_owned(), payload)
    };
    paper.published().into_iter().map(tail).collect()
}

fn blocks(said: &[(String, Value)]) -> Vec<u64> {
    said.iter()
        .map(|(topic, data)| {
            assert_eq!(topic, "data/json", "{data}");
            data["i"].as_u64().unwrap()
        })
        .collect()
}

#[tokio::test]
async fn the_operations_keep_streams() {
    let (cloud, _) = world();
    let made = call(&cloud, "iot", "CreateStream", wish()).await.unwrap();
    let arn = "arn:aws:iot:us-east-1:123456789012:stream/fw";
    assert_eq!(
        made,
        json!({"streamId": "fw", "streamArn": arn, "description": "firmware", "streamVersion": 1})
    );
    let again = call(&cloud, "iot", "CreateStream", wish()).await.unwrap_err();
    assert_eq!((again.code.as_str(), again.status), ("ResourceAlreadyExistsException", 409));
    cloud.clock.step(Duration::from_secs(10));
    let changed = json!({"streamId": "fw", "description": "new"});
    let changed = call(&cloud, "iot", "UpdateStream", changed).await.unwrap();
    assert_eq!(changed["streamVersion"], 2);
    let info = call(&cloud, "iot", "DescribeStream", json!({"streamId": "fw"})).await.unwrap();
    assert_eq!(
        info["streamInfo"],
        json!({
        "streamId": "fw", "streamArn": arn, "description": "new", "streamVersion": 2,
        "files": wish()["files"], "createdAt": 1_767_225_600.0, "lastUpdatedAt": 1_767_225_610.0,
        "roleArn": ROLE})
    );
    for id in ["b", "a"] {
        let mut wish = wish();
        wish["streamId"] = id.into();
        call(&cloud, "iot", "CreateStream", wish).await.unwrap();
    }
    let ids = |reply: &Value| -> Vec<String> {
        reply["streams"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s["streamId"].as_str().unwrap().to_owned())
            .collect()
    };
    let list = async |input: Value| call(&cloud, "iot", "ListStreams", input).await.unwrap();
    assert_eq!(ids(&list(json!({"isAscendingOrder": true})).await), ["a", "b", "fw"]);
    let page = list(json!({"maxResults": 2})).await;
    assert_eq!(ids(&page), ["fw", "b"]);
    assert_eq!(ids(&list(json!({"maxResults": 2, "nextToken": page["nextToken"]})).await), ["a"]);
    call(&cloud, "iot", "DeleteStream", json!({"streamId": "fw"})).await.unwrap();
    for operation in ["DescribeStream", "DeleteStream", "UpdateStream"] {
        let fault = call(&cloud, "iot", operation, json!({"streamId": "fw"})).await.unwrap_err();
        assert_eq!(fault.code, "ResourceNotFoundException");
    }
}

#[tokio::test]
async fn wrong_streams_are_refused() {
    let (cloud, _) = world();
    let rows = [
        ("streamId", json!("a b")),
        ("description", json!("x".repeat(2029))),
        ("files", json!([])),
        ("files", json!(vec![json!({"fileId": 1, "s3Location": {"bucket": "b", "key": "k"}}); 2])),
        ("files", json!([{"fileId": 256, "s3Location": {"bucket": "b", "key": "k"}}])),
        ("files", json!([{"fileId": 1, "s3Location": {"bucket": "b"}}])),
        (
            "files",
            json!(
                (0..51)
                    .map(|n| json!({"fileId": n, "s3Location": {"bucket": "b", "key": "k"}}))
                    .collect::<Vec<_>>()
            ),
        ),
        ("roleArn", json!("role")),
    ];
    for (member, value) in rows {
        let mut wish = wish();
        wish[member] = value;
        let fault = call(&cloud, "iot", "CreateStream", wish.clone()).await.unwrap_err();
        assert_eq!(fault.status, 400, "{wish}");
    }
}

#[tokio::test]
async fn describes_its_files() {
    let (cloud, paper) = stream().await;
    let said = ask(&cloud, &paper, "describe", json!({"c": "t"})).await;
    assert_eq!(
        said,
        [(
            "description/json".to_owned(),
            json!({
        "c": "t", "s": 1, "d": "firmware", "r": [{"f": 0, "z": 10_000}, {"f": 7, "z": 5}]})
        )]
    );
}

#[tokio::test]
async fn delivers_a_file_block_by_block() {
    let (cloud, paper) = stream().await;
    let mut file = Vec::new();
    for block in 0..10 {
        let request = json!({"c": "t", "s": 1, "f": 0, "l": 1024, "o": block, "n": 1});
        let said = ask(&cloud, &paper, "get", request).await;
        assert_eq!(blocks(&said), [block]);
        let data = &said[0].1;
        let bytes = STANDARD.decode(data["p"].as_str().unwrap()).unwrap();
        assert_eq!(data["l"], bytes.len());
        assert_eq!((&data["c"], &data["f"]), (&json!("t"), &json!(0)));
        file.extend(bytes);
    }
    assert_eq!(file, image());
    // All of it was read once, beside what the making of the stream had read.
    assert_eq!(*paper.reads.lock().unwrap(), 2);
}

#[tokio::test]
async fn a_request_says_which_blocks() {
    let (cloud, paper) = stream().await;
    let get = async |request: Value| blocks(&ask(&cloud, &paper, "get", request).await);
    assert_eq!(get(json!({"f": 0, "l": 4096})).await, [0, 1, 2]);
    assert_eq!(get(json!({"f": 0, "l": 1024, "o": 7, "n": 2})).await, [7, 8]);
    assert_eq!(get(json!({"f": 0, "l": 1024, "o": 8, "n": 99})).await, [8, 9]);
    assert_eq!(get(json!({"f": 0, "l": 256, "o": 20, "b": "130080"})).await, [20, 21, 24]);
    // The example of the guide, block 43 with it, in a file that is long enough.
    paper.put("b/image", vec![1u8; 256 * 60]);
    cloud.bus.tell(&CloudEvent::ObjectCreated { bucket: "b".into(), key: "image".into() });
    let files = wish()["files"].clone();
    call(&cloud, "iot", "UpdateStream", json!({"streamId": "fw", "files": files})).await.unwrap();
    assert_eq!(get(json!({"f": 0, "l": 256, "o": 20, "b": "130080"})).await, [20, 21, 24, 43]);
    assert_eq!(get(json!({"f": 0, "l": 256, "o": 20, "n": 2, "b": "130080"})).await, [20, 21]);
    assert_eq!(get(json!({"f": 7, "l": 256})).await, [0]);
}

#[tokio::test]
async fn one_request_yields_at_most_128_kilobytes() {
    let (cloud, paper) = world();
    paper.put("b/image", vec![1u8; 1024 * 1024]);
    call(&cloud, "iot", "CreateStream", wish()).await.unwrap();
    let said = ask(&cloud, &paper, "get", json!({"f": 0, "l": 4096, "n": 256})).await;
    assert_eq!(blocks(&said), (0..32).collect::<Vec<u64>>());
    let said = ask(&cloud, &paper, "get", json!({"f": 0, "l": 97_000, "n": 9})).await;
    assert_eq!(blocks(&said), [0]);
    assert!(said[0].1.to_string().len() <= 128 * 1024);
}

#[tokio::test]
async fn wrong_requests_are_refused_by_their_code() {
    let (cloud, paper) = stream().await;
    let rows = [
        (json!({"f": 0, "l": 255}), "BlockSizeOutOfBounds"),
        (json!({"f": 0, "l": 131_073}), "BlockSizeOutOfBounds"),
        (json!({"f": 0, "l": 131_072}), "BlockSizeOutOfBounds"),
        (json!({"f": 0, "l": 256, "o": 98_305}), "OffsetOutOfBounds"),
        (json!({"f": 0, "l": 256, "o": 40}), "OffsetOutOfBounds"),
        (json!({"f": 0, "l": 256, "n": 98_305}), "BlockCountLimitExceeded"),
        (json!({"f": 0, "l": 256, "b": "00".repeat(12_288)}), "BlockBitmapLimitExceeded"),
        (json!({"f": 0, "l": 256, "b": "0g"}), "InvalidRequest"),
        (json!({"f": 0, "l": 256, "b": "é0"}), "InvalidRequest"),
        (json!({"f": 0}), "InvalidRequest"),
        (json!({"l": 256}), "InvalidRequest"),
        (json!({"f": 256, "l": 256}), "InvalidRequest"),
        (json!({"f": 0, "l": 256, "o": -1}), "InvalidRequest"),
        (json!({"f": 9, "l": 256}), "ResourceNotFound"),
        (json!({"f": 0, "l": 256, "s": 2}), "VersionMismatch"),
        (json!([]), "InvalidJson"),
    ];
    for (mut request, code) in rows {
        if request.is_object() {
            request["c"] = "t".into();
        }
        let said = ask(&cloud, &paper, "get", request.clone()).await;
        assert_eq!(said.len(), 1, "{request}");
        assert_eq!(said[0].0, "rejected/json");
        assert_eq!(said[0].1["o"], code, "{request}");
        assert_eq!(said[0].1.get("c").is_some(), request.is_object());
        assert!(said[0].1["m"].as_str().is_some_and(|text| !text.is_empty()));
    }
    receive(&cloud, "$aws/things/lamp/streams/none/get/json", r#"{"f":0,"l":256,"c":"t"}"#);
    let said = paper.published();
    assert_eq!(said[0].0, "$aws/things/lamp/streams/none/rejected/json");
    assert_eq!((&said[0].1["o"], &said[0].1["c"]), (&json!("ResourceNotFound"), &json!("t")));
    receive(&cloud, "$aws/things/lamp/streams/fw/get/xml", "");
    assert_eq!(paper.published()[0].1["o"], "InvalidTopic");
    receive(&cloud, "$aws/things/lamp/streams/fw/get/cbor", &b"\xff\xff"[..]);
    settle().await;
    let (topic, payload) = paper.raw().remove(0);
    assert_eq!(topic, format!("{TOPIC}/rejected/cbor"));
    let refusal: Cbor = ciborium::from_reader(&payload[..]).unwrap();
    assert!(refusal.as_map().unwrap().contains(&("o".into(), "InvalidCbor".into())));
}

#[tokio::test]
async fn an_object_that_was_overwritten_is_refused() {
    let (cloud, paper) = stream().await;
    let request = json!({"f": 0, "l": 256, "n": 1});
    assert_eq!(blocks(&ask(&cloud, &paper, "get", request.clone()).await), [0]);
    paper.put("b/image", "another");
    cloud.bus.tell(&CloudEvent::ObjectCreated { bucket: "b".into(), key: "image".into() });
    assert_eq!(ask(&cloud, &paper, "get", request.clone()).await[0].1["o"], "ETagMismatch");
    call(&cloud, "iot", "UpdateStream", json!({"streamId": "fw"})).await.unwrap();
    assert_eq!(blocks(&ask(&cloud, &paper, "get", request).await), [0]);
}

#[tokio::test]
async fn speaks_cbor() {
    let (cloud, paper) = stream().await;
    let request = |members: Vec<(&str, Cbor)>| {
        let members = members.into_iter().map(|(name, value)| (name.into(), value)).collect();
        let mut bytes = Vec::new();
        ciborium::into_writer(&Cbor::Map(members), &mut bytes).unwrap();
        bytes
    };
    let get = request(vec![
        ("c", "rdy".into()),
        ("f", 0.into()),
        ("l", 256.into()),
        ("o", 2.into()),
        ("b", Cbor::Bytes(vec![0b101])),
        ("n", 2.into()),
    ]);
    receive(&cloud, &format!("{TOPIC}/get/cbor"), get);
    settle().await;
    let said = paper.raw();
    assert_eq!(said.len(), 2);
    for ((topic, payload), block) in said.iter().zip([2usize, 4]) {
        assert_eq!(*topic, format!("{TOPIC}/data/cbor"));
        let data: Cbor = ciborium::from_reader(&payload[..]).unwrap();
        assert_eq!(
            data,
            Cbor::Map(vec![
                ("c".into(), "rdy".into()),
                ("f".into(), 0.into()),
                ("l".into(), 256.into()),
                ("i".into(), (block as u64).into()),
                ("p".into(), Cbor::Bytes(image()[block * 256..(block + 1) * 256].to_vec())),
            ])
        );
    }
    receive(&cloud, &format!("{TOPIC}/describe/cbor"), request(vec![]));
    settle().await;
    let (topic, payload) = paper.raw().remove(0);
    assert_eq!(topic, format!("{TOPIC}/description/cbor"));
    let description: Cbor = ciborium::from_reader(&payload[..]).unwrap();
    assert_eq!(description.as_map().unwrap()[0], ("s".into(), 1.into()));
}

#[tokio::test]
async fn stacks_make_change_and_remove_streams() {
    let (cloud, _) = world();
    let handler = cloud.resource("AWS::IoT::Stream").unwrap();
    let mut request = ResourceRequest {
        properties: json!({"StreamId": "fw", "RoleArn": ROLE,
            "Files": [{"FileId": "3", "S3Location": {"Bucket": "b", "Key": "k"}}]}),
        ..ResourceRequest::default()
    };
    let state = handler.create(&request).await.unwrap();
    assert_eq!(state.physical_id, "arn:aws:iot:us-east-1:123456789012:stream/fw");
    assert_eq!(state.attributes["StreamVersion"], 1);
    let info = call(&cloud, "iot", "DescribeStream", json!({"streamId": "fw"})).await.unwrap();
    assert_eq!(info["streamInfo"]["files"][0]["fileId"], 3);
    request.physical_id = Some(state.physical_id);
    request.properties["Description"] = "new".into();
    assert_eq!(handler.update(&request).await.unwrap().attributes["StreamVersion"], 2);
    handler.delete(&request).await.unwrap();
    handler.delete(&request).await.unwrap();
    request.properties["Files"] = json!([]);
    assert!(handler.create(&request).await.is_err());
}

#[tokio::test]
async fn tags_of_a_stream_change_and_outlive_the_cloud() {
    let folder = tempfile::tempdir().unwrap();
    let tags = |cloud: &Cloud| cloud.ports.tagged("stream").unwrap().tags("stream", "fw");
    {
        let (cloud, _) = world_in(Store::open(folder.path()).unwrap());
        let mut wish = wish();
        wish["tags"] = json!([{"Key": "aws:team", "Value": "pumps"}]);
        let refused = call(&cloud, "iot", "CreateStream", wish.clone()).await.unwrap_err();
        assert_eq!(refused.code, "InvalidRequestException");
        wish["tags"] = json!([{"Key": "team", "Value": "pumps"}]);
        call(&cloud, "iot", "CreateStream", wish).await.unwrap();
        let keeper = cloud.ports.tagged("stream").unwrap();
        let add = |tags: &mut Tags| {
            tags.insert("stage".into(), "test".into());
            Ok(())
        };
        keeper.change_tags("stream", "fw", Box::new(add)).await.unwrap();
        let refuse = |tags: &mut Tags| {
            tags.clear();
            Err(Fault::new("LimitExceededException", 410, "too many"))
        };
        assert!(keeper.change_tags("stream", "fw", Box::new(refuse)).await.is_err());
        let missing = keeper.change_tags("stream", "none", Box::new(|_| Ok(()))).await;
        assert_eq!(missing.unwrap_err().code, "ResourceNotFoundException");
        let info = call(&cloud, "iot", "DescribeStream", json!({"streamId": "fw"})).await.unwrap();
        assert_eq!(info["streamInfo"]["streamVersion"], 1);
    }
    let (cloud, _) = world_in(Store::open(folder.path()).unwrap());
    let expected = [("stage", "test"), ("team", "pumps")];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(tags(&cloud), Some(expected.into()));
    let handler = cloud.resource("AWS::IoT::Stream").unwrap();
    let request = ResourceRequest {
        properties: json!({"StreamId": "fw", "RoleArn": ROLE, "Tags": [{"Key": "a", "Value": "b"}],
            "Files": [{"FileId": "3", "S3Location": {"Bucket": "b", "Key": "k"}}]}),
        physical_id: Some("arn:aws:iot:us-east-1:123456789012:stream/fw".into()),
        ..ResourceRequest::default()
    };
    handler.update(&request).await.unwrap();
    assert_eq!(tags(&cloud), Some([("a".to_owned(), "b".to_owned())].into()));
}

#[tokio::test]
async fn a_stream_reads_only_what_its_role_may() {
    use iotstack_local_kernel::Caller;
    use iotstack_local_kernel::ports::{Credentials, Identity, SessionKeys};
    struct Roles;
    impl Credentials for Roles {
        fn identity(&self, _: &str) -> Option<Identity> {
            None
        }
        fn allows(&self, _: &Caller, action: &str, resource: &str) -> bool {
            (action, resource) == ("s3:GetObject", "arn:aws:s3:::b/image")
        }
        fn assume(&self, role: &str, _: &str, service: &str) -> Result<SessionKeys, Fault> {
            assert_eq!(service, "iot.amazonaws.com");
            if role != ROLE {
                return Err(Fault::new("AccessDenied", 403, "it does not trust the service"));
            }
            Ok(SessionKeys {
                access_key_id: "ASIA".into(),
                secret_access_key: String::new(),
                session_token: String::new(),
                expires: Timestamp(0),
            })
        }
    }
    let (cloud, paper) = stream().await;
    cloud.ports.serve_credentials(Arc::new(Roles));
    let request = json!({"f": 0, "l": 256, "n": 1});
    assert_eq!(blocks(&ask(&cloud, &paper, "get", request.clone()).await), [0]);
    // A file with a version needs another permission.
    let notes = json!({"f": 7, "l": 256, "c": "t"});
    let said = ask(&cloud, &paper, "get", notes).await;
    assert_eq!((&said[0].1["o"], &said[0].1["c"]), (&json!("Unauthorized"), &json!("t")));
    let other = json!({"streamId": "fw", "roleArn": "arn:aws:iam::123456789012:role/stranger"});
    call(&cloud, "iot", "UpdateStream", other).await.unwrap();
    assert_eq!(ask(&cloud, &paper, "get", request).await[0].1["o"], "Unauthorized");
}
