//! The engine through the service: what the stacks and their clients rely on.
//!
//! They do not repeat the tests of the library; they hold what the adapter promises: names
//! of errors, ARNs, the clock, and the resource type.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use iotstack_local_kernel::testing::{call, cloud};
use iotstack_local_kernel::{Account, Clock, Cloud, Fault, ResourceRequest, Store};
use serde_json::{Value, json};

fn tables() -> Arc<Cloud> {
    let cloud = cloud();
    crate::install(&cloud).unwrap();
    cloud
}

async fn on(cloud: &Cloud, operation: &str, input: Value) -> Result<Value, Fault> {
    call(cloud, "dynamodb", operation, input).await
}

fn lamps() -> Value {
    json!({
        "TableName": "lamps", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    })
}

fn item(id: &str, watts: i32) -> Value {
    json!({"id": {"S": id}, "watts": {"N": watts.to_string()}})
}

async fn put(cloud: &Cloud, item: Value) {
    cloud.ports.tables().unwrap().put_item("lamps", item).await.unwrap();
}

async fn get(cloud: &Cloud, id: &str) -> Value {
    let input = json!({"TableName": "lamps", "Key": {"id": {"S": id}}});
    on(cloud, "GetItem", input).await.unwrap()["Item"].clone()
}

#[tokio::test]
async fn items_are_put_changed_and_found() {
    let cloud = tables();
    let made = on(&cloud, "CreateTable", lamps()).await.unwrap();
    let arn = "arn:aws:dynamodb:us-east-1:123456789012:table/lamps";
    assert_eq!(made["TableDescription"]["TableArn"], arn);
    put(&cloud, item("a", 40)).await;
    put(&cloud, item("b", 60)).await;
    let input = json!({
        "TableName": arn, "Key": {"id": {"S": "a"}}, "UpdateExpression": "SET watts = watts + :n",
        "ConditionExpression": "watts < :most", "ReturnValues": "ALL_NEW",
        "ExpressionAttributeValues": {":n": {"N": "2"}, ":most": {"N": "50"}},
    });
    let changed = on(&cloud, "UpdateItem", input.clone()).await.unwrap();
    assert_eq!(changed["Attributes"], item("a", 42));
    let mut twice = input;
    twice["ExpressionAttributeValues"][":most"] = json!({"N": "42"});
    let refused = on(&cloud, "UpdateItem", twice).await.unwrap_err();
    assert_eq!((refused.code.as_str(), refused.status), ("ConditionalCheckFailedException", 400));
    let found = on(&cloud, "Scan", json!({"TableName": "lamps"})).await.unwrap();
    assert_eq!(found["Count"], 2);
}

#[tokio::test]
async fn errors_have_the_names_of_aws() {
    let cloud = tables();
    on(&cloud, "CreateTable", lamps()).await.unwrap();
    for (operation, input, code) in [
        ("CreateTable", lamps(), "ResourceInUseException"),
        ("DescribeTable", json!({"TableName": "none"}), "ResourceNotFoundException"),
        (
            "PutItem",
            json!({"TableName": "lamps", "Item": {"x": {"S": "1"}}}),
            "ValidationException",
        ),
        ("PutItem", json!({"TableName": "lamps", "Item": 5}), "SerializationException"),
        ("CreateBackup", json!({}), "NotImplemented"),
    ] {
        assert_eq!(on(&cloud, operation, input).await.unwrap_err().code, code, "{operation}");
    }
    let write = json!({"Put": {"TableName": "lamps", "Item": item("a", 1), "ConditionExpression": "attribute_exists(id)"}});
    let input = json!({"TransactItems": [write]});
    let refused = on(&cloud, "TransactWriteItems", input).await.unwrap_err();
    assert_eq!(refused.code, "TransactionCanceledException");
    assert_eq!(refused.members()["CancellationReasons"][0]["Code"], "ConditionalCheckFailed");
}

#[tokio::test]
async fn tables_may_be_named_by_their_arns_everywhere() {
    let cloud = tables();
    on(&cloud, "CreateTable", lamps()).await.unwrap();
    let arn = "arn:aws:dynamodb:us-east-1:123456789012:table/lamps";
    let input = json!({"TransactItems": [{"Put": {"TableName": arn, "Item": item("a", 1)}}]});
    on(&cloud, "TransactWriteItems", input).await.unwrap();
    let mut requests = json!({arn: [{"PutRequest": {"Item": item("b", 2)}}]});
    on(&cloud, "BatchWriteItem", json!({"RequestItems": requests})).await.unwrap();
    let key = json!({"Keys": [{"id": {"S": "b"}}]});
    let found = on(&cloud, "BatchGetItem", json!({"RequestItems": {arn: key}})).await.unwrap();
    assert_eq!(found["Responses"], json!({arn: [item("b", 2)]}));
    requests["lamps"] = json!([{"PutRequest": {"Item": item("c", 3)}}]);
    let refused = on(&cloud, "BatchWriteItem", json!({"RequestItems": requests})).await;
    assert_eq!(refused.unwrap_err().code, "ValidationException");
}

#[tokio::test]
async fn names_and_values_of_a_transaction_are_none_or_some() {
    let cloud = tables();
    on(&cloud, "CreateTable", lamps()).await.unwrap();
    let write = json!({"Put": {
        "TableName": "lamps", "Item": item("a", 1), "ExpressionAttributeValues": {},
    }});
    let refused = on(&cloud, "TransactWriteItems", json!({"TransactItems": [write]})).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code, "ValidationException");
    assert_eq!(refused.message, "ExpressionAttributeValues must not be empty");
}

#[tokio::test]
async fn what_is_consumed_is_told_in_the_order_of_the_request() {
    let cloud = tables();
    let names = ["lamps", "fans", "doors", "locks"];
    for name in names {
        let mut table = lamps();
        table["TableName"] = json!(name);
        on(&cloud, "CreateTable", table).await.unwrap();
    }
    let gets: Vec<Value> = names
        .iter()
        .map(|name| json!({"Get": {"TableName": name, "Key": {"id": {"S": "a"}}}}))
        .collect();
    let input = json!({"TransactItems": gets, "ReturnConsumedCapacity": "TOTAL"});
    let found = on(&cloud, "TransactGetItems", input).await.unwrap();
    let told = found["ConsumedCapacity"].as_array().unwrap();
    let told: Vec<&str> = told.iter().map(|of| of["TableName"].as_str().unwrap()).collect();
    assert_eq!(told, names);
}

#[tokio::test]
async fn a_new_item_was_nothing_before() {
    let cloud = tables();
    on(&cloud, "CreateTable", lamps()).await.unwrap();
    let input = json!({
        "TableName": "lamps", "Key": {"id": {"S": "a"}}, "UpdateExpression": "SET watts = :n",
        "ExpressionAttributeValues": {":n": {"N": "2"}}, "ReturnValues": "ALL_OLD",
    });
    let first = on(&cloud, "UpdateItem", input.clone()).await.unwrap();
    assert!(first.get("Attributes").is_none());
    assert_eq!(on(&cloud, "UpdateItem", input).await.unwrap()["Attributes"], item("a", 2));
}

#[tokio::test]
async fn encryption_is_told_if_it_is_asked_for() {
    let cloud = tables();
    let mut table = lamps();
    table["SSESpecification"] = json!({"Enabled": false});
    let made = on(&cloud, "CreateTable", table.clone()).await.unwrap();
    assert!(made["TableDescription"].get("SSEDescription").is_none());
    table["TableName"] = json!("lanterns");
    table["SSESpecification"] =
        json!({"Enabled": true, "SSEType": "KMS", "KMSMasterKeyId": "the-key"});
    let made = on(&cloud, "CreateTable", table).await.unwrap();
    let encryption = &made["TableDescription"]["SSEDescription"];
    assert_eq!(encryption["Status"], "ENABLED");
    let arn = "arn:aws:kms:us-east-1:123456789012:key/the-key";
    assert_eq!(encryption["KMSMasterKeyArn"], arn);
}

#[tokio::test]
async fn items_expire_on_the_clock() {
    let cloud = tables();
    on(&cloud, "CreateTable", lamps()).await.unwrap();
    let input = json!({"TableName": "lamps", "TimeToLiveSpecification": {"AttributeName": "end", "Enabled": true}});
    on(&cloud, "UpdateTimeToLive", input).await.unwrap();
    let mut short = item("a", 1);
    short["end"] = json!({"N": (cloud.clock.now().seconds() + 100).to_string()});
    put(&cloud, short).await;
    put(&cloud, item("b", 1)).await;
    let began = Instant::now();
    while !get(&cloud, "a").await.is_null() {
        assert!(began.elapsed() < Duration::from_secs(20));
        cloud.clock.step(Duration::from_secs(61));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(get(&cloud, "b").await, item("b", 1));
}

#[tokio::test]
async fn tables_outlive_the_cloud() {
    let folder = tempfile::tempdir().unwrap();
    let start = |folder: &Path| {
        let store = Store::open(folder).unwrap();
        let cloud = Cloud::new(Account::default(), Clock::real(), store);
        crate::install(&cloud).unwrap();
        cloud
    };
    {
        let cloud = start(folder.path());
        on(&cloud, "CreateTable", lamps()).await.unwrap();
        put(&cloud, item("a", 1)).await;
    }
    let cloud = start(folder.path());
    assert_eq!(get(&cloud, "a").await, item("a", 1));
    #[cfg(unix)]
    for file in std::fs::read_dir(folder.path()).unwrap() {
        use std::os::unix::fs::PermissionsExt;
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} is open to others", file.path().display());
    }
}

#[tokio::test]
async fn a_stack_makes_changes_and_removes_a_table() {
    let cloud = tables();
    let handler = cloud.resource("AWS::DynamoDB::Table").unwrap();
    let mut properties = lamps();
    properties.as_object_mut().unwrap().remove("TableName");
    properties["StreamSpecification"] = json!({"StreamViewType": "NEW_IMAGE"});
    properties["TimeToLiveSpecification"] = json!({"AttributeName": "end", "Enabled": "true"});
    properties["PointInTimeRecoverySpecification"] = json!({"PointInTimeRecoveryEnabled": true});
    let mut request = ResourceRequest {
        logical_id: "T".to_owned(),
        stack_name: "s".to_owned(),
        properties: properties.clone(),
        ..ResourceRequest::default()
    };
    let made = handler.create(&request).await.unwrap();
    let name = made.physical_id.clone();
    assert!(name.starts_with("s-T-"));
    assert!(
        made.attributes["StreamArn"]
            .as_str()
            .unwrap()
            .contains(&format!("123456789012:table/{name}/stream/"))
    );
    request.physical_id = Some(name.clone());
    request.previous = Some(properties.clone());
    properties["AttributeDefinitions"] = json!([
        {"AttributeName": "id", "AttributeType": "S"}, {"AttributeName": "room", "AttributeType": "S"},
    ]);
    properties["GlobalSecondaryIndexes"] = json!([{
        "IndexName": "rooms", "KeySchema": [{"AttributeName": "room", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }]);
    request.properties = properties;
    handler.update(&request).await.unwrap();
    let shown = on(&cloud, "DescribeTable", json!({"TableName": name})).await.unwrap();
    assert_eq!(shown["Table"]["GlobalSecondaryIndexes"][0]["IndexName"], "rooms");
    let ttl = on(&cloud, "DescribeTimeToLive", json!({"TableName": name})).await.unwrap();
    assert_eq!(ttl["TimeToLiveDescription"]["AttributeName"], "end");
    handler.delete(&request).await.unwrap();
    handler.delete(&request).await.unwrap();
    assert_eq!(on(&cloud, "ListTables", json!({})).await.unwrap()["TableNames"], json!([]));
}
