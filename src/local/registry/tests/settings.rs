//! Events, endpoints, tags, role aliases, logging.
//!
//! Events are read from the broker, in the order in which they were published.

use iotstack_local_kernel::BoxFuture;
use iotstack_local_kernel::cloud::Addresses;
use iotstack_local_kernel::tags::{ChangeTags, Tagged, Tags};

use super::*;

#[tokio::test]
async fn events_are_off_until_they_are_switched_on() {
    let cloud = cloud();
    let broker = Broker::on(&cloud);
    create_things(&cloud, &["a"]).await;
    assert!(broker.published().is_empty());
    let kinds = [
        "THING",
        "THING_GROUP",
        "THING_GROUP_MEMBERSHIP",
        "THING_TYPE",
        "THING_TYPE_ASSOCIATION",
        "THING_GROUP_HIERARCHY",
    ];
    let on: serde_json::Map<String, Value> =
        kinds.iter().map(|kind| ((*kind).to_owned(), json!({"Enabled": true}))).collect();
    iot(&cloud, "UpdateEventConfigurations", json!({"eventConfigurations": on})).await;
    let registry = cloud.ports.registry().unwrap();
    assert!(registry.events_enabled("THING") && !registry.events_enabled("JOB"));
    let found = iot(&cloud, "DescribeEventConfigurations", json!({})).await;
    assert_eq!(found["eventConfigurations"]["THING"]["Enabled"], true);
    assert_eq!(found["eventConfigurations"]["JOB_EXECUTION"]["Enabled"], false);

    iot(&cloud, "CreateThing", json!({"thingName": "b"})).await;
    let events = broker.published();
    assert_eq!(events[0].0, "$aws/events/thing/b/created");
    let event = &events[0].1;
    assert_eq!(
        (&event["eventType"], &event["operation"]),
        (&json!("THING_EVENT"), &json!("CREATED"))
    );
    assert_eq!((&event["thingName"], &event["versionNumber"]), (&json!("b"), &json!(1)));

    iot(&cloud, "CreateThingType", json!({"thingTypeName": "t"})).await;
    iot(&cloud, "UpdateThing", json!({"thingName": "b", "thingTypeName": "t"})).await;
    iot(&cloud, "CreateThingGroup", json!({"thingGroupName": "g"})).await;
    iot(&cloud, "CreateThingGroup", json!({"thingGroupName": "h", "parentGroupName": "g"})).await;
    iot(&cloud, "AddThingToThingGroup", json!({"thingName": "b", "thingGroupName": "h"})).await;
    iot(&cloud, "DeleteThing", json!({"thingName": "b"})).await;
    let topics: Vec<String> = broker.published().into_iter().map(|(topic, _)| topic).collect();
    assert_eq!(
        topics,
        [
            "$aws/events/thingType/t/created",
            "$aws/events/thing/b/updated",
            "$aws/events/thingTypeAssociation/thing/b/thingType/t/added",
            "$aws/events/thingGroup/g/created",
            "$aws/events/thingGroupHierarchy/thingGroup/g/childThingGroup/h/added",
            "$aws/events/thingGroup/h/created",
            "$aws/events/thingGroupMembership/thingGroup/h/thing/b/added",
            "$aws/events/thingGroupMembership/thingGroup/h/thing/b/removed",
            "$aws/events/thing/b/deleted",
        ]
    );
    let unknown = json!({"eventConfigurations": {"WEATHER": {"Enabled": true}}});
    assert_eq!(refusal(&cloud, "UpdateEventConfigurations", unknown).await.1, 400);
}

#[tokio::test]
async fn endpoints_are_where_the_cloud_listens() {
    let cloud = cloud();
    cloud.listen_at(Addresses {
        endpoint: "http://127.0.0.1:4566".to_owned(),
        mqtt: "localhost:8883".to_owned(),
    });
    let address = async |kind: &str| {
        iot(&cloud, "DescribeEndpoint", json!({"endpointType": kind})).await["endpointAddress"]
            .clone()
    };
    assert_eq!(address("iot:Data-ATS").await, "localhost");
    assert_eq!(address("iot:CredentialProvider").await, "127.0.0.1:4566");
    assert_eq!(
        refusal(&cloud, "DescribeEndpoint", json!({"endpointType": "iot:Else"})).await.1,
        400
    );
}

#[tokio::test]
async fn an_unusual_port_of_mqtt_is_told() {
    let cloud = cloud();
    cloud.listen_at(Addresses {
        endpoint: "http://127.0.0.1:4566".to_owned(),
        mqtt: "localhost:18883".to_owned(),
    });
    let found = iot(&cloud, "DescribeEndpoint", json!({})).await;
    assert_eq!(found["endpointAddress"], "localhost:18883");
}

#[tokio::test]
async fn tags_go_with_the_resource() {
    let cloud = cloud();
    let group = json!({"thingGroupName": "g", "tags": [{"Key": "a", "Value": "1"}]});
    let arn = iot(&cloud, "CreateThingGroup", group).await["thingGroupArn"].clone();
    iot(&cloud, "TagResource", json!({"resourceArn": arn, "tags": [{"Key": "b", "Value": "2"}]}))
        .await;
    iot(&cloud, "UntagResource", json!({"resourceArn": arn, "tagKeys": ["a"]})).await;
    let tags = iot(&cloud, "ListTagsForResource", json!({"resourceArn": arn})).await;
    assert_eq!(tags["tags"], json!([{"Key": "b", "Value": "2"}]));
    let reserved = json!({"resourceArn": arn, "tags": [{"Key": "aws:x", "Value": "2"}]});
    assert_eq!(refusal(&cloud, "TagResource", reserved).await.1, 400);
    let own = arn.as_str().unwrap();
    for (part, other) in [("us-east-1", "eu-west-1"), ("123456789012", "210987654321")] {
        let arn = own.replace(part, other);
        let tag = json!({"resourceArn": arn, "tags": [{"Key": "c", "Value": "3"}]});
        assert_eq!(refusal(&cloud, "TagResource", tag).await.1, 404, "{arn}");
        let list = json!({ "resourceArn": arn });
        assert_eq!(refusal(&cloud, "ListTagsForResource", list).await.1, 404, "{arn}");
    }
    iot(&cloud, "DeleteThingGroup", json!({"thingGroupName": "g"})).await;
    assert_eq!(refusal(&cloud, "ListTagsForResource", json!({"resourceArn": arn})).await.1, 404);
}

/// A service that keeps one rule.
#[derive(Default)]
struct Rules(std::sync::Mutex<Tags>);

impl Tagged for Rules {
    fn kinds(&self) -> &'static [&'static str] {
        &["rule"]
    }

    fn tags(&self, _: &str, name: &str) -> Option<Tags> {
        (name == "r").then(|| self.0.lock().unwrap().clone())
    }

    fn change_tags<'a>(
        &'a self,
        _: &'a str,
        name: &'a str,
        change: ChangeTags,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        let changed = match name {
            "r" => change(&mut self.0.lock().unwrap()),
            name => Err(Fault::new("ResourceNotFoundException", 404, name)),
        };
        Box::pin(std::future::ready(changed))
    }
}

#[tokio::test]
async fn tags_of_what_other_services_keep_are_kept_by_them() {
    let cloud = cloud();
    let rules = std::sync::Arc::new(Rules::default());
    cloud.ports.add_tagged(rules.clone());
    let arn = cloud.account.arn("iot", "rule/r");
    let tag = json!({"resourceArn": arn, "tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]});
    iot(&cloud, "TagResource", tag).await;
    iot(&cloud, "UntagResource", json!({"resourceArn": arn, "tagKeys": ["a"]})).await;
    assert_eq!(*rules.0.lock().unwrap(), Tags::from([("b".to_owned(), "2".to_owned())]));
    let tags = iot(&cloud, "ListTagsForResource", json!({"resourceArn": arn})).await;
    assert_eq!(tags["tags"], json!([{"Key": "b", "Value": "2"}]));
    let many: Vec<_> = (0..50).map(|n| json!({"Key": format!("k{n}"), "Value": ""})).collect();
    let many = json!({"resourceArn": arn, "tags": many});
    assert_eq!(refusal(&cloud, "TagResource", many).await.0, "LimitExceededException");
    assert_eq!(rules.0.lock().unwrap().len(), 1);
    let gone = json!({"resourceArn": cloud.account.arn("iot", "rule/gone")});
    assert_eq!(refusal(&cloud, "ListTagsForResource", gone).await.1, 404);
    let wrong = json!({"resourceArn": "rule/r"});
    assert_eq!(refusal(&cloud, "ListTagsForResource", wrong).await.1, 400);
}

#[tokio::test]
async fn role_aliases_name_roles_for_devices() {
    let cloud = cloud();
    let role = "arn:aws:iam::123456789012:role/device";
    let short = json!({"roleAlias": "r", "roleArn": role, "credentialDurationSeconds": 60});
    assert_eq!(refusal(&cloud, "CreateRoleAlias", short).await.1, 400);
    iot(&cloud, "CreateRoleAlias", json!({"roleAlias": "r", "roleArn": role})).await;
    let change = json!({"roleAlias": "r", "credentialDurationSeconds": 900});
    iot(&cloud, "UpdateRoleAlias", change).await;
    let found = iot(&cloud, "DescribeRoleAlias", json!({"roleAlias": "r"})).await;
    assert_eq!(found["roleAliasDescription"]["credentialDurationSeconds"], 900);
    assert_eq!(iot(&cloud, "ListRoleAliases", json!({})).await["roleAliases"], json!(["r"]));
    iot(&cloud, "DeleteRoleAlias", json!({"roleAlias": "r"})).await;
    assert_eq!(refusal(&cloud, "DeleteRoleAlias", json!({"roleAlias": "r"})).await.1, 404);
}

#[tokio::test]
async fn logging_is_kept_once_it_is_configured() {
    let cloud = cloud();
    assert_eq!(refusal(&cloud, "GetV2LoggingOptions", json!({})).await.0, "NotConfiguredException");
    let options = json!({"roleArn": "arn:aws:iam::123456789012:role/l", "defaultLogLevel": "INFO"});
    iot(&cloud, "SetV2LoggingOptions", options).await;
    let found = iot(&cloud, "GetV2LoggingOptions", json!({})).await;
    assert_eq!(found["defaultLogLevel"], "INFO");
    let wrong = json!({"defaultLogLevel": "LOUD"});
    assert_eq!(refusal(&cloud, "SetV2LoggingOptions", wrong).await.1, 400);
}
