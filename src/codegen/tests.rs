//! The files in the workspace are what the generator would write.

use super::*;

/// Installs the pinned packages when they are not there yet, so it needs `python3`,
/// `npm` and a network the first time; it never passes without having compared.
#[test]
fn generated_files_are_up_to_date() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let outputs = generate(&workspace).expect("the packages can be installed and read");
    assert!(outputs.len() > 20, "only {} files", outputs.len());
    let stale: Vec<_> = stale(&workspace, &outputs)
        .iter()
        .map(|output| output.path.display().to_string())
        .collect();
    assert!(
        stale.is_empty(),
        "run `cargo run -p iotstack-codegen` and commit: {}",
        stale.join(", ")
    );
}

#[test]
fn notices_a_stale_file() {
    let folder = std::env::temp_dir().join(format!("iotstack-codegen-{}", std::process::id()));
    let output = |path: &str| Output { path: path.into(), bytes: b"new".to_vec() };
    let outputs = [output("same/a.rs"), output("old/b.rs"), output("missing/c.rs")];
    write(&folder, &[&outputs[0]]).expect("a folder to write to");
    let old = Output { path: "old/b.rs".into(), bytes: b"old".to_vec() };
    write(&folder, &[&old]).expect("a folder to write to");
    let found: Vec<_> = stale(&folder, &outputs).iter().map(|output| &output.path).collect();
    assert_eq!(found, [Path::new("old/b.rs"), Path::new("missing/c.rs")]);
    write(&folder, &stale(&folder, &outputs)).expect("a folder to write to");
    assert!(stale(&folder, &outputs).is_empty());
    std::fs::remove_dir_all(&folder).expect("the folder can be removed");
}

#[test]
fn the_list_of_types_is_sorted_and_has_no_duplicates() {
    let names: Vec<&str> = TYPES.lines().collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(names.len(), sorted.len());
    assert_eq!(names.len(), 114);
}
