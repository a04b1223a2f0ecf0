//! Deployments that did not end well, and the next command after them.
//!
//! The states are those that CloudFormation itself leaves behind, made as they are made in
//! life: Ctrl-C, a resource that fails, a policy that devices still hold. States that this
//! cloud cannot be brought into are proven on the deploy floor against a CloudFormation in
//! memory.

use serde_json::{Value, json};

use super::live::{Live, put};
use crate::judge::cloud::{Cloud, Options};
use crate::project::Project;

/// An app that is one stack.
fn app(stack: &str, resources: &Value) -> Project {
    Project::with_stacks(&[(stack, json!({ "Resources": resources }))])
}

/// Puts other resources into the same app.
fn change(live: &Live, stack: &str, resources: &Value) {
    let path = live.project.path(format!("app.out/{stack}.template.json"));
    std::fs::write(path, json!({ "Resources": resources }).to_string()).unwrap();
}

fn topic(name: &str) -> Value {
    json!({"Alarms": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": name}}})
}

/// A topic, and something that waits for a signal for so long.
fn waiting(name: &str, seconds: u32) -> Value {
    let mut resources = topic(name);
    resources["Signal"] = json!({"Type": "AWS::CloudFormation::WaitConditionHandle"});
    resources["Wait"] = json!({
        "Type": "AWS::CloudFormation::WaitCondition",
        "DependsOn": "Alarms",
        "Properties": {"Handle": {"Ref": "Signal"}, "Timeout": seconds.to_string()},
    });
    resources
}

#[test]
fn a_deployment_that_was_interrupted_is_attached_to_by_the_next() {
    let live = Live::start(app("Slow", &waiting("one", 300)), Options::default());
    interrupt(&live, "CREATE_IN_PROGRESS");
    let run = attach(&live);
    assert!(run.contains("CREATE_COMPLETE  AWS::CloudFormation::WaitCondition  Wait"), "{run}");
    assert!(run.contains("Slow: no changes\n"), "{run}");
    assert_eq!(live.state("Slow"), "CREATE_COMPLETE");

    // An update, and this time the app has changed again in the meantime.
    let mut resources = waiting("two", 300);
    resources["Again"] = json!({"Type": "AWS::CloudFormation::WaitConditionHandle"});
    resources["Wait2"] = json!({
        "Type": "AWS::CloudFormation::WaitCondition",
        "Properties": {"Handle": {"Ref": "Again"}, "Timeout": "300"},
    });
    change(&live, "Slow", &resources);
    let mut running = live.spawn(&["deploy"]);
    running.until("UPDATE_IN_PROGRESS  AWS::CloudFormation::WaitCondition  Wait2");
    running.interrupt();
    assert_eq!(running.end().0, 130);
    resources["Alarms"]["Properties"]["DisplayName"] = json!("three");
    change(&live, "Slow", &resources);
    let mut running = live.spawn(&["deploy"]);
    running.until("Slow: UPDATE_IN_PROGRESS is running already; waiting for its end");
    signal(&live, "Again");
    let (code, heard) = running.end();
    assert_eq!(code, 0, "{heard}");
    assert!(heard.ends_with("Slow: deployed\n"), "{heard}");
    let topics = live.cloud.aws(&["sns", "list-topics"]);
    let arn = topics["Topics"][0]["TopicArn"].as_str().unwrap();
    let topic = live.cloud.aws(&["sns", "get-topic-attributes", "--topic-arn", arn]);
    assert_eq!(topic["Attributes"]["DisplayName"], "three");
}

/// Deploys, and presses Ctrl-C while the stack waits for the signal.
fn interrupt(live: &Live, state: &str) {
    let mut running = live.spawn(&["deploy"]);
    running.until("CREATE_IN_PROGRESS  AWS::CloudFormation::WaitCondition  Wait");
    running.interrupt();
    let (code, heard) = running.end();
    assert_eq!(code, 130, "{heard}");
    assert!(heard.contains("error: stopped by Ctrl-C\nhint: "), "{heard}");
    assert_eq!(live.state("Slow"), state, "what CloudFormation has begun goes on there");
}

/// Deploys again and gives the signal once the program follows the stack.
fn attach(live: &Live) -> String {
    let mut running = live.spawn(&["deploy"]);
    running.until("Slow: CREATE_IN_PROGRESS is running already; waiting for its end");
    signal(live, "Signal");
    let (code, heard) = running.end();
    assert_eq!(code, 0, "{heard}");
    heard
}

fn signal(live: &Live, handle: &str) {
    let describe = ["cloudformation", "describe-stack-resource", "--stack-name", "Slow"];
    let found = live.cloud.aws(&[&describe[..], &["--logical-resource-id", handle]].concat());
    let url = found["StackResourceDetail"]["PhysicalResourceId"].as_str().unwrap();
    let body = json!({"Status": "SUCCESS", "UniqueId": "1", "Reason": "ready", "Data": "-"});
    put(url, &body.to_string());
}

#[test]
fn a_stack_that_never_came_up_is_made_anew_with_a_yes() {
    let live = Live::start(app("Fleet", &waiting("one", 1)), Options::default());
    let cause = "`Wait` (AWS::CloudFormation::WaitCondition) of `Fleet` is CREATE_FAILED: \
                 WaitCondition timed out. Received 0 conditions when expecting 1";
    let run = live.run(["deploy"]);
    assert_eq!(run.code, 3, "{run:#?}");
    assert!(
        run.err.ends_with(&format!(
            "error: stack `Fleet` was rolled back (ROLLBACK_COMPLETE): {cause}\n\
             hint: the next deployment deletes the stack that never came up, and makes it anew\n"
        )),
        "{}",
        run.err
    );
    assert_eq!(live.state("Fleet"), "ROLLBACK_COMPLETE");

    change(&live, "Fleet", &topic("one"));
    live.run(["deploy"]).failure(
        1,
        &format!(
            "Fleet is in state ROLLBACK_COMPLETE: it must be deleted before it can be made again\n  \
             what led there: {cause}\n\
             error: stack `Fleet` is in state ROLLBACK_COMPLETE and was left there\n\
             hint: it must be deleted before it can be made again; `--yes` agrees to that\n"
        ),
    );
    assert_eq!(live.state("Fleet"), "ROLLBACK_COMPLETE");
    live.run(["deploy", "--yes"]).success();
    assert_eq!(live.state("Fleet"), "CREATE_COMPLETE");

    failed_updates(&live);
}

/// An update that fails goes back by itself, and the next one simply works; with rollback
/// switched off the stack stays where it failed until somebody agrees to go back.
fn failed_updates(live: &Live) {
    change(live, "Fleet", &waiting("two", 1));
    let run = live.run(["deploy"]);
    assert_eq!(run.code, 3, "{run:#?}");
    assert!(
        run.err.contains("error: stack `Fleet` was rolled back (UPDATE_ROLLBACK_COMPLETE): `Wait`"),
        "{}",
        run.err
    );
    assert_eq!(live.state("Fleet"), "UPDATE_ROLLBACK_COMPLETE");
    change(live, "Fleet", &topic("three"));
    live.run(["deploy"]).success();
    assert_eq!(live.state("Fleet"), "UPDATE_COMPLETE");

    change(live, "Fleet", &waiting("four", 1));
    let run = live.run(["deploy", "--no-rollback"]);
    assert_eq!(run.code, 3, "{run:#?}");
    assert_eq!(live.state("Fleet"), "UPDATE_FAILED");
    change(live, "Fleet", &topic("five"));
    let run = live.run(["deploy"]);
    assert_eq!(run.code, 1, "{run:#?}");
    assert!(
        run.err.ends_with(
            "error: stack `Fleet` is in state UPDATE_FAILED and was left there\n\
             hint: it must go back to its last good state first; `--yes` agrees to that\n"
        ),
        "{}",
        run.err
    );
    live.run(["deploy", "--yes"]).success();
    assert_eq!(live.state("Fleet"), "UPDATE_COMPLETE");
}

#[test]
fn a_stack_that_was_only_reviewed_is_made_and_a_protected_one_is_kept() {
    let project = app("Fleet", &topic("one"));
    let manifest = project.path("app.out/manifest.json");
    let mut text: Value = serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
    text["artifacts"]["Fleet"]["properties"]["terminationProtection"] = json!(true);
    std::fs::write(&manifest, text.to_string()).unwrap();
    let live = Live::start(project, Options::default());

    live.run(["deploy", "-m", "prepare-change-set", "--change-set-name", "review"]).success();
    assert_eq!(live.state("Fleet"), "REVIEW_IN_PROGRESS");
    live.run(["deploy"]).success();
    assert_eq!(live.state("Fleet"), "CREATE_COMPLETE");
    live.run(["destroy", "--force"]).failure(
        3,
        "error: stack `Fleet` has termination protection and cannot be deleted\n\
         hint: switch it off first: `aws cloudformation update-termination-protection \
         --no-enable-termination-protection --stack-name Fleet`\n",
    );
    assert_eq!(live.state("Fleet"), "CREATE_COMPLETE");
}

#[test]
fn a_deletion_that_failed_is_finished_when_what_is_in_the_way_is_detached() {
    let document = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "iot:Connect", "Resource": "*"}]});
    let policy = json!({"Policy": {"Type": "AWS::IoT::Policy",
        "Properties": {"PolicyName": "held", "PolicyDocument": document}}});
    let live = Live::start(app("Fleet", &policy), Options::default());
    live.run(["deploy", "--yes"]).success();
    let certificate = held(&live.cloud);
    live.cloud.aws(&["cloudformation", "delete-stack", "--stack-name", "Fleet"]);
    live.cloud.try_aws(&[
        "cloudformation",
        "wait",
        "stack-delete-complete",
        "--stack-name",
        "Fleet",
    ]);
    assert_eq!(live.state("Fleet"), "DELETE_FAILED");

    let run = live.run(["deploy"]);
    assert_eq!(run.code, 1, "{run:#?}");
    assert!(
        run.err.ends_with(
            "error: stack `Fleet` is in state DELETE_FAILED and was left there\n\
             hint: it must be deleted before it can be made again; `--yes` agrees to that\n"
        ),
        "{}",
        run.err
    );
    live.run(["destroy", "--force"]).failure(
        1,
        "Fleet (aws://123456789012/us-east-1): 1 resource will be deleted\n  \
         in the way policy held is attached to 1 principal\n\
         error: devices still use what would be deleted, and there is no terminal to ask at\n\
         hint: `--detach` takes it away from them\n",
    );
    live.run(["destroy", "--force", "--detach"]).success();
    let stores = live.cloud.inventory();
    assert_eq!(stores.get("cloudformation/stacks"), None);
    assert_eq!(stores.get("iot/policies"), None);
    let id = certificate.rsplit('/').next().unwrap();
    let described = live.cloud.aws(&["iot", "describe-certificate", "--certificate-id", id]);
    assert_eq!(
        described["certificateDescription"]["status"], "ACTIVE",
        "the device keeps its certificate, which is not the stack's"
    );
}

/// Gives the policy to a device from outside the stack; its certificate.
fn held(cloud: &Cloud) -> String {
    let made = cloud.aws(&["iot", "create-keys-and-certificate", "--set-as-active"]);
    let certificate = made["certificateArn"].as_str().unwrap().to_owned();
    cloud.aws(&["iot", "attach-policy", "--policy-name", "held", "--target", &certificate]);
    certificate
}
