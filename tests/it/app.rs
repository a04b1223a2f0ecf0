//! Apps that are commands: the protocol, and what goes wrong with it.

use serde_json::{Value, json};

use crate::project::{Project, topics};

fn project(config: &str) -> Project {
    Project::with_config(config).assembly("good", &[("Fleet", topics(&["A"]))])
}

#[test]
fn the_app_gets_what_cdk_gives_its_apps() {
    let project = project(
        "app: env > seen && cp -r good/. $CDK_OUTDIR\n\
         context: {colour: red, size: 1}\n\
         parameters: {count: 1, deep: {a: 1}}\n\
         environments:\n  prod: {account: 123456789012, region: eu-west-1, \
         parameters: {deep: {b: 2}}}\n",
    );
    project.run(["synth", "-q", "-c", "size=2", "-c", "@x/y:flag=true"]).success();
    let seen = project.read("seen");
    let variable = |name: &str| {
        let start = format!("{name}=");
        seen.lines().find_map(|line| line.strip_prefix(&start)).map(str::to_owned)
    };
    assert_eq!(variable("CDK_DEFAULT_ACCOUNT").unwrap(), "123456789012");
    assert_eq!(variable("CDK_DEFAULT_REGION").unwrap(), "eu-west-1");
    assert_eq!(variable("CDK_CLI_ASM_VERSION").unwrap(), "55.0.0");
    assert!(variable("CDK_CLI_VERSION").is_some());
    assert!(variable("IOTSTACK_HANDLERS").unwrap().ends_with("iotstack-handlers"));
    let context: Value = serde_json::from_str(&variable("CDK_CONTEXT_JSON").unwrap()).unwrap();
    assert_eq!(
        context,
        json!({"colour": "red", "size": 2, "@x/y:flag": true, "iotstack:env": "prod",
            "iotstack:parameters": {"count": 1, "deep": {"a": 1, "b": 2}, "size": 2}})
    );
}

#[test]
fn long_context_goes_through_a_file_that_is_removed() {
    let project =
        project("app: cat $CONTEXT_OVERFLOW_LOCATION_ENV > seen; cp -r good/. $CDK_OUTDIR\n");
    let long = "x".repeat(120_000);
    project.run(["synth", "-q", "--env", "dev", "-c", &format!("long={long}")]).success();
    let seen: Value = serde_json::from_str(&project.read("seen")).unwrap();
    assert_eq!(seen["long"], long);
    assert_eq!(project.names("."), ["good", "iotstack.out", "iotstack.yaml", "seen"]);
}

#[test]
fn what_the_app_prints_does_not_mix_with_the_template() {
    let run = project("app: echo hello; cp -r good/. $CDK_OUTDIR\n").run(["synth"]);
    assert_eq!(run.success(), "Resources:\n  A:\n    Type: AWS::SNS::Topic\n");
    assert_eq!(run.err, "hello\n");
}

#[test]
fn an_app_that_fails_is_named_with_its_exit_code() {
    project("app: echo broken >&2; exit 3\n").run(["synth"]).failure(
        1,
        "broken\nerror: the app `echo broken >&2; exit 3` failed with exit code 3\n\
         hint: its own messages are above\n",
    );
}

#[test]
fn an_app_that_does_not_exist_is_found_in_the_configuration() {
    let run = project("app: no-such-program-here\n").run(["synth"]);
    assert_eq!(run.code, 1);
    assert!(
        run.err.ends_with(
            "error: the app `no-such-program-here` failed with exit code 127\n\
             hint: the shell did not find the command, nor is there such a folder; check \
             `app` in iotstack.yaml\n"
        ),
        "{run:?}"
    );
}

#[test]
fn an_app_that_prints_garbage_is_told_where_to_write() {
    project("app: echo '{not an assembly'\n").run(["synth"]).failure(
        1,
        "{not an assembly\n\
         error: the app `echo '{not an assembly'` wrote no cloud assembly: it ended well, but \
         there is no manifest.json\n\
         hint: its output begins with `{not an assembly`\n\
         hint: an app writes into the folder that the variable CDK_OUTDIR names; `app.run()` \
         does that\n",
    );
}

#[test]
fn an_app_that_writes_a_broken_manifest_is_told_the_place() {
    let project = Project::with_config("app: echo '{' > $CDK_OUTDIR/manifest.json\n");
    project.run(["ls"]).failure(
        1,
        "error: the app `echo '{' > $CDK_OUTDIR/manifest.json` wrote a cloud assembly that \
         cannot be read: manifest.json is not valid: EOF while parsing an object at line 2 \
         column 0\n",
    );
    assert_eq!(project.names("."), ["iotstack.yaml"]);
}

#[test]
fn an_assembly_of_a_newer_tool_is_refused() {
    let project = Project::empty().file("new.out/manifest.json", r#"{"version":"56.0.0"}"#);
    project.run(["ls", "--app", "new.out"]).failure(
        1,
        "error: new.out/manifest.json has cloud assembly version 56.0.0; this program reads up \
         to 55.x.x\nhint: install a newer iotstack\n",
    );
}

#[test]
fn an_app_that_writes_the_assembly_of_a_newer_tool_is_refused() {
    let app = r#"echo '{"version":"56.0.0"}' > $CDK_OUTDIR/manifest.json"#;
    Project::empty().run(["ls", "--app", app]).failure(
        1,
        "error: manifest.json has cloud assembly version 56.0.0; this program reads up to \
         55.x.x\nhint: install a newer iotstack\n",
    );
}

#[test]
fn a_finished_assembly_takes_no_unknown_environment_and_no_other_folder() {
    let project = Project::with_stacks(&[("Fleet", topics(&["A"]))]);
    let run = project.run(["ls", "--env", "nope"]);
    assert_eq!((run.code, run.out.as_str()), (2, ""), "{run:?}");
    let run = project.run(["ls", "-o", "other"]);
    assert_eq!(run.err, "warning: `-o` is not used: `app.out` is a cloud assembly already\n");
}

#[test]
fn whoever_comes_from_cdk_is_told_that_cdk_json_is_not_read() {
    let project = Project::empty().file("cdk.json", "{}");
    assert_eq!(
        project.run(["ls"]).err,
        "warning: cdk.json is not read, the ready stacks are used; `--app` or iotstack.yaml \
         names another app\n"
    );
    project.file("iotstack.yml", "").run(["ls"]).failure(
        2,
        "error: iotstack.yml is not read: expected iotstack.yaml\n\
         hint: rename it, or name it with `--config iotstack.yml`\n",
    );
}

#[test]
fn a_folder_without_a_manifest_is_no_assembly() {
    let project = Project::empty().file("src/lib.rs", "");
    project.run(["ls", "--app", "src"]).failure(
        2,
        "error: the folder `src` is no cloud assembly: it has no manifest.json\n\
         hint: `--app` takes a folder that synthesis wrote, or a command that writes one\n",
    );
}

#[test]
fn values_that_a_cdk_app_wants_looked_up_are_named() {
    let manifest = json!({"version": "36.0.0", "artifacts": {},
        "missing": [{"key": "vpc:1", "provider": "vpc-provider", "props": {}}]});
    let project = Project::empty().file("a.out/manifest.json", &manifest.to_string());
    let run = project.run(["ls", "--app", "a.out"]);
    assert_eq!(run.success(), "");
    assert_eq!(
        run.err,
        "warning: the app used placeholders for values that iotstack does not look up: vpc:1\n"
    );
    let run = project.run(["deploy", "--app", "a.out"]);
    assert_eq!(run.code, 1);
    assert!(
        run.err.contains(
            "error: the app waits for values that iotstack does not look up: vpc:1\nhint: "
        ),
        "{run:?}"
    );
}

#[test]
fn stacks_that_need_each_other_in_a_circle_are_named() {
    let stack = |needs: &str| {
        json!({"type": "aws:cloudformation:stack", "dependencies": [needs],
            "environment": "aws://unknown-account/unknown-region",
            "properties": {"templateFile": "t.json"}})
    };
    let manifest = json!({"version": "36.0.0", "artifacts": {"A": stack("B"), "B": stack("A")}});
    let project = Project::empty().file("a.out/manifest.json", &manifest.to_string());
    project
        .run(["ls", "--app", "a.out"])
        .failure(1, "error: the stacks A → B → A depend on each other in a circle\n");
}
