//! `iotstack job`: what is refused before anything is asked of AWS.

use crate::project::Project;

#[test]
fn an_action_is_needed() {
    let run = Project::empty().run(["job"]);
    assert_eq!(run.code, 2);
    for action in ["create", "status", "watch", "list", "cancel"] {
        assert!(run.err.contains(action), "{run:?}");
    }
}
