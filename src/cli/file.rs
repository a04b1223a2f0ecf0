//! Files that a user asked for: written whole, or left as they were.
//!
//! A report or a list of outputs may replace one of yesterday. It is written beside it and
//! takes its place when it is complete, so that a full disk leaves the old one and never
//! half of the new one. A pipe or a device is written to as it is, and so is a file in a
//! folder that lets nothing be put beside it.

use std::fs::{self, Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::error::{Error, Result};

/// Finds out whether a file can be written, before anything is begun whose outputs or
/// report would then be lost.
pub fn check_writable(path: &Path, what: &str) -> Result<()> {
    let is_new = !path.exists();
    let opened = fs::OpenOptions::new().append(true).create(true).open(path);
    if is_new && opened.is_ok() {
        // Nothing is there yet that could be missed. A link to it stays.
        let _ = path.canonicalize().and_then(fs::remove_file);
    }
    opened.map(drop).map_err(|error| Error::usage(cannot(what, path, &error)))
}

/// Writes a file whole.
pub fn write(path: &Path, what: &str, text: &str) -> Result<()> {
    replace(path, text).map_err(|error| Error::stack(cannot(what, path, &error)))
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let existing = match path.metadata() {
        Ok(existing) if existing.is_file() => Some(existing),
        Ok(_) => return fs::write(path, text),
        // A link to nothing has nothing to keep.
        Err(_) if path.is_symlink() => return fs::write(path, text),
        Err(_) => None,
    };
    // The file behind a link is replaced, not the link.
    let path = if existing.is_some() { path.canonicalize()? } else { std::path::absolute(path)? };
    match put(&path, existing.as_ref(), text) {
        Err(error) if existing.is_some() && is_of_the_folder(&error) => fs::write(path, text),
        put => put,
    }
}

/// Writes a file beside its place, and puts it there.
fn put(path: &Path, existing: Option<&Metadata>, text: &str) -> io::Result<()> {
    let mut new = tempfile::Builder::new()
        .prefix(".iotstack-")
        // As any new file, less what the user's mask takes away.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(path.parent().unwrap_or(Path::new("/")))?;
    if let Some(existing) = existing {
        new.as_file().set_permissions(existing.permissions())?;
    }
    new.write_all(text.as_bytes())?;
    new.persist(path)?;
    Ok(())
}

/// Whether a folder does not let a file in it be replaced, as one that is read-only or
/// mounted file by file.
fn is_of_the_folder(error: &io::Error) -> bool {
    use io::ErrorKind::{CrossesDevices, PermissionDenied, ReadOnlyFilesystem, ResourceBusy};
    matches!(error.kind(), CrossesDevices | PermissionDenied | ReadOnlyFilesystem | ResourceBusy)
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> String {
    format!("cannot write {what} to {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_what_is_there_and_keeps_its_link_and_its_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("report-7.html"), folder.path().join("report.html"));
        fs::write(&file, "yesterday's, and longer").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        check_writable(&link, "the report").unwrap();
        write(&link, "the report", "today's").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "today's");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_link_to_nothing_stays_one_and_leads_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("report-7.html"), folder.path().join("report.html"));
        std::os::unix::fs::symlink(&file, &link).unwrap();
        check_writable(&link, "the report").unwrap();
        assert!(link.is_symlink() && !file.exists());
        write(&link, "the report", "words").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "words");
    }

    #[test]
    fn a_device_is_written_to_and_says_when_it_is_full() {
        write(Path::new("/dev/null"), "the report", "words").unwrap();
        let error = write(Path::new("/dev/full"), "the report", "words").unwrap_err();
        assert_eq!(
            error.message(),
            "cannot write the report to /dev/full: No space left on device (os error 28)"
        );
    }
}
