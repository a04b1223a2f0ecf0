//! The ready stack's own resources: its policies, groups and provisioning template
//! as its template has them, made by the handlers and used by a device.
//!
//! Only the intrinsic functions that they use are resolved here; the engine of
//! CloudFormation is somebody else's.

use std::net::IpAddr;

use iotstack_local_kernel::{Admission, Publisher, ResourceRequest};

use super::authority::attempt;
use super::provisioning::Device;
use super::*;

/// The resources of the stack of the environment `dev`, intrinsics resolved.
fn resources() -> serde_json::Map<String, Value> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../stacks/tests/golden/IoTFirmwareUpdatesStack-dev.template.json"
    );
    let template: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    resolve(&template["Resources"]).as_object().unwrap().clone()
}

fn resolve(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(resolve).collect(),
        Value::Object(members) => match members.iter().next() {
            Some((name, argument)) if name == "Ref" => match argument.as_str().unwrap() {
                "AWS::Partition" => json!("aws"),
                "AWS::Region" => json!("us-east-1"),
                "AWS::AccountId" => json!("123456789012"),
                other => json!(other),
            },
            Some((name, argument)) if name == "Fn::Join" => {
                let parts = resolve(&argument[1]);
                let texts: Vec<&str> =
                    parts.as_array().unwrap().iter().map(|part| part.as_str().unwrap()).collect();
                json!(texts.join(argument[0].as_str().unwrap()))
            }
            Some((name, _)) if name == "Fn::GetAtt" => {
                json!("arn:aws:iam::123456789012:role/provisioning")
            }
            _ => members.iter().map(|(key, value)| (key.clone(), resolve(value))).collect(),
        },
        plain => plain.clone(),
    }
}

#[tokio::test]
async fn a_device_of_the_ready_stack_provisions_itself_and_may_do_its_work() {
    let cloud = cloud();
    let resources = resources();
    let mut made = Vec::new();
    for kind in [
        "AWS::IoT::ThingType",
        "AWS::IoT::ThingGroup",
        "AWS::IoT::Policy",
        "AWS::IoT::ProvisioningTemplate",
    ] {
        for (logical_id, resource) in resources.iter().filter(|(_, found)| found["Type"] == kind) {
            let request = ResourceRequest {
                type_name: kind.to_owned(),
                logical_id: logical_id.clone(),
                stack_name: "stack".to_owned(),
                properties: resource["Properties"].clone(),
                ..ResourceRequest::default()
            };
            let state = cloud.resource(kind).unwrap().create(&request).await.unwrap();
            made.push((kind, state.physical_id));
        }
    }
    let name_of = |kind: &str, end: &str| {
        let found = made.iter().find(|(of, name)| *of == kind && name.ends_with(end));
        found.unwrap().1.clone()
    };
    let template = name_of("AWS::IoT::ProvisioningTemplate", "");
    let (claim, claim_der) = certificate(&cloud).await;
    let policy = name_of("AWS::IoT::Policy", "-claim");
    iot(&cloud, "AttachPolicy", json!({"policyName": policy, "target": claim})).await;

    let authority = cloud.ports.authority().unwrap();
    let client_id = format!("{template}-7");
    assert!(authority.connect(&attempt("somebody", &claim_der)).is_err());
    let rights = authority.connect(&attempt(&client_id, &claim_der)).unwrap();
    let provision = format!("$aws/provisioning-templates/{template}/provision/json");
    assert!(rights.may_publish("$aws/certificates/create/json", false));
    assert!(rights.may_publish(&provision, false));
    assert!(rights.may_subscribe(&format!("{provision}/accepted")));
    assert!(!rights.may_publish("$aws/things/x/jobs/get", false));

    let publisher = Publisher {
        client_id: client_id.as_str().into(),
        principal: claim.rsplit('/').next().unwrap().into(),
        thing: None,
        source: IpAddr::from([127, 0, 0, 1]),
    };
    let device = Device::of(&cloud, publisher);
    device.broker.subscribe("$aws/certificates/create/json/+");
    device.broker.subscribe(&format!("{provision}/+"));
    let (_, keys) = device.ask("$aws/certificates/create/json", Value::Null).await;
    let request = json!({
        "certificateOwnershipToken": keys["certificateOwnershipToken"],
        "parameters": {"SerialNumber": "7"},
    });
    let (accepted, answer) = device.ask(&provision, request).await;
    assert!(accepted, "{answer}");
    let thing = answer["thingName"].as_str().unwrap();
    assert_eq!(thing, client_id);

    let der = crate::x509::certificate_der(keys["certificatePem"].as_str().unwrap()).unwrap();
    assert_eq!(authority.admits(&der), Admission::Active);
    assert!(authority.connect(&attempt("other", &der)).is_err());
    let rights = authority.connect(&attempt(thing, &der)).unwrap();
    assert!(rights.may_publish(&format!("$aws/things/{thing}/jobs/start-next"), false));
    assert!(rights.may_subscribe(&format!("$aws/things/{thing}/jobs/notify-next")));
    assert!(!rights.may_publish("$aws/things/other/jobs/start-next", false));
    let group = name_of("AWS::IoT::ThingGroup", "");
    assert_eq!(cloud.ports.registry().unwrap().members(&group).unwrap().len(), 1);
}
