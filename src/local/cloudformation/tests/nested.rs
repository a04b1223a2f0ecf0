//! Stacks in stacks.
//!
//! The inner template lies in a fake bucket; what is tried is that inner and outer
//! stack come, change, fail and go together.

use super::*;

fn inner(name: &str) -> String {
    json!({"Parameters": {"Delay": {"Type": "Number", "Default": 1}},
        "Resources": {"Q": {"Type": "AWS::SQS::Queue",
            "Properties": {"QueueName": name, "DelaySeconds": {"Ref": "Delay"}}}},
        "Outputs": {"Name": {"Value": {"Ref": "Q"}}}})
    .to_string()
}

fn outer(delay: u32, extra: Option<Value>) -> Value {
    let mut template = json!({"Resources": {
        "Inner": {"Type": "AWS::CloudFormation::Stack", "Properties": {
            "TemplateURL": "https://s3.us-east-1.amazonaws.com/b/inner.json",
            "Parameters": {"Delay": delay}}},
        "Topic": {"Type": "AWS::SNS::Topic", "Properties": {
            "TopicName": {"Fn::Sub": "about-${Inner.Outputs.Name}"}}}}});
    if let Some(extra) = extra {
        template["Resources"]["Extra"] = extra;
    }
    template
}

fn world() -> World {
    let world = World::new();
    world.shelf.objects.lock().unwrap().insert("b/inner.json".into(), inner("q"));
    world
}

async fn inner_id(world: &World) -> String {
    let input = json!({"StackName": "s", "LogicalResourceId": "Inner"});
    let answer = world.ask("DescribeStackResource", input).await;
    answer["StackResourceDetail"]["PhysicalResourceId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_inner_stack_lives_with_the_outer_one() {
    let world = world();
    assert_eq!(world.create("s", outer(1, None)).await, "CREATE_COMPLETE");
    assert_eq!(world.shelf.names(), ["AWS::SNS::Topic about-q", "AWS::SQS::Queue q"]);
    let id = inner_id(&world).await;
    let stack = world.stack(&id).await;
    assert_eq!(stack["ParentId"], world.stack("s").await["StackId"]);
    assert!(stack["StackName"].as_str().unwrap().starts_with("s-Inner-"));
    assert_eq!(world.update("s", outer(9, None)).await, "UPDATE_COMPLETE");
    assert_eq!(world.shelf.thing("AWS::SQS::Queue q")["DelaySeconds"], 9);
    assert_eq!(world.stack(&id).await["StackStatus"], "UPDATE_COMPLETE");
    assert_eq!(world.delete("s").await, "DELETE_COMPLETE");
    assert!(world.shelf.names().is_empty());
    assert_eq!(world.stack(&id).await["StackStatus"], "DELETE_COMPLETE");
}

#[tokio::test]
async fn a_failure_inside_fails_outside_and_everything_goes() {
    let world = world();
    world.shelf.fail("create AWS::SQS::Queue q");
    assert_eq!(world.create("s", outer(1, None)).await, "ROLLBACK_COMPLETE");
    let events = world.events("s").await;
    let failed = events.iter().find(|event| event.starts_with("Inner CREATE_FAILED")).unwrap();
    assert!(
        failed.contains("was not successfully created") && failed.contains("is refused"),
        "{failed}"
    );
    assert!(world.shelf.names().is_empty());
    let all = world.ask("DescribeStacks", json!({})).await;
    assert_eq!(all["Stacks"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_failure_outside_takes_the_inner_stack_back() {
    let world = world();
    world.create("s", outer(1, None)).await;
    let mut bad = topic("bad");
    bad["DependsOn"] = json!("Inner");
    world.shelf.fail("create AWS::SNS::Topic bad");
    assert_eq!(world.update("s", outer(9, Some(bad))).await, "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(world.shelf.thing("AWS::SQS::Queue q")["DelaySeconds"], 1);
}

/// An update of the outer stack that fails after the inner one got another template, at
/// the address that it had before.
async fn new_inside_and_failing_outside(world: &World, keeps: &str) -> Value {
    world.create("s", outer(1, None)).await;
    world.shelf.objects.lock().unwrap().insert("b/inner.json".into(), inner("q2"));
    let mut bad = topic("bad");
    bad["DependsOn"] = json!("Inner");
    world.shelf.fail("create AWS::SNS::Topic bad");
    let mut input = request("s", &outer(1, Some(bad)));
    input["DisableRollback"] = json!(keeps);
    world.ask("UpdateStack", input.clone()).await;
    input
}

#[tokio::test]
async fn a_failure_outside_takes_back_what_lay_behind_the_same_address() {
    let world = world();
    new_inside_and_failing_outside(&world, "false").await;
    assert_eq!(world.end("s").await, "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(world.shelf.names(), ["AWS::SNS::Topic about-q", "AWS::SQS::Queue q"]);
    let id = inner_id(&world).await;
    assert_eq!(world.stack(&id).await["StackStatus"], "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(world.outputs(&id).await["Name"], "q");
    // The queue was never gone.
    assert!(!world.shelf.asked().contains(&"delete AWS::SQS::Queue q".to_owned()));
    world.shelf.mend();
    assert_eq!(world.update("s", outer(1, None)).await, "UPDATE_COMPLETE");
    assert_eq!(world.shelf.names(), ["AWS::SNS::Topic about-q2", "AWS::SQS::Queue q2"]);
    assert_eq!(world.stack(&id).await["StackStatus"], "UPDATE_COMPLETE");
}

#[tokio::test]
async fn a_failed_update_that_stays_goes_on_or_back_inside_as_well() {
    for goes_on in [true, false] {
        let world = world();
        let input = new_inside_and_failing_outside(&world, "true").await;
        assert_eq!(world.end("s").await, "UPDATE_FAILED");
        let id = inner_id(&world).await;
        let waits = world.stack(&id).await["StackStatus"].clone();
        assert_eq!(waits, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS");
        assert!(world.shelf.names().contains(&"AWS::SQS::Queue q".to_owned()));
        world.shelf.mend();
        let end = match goes_on {
            true => {
                world.ask("UpdateStack", input).await;
                "UPDATE_COMPLETE"
            }
            false => {
                world.ask("RollbackStack", json!({"StackName": "s"})).await;
                "UPDATE_ROLLBACK_COMPLETE"
            }
        };
        assert_eq!(world.end("s").await, end);
        assert_eq!(world.stack(&id).await["StackStatus"], end);
        let is_there =
            |name: &str| world.shelf.names().contains(&format!("AWS::SQS::Queue {name}"));
        assert_eq!((is_there("q"), is_there("q2")), (!goes_on, goes_on));
    }
}

#[tokio::test]
async fn a_second_failure_takes_back_what_the_first_one_left() {
    let world = world();
    let mut input = new_inside_and_failing_outside(&world, "true").await;
    assert_eq!(world.end("s").await, "UPDATE_FAILED");
    world.shelf.objects.lock().unwrap().insert("b/inner.json".into(), inner("q3"));
    input["DisableRollback"] = json!("false");
    world.ask("UpdateStack", input).await;
    assert_eq!(world.end("s").await, "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(world.shelf.names(), ["AWS::SNS::Topic about-q", "AWS::SQS::Queue q"]);
    let id = inner_id(&world).await;
    assert_eq!(world.outputs(&id).await["Name"], "q");
    assert_eq!(world.stack(&id).await["StackStatus"], "UPDATE_ROLLBACK_COMPLETE");
}

#[tokio::test]
async fn an_inner_stack_can_be_updated_by_itself() {
    let world = world();
    world.create("s", outer(1, None)).await;
    let id = inner_id(&world).await;
    let mut input = request("s", &serde_json::from_str(&inner("q2")).unwrap());
    input["StackName"] = json!(id);
    world.ask("UpdateStack", input).await;
    assert_eq!(world.end(&id).await, "UPDATE_COMPLETE");
    assert_eq!(world.shelf.names(), ["AWS::SNS::Topic about-q", "AWS::SQS::Queue q2"]);
    // What the outer stack did not do it does not take back.
    world.shelf.fail("create AWS::SNS::Topic bad");
    let mut without = outer(1, Some(topic("bad")));
    without["Resources"]["Inner"]["DependsOn"] = json!("Extra");
    assert_eq!(world.update("s", without).await, "UPDATE_ROLLBACK_COMPLETE");
    assert!(world.shelf.names().contains(&"AWS::SQS::Queue q2".to_owned()));
}

#[tokio::test]
async fn an_inner_stack_that_is_kept_waits_for_nobody() {
    let world = world();
    let mut kept = outer(1, None);
    kept["Resources"]["Inner"]["DeletionPolicy"] = json!("Retain");
    world.create("s", kept.clone()).await;
    let id = inner_id(&world).await;
    world.shelf.objects.lock().unwrap().insert("b/inner.json".into(), inner("q2"));
    kept["Resources"]["Extra"] = topic("bad");
    kept["Resources"]["Extra"]["DependsOn"] = json!("Inner");
    world.shelf.fail("create AWS::SNS::Topic bad");
    let mut input = request("s", &kept);
    input["DisableRollback"] = json!("true");
    world.ask("UpdateStack", input).await;
    assert_eq!(world.end("s").await, "UPDATE_FAILED");
    assert_eq!(world.delete("s").await, "DELETE_COMPLETE");
    assert_eq!(world.end(&id).await, "UPDATE_COMPLETE");
    assert_eq!(world.shelf.names(), ["AWS::SQS::Queue q2"]);
    assert_eq!(world.delete(&id).await, "DELETE_COMPLETE");
}

#[tokio::test]
async fn a_failed_update_that_stays_can_be_deleted_inside_as_well() {
    let world = world();
    new_inside_and_failing_outside(&world, "true").await;
    assert_eq!(world.end("s").await, "UPDATE_FAILED");
    assert_eq!(world.delete("s").await, "DELETE_COMPLETE");
    assert!(world.shelf.names().is_empty(), "{:?}", world.shelf.names());
}

#[tokio::test]
async fn an_inner_way_back_that_fails_fails_outside_and_can_be_continued_or_skipped() {
    for skips in [false, true] {
        fail_on_the_way_back(skips).await;
    }
}

async fn fail_on_the_way_back(skips: bool) {
    let world = world();
    world.create("s", outer(1, None)).await;
    let mut bad = topic("bad");
    bad["DependsOn"] = json!("Inner");
    world.shelf.fail("create AWS::SNS::Topic bad");
    world.shelf.hold("create AWS::SNS::Topic bad");
    world.ask("UpdateStack", request("s", &outer(9, Some(bad)))).await;
    world.until_asked("create AWS::SNS::Topic bad").await;
    world.shelf.fail("update AWS::SQS::Queue q");
    world.shelf.let_go();
    assert_eq!(world.end("s").await, "UPDATE_ROLLBACK_FAILED");
    let events = world.events("s").await;
    assert!(events.iter().any(|event| event.contains("was not taken back")), "{events:#?}");
    world.ask("ContinueUpdateRollback", json!({"StackName": "s"})).await;
    assert_eq!(world.end("s").await, "UPDATE_ROLLBACK_FAILED");
    if skips {
        let input = json!({"StackName": "s", "ResourcesToSkip": ["Inner"]});
        world.ask("ContinueUpdateRollback", input).await;
    } else {
        world.shelf.mend();
        world.ask("ContinueUpdateRollback", json!({"StackName": "s"})).await;
    }
    assert_eq!(world.end("s").await, "UPDATE_ROLLBACK_COMPLETE");
    let delay = world.shelf.thing("AWS::SQS::Queue q")["DelaySeconds"].clone();
    assert_eq!(delay, if skips { 9 } else { 1 });
}

#[tokio::test]
async fn a_new_template_behind_the_same_address_is_a_change() {
    let world = world();
    world.create("s", outer(1, None)).await;
    world.shelf.objects.lock().unwrap().insert("b/inner.json".into(), inner("q2"));
    let set = world.propose("s", "UPDATE", &outer(1, None)).await;
    let change = &set["Changes"][0]["ResourceChange"];
    assert_eq!(change["LogicalResourceId"], "Inner");
    assert_eq!(change["Details"][0]["ChangeSource"], "Automatic");
    world.ask("ExecuteChangeSet", json!({"StackName": "s", "ChangeSetName": "proposal"})).await;
    assert_eq!(world.end("s").await, "UPDATE_COMPLETE");
    assert_eq!(world.shelf.names(), ["AWS::SNS::Topic about-q2", "AWS::SQS::Queue q2"]);
    world.shelf.objects.lock().unwrap().insert("b/inner.json".into(), inner("q3"));
    assert_eq!(world.update("s", outer(1, None)).await, "UPDATE_COMPLETE");
    assert_eq!(world.shelf.names(), ["AWS::SNS::Topic about-q3", "AWS::SQS::Queue q3"]);
    let refusal = world.refusal("UpdateStack", request("s", &outer(1, None))).await;
    assert!(refusal.contains("No updates are to be performed"), "{refusal}");
}
