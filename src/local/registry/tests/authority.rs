//! Who may connect, and with which rights.
//!
//! The broker asks the same questions; here they are asked without one.

use std::net::IpAddr;

use iotstack_local_kernel::ports::{Credentials, Identity, SessionKeys};
use iotstack_local_kernel::{Admission, Caller, CloudEvent, ConnectAttempt, Refused};

use super::*;

const PREFIX: &str = "arn:aws:iot:us-east-1:123456789012:";

/// A CONNECT without anything special.
pub fn attempt<'a>(client_id: &'a str, certificate: &'a [u8]) -> ConnectAttempt<'a> {
    ConnectAttempt {
        client_id,
        certificate: Some(certificate),
        caller: None,
        server_name: None,
        source: IpAddr::from([127, 0, 0, 1]),
        last_will: None,
        retained_will: false,
        persistent: false,
        user_name: None,
    }
}

/// A thing with its certificate and a policy.
async fn device(cloud: &Cloud, name: &str, statements: Value) -> (String, Vec<u8>) {
    create_things(cloud, &[name]).await;
    let (arn, der) = certificate(cloud).await;
    iot(cloud, "AttachThingPrincipal", json!({"thingName": name, "principal": arn})).await;
    attach(cloud, &format!("policy-of-{name}"), statements, &arn).await;
    (arn, der)
}

#[tokio::test]
async fn only_active_certificates_are_admitted() {
    let cloud = cloud();
    let authority = cloud.ports.authority().unwrap();
    let (arn, der) = device(&cloud, "a", json!([allow("iot:*", "*")])).await;
    assert_eq!(authority.admits(&der), Admission::Active);
    let rights = authority.connect(&attempt("a", &der)).unwrap();
    assert!(rights.holds() && rights.may_publish("x", false));
    let change = json!({"certificateId": arn.rsplit('/').next(), "newStatus": "INACTIVE"});
    iot(&cloud, "UpdateCertificate", change).await;
    assert_eq!(authority.admits(&der), Admission::Inactive);
    assert_eq!(authority.connect(&attempt("a", &der)).err(), Some(Refused::NotAuthenticated));
    assert!(!rights.holds() && !rights.may_publish("x", false));
    assert_eq!(authority.admits(b"nonsense"), Admission::Unknown);
}

#[tokio::test]
async fn a_connection_stands_for_the_thing_that_its_client_id_names() {
    let cloud = cloud();
    let authority = cloud.ports.authority().unwrap();
    let own = format!("{PREFIX}topic/$aws/things/${{iot:Connection.Thing.ThingName}}/*");
    let statements =
        json!([allow("iot:Connect", &format!("{PREFIX}client/*")), allow("iot:Publish", &own),]);
    let (_, der) = device(&cloud, "a", statements).await;
    let rights = authority.connect(&attempt("a", &der)).unwrap();
    assert_eq!(rights.publisher().thing.as_deref(), Some("a"));
    assert!(rights.may_publish("$aws/things/a/jobs/get", false));
    assert!(!rights.may_publish("$aws/things/b/jobs/get", false));
    assert!(!rights.may_subscribe("$aws/things/a/jobs/get"));
    let other = authority.connect(&attempt("else", &der)).unwrap();
    assert_eq!(other.publisher().thing, None);
    assert!(!other.may_publish("$aws/things/a/jobs/get", false));
}

#[tokio::test]
async fn an_exclusive_attachment_ties_any_client_id_to_the_thing() {
    let cloud = cloud();
    let authority = cloud.ports.authority().unwrap();
    let (arn, der) = device(&cloud, "a", json!([allow("iot:*", "*")])).await;
    iot(&cloud, "DetachThingPrincipal", json!({"thingName": "a", "principal": arn})).await;
    let exclusive =
        json!({"thingName": "a", "principal": arn, "thingPrincipalType": "EXCLUSIVE_THING"});
    iot(&cloud, "AttachThingPrincipal", exclusive).await;
    let rights = authority.connect(&attempt("anything", &der)).unwrap();
    assert_eq!(rights.publisher().thing.as_deref(), Some("a"));
}

#[tokio::test]
async fn the_policy_of_the_ready_stack_lets_a_device_do_its_work() {
    let cloud = cloud();
    let authority = cloud.ports.authority().unwrap();
    let thing = "${iot:Connection.Thing.ThingName}";
    let statements = json!([
        {
            "Effect": "Allow",
            "Action": "iot:Connect",
            "Resource": format!("{PREFIX}client/{thing}"),
            "Condition": {"Bool": {"iot:Connection.Thing.IsAttached": "true"}},
        },
        {"Effect": "Allow", "Action": "iot:Publish", "Resource": [
            format!("{PREFIX}topic/$aws/things/{thing}/jobs/*/update"),
            format!("{PREFIX}topic/$aws/things/{thing}/jobs/start-next"),
        ]},
        allow("iot:Subscribe", &format!("{PREFIX}topicfilter/$aws/things/{thing}/jobs/*")),
        allow("iot:Receive", &format!("{PREFIX}topic/$aws/things/{thing}/jobs/*")),
    ]);
    let (_, der) = device(&cloud, "pump", statements).await;
    let rights = authority.connect(&attempt("pump", &der)).unwrap();
    assert!(rights.may_publish("$aws/things/pump/jobs/j-1/update", false));
    assert!(!rights.may_publish("$aws/things/pump/jobs/j-1/update", true));
    assert!(rights.may_subscribe("$aws/things/pump/jobs/+/update/accepted"));
    assert!(rights.may_receive("$aws/things/pump/jobs/notify-next"));
    assert!(!rights.may_receive("$aws/things/other/jobs/notify-next"));
    // The client id must be the name of the thing.
    assert_eq!(authority.connect(&attempt("x", &der)).err(), Some(Refused::NotAuthorized));
}

#[tokio::test]
async fn rights_follow_changes_and_only_those_who_are_connected_are_told() {
    let cloud = cloud();
    let told = Arc::new(Mutex::new(0));
    cloud.bus.hear({
        let told = told.clone();
        move |event| {
            if *event == CloudEvent::RightsChanged {
                *told.lock().unwrap() += 1;
            }
        }
    });
    let authority = cloud.ports.authority().unwrap();
    let (arn, der) = device(&cloud, "a", json!([allow("iot:Connect", "*")])).await;
    assert_eq!(*told.lock().unwrap(), 0, "nobody was connected");
    let rights = authority.connect(&attempt("a", &der)).unwrap();
    assert!(!rights.may_publish("x", false));
    attach(&cloud, "more", json!([allow("iot:Publish", "*")]), &arn).await;
    assert_eq!(*told.lock().unwrap(), 1);
    assert!(rights.may_publish("x", false));
    let version = json!({
        "policyName": "more",
        "policyDocument": document(json!([allow("iot:Publish", &format!("{PREFIX}topic/y"))])),
        "setAsDefault": true,
    });
    iot(&cloud, "CreatePolicyVersion", version).await;
    assert_eq!(*told.lock().unwrap(), 2);
    assert!(!rights.may_publish("x", false) && rights.may_publish("y", false));
    iot(&cloud, "DetachPolicy", json!({"policyName": "policy-of-a", "target": arn})).await;
    assert!(!rights.holds());
    drop(rights);
    let before = *told.lock().unwrap();
    iot(&cloud, "DetachPolicy", json!({"policyName": "more", "target": arn})).await;
    assert_eq!(*told.lock().unwrap(), before);
}

#[tokio::test]
async fn a_changed_policy_holds_for_devices_after_the_delay_that_was_asked_for() {
    let cloud = testing::cloud();
    crate::start_with_delay(&cloud, Duration::from_secs(7 * 60)).unwrap();
    let told = Arc::new(Mutex::new(0));
    cloud.bus.hear({
        let told = told.clone();
        move |event| *told.lock().unwrap() += usize::from(*event == CloudEvent::RightsChanged)
    });
    let authority = cloud.ports.authority().unwrap();
    let all = json!([allow("iot:Connect", "*"), allow("iot:Publish", "*")]);
    let (_, der) = device(&cloud, "a", all).await;
    let early = authority.connect(&attempt("a", &der)).unwrap();
    let version = |statements| {
        let (policy, text) = ("policy-of-a", document(statements));
        json!({"policyName": policy, "policyDocument": text, "setAsDefault": true})
    };
    iot(&cloud, "CreatePolicyVersion", version(json!([allow("iot:Connect", "*")]))).await;
    cloud.clock.step(Duration::from_secs(3 * 60));
    iot(&cloud, "CreatePolicyVersion", version(json!([allow("iot:Receive", "*")]))).await;
    cloud.clock.step(Duration::from_secs(4 * 60 - 1));
    // For those who connect now as well: the copy is not theirs alone.
    let late = authority.connect(&attempt("a", &der)).unwrap();
    for rights in [&early, &late] {
        assert!(rights.holds() && rights.may_publish("x", false) && !rights.may_receive("x"));
    }
    let question = json!({
        "principal": iot(&cloud, "ListThingPrincipals", json!({"thingName": "a"})).await
            ["principals"][0],
        "authInfos": [{"actionType": "PUBLISH", "resources": [format!("{PREFIX}topic/x")]}],
    });
    let tested = iot(&cloud, "TestAuthorization", question).await;
    assert_eq!(tested["authResults"][0]["authDecision"], "IMPLICIT_DENY");
    let before = *told.lock().unwrap();

    cloud.clock.step(Duration::from_secs(1));
    until(async || *told.lock().unwrap() > before).await;
    for rights in [&early, &late] {
        assert!(!rights.holds() && !rights.may_publish("x", false) && rights.may_receive("x"));
    }
    assert_eq!(authority.connect(&attempt("a", &der)).err(), Some(Refused::NotAuthorized));
}

#[tokio::test]
async fn policies_of_groups_count_for_connections_that_stand_for_a_thing() {
    let cloud = cloud();
    let authority = cloud.ports.authority().unwrap();
    let (_, der) = device(&cloud, "a", json!([allow("iot:Connect", "*")])).await;
    let group = iot(&cloud, "CreateThingGroup", json!({"thingGroupName": "g"})).await;
    attach(
        &cloud,
        "of-group",
        json!([allow("iot:Publish", "*")]),
        group["thingGroupArn"].as_str().unwrap(),
    )
    .await;
    let rights = authority.connect(&attempt("a", &der)).unwrap();
    assert!(!rights.may_publish("x", false));
    let member = json!({"thingName": "a", "thingGroupName": "g"});
    iot(&cloud, "AddThingToThingGroup", member.clone()).await;
    assert!(rights.may_publish("x", false));
    let other = authority.connect(&attempt("b", &der)).unwrap();
    assert!(!other.may_publish("x", false));
    iot(&cloud, "RemoveThingFromThingGroup", member).await;
    assert!(!rights.may_publish("x", false));
}

#[tokio::test]
async fn connect_attributes_and_wills_are_judged() {
    let cloud = cloud();
    let authority = cloud.ports.authority().unwrap();
    let statements = json!([{
        "Effect": "Allow",
        "Action": "iot:Connect",
        "Resource": "*",
        "Condition": {"ForAllValues:StringEquals": {"iot:ConnectAttributes": ["LastWill"]}},
    }, allow("iot:Publish", &format!("{PREFIX}topic/wills/*"))]);
    let (_, der) = device(&cloud, "a", statements).await;
    assert!(authority.connect(&attempt("a", &der)).is_ok());
    let persistent = ConnectAttempt { persistent: true, ..attempt("a", &der) };
    assert_eq!(authority.connect(&persistent).err(), Some(Refused::NotAuthorized));
    let will = ConnectAttempt { last_will: Some("wills/a"), ..attempt("a", &der) };
    let rights = authority.connect(&will).unwrap();
    assert!(rights.holds());
    let elsewhere = ConnectAttempt { last_will: Some("other"), ..attempt("a", &der) };
    assert!(authority.connect(&elsewhere).is_err());
    // A retained will needs its own permission.
    let retained = ConnectAttempt { retained_will: true, ..will };
    assert!(authority.connect(&retained).is_err());
}

#[tokio::test]
async fn over_https_the_variables_of_a_thing_have_no_value() {
    let cloud = cloud();
    let statements = json!([
        allow("iotjobsdata:DescribeJobExecution", &format!("{PREFIX}thing/a")),
        allow("iot:GetThingShadow", &format!("{PREFIX}thing/${{iot:Connection.Thing.ThingName}}")),
    ]);
    let (arn, _) = device(&cloud, "a", statements).await;
    let id = arn.rsplit('/').next().unwrap();
    let registry = cloud.ports.registry().unwrap();
    assert!(registry.certificate_may(id, "iotjobsdata:DescribeJobExecution", "thing/a"));
    assert!(registry.certificate_may(
        id,
        "iotjobsdata:DescribeJobExecution",
        &format!("{PREFIX}thing/a")
    ));
    assert!(!registry.certificate_may(id, "iotjobsdata:DescribeJobExecution", "thing/b"));
    assert!(!registry.certificate_may(id, "iot:GetThingShadow", "thing/a"));
    assert_eq!(registry.thing_of_certificate(id).as_deref(), Some("a"));
}

/// IAM that lets one action through.
struct OneAction;

impl Credentials for OneAction {
    fn identity(&self, _: &str) -> Option<Identity> {
        None
    }

    fn allows(&self, _: &Caller, action: &str, resource: &str) -> bool {
        action == "iot:Connect" || (action == "iot:Publish" && resource.ends_with(":topic/x"))
    }

    fn assume(&self, _: &str, _: &str, _: &str) -> Result<SessionKeys, Fault> {
        Err(Fault::internal("nobody"))
    }
}

#[tokio::test]
async fn websockets_are_judged_by_iam() {
    let cloud = cloud();
    cloud.ports.serve_credentials(Arc::new(OneAction));
    let authority = cloud.ports.authority().unwrap();
    let caller = Caller::Principal { arn: "arn:aws:iam::123456789012:user/u".to_owned() };
    let with =
        |caller| ConnectAttempt { certificate: None, caller: Some(caller), ..attempt("c", b"") };
    let rights = authority.connect(&with(&caller)).unwrap();
    assert!(rights.may_publish("x", false) && rights.may_publish("x", false));
    assert!(!rights.may_publish("x", true) && !rights.may_subscribe("x"));
    assert_eq!(&*rights.publisher().principal, "arn:aws:iam::123456789012:user/u");
    assert!(authority.connect(&with(&Caller::Root)).unwrap().may_subscribe("#"));
    let nobody = ConnectAttempt { caller: None, ..with(&caller) };
    assert!(authority.connect(&nobody).is_err());
}
