//! The code of functions, each zip kept once and unpacked when it is first run.
//!
//! Functions of a stack often share one zip. Zips are named by their hash; with
//! a state folder they lie there, readable by their owner alone, without one in
//! memory. Where they are unpacked is a private folder that goes with its code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use iotstack_local_kernel::id;
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::{Error, archive};

/// All code.
pub(crate) struct Codes {
    folder: Option<PathBuf>,
    packages: Mutex<BTreeMap<String, Arc<Package>>>,
}

/// One zip.
pub(crate) struct Package {
    pub(crate) hash: String,
    pub(crate) sha256: String,
    pub(crate) size: u64,
    content: Content,
    unpacked: OnceCell<TempDir>,
}

enum Content {
    Memory(Bytes),
    File(PathBuf),
}

impl Codes {
    pub(crate) fn new(state: Option<&Path>) -> Self {
        let folder = state.map(|state| state.join("functions"));
        Codes { folder, packages: Mutex::default() }
    }

    /// Takes a zip in; the same one twice is one.
    pub(crate) fn add(&self, zip: Bytes) -> Result<Arc<Package>, Error> {
        archive::inspect(&zip)?;
        let digest = Sha256::digest(&zip);
        let hash = id::hex(&digest);
        if let Some(known) = self.lock().get(&hash) {
            return Ok(known.clone());
        }
        let size = zip.len() as u64;
        let content = match &self.folder {
            None => Content::Memory(zip),
            Some(folder) => Content::File(write(folder, &hash, &zip)?),
        };
        let sha256 = STANDARD.encode(digest);
        let unpacked = OnceCell::new();
        let package = Arc::new(Package { hash: hash.clone(), sha256, size, content, unpacked });
        Ok(self.lock().entry(hash).or_insert(package).clone())
    }

    /// The code of a hash, from the state folder if it was not used before.
    pub(crate) fn get(&self, hash: &str) -> Result<Arc<Package>, Error> {
        if let Some(known) = self.lock().get(hash) {
            return Ok(known.clone());
        }
        let file = self.folder.as_ref().map(|folder| file_of(folder, hash));
        let missing = || Error::Archive(format!("code `{hash}` is not in the state folder"));
        let zip = file.and_then(|file| fs::read(file).ok()).ok_or_else(missing)?;
        let package = self.add(zip.into())?;
        // A file that was changed by hand has another hash than its name says.
        if package.hash == hash { Ok(package) } else { Err(missing()) }
    }

    /// Lets go of all code, and of where it is unpacked; what is stored stays.
    pub(crate) fn clear(&self) {
        let packages = std::mem::take(&mut *self.lock());
        drop(packages);
    }

    /// Forgets all code but this, and what somebody is about to use or still runs.
    pub(crate) fn keep_only(&self, used: &BTreeSet<String>) {
        let mut packages = self.lock();
        let unused: Vec<String> = packages
            .iter()
            .filter(|(hash, package)| !used.contains(*hash) && Arc::strong_count(package) == 1)
            .map(|(hash, _)| hash.clone())
            .collect();
        for hash in unused {
            packages.remove(&hash);
            if let Some(folder) = &self.folder {
                let _ = fs::remove_file(file_of(folder, &hash));
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Package>>> {
        self.packages.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Package {
    /// The folder with the unpacked code.
    pub(crate) async fn folder(self: &Arc<Self>) -> Result<&Path, Error> {
        let package = self.clone();
        let unpack = move || {
            let folder = private_folder()?;
            archive::unpack(&package.bytes()?, folder.path())?;
            Ok(folder)
        };
        let folder = self
            .unpacked
            .get_or_try_init(|| async {
                tokio::task::spawn_blocking(unpack)
                    .await
                    .unwrap_or_else(|error| Err(Error::Archive(error.to_string())))
            })
            .await?;
        Ok(folder.path())
    }

    /// The zip.
    pub(crate) fn bytes(&self) -> Result<Bytes, Error> {
        match &self.content {
            Content::Memory(bytes) => Ok(bytes.clone()),
            Content::File(file) => {
                let read = fs::read(file).map_err(Error::machine("code cannot be read"))?;
                Ok(read.into())
            }
        }
    }
}

/// A folder that only its owner can enter, and that goes when it is dropped.
pub(crate) fn private_folder() -> Result<TempDir, Error> {
    let folder = tempfile::Builder::new()
        .prefix(&format!("{PREFIX}{}-", std::process::id()))
        .tempdir()
        .map_err(Error::machine("a folder for code cannot be made"))?;
    archive::keep_private(folder.path())?;
    Ok(folder)
}

/// Removes the folders of clouds that ended without doing it, as when they were killed.
pub(crate) fn remove_left_behind() {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX)?.split_once('-'))
            .and_then(|(owner, _)| Pid::from_raw(owner.parse().ok()?));
        if let Some(owner) = owner
            && test_kill_process(owner) == Err(Errno::SRCH)
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            tracing::debug!(%error, "a folder of a cloud that ended stays");
        }
    }
}

fn write(folder: &Path, hash: &str, zip: &[u8]) -> Result<PathBuf, Error> {
    let failed = Error::machine("code cannot be kept");
    fs::create_dir_all(folder).map_err(&failed)?;
    archive::keep_private(folder)?;
    let file = file_of(folder, hash);
    // Renamed when complete, so that a crash leaves no half of a zip under its name.
    let half = folder.join(format!("{hash}.{}", id::hex_digits(8)));
    let mut open = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&half)
        .map_err(&failed)?;
    let written = open.write_all(zip).and_then(|()| open.sync_all());
    let written = written.and_then(|()| fs::rename(&half, &file));
    if written.is_err() {
        // On a full disk halves would take what space there is.
        let _ = fs::remove_file(&half);
    }
    written.map_err(&failed)?;
    Ok(file)
}

fn file_of(folder: &Path, hash: &str) -> PathBuf {
    folder.join(format!("{hash}.zip"))
}

/// How the names of folders begin; the process that owns them follows.
const PREFIX: &str = "iotstack-lambda-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zip_that_cannot_be_kept_leaves_no_half() {
        let folder = private_folder().unwrap();
        // Nothing can be renamed to a folder that is not empty.
        fs::create_dir_all(file_of(folder.path(), "h").join("x")).unwrap();
        assert!(write(folder.path(), "h", b"zip").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        write(folder.path(), "other", b"zip").unwrap();
        assert_eq!(fs::read(file_of(folder.path(), "other")).unwrap(), b"zip");
    }

    #[test]
    fn only_folders_of_ended_processes_are_removed() {
        let own = private_folder().unwrap();
        // A process that has ended, whose id nobody has yet.
        let mut ended = std::process::Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        let left = std::env::temp_dir().join(format!("{PREFIX}{}-left", ended.id()));
        fs::create_dir_all(&left).unwrap();
        remove_left_behind();
        assert!(own.path().exists());
        assert!(!left.exists());
    }
}
