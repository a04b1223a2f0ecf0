//! L1 types as somebody would use them, rendered into a template.

use iotstack_aws::{dynamodb, iam, iot, lambda, sqs};
use iotstack_core::l1::CfnTag;
use iotstack_core::testing::Template;
use iotstack_core::{App, Expr, Handle, Stack, StackRef};
use serde_json::json;

fn stack() -> (App, StackRef) {
    let app = App::new();
    let stack = app.add("garden", Stack::default());
    (app, stack)
}

fn role(stack: &StackRef) -> Handle<iam::CfnRole> {
    let trust = json!({"Version": "2012-10-17", "Statement": []});
    stack.resource("Role", iam::CfnRole::new(trust))
}

#[test]
fn nests_objects_and_refers_to_other_resources() {
    let (_app, stack) = stack();
    let role = role(&stack);
    let code = lambda::CfnFunctionCode::new().zip_file("exports.handler = async () => {}");
    let environment = lambda::CfnFunctionEnvironment::new().variables([("ROLE", role.reference())]);
    let function = lambda::CfnFunction::new(code, role.attribute(iam::CfnRole::ARN))
        .handler("index.handler")
        .runtime(lambda::CfnFunctionRuntime::Nodejs22X)
        .timeout(30)
        .architectures([lambda::CfnFunctionArchitectures::Arm64])
        .environment(environment)
        .tags([CfnTag::new("Stage", "test")]);
    stack.resource("Function", function);
    let template = Template::from(&stack);
    template.has_properties(
        "AWS::Lambda::Function",
        json!({
            "Handler": "index.handler",
            "Runtime": "nodejs22.x",
            "Timeout": 30,
            "Architectures": ["arm64"],
            "Tags": [{"Key": "Stage", "Value": "test"}],
        }),
    );
}

#[test]
fn takes_lists_of_objects_and_late_lists() {
    let (_app, stack) = stack();
    let role = role(&stack);
    let queue = stack.resource("Queue", sqs::CfnQueue::new());
    let send =
        iot::CfnTopicRuleSqsAction::new(queue.reference(), role.attribute(iam::CfnRole::ARN));
    let payload = iot::CfnTopicRuleTopicRulePayload::new(
        [iot::CfnTopicRuleAction::new().sqs(send.use_base64(false))],
        "SELECT * FROM 'garden/+/report'",
    );
    stack.resource("Rule", iot::CfnTopicRule::new(payload));
    Template::from(&stack).resource_count_is("AWS::IoT::TopicRule", 1);
}

#[test]
fn takes_a_value_that_an_enum_does_not_have() {
    let (_app, stack) = stack();
    let thing = dynamodb::CfnTable::new([dynamodb::CfnTableKeySchema::new("device", "HASH")])
        .billing_mode(Expr::from("PAY_BY_SMILE"))
        .set("Invented", true);
    stack.resource("Table", thing);
    Template::from(&stack).has_properties(
        "AWS::DynamoDB::Table",
        json!({
            "KeySchema": [{"AttributeName": "device", "KeyType": "HASH"}],
            "BillingMode": "PAY_BY_SMILE",
            "Invented": true,
        }),
    );
}
