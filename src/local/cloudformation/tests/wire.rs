//! The shapes on the wire: forms in, XML out.
//!
//! Requests take the whole way through the kernel's query format, so that a client
//! of AWS would read the same answers.

use http::Request;
use iotstack_local_kernel::Caller;

use super::*;

async fn post(world: &World, form: &str) -> (u16, String) {
    let request = Request::post("/")
        .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
        .body(Bytes::from(form.to_owned()))
        .unwrap();
    let at = world.cloud.clock.now();
    let answer = world.cloud.services.answer("cloudformation", request, Caller::Root, at).await;
    (answer.status().as_u16(), String::from_utf8(answer.body().to_vec()).unwrap())
}

#[tokio::test]
async fn answers_as_clients_expect() {
    let world = World::new();
    let body = "%7B%22Parameters%22%3A%7B%22N%22%3A%7B%22Type%22%3A%22String%22%7D%7D%2C\
        %22Resources%22%3A%7B%22T%22%3A%7B%22Type%22%3A%22AWS%3A%3ASNS%3A%3ATopic%22%2C\
        %22Properties%22%3A%7B%22TopicName%22%3A%7B%22Ref%22%3A%22N%22%7D%7D%7D%7D%7D";
    let (status, text) = post(
        &world,
        &format!(
            "Action=CreateStack&Version=2010-05-15&StackName=s&TemplateBody={body}\
             &Parameters.member.1.ParameterKey=N&Parameters.member.1.ParameterValue=a%26b\
             &Capabilities.member.1=CAPABILITY_IAM&Tags.member.1.Key=k&Tags.member.1.Value=v\
             &DisableRollback=false"
        ),
    )
    .await;
    assert_eq!(status, 200, "{text}");
    assert!(
        text.starts_with(
            "<CreateStackResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><CreateStackResult><StackId>arn:aws:cloudformation:us-east-1:123456789012:stack/s/"
        ),
        "{text}"
    );
    world.end("s").await;
    let (_, text) = post(&world, "Action=DescribeStacks&StackName=s").await;
    for part in [
        "<Stacks><member>",
        "<StackStatus>CREATE_COMPLETE</StackStatus>",
        "<Parameters><member><ParameterKey>N</ParameterKey><ParameterValue>a&amp;b</ParameterValue></member></Parameters>",
        "<CreationTime>2026-01-01T00:00:00.000Z</CreationTime>",
        "<Tags><member><Key>k</Key><Value>v</Value></member></Tags>",
        "<DisableRollback>false</DisableRollback>",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let (status, text) = post(&world, "Action=DescribeStacks&StackName=nobody").await;
    assert_eq!(status, 400);
    assert!(
        text.contains(
            "<Code>ValidationError</Code><Message>Stack with id nobody does not exist</Message>"
        ),
        "{text}"
    );
    let (status, text) = post(&world, "Action=DetectStackDrift&StackName=s").await;
    assert_eq!(status, 501);
    assert!(text.contains("cloudformation:DetectStackDrift: drift is not detected"), "{text}");
    let (status, text) =
        post(&world, "Action=DescribeChangeSet&StackName=s&ChangeSetName=none").await;
    assert_eq!((status, text.contains("<Code>ChangeSetNotFound</Code>")), (404, true), "{text}");
}

#[tokio::test]
async fn templates_are_summarized_and_validated() {
    let world = World::new();
    let template = json!({"Description": "pumps", "Metadata": {"m": 1},
        "Parameters": {"P": {"Type": "String", "Default": "a", "AllowedValues": ["a", "b"]},
            "S": {"Type": "String", "NoEcho": true}},
        "Resources": {"R": {"Type": "AWS::IAM::Role", "Properties":
            {"AssumeRolePolicyDocument": {}, "Path": {"Ref": "P"}, "Description": {"Ref": "S"}}}}});
    let input = json!({"TemplateBody": template.to_string()});
    let told = world.ask("GetTemplateSummary", input.clone()).await;
    assert_eq!(told["Description"], "pumps");
    assert_eq!(told["ResourceTypes"], json!(["AWS::IAM::Role"]));
    assert_eq!(told["Capabilities"], json!(["CAPABILITY_IAM"]));
    assert_eq!(told["Parameters"][0]["ParameterConstraints"]["AllowedValues"], json!(["a", "b"]));
    assert_eq!(told["Parameters"][1]["NoEcho"], true);
    assert_eq!(told["Metadata"], "{\"m\":1}");
    let told = world.ask("ValidateTemplate", input).await;
    assert_eq!(told["Parameters"][0]["DefaultValue"], "a");
    let wrong = json!({"TemplateBody": "{\"Resources\": {\"A\": {\"Type\": \"AWS::X::Y\"}}}"});
    assert!(world.refusal("ValidateTemplate", wrong).await.contains("Unrecognized"));
}

#[tokio::test]
async fn events_of_an_operation_are_found_by_its_id() {
    let world = World::new();
    world.shelf.fail("create AWS::SNS::Topic a");
    let template = json!({"Resources": {"T": topic("a")}});
    let made = world.ask("CreateStack", request("s", &template)).await;
    world.end("s").await;
    let input = json!({"OperationId": made["OperationId"], "Filters": {"FailedEvents": "true"}});
    let found = world.ask("DescribeEvents", input).await;
    let events = found["OperationEvents"].as_array().unwrap();
    assert_eq!(events.len(), 1, "{found:#}");
    assert_eq!(events[0]["EventType"], "PROVISIONING_ERROR");
    assert_eq!(events[0]["OperationType"], "CREATE_STACK");
    let page = world.ask("DescribeStackEvents", json!({"StackName": "s"})).await;
    assert_eq!(page["StackEvents"][0]["ResourceStatus"], "ROLLBACK_COMPLETE");
}
