//! `iotstack outputs`.

use serde_json::json;

use crate::aws::Stack;
use crate::project::{Project, topics};

const ARN: &str = "arn:aws:sns:eu-central-1:123456789012:alarms";

fn project() -> Project {
    Project::with_stacks(&[("Fleet", topics(&["Alarms"]))])
}

#[test]
fn one_output_is_printed_alone() {
    let aws = Stack { status: "CREATE_COMPLETE".into(), ..Stack::new() }.serve();
    let run = project().run_with(["outputs", "--name", "TopicArn"], &aws.variables());
    assert_eq!(run.success(), format!("{ARN}\n"));
    let run = project().run_with(["outputs", "--name", "TopikArn"], &aws.variables());
    run.failure(
        2,
        "error: no stack has an output `TopikArn`; there are `TopicArn`\n\
         hint: did you mean `TopicArn`?\n",
    );
}

#[test]
fn all_outputs_are_a_table_or_json() {
    let aws = Stack { status: "CREATE_COMPLETE".into(), ..Stack::new() }.serve();
    let run = project().run_with(["outputs"], &aws.variables());
    assert_eq!(run.success(), format!("STACK  OUTPUT    VALUE\nFleet  TopicArn  {ARN}\n"));
    let run = project().run_with(["outputs", "--json"], &aws.variables());
    assert_eq!(run.json(), json!({"Fleet": {"TopicArn": ARN}}));
}

#[test]
fn a_stack_that_is_not_deployed_is_an_error_when_it_is_named() {
    let aws = Stack::new().serve();
    let run = project().run_with(["outputs"], &aws.variables());
    assert_eq!(run.success(), "");
    assert_eq!(run.err, "Fleet is not deployed\n");
    let run = project().run_with(["outputs", "Fleet"], &aws.variables());
    run.failure(3, "error: stack `Fleet` does not exist in aws://123456789012/eu-central-1\n");
}
