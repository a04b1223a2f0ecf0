//! Compares synthesized templates with those in `expected/`.
//!
//! `IOTSTACK_BLESS=1 cargo test -p iotstack-aws` rewrites them. Every template also goes
//! through the checks: what a construct makes must be what AWS accepts.

use std::fs;
use std::path::PathBuf;

use iotstack_core::assembly::Environment;
use iotstack_core::testing::Template;
use iotstack_core::{App, Construct, Stack, StackRef};

/// Compares the template of a stack that holds nothing but `construct`.
#[track_caller]
pub fn check<C: Construct>(construct: C, expected: &str) {
    check_stack(expected, |stack| {
        stack.add("It", construct);
    });
}

/// Compares the template of a stack that `build` fills.
#[track_caller]
pub fn check_stack(expected: &str, build: impl FnOnce(&StackRef)) {
    let app = App::new();
    let stack = app.add("garden", Stack::default());
    build(&stack);
    let findings = app.diagnostics();
    assert!(findings.is_empty(), "{findings:#?}");
    let template = Template::from(&stack);

    let environment = Environment { account: None, region: Some("eu-central-1".into()) };
    let context = iotstack_check::Context::stack("garden", environment);
    let findings = iotstack_check::check(template.template(), &context);
    assert!(findings.is_empty(), "{findings:#?}");

    let found = String::from_utf8(template.template().to_json()).unwrap();
    let file = folder().join(format!("{expected}.json"));
    if std::env::var_os("IOTSTACK_BLESS").is_some() {
        return fs::write(file, found).unwrap();
    }
    let known = fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{expected}: {error}; IOTSTACK_BLESS=1 writes it"));
    if let Some(difference) = difference(&known, &found) {
        panic!("{expected} {difference}\nIOTSTACK_BLESS=1 accepts what was found");
    }
}

/// The first line that is not as expected.
fn difference(known: &str, found: &str) -> Option<String> {
    let (mut known, mut found) = (known.lines(), found.lines());
    for number in 1.. {
        match (known.next(), found.next()) {
            (None, None) => return None,
            (expected, line) if expected == line => {}
            (expected, line) => {
                let [expected, line] = [expected, line].map(|line| line.unwrap_or("(the end)"));
                return Some(format!("differs in line {number}:\n- {expected}\n+ {line}"));
            }
        }
    }
    None
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/expected")
}

#[test]
fn every_expected_template_belongs_to_a_test() {
    let modules = fs::read_dir(folder().with_file_name("")).unwrap();
    let sources: String = modules
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(sources.contains(&format!("\"{name}\"")), "no test makes {name}.json");
    }
}

#[test]
fn every_construct_has_a_template_with_defaults_and_one_with_everything() {
    // A provider is a function; what it makes shows it.
    const SHOWN_BY: [(&str, &str); 2] =
        [("provider", "custom_resource"), ("string_parameter", "parameter")];
    let mut constructs = 0;
    let mut open = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR"))];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
            open.extend(entries.filter(|entry| !entry.ends_with("tests")));
            continue;
        }
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let source = fs::read_to_string(&path).unwrap();
        for rest in source.split("\nimpl Construct for ").skip(1) {
            let name = snake(rest.split(' ').next().unwrap());
            let shown = SHOWN_BY.iter().find(|(known, _)| *known == name);
            let name = shown.map_or(name.as_str(), |(_, other)| other);
            for kind in ["defaults", "everything"] {
                let file = folder().join(format!("{name}_{kind}.json"));
                assert!(file.exists(), "{} is missing", file.display());
            }
            constructs += 1;
        }
    }
    assert!(constructs > 15, "only {constructs} constructs were found");
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[test]
fn a_difference_is_shown_with_its_line() {
    assert_eq!(difference("a\nb", "a\nb"), None);
    assert_eq!(difference("a\nb", "a\nc").unwrap(), "differs in line 2:\n- b\n+ c");
    assert_eq!(difference("a", "a\nc").unwrap(), "differs in line 2:\n- (the end)\n+ c");
}
