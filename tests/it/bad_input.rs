//! Bad input, each kind with the exact message that answers it.
//!
//! What belongs to one command is in its module; here is what any command may meet.

use serde_json::json;

use crate::aws::{self, Aws};
use crate::project::{Project, topics};

#[test]
fn an_unknown_environment() {
    Project::empty().run(["synth", "--env", "prd"]).failure(
        2,
        "error: there is no environment `prd` in this project (it has no iotstack.yaml); there \
         are `dev`, `staging` and `prod`\nhint: did you mean `--env prod`?\n",
    );
}

#[test]
fn no_environment_where_none_is_meant() {
    Project::with_config("environments: {eu: {}, us: {}}\n").run(["synth"]).failure(
        2,
        "error: no environment was chosen; there are `eu` and `us`\n\
         hint: choose one with `--env NAME`\n",
    );
}

#[test]
fn an_unknown_stack() {
    let project = Project::with_stacks(&[("Fleet", topics(&["A"])), ("Web", topics(&["B"]))]);
    project.run(["synth", "Flet"]).failure(
        2,
        "error: no stack matches `Flet`; the app has `Fleet`, `Web`\n\
         hint: did you mean `Fleet`?\n",
    );
}

#[test]
fn several_stacks_and_none_named() {
    let project = Project::with_stacks(&[("Fleet", topics(&["A"])), ("Web", topics(&["B"]))]);
    project.run(["deploy"]).failure(
        2,
        "error: the app has several stacks and none was named: `Fleet`, `Web`\n\
         hint: name stacks, or use `--all`\n",
    );
}

#[test]
fn an_unknown_parameter() {
    Project::empty().run(["synth", "--env", "dev", "-c", "fleet.cuont=3"]).failure(
        2,
        "error: parameter `fleet.cuont`: unknown field `cuont`, expected one of `count`, \
         `names`, `attributes`\n\
         hint: did you mean `count`?\n\
         hint: parameters come from `-c KEY=VALUE` and from iotstack.yaml, which is not there\n",
    );
}

#[test]
fn an_option_without_a_value() {
    Project::empty()
        .run(["synth", "--env", "dev", "-c", "things"])
        .failure(2, "error: `-c things` is not valid: expected KEY=VALUE\n");
}

#[test]
fn a_misspelt_key_in_the_configuration() {
    let config = "environments:\n  dev:\n    regoin: eu-west-1\n";
    Project::with_config(config).run(["synth"]).failure(
        2,
        "error: iotstack.yaml:3:5: there is no key `regoin` in `environments.dev`; there are \
         `account`, `region`, `profile` and `parameters`\nhint: did you mean `region`?\n",
    );
}

#[test]
fn a_configuration_that_is_no_yaml() {
    Project::with_config("parameters:\n  a: 1\n b: 2\n")
        .run(["synth"])
        .failure(2, "error: iotstack.yaml:3:2: did not find expected key\n");
}

#[test]
fn a_configuration_that_is_not_there() {
    let run = Project::empty().run(["synth", "--config", "other.yaml"]);
    run.failure(2, "error: cannot read other.yaml: No such file or directory (os error 2)\n");
}

#[test]
fn a_handlers_program_for_another_system() {
    let project = Project::empty().file("handlers", "MZ and more");
    project.run(["synth", "--env", "dev", "--handlers", "handlers"]).failure(
        1,
        "error: handlers cannot run on Lambda: it is a Windows program (PE), and Lambda runs \
         Linux programs (ELF)\n",
    );
}

#[test]
fn a_template_with_more_than_500_resources() {
    let ids: Vec<String> = (0..501).map(|number| format!("Topic{number}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    Project::with_stacks(&[("Fleet", topics(&ids))]).run(["synth", "-q"]).failure(
        1,
        "error[too-many]: the template has 501 resources; CloudFormation accepts 500\n  \
         at Fleet, Resources\n  \
         help: divide the template over several stacks\n\
         1 error found; `iotstack explain CODE` tells more\n",
    );
}

#[test]
fn a_reference_cycle() {
    let topic = |name: &str| {
        json!({"Type": "AWS::SNS::Topic",
            "Properties": {"DisplayName": {"Fn::GetAtt": [name, "TopicName"]}}})
    };
    let template = json!({"Resources": {"A": topic("B"), "B": topic("A")}});
    Project::with_stacks(&[("Fleet", template)]).run(["synth", "-q"]).failure(
        1,
        "error[circular-dependency]: resources refer to each other in a circle: \
         `A` → `B` → `A`\n  \
         at Fleet, Resources/A\n  \
         help: cut one of the references: give a name instead, or move the part that refers \
         back into a resource of its own\n\
         1 error found; `iotstack explain CODE` tells more\n",
    );
}

#[test]
fn a_name_that_aws_refuses() {
    let template = json!({"Resources": {"Pump": {"Type": "AWS::IoT::Thing",
        "Properties": {"ThingName": "pump 1"}}}});
    Project::with_stacks(&[("Fleet", template)]).run(["synth", "-q"]).failure(
        1,
        "error[iot-name]: name `pump 1` is not valid: expected 1 to 128 characters of letters, \
         digits, `:`, `_` and `-`\n  \
         at Fleet, Resources/Pump/Properties/ThingName\n\
         1 error found; `iotstack explain CODE` tells more\n",
    );
}

#[test]
fn missing_credentials() {
    let project = Project::with_stacks(&[("Fleet", topics(&["A"]))]);
    let run = project.run_with(["deploy"], &[("AWS_REGION", "eu-central-1")]);
    assert_eq!(run.code, 3, "{run:?}");
    assert!(
        run.err.starts_with(
            "error: the default chain (environment, profile, SSO, instance) gives no AWS \
             credentials: "
        ),
        "{run:?}"
    );
    assert!(run.err.contains("\nhint: log in with `aws sso login`, set AWS_ACCESS_KEY_ID and "));
}

#[test]
fn expired_credentials() {
    let aws = Aws::answering(|_, _| {
        (403, aws::error("ExpiredToken", "The security token included in the request is expired"))
    });
    let project = Project::with_stacks(&[("Fleet", topics(&["A"]))]);
    let run = project.run_with(["deploy"], &aws.variables());
    run.failure(
        3,
        "error: the AWS credentials of the default chain (environment, profile, SSO, instance) \
         have expired: The security token included in the request is expired\n\
         hint: log in again, for example with `aws sso login`\n",
    );
}

#[test]
fn a_profile_that_was_named_counts_more_than_keys_in_the_environment() {
    let aws = Aws::with_account("123456789012");
    let project = Project::with_stacks(&[("Fleet", topics(&["A"]))]);
    let run = project.run_with(["deploy", "--profile", "nope"], &aws.variables());
    run.failure(
        3,
        "error: profile `nope` gives no AWS credentials: it holds none, or there is no such \
         profile\nhint: log in with `aws sso login --profile nope`, or name another profile with \
         `--profile`\n",
    );
    assert_eq!(aws.asked(), Vec::<String>::new());
}

#[test]
fn credentials_of_another_account() {
    let aws = Aws::with_account("210987654321");
    let project = Project::with_config(
        "app: app.out\nenvironments: {prod: {account: \"123456789012\", region: eu-west-1}}\n",
    )
    .assembly("app.out", &[("Fleet", topics(&["A"]))]);
    project.run_with(["deploy"], &aws.variables()).failure(
        3,
        "error: stack `Fleet` goes to account 123456789012, but the credentials belong to \
         account 210987654321\nhint: use a profile of account 123456789012 with `--profile`\n",
    );
    assert_eq!(aws.asked(), ["GetCallerIdentity"]);
}

#[test]
fn no_region_anywhere() {
    let project = Project::with_stacks(&[("Fleet", topics(&["A"]))]);
    project.run(["deploy"]).failure(
        2,
        "error: no region is set for stack `Fleet`\nhint: use `--region`, set AWS_REGION, or \
         put a region into the profile\n",
    );
}

#[test]
fn a_large_template_without_a_bucket() {
    let aws = Aws::with_account("123456789012");
    let long = "x".repeat(60_000);
    let mut template = topics(&["A"]);
    template["Metadata"] = json!({ "long": long });
    let project = Project::with_stacks(&[("Fleet", template)]);
    project.run_with(["deploy", "--no-check"], &aws.variables()).failure(
        1,
        "error: the template of stack `Fleet` has 60069 bytes; more than 51200 must go through a \
         bucket, and the stack names none\n\
         hint: run `iotstack bootstrap` for the environment and synthesize the stack with \
         template assets\n",
    );
}

#[test]
fn an_endpoint_that_is_empty_is_named_by_its_variable() {
    let project = Project::with_stacks(&[("Fleet", topics(&["A"]))]);
    project.run_with(["deploy"], &[("AWS_ENDPOINT_URL_STS", "")]).failure(
        2,
        "error: environment variable AWS_ENDPOINT_URL_STS `` is not valid: expected a URL such \
         as `http://127.0.0.1:4566`\n",
    );
}

#[test]
fn the_parameters_of_the_readme_are_the_defaults() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let blocks = readme.split("```text\n").map(|rest| rest.split("```").next().unwrap());
    let written = blocks.into_iter().find(|block| block.starts_with("project: ")).unwrap();
    let indented = written.lines().map(|line| format!("  {line}\n")).collect::<String>();
    let project = Project::with_config(&format!("parameters:\n{indented}"));
    let with_all = project.run(["synth"]).success().to_owned();
    assert_eq!(with_all, Project::empty().run(["synth"]).success());
}

#[test]
fn the_configuration_of_the_readme_is_accepted() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let config = readme.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    // The ready stacks stand for the app, so that the parameters are judged too.
    let config: String =
        config.lines().filter(|line| !line.starts_with("app:")).collect::<Vec<_>>().join("\n");
    let project = Project::with_config(&config);
    let run = project.run(["synth", "--env", "prod"]);
    assert_eq!(run.success().matches("Type: AWS::IoT::Thing\n").count(), 100);
    assert!(project.read("iotstack.out/manifest.json").contains("aws://123456789012/eu-central-1"));
}
