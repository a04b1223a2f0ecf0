//! Requests in, answers out, as the clients of AWS write and read them.
//!
//! The service of these tests answers with what it was asked, so that each format
//! shows what it makes of a request.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::{Value, json};

use crate::wire::{Format, query, write_fault};
use crate::{
    Call, Caller, Fault, Operation, Operations, Protocol, Reply, Service, Services, Timestamp,
};

struct Lamps;

impl Service for Lamps {
    fn scopes(&self) -> &'static [&'static str] {
        &["lamps"]
    }

    fn protocols(&self) -> &'static [Protocol] {
        &[
            Protocol::RestJson,
            Protocol::AwsJson { version: "1.1", target: "Lamps_2020" },
            Protocol::Cbor { service: "Lamps" },
            Protocol::Query { namespace: "urn:lamps" },
        ]
    }

    fn operations(self: Arc<Self>) -> Vec<Operation> {
        Operations::of(self)
            .rest(
                "GetLamp",
                Method::GET,
                "/lamps/{lamp}?bright:int&on:bool&tag:list&@x-room=room",
                Self::echo,
            )
            .rest("GetNext", Method::GET, "/lamps/$next", |_, _| Ok(json!({"next": true}).into()))
            .rest("Publish", Method::POST, "/topics/{topic+}", |_, call| {
                Ok(Reply::bytes("text/plain", call.body)
                    .header("x-topic", call.input["topic"].as_str().unwrap()))
            })
            .raw()
            .named("Echo", Self::echo)
            .list()
    }

    fn refused(&self) -> &'static [(&'static str, &'static str)] {
        &[("Explode", "lamps must last")]
    }
}

impl Lamps {
    fn echo(&self, call: Call) -> Result<Reply, Fault> {
        if call.input.get("lamp") == Some(&json!("gone")) {
            return Err(Fault::new("LampGone", 404, "no lamp <gone>").with("lamp", "gone"));
        }
        call.optional_integer("bright")?;
        Ok(Value::Object(call.input).into())
    }
}

async fn answer(request: Request<Bytes>) -> Response<Bytes> {
    let services = Services::default();
    services.add(Arc::new(Lamps));
    services.answer("lamps", request, Caller::Root, Timestamp(0)).await
}

fn get(uri: &str) -> Request<Bytes> {
    Request::get(uri).header("x-room", "attic").body(Bytes::new()).unwrap()
}

fn target(name: &str, body: &'static str) -> Request<Bytes> {
    let request = Request::post("/").header("x-amz-target", format!("Lamps_2020.{name}"));
    request.body(Bytes::from_static(body.as_bytes())).unwrap()
}

fn form(body: &'static str) -> Request<Bytes> {
    let request = Request::post("/")
        .header("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    request.body(Bytes::from_static(body.as_bytes())).unwrap()
}

fn json_of(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

fn text_of(response: &Response<Bytes>) -> &str {
    std::str::from_utf8(response.body()).unwrap()
}

#[tokio::test]
async fn binds_labels_parameters_and_headers() {
    let response = answer(get("/lamps/a%2Fb%20c?bright=7&on=true&tag=x&tag=y&other=1")).await;
    assert_eq!(
        json_of(&response),
        json!({"lamp": "a/b c", "bright": 7, "on": true, "tag": ["x", "y"], "room": "attic"})
    );
    assert_eq!(json_of(&answer(get("/lamps/%24next")).await), json!({"next": true}));
}

#[tokio::test]
async fn a_parameter_of_the_wrong_kind_is_refused_by_name() {
    let response = answer(get("/lamps/a?bright=much")).await;
    assert_eq!(response.status(), 400);
    assert_eq!(response.headers()["x-amzn-errortype"], "ValidationException");
    assert_eq!(
        json_of(&response)["message"],
        "query parameter `bright` must be a whole number, not `much`"
    );
}

#[tokio::test]
async fn bytes_pass_as_they_are() {
    let request = Request::post("/topics/a/b/c").body(Bytes::from_static(b"\x00[")).unwrap();
    let response = answer(request).await;
    assert_eq!(
        (response.headers()["x-topic"].to_str().unwrap(), &response.body()[..]),
        ("a/b/c", &b"\x00["[..])
    );
}

#[tokio::test]
async fn a_fault_looks_as_its_format_wants_it() {
    let response = answer(get("/lamps/gone")).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["x-amzn-errortype"]),
        (404, &"LampGone".parse().unwrap())
    );
    assert_eq!(json_of(&response), json!({"lamp": "gone", "message": "no lamp <gone>"}));

    let response = answer(target("Echo", r#"{"lamp":"gone"}"#)).await;
    assert_eq!(json_of(&response)["__type"], "LampGone");
    assert_eq!(response.headers()["content-type"], "application/x-amz-json-1.1");
    assert_eq!(response.headers()["x-amzn-query-error"], "LampGone;Sender");
    let plain = Format::AwsJson { version: "1.1", spoke_query: false };
    let response = write_fault(&Fault::new("LampGone", 404, "gone"), &plain, "1");
    assert!(!response.headers().contains_key("x-amzn-query-error"));

    let response = answer(form("Action=Echo&lamp=gone")).await;
    assert!(
        text_of(&response).contains("<Code>LampGone</Code><Message>no lamp &lt;gone&gt;</Message>")
    );
}

#[tokio::test]
async fn what_is_missing_is_refused_by_name() {
    for request in [target("Explode", "{}"), form("Action=Explode")] {
        let response = answer(request).await;
        assert_eq!(response.status(), 501);
        assert!(text_of(&response).contains("lamps:Explode: lamps must last"), "{response:?}");
    }
    assert_eq!(answer(get("/elsewhere")).await.status(), 501);
    let services = Services::default();
    let nobody = services.answer("tractors", form("Action=Plough"), Caller::Root, Timestamp(0));
    let response = nobody.await;
    assert_eq!(response.headers()["content-type"], "text/xml");
    assert!(text_of(&response).contains("the service `tractors`"), "{response:?}");
}

#[tokio::test]
async fn a_body_that_is_no_object_is_refused() {
    for body in ["[1]", "7", "{", "\"text\""] {
        assert_eq!(answer(target("Echo", body)).await.status(), 400, "{body}");
    }
    assert_eq!(answer(target("Echo", " ")).await.status(), 200);
}

#[tokio::test]
async fn forms_nest_and_answers_are_xml() {
    let response =
        answer(form("Action=Echo&Version=1&Tags.member.2.Key=b&Tags.member.1.Key=a+c&Filter.1=x"))
            .await;
    assert_eq!(
        text_of(&response).split("<ResponseMetadata>").next().unwrap(),
        "<EchoResponse xmlns=\"urn:lamps\"><EchoResult><Filter><member>x</member></Filter>\
         <Tags><member><Key>a c</Key></member><member><Key>b</Key></member></Tags></EchoResult>"
    );
    let members =
        json!({"Attributes": query::map([("Owner".to_owned(), json!("me & you"))]), "None": null});
    assert!(query::write("Get", "urn:x", &members, "1").contains(
        "<Attributes><entry><key>Owner</key><value>me &amp; you</value></entry></Attributes>"
    ));
}

fn cbor(operation: &str, members: &Value) -> Request<Bytes> {
    Request::post(format!("/service/Lamps/operation/{operation}"))
        .header("smithy-protocol", "rpc-v2-cbor")
        .header("content-type", "application/cbor")
        .body(crate::wire::cbor::write(members).into())
        .unwrap()
}

fn members_of(response: &Response<Bytes>) -> Value {
    assert_eq!(response.headers()["smithy-protocol"], "rpc-v2-cbor");
    assert_eq!(response.headers()["content-type"], "application/cbor");
    Value::Object(crate::wire::cbor::read(response.body()).unwrap())
}

#[tokio::test]
async fn cbor_finds_its_operation_by_the_path_and_is_answered_in_cbor() {
    let response = answer(cbor("Echo", &json!({"bright": 7, "tags": ["a"]}))).await;
    assert_eq!(response.status(), 200);
    assert_eq!(members_of(&response), json!({"bright": 7, "tags": ["a"]}));
    let response = answer(cbor("Echo", &json!({"lamp": "gone"}))).await;
    assert_eq!(response.status(), 404);
    assert_eq!(response.headers()["x-amzn-query-error"], "LampGone;Sender");
    let refused = members_of(&response);
    assert_eq!(refused["__type"], "LampGone");
    assert_eq!(refused["message"], "no lamp <gone>");
    let response = answer(cbor("Explode", &json!({}))).await;
    assert!(members_of(&response)["message"].as_str().unwrap().contains("lamps must last"));
    let mut broken = cbor("Echo", &json!({}));
    *broken.body_mut() = Bytes::from_static(b"{}");
    let response = answer(broken).await;
    assert_eq!(response.status(), 400);
    assert_eq!(members_of(&response)["__type"], "ValidationException");
}

#[tokio::test]
async fn a_compressed_body_is_unpacked_and_a_bomb_is_not() {
    use std::io::Write;
    let packed = |bytes: &[u8]| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(bytes).unwrap();
        Bytes::from(packed.finish().unwrap())
    };
    let request = |encoding: &str, body: Bytes| {
        Request::post("/")
            .header("x-amz-target", "Lamps_2020.Echo")
            .header("content-encoding", encoding)
            .body(body)
            .unwrap()
    };
    let response = answer(request("gzip", packed(br#"{"bright": 7}"#))).await;
    assert_eq!(response.body(), r#"{"bright":7}"#);
    let mut form = form("Action=Echo&Tags.member.1.Key=a");
    *form.body_mut() = packed(form.body());
    form.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    assert_eq!(answer(form).await.status(), 200);
    let bomb = packed(&vec![b' '; 17 * 1024 * 1024]);
    assert!(bomb.len() < 1024 * 1024);
    for (encoding, body, reason) in [
        ("gzip", bomb, "unpacks to more than"),
        ("gzip", Bytes::from_static(b"{}"), "not gzip"),
        ("br", Bytes::from_static(b"{}"), "encoded with `br`"),
    ] {
        let response = answer(request(encoding, body)).await;
        assert_eq!(response.status(), 400);
        let text = std::str::from_utf8(response.body()).unwrap();
        assert!(text.contains(reason), "{text}");
    }
}
