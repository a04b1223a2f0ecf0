//! Stacks to which something happens, and what becomes of them.
//!
//! Each test makes one step fail or wait, and looks at what is left on the shelf as
//! much as at what the stack says about it.

use super::*;

fn pair() -> Value {
    json!({"Resources": {
        "Good": topic("good"),
        "Bad": {"Type": "AWS::SQS::Queue", "DependsOn": "Good",
            "Properties": {"QueueName": "bad", "DelaySeconds": 1}}
    }})
}

fn changed() -> Value {
    let mut template = pair();
    template["Resources"]["Good"]["Properties"]["DisplayName"] = json!("new");
    template["Resources"]["Bad"]["Properties"]["DelaySeconds"] = json!(2);
    template["Resources"]["Extra"] = topic("extra");
    template
}

#[tokio::test]
async fn a_failed_creation_is_taken_back() {
    let world = World::new();
    world.shelf.fail("create AWS::SQS::Queue bad");
    assert_eq!(world.create("s", pair()).await, "ROLLBACK_COMPLETE");
    assert!(world.shelf.names().is_empty());
    let events = world.events("s").await;
    let failed = events.iter().find(|event| event.starts_with("Bad CREATE_FAILED")).unwrap();
    assert!(failed.contains("create AWS::SQS::Queue bad is refused"), "{failed}");
    assert!(failed.contains("HandlerErrorCode: InvalidRequest"), "{failed}");
    assert!(events.contains(
        &"s ROLLBACK_IN_PROGRESS: The following resource(s) failed to create: [Bad]. Rollback requested by user."
            .to_owned()
    ));
    assert_eq!(events.last().unwrap(), "s ROLLBACK_COMPLETE");
    let refusal = world.refusal("UpdateStack", request("s", &changed())).await;
    assert!(refusal.contains("ROLLBACK_COMPLETE state and can not be updated"), "{refusal}");
    world.shelf.mend();
    assert_eq!(world.delete("s").await, "DELETE_COMPLETE");
}

#[tokio::test]
async fn neighbours_of_what_failed_are_cancelled_and_taken_back() {
    let world = World::new();
    let template = json!({"Resources": {"Slow": topic("slow"), "Bad": topic("bad")}});
    world.shelf.hold("create AWS::SNS::Topic slow");
    world.shelf.fail("create AWS::SNS::Topic bad");
    world.ask("CreateStack", request("s", &template)).await;
    world.until_asked("create AWS::SNS::Topic bad").await;
    for _ in 0..10_000 {
        if world.resources("s").await.get("Bad").is_some_and(|status| status == "CREATE_FAILED") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    world.shelf.let_go();
    assert_eq!(world.end("s").await, "ROLLBACK_COMPLETE");
    let events = world.events("s").await;
    assert!(events.contains(&"Slow CREATE_FAILED: Resource creation cancelled".to_owned()));
    assert!(world.shelf.names().is_empty(), "{:?}", world.shelf.names());
}

#[tokio::test]
async fn a_failed_creation_stays_if_that_is_wanted_and_can_go_on() {
    let world = World::new();
    world.shelf.fail("create AWS::SQS::Queue bad");
    let mut input = request("s", &pair());
    input["DisableRollback"] = json!("true");
    world.ask("CreateStack", input).await;
    assert_eq!(world.end("s").await, "CREATE_FAILED");
    assert_eq!(world.shelf.names(), ["AWS::SNS::Topic good"]);
    world.shelf.mend();
    assert_eq!(world.update("s", pair()).await, "UPDATE_COMPLETE");
    assert_eq!(world.shelf.names(), ["AWS::SNS::Topic good", "AWS::SQS::Queue bad"]);
}

#[tokio::test]
async fn a_failed_creation_that_stayed_can_be_rolled_back() {
    let world = World::new();
    world.shelf.fail("create AWS::SQS::Queue bad");
    let mut template = pair();
    template["Resources"]["Good"]["DeletionPolicy"] = json!("RetainExceptOnCreate");
    let mut input = request("s", &template);
    input["OnFailure"] = json!("DO_NOTHING");
    world.ask("CreateStack", input).await;
    assert_eq!(world.end("s").await, "CREATE_FAILED");
    world.ask("RollbackStack", json!({"StackName": "s"})).await;
    assert_eq!(world.end("s").await, "ROLLBACK_COMPLETE");
    assert!(world.shelf.names().is_empty());
}

#[tokio::test]
async fn a_failed_creation_deletes_the_stack_if_that_is_wanted() {
    let world = World::new();
    world.shelf.fail("create AWS::SQS::Queue bad");
    let mut input = request("s", &pair());
    input["OnFailure"] = json!("DELETE");
    let id = world.ask("CreateStack", input).await["StackId"].as_str().unwrap().to_owned();
    assert_eq!(world.end(&id).await, "DELETE_COMPLETE");
    assert!(world.shelf.names().is_empty());
}

#[tokio::test]
async fn a_failed_update_brings_everything_back() {
    let world = World::new();
    world.create("s", pair()).await;
    let before = world.shelf.things.lock().unwrap().clone();
    world.shelf.forget();
    world.shelf.fail("update AWS::SQS::Queue bad");
    // The way back succeeds: it is the same question, so it is mended in between.
    let shelf = world.shelf.clone();
    let bus = world.cloud.clone();
    bus.bus.hear(move |event| {
        if let iotstack_local_kernel::CloudEvent::StackChanged { status, .. } = event
            && *status == "UPDATE_ROLLBACK_IN_PROGRESS"
        {
            shelf.mend();
        }
    });
    assert_eq!(world.update("s", changed()).await, "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(*world.shelf.things.lock().unwrap(), before);
    let events = world.events("s").await;
    assert!(
        events.contains(
            &"s UPDATE_ROLLBACK_IN_PROGRESS: The following resource(s) failed to update: [Bad]. "
                .to_owned()
        )
    );
    assert!(events.contains(&"Extra DELETE_COMPLETE".to_owned()));
    let template = world.ask("GetTemplate", json!({"StackName": "s"})).await;
    assert_eq!(template["TemplateBody"], pair().to_string());
}

#[tokio::test]
async fn a_replaced_resource_gets_its_old_self_back() {
    let world = World::new();
    let with = |name: &str, extra: bool| {
        let mut template = json!({"Resources": {"T": topic(name)}});
        if extra {
            template["Resources"]["Bad"] = topic("bad");
            template["Resources"]["Bad"]["DependsOn"] = json!("T");
        }
        template
    };
    world.create("s", with("a", false)).await;
    world.shelf.fail("create AWS::SNS::Topic bad");
    assert_eq!(world.update("s", with("b", true)).await, "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(world.shelf.names(), ["AWS::SNS::Topic a"]);
    let resource = world
        .ask("DescribeStackResource", json!({"StackName": "s", "LogicalResourceId": "T"}))
        .await;
    assert_eq!(resource["StackResourceDetail"]["PhysicalResourceId"], "a");
    assert_eq!(world.resources("s").await.len(), 1);
}

#[tokio::test]
async fn a_rollback_that_fails_can_be_continued_and_resources_skipped() {
    let world = World::new();
    world.create("s", pair()).await;
    world.shelf.fail("update AWS::SQS::Queue bad");
    assert_eq!(world.update("s", changed()).await, "UPDATE_ROLLBACK_FAILED");
    let refusal = world.refusal("UpdateStack", request("s", &pair())).await;
    assert!(refusal.contains("UPDATE_ROLLBACK_FAILED"), "{refusal}");
    world.ask("ContinueUpdateRollback", json!({"StackName": "s"})).await;
    assert_eq!(world.end("s").await, "UPDATE_ROLLBACK_FAILED");
    let wrong = json!({"StackName": "s", "ResourcesToSkip": ["Good"]});
    assert!(world.refusal("ContinueUpdateRollback", wrong).await.contains("Good"));
    let skip = json!({"StackName": "s", "ResourcesToSkip": ["Bad"]});
    world.ask("ContinueUpdateRollback", skip).await;
    assert_eq!(world.end("s").await, "UPDATE_ROLLBACK_COMPLETE");
    world.shelf.mend();
    assert_eq!(world.update("s", changed()).await, "UPDATE_COMPLETE");
}

#[tokio::test]
async fn a_failed_update_that_stays_goes_on_or_back() {
    let world = World::new();
    world.create("s", pair()).await;
    world.shelf.fail("update AWS::SQS::Queue bad");
    let mut input = request("s", &changed());
    input["DisableRollback"] = json!("true");
    world.ask("UpdateStack", input.clone()).await;
    assert_eq!(world.end("s").await, "UPDATE_FAILED");
    world.shelf.mend();
    world.ask("RollbackStack", json!({"StackName": "s"})).await;
    assert_eq!(world.end("s").await, "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(world.shelf.thing("AWS::SQS::Queue bad")["DelaySeconds"], 1);
    assert!(!world.shelf.names().contains(&"AWS::SNS::Topic extra".to_owned()));
    world.shelf.fail("update AWS::SQS::Queue bad");
    world.ask("UpdateStack", input.clone()).await;
    assert_eq!(world.end("s").await, "UPDATE_FAILED");
    world.shelf.mend();
    world.ask("UpdateStack", input).await;
    assert_eq!(world.end("s").await, "UPDATE_COMPLETE");
    assert_eq!(world.shelf.thing("AWS::SQS::Queue bad")["DelaySeconds"], 2);
}

#[tokio::test]
async fn an_update_can_be_cancelled() {
    let world = World::new();
    world.create("s", pair()).await;
    let refusal = world.refusal("CancelUpdateStack", json!({"StackName": "s"})).await;
    assert!(refusal.contains("CREATE_COMPLETE"), "{refusal}");
    world.shelf.hold("update AWS::SNS::Topic good");
    world.ask("UpdateStack", request("s", &changed())).await;
    world.until_asked("update AWS::SNS::Topic good").await;
    let busy = world.refusal("UpdateStack", request("s", &pair())).await;
    assert!(busy.contains("UPDATE_IN_PROGRESS state and can not be updated"), "{busy}");
    world.ask("CancelUpdateStack", json!({"StackName": "s"})).await;
    world.shelf.let_go();
    assert_eq!(world.end("s").await, "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(world.shelf.thing("AWS::SNS::Topic good"), json!({"TopicName": "good"}));
}

#[tokio::test]
async fn what_cannot_be_deleted_blocks_and_can_be_left_behind() {
    let world = World::new();
    world.create("s", pair()).await;
    world.shelf.fail("delete AWS::SQS::Queue bad");
    let early = json!({"StackName": "s", "RetainResources": ["Bad"]});
    assert!(world.refusal("DeleteStack", early.clone()).await.contains("DELETE_FAILED"));
    assert_eq!(world.delete("s").await, "DELETE_FAILED");
    let reason = world.stack("s").await["StackStatusReason"].as_str().unwrap().to_owned();
    assert_eq!(reason, "The following resource(s) failed to delete: [Bad]. ");
    // What the queue needs stays as long as the queue does.
    assert_eq!(world.shelf.names(), ["AWS::SNS::Topic good", "AWS::SQS::Queue bad"]);
    let wrong = json!({"StackName": "s", "RetainResources": ["Good"]});
    assert!(world.refusal("DeleteStack", wrong).await.contains("Good"));
    let id = world.stack("s").await["StackId"].as_str().unwrap().to_owned();
    world.ask("DeleteStack", early).await;
    assert_eq!(world.end(&id).await, "DELETE_COMPLETE");
    assert_eq!(world.shelf.names(), ["AWS::SQS::Queue bad"]);
    assert!(world.events(&id).await.contains(&"Bad DELETE_SKIPPED".to_owned()));
}

#[tokio::test]
async fn forced_deletion_forgets_what_stays() {
    let world = World::new();
    world.create("s", pair()).await;
    world.shelf.fail("delete AWS::SQS::Queue bad");
    assert_eq!(world.delete("s").await, "DELETE_FAILED");
    let id = world.stack("s").await["StackId"].as_str().unwrap().to_owned();
    let forced = json!({"StackName": "s", "DeletionMode": "FORCE_DELETE_STACK"});
    world.ask("DeleteStack", forced).await;
    assert_eq!(world.end(&id).await, "DELETE_COMPLETE");
}

#[tokio::test]
async fn a_creation_that_runs_can_be_deleted() {
    let world = World::new();
    world.shelf.hold("create AWS::SNS::Topic good");
    let answer = world.ask("CreateStack", request("s", &pair())).await;
    let id = answer["StackId"].as_str().unwrap();
    world.until_asked("create AWS::SNS::Topic good").await;
    world.ask("DeleteStack", json!({"StackName": "s"})).await;
    world.shelf.let_go();
    assert_eq!(world.end(id).await, "DELETE_COMPLETE");
    assert!(world.shelf.names().is_empty());
}

#[tokio::test]
async fn a_creation_that_takes_too_long_is_taken_back() {
    let world = World::new();
    world.shelf.hold("create AWS::SNS::Topic good");
    let mut input = request("s", &pair());
    input["TimeoutInMinutes"] = json!("5");
    world.ask("CreateStack", input).await;
    world.until_asked("create AWS::SNS::Topic good").await;
    world.cloud.clock.step(Duration::from_secs(301));
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    world.shelf.let_go();
    assert_eq!(world.end("s").await, "ROLLBACK_COMPLETE");
    let events = world.events("s").await;
    assert!(
        events.iter().any(|event| event.contains("exceeded the specified timeout")),
        "{events:?}"
    );
}

#[tokio::test]
async fn a_named_resource_cannot_be_replaced_under_its_name() {
    let world = World::new();
    let with = |fifo: &str| {
        json!({"Resources": {"Q": {"Type": "AWS::SQS::Queue", "Properties": {
            "QueueName": "q.fifo", "FifoQueue": fifo}}}})
    };
    world.create("s", with("true")).await;
    let mut other = with("true");
    other["Resources"]["Q"] = json!({"Type": "AWS::Logs::LogGroup",
        "Properties": {"LogGroupName": "q.fifo"}});
    let refusal = world.refusal("UpdateStack", request("s", &other)).await;
    assert!(refusal.contains("Update of resource type is not permitted"), "{refusal}");
}

#[tokio::test]
async fn properties_are_judged_when_they_are_known() {
    let world = World::new();
    world
        .create(
            "giver",
            json!({"Resources": {"T": topic("t")},
            "Outputs": {"O": {"Value": "soon", "Export": {"Name": "delay"}}}}),
        )
        .await;
    let template = json!({"Resources": {"Q": {"Type": "AWS::SQS::Queue",
        "Properties": {"DelaySeconds": {"Fn::ImportValue": "delay"}}}}});
    assert_eq!(world.create("s", template).await, "ROLLBACK_COMPLETE");
    let events = world.events("s").await;
    let failed = events.iter().find(|event| event.starts_with("Q CREATE_FAILED")).unwrap();
    assert!(
        failed.contains("Properties validation failed for resource Q")
            && failed.contains("#/DelaySeconds")
            && failed.contains("`soon`"),
        "{failed}"
    );
}

#[tokio::test]
async fn termination_protection_holds() {
    let world = World::new();
    world.create("s", pair()).await;
    let switch = |on: &str| json!({"StackName": "s", "EnableTerminationProtection": on});
    world.ask("UpdateTerminationProtection", switch("true")).await;
    let refusal = world.refusal("DeleteStack", json!({"StackName": "s"})).await;
    assert!(refusal.contains("cannot be deleted while TerminationProtection is enabled"));
    assert_eq!(world.stack("s").await["EnableTerminationProtection"], true);
    world.ask("UpdateTerminationProtection", switch("false")).await;
    assert_eq!(world.delete("s").await, "DELETE_COMPLETE");
}

#[tokio::test]
async fn what_is_new_goes_with_a_failed_update_although_it_would_be_kept_later() {
    let world = World::new();
    world.create("s", pair()).await;
    let mut template = pair();
    for (id, policy) in [("New", "RetainExceptOnCreate"), ("Kept", "Retain")] {
        template["Resources"][id] = topic(id);
        template["Resources"][id]["DeletionPolicy"] = json!(policy);
    }
    template["Resources"]["Last"] = topic("last");
    template["Resources"]["Last"]["DependsOn"] = json!(["New", "Kept"]);
    world.shelf.fail("create AWS::SNS::Topic last");
    assert_eq!(world.update("s", template).await, "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(
        world.shelf.names(),
        ["AWS::SNS::Topic Kept", "AWS::SNS::Topic good", "AWS::SQS::Queue bad"]
    );
}

#[tokio::test]
async fn a_handler_that_panics_fails_its_resource_and_nothing_hangs() {
    struct Panics;
    impl ResourceHandler for Panics {
        fn type_name(&self) -> &'static str {
            "AWS::IoT::ThingType"
        }
        fn create<'a>(
            &'a self,
            _: &'a ResourceRequest,
        ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
            Box::pin(async { panic!("a fault of a handler") })
        }
        fn update<'a>(
            &'a self,
            request: &'a ResourceRequest,
        ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
            self.create(request)
        }
        fn delete<'a>(
            &'a self,
            _: &'a ResourceRequest,
        ) -> BoxFuture<'a, Result<(), ResourceFault>> {
            Box::pin(std::future::ready(Ok(())))
        }
    }
    let world = World::new();
    world.cloud.add_resource(Arc::new(Panics));
    let template = json!({"Resources": {"T": topic("a"),
        "Type": {"Type": "AWS::IoT::ThingType", "DependsOn": "T"}}});
    assert_eq!(world.create("s", template).await, "ROLLBACK_COMPLETE");
    let events = world.events("s").await;
    assert!(events.contains(&"Type CREATE_FAILED: Internal failure of the local cloud".to_owned()));
    assert!(world.shelf.names().is_empty());
}
