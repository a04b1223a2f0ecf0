//! The examples: each is short, each runs, and what it makes passes the checks.
//!
//! Cargo builds them together with the tests. A run of this binary alone does not, so
//! what is missing or old is built first.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

use iotstack::assembly::CloudAssembly;

fn sources() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut sources: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "rs")).collect();
    sources.sort();
    assert!(sources.len() >= 8, "the examples were not found");
    sources
}

/// The built example, beside the folder of this test binary.
fn program(source: &Path) -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let folder = here.parent().unwrap().with_file_name("examples");
    let mut program = folder.join(source.file_stem().unwrap());
    program.set_extension(std::env::consts::EXE_EXTENSION);
    program
}

/// The same, after making sure once that all of them are there and new enough.
fn built(source: &Path) -> PathBuf {
    static BUILD: Once = Once::new();
    BUILD.call_once(|| {
        let changed = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).ok();
        if sources().iter().all(|source| changed(&program(source)) >= changed(source)) {
            return;
        }
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "iotstack", "--examples"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .unwrap();
        assert!(status.success(), "the examples do not build");
    });
    program(source)
}

#[test]
fn each_example_is_short_enough_to_read_at_once() {
    for source in sources() {
        let lines = fs::read_to_string(&source).unwrap().lines().count();
        assert!(lines < 80, "{} has {lines} lines", source.display());
    }
}

#[test]
fn each_example_makes_an_assembly_in_which_the_checks_find_nothing() {
    for source in sources() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out");
        let run = Command::new(built(&source))
            .current_dir(folder.path())
            .env_clear()
            .env("CDK_OUTDIR", &output)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{}: {told}", source.display());
        assert_eq!(run.stdout, b"", "{} prints", source.display());

        let assembly = CloudAssembly::read(&output).unwrap();
        assert!(!assembly.stacks().is_empty(), "{} has no stack", source.display());
        for stack in assembly.stacks() {
            let context =
                iotstack_check::Context::stack(&stack.stack_name, stack.environment.clone());
            let found = iotstack_check::check(&stack.template().unwrap(), &context);
            assert!(found.is_empty(), "{}: {found:#?}", source.display());
        }
    }
}

#[test]
fn the_stack_that_is_referred_to_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/cross_stack_reference.rs");
    let run = Command::new(built(&source)).env("CDK_OUTDIR", folder.path()).status().unwrap();
    assert!(run.success());
    let assembly = CloudAssembly::read(folder.path()).unwrap();
    let [storage, devices] = assembly.stacks() else { panic!("two stacks were expected") };
    assert_eq!(devices.dependencies, std::slice::from_ref(&storage.id));
    let parameter = devices.template().unwrap().resources.into_values().next().unwrap();
    assert!(parameter.properties["Value"]["Fn::ImportValue"].is_string());
}
