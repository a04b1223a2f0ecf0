//! `iotstack firmware`: what is refused before anything is asked of AWS.

use crate::project::Project;

#[test]
fn a_version_that_is_none_is_refused() {
    let run = Project::empty().run(["firmware", "upload", "pump.bin", "-V", "one two"]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("one two"), "{run:?}");
}

#[test]
fn an_action_is_needed() {
    let run = Project::empty().run(["firmware"]);
    assert_eq!(run.code, 2);
    for action in ["upload", "sign", "list"] {
        assert!(run.err.contains(action), "{run:?}");
    }
}
