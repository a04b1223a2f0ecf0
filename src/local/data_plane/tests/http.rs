//! The data plane over HTTP.
//!
//! Operations are called by name with their members, and once by method and path, so
//! that the routes are proved as well.

use iotstack_local_kernel::testing::{call, call_with_body};
use serde_json::json;

use super::*;

async fn data(cloud: &Cloud, operation: &str, input: Value) -> Result<Value, Fault> {
    call(cloud, "iotdata", operation, input).await
}

fn document(reply: Value) -> Value {
    serde_json::from_str(reply.as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn shadows_answer_with_the_same_documents_as_over_mqtt() {
    let (cloud, paper) = world();
    let body = r#"{"state":{"desired":{"on":true}},"clientToken":"t"}"#;
    let input = json!({"thingName": "lamp"});
    let reply =
        call_with_body(&cloud, "iotdata", "UpdateThingShadow", input.clone(), body).await.unwrap();
    let reply = document(reply);
    assert_eq!(reply["version"], 1);
    assert_eq!(reply["clientToken"], "t");
    let topics: Vec<String> = paper.published().into_iter().map(|(topic, _)| topic).collect();
    assert_eq!(
        topics,
        ["accepted", "documents", "delta"]
            .map(|tail| format!("$aws/things/lamp/shadow/update/{tail}"))
    );
    let found = document(data(&cloud, "GetThingShadow", input.clone()).await.unwrap());
    assert_eq!(found["state"], json!({"desired": {"on": true}, "delta": {"on": true}}));
    let gone = document(data(&cloud, "DeleteThingShadow", input.clone()).await.unwrap());
    assert_eq!(gone["version"], 1);
    paper.published();
    let fault = data(&cloud, "GetThingShadow", input.clone()).await.unwrap_err();
    assert_eq!((fault.code.as_str(), fault.status), ("ResourceNotFoundException", 404));
    let fault = call_with_body(
        &cloud,
        "iotdata",
        "UpdateThingShadow",
        input,
        r#"{"state":{},"version":9}"#,
    )
    .await
    .unwrap_err();
    assert_eq!((fault.code.as_str(), fault.status), ("ConflictException", 409));
    assert_eq!(paper.published(), [], "errors of HTTP stay there");
}

#[tokio::test]
async fn named_shadows_are_listed_and_the_classic_one_is_not() {
    let (cloud, _) = world();
    for name in [None, Some("b"), Some("a"), Some("c")] {
        let input = json!({"thingName": "lamp", "name": name});
        call_with_body(&cloud, "iotdata", "UpdateThingShadow", input, r#"{"state":{}}"#)
            .await
            .unwrap();
    }
    data(&cloud, "DeleteThingShadow", json!({"thingName": "lamp", "name": "c"})).await.unwrap();
    let list = async |input: Value| data(&cloud, "ListNamedShadowsForThing", input).await;
    let all = list(json!({"thingName": "lamp"})).await.unwrap();
    assert_eq!(all, json!({"results": ["a", "b"], "timestamp": 1_767_225_600}));
    let first = list(json!({"thingName": "lamp", "pageSize": 1})).await.unwrap();
    assert_eq!(first["results"], json!(["a"]));
    let second = list(json!({"thingName": "lamp", "pageSize": 1, "nextToken": first["nextToken"]}))
        .await
        .unwrap();
    assert_eq!(second["results"], json!(["b"]));
    assert!(second.get("nextToken").is_none());
    assert_eq!(
        list(json!({"thingName": "stranger"})).await.unwrap_err().message,
        "Thing not found"
    );
    assert_eq!(list(json!({"thingName": "lamp", "pageSize": 101})).await.unwrap_err().status, 400);
}

#[tokio::test]
async fn publishes_with_all_properties() {
    let (cloud, paper) = world();
    let input = json!({
        "topic": "a/b", "qos": 1, "retain": true, "contentType": "text/x", "responseTopic": "r",
        "messageExpiry": 60, "correlationData": "YWJj", "payloadFormatIndicator": "UTF8_DATA",
        // [{"k":"1"},{"l":"2"}]
        "userProperties": "W3siayI6IjEifSx7ImwiOiIyIn1d",
    });
    call_with_body(&cloud, "iotdata", "Publish", input, "hello").await.unwrap();
    let message = paper.published.lock().unwrap().remove(0);
    assert_eq!((&*message.topic, &message.payload[..]), ("a/b", &b"hello"[..]));
    assert_eq!(message.qos, QoS::AtLeastOnce);
    assert!(message.retain);
    assert_eq!(&*message.publisher.as_ref().unwrap().client_id, "n/a");
    let properties = message.properties.unwrap();
    assert_eq!(properties.payload_is_text, Some(true));
    assert_eq!(properties.content_type.as_deref(), Some("text/x"));
    assert_eq!(properties.response_topic.as_deref(), Some("r"));
    assert_eq!(properties.expiry_seconds, Some(60));
    assert_eq!(properties.correlation_data.as_deref(), Some(&b"abc"[..]));
    assert_eq!(properties.user, [("k".into(), "1".into()), ("l".into(), "2".into())]);
    // The same as a text within JSON, as boto3 sends what it is given as a text.
    let input = json!({"topic": "a", "userProperties": "Ilt7XCJrXCI6XCIxXCJ9XSI="});
    call_with_body(&cloud, "iotdata", "Publish", input, "").await.unwrap();
    let message = paper.published.lock().unwrap().remove(0);
    assert_eq!(message.properties.unwrap().user, [("k".into(), "1".into())]);
    call_with_body(&cloud, "iotdata", "Publish", json!({"topic": "a"}), "").await.unwrap();
    let message = paper.published.lock().unwrap().remove(0);
    assert_eq!((message.qos, message.retain, message.properties), (QoS::AtMostOnce, false, None));
}

#[tokio::test]
async fn refuses_what_no_broker_takes() {
    let (cloud, _) = world();
    for (input, status) in [
        (json!({"topic": "a/#"}), 400),
        (json!({"topic": "a/b/c/d/e/f/g/h/i"}), 400),
        (json!({"topic": "x".repeat(257)}), 400),
        (json!({"topic": "a", "qos": 2}), 400),
        (json!({"topic": "$aws/x", "retain": true}), 400),
        (json!({"topic": "a", "messageExpiry": 0}), 400),
        (json!({"topic": "a", "payloadFormatIndicator": "YES"}), 400),
        (json!({"topic": "a", "userProperties": "eyJhIjoxfQ=="}), 400),
    ] {
        let fault =
            call_with_body(&cloud, "iotdata", "Publish", input.clone(), "x").await.unwrap_err();
        assert_eq!(fault.status, status, "{input}");
    }
    let large = vec![0u8; 128 * 1024 + 1];
    let fault = call_with_body(&cloud, "iotdata", "Publish", json!({"topic": "a"}), large)
        .await
        .unwrap_err();
    assert_eq!(fault.status, 413);
}

#[tokio::test]
async fn shows_retained_messages() {
    let (cloud, paper) = world();
    for topic in ["b", "a"] {
        let mut message = Message::new(topic, "hi", Timestamp(7));
        message.properties = Some(Arc::new(iotstack_local_kernel::Properties {
            user: vec![("k".into(), "1".into())],
            ..Default::default()
        }));
        paper.retained.lock().unwrap().insert(topic.to_owned(), message);
    }
    let found = data(&cloud, "GetRetainedMessage", json!({"topic": "a"})).await.unwrap();
    assert_eq!(
        found,
        json!({"topic": "a", "payload": "aGk=", "qos": 1, "lastModifiedTime": 7,
        "userProperties": "W3siayI6IjEifV0="})
    );
    let page = data(&cloud, "ListRetainedMessages", json!({"maxResults": 1})).await.unwrap();
    assert_eq!(
        page["retainedTopics"],
        json!([{"topic": "a", "payloadSize": 2, "qos": 1, "lastModifiedTime": 7}])
    );
    let next = json!({"maxResults": 1, "nextToken": page["nextToken"]});
    let page = data(&cloud, "ListRetainedMessages", next).await.unwrap();
    assert_eq!(page["retainedTopics"][0]["topic"], "b");
    assert_eq!(
        data(&cloud, "GetRetainedMessage", json!({"topic": "c"})).await.unwrap_err().status,
        404
    );
}

#[tokio::test]
async fn manages_connections() {
    let (cloud, paper) = world();
    let here = data(&cloud, "GetConnection", json!({"clientId": "here"})).await.unwrap();
    assert_eq!(
        here,
        json!({"clientId": "here", "connected": true, "cleanSession": false,
        "keepAliveDuration": 30, "thingName": "lamp", "connectedSince": 5_000})
    );
    let input = json!({"clientId": "here", "includeSocketInformation": true});
    let here = data(&cloud, "GetConnection", input).await.unwrap();
    assert_eq!((&here["sourceIp"], &here["sourcePort"]), (&json!("127.0.0.1"), &json!(5555)));
    let away = data(&cloud, "GetConnection", json!({"clientId": "away"})).await.unwrap();
    assert_eq!(away["disconnectReason"], "CONNECTION_LOST");
    assert_eq!(away["disconnectedSince"], 5_000);
    let list = data(&cloud, "ListSubscriptions", json!({"clientId": "here", "maxResults": 1}))
        .await
        .unwrap();
    assert_eq!(list["subscriptions"], json!([{"topicFilter": "a/+", "qos": 0}]));
    assert!(list["nextToken"].is_string());
    data(&cloud, "DeleteConnection", json!({"clientId": "here"})).await.unwrap();
    let input = json!({"clientId": "here", "topic": "direct/x"});
    call_with_body(&cloud, "iotdata", "SendDirectMessage", input, "hi").await.unwrap();
    let sent = paper.sent.lock().unwrap().remove(0);
    assert_eq!(
        (sent.0.as_str(), &*sent.1.topic, &sent.1.payload[..]),
        ("here", "direct/x", &b"hi"[..])
    );
    let confirmed = json!({"clientId": "here", "topic": "x", "confirmation": true});
    let fault =
        call_with_body(&cloud, "iotdata", "SendDirectMessage", confirmed, "").await.unwrap_err();
    assert_eq!(fault.code, "NotImplemented");
    for operation in ["GetConnection", "DeleteConnection", "ListSubscriptions"] {
        let fault = data(&cloud, operation, json!({"clientId": "nobody"})).await.unwrap_err();
        assert_eq!(fault.code, "ResourceNotFoundException", "{operation}");
        let fault = data(&cloud, operation, json!({"clientId": "$nobody"})).await.unwrap_err();
        assert_eq!(fault.status, 400, "{operation}");
    }
}

#[tokio::test]
async fn the_routes_are_those_of_aws() {
    use iotstack_local_kernel::Caller;
    let (cloud, paper) = world();
    let send = async |method: &str, path: &str, headers: &[(&str, &str)], body: &str| {
        let mut request = ::http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Bytes::from(body.to_owned())).unwrap();
        let response = cloud.services.answer("iotdata", request, Caller::Root, Timestamp(0)).await;
        (response.status().as_u16(), response.into_body())
    };
    let update = r#"{"state":{"reported":{"a":1}}}"#;
    let (status, body) = send("POST", "/things/lamp/shadow?name=%24package", &[], update).await;
    assert_eq!((status, body.starts_with(b"{\"state\"")), (200, true));
    assert_eq!(send("GET", "/things/lamp/shadow?name=%24package", &[], "").await.0, 200);
    let (status, body) = send("GET", "/things/lamp/shadow", &[], "").await;
    assert_eq!(status, 404);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["message"], "No shadow exists with name: 'lamp'");
    let list = "/api/things/shadow/ListNamedShadowsForThing/lamp?pageSize=5";
    assert_eq!(send("GET", list, &[], "").await.0, 200);
    assert_eq!(send("DELETE", "/things/lamp/shadow?name=%24package", &[], "").await.0, 200);
    // Clients encode the slashes of a topic or do not.
    for path in ["/topics/a%2Fb?qos=1&retain=true", "/topics/a/b?qos=1"] {
        paper.published.lock().unwrap().clear();
        assert_eq!(
            send("POST", path, &[("x-amz-mqtt5-payload-format-indicator", "UTF8_DATA")], "hi")
                .await
                .0,
            200
        );
        let message = paper.published.lock().unwrap().remove(0);
        assert_eq!((&*message.topic, &message.payload[..]), ("a/b", &b"hi"[..]));
        assert!(message.properties.is_some());
    }
    assert_eq!(send("POST", "/topics/a%2Fb?qos=7", &[], "hi").await.0, 400);
    paper.retained.lock().unwrap().insert("a/b".into(), Message::new("a/b", "x", Timestamp(0)));
    assert_eq!(send("GET", "/retainedMessage/a%2Fb", &[], "").await.0, 200);
    assert_eq!(send("GET", "/retainedMessage?maxResults=3", &[], "").await.0, 200);
    assert_eq!(send("GET", "/connections/here", &[], "").await.0, 200);
    assert_eq!(send("GET", "/connections/here/subscriptions", &[], "").await.0, 200);
    assert_eq!(send("DELETE", "/connections/here?cleanSession=true", &[], "").await.0, 200);
    assert_eq!(send("POST", "/connections/here/messages?topic=a%2Fb", &[], "hi").await.0, 200);
}

#[tokio::test]
async fn a_device_may_only_what_its_certificate_may() {
    use iotstack_local_kernel::Caller;
    use iotstack_local_kernel::ports::{Registry, ThingInfo};
    struct Things;
    impl Registry for Things {
        fn thing(&self, _: &str) -> Option<ThingInfo> {
            None
        }
        fn members(&self, _: &str) -> Option<Vec<Arc<str>>> {
            None
        }
        fn groups_of(&self, _: &str) -> Vec<Arc<str>> {
            Vec::new()
        }
        fn events_enabled(&self, _: &str) -> bool {
            false
        }
        fn thing_of_certificate(&self, _: &str) -> Option<Arc<str>> {
            None
        }
        fn certificate_may(&self, certificate_id: &str, action: &str, resource: &str) -> bool {
            (certificate_id, action, resource)
                == (
                    "c1",
                    "iot:UpdateThingShadow",
                    "arn:aws:iot:us-east-1:123456789012:thing/lamp/cfg",
                )
        }
    }
    let (cloud, _) = world();
    cloud.ports.serve_registry(Arc::new(Things));
    for (method, path, certificate, status) in [
        ("POST", "/things/lamp/shadow?name=cfg", "c1", 200),
        ("POST", "/things/lamp/shadow?name=cfg", "c2", 403),
        ("POST", "/things/lamp/shadow", "c1", 403),
        ("GET", "/things/lamp/shadow?name=cfg", "c1", 403),
        ("POST", "/topics/a", "c1", 403),
    ] {
        let request = ::http::Request::builder().method(method).uri(path);
        let request = request.body(Bytes::from_static(br#"{"state":{}}"#)).unwrap();
        let caller = Caller::Device { certificate_id: certificate.to_owned() };
        let response = cloud.services.answer("iotdata", request, caller, Timestamp(0)).await;
        assert_eq!(response.status().as_u16(), status, "{method} {path} {certificate}");
    }
}
