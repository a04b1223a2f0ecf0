//! `iotstack device`: what is refused before anything is asked of AWS.

use crate::project::Project;

#[test]
fn a_thing_name_that_aws_refuses_is_refused() {
    let run = Project::empty().run(["device", "provision", "pump 7"]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("pump 7"), "{run:?}");
}
