//! The house rules that a test can hold: headers, sizes, arrows, registration lines.
//!
//! What needs judgement is left to people. A rule that turns out wrong is changed here,
//! in sight, and not worked around.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What each crate may use of the others; the map of the house in one table.
const ARROWS: &[(&str, &[&str])] = &[
    ("assembly", &[]),
    ("protocol", &[]),
    ("schema", &[]),
    ("core", &["assembly"]),
    ("aws", &["core", "protocol"]),
    ("codegen", &["schema"]),
    ("facade", &["assembly", "aws", "core", "protocol"]),
    ("stacks", &["facade"]),
    ("check", &["assembly", "protocol", "schema"]),
    ("deploy", &["assembly", "protocol"]),
    ("handlers", &["protocol"]),
    ("jobs", &["protocol"]),
    ("mqtt", &[]),
    ("sim", &["mqtt", "protocol"]),
    ("local/kernel", &[]),
    ("local/broker", &["local/kernel", "mqtt"]),
    ("local/registry", &["local/kernel", "protocol"]),
    ("local/data_plane", &["local/kernel", "mqtt"]),
    ("local/jobs", &["jobs", "local/kernel", "protocol"]),
    ("local/rules", &["local/kernel", "mqtt"]),
    ("local/cloudformation", &["assembly", "check", "local/kernel", "schema"]),
    ("local/s3", &["local/kernel"]),
    ("local/dynamodb", &["local/kernel"]),
    ("local/identity", &["local/kernel", "protocol"]),
    ("local/messaging", &["local/kernel"]),
    ("local/monitoring", &["local/kernel"]),
    ("local/lambda", &["local/kernel"]),
    (
        "local",
        &[
            "local/broker",
            "local/cloudformation",
            "local/data_plane",
            "local/dynamodb",
            "local/identity",
            "local/jobs",
            "local/kernel",
            "local/lambda",
            "local/messaging",
            "local/monitoring",
            "local/registry",
            "local/rules",
            "local/s3",
            "mqtt",
        ],
    ),
];

/// Where a crate of the house lives.
fn folder_of(name: &str) -> String {
    match name {
        "iotstack" => String::new(),
        "stacks" => "stacks".to_owned(),
        name => format!("src/{name}"),
    }
}

/// The crates of the house that the manifest in `folder` uses at run time.
fn used_by(folder: &str) -> BTreeSet<String> {
    let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
    let dependencies = manifest.split("\n[dependencies]").nth(1).unwrap_or_default();
    let dependencies = dependencies.split("\n[").next().unwrap();
    let is_used = |name: &str| {
        let package = format!("iotstack-{}", name.replace(['/', '_'], "-"));
        dependencies.lines().any(|line| {
            line.starts_with(&format!("{package}."))
                || line.starts_with(&format!("{package} "))
                || line.contains(&format!("\"{package}\""))
        })
    };
    ARROWS.iter().map(|(name, _)| (*name).to_owned()).filter(|name| is_used(name)).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files of the house.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> =
        ["src", "stacks", "tests", "examples", "benches"].map(|name| root().join(name)).into();
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                // Other people's code, and cases that must not compile.
                if !["node_modules", "target", "ui", "peer"].contains(&name.as_str()) {
                    open.push(path);
                }
            } else if name.ends_with(".rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(found.len() > 100, "the house was not found");
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_string_lossy().into_owned()
}

/// Generated files are as long as what they are generated from; tests and tables may be.
fn may_be_long(path: &Path, text: &str) -> bool {
    let name = path.file_stem().unwrap().to_string_lossy();
    let is_test = name.starts_with("tests")
        || path.components().any(|part| {
            let part = part.as_os_str();
            part == "tests" || part == "benches"
        });
    is_test || name == "cfn" || text.contains("@generated")
}

#[test]
fn every_file_begins_with_what_it_is() {
    let mut wrong = Vec::new();
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        let header = text.lines().take_while(|line| line.starts_with("//!")).count();
        // A crate's tour may be longer than a file's header; two lines say what a list is.
        let longest = if path.ends_with("lib.rs") { 80 } else { 25 };
        if header == 0 || header > longest {
            wrong.push(format!("{} has {header} lines", relative(&path)));
        }
    }
    assert!(wrong.is_empty(), "headers: {wrong:#?}");
}

#[test]
fn no_file_is_too_long_to_read() {
    let mut wrong = Vec::new();
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        // Tests at the end of a file are not what makes it hard to read.
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let lines = code.lines().count();
        if lines > 500 && !may_be_long(&path, &text) {
            wrong.push(format!("{} has {lines} lines", relative(&path)));
        }
    }
    assert!(wrong.is_empty(), "files over 500 lines: {wrong:#?}");
}

#[test]
fn crates_use_only_what_stands_below_them() {
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut seen = Vec::new();
    for (name, allowed) in ARROWS {
        let folder = folder_of(name);
        assert!(workspace.contains(&format!("\n    \"{folder}\",\n")), "{folder} is no member");
        for other in used_by(&folder) {
            assert!(allowed.contains(&other.as_str()), "{name} must not use {other}");
        }
        seen.push(folder);
    }
    let members = workspace.split("\nmembers = [").nth(1).unwrap().split(']').next().unwrap();
    for member in members.lines().filter_map(|line| line.trim().strip_prefix('"')) {
        let member = member.trim_end_matches("\",");
        assert!(seen.iter().any(|folder| folder == member), "{member} has no line in ARROWS");
    }
}

#[test]
fn the_map_shows_the_arrows_of_the_manifests() {
    let mut drawn = BTreeMap::new();
    let map = fs::read_to_string(root().join("src/README.md")).unwrap();
    for (from, targets) in map.lines().filter_map(|line| line.split_once(" --> ")) {
        let targets: BTreeSet<String> = targets.split(" & ").map(str::to_owned).collect();
        drawn.insert(from.trim().to_owned(), targets);
    }
    // Names of the picture have no slashes.
    let node = |name: &str| name.replace('/', "_");
    let mut real = BTreeMap::new();
    for name in ARROWS.iter().map(|(name, _)| *name).chain(["iotstack"]) {
        let used: BTreeSet<String> =
            used_by(&folder_of(name)).iter().map(|name| node(name)).collect();
        if !used.is_empty() {
            real.insert(node(name), used);
        }
    }
    assert_eq!(drawn, real, "src/README.md and the manifests");
}

#[test]
fn every_command_is_registered_and_has_a_test_module() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let (list, modules) = (read("src/cli/mod.rs"), read("src/cli/commands/mod.rs"));
    let tests = read("tests/it/main.rs");
    let mut files: Vec<String> = fs::read_dir(root().join("src/cli/commands"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|name| name != "mod")
        .collect();
    files.sort();
    for verb in &files {
        assert!(modules.contains(&format!("pub mod {verb};")), "{verb} is not in commands/mod.rs");
        assert!(list.contains(&format!("=> {verb},")), "{verb} is not in the list of commands");
        assert!(tests.contains(&format!("mod {verb};")), "{verb} has no test module");
    }
    let mut commands = crate::help::commands();
    commands.sort();
    assert_eq!(commands, files);
}

#[test]
fn no_file_is_forgotten() {
    let texts: BTreeMap<PathBuf, String> = sources()
        .into_iter()
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect();
    let is_root = |path: &Path| {
        let name = path.file_name().unwrap().to_string_lossy();
        let parent = path.parent().unwrap();
        ["lib.rs", "main.rs", "build.rs"].contains(&&*name)
            || parent.ends_with("bin")
            || parent.ends_with("examples")
            || parent.ends_with("benches")
            // The binaries of other crates' tests.
            || (parent.ends_with("tests") && !parent.join("mod.rs").exists())
    };
    let mut forgotten = Vec::new();
    for path in texts.keys().filter(|path| !is_root(path)) {
        let parent = path.parent().unwrap();
        let (name, folder) = match path.file_stem().unwrap().to_str().unwrap() {
            "mod" => (parent.file_name().unwrap().to_str().unwrap(), parent.parent().unwrap()),
            name => (name, parent),
        };
        let owners = ["mod.rs", "lib.rs", "main.rs"].map(|owner| folder.join(owner));
        let line = format!("mod {name};");
        let listed = owners
            .into_iter()
            .chain([folder.with_extension("rs")])
            .any(|owner| texts.get(&owner).is_some_and(|text| text.contains(&line)));
        // Every file beside it is a program of its own and may be the one that has it.
        let is_of_example = folder.ends_with("examples")
            && texts
                .iter()
                .any(|(owner, text)| owner.parent() == Some(folder) && text.contains(&line));
        if !listed && !is_of_example {
            forgotten.push(relative(path));
        }
    }
    assert!(forgotten.is_empty(), "in no module: {forgotten:#?}");
}

#[test]
fn the_readme_leads_to_files_that_exist() {
    for file in ["README.md", "src/README.md", ".github/CONTRIBUTING.md"] {
        let path = root().join(file);
        let text = fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if !link.contains("://") {
                let target = path.parent().unwrap().join(link);
                assert!(target.exists(), "{file} links to {link}");
            }
        }
    }
}

#[test]
fn the_readme_and_the_runner_use_the_same_test_command() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert_eq!(readme.lines().filter(|line| line.starts_with("cargo test --workspace")).count(), 1);
    let runner = fs::read_to_string(root().join(".ci/run")).unwrap();
    assert!(runner.contains("'^cargo test --workspace' README.md"));
}
