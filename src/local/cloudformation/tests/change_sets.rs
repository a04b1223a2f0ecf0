//! What change sets say, and what becomes of them.
//!
//! The expectations are AWS's: actions, replacement, reasons, contexts, and the
//! states between creation and execution.

use super::*;

fn change<'a>(set: &'a Value, id: &str) -> &'a Value {
    set["Changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| &change["ResourceChange"])
        .find(|change| change["LogicalResourceId"] == id)
        .unwrap_or_else(|| panic!("no change of {id} in {set:#}"))
}

fn template(topic_name: &str, delay: u32) -> Value {
    json!({"Resources": {
        "Topic": topic(topic_name),
        "Queue": {"Type": "AWS::SQS::Queue",
            "Properties": {"QueueName": "q", "DelaySeconds": delay}},
        "Param": {"Type": "AWS::SSM::Parameter", "Properties": {
            "Name": "p", "Type": "String", "Value": {"Ref": "Topic"}}}
    }})
}

#[tokio::test]
async fn a_new_stack_waits_for_review() {
    let world = World::new();
    let set = world.propose("s", "CREATE", &template("a", 1)).await;
    assert_eq!(set["Status"], "CREATE_COMPLETE");
    assert_eq!(set["ExecutionStatus"], "AVAILABLE");
    assert_eq!(set["Changes"].as_array().unwrap().len(), 3);
    assert_eq!(change(&set, "Queue")["Action"], "Add");
    let after: Value =
        serde_json::from_str(change(&set, "Param")["AfterContext"].as_str().unwrap()).unwrap();
    assert_eq!(after["Properties"]["Value"], "{{changeSet:KNOWN_AFTER_APPLY}}");
    assert_eq!(world.stack("s").await["StackStatus"], "REVIEW_IN_PROGRESS");
    assert!(world.shelf.asked().is_empty());
    let update = world
        .refusal(
            "CreateChangeSet",
            json!({"StackName": "s", "ChangeSetName": "c",
        "TemplateBody": template("a", 1).to_string()}),
        )
        .await;
    assert!(update.contains("REVIEW_IN_PROGRESS state and can not be updated"), "{update}");
    let input = json!({"StackName": "s", "ChangeSetName": "proposal", "ClientRequestToken": "tok"});
    world.ask("ExecuteChangeSet", input.clone()).await;
    assert_eq!(world.end("s").await, "CREATE_COMPLETE");
    let events = world.ask("DescribeStackEvents", json!({"StackName": "s"})).await;
    assert_eq!(events["StackEvents"][0]["ClientRequestToken"], "tok");
    // It is found by its ARN, and its name is free.
    let again = world.refusal("ExecuteChangeSet", input).await;
    assert!(again.starts_with("ChangeSetNotFound"), "{again}");
    let arn = json!({"ChangeSetName": set["ChangeSetId"]});
    assert_eq!(world.ask("DescribeChangeSet", arn).await["ExecutionStatus"], "EXECUTE_COMPLETE");
}

#[tokio::test]
async fn says_what_changes_why_and_how() {
    let world = World::new();
    world.create("s", template("a", 1)).await;
    let mut wanted = template("b", 2);
    wanted["Resources"]["New"] = topic("new");
    let set = world.propose("s", "UPDATE", &wanted).await;
    let topic = change(&set, "Topic");
    assert_eq!(topic["Replacement"], "True");
    assert_eq!(topic["PolicyAction"], "ReplaceAndDelete");
    let detail = &topic["Details"][0];
    assert_eq!(detail["Target"]["Name"], "TopicName");
    assert_eq!(detail["Target"]["RequiresRecreation"], "Always");
    assert_eq!(detail["Target"]["BeforeValue"], "a");
    assert_eq!(detail["Target"]["AfterValue"], "b");
    assert_eq!(detail["Target"]["Path"], "/Properties/TopicName");
    assert_eq!(detail["ChangeSource"], "DirectModification");
    assert_eq!(detail["Evaluation"], "Static");
    let queue = change(&set, "Queue");
    assert_eq!(queue["Replacement"], "False");
    assert_eq!(queue["Scope"], json!(["Properties"]));
    let param = &change(&set, "Param")["Details"][0];
    assert_eq!(param["ChangeSource"], "ResourceReference");
    assert_eq!(param["CausingEntity"], "Topic");
    assert_eq!(param["Evaluation"], "Dynamic");
    assert_eq!(change(&set, "New")["Action"], "Add");
    assert!(world.shelf.asked().iter().all(|asked| asked.starts_with("create")));
}

#[tokio::test]
async fn names_the_parameter_that_changes_a_property() {
    let world = World::new();
    let template = json!({"Parameters": {"Delay": {"Type": "Number", "Default": 1}},
        "Resources": {"Q": {"Type": "AWS::SQS::Queue", "DeletionPolicy": "Retain",
            "Properties": {"QueueName": "q", "DelaySeconds": {"Ref": "Delay"}}}}});
    world.create("s", template.clone()).await;
    let mut input = request("s", &template);
    input["ChangeSetName"] = json!("c");
    input["Parameters"] = json!([{"ParameterKey": "Delay", "ParameterValue": "7"}]);
    world.ask("CreateChangeSet", input).await;
    let names = json!({"StackName": "s", "ChangeSetName": "c"});
    let set = world.ask("DescribeChangeSet", names.clone()).await;
    let detail = &change(&set, "Q")["Details"][0];
    assert_eq!(detail["ChangeSource"], "ParameterReference");
    assert_eq!(detail["CausingEntity"], "Delay");
    assert!(detail["Target"]["BeforeValue"].is_null());
    world.ask("ExecuteChangeSet", names).await;
    assert_eq!(world.end("s").await, "UPDATE_COMPLETE");
    assert_eq!(world.shelf.thing("AWS::SQS::Queue q")["DelaySeconds"], 7);
    // The previous value stays if that is asked for.
    let mut input = request("s", &template);
    input["ChangeSetName"] = json!("c");
    input["UsePreviousTemplate"] = json!("false");
    input["Parameters"] = json!([{"ParameterKey": "Delay", "UsePreviousValue": "true"}]);
    world.ask("CreateChangeSet", input).await;
    let set = world.ask("DescribeChangeSet", json!({"StackName": "s", "ChangeSetName": "c"})).await;
    assert_eq!(set["Status"], "FAILED");
    let removal = json!({"Resources": {"T": topic("t")}});
    let set = world.propose("s", "UPDATE", &removal).await;
    assert_eq!(change(&set, "Q")["Action"], "Remove");
    assert_eq!(change(&set, "Q")["PolicyAction"], "Retain");
}

#[tokio::test]
async fn a_change_set_without_changes_has_failed() {
    let world = World::new();
    world.create("s", template("a", 1)).await;
    let set = world.propose("s", "UPDATE", &template("a", 1)).await;
    assert_eq!(set["Status"], "FAILED");
    assert_eq!(set["ExecutionStatus"], "UNAVAILABLE");
    assert!(set["StatusReason"].as_str().unwrap().contains("didn't contain changes"));
    let names = json!({"StackName": "s", "ChangeSetName": "proposal"});
    let refusal = world.refusal("ExecuteChangeSet", names.clone()).await;
    assert!(refusal.starts_with("InvalidChangeSetStatus"), "{refusal}");
    world.ask("DeleteChangeSet", names.clone()).await;
    world.ask("DeleteChangeSet", names.clone()).await;
    assert!(world.refusal("DescribeChangeSet", names).await.starts_with("ChangeSetNotFound"));
}

#[tokio::test]
async fn a_new_output_is_a_change_although_no_resource_changes() {
    let world = World::new();
    world.create("s", template("a", 1)).await;
    let mut wanted = template("a", 1);
    wanted["Outputs"] = json!({"Name": {"Value": {"Ref": "Topic"}}});
    let set = world.propose("s", "UPDATE", &wanted).await;
    assert_eq!(set["Status"], "CREATE_COMPLETE", "{set:#}");
    assert_eq!(set["Changes"], json!([]));
    world.shelf.forget();
    let names = json!({"StackName": "s", "ChangeSetName": "proposal"});
    world.ask("ExecuteChangeSet", names).await;
    assert_eq!(world.end("s").await, "UPDATE_COMPLETE");
    assert!(world.shelf.asked().is_empty());
    assert_eq!(world.outputs("s").await["Name"], "a");
}

#[tokio::test]
async fn wrong_properties_fail_the_change_set_before_anything_exists() {
    let world = World::new();
    let template = json!({"Resources": {"Pump": {"Type": "AWS::IoT::Thing",
        "Properties": {"ThignName": "p"}}}});
    let set = world.propose("s", "CREATE", &template).await;
    assert_eq!(set["Status"], "FAILED");
    assert!(set["StatusReason"].as_str().unwrap().contains("DescribeEvents"));
    let found = world.ask("DescribeEvents", json!({"ChangeSetName": set["ChangeSetId"]})).await;
    let event = &found["OperationEvents"][0];
    assert_eq!(event["EventType"], "VALIDATION_ERROR");
    assert_eq!(event["LogicalResourceId"], "Pump");
    assert_eq!(event["ValidationPath"], "/Resources/Pump/Properties/ThignName");
    assert!(event["ValidationStatusReason"].as_str().unwrap().contains("ThingName"));
}

#[tokio::test]
async fn names_of_change_sets_are_unique_and_lists_have_pages() {
    let world = World::new();
    let mut resources = serde_json::Map::new();
    for number in 0..130 {
        resources.insert(format!("T{number}"), topic(&format!("t{number}")));
    }
    let template = json!({ "Resources": resources });
    let mut input = request("s", &template);
    input["ChangeSetName"] = json!("c");
    input["ChangeSetType"] = json!("CREATE");
    input["ImportExistingResources"] = json!("true");
    world.ask("CreateChangeSet", input.clone()).await;
    let refusal = world.refusal("CreateChangeSet", input).await;
    assert!(refusal.starts_with("AlreadyExistsException"), "{refusal}");
    let names = json!({"StackName": "s", "ChangeSetName": "c"});
    let first = world.ask("DescribeChangeSet", names.clone()).await;
    assert_eq!(first["Changes"].as_array().unwrap().len(), 100);
    let mut next = names;
    next["NextToken"] = first["NextToken"].clone();
    let second = world.ask("DescribeChangeSet", next).await;
    assert_eq!(second["Changes"].as_array().unwrap().len(), 30);
    assert!(second["NextToken"].is_null());
    let list = world.ask("ListChangeSets", json!({"StackName": "s"})).await;
    assert_eq!(list["Summaries"].as_array().unwrap().len(), 1);
    // A stack under review goes without a trace of resources.
    assert_eq!(world.delete("s").await, "DELETE_COMPLETE");
}

#[tokio::test]
async fn what_exists_already_is_taken_in_if_that_is_asked_for() {
    let world = World::new();
    let mut thing = json!({"Type": "AWS::IoT::Thing", "Properties": {"ThingName": "t",
        "AttributePayload": {"Attributes": {"a": "new"}}}});
    let old = json!({"Resources": {"T": thing.clone()}});
    world.shelf.things.lock().unwrap().insert("AWS::IoT::Thing t".into(), json!({}));
    assert_eq!(world.create("refused", old).await, "ROLLBACK_COMPLETE");
    for (policy, end) in [("Delete", "ROLLBACK_COMPLETE"), ("Retain", "CREATE_COMPLETE")] {
        thing["DeletionPolicy"] = json!(policy);
        let mut input =
            request(&format!("s-{policy}"), &json!({"Resources": {"T": thing.clone()}}));
        input["ChangeSetName"] = json!("c");
        input["ChangeSetType"] = json!("CREATE");
        input["ImportExistingResources"] = json!("true");
        let name = input["StackName"].clone();
        world.ask("CreateChangeSet", input).await;
        world.ask("ExecuteChangeSet", json!({"StackName": name, "ChangeSetName": "c"})).await;
        assert_eq!(world.end(name.as_str().unwrap()).await, end);
    }
    let thing = world.shelf.thing("AWS::IoT::Thing t");
    assert_eq!(thing["AttributePayload"]["Attributes"]["a"], "new");
    assert_eq!(world.resources("s-Retain").await["T"], "IMPORT_COMPLETE");
}
