//! Fleet provisioning over MQTT, templates, RegisterThing.
//!
//! A device of these tests speaks to the reserved topics directly; its broker only
//! keeps what is sent to it.

use std::net::IpAddr;

use bytes::Bytes;
use iotstack_local_kernel::ports::{Functions, Invoked};
use iotstack_local_kernel::{Admission, BoxFuture, Publisher};

use super::*;

const ROLE: &str = "arn:aws:iam::123456789012:role/provisioning";

/// A template that names the thing by its serial number.
pub async fn template(cloud: &Cloud, name: &str, more: Value) {
    let body = json!({
        "Parameters": {
            "Serial": {"Type": "String"},
            "Place": {"Type": "String", "Default": "attic"},
            "AWS::IoT::Certificate::Id": {"Type": "String"},
        },
        "Resources": {
            "thing": {
                "Type": "AWS::IoT::Thing",
                "Properties": {
                    "ThingName": {"Fn::Join": ["-", ["lamp", {"Ref": "Serial"}]]},
                    "AttributePayload": {"place": {"Ref": "Place"}},
                },
            },
            "certificate": {
                "Type": "AWS::IoT::Certificate",
                "Properties": {"CertificateId": {"Ref": "AWS::IoT::Certificate::Id"}, "Status": "Active"},
            },
            "policy": {
                "Type": "AWS::IoT::Policy",
                "Properties": {"PolicyDocument": {"Version": "2012-10-17", "Statement": [
                    allow("iot:Connect", "arn:aws:iot:us-east-1:123456789012:client/${iot:Connection.Thing.ThingName}"),
                ]}},
            },
        },
        "DeviceConfiguration": {"FallbackUrl": {"Fn::Sub": "https://example.com/${Serial}"}},
    });
    let mut input = json!({
        "templateName": name,
        "templateBody": body.to_string(),
        "enabled": true,
        "provisioningRoleArn": ROLE,
    });
    for (key, value) in more.as_object().unwrap() {
        input[key] = value.clone();
    }
    iot(cloud, "CreateProvisioningTemplate", input).await;
}

/// A device with a claim.
pub struct Device {
    pub cloud: Arc<Cloud>,
    pub broker: Arc<Broker>,
    pub publisher: Arc<Publisher>,
}

impl Device {
    async fn new(cloud: &Arc<Cloud>) -> Self {
        let (arn, _) = certificate(cloud).await;
        let policy = crate::provisioning::claim_policy(&cloud.account, "fleet");
        iot(cloud, "CreatePolicy", json!({"policyName": "claim", "policyDocument": policy})).await;
        iot(cloud, "AttachPolicy", json!({"policyName": "claim", "target": arn})).await;
        let publisher = Publisher {
            client_id: "new-1".into(),
            principal: arn.rsplit('/').next().unwrap().into(),
            thing: None,
            source: IpAddr::from([127, 0, 0, 1]),
        };
        let device = Device::of(cloud, publisher);
        device.broker.subscribe("$aws/certificates/+/json/+");
        device.broker.subscribe("$aws/certificates/create-from-csr/json/+");
        device.broker.subscribe("$aws/provisioning-templates/fleet/provision/json/+");
        device
    }

    /// A device that is connected and subscribed to nothing.
    pub fn of(cloud: &Arc<Cloud>, publisher: Publisher) -> Self {
        let broker = Broker::on(cloud);
        *broker.principal.lock().unwrap() = publisher.principal.to_string();
        Device { cloud: cloud.clone(), broker, publisher: Arc::new(publisher) }
    }

    fn publish(&self, topic: &str, payload: impl Into<Bytes>) {
        let message = Message::new(topic, payload, self.cloud.clock.now());
        let family =
            self.cloud.ports.reserved().into_iter().find(|family| family.owns(topic)).unwrap();
        family.receive(&self.publisher, &message);
    }

    /// What came back, which is nothing but one message.
    async fn answer(&self) -> (String, Bytes) {
        until(async || !self.broker.sent.lock().unwrap().is_empty()).await;
        let mut sent = std::mem::take(&mut *self.broker.sent.lock().unwrap());
        assert_eq!(sent.len(), 1, "{sent:?}");
        let (client, message) = sent.remove(0);
        assert_eq!(client, *self.publisher.client_id);
        (message.topic.to_string(), message.payload)
    }

    pub async fn ask(&self, topic: &str, payload: Value) -> (bool, Value) {
        let payload = if payload.is_null() { String::new() } else { payload.to_string() };
        self.publish(topic, payload);
        let (answered, payload) = self.answer().await;
        let accepted = answered == format!("{topic}/accepted");
        assert!(accepted || answered == format!("{topic}/rejected"), "{answered}");
        (accepted, serde_json::from_slice(&payload).unwrap())
    }

    async fn keys(&self) -> Value {
        let (accepted, answer) = self.ask("$aws/certificates/create/json", Value::Null).await;
        assert!(accepted, "{answer}");
        answer
    }

    async fn provision(&self, token: &Value, serial: &str) -> (bool, Value) {
        let request = json!({"certificateOwnershipToken": token, "parameters": {"Serial": serial}});
        self.ask("$aws/provisioning-templates/fleet/provision/json", request).await
    }
}

fn signing_request() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    rcgen::CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap()
}

#[tokio::test]
async fn a_device_with_a_claim_becomes_a_thing() {
    let cloud = cloud();
    template(&cloud, "fleet", json!({})).await;
    let device = Device::new(&cloud).await;
    let keys = device.keys().await;
    let der = crate::x509::certificate_der(keys["certificatePem"].as_str().unwrap()).unwrap();
    assert!(keys["privateKey"].as_str().unwrap().contains("BEGIN RSA PRIVATE KEY"));
    let authority = cloud.ports.authority().unwrap();
    assert_eq!(authority.admits(&der), Admission::Inactive, "it waits for its owner");
    let (accepted, answer) = device.provision(&keys["certificateOwnershipToken"], "7").await;
    assert!(accepted, "{answer}");
    assert_eq!(
        answer,
        json!({"deviceConfiguration": {"FallbackUrl": "https://example.com/7"}, "thingName": "lamp-7"})
    );
    assert_eq!(authority.admits(&der), Admission::Active);
    assert!(authority.connect(&super::authority::attempt("lamp-7", &der)).is_ok());
    assert!(authority.connect(&super::authority::attempt("lamp-8", &der)).is_err());
    let thing = cloud.ports.registry().unwrap().thing("lamp-7").unwrap();
    assert_eq!(thing.attributes["place"], "attic");
    // An hour later the certificate is still there: it has an owner.
    cloud.clock.step(Duration::from_secs(4000));
    device.keys().await;
    assert_eq!(authority.admits(&der), Admission::Active);
}

#[tokio::test]
async fn a_device_may_bring_its_own_key() {
    let cloud = cloud();
    template(&cloud, "fleet", json!({})).await;
    let device = Device::new(&cloud).await;
    let request = signing_request();
    let topic = "$aws/certificates/create-from-csr/json";
    let (accepted, made) = device.ask(topic, json!({"certificateSigningRequest": request})).await;
    assert!(accepted && made.get("privateKey").is_none(), "{made}");
    let (accepted, _) = device.provision(&made["certificateOwnershipToken"], "1").await;
    assert!(accepted);
    let (accepted, refused) = device.ask(topic, json!({"certificateSigningRequest": "none"})).await;
    assert!(!accepted);
    assert_eq!(
        (&refused["statusCode"], &refused["errorCode"]),
        (&json!(400), &json!("InvalidParameters"))
    );
    assert!(refused["errorMessage"].is_string());
}

#[tokio::test]
async fn cbor_is_answered_with_cbor() {
    let cloud = cloud();
    template(&cloud, "fleet", json!({})).await;
    let device = Device::new(&cloud).await;
    for filter in [
        "$aws/certificates/create/cbor/accepted",
        "$aws/provisioning-templates/fleet/provision/cbor/accepted",
    ] {
        device.broker.subscribe(filter);
    }
    let read = |payload: Bytes| -> Value { ciborium::from_reader(&payload[..]).unwrap() };
    device.publish("$aws/certificates/create/cbor", "");
    let (topic, payload) = device.answer().await;
    assert_eq!(topic, "$aws/certificates/create/cbor/accepted");
    let token = read(payload)["certificateOwnershipToken"].clone();
    let mut request = Vec::new();
    ciborium::into_writer(
        &json!({"certificateOwnershipToken": token, "parameters": {"Serial": "c"}}),
        &mut request,
    )
    .unwrap();
    device.publish("$aws/provisioning-templates/fleet/provision/cbor", request);
    let (topic, payload) = device.answer().await;
    assert_eq!(topic, "$aws/provisioning-templates/fleet/provision/cbor/accepted");
    assert_eq!(read(payload)["thingName"], "lamp-c");
}

#[tokio::test]
async fn answers_reach_only_who_subscribed() {
    let cloud = cloud();
    template(&cloud, "fleet", json!({})).await;
    let device = Device::new(&cloud).await;
    let request = json!({"certificateSigningRequest": signing_request()}).to_string();
    device.broker.subscriptions.lock().unwrap().clear();
    device.publish("$aws/certificates/create-from-csr/json", request.clone());
    assert!(device.broker.sent.lock().unwrap().is_empty());
    // Nothing goes through the broker, where others could hear it.
    assert!(device.broker.published.lock().unwrap().is_empty());
    device.broker.subscribe("$aws/certificates/create-from-csr/json/accepted");
    iot(&cloud, "DetachPolicy", json!({
        "policyName": "claim",
        "target": format!("arn:aws:iot:us-east-1:123456789012:cert/{}", device.publisher.principal),
    })).await;
    device.publish("$aws/certificates/create-from-csr/json", request.clone());
    assert!(device.broker.sent.lock().unwrap().is_empty(), "it may not receive");
}

#[tokio::test]
async fn keys_do_not_reach_who_took_the_client_id_meanwhile() {
    let cloud = cloud();
    template(&cloud, "fleet", json!({})).await;
    let device = Device::new(&cloud).await;
    device.publish("$aws/certificates/create/json", "");
    let owner = std::mem::replace(&mut *device.broker.principal.lock().unwrap(), "other".into());
    let is_made = async || {
        let list = iot(&cloud, "ListCertificates", json!({})).await;
        list["certificates"].as_array().unwrap().len() == 2
    };
    until(is_made).await;
    *device.broker.principal.lock().unwrap() = owner;
    let request = json!({"certificateSigningRequest": signing_request()});
    // It gets nothing but what it asks for from now on.
    assert!(device.ask("$aws/certificates/create-from-csr/json", request).await.0);
}

#[tokio::test]
async fn more_than_can_be_made_in_time_are_refused_at_once() {
    let cloud = cloud();
    template(&cloud, "fleet", json!({})).await;
    let device = Device::new(&cloud).await;
    for _ in 0..101 {
        device.publish("$aws/certificates/create/json", "");
    }
    let rejected = || {
        let sent = device.broker.sent.lock().unwrap();
        let (_, message) = sent.iter().find(|(_, one)| one.topic.ends_with("/rejected"))?;
        Some(message.payload.clone())
    };
    until(async || rejected().is_some()).await;
    let refused: Value = serde_json::from_slice(&rejected().unwrap()).unwrap();
    assert_eq!((&refused["statusCode"], &refused["errorCode"]), (&json!(429), &json!("Throttled")));
}

#[tokio::test]
async fn what_cannot_be_provisioned_is_rejected_with_a_reason() {
    let cloud = cloud();
    template(&cloud, "fleet", json!({})).await;
    let device = Device::new(&cloud).await;
    let token = device.keys().await["certificateOwnershipToken"].clone();
    let topic = "$aws/provisioning-templates/fleet/provision/json";
    for (request, status, code) in [
        (json!({"parameters": {"Serial": "1"}}), 400, "InvalidCertificateOwnershipToken"),
        (
            json!({"certificateOwnershipToken": "é".repeat(64)}),
            400,
            "InvalidCertificateOwnershipToken",
        ),
        (json!({"certificateOwnershipToken": token}), 400, "InvalidParameters"),
        (
            json!({"certificateOwnershipToken": token, "parameters": {"Serial": 1}}),
            400,
            "InvalidParameters",
        ),
        (
            json!({"certificateOwnershipToken": token, "parameters": {"Serial": "a b"}}),
            400,
            "InvalidParameters",
        ),
        (
            json!({"certificateOwnershipToken": token, "parameters": {"Serial": "1", "AWS::IoT::Certificate::Id": "x"}}),
            400,
            "InvalidParameters",
        ),
        (json!([1]), 400, "InvalidParameters"),
    ] {
        let (accepted, answer) = device.ask(topic, request.clone()).await;
        assert!(!accepted, "{request}");
        assert_eq!(
            (&answer["statusCode"], &answer["errorCode"]),
            (&json!(status), &json!(code)),
            "{request}: {answer}"
        );
    }
    device.broker.subscribe("$aws/provisioning-templates/none/provision/json/+");
    device.publish(
        "$aws/provisioning-templates/none/provision/json",
        json!({"certificateOwnershipToken": token}).to_string(),
    );
    // The claim may not even receive answers about other templates.
    assert!(device.broker.sent.lock().unwrap().is_empty());
    iot(&cloud, "UpdateProvisioningTemplate", json!({"templateName": "fleet", "enabled": false}))
        .await;
    let (accepted, answer) = device.provision(&token, "1").await;
    assert!(!accepted && answer["statusCode"] == 403, "{answer}");
    assert!(cloud.ports.registry().unwrap().thing("lamp-1").is_none());
}

#[tokio::test]
async fn a_certificate_that_nobody_claims_is_gone_after_an_hour() {
    let cloud = cloud();
    template(&cloud, "fleet", json!({})).await;
    let device = Device::new(&cloud).await;
    let keys = device.keys().await;
    let id = json!({"certificateId": keys["certificateId"]});
    iot(&cloud, "DescribeCertificate", id.clone()).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    cloud.clock.step(Duration::from_secs(3601));
    let (accepted, answer) = device.provision(&keys["certificateOwnershipToken"], "1").await;
    assert!(!accepted, "{answer}");
    until(async || testing::call(&cloud, "iot", "DescribeCertificate", id.clone()).await.is_err())
        .await;
}

#[tokio::test]
async fn a_lost_answer_may_be_asked_for_again() {
    let cloud = cloud();
    template(&cloud, "fleet", json!({})).await;
    let device = Device::new(&cloud).await;
    let token = device.keys().await["certificateOwnershipToken"].clone();
    let first = device.provision(&token, "1").await;
    assert_eq!(device.provision(&token, "1").await, first);
}

/// A function that answers as it was told.
struct Hook(Mutex<Option<Value>>, Mutex<Vec<Value>>);

impl Functions for Hook {
    fn invoke<'a>(&'a self, _: &'a str, payload: Bytes) -> BoxFuture<'a, Result<Invoked, Fault>> {
        self.1.lock().unwrap().push(serde_json::from_slice(&payload).unwrap());
        let answer = self.0.lock().unwrap().clone();
        Box::pin(async move {
            match answer {
                Some(answer) => Ok(Invoked { payload: answer.to_string().into(), error: None }),
                None => std::future::pending().await,
            }
        })
    }

    fn invoke_event(&self, _: &str, _: Bytes) {}

    fn permits(&self, _: &str, principal: &str, source: &str) -> bool {
        principal == "iot.amazonaws.com" && source.ends_with(":provisioningtemplate/fleet")
    }
}

#[tokio::test]
async fn the_hook_decides_and_overrides() {
    let cloud = cloud();
    let hook = json!({"payloadVersion": "2020-04-01", "targetArn": "arn:aws:lambda:us-east-1:123456789012:function:h"});
    template(&cloud, "fleet", json!({"preProvisioningHook": hook})).await;
    let answers = json!({"allowProvisioning": true, "parameterOverrides": {"Place": "cellar"}});
    let function = Arc::new(Hook(Mutex::new(Some(answers)), Mutex::default()));
    cloud.ports.serve_functions(function.clone());
    let device = Device::new(&cloud).await;
    let keys = device.keys().await;
    let (accepted, answer) = device.provision(&keys["certificateOwnershipToken"], "1").await;
    assert!(accepted, "{answer}");
    assert_eq!(
        cloud.ports.registry().unwrap().thing("lamp-1").unwrap().attributes["place"],
        "cellar"
    );
    let asked = function.1.lock().unwrap()[0].clone();
    let names: Vec<&String> = asked.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "claimCertificateId",
            "certificateId",
            "certificatePem",
            "templateArn",
            "clientId",
            "parameters"
        ]
    );
    assert_eq!(
        (&asked["certificateId"], &asked["parameters"]["Serial"]),
        (&keys["certificateId"], &json!("1"))
    );

    for answer in
        [json!({"allowProvisioning": false}), json!({"allowProvisioning": "true"}), json!(7)]
    {
        *function.0.lock().unwrap() = Some(answer);
        let token = device.keys().await["certificateOwnershipToken"].clone();
        let (accepted, refused) = device.provision(&token, "2").await;
        assert!(!accepted);
        assert_eq!(
            (&refused["statusCode"], &refused["errorCode"]),
            (&json!(403), &json!("AccessDenied"))
        );
    }
    // No answer within five seconds is a no.
    *function.0.lock().unwrap() = None;
    let token = device.keys().await["certificateOwnershipToken"].clone();
    let request = json!({"certificateOwnershipToken": token, "parameters": {"Serial": "2"}});
    device.publish("$aws/provisioning-templates/fleet/provision/json", request.to_string());
    let calls = function.1.lock().unwrap().len();
    until(async || function.1.lock().unwrap().len() >= calls).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(device.broker.sent.lock().unwrap().is_empty());
    cloud.clock.step(Duration::from_secs(5));
    until(async || !device.broker.sent.lock().unwrap().is_empty()).await;
    assert!(device.answer().await.0.ends_with("/rejected"));
    assert!(cloud.ports.registry().unwrap().thing("lamp-2").is_none());
}

#[tokio::test]
async fn templates_have_versions_and_a_name_of_36() {
    let cloud = cloud();
    template(&cloud, "fleet", json!({})).await;
    let body =
        json!({"Resources": {"t": {"Type": "AWS::IoT::Thing", "Properties": {"ThingName": "x"}}}})
            .to_string();
    for _ in 2..=5 {
        iot(
            &cloud,
            "CreateProvisioningTemplateVersion",
            json!({"templateName": "fleet", "templateBody": body}),
        )
        .await;
    }
    let sixth = json!({"templateName": "fleet", "templateBody": body});
    assert_eq!(
        refusal(&cloud, "CreateProvisioningTemplateVersion", sixth).await.0,
        "VersionsLimitExceededException"
    );
    let name = json!({"templateName": "fleet"});
    assert_eq!(
        refusal(&cloud, "DeleteProvisioningTemplate", name.clone()).await.0,
        "DeleteConflictException"
    );
    iot(
        &cloud,
        "UpdateProvisioningTemplate",
        json!({"templateName": "fleet", "defaultVersionId": 2}),
    )
    .await;
    let found = iot(&cloud, "DescribeProvisioningTemplate", name.clone()).await;
    assert_eq!(
        (&found["templateBody"], &found["type"]),
        (&json!(body), &json!("FLEET_PROVISIONING"))
    );
    for number in [1, 3, 4, 5] {
        let version = json!({"templateName": "fleet", "versionId": number.to_string()});
        iot(&cloud, "DeleteProvisioningTemplateVersion", version).await;
    }
    iot(&cloud, "DeleteProvisioningTemplate", name).await;
    for (name, body) in [
        ("x".repeat(37), body.clone()),
        ("ok".to_owned(), "{}".to_owned()),
        ("ok".to_owned(), format!("{body}{}", " ".repeat(10_240))),
        ("ok".to_owned(), json!({"Resources": {"t": {"Type": "AWS::S3::Bucket"}}}).to_string()),
        ("ok".to_owned(), json!({"Resources": {}, "Outputs": {}}).to_string()),
    ] {
        let input =
            json!({"templateName": name, "templateBody": body, "provisioningRoleArn": ROLE});
        assert_eq!(refusal(&cloud, "CreateProvisioningTemplate", input).await.1, 400, "{name}");
    }
}

#[tokio::test]
async fn an_operator_registers_a_thing_by_a_template() {
    let cloud = cloud();
    let request = signing_request();
    iot(&cloud, "CreateThingGroup", json!({"thingGroupName": "g"})).await;
    let body = json!({
        "Parameters": {"CSR": {"Type": "String"}},
        "Resources": {
            "lamp": {"Type": "AWS::IoT::Thing", "Properties": {"ThingName": "lamp-1", "ThingGroups": ["g"], "AttributePayload": {"v": "1"}}},
            "cert": {"Type": "AWS::IoT::Certificate", "Properties": {"CertificateSigningRequest": {"Ref": "CSR"}}},
            "pol": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyDocument": document(json!([allow("iot:*", "*")]))}},
        },
    });
    let input =
        |body: &Value| json!({"templateBody": body.to_string(), "parameters": {"CSR": request}});
    let made = iot(&cloud, "RegisterThing", input(&body)).await;
    assert_eq!(made["resourceArns"]["lamp"], "arn:aws:iot:us-east-1:123456789012:thing/lamp-1");
    let der = crate::x509::certificate_der(made["certificatePem"].as_str().unwrap()).unwrap();
    assert_eq!(cloud.ports.authority().unwrap().admits(&der), Admission::Active);
    assert_eq!(cloud.ports.registry().unwrap().members("g").unwrap().len(), 1);

    // A thing that exists is left alone unless the template says otherwise.
    let mut other = body.clone();
    other["Resources"]["lamp"]["Properties"]["AttributePayload"] = json!({"w": "2"});
    iot(&cloud, "RegisterThing", input(&other)).await;
    let attributes = async || {
        iot(&cloud, "DescribeThing", json!({"thingName": "lamp-1"})).await["attributes"].clone()
    };
    assert_eq!(attributes().await, json!({"v": "1"}));
    for (setting, expected) in
        [("MERGE", json!({"v": "1", "w": "2"})), ("REPLACE", json!({"w": "2"}))]
    {
        other["Resources"]["lamp"]["OverrideSettings"] = json!({"AttributePayload": setting});
        iot(&cloud, "RegisterThing", input(&other)).await;
        assert_eq!(attributes().await, expected);
    }
    other["Resources"]["lamp"]["OverrideSettings"] = json!({"ATTRIBUTE_PAYLOAD": "FAIL"});
    iot(&cloud, "RegisterThing", input(&other)).await;
    other["Resources"]["lamp"]["Properties"]["AttributePayload"] = json!({"w": "3"});
    assert_eq!(
        refusal(&cloud, "RegisterThing", input(&other)).await,
        ("ConflictingResourceUpdateException".to_owned(), 409)
    );
    let nothing = json!({"templateBody": body.to_string(), "parameters": {}});
    assert_eq!(
        refusal(&cloud, "RegisterThing", nothing).await.0,
        "ResourceRegistrationFailureException"
    );
}

#[tokio::test]
async fn a_refused_plan_changes_nothing() {
    let cloud = cloud();
    let body = json!({
        "Resources": {
            "lamp": {"Type": "AWS::IoT::Thing", "Properties": {"ThingName": "lamp-1"}},
            "cert": {"Type": "AWS::IoT::Certificate", "Properties": {"CertificateId": "0".repeat(64)}},
        },
    });
    assert_eq!(
        refusal(&cloud, "RegisterThing", json!({"templateBody": body.to_string()})).await.1,
        404
    );
    assert!(cloud.ports.registry().unwrap().thing("lamp-1").is_none());
}
