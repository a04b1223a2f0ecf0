//! Custom resources and wait conditions.
//!
//! A function is a closure that sees the event and gives the body of its answer,
//! which goes through the same door as the gateway's.

use super::*;

type Heard = Arc<Mutex<Vec<Value>>>;

/// A world whose functions answer as the closure says.
fn world_with(
    answer: impl Fn(&Value) -> Result<Option<Value>, Fault> + Send + Sync + 'static,
) -> (World, Heard) {
    let world = World::new();
    let heard = Heard::default();
    let seen = heard.clone();
    world.cloud.ports.serve_functions(Arc::new(Answers(move |event: Value| {
        seen.lock().unwrap().push(event.clone());
        answer(&event)
    })));
    (world, heard)
}

fn good(event: &Value, physical_id: &str, data: Value) -> Value {
    json!({"Status": "SUCCESS", "PhysicalResourceId": physical_id, "Data": data,
        "StackId": event["StackId"], "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"]})
}

fn template(value: Value) -> Value {
    json!({"Resources": {"C": {"Type": "Custom::Thing", "Properties": {
            "ServiceToken": "arn:aws:lambda:us-east-1:123456789012:function:f",
            "ServiceTimeout": 30, "Value": value}}},
        "Outputs": {"Name": {"Value": {"Ref": "C"}}, "Inner": {"Value": {"Fn::GetAtt": ["C", "A.B"]}}}})
}

fn kinds(heard: &Heard) -> Vec<String> {
    heard
        .lock()
        .unwrap()
        .iter()
        .map(|event| {
            let id = event["PhysicalResourceId"].as_str().unwrap_or("-");
            format!("{} {id}", event["RequestType"].as_str().unwrap())
        })
        .collect()
}

#[tokio::test]
async fn a_function_makes_changes_replaces_and_deletes() {
    let (world, heard) = world_with(|event| {
        let name = event["ResourceProperties"]["Value"]["n"].as_str().unwrap_or("1");
        let name = if name == "2" { "1" } else { name };
        Ok(Some(good(event, &format!("name-{name}"), json!({"A": {"B": "deep"}}))))
    });
    assert_eq!(world.create("s", template(json!({"n": 1, "on": true}))).await, "CREATE_COMPLETE");
    let outputs = world.outputs("s").await;
    assert_eq!((outputs["Name"].as_str(), outputs["Inner"].as_str()), ("name-1", "deep"));
    {
        let heard = heard.lock().unwrap();
        let event = &heard[0];
        assert_eq!(event["ResourceProperties"]["Value"], json!({"n": "1", "on": "true"}));
        assert_eq!(event["ResourceProperties"]["ServiceTimeout"], "30");
        assert_eq!(event["ResourceType"], "Custom::Thing");
        assert!(event.get("PhysicalResourceId").is_none());
        assert!(event["ResponseURL"].as_str().unwrap().contains("/_iotstack/cfn-response/"));
    }
    assert_eq!(world.update("s", template(json!({"n": 2}))).await, "UPDATE_COMPLETE");
    {
        let heard = heard.lock().unwrap();
        assert_eq!(heard[1]["OldResourceProperties"]["Value"], json!({"n": "1", "on": "true"}));
    }
    assert_eq!(world.update("s", template(json!({"n": 3}))).await, "UPDATE_COMPLETE");
    assert_eq!(world.delete("s").await, "DELETE_COMPLETE");
    assert_eq!(
        kinds(&heard),
        ["Create -", "Update name-1", "Update name-1", "Delete name-1", "Delete name-3"]
    );
}

#[tokio::test]
async fn what_a_function_says_about_its_failure_is_told() {
    let (world, heard) = world_with(|event| {
        Ok(Some(match event["RequestType"].as_str() {
            Some("Create") => json!({"Status": "FAILED", "Reason": "no more pumps",
                "PhysicalResourceId": "half"}),
            _ => good(event, "half", json!({})),
        }))
    });
    assert_eq!(world.create("s", template(json!(1))).await, "ROLLBACK_COMPLETE");
    let events = world.events("s").await;
    let failed = events.iter().find(|event| event.contains("C CREATE_FAILED")).unwrap();
    assert!(
        failed.contains("Received response status [FAILED] from custom resource. Message returned: no more pumps"),
        "{failed}"
    );
    assert_eq!(kinds(&heard), ["Create -", "Delete half"]);
}

#[tokio::test]
async fn a_function_that_cannot_delete_keeps_the_stack() {
    let (world, _) = world_with(|event| {
        Ok(Some(match event["RequestType"].as_str() {
            Some("Delete") => json!({"Status": "FAILED", "Reason": "in use"}),
            _ => good(event, "c", json!({"A": {"B": 1}})),
        }))
    });
    assert_eq!(world.create("s", template(json!(1))).await, "CREATE_COMPLETE");
    assert_eq!(world.delete("s").await, "DELETE_FAILED");
    assert!(world.events("s").await.iter().any(|event| event.contains("in use")));
}

#[tokio::test]
async fn a_function_without_an_answer_has_its_time() {
    // It ends well and says nothing, except about deletions.
    let (world, heard) = world_with(|event| {
        Ok(Some(match event["RequestType"].as_str() {
            Some("Delete") => good(event, "x", json!({})),
            _ => Value::Null,
        }))
    });
    world.ask("CreateStack", request("s", &template(json!(1)))).await;
    for _ in 0..10_000 {
        if !heard.lock().unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    world.cloud.clock.step(Duration::from_secs(29));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(world.stack("s").await["StackStatus"], "CREATE_IN_PROGRESS");
    world.cloud.clock.step(Duration::from_secs(2));
    assert_eq!(world.end("s").await, "ROLLBACK_COMPLETE");
    let events = world.events("s").await;
    assert!(
        events.iter().any(|event| event.contains("did not receive a response")
            && event.contains("within 30 seconds")),
        "{events:?}"
    );
}

/// A function that takes its time and answers before the machine's clock says that it
/// is too late, whatever the cloud's clock says.
struct Slow;

impl Functions for Slow {
    fn invoke<'a>(&'a self, _: &'a str, payload: Bytes) -> BoxFuture<'a, Result<Invoked, Fault>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let event: Value = serde_json::from_slice(&payload).unwrap();
            let answer = good(&event, "slow", json!({"A": {"B": "late"}}));
            let url = event["ResponseURL"].as_str().unwrap();
            crate::respond(url.rsplit('/').next().unwrap(), answer.to_string().as_bytes());
            Ok(Invoked { payload: Bytes::new(), error: None })
        })
    }
    fn invoke_event(&self, _: &str, _: Bytes) {}
    fn permits(&self, _: &str, _: &str, _: &str) -> bool {
        true
    }
}

#[tokio::test]
async fn a_fast_clock_does_not_cut_a_function_that_works() {
    let clock = iotstack_local_kernel::Clock::time_lapse(10_000.0);
    let cloud = Cloud::new(Default::default(), clock, iotstack_local_kernel::Store::memory());
    let world = World::on(cloud);
    world.cloud.ports.serve_functions(Arc::new(Slow));
    let end = world.create("s", template(json!(1))).await;
    assert_eq!(end, "CREATE_COMPLETE", "{:#?}", world.events("s").await);
    assert_eq!(world.outputs("s").await["Inner"], "late");
}

#[tokio::test]
async fn a_function_that_breaks_is_called_again_and_then_blamed() {
    let (world, heard) = world_with(|event| {
        Ok(match event["RequestType"].as_str() {
            Some("Delete") => Some(good(event, "x", json!({}))),
            _ => None,
        })
    });
    assert_eq!(world.create("s", template(json!(1))).await, "ROLLBACK_COMPLETE");
    assert_eq!(kinds(&heard).iter().filter(|kind| kind.starts_with("Create")).count(), 3);
    assert!(world.events("s").await.iter().any(|event| event.contains("it broke")));
}

#[tokio::test]
async fn a_function_that_is_not_there_fails_at_once() {
    let (world, heard) = world_with(|event| match event["RequestType"].as_str() {
        Some("Create") => {
            Err(Fault::new("ResourceNotFoundException", 404, "Function not found: f"))
        }
        _ => Ok(Some(good(event, "x", json!({})))),
    });
    assert_eq!(world.create("s", template(json!(1))).await, "ROLLBACK_COMPLETE");
    assert!(world.events("s").await.iter().any(|event| event.contains("Function not found: f")));
    // What was never reached has nothing to delete.
    assert_eq!(kinds(&heard), ["Create -"]);
}

#[tokio::test]
async fn wrong_answers_are_refused() {
    for (answer, reason) in [
        (json!({"Status": "SUCCESS"}), "Invalid PhysicalResourceId"),
        (json!({"Status": "MAYBE", "PhysicalResourceId": "x"}), "Invalid response status MAYBE"),
        (json!([1]), "Error parsing response object"),
        (
            json!({"Status": "SUCCESS", "PhysicalResourceId": "x", "StackId": "another"}),
            "its StackId is not that of the request",
        ),
        (
            json!({"Status": "SUCCESS", "PhysicalResourceId": "x", "Data": {"k": "v".repeat(5000)}}),
            "Response object is too long",
        ),
        (
            json!({"Status": "SUCCESS", "PhysicalResourceId": "x", "Data": {}}),
            "doesn't contain A.B attribute",
        ),
    ] {
        let (world, _) = world_with(move |event| {
            Ok(Some(match event["RequestType"].as_str() {
                Some("Create") => answer.clone(),
                _ => good(event, "x", json!({})),
            }))
        });
        assert_eq!(world.create("s", template(json!(1))).await, "ROLLBACK_COMPLETE", "{reason}");
        let events = world.events("s").await;
        assert!(events.iter().any(|event| event.contains(reason)), "{reason}: {events:#?}");
    }
}

#[tokio::test]
async fn the_service_token_cannot_change() {
    let (world, _) = world_with(|event| Ok(Some(good(event, "x", json!({"A": {"B": 1}})))));
    world.create("s", template(json!(1))).await;
    let mut other = template(json!(1));
    other["Resources"]["C"]["Properties"]["ServiceToken"] =
        json!("arn:aws:lambda:us-east-1:123456789012:function:g");
    assert_eq!(world.update("s", other).await, "UPDATE_ROLLBACK_COMPLETE");
    let events = world.events("s").await;
    assert!(events.iter().any(|event| event.contains("Modifying service token is not allowed")));
}

#[tokio::test]
async fn signals_that_nobody_waits_for_are_not_taken() {
    assert!(!crate::respond("no-such-token", b"{}"));
}

fn waiting(timeout: u32) -> Value {
    json!({"Resources": {
        "Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
        "Condition": {"Type": "AWS::CloudFormation::WaitCondition", "Properties": {
            "Handle": {"Ref": "Handle"}, "Timeout": timeout.to_string(), "Count": 2}}},
        "Outputs": {"Data": {"Value": {"Fn::GetAtt": ["Condition", "Data"]}}}})
}

async fn handle(world: &World) -> String {
    for _ in 0..10_000 {
        let input = json!({"StackName": "s", "LogicalResourceId": "Handle"});
        if world.resources("s").await.contains_key("Condition")
            && let Ok(answer) = world.call("DescribeStackResource", input).await
            && let Some(url) = answer["StackResourceDetail"]["PhysicalResourceId"].as_str()
        {
            return url.rsplit('/').next().unwrap().to_owned();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("the handle is never made");
}

#[tokio::test]
async fn a_condition_waits_for_enough_different_signals() {
    let world = World::new();
    world.ask("CreateStack", request("s", &waiting(60))).await;
    let token = handle(&world).await;
    let signal = |id: &str| {
        let body = json!({"Status": "SUCCESS", "UniqueId": id, "Reason": "r", "Data": "d"});
        crate::respond(&token, body.to_string().as_bytes())
    };
    assert!(signal("1") && signal("1"));
    assert_eq!(world.stack("s").await["StackStatus"], "CREATE_IN_PROGRESS");
    assert!(signal("2"));
    assert_eq!(world.end("s").await, "CREATE_COMPLETE");
    assert_eq!(world.outputs("s").await["Data"], "{\"1\":\"d\",\"2\":\"d\"}");
}

#[tokio::test]
async fn a_condition_fails_by_signal_or_in_time() {
    let world = World::new();
    world.ask("CreateStack", request("s", &waiting(60))).await;
    let token = handle(&world).await;
    crate::respond(&token, br#"{"Status":"FAILURE","UniqueId":"1","Reason":"rain","Data":""}"#);
    assert_eq!(world.end("s").await, "ROLLBACK_COMPLETE");
    assert!(world.events("s").await.iter().any(|event| event.contains("'rain' for uniqueId: 1")));
    let world = World::new();
    world.ask("CreateStack", request("s", &waiting(60))).await;
    handle(&world).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    world.cloud.clock.step(Duration::from_secs(61));
    assert_eq!(world.end("s").await, "ROLLBACK_COMPLETE");
    let events = world.events("s").await;
    assert!(events.iter().any(|event| event.contains("Received 0 conditions when expecting 2")));
}
