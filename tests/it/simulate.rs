//! `iotstack simulate`.

use crate::project::Project;

#[test]
fn a_scenario_that_is_none_is_refused_with_its_place() {
    let project = Project::empty().file("s.yaml", "fleet: {size: 0}\nfirmware: {version: 1.1.0}\n");
    let run = project.run(["simulate", "s.yaml"]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("fleet.size"), "{run:?}");
    let project = Project::empty().file("s.yaml", "fleet: {siez: 1}\nfirmware: {version: 1.1.0}\n");
    let run = project.run(["simulate", "s.yaml"]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("siez"), "{run:?}");
    assert_eq!(Project::empty().run(["simulate", "nothing.yaml"]).code, 2);
}
