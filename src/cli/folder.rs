//! The output folder: replaced as a whole, or not at all.
//!
//! An assembly is written into a folder beside the one that was asked for, and takes its
//! place when it is complete. A full disk, a failing app or Ctrl-C therefore leave the
//! previous assembly as it was, and never half of a new one.
//!
//! A folder that holds anything but an assembly is not replaced: `-o .` would otherwise
//! be a way to lose a project.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::{Error, Result};

/// A folder that becomes the output when it is complete, and vanishes if it never is.
#[derive(Debug)]
pub struct NewFolder {
    path: PathBuf,
    /// What it becomes; nothing if it is in its place already.
    target: Option<PathBuf>,
}

impl NewFolder {
    /// Makes an empty folder beside `target`.
    pub fn beside(target: &Path) -> Result<Self> {
        let failed = |error| cannot("write to", target, &error);
        // The folder behind a link is replaced, not the link.
        let resolved = match target.canonicalize() {
            Ok(existing) => existing,
            Err(_) => std::path::absolute(target).map_err(failed)?,
        };
        check_replaceable(target, &resolved)?;
        let parent = resolved.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(parent).map_err(failed)?;
        let path = sibling(&resolved, "new");
        remove_left_over(&resolved, parent);
        fs::create_dir(&path).map_err(failed)?;
        Ok(NewFolder { path, target: Some(resolved) })
    }

    /// A folder that a caller made for us. What happens to it when something fails is the
    /// caller's decision, who may keep files of its own in it.
    pub fn given(path: &Path) -> Result<Self> {
        fs::create_dir_all(path).map_err(|error| cannot("write to", path, &error))?;
        Ok(NewFolder { path: path.to_owned(), target: None })
    }

    /// Where to write.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the folder in the place of the output.
    pub fn commit(self) -> Result<()> {
        let Some(target) = &self.target else { return Ok(()) };
        let failed = |error| cannot("write to", target, &error);
        let old = sibling(target, "old");
        let replaces = match fs::rename(target, &old) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(failed(error)),
        };
        if let Err(error) = fs::rename(&self.path, target) {
            if replaces {
                // If this fails too, the old assembly is still there, under its odd name.
                let _ = fs::rename(&old, target);
            }
            return Err(failed(error));
        }
        if replaces {
            // What cannot be removed is in nobody's way.
            let _ = fs::remove_dir_all(&old);
        }
        Ok(())
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        if self.target.is_some() {
            // After `commit` there is nothing at this path.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Refuses to replace what nobody would want to lose.
fn check_replaceable(named: &Path, target: &Path) -> Result<()> {
    let metadata = match fs::metadata(target) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(cannot("write to", named, &error)),
    };
    if !metadata.is_dir() {
        return Err(Error::usage(format!(
            "the output `{}` is a file; expected a folder, or nothing yet",
            named.display()
        )));
    }
    if metadata.permissions().readonly() {
        return Err(Error::stack(format!(
            "cannot write to the output folder {}: it is read-only",
            named.display()
        )));
    }
    if std::env::current_dir().is_ok_and(|current| current.starts_with(target)) {
        return Err(Error::usage(format!(
            "the output folder `{}` holds the current folder; expected a folder of its own",
            named.display()
        )));
    }
    let mut entries = fs::read_dir(target)
        .map_err(|error| cannot("read", named, &error))?
        .filter_map(|entry| entry.ok().map(|entry| entry.file_name()));
    let is_assembly = ["manifest.json", "cdk.out"].iter().any(|name| target.join(name).exists());
    match entries.find(|_| !is_assembly) {
        None => Ok(()),
        Some(other) => Err(Error::usage(format!(
            "the output folder `{}` holds `{}` and no cloud assembly; it would be replaced as a \
             whole",
            named.display(),
            other.to_string_lossy()
        ))
        .hint("choose another folder with `-o DIR`, or empty this one")),
    }
}

/// Removes what killed processes left beside the folder.
fn remove_left_over(target: &Path, parent: &Path) {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let other = entry.file_name();
        let process = other
            .to_str()
            .and_then(|other| other.strip_prefix(&format!(".{name}.new-")))
            .and_then(|rest| rest.strip_suffix(".out"))
            .and_then(|number| number.parse::<u32>().ok());
        let is_left_over = process.is_some_and(|process| {
            // Systems without /proc keep what they have, unless the number is our own.
            process == std::process::id()
                || (Path::new("/proc/self").exists()
                    && !Path::new(&format!("/proc/{process}")).exists())
        });
        if is_left_over {
            // What cannot be removed is in nobody's way.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A hidden name beside the folder; it ends in `.out`, which projects ignore anyway.
fn sibling(target: &Path, role: &str) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.{role}-{}.out", std::process::id()))
}

fn cannot(action: &str, folder: &Path, error: &io::Error) -> Error {
    Error::stack(format!("cannot {action} the output folder {}: {error}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn takes_the_place_of_the_old_assembly() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("x.out");
        for content in ["1", "2"] {
            let new = NewFolder::beside(&target).unwrap();
            fs::write(new.path().join("manifest.json"), content).unwrap();
            new.commit().unwrap();
            assert_eq!(fs::read_to_string(target.join("manifest.json")).unwrap(), content);
        }
        assert_eq!(names(root.path()), ["x.out"]);
    }

    #[test]
    fn leaves_the_old_assembly_if_it_is_never_complete() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("x.out");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("manifest.json"), "1").unwrap();
        let new = NewFolder::beside(&target).unwrap();
        fs::write(new.path().join("manifest.json"), "2").unwrap();
        drop(new);
        assert_eq!(fs::read_to_string(target.join("manifest.json")).unwrap(), "1");
        assert_eq!(names(root.path()), ["x.out"]);
    }

    #[test]
    fn removes_what_a_killed_process_left() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join(".x.out.new-4294967295.out")).unwrap();
        let new = NewFolder::beside(&root.path().join("x.out")).unwrap();
        new.commit().unwrap();
        if Path::new("/proc/self").exists() {
            assert_eq!(names(root.path()), ["x.out"]);
        }
    }

    #[test]
    fn does_not_replace_what_is_no_assembly() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("thesis.txt"), "years").unwrap();
        let error = NewFolder::beside(root.path()).unwrap_err();
        assert!(error.message().contains("holds `thesis.txt` and no cloud assembly"), "{error:?}");
        let error = NewFolder::beside(&root.path().join("thesis.txt")).unwrap_err();
        assert!(error.message().ends_with("is a file; expected a folder, or nothing yet"));
    }

    #[cfg(unix)]
    #[test]
    fn refuses_a_read_only_folder() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("x.out");
        fs::create_dir(&target).unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o555)).unwrap();
        let error = NewFolder::beside(&target).unwrap_err();
        assert!(error.message().ends_with("x.out: it is read-only"), "{error:?}");
    }
}
