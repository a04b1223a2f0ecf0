//! `iotstack deploy`: approval, streams, outputs and exit codes, against canned answers.
//!
//! That CloudFormation takes what is sent is for the judges to say.

use serde_json::{Value, json};

use crate::aws::{Stack, change};
use crate::project::{Project, Run, topics};

fn project() -> Project {
    Project::with_stacks(&[("Fleet", topics(&["Alarms"]))])
}

/// A stack whose new template permits something.
fn project_with_role() -> Project {
    let template = json!({"Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": {
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Service": "iot.amazonaws.com"},
            "Action": "sts:AssumeRole"}]}}}}});
    Project::with_stacks(&[("Fleet", template)])
}

fn deploy(project: &Project, stack: Stack, arguments: &[&str]) -> (Run, Vec<String>) {
    let aws = stack.serve();
    let run = project.run_with([&["deploy"], arguments].concat(), &aws.variables());
    (run, aws.asked())
}

#[test]
fn makes_a_stack_and_shows_its_outputs() {
    let (run, asked) = deploy(&project(), Stack::new(), &["--outputs-file", "o.json"]);
    assert_eq!(run.success(), "");
    assert!(run.err.contains("CREATE_COMPLETE  AWS::SNS::Topic  Alarms\n"), "{run:?}");
    assert!(
        run.err.ends_with(
            "Fleet: deployed\nFleet.TopicArn = arn:aws:sns:eu-central-1:123456789012:alarms\n"
        ),
        "{run:?}"
    );
    assert!(asked.contains(&"ExecuteChangeSet".to_owned()));
}

#[test]
fn writes_the_outputs_as_cdk_does() {
    let project = project();
    deploy(&project, Stack::new(), &["-O", "o.json"]).0.success();
    let outputs: Value = serde_json::from_str(&project.read("o.json")).unwrap();
    let arn = "arn:aws:sns:eu-central-1:123456789012:alarms";
    assert_eq!(outputs, json!({"Fleet": {"TopicArn": arn}}));
}

#[test]
fn a_stack_that_is_up_to_date_is_left_alone() {
    let stack = Stack {
        status: "UPDATE_COMPLETE".into(),
        template: topics(&["Alarms"]).to_string(),
        changes: String::new(),
        ..Stack::new()
    };
    let (run, asked) = deploy(&project(), stack, &[]);
    run.success();
    assert!(run.err.contains("Fleet: no changes\n"), "{run:?}");
    assert!(!asked.contains(&"ExecuteChangeSet".to_owned()), "{asked:?}");
}

#[test]
fn widened_permissions_need_a_yes_and_nobody_can_give_it_here() {
    let stack = Stack { changes: change("Add", "Role", "AWS::IAM::Role", ""), ..Stack::new() };
    let (run, asked) = deploy(&project_with_role(), stack.clone(), &[]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.err.contains("+  Allow   Service:iot.amazonaws.com  sts:AssumeRole"), "{run:?}");
    assert!(
        run.err.ends_with(
            "error: the change of stack `Fleet` permits more than before, and there is no \
             terminal to ask at\nhint: look at the change above; `--yes` or `--require-approval \
             never` go ahead\n"
        ),
        "{run:?}"
    );
    assert!(!asked.contains(&"ExecuteChangeSet".to_owned()));
    // The change set and the empty stack that it made are gone again.
    assert!(
        asked.ends_with(&["DeleteChangeSet", "DescribeStacks", "DeleteStack"].map(str::to_owned))
    );
    deploy(&project_with_role(), stack.clone(), &["--yes"]).0.success();
    deploy(&project_with_role(), stack, &["--require-approval", "never"]).0.success();
}

#[test]
fn each_level_of_approval_asks_for_what_it_names() {
    let update = |replacement: &str| Stack {
        status: "CREATE_COMPLETE".into(),
        template: topics(&["Alarms"]).to_string(),
        changes: change("Modify", "Alarms", "AWS::SNS::Topic", replacement),
        executed: "UPDATE_COMPLETE".into(),
        ..Stack::new()
    };
    let code = |replacement, level| {
        deploy(&project(), update(replacement), &["--require-approval", level]).0.code
    };
    assert_eq!(code("False", "broadening"), 0);
    assert_eq!(code("True", "broadening"), 0);
    assert_eq!(code("False", "destructive"), 0);
    assert_eq!(code("True", "destructive"), 1);
    assert_eq!(code("False", "any-change"), 1);
    assert_eq!(code("True", "never"), 0);
}

#[test]
fn a_rollback_names_the_first_real_cause() {
    let stack = Stack {
        executed: "ROLLBACK_COMPLETE".into(),
        events: vec![
            "Alarms CREATE_FAILED Invalid topic name",
            "Other CREATE_FAILED Resource creation cancelled",
        ],
        ..Stack::new()
    };
    let (run, _) = deploy(&project(), stack, &["--progress", "errors-only"]);
    assert_eq!(run.code, 3);
    assert!(
        run.err.ends_with(
            "error: stack `Fleet` was rolled back (ROLLBACK_COMPLETE): `Alarms` \
             (AWS::SNS::Topic) of `Fleet` is CREATE_FAILED: Invalid topic name\n\
             hint: the next deployment deletes the stack that never came up, and makes it anew\n"
        ),
        "{run:?}"
    );
}

#[test]
fn a_stack_in_a_bad_state_is_brought_out_of_it_with_a_yes_alone() {
    let stack = Stack { status: "ROLLBACK_COMPLETE".into(), ..Stack::new() };
    let (run, asked) = deploy(&project(), stack.clone(), &[]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(
        run.err.ends_with(
            "error: stack `Fleet` is in state ROLLBACK_COMPLETE and was left there\nhint: it must \
             be deleted before it can be made again; `--yes` agrees to that\n"
        ),
        "{run:?}"
    );
    assert!(!asked.contains(&"DeleteStack".to_owned()));
    let (run, asked) = deploy(&project(), stack, &["--yes"]);
    run.success();
    assert!(asked.contains(&"DeleteStack".to_owned()));
}

#[test]
fn a_prepared_change_set_waits_to_be_executed() {
    let (run, asked) = deploy(&project(), Stack::new(), &["-m", "prepare-change-set"]);
    run.success();
    assert!(run.err.contains("[+] AWS::SNS::Topic Alarms"), "{run:?}");
    assert!(!asked.contains(&"ExecuteChangeSet".to_owned()));
    let reviewed = Stack { status: "REVIEW_IN_PROGRESS".into(), ..Stack::new() };
    let (run, asked) = deploy(&project(), reviewed, &["-m", "execute-change-set"]);
    run.success();
    assert!(!asked.contains(&"CreateChangeSet".to_owned()));
}

#[test]
fn errors_in_a_template_stop_before_anything_is_asked() {
    let template = json!({"Resources": {"Pump":
        {"Type": "AWS::IoT::Thing", "Properties": {"ThignName": "pump-1"}}}});
    let (run, asked) = deploy(&Project::with_stacks(&[("Fleet", template)]), Stack::new(), &[]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("error[unknown-property]"), "{run:?}");
    assert_eq!(asked, Vec::<String>::new());
}

#[test]
fn an_unknown_parameter_is_named_with_those_there_are() {
    let mut template = topics(&["Alarms"]);
    template["Parameters"] = json!({"Email": {"Type": "String", "Default": "x"}});
    let project = Project::with_stacks(&[("Fleet", template)]);
    let (run, _) = deploy(&project, Stack::new(), &["--no-check", "--parameters", "Fleet:Mail=x"]);
    run.failure(2, "error: stack `Fleet` has no parameter `Mail`; it has `Email`\n");
    let (run, _) = deploy(&project, Stack::new(), &["--no-check", "--parameters", "Flet:Email=x"]);
    run.failure(
        2,
        "error: `--parameters Flet:Email=x` names the stack `Flet`; the app has `Fleet`\n",
    );
    let (run, asked) = deploy(&project, Stack::new(), &["--no-check", "--parameters", "Emial=x"]);
    run.failure(
        2,
        "error: no stack has the parameter `Emial`; there are `Email`\n\
         hint: did you mean `Email`?\n",
    );
    assert_eq!(asked, Vec::<String>::new());
}

#[test]
fn ctrl_c_ends_the_program_and_says_that_the_work_goes_on() {
    use std::sync::mpsc;
    let (asked, heard) = mpsc::channel();
    let (_hold, held) = mpsc::channel::<()>();
    let aws = crate::aws::Aws::answering(move |action, _| {
        if action == "GetCallerIdentity" {
            return (200, crate::aws::identity("123456789012"));
        }
        asked.send(()).unwrap();
        // No answer comes while the test lives.
        let _ = held.recv();
        (500, String::new())
    });
    let project = project();
    let variables = aws.variables();
    let run = std::thread::scope(|scope| {
        // The shell names its process, which becomes the program's.
        let program = scope.spawn(|| {
            project.shell_with("echo $$ > pid; exec $IOTSTACK deploy --no-check", &variables)
        });
        heard.recv().unwrap();
        let process = project.read("pid");
        let kill = std::process::Command::new("kill").args(["-INT", process.trim()]).status();
        assert!(kill.unwrap().success());
        program.join().unwrap()
    });
    run.failure(
        130,
        "error: stopped by Ctrl-C\nhint: what CloudFormation has begun goes on there; run the \
         command again to attach to it\n",
    );
}
