//! `iotstack explain`.

use crate::project::Project;

#[test]
fn every_listed_code_has_an_explanation() {
    let project = Project::empty();
    let run = project.run(["explain"]);
    let codes: Vec<&str> = run.success().lines().collect();
    assert!(codes.contains(&"unknown-property") && codes.contains(&"app-message"), "{codes:?}");
    for code in codes {
        let run = project.run(["explain", code]);
        assert!(run.success().lines().count() > 2, "{code}");
    }
}

#[test]
fn an_unknown_code_is_answered_with_the_nearest() {
    Project::empty().run(["explain", "[unknown-propertie]"]).failure(
        2,
        "error: there is no code `unknown-propertie`\nhint: did you mean `unknown-property`?\n",
    );
}
