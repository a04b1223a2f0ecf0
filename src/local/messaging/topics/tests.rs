//! What publishers and subscribers rely on.
//!
//! Queues of the same cloud, and one HTTP endpoint on this machine, witness what is
//! delivered.

use std::sync::Arc;

use iotstack_local_kernel::testing::{call, cloud};
use iotstack_local_kernel::{Cloud, Fault, ResourceRequest};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:t";
const QUEUE: &str = "arn:aws:sqs:us-east-1:123456789012:q";

fn topics() -> Arc<Cloud> {
    let cloud = cloud();
    crate::install(&cloud).unwrap();
    cloud
}

async fn on(cloud: &Cloud, operation: &str, input: Value) -> Result<Value, Fault> {
    call(cloud, "sns", operation, input).await
}

/// A queue that lets topics send to it.
async fn queue(cloud: &Cloud, name: &str) {
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage",
        "Resource": "*", "Condition": {"ArnEquals": {"aws:SourceArn": "arn:aws:sns:us-east-1:123456789012:t*"}},
    }]});
    let mut attributes = json!({"Policy": policy.to_string()});
    if name.ends_with(".fifo") {
        attributes["FifoQueue"] = json!("true");
    }
    let input = json!({"QueueName": name, "Attributes": attributes});
    call(cloud, "sqs", "CreateQueue", input).await.unwrap();
}

async fn received(cloud: &Cloud, name: &str) -> Vec<String> {
    let input = json!({"QueueUrl": name, "MaxNumberOfMessages": 10});
    let found = call(cloud, "sqs", "ReceiveMessage", input).await.unwrap();
    let messages = found["Messages"].as_array().cloned().unwrap_or_default();
    messages.iter().map(|message| message["Body"].as_str().unwrap().to_owned()).collect()
}

async fn subscribe(cloud: &Cloud, attributes: Value) -> String {
    let input =
        json!({"TopicArn": TOPIC, "Protocol": "sqs", "Endpoint": QUEUE, "Attributes": attributes});
    let made = on(cloud, "Subscribe", input).await.unwrap();
    made["SubscriptionArn"].as_str().unwrap().to_owned()
}

async fn publish(cloud: &Cloud, message: &str, attributes: Value) {
    let input = json!({"TopicArn": TOPIC, "Message": message, "Subject": "s", "MessageAttributes": attributes});
    on(cloud, "Publish", input).await.unwrap();
}

#[tokio::test]
async fn a_queue_gets_what_is_published() {
    let cloud = topics();
    queue(&cloud, "q").await;
    on(&cloud, "CreateTopic", json!({"Name": "t"})).await.unwrap();
    let subscription = subscribe(&cloud, json!({})).await;
    publish(&cloud, "hello", json!({"n": {"DataType": "String", "StringValue": "v"}})).await;
    let told: Value = serde_json::from_str(&received(&cloud, "q").await[0]).unwrap();
    assert_eq!(
        (&told["Message"], &told["Subject"], &told["TopicArn"]),
        (&json!("hello"), &json!("s"), &json!(TOPIC))
    );
    assert_eq!(told["MessageAttributes"]["n"], json!({"Type": "String", "Value": "v"}));
    let raw = json!({"SubscriptionArn": subscription, "AttributeName": "RawMessageDelivery", "AttributeValue": "true"});
    on(&cloud, "SetSubscriptionAttributes", raw).await.unwrap();
    publish(&cloud, "raw", json!({})).await;
    assert_eq!(received(&cloud, "q").await, ["raw"]);
    on(&cloud, "Unsubscribe", json!({"SubscriptionArn": subscription})).await.unwrap();
    publish(&cloud, "nobody", json!({})).await;
    assert_eq!(received(&cloud, "q").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_queue_without_a_policy_gets_nothing() {
    let cloud = topics();
    call(&cloud, "sqs", "CreateQueue", json!({"QueueName": "q"})).await.unwrap();
    queue(&cloud, "dead").await;
    on(&cloud, "CreateTopic", json!({"Name": "t"})).await.unwrap();
    let redrive = json!({"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:dead"});
    subscribe(&cloud, json!({"RedrivePolicy": redrive.to_string()})).await;
    publish(&cloud, "lost", json!({})).await;
    assert_eq!(received(&cloud, "q").await, Vec::<String>::new());
    assert_eq!(received(&cloud, "dead").await.len(), 1);
}

#[tokio::test]
async fn filter_policies_choose() {
    let cloud = topics();
    queue(&cloud, "q").await;
    on(&cloud, "CreateTopic", json!({"Name": "t"})).await.unwrap();
    let policy = json!({"kind": ["a", {"prefix": "b"}], "n": [{"numeric": [">", 5]}]}).to_string();
    let subscription =
        subscribe(&cloud, json!({"FilterPolicy": policy, "RawMessageDelivery": "true"})).await;
    let with = |kind: &str, n: &str| {
        json!({
            "kind": {"DataType": "String", "StringValue": kind},
            "n": {"DataType": "Number", "StringValue": n},
        })
    };
    publish(&cloud, "1", with("a", "6")).await;
    publish(&cloud, "2", with("a", "5")).await;
    publish(&cloud, "3", with("bc", "7")).await;
    publish(&cloud, "4", with("c", "7")).await;
    publish(&cloud, "5", json!({})).await;
    assert_eq!(received(&cloud, "q").await, ["1", "3"]);
    for (name, value) in
        [("FilterPolicyScope", "MessageBody"), ("FilterPolicy", "{\"x\":{\"y\":[1]}}")]
    {
        let input = json!({"SubscriptionArn": subscription, "AttributeName": name, "AttributeValue": value});
        on(&cloud, "SetSubscriptionAttributes", input).await.unwrap();
    }
    publish(&cloud, "{\"x\":{\"y\":1}}", json!({})).await;
    publish(&cloud, "{\"x\":{\"y\":2}}", json!({})).await;
    publish(&cloud, "no json", json!({})).await;
    assert_eq!(received(&cloud, "q").await, ["{\"x\":{\"y\":1}}"]);
}

#[tokio::test]
async fn filter_policies_have_bounds_and_a_scope() {
    let cloud = topics();
    queue(&cloud, "q").await;
    on(&cloud, "CreateTopic", json!({"Name": "t"})).await.unwrap();
    let subscription = subscribe(&cloud, json!({"FilterPolicy": "{\"n\":[1.123456789]}"})).await;
    let number = |text: &str| json!({"n": {"DataType": "Number", "StringValue": text}});
    publish(&cloud, "1", number("1.1234567")).await;
    publish(&cloud, "2", number("1.1234")).await;
    assert_eq!(received(&cloud, "q").await.len(), 1);
    let shown = || async {
        let input = json!({"SubscriptionArn": subscription});
        on(&cloud, "GetSubscriptionAttributes", input).await.unwrap().to_string()
    };
    assert!(shown().await.contains("MessageAttributes"));
    let set = |policy: String| {
        let input = json!({
            "SubscriptionArn": subscription, "AttributeName": "FilterPolicy", "AttributeValue": policy,
        });
        on(&cloud, "SetSubscriptionAttributes", input)
    };
    let many: Vec<String> = (0..151).map(|n| n.to_string()).collect();
    for (policy, problem) in [
        (json!({"a": {"b": [1]}}), "nested"),
        (json!({"a": [1], "b": [1], "c": [1], "d": [1], "e": [1], "f": [1]}), "5 keys"),
        (json!({"a": many}), "too complex"),
    ] {
        let refused = set(policy.to_string()).await.unwrap_err();
        assert!(refused.message.contains(problem), "{refused}");
    }
    set(String::new()).await.unwrap();
    assert!(!shown().await.contains("Filter"));
}

#[tokio::test]
async fn refusals_have_the_codes_of_aws() {
    let cloud = topics();
    on(&cloud, "CreateTopic", json!({"Name": "t"})).await.unwrap();
    let input = json!({"Name": "t.fifo", "Attributes": {"FifoTopic": "true"}});
    let fifo = on(&cloud, "CreateTopic", input).await.unwrap()["TopicArn"].clone();
    let batch = |topic: &Value, entry: Value| json!({"TopicArn": topic, "PublishBatchRequestEntries": [entry]});
    let topic = json!(TOPIC);
    let tags: Vec<Value> = (0..51).map(|n| json!({"Key": format!("k{n}"), "Value": ""})).collect();
    let unnamed = json!({"n": {"DataType": "Number", "StringValue": "x"}});
    for (operation, input, code) in [
        ("CreateTopic", json!({"Name": "t", "Tags": tags}), "TagLimitExceeded"),
        ("CreateTopic", json!({"Name": "t", "Tags": [tags[0]]}), "InvalidParameter"),
        ("TagResource", json!({"ResourceArn": TOPIC, "Tags": tags}), "TagLimitExceeded"),
        ("TagResource", json!({"ResourceArn": "x", "Tags": []}), "ResourceNotFound"),
        ("UntagResource", json!({"ResourceArn": "x", "TagKeys": []}), "ResourceNotFound"),
        ("ListTagsForResource", json!({"ResourceArn": "x"}), "ResourceNotFound"),
        (
            "Publish",
            json!({"TopicArn": TOPIC, "Message": "m", "MessageDeduplicationId": "d"}),
            "InvalidParameter",
        ),
        (
            "Publish",
            json!({"TopicArn": TOPIC, "Message": "m", "MessageAttributes": unnamed}),
            "ParameterValueInvalid",
        ),
        ("PublishBatch", batch(&fifo, json!({"Id": "1", "Message": "m"})), "InvalidParameter"),
        (
            "PublishBatch",
            batch(&fifo, json!({"Id": "1", "Message": "m", "MessageGroupId": "g"})),
            "InvalidParameter",
        ),
        ("PublishBatch", batch(&topic, json!({"Id": "a b"})), "InvalidBatchEntryId"),
    ] {
        assert_eq!(on(&cloud, operation, input).await.unwrap_err().code, code, "{operation}");
    }
}

#[tokio::test]
async fn a_topic_shows_how_it_delivers() {
    let cloud = topics();
    let delivery = json!({"http": {"defaultHealthyRetryPolicy": {"numRetries": 7}}}).to_string();
    let input = json!({"Name": "t", "Attributes": {"DeliveryPolicy": delivery}});
    on(&cloud, "CreateTopic", input).await.unwrap();
    let shown = on(&cloud, "GetTopicAttributes", json!({"TopicArn": TOPIC})).await.unwrap();
    let shown = shown.to_string().replace('\\', "");
    assert!(
        shown.contains("\"numRetries\":7") && shown.contains("\"minDelayTarget\":20"),
        "{shown}"
    );
}

#[tokio::test]
async fn fifo_topics_keep_order() {
    let cloud = topics();
    queue(&cloud, "q.fifo").await;
    let input = json!({"Name": "t.fifo", "Attributes": {"FifoTopic": "true", "ContentBasedDeduplication": "true"}});
    let topic = on(&cloud, "CreateTopic", input).await.unwrap()["TopicArn"].clone();
    let input = json!({
        "TopicArn": topic, "Protocol": "sqs", "Endpoint": format!("{QUEUE}.fifo"),
        "Attributes": {"RawMessageDelivery": "true"},
    });
    on(&cloud, "Subscribe", input).await.unwrap();
    let entries: Vec<Value> = ["1", "2", "3", "2"]
        .iter()
        .enumerate()
        .map(|(place, text)| json!({"Id": place.to_string(), "Message": text, "MessageGroupId": "g"}))
        .collect();
    let input = json!({"TopicArn": topic, "PublishBatchRequestEntries": entries});
    let sent = on(&cloud, "PublishBatch", input).await.unwrap();
    assert_eq!(sent["Successful"].as_array().unwrap().len(), 4);
    assert_eq!(received(&cloud, "q.fifo").await, ["1", "2", "3"]);
    let input = json!({"TopicArn": topic, "Message": "x"});
    assert!(on(&cloud, "Publish", input).await.unwrap_err().message.contains("MessageGroupId"));
    let named = json!({"Name": "u.fifo", "Attributes": {"FifoTopic": "true"}});
    let named = on(&cloud, "CreateTopic", named).await.unwrap()["TopicArn"].clone();
    let shown = on(&cloud, "GetTopicAttributes", json!({"TopicArn": named})).await.unwrap();
    assert!(shown["Attributes"].to_string().contains("ContentBasedDeduplication"), "{shown}");
    on(&cloud, "CreateTopic", json!({"Name": "t"})).await.unwrap();
    let input = json!({"TopicArn": TOPIC, "Protocol": "sqs", "Endpoint": format!("{QUEUE}.fifo")});
    let refused = on(&cloud, "Subscribe", input).await.unwrap_err();
    assert!(refused.message.contains("standard SNS topics"), "{refused}");
}

#[tokio::test]
async fn a_mail_address_stays_pending_and_an_endpoint_confirms() {
    let cloud = topics();
    on(&cloud, "CreateTopic", json!({"Name": "t"})).await.unwrap();
    let mail = json!({"TopicArn": TOPIC, "Protocol": "email", "Endpoint": "ops@example.com"});
    let made = on(&cloud, "Subscribe", mail).await.unwrap();
    assert_eq!(made["SubscriptionArn"], "pending confirmation");
    publish(&cloud, "not sent", json!({})).await;

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/hook?x=1", listener.local_addr().unwrap());
    let accept = || async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut text = String::new();
        let mut buffer = [0; 4096];
        while !text.trim_end().ends_with('}') {
            let count = stream.read(&mut buffer).await.unwrap();
            text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), serde_json::from_str::<Value>(body).unwrap())
    };
    let input = json!({"TopicArn": TOPIC, "Protocol": "http", "Endpoint": endpoint});
    on(&cloud, "Subscribe", input).await.unwrap();
    let (head, asked) = accept().await;
    assert!(head.starts_with("POST /hook?x=1 ") && head.contains("SubscriptionConfirmation"));
    on(&cloud, "ConfirmSubscription", json!({"TopicArn": TOPIC, "Token": asked["Token"]}))
        .await
        .unwrap();
    publish(&cloud, "hello", json!({})).await;
    assert_eq!(accept().await.1["Message"], "hello");
    let shown =
        on(&cloud, "GetTopicAttributes", json!({"TopicArn": TOPIC})).await.unwrap().to_string();
    assert!(shown.contains(r#"{"key":"SubscriptionsPending","value":"1"}"#), "{shown}");
}

#[tokio::test]
async fn what_cannot_be_delivered_is_refused() {
    let cloud = topics();
    on(&cloud, "CreateTopic", json!({"Name": "t"})).await.unwrap();
    for (protocol, endpoint) in [
        ("http", "http://example.com/"),
        ("http", "http://10.0.0.1/"),
        ("https", "https://127.0.0.1/"),
        ("sqs", "q"),
        ("email", "nobody"),
        ("application", "arn:aws:sns:x"),
        ("pigeon", "x"),
    ] {
        let input = json!({"TopicArn": TOPIC, "Protocol": protocol, "Endpoint": endpoint});
        assert_eq!(
            on(&cloud, "Subscribe", input).await.unwrap_err().code,
            "InvalidParameter",
            "{endpoint}"
        );
    }
    for input in [
        json!({"TopicArn": TOPIC, "Message": ""}),
        json!({"TopicArn": TOPIC, "Message": "x", "Subject": "two\nlines"}),
        json!({"TopicArn": TOPIC, "Message": "x", "MessageStructure": "json"}),
        json!({"TopicArn": TOPIC, "Message": "x".repeat(256 * 1024 + 1)}),
        json!({"PhoneNumber": "+1", "Message": "x"}),
    ] {
        assert_eq!(on(&cloud, "Publish", input).await.unwrap_err().status, 400);
    }
    let gone = json!({"TopicArn": format!("{TOPIC}x"), "Message": "x"});
    assert_eq!(on(&cloud, "Publish", gone).await.unwrap_err().code, "NotFound");
}

#[tokio::test]
async fn a_stack_makes_topics_policies_and_subscriptions() {
    let cloud = topics();
    let request = |properties: Value| ResourceRequest {
        logical_id: "T".to_owned(),
        stack_name: "s".to_owned(),
        properties,
        ..ResourceRequest::default()
    };
    let handler = cloud.resource("AWS::SNS::Topic").unwrap();
    let mut topic = request(json!({
        "TopicName": "t", "DisplayName": "Topic",
        "Subscription": [{"Protocol": "email", "Endpoint": "a@example.com"}],
    }));
    let made = handler.create(&topic).await.unwrap();
    assert_eq!((made.physical_id.as_str(), &made.attributes["TopicName"]), (TOPIC, &json!("t")));
    assert!(handler.create(&topic).await.is_err());
    let policy = request(json!({"Topics": [TOPIC], "PolicyDocument": {"Statement": []}}));
    let policies = cloud.resource("AWS::SNS::TopicPolicy").unwrap();
    policies.create(&policy).await.unwrap();
    let mut subscription =
        request(json!({"TopicArn": TOPIC, "Protocol": "email", "Endpoint": "b@example.com"}));
    let subscriptions = cloud.resource("AWS::SNS::Subscription").unwrap();
    let made = subscriptions.create(&subscription).await.unwrap();
    assert!(made.physical_id.starts_with(TOPIC));
    subscription.physical_id = Some(made.physical_id);
    subscriptions.delete(&subscription).await.unwrap();
    topic.physical_id = Some(TOPIC.to_owned());
    handler.delete(&topic).await.unwrap();
    handler.delete(&topic).await.unwrap();
    let mut policy = policy;
    policy.physical_id = Some("p".to_owned());
    policies.delete(&policy).await.unwrap();
    assert_eq!(
        on(&cloud, "ListSubscriptions", json!({})).await.unwrap()["Subscriptions"],
        json!([])
    );
}
