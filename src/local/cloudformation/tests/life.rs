//! Stacks that live and die well.
//!
//! Functions, order, outputs, updates in place and by replacement, policies, exports,
//! secrets, loops, tags, and how long four hundred things take.

use super::*;

#[tokio::test]
async fn makes_resources_in_the_order_of_their_needs_and_tells_outputs() {
    let world = World::new();
    let template = json!({
        "Parameters": {"Stage": {"Type": "String", "Default": "dev"},
            "Sites": {"Type": "CommaDelimitedList", "Default": "north, south"}},
        "Mappings": {"Delay": {"dev": {"Seconds": 5}}},
        "Conditions": {"IsProd": {"Fn::Equals": [{"Ref": "Stage"}, "prod"]},
            "IsDev": {"Fn::Not": [{"Condition": "IsProd"}]}},
        "Resources": {
            "Queue": {"Type": "AWS::SQS::Queue", "Properties": {
                "QueueName": {"Fn::Sub": "${Topic.TopicName}-${AWS::Region}"},
                "DelaySeconds": {"Fn::FindInMap": ["Delay", {"Ref": "Stage"}, "Seconds"]},
                "KmsMasterKeyId": {"Fn::If": ["IsProd", "key", {"Ref": "AWS::NoValue"}]}}},
            "Topic": {"Type": "AWS::SNS::Topic", "Properties": {
                "TopicName": {"Fn::Join": ["-", ["t", {"Fn::Select": [1, {"Ref": "Sites"}]}]]}}},
            "Absent": {"Type": "AWS::SNS::Topic", "Condition": "IsProd"}
        },
        "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["Queue", "Arn"]}},
            "None": {"Condition": "IsProd", "Value": "x"},
            "Code": {"Value": {"Fn::Base64": {"Ref": "Stage"}}}}
    });
    assert_eq!(world.create("s", template).await, "CREATE_COMPLETE");
    assert_eq!(
        world.shelf.asked(),
        ["create AWS::SNS::Topic t-south", "create AWS::SQS::Queue t-south-us-east-1"]
    );
    let queue = world.shelf.thing("AWS::SQS::Queue t-south-us-east-1");
    assert_eq!(queue, json!({"QueueName": "t-south-us-east-1", "DelaySeconds": 5}));
    let outputs = world.outputs("s").await;
    assert_eq!(outputs["Arn"], "arn:aws:fake:us-east-1:123456789012:t-south-us-east-1");
    assert_eq!(outputs["Code"], "ZGV2");
    assert_eq!(outputs.len(), 2);
    assert_eq!(
        world.events("s").await,
        [
            "s CREATE_IN_PROGRESS: User Initiated",
            "Topic CREATE_IN_PROGRESS",
            "Topic CREATE_IN_PROGRESS: Resource creation Initiated",
            "Topic CREATE_COMPLETE",
            "Queue CREATE_IN_PROGRESS",
            "Queue CREATE_IN_PROGRESS: Resource creation Initiated",
            "Queue CREATE_COMPLETE",
            "s CREATE_COMPLETE",
        ]
    );
}

#[tokio::test]
async fn changes_in_place_replaces_and_removes() {
    let world = World::new();
    let with = |delay: u32, name: &str| {
        json!({"Resources": {
            "Queue": {"Type": "AWS::SQS::Queue",
                "Properties": {"QueueName": "q", "DelaySeconds": delay}},
            "Topic": topic(name),
            "Param": {"Type": "AWS::SSM::Parameter", "Properties": {
                "Name": "p", "Type": "String", "Value": {"Ref": "Topic"}}}
        }})
    };
    assert_eq!(world.create("s", with(1, "a")).await, "CREATE_COMPLETE");
    world.shelf.forget();
    assert_eq!(world.update("s", with(2, "b")).await, "UPDATE_COMPLETE");
    let mut asked = world.shelf.asked();
    assert_eq!(asked.pop().unwrap(), "delete AWS::SNS::Topic a");
    asked.sort();
    assert_eq!(
        asked,
        ["create AWS::SNS::Topic b", "update AWS::SQS::Queue q", "update AWS::SSM::Parameter p"]
    );
    assert_eq!(world.shelf.thing("AWS::SSM::Parameter p")["Value"], "b");
    let events = world.events("s").await;
    assert!(events.contains(&"s UPDATE_COMPLETE_CLEANUP_IN_PROGRESS".to_owned()));
    assert!(events.iter().any(|event| event.contains("requires the creation of a new physical")));
    world.shelf.forget();
    let less = json!({"Resources": {"Topic": topic("b")}});
    assert_eq!(world.update("s", less.clone()).await, "UPDATE_COMPLETE");
    assert_eq!(world.resources("s").await.keys().collect::<Vec<_>>(), ["Topic"]);
    assert_eq!(world.shelf.names(), ["AWS::SNS::Topic b"]);
    let refusal = world.refusal("UpdateStack", request("s", &less)).await;
    assert!(refusal.contains("No updates are to be performed"), "{refusal}");
}

#[tokio::test]
async fn policies_keep_resources_alive() {
    let world = World::new();
    let mut kept = topic("kept");
    kept["DeletionPolicy"] = json!("Retain");
    kept["UpdateReplacePolicy"] = json!("Retain");
    let template = json!({"Resources": {"Kept": kept, "Gone": topic("gone")}});
    assert_eq!(world.create("s", template.clone()).await, "CREATE_COMPLETE");
    let mut renamed = template;
    renamed["Resources"]["Kept"]["Properties"]["TopicName"] = json!("other");
    assert_eq!(world.update("s", renamed).await, "UPDATE_COMPLETE");
    assert_eq!(world.delete("s").await, "DELETE_COMPLETE");
    assert_eq!(world.shelf.names(), ["AWS::SNS::Topic kept", "AWS::SNS::Topic other"]);
}

#[tokio::test]
async fn a_deleted_stack_is_found_by_its_id_and_its_name_is_free() {
    let world = World::new();
    let template = json!({"Resources": {"T": topic("a")}});
    world.create("s", template.clone()).await;
    let id = world.stack("s").await["StackId"].as_str().unwrap().to_owned();
    assert_eq!(world.delete("s").await, "DELETE_COMPLETE");
    let refusal = world.refusal("DescribeStacks", json!({"StackName": "s"})).await;
    assert_eq!(refusal, "ValidationError: Stack with id s does not exist");
    assert_eq!(world.stack(&id).await["StackStatus"], "DELETE_COMPLETE");
    assert!(world.shelf.names().is_empty());
    world.ask("DeleteStack", json!({"StackName": "s"})).await;
    assert_eq!(world.create("s", template).await, "CREATE_COMPLETE");
    let all = world.ask("ListStacks", json!({})).await;
    assert_eq!(all["StackSummaries"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn exports_are_used_and_protected() {
    let world = World::new();
    let giver = |value: &str| {
        json!({"Resources": {"T": topic("a")},
            "Outputs": {"O": {"Value": value, "Export": {"Name": "shared"}}}})
    };
    world.create("giver", giver("x")).await;
    let taker = json!({"Resources": {"T": {"Type": "AWS::SNS::Topic",
        "Properties": {"TopicName": {"Fn::ImportValue": "shared"}}}}});
    assert_eq!(world.create("taker", taker.clone()).await, "CREATE_COMPLETE");
    let imports = world.ask("ListImports", json!({"ExportName": "shared"})).await;
    assert_eq!(imports["Imports"], json!(["taker"]));
    let exports = world.ask("ListExports", json!({})).await;
    assert_eq!(exports["Exports"][0]["Value"], "x");
    let refusal = world.refusal("DeleteStack", json!({"StackName": "giver"})).await;
    assert!(refusal.contains("in use by taker"), "{refusal}");
    assert_eq!(world.update("giver", giver("y")).await, "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(world.outputs("giver").await["O"], "x");
    let twice = json!({"Resources": {"T": topic("b")},
        "Outputs": {"O": {"Value": "z", "Export": {"Name": "shared"}}}});
    assert_eq!(world.create("second", twice).await, "ROLLBACK_COMPLETE");
    let reason = world.events("second").await;
    assert!(reason.iter().any(|event| event.contains("already exported by stack giver")));
    world.delete("taker").await;
    assert_eq!(world.delete("giver").await, "DELETE_COMPLETE");
    assert_eq!(world.create("late", taker).await, "ROLLBACK_COMPLETE");
    let reasons = world.events("late").await;
    assert!(reasons.iter().any(|event| event.contains("No export named shared found")));
}

#[tokio::test]
async fn secrets_reach_handlers_and_nobody_else() {
    let world = World::new();
    let secret = "{\"user\":\"u\",\"password\":\"hush\"}";
    world.shelf.values.lock().unwrap().extend([
        ("/plain".to_owned(), "from the store".to_owned()),
        ("db".to_owned(), secret.to_owned()),
    ]);
    let template = json!({
        "Parameters": {"Stored": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/plain"},
            "Pin": {"Type": "String", "NoEcho": true}},
        "Resources": {"P": {"Type": "AWS::SSM::Parameter", "Properties": {
            "Name": "p", "Type": "String", "Description": {"Ref": "Stored"},
            "Value": {"Fn::Sub": "{{resolve:secretsmanager:db:SecretString:password}}-${Pin}"}}}}
    });
    let mut input = request("s", &template);
    input["Parameters"] = json!([{"ParameterKey": "Pin", "ParameterValue": "1234"}]);
    input["ChangeSetName"] = json!("proposal");
    input["ChangeSetType"] = json!("CREATE");
    world.ask("CreateChangeSet", input).await;
    let names =
        json!({"StackName": "s", "ChangeSetName": "proposal", "IncludePropertyValues": "true"});
    let proposal = world.ask("DescribeChangeSet", names.clone()).await;
    world.ask("ExecuteChangeSet", names).await;
    assert_eq!(world.end("s").await, "CREATE_COMPLETE");
    let made = world.shelf.thing("AWS::SSM::Parameter p");
    assert_eq!(made["Value"], "hush-1234");
    assert_eq!(made["Description"], "from the store");
    let shown = [
        world.stack("s").await.to_string(),
        proposal.to_string(),
        world.ask("DescribeStackEvents", json!({"StackName": "s"})).await.to_string(),
    ];
    for text in shown {
        assert!(
            !text.contains("hush") && !text.contains("1234-") && !text.contains("-1234"),
            "{text}"
        );
    }
    let parameters = world.stack("s").await["Parameters"].clone();
    assert_eq!(parameters[0]["ResolvedValue"], "from the store");
    assert_eq!(parameters[1]["ParameterValue"], "****");
}

#[tokio::test]
async fn loops_make_resources() {
    let world = World::new();
    let template = json!({"Transform": "AWS::LanguageExtensions",
        "Parameters": {"Names": {"Type": "CommaDelimitedList", "Default": "a,b,c"}},
        "Resources": {"Fn::ForEach::Topics": ["Name", {"Ref": "Names"}, {
            "Topic${Name}": {"Type": "AWS::SNS::Topic",
                "Properties": {"TopicName": {"Fn::Sub": "t-${Name}"}}}}]},
        "Outputs": {"Count": {"Value": {"Fn::Length": {"Ref": "Names"}}},
            "All": {"Value": {"Fn::ToJsonString": {"Names": {"Ref": "Names"}}}}}});
    assert_eq!(world.create("s", template).await, "CREATE_COMPLETE");
    assert_eq!(world.shelf.names().len(), 3);
    let outputs = world.outputs("s").await;
    assert_eq!(outputs["Count"], "3");
    assert_eq!(outputs["All"], "{\"Names\":[\"a\",\"b\",\"c\"]}");
    let template =
        world.ask("GetTemplate", json!({"StackName": "s", "TemplateStage": "Processed"})).await;
    assert!(template["TemplateBody"].as_str().unwrap().contains("Topicb"));
}

#[tokio::test]
async fn tags_of_the_stack_reach_what_can_be_tagged() {
    let world = World::new();
    let template = json!({"Resources": {"T": topic("a")}});
    world.create("s", template.clone()).await;
    world.shelf.forget();
    let mut input = request("s", &template);
    input["Tags"] = json!([{"Key": "team", "Value": "pumps"}]);
    world.ask("UpdateStack", input).await;
    assert_eq!(world.end("s").await, "UPDATE_COMPLETE");
    assert_eq!(world.shelf.asked(), ["update AWS::SNS::Topic a"]);
    assert_eq!(world.stack("s").await["Tags"], json!([{"Key": "team", "Value": "pumps"}]));
}

#[tokio::test]
async fn four_hundred_things_are_made_quickly() {
    let world = World::new();
    let mut resources = serde_json::Map::new();
    for number in 0..400 {
        resources.insert(
            format!("Thing{number}"),
            json!({"Type": "AWS::IoT::Thing", "Properties": {"ThingName": format!("t-{number}"),
                "AttributePayload": {"Attributes": {"n": number.to_string()}}}}),
        );
    }
    let began = std::time::Instant::now();
    let template = json!({ "Resources": resources });
    world.shelf.objects.lock().unwrap().insert("b/k".into(), template.to_string());
    world
        .ask(
            "CreateChangeSet",
            json!({"StackName": "s", "ChangeSetName": "c", "ChangeSetType": "CREATE",
                "TemplateURL": "http://127.0.0.1:1/b/k"}),
        )
        .await;
    world.ask("ExecuteChangeSet", json!({"StackName": "s", "ChangeSetName": "c"})).await;
    assert_eq!(world.end("s").await, "CREATE_COMPLETE");
    assert_eq!(world.events("s").await.len(), 3 + 3 * 400);
    // Generous: a debug build on a busy machine. The bench has the figure.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(world.delete("s").await, "DELETE_COMPLETE");
    assert!(world.shelf.names().is_empty());
}

/// A topic that keeps what is published, and roles of which one can be assumed.
#[derive(Default)]
struct Outside {
    published: Mutex<Vec<String>>,
}

impl iotstack_local_kernel::ports::Topics for Outside {
    fn publish<'a>(
        &'a self,
        topic: &'a str,
        message: &'a str,
        _: Option<&'a str>,
    ) -> BoxFuture<'a, Result<String, Fault>> {
        self.published.lock().unwrap().push(format!("{topic}\n{message}"));
        Box::pin(std::future::ready(Ok("id".to_owned())))
    }
}

impl iotstack_local_kernel::ports::Credentials for Outside {
    fn identity(&self, _: &str) -> Option<iotstack_local_kernel::ports::Identity> {
        None
    }
    fn allows(&self, _: &iotstack_local_kernel::Caller, _: &str, _: &str) -> bool {
        true
    }
    fn assume(
        &self,
        role: &str,
        _: &str,
        service: &str,
    ) -> Result<iotstack_local_kernel::ports::SessionKeys, Fault> {
        assert_eq!(service, "cloudformation.amazonaws.com");
        if role.ends_with("/good") {
            return Ok(iotstack_local_kernel::ports::SessionKeys {
                access_key_id: "k".into(),
                secret_access_key: "s".into(),
                session_token: "t".into(),
                expires: iotstack_local_kernel::Timestamp(0),
            });
        }
        Err(Fault::new("NoSuchEntity", 404, "there is no such role"))
    }
}

#[tokio::test]
async fn topics_hear_of_the_stack_and_roles_must_be_there() {
    let world = World::new();
    let outside = Arc::new(Outside::default());
    world.cloud.ports.serve_topics(outside.clone());
    world.cloud.ports.serve_credentials(outside.clone());
    let mut input = request("s", &json!({"Resources": {"T": topic("a")}}));
    input["NotificationARNs"] = json!(["arn:aws:sns:us-east-1:123456789012:events"]);
    input["RoleARN"] = json!("arn:aws:iam::123456789012:role/bad");
    let refusal = world.refusal("CreateStack", input.clone()).await;
    assert!(refusal.contains("role/bad is invalid or cannot be assumed"), "{refusal}");
    input["RoleARN"] = json!("arn:aws:iam::123456789012:role/good");
    world.ask("CreateStack", input).await;
    assert_eq!(world.end("s").await, "CREATE_COMPLETE");
    let heard = |what: &str| {
        let published = outside.published.lock().unwrap();
        published.iter().any(|message| {
            message.starts_with("arn:aws:sns:us-east-1:123456789012:events\n")
                && message.contains("LogicalResourceId='s'\n")
                && message.contains(&format!("ResourceStatus='{what}'\n"))
        })
    };
    for _ in 0..1000 {
        if heard("CREATE_COMPLETE") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(heard("CREATE_IN_PROGRESS") && heard("CREATE_COMPLETE"));
    assert!(world.stack("s").await["RoleARN"].as_str().unwrap().ends_with("role/good"));
}
