//! What senders and receivers rely on.
//!
//! The clock is stepped by hand: visibility, delay, retention and long polling are
//! moments of the cloud's time.

use std::sync::Arc;
use std::time::Duration;

use iotstack_local_kernel::testing::{call, cloud};
use iotstack_local_kernel::{
    Account, Caller, Clock, Cloud, Fault, ResourceRequest, Store, Timestamp,
};
use serde_json::{Value, json};

fn queues() -> Arc<Cloud> {
    let cloud = cloud();
    crate::install(&cloud).unwrap();
    cloud
}

async fn on(cloud: &Cloud, operation: &str, input: Value) -> Result<Value, Fault> {
    call(cloud, "sqs", operation, input).await
}

async fn make(cloud: &Cloud, name: &str, attributes: Value) -> String {
    let input = json!({"QueueName": name, "Attributes": attributes});
    let made = on(cloud, "CreateQueue", input).await.unwrap();
    made["QueueUrl"].as_str().unwrap().to_owned()
}

async fn send(cloud: &Cloud, url: &str, body: &str) {
    on(cloud, "SendMessage", json!({"QueueUrl": url, "MessageBody": body})).await.unwrap();
}

async fn receive(cloud: &Cloud, url: &str) -> Vec<Value> {
    let input = json!({"QueueUrl": url, "MaxNumberOfMessages": 10, "AttributeNames": ["All"]});
    let found = on(cloud, "ReceiveMessage", input).await.unwrap();
    found["Messages"].as_array().cloned().unwrap_or_default()
}

fn bodies(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["Body"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_a_queue_cannot_take_is_refused() {
    let cloud = queues();
    let url = make(&cloud, "q", json!({})).await;
    let fifo = json!({"QueueName": "f", "Attributes": {"FifoQueue": "true"}});
    let fifo = on(&cloud, "CreateQueue", fifo).await.unwrap_err();
    assert_eq!(fifo.code, "InvalidParameterValue");
    let sent = async |more: Value| {
        let mut input = json!({"QueueUrl": url, "MessageBody": "a"});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        on(&cloud, "SendMessage", input).await
    };
    let attribute = |name: &str| {
        json!({"MessageAttributes": {
            name: {"DataType": "String", "StringValue": "v"},
        }})
    };
    for wrong in [attribute("größe"), json!({"MessageDeduplicationId": "same"})] {
        assert_eq!(sent(wrong).await.unwrap_err().code, "InvalidParameterValue");
    }
    sent(attribute("a-b_c.D")).await.unwrap();
    sent(json!({"MessageGroupId": "fair"})).await.unwrap();
    let tags = |from: u32, to: u32| {
        let tags: serde_json::Map<_, _> = (from..to).map(|n| (n.to_string(), json!("v"))).collect();
        json!({"QueueUrl": url, "Tags": tags})
    };
    on(&cloud, "TagQueue", tags(0, 50)).await.unwrap();
    assert_eq!(
        on(&cloud, "TagQueue", tags(50, 51)).await.unwrap_err().code,
        "InvalidParameterValue"
    );
    let kept = on(&cloud, "ListQueueTags", json!({"QueueUrl": url})).await.unwrap();
    assert_eq!(kept["Tags"].as_object().unwrap().len(), 50);
}

#[tokio::test]
async fn the_count_of_a_redrive_policy_is_shown_as_a_number() {
    let cloud = queues();
    make(&cloud, "dead", json!({})).await;
    let target = "arn:aws:sqs:us-east-1:123456789012:dead";
    let policy = json!({"deadLetterTargetArn": target, "maxReceiveCount": "3"}).to_string();
    let url = make(&cloud, "q", json!({"RedrivePolicy": policy})).await;
    assert_eq!(make(&cloud, "q", json!({"RedrivePolicy": policy})).await, url);
    let input = json!({"QueueUrl": url, "AttributeNames": ["RedrivePolicy"]});
    let shown = on(&cloud, "GetQueueAttributes", input).await.unwrap();
    let shown = shown["Attributes"]["RedrivePolicy"].as_str().unwrap();
    let shown: Value = serde_json::from_str(shown).unwrap();
    assert_eq!(shown["maxReceiveCount"], 3);
}

#[tokio::test]
async fn a_message_is_out_of_sight_until_its_time_is_over() {
    let cloud = queues();
    let url = make(&cloud, "q", json!({"VisibilityTimeout": "10"})).await;
    send(&cloud, &url, "a").await;
    let first = receive(&cloud, &url).await;
    assert_eq!(bodies(&first), ["a"]);
    assert_eq!(receive(&cloud, &url).await, Vec::<Value>::new());
    cloud.clock.step(Duration::from_secs(10));
    let second = receive(&cloud, &url).await;
    assert_eq!(second[0]["Attributes"]["ApproximateReceiveCount"], "2");
    let input = json!({"QueueUrl": url, "ReceiptHandle": second[0]["ReceiptHandle"]});
    on(&cloud, "DeleteMessage", input.clone()).await.unwrap();
    on(&cloud, "DeleteMessage", input).await.unwrap();
    cloud.clock.step(Duration::from_secs(60));
    assert_eq!(receive(&cloud, &url).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_message_can_be_delayed_and_brought_back() {
    let cloud = queues();
    let url = make(&cloud, "q", json!({})).await;
    let input = json!({"QueueUrl": url, "MessageBody": "late", "DelaySeconds": 5});
    on(&cloud, "SendMessage", input).await.unwrap();
    assert_eq!(receive(&cloud, &url).await, Vec::<Value>::new());
    let counts =
        on(&cloud, "GetQueueAttributes", json!({"QueueUrl": url, "AttributeNames": ["All"]}))
            .await
            .unwrap();
    assert_eq!(counts["Attributes"]["ApproximateNumberOfMessagesDelayed"], "1");
    cloud.clock.step(Duration::from_secs(5));
    let found = receive(&cloud, &url).await;
    let input = json!({"QueueUrl": url, "ReceiptHandle": found[0]["ReceiptHandle"], "VisibilityTimeout": 0});
    on(&cloud, "ChangeMessageVisibility", input.clone()).await.unwrap();
    let again = on(&cloud, "ChangeMessageVisibility", input).await.unwrap_err();
    assert_eq!(again.code, "MessageNotInflight");
    assert_eq!(bodies(&receive(&cloud, &url).await), ["late"]);
}

#[tokio::test]
async fn long_polling_ends_with_a_message_or_with_its_time() {
    let cloud = queues();
    let url = make(&cloud, "q", json!({})).await;
    let poll = || {
        let (cloud, url) = (cloud.clone(), url.clone());
        tokio::spawn(async move {
            let input = json!({"QueueUrl": url, "WaitTimeSeconds": 20});
            on(&cloud, "ReceiveMessage", input).await.unwrap()
        })
    };
    let first = poll();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(!first.is_finished());
    send(&cloud, &url, "a").await;
    assert_eq!(first.await.unwrap()["Messages"][0]["Body"], "a");
    let second = poll();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    cloud.clock.step(Duration::from_secs(20));
    assert_eq!(second.await.unwrap(), json!({}));
}

#[tokio::test]
async fn what_is_received_too_often_becomes_a_dead_letter() {
    let cloud = queues();
    let dead = make(&cloud, "dead", json!({})).await;
    let policy = json!({"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:dead", "maxReceiveCount": 2});
    let url =
        make(&cloud, "q", json!({"RedrivePolicy": policy.to_string(), "VisibilityTimeout": "0"}))
            .await;
    send(&cloud, &url, "a").await;
    assert_eq!(receive(&cloud, &url).await.len(), 1);
    assert_eq!(receive(&cloud, &url).await.len(), 1);
    assert_eq!(receive(&cloud, &url).await.len(), 0);
    let found = receive(&cloud, &dead).await;
    assert_eq!(
        found[0]["Attributes"]["DeadLetterQueueSourceArn"],
        "arn:aws:sqs:us-east-1:123456789012:q"
    );
    let sources =
        on(&cloud, "ListDeadLetterSourceQueues", json!({"QueueUrl": dead})).await.unwrap();
    assert_eq!(sources["queueUrls"], json!([url]));
}

#[tokio::test]
async fn dead_letters_go_to_a_queue_of_the_same_kind_that_is_there() {
    let cloud = queues();
    make(&cloud, "dead", json!({})).await;
    make(&cloud, "dead.fifo", json!({"FifoQueue": "true"})).await;
    let url = make(&cloud, "q", json!({})).await;
    let policy = |target: &str| {
        let arn = format!("arn:aws:sqs:us-east-1:123456789012:{target}");
        json!({"deadLetterTargetArn": arn, "maxReceiveCount": 2}).to_string()
    };
    for target in ["gone", "dead.fifo"] {
        let attributes = json!({"RedrivePolicy": policy(target)});
        let input = json!({"QueueName": "new", "Attributes": attributes});
        let refused = on(&cloud, "CreateQueue", input).await.unwrap_err();
        assert_eq!(refused.code, "InvalidParameterValue", "{target}");
        assert!(refused.message.contains(target), "{}", refused.message);
        let input = json!({"QueueUrl": url, "Attributes": attributes});
        let refused = on(&cloud, "SetQueueAttributes", input).await.unwrap_err();
        assert_eq!(refused.code, "InvalidParameterValue", "{target}");
    }
    let fifo = json!({"FifoQueue": "true", "RedrivePolicy": policy("dead")});
    let input = json!({"QueueName": "new.fifo", "Attributes": fifo});
    let refused = on(&cloud, "CreateQueue", input).await.unwrap_err();
    assert_eq!(refused.code, "InvalidParameterValue");
    make(&cloud, "new.fifo", json!({"FifoQueue": "true", "RedrivePolicy": policy("dead.fifo")}))
        .await;
    let input = json!({"QueueUrl": url, "Attributes": {"RedrivePolicy": policy("dead")}});
    on(&cloud, "SetQueueAttributes", input).await.unwrap();
}

#[tokio::test]
async fn a_queue_can_be_purged_once_in_a_minute() {
    let cloud = queues();
    let url = make(&cloud, "q", json!({})).await;
    send(&cloud, &url, "a").await;
    let purge = async || on(&cloud, "PurgeQueue", json!({"QueueUrl": url})).await;
    purge().await.unwrap();
    assert_eq!(receive(&cloud, &url).await, Vec::<Value>::new());
    send(&cloud, &url, "b").await;
    cloud.clock.step(Duration::from_secs(59));
    let refused = purge().await.unwrap_err();
    assert_eq!((refused.code.as_str(), refused.status), ("PurgeQueueInProgress", 403));
    assert_eq!(refused.query_code(), "AWS.SimpleQueueService.PurgeQueueInProgress");
    assert_eq!(bodies(&receive(&cloud, &url).await), ["b"]);
    cloud.clock.step(Duration::from_secs(1));
    purge().await.unwrap();
}

#[tokio::test]
async fn fifo_queues_keep_order_per_group_and_drop_doubles() {
    let cloud = queues();
    let url =
        make(&cloud, "q.fifo", json!({"FifoQueue": "true", "ContentBasedDeduplication": "true"}))
            .await;
    for (group, body) in [("g", "1"), ("g", "2"), ("h", "3"), ("g", "1")] {
        let input = json!({"QueueUrl": url, "MessageBody": body, "MessageGroupId": group});
        on(&cloud, "SendMessage", input).await.unwrap();
    }
    let input = json!({"QueueUrl": url, "MaxNumberOfMessages": 1});
    let first = on(&cloud, "ReceiveMessage", input).await.unwrap();
    assert_eq!(first["Messages"][0]["Body"], "1");
    assert_eq!(bodies(&receive(&cloud, &url).await), ["3"]);
    let input = json!({"QueueUrl": url, "ReceiptHandle": first["Messages"][0]["ReceiptHandle"]});
    on(&cloud, "DeleteMessage", input).await.unwrap();
    assert_eq!(bodies(&receive(&cloud, &url).await), ["2"]);
    cloud.clock.step(Duration::from_secs(301));
    let input = json!({"QueueUrl": url, "MessageBody": "1", "MessageGroupId": "new"});
    on(&cloud, "SendMessage", input).await.unwrap();
    assert!(bodies(&receive(&cloud, &url).await).contains(&"1"));
    let input = json!({"QueueUrl": url, "MessageBody": "x"});
    assert_eq!(on(&cloud, "SendMessage", input).await.unwrap_err().code, "MissingParameter");
}

#[tokio::test]
async fn batches_fail_entry_by_entry() {
    let cloud = queues();
    let url = make(&cloud, "q", json!({})).await;
    let entries = json!([
        {"Id": "a", "MessageBody": "1", "MessageAttributes": {"n": {"DataType": "Number", "StringValue": "7"}}},
        {"Id": "b", "MessageBody": "2", "DelaySeconds": 901},
    ]);
    let sent =
        on(&cloud, "SendMessageBatch", json!({"QueueUrl": url, "Entries": entries})).await.unwrap();
    assert_eq!(
        (&sent["Successful"][0]["Id"], &sent["Failed"][0]["Id"]),
        (&json!("a"), &json!("b"))
    );
    let input = json!({"QueueUrl": url, "MessageAttributeNames": ["All"]});
    let found = on(&cloud, "ReceiveMessage", input).await.unwrap();
    let message = &found["Messages"][0];
    assert_eq!(message["MessageAttributes"]["n"]["StringValue"], "7");
    assert_eq!(message["MD5OfMessageAttributes"], sent["Successful"][0]["MD5OfMessageAttributes"]);
    let twice = json!([{"Id": "a", "MessageBody": "1"}, {"Id": "a", "MessageBody": "1"}]);
    let refused = on(&cloud, "SendMessageBatch", json!({"QueueUrl": url, "Entries": twice})).await;
    assert_eq!(refused.unwrap_err().code, "BatchEntryIdsNotDistinct");
}

#[tokio::test]
async fn wrong_queues_and_messages_are_refused() {
    let cloud = queues();
    for (name, attributes, code) in [
        ("a b", json!({}), "InvalidParameterValue"),
        ("q.fifo", json!({}), "InvalidParameterValue"),
        ("q", json!({"VisibilityTimeout": "43201"}), "InvalidAttributeValue"),
        ("q", json!({"Color": "red"}), "InvalidAttributeName"),
        ("q", json!({"RedrivePolicy": "{}"}), "InvalidAttributeValue"),
        ("q", json!({"Policy": "no policy"}), "InvalidAttributeValue"),
    ] {
        let input = json!({"QueueName": name, "Attributes": attributes});
        assert_eq!(on(&cloud, "CreateQueue", input).await.unwrap_err().code, code, "{name}");
    }
    let url = make(&cloud, "q", json!({"MaximumMessageSize": "1024"})).await;
    assert_eq!(make(&cloud, "q", json!({"MaximumMessageSize": "1024"})).await, url);
    let other = json!({"QueueName": "q", "Attributes": {"MaximumMessageSize": "2048"}});
    assert_eq!(on(&cloud, "CreateQueue", other).await.unwrap_err().code, "QueueNameExists");
    for body in ["", &"x".repeat(1025), "\u{1}"] {
        let input = json!({"QueueUrl": url, "MessageBody": body});
        assert!(on(&cloud, "SendMessage", input).await.is_err());
    }
    let gone =
        on(&cloud, "ReceiveMessage", json!({"QueueUrl": "http://x/1/gone"})).await.unwrap_err();
    assert_eq!(gone.code, "QueueDoesNotExist");
}

#[tokio::test]
async fn messages_outlive_the_cloud() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let store = Store::open(folder.path()).unwrap();
        let cloud = Cloud::new(Account::default(), Clock::stepped(Timestamp(0)), store);
        crate::install(&cloud).unwrap();
        cloud
    };
    {
        let cloud = start();
        let url = make(&cloud, "q", json!({})).await;
        send(&cloud, &url, "kept").await;
        send(&cloud, &url, "deleted").await;
        let found = receive(&cloud, &url).await;
        let input = json!({"QueueUrl": url, "ReceiptHandle": found[1]["ReceiptHandle"]});
        on(&cloud, "DeleteMessage", input).await.unwrap();
    }
    let cloud = start();
    cloud.clock.step(Duration::from_secs(31));
    assert_eq!(bodies(&receive(&cloud, "q").await), ["kept"]);
}

#[tokio::test]
async fn a_stack_makes_queues_and_policies() {
    let cloud = queues();
    let mut request = ResourceRequest {
        logical_id: "Q".to_owned(),
        stack_name: "s".to_owned(),
        properties: json!({"VisibilityTimeout": 60, "FifoQueue": true}),
        ..ResourceRequest::default()
    };
    let handler = cloud.resource("AWS::SQS::Queue").unwrap();
    let made = handler.create(&request).await.unwrap();
    assert!(made.physical_id.ends_with(".fifo"));
    let url = made.physical_id.clone();
    let policy = json!({"Version": "2012-10-17", "Statement": []});
    let policy = ResourceRequest {
        logical_id: "P".to_owned(),
        stack_name: "s".to_owned(),
        properties: json!({"Queues": [url], "PolicyDocument": policy}),
        ..ResourceRequest::default()
    };
    cloud.resource("AWS::SQS::QueuePolicy").unwrap().create(&policy).await.unwrap();
    request.physical_id = Some(url.clone());
    request.properties = json!({"FifoQueue": true});
    handler.update(&request).await.unwrap();
    let shown =
        on(&cloud, "GetQueueAttributes", json!({"QueueUrl": url, "AttributeNames": ["All"]}))
            .await
            .unwrap();
    assert_eq!(shown["Attributes"]["VisibilityTimeout"], "30");
    assert!(shown["Attributes"]["Policy"].as_str().unwrap().contains("Statement"));
    handler.delete(&request).await.unwrap();
    handler.delete(&request).await.unwrap();
}

/// The answer to a form, as SDKs sent it before they knew JSON.
async fn form(cloud: &Cloud, body: String) -> (u16, String) {
    let request = http::Request::post("/123456789012/q")
        .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
        .body(body.into())
        .unwrap();
    let answer = cloud.services.answer("sqs", request, Caller::Root, cloud.clock.now()).await;
    let text = String::from_utf8(answer.body().to_vec()).unwrap();
    (answer.status().as_u16(), text)
}

/// The texts of all elements of a name.
fn all<'a>(xml: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open).skip(1).map(|rest| rest.split(&close).next().unwrap()).collect()
}

#[tokio::test]
async fn older_clients_speak_forms_and_read_xml() {
    let cloud = queues();
    let create = "Action=CreateQueue&Version=2012-11-05&QueueName=q&Attribute.1.Name=VisibilityTimeout\
                  &Attribute.1.Value=10&Tag.1.Key=team&Tag.1.Value=pumps";
    let (status, made) = form(&cloud, create.to_owned()).await;
    assert_eq!(status, 200, "{made}");
    let url = all(&made, "QueueUrl")[0];
    let on = |rest: &str| form(&cloud, format!("{rest}&Version=2012-11-05&QueueUrl={url}"));

    let (_, sent) =
        on("Action=SendMessage&MessageBody=a%3Cb&DelaySeconds=0&MessageAttribute.1.Name=n\
         &MessageAttribute.1.Value.DataType=Number&MessageAttribute.1.Value.StringValue=7")
        .await;
    let (_, found) = on(
        "Action=ReceiveMessage&AttributeName.1=All&MessageAttributeName.1=All&MaxNumberOfMessages=1",
    )
    .await;
    assert_eq!(all(&found, "Message").len(), 1, "{found}");
    assert_eq!(all(&found, "Body"), ["a&lt;b"]);
    assert_eq!(
        all(&found, "MessageAttribute"),
        ["<Name>n</Name><Value><DataType>Number</DataType><StringValue>7</StringValue></Value>"]
    );
    assert_eq!(
        all(&found, "MD5OfMessageAttributes"),
        all(&sent, "MD5OfMessageAttributes"),
        "{sent}"
    );
    let count = "<Name>ApproximateReceiveCount</Name><Value>1</Value>";
    assert!(all(&found, "Attribute").contains(&count), "{found}");
    let receipt = all(&found, "ReceiptHandle")[0];
    let (_, hidden) = on(&format!(
        "Action=ChangeMessageVisibilityBatch&ChangeMessageVisibilityBatchRequestEntry.1.Id=x\
         &ChangeMessageVisibilityBatchRequestEntry.1.ReceiptHandle={receipt}\
         &ChangeMessageVisibilityBatchRequestEntry.1.VisibilityTimeout=0"
    ))
    .await;
    assert_eq!(all(&hidden, "ChangeMessageVisibilityBatchResultEntry"), ["<Id>x</Id>"]);

    let (_, batch) = on(
        "Action=SendMessageBatch&SendMessageBatchRequestEntry.1.Id=a\
         &SendMessageBatchRequestEntry.1.MessageBody=1&SendMessageBatchRequestEntry.2.Id=b\
         &SendMessageBatchRequestEntry.2.MessageBody=2&SendMessageBatchRequestEntry.2.DelaySeconds=901",
    )
    .await;
    assert_eq!(all(&batch, "SendMessageBatchResultEntry").len(), 1);
    assert!(all(&batch, "BatchResultErrorEntry")[0].contains("<Id>b</Id>"), "{batch}");

    let (_, tags) = on("Action=ListQueueTags").await;
    assert_eq!(all(&tags, "Tag"), ["<Key>team</Key><Value>pumps</Value>"]);
    let (_, shown) = on("Action=GetQueueAttributes&AttributeName.1=VisibilityTimeout").await;
    assert_eq!(all(&shown, "Attribute"), ["<Name>VisibilityTimeout</Name><Value>10</Value>"]);
    let (_, listed) = form(&cloud, "Action=ListQueues&Version=2012-11-05".to_owned()).await;
    assert_eq!(all(&listed, "QueueUrl"), [url]);

    let gone = "Action=GetQueueUrl&Version=2012-11-05&QueueName=gone".to_owned();
    let (status, refused) = form(&cloud, gone).await;
    assert_eq!(status, 400);
    assert_eq!(all(&refused, "Code"), ["AWS.SimpleQueueService.NonExistentQueue"]);
    let (status, refused) = on("Action=SendMessage&MessageBody=x&MessageAttribute.1.Value=7").await;
    assert_eq!((status, all(&refused, "Code")), (400, vec!["InvalidParameterValue"]), "{refused}");
}
