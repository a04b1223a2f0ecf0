//! `iotstack completions`.

use crate::project::Project;

#[test]
fn every_shell_gets_a_script_that_knows_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = Project::empty().run(["completions", shell]);
        let script = run.success();
        for word in ["synth", "bootstrap", "endpoint-url"] {
            assert!(script.contains(word), "{shell} has no {word}");
        }
    }
}

#[test]
fn the_script_for_bash_is_sound() {
    let run = Project::empty().shell("$IOTSTACK completions bash > c && bash -n c");
    assert_eq!((run.code, run.err.as_str()), (0, ""));
}
