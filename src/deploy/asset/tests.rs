//! Packing: the same folder, the same bytes.

use std::io::{Cursor, Read};

use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    folder
}

#[test]
fn the_same_files_are_the_same_zip_whenever_and_wherever_they_were_written() {
    let one = folder(&[("b/inner.txt", "inside"), ("a.txt", "hello")]);
    let two = folder(&[("a.txt", "hello"), ("b/inner.txt", "inside")]);
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    std::fs::File::options()
        .write(true)
        .open(two.path().join("a.txt"))
        .unwrap()
        .set_modified(old)
        .unwrap();
    let packed = zip_folder(one.path()).unwrap();
    assert_eq!(packed, zip_folder(two.path()).unwrap());

    std::fs::write(two.path().join("a.txt"), "other").unwrap();
    assert_ne!(packed, zip_folder(two.path()).unwrap());
}

#[test]
fn a_zip_holds_sorted_names_fixed_times_and_the_execute_bit() {
    let folder = folder(&[("z", "1"), ("bootstrap", "run"), ("lib/code", "2")]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(folder.path().join("bootstrap"), mode).unwrap();
    }
    let packed = zip_folder(folder.path()).unwrap();
    let mut archive = zip::ZipArchive::new(Cursor::new(packed)).unwrap();
    let mut seen = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).unwrap();
        let time = entry.last_modified().unwrap();
        assert_eq!((time.year(), time.month(), time.day(), time.hour()), (1980, 1, 1, 0));
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        seen.push((entry.name().unwrap().into_owned(), entry.unix_mode().unwrap() & 0o777, text));
    }
    let expected = [("bootstrap", 0o755, "run"), ("lib/code", 0o644, "2"), ("z", 0o644, "1")];
    let expected = expected.map(|(name, mode, text)| (name.to_owned(), mode, text.to_owned()));
    assert_eq!(seen, expected);
}

#[test]
fn refuses_an_empty_folder() {
    let folder = folder(&[]);
    let error = zip_folder(folder.path()).unwrap_err().to_string();
    assert!(error.ends_with("the folder is empty; a zip needs at least one file"), "{error}");
}
