//! Help texts, held in files: every change of them is seen in review.
//!
//! `IOTSTACK_BLESS=1` rewrites the files.

use std::path::Path;

use crate::project::Project;

/// The commands, as the program lists them.
pub fn commands() -> Vec<String> {
    let run = Project::empty().run(["--help"]);
    let list = run.success().split("\nCommands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let lines = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    lines.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

#[test]
fn every_help_text_is_as_it_was() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/help");
    let project = Project::empty();
    let mut differing = Vec::new();
    let verbs: Vec<Vec<String>> = std::iter::once(Vec::new())
        .chain(commands().into_iter().map(|command| vec![command]))
        .collect();
    for verb in verbs {
        let name = verb.first().map_or("iotstack", String::as_str);
        let arguments = verb.iter().map(String::as_str).chain(["--help"]);
        let run = project.run(arguments);
        // The default checkout of `init` is wherever this was built.
        let help = run.success().replace(env!("CARGO_MANIFEST_DIR"), "CHECKOUT");
        let path = folder.join(format!("{name}.txt"));
        if std::env::var_os("IOTSTACK_BLESS").is_some() {
            std::fs::write(&path, &help).unwrap();
        }
        if std::fs::read_to_string(&path).unwrap_or_default() != help {
            differing.push(name.to_owned());
        }
    }
    assert_eq!(differing, Vec::<String>::new(), "run with IOTSTACK_BLESS=1 and look at the diff");
}

#[test]
fn the_version_is_one_line() {
    let expected = format!("iotstack {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(Project::empty().run(["--version"]).success(), expected);
}

#[test]
fn an_unknown_command_is_a_usage_error_with_a_guess() {
    let run = Project::empty().run(["sinth"]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("'synth'"), "{run:?}");
}

#[test]
fn there_is_no_colour_in_a_pipe() {
    let run = Project::empty().run(["synth", "--env", "nope"]);
    assert!(!run.err.contains('\u{1b}'), "{run:?}");
}
