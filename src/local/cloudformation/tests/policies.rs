//! Stack policies: what an update is refused, who may stand in, what they say nothing about.
//!
//! How a policy is read and judged is tested where it is; here is what comes of it.

use super::*;

fn policy(action: &str, resource: &str) -> String {
    json!({"Statement": [
        {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": action, "Principal": "*",
         "Resource": format!("LogicalResourceId/{resource}")},
    ]})
    .to_string()
}

fn template(delay: u32, name: &str) -> Value {
    json!({"Resources": {
        "Queue": {"Type": "AWS::SQS::Queue",
            "Properties": {"QueueName": "q", "DelaySeconds": delay}},
        "Topic": topic(name),
    }})
}

async fn stack(policy: &str) -> World {
    let world = World::new();
    let mut input = request("s", &template(1, "a"));
    input["StackPolicyBody"] = json!(policy);
    world.ask("CreateStack", input).await;
    assert_eq!(world.end("s").await, "CREATE_COMPLETE");
    world.shelf.forget();
    world
}

#[tokio::test]
async fn a_denied_change_fails_and_the_stack_goes_back() {
    let world = stack(&policy("Update:Modify", "Queue")).await;
    assert_eq!(world.update("s", template(2, "b")).await, "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(world.shelf.thing("AWS::SQS::Queue q")["DelaySeconds"], 1);
    assert_eq!(world.shelf.names(), ["AWS::SNS::Topic a", "AWS::SQS::Queue q"]);
    let events = world.events("s").await;
    let reason = "Queue UPDATE_FAILED: Action denied by stack policy: Statement [#2] does not \
                  allow [Update:Modify] for resource [LogicalResourceId/Queue]";
    assert!(events.contains(&reason.to_owned()), "{events:#?}");
    // What the policy does not speak of may change.
    assert_eq!(world.update("s", template(1, "b")).await, "UPDATE_COMPLETE");
}

#[tokio::test]
async fn a_denied_replacement_makes_nothing() {
    let world = stack(&policy("Update:Replace", "Topic")).await;
    assert_eq!(world.update("s", template(1, "b")).await, "UPDATE_ROLLBACK_COMPLETE");
    let asked = world.shelf.asked();
    assert!(!asked.iter().any(|asked| asked.starts_with("create")), "{asked:?}");
    assert_eq!(world.update("s", template(5, "a")).await, "UPDATE_COMPLETE");
}

#[tokio::test]
async fn a_denied_removal_begins_nothing_at_all() {
    let world = stack(&policy("Update:Delete", "Topic")).await;
    let mut less = template(9, "a");
    less["Resources"].as_object_mut().unwrap().remove("Topic");
    assert_eq!(world.update("s", less).await, "UPDATE_ROLLBACK_COMPLETE");
    assert!(world.shelf.asked().is_empty(), "{:?}", world.shelf.asked());
    let status = world.stack("s").await["StackStatus"].clone();
    assert_eq!(status, "UPDATE_ROLLBACK_COMPLETE");
    // A policy does not keep a stack alive.
    assert_eq!(world.delete("s").await, "DELETE_COMPLETE");
}

#[tokio::test]
async fn change_sets_are_held_to_the_policy_as_well() {
    let world = stack(&policy("Update:*", "Queue")).await;
    let set = world.propose("s", "UPDATE", &template(2, "a")).await;
    assert_eq!(set["Status"], "CREATE_COMPLETE");
    world.ask("ExecuteChangeSet", json!({"StackName": "s", "ChangeSetName": "proposal"})).await;
    assert_eq!(world.end("s").await, "UPDATE_ROLLBACK_COMPLETE");
}

#[tokio::test]
async fn an_inner_stack_is_held_to_its_own_policy_on_the_way_forward_alone() {
    let world = World::new();
    let inner = |key: &str, queues: &[&str]| {
        let queue = |name: &&str| {
            let properties = json!({"QueueName": name});
            ((*name).to_owned(), json!({"Type": "AWS::SQS::Queue", "Properties": properties}))
        };
        let all: serde_json::Map<String, Value> = queues.iter().map(queue).collect();
        let text = json!({ "Resources": all }).to_string();
        world.shelf.objects.lock().unwrap().insert(format!("b/{key}"), text);
    };
    let outer = |key: &str, name: &str| {
        json!({"Resources": {
            "Inner": {"Type": "AWS::CloudFormation::Stack", "Properties": {
                "TemplateURL": format!("https://s3.us-east-1.amazonaws.com/b/{key}")}},
            "Topic": {"Type": "AWS::SNS::Topic", "DependsOn": "Inner",
                "Properties": {"TopicName": name}},
        }})
    };
    inner("two", &["One", "Two"]);
    inner("one", &["One"]);
    inner("three", &["One", "Three", "Two"]);
    assert_eq!(world.create("s", outer("two", "a")).await, "CREATE_COMPLETE");
    let detail = json!({"StackName": "s", "LogicalResourceId": "Inner"});
    let detail = world.ask("DescribeStackResource", detail).await;
    let id = detail["StackResourceDetail"]["PhysicalResourceId"].clone();
    let policy = policy("Update:Delete", "*");
    world.ask("SetStackPolicy", json!({"StackName": id, "StackPolicyBody": policy})).await;
    assert_eq!(world.update("s", outer("one", "a")).await, "UPDATE_ROLLBACK_COMPLETE");
    let queues = ["AWS::SNS::Topic a", "AWS::SQS::Queue One", "AWS::SQS::Queue Two"];
    assert_eq!(world.shelf.names(), queues);
    let events = world.events(id.as_str().unwrap()).await;
    assert!(events.iter().any(|event| event.contains("denied by stack policy")), "{events:#?}");
    // What the outer stack's failed update has added goes again.
    world.shelf.fail("create AWS::SNS::Topic b");
    assert_eq!(world.update("s", outer("three", "b")).await, "UPDATE_ROLLBACK_COMPLETE");
    assert!(world.shelf.asked().contains(&"create AWS::SQS::Queue Three".to_owned()));
    assert_eq!(world.shelf.names(), queues);
}

#[tokio::test]
async fn another_policy_may_stand_in_for_one_update() {
    let world = stack(&policy("Update:*", "Queue")).await;
    let mut input = request("s", &template(2, "a"));
    let everything = r#"{"Statement": {"Effect": "Allow", "Action": "Update:*", "Principal": "*",
        "Resource": "*"}}"#;
    input["StackPolicyDuringUpdateBody"] = json!(everything);
    world.ask("UpdateStack", input).await;
    assert_eq!(world.end("s").await, "UPDATE_COMPLETE");
    assert_eq!(world.update("s", template(3, "a")).await, "UPDATE_ROLLBACK_COMPLETE");
    // A new policy is for the updates that follow.
    let mut input = request("s", &template(3, "a"));
    input["StackPolicyBody"] = json!(everything);
    world.ask("UpdateStack", input).await;
    assert_eq!(world.end("s").await, "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(world.update("s", template(3, "a")).await, "UPDATE_COMPLETE");
}

#[tokio::test]
async fn policies_come_from_buckets_too_and_bad_ones_are_refused() {
    let world = stack(&policy("Update:*", "Queue")).await;
    let url = "https://s3.us-east-1.amazonaws.com/b/policy.json";
    let own = policy("Update:Delete", "Topic");
    world.shelf.objects.lock().unwrap().insert("b/policy.json".to_owned(), own.clone());
    world.ask("SetStackPolicy", json!({"StackName": "s", "StackPolicyURL": url})).await;
    let kept = world.ask("GetStackPolicy", json!({"StackName": "s"})).await;
    assert_eq!(kept["StackPolicyBody"], own);
    for (input, part) in [
        (json!({"StackName": "s"}), "Either StackPolicyBody or StackPolicyURL"),
        (json!({"StackName": "s", "StackPolicyBody": own, "StackPolicyURL": url}), "only one of"),
        (json!({"StackName": "s", "StackPolicyBody": "{}"}), "Error validating stack policy"),
    ] {
        let refusal = world.refusal("SetStackPolicy", input).await;
        assert!(refusal.contains(part), "{refusal}");
    }
    let kept = world.ask("GetStackPolicy", json!({"StackName": "s"})).await;
    assert_eq!(kept["StackPolicyBody"], own);
}
