//! The bytes of objects: in memory, or in files of the state folder.
//!
//! A file's name is random and says nothing about bucket or key, so that no key
//! can ever reach outside of the folder. A blob is written once and never
//! changed; it is on disk before the record that names it. Files that no record
//! names (the process ended between the two) are removed at the next start.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use iotstack_local_kernel::id;
use s3s::dto::StreamingBlob;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Where blobs are kept.
#[derive(Debug, Clone)]
pub(crate) struct Blobs {
    folder: Option<PathBuf>,
}

/// Bytes that are kept. Cloning shares them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Blob {
    #[serde(skip)]
    memory: Bytes,
    file: Option<String>,
    pub(crate) size: u64,
}

impl Blobs {
    /// Opens the folder of blobs below the state folder, readable by its owner alone.
    pub(crate) fn open(state: Option<&Path>) -> io::Result<Self> {
        let Some(state) = state else { return Ok(Blobs { folder: None }) };
        let folder = state.join("objects");
        fs::create_dir_all(&folder)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        }
        Ok(Blobs { folder: Some(folder) })
    }

    /// Removes files that no record names.
    pub(crate) fn sweep(&self, named: &HashSet<String>) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if !entry.file_name().to_str().is_some_and(|name| named.contains(name)) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Keeps bytes.
    pub(crate) async fn keep(&self, bytes: Bytes) -> Result<Blob, Error> {
        let size = bytes.len() as u64;
        let Some(folder) = &self.folder else {
            return Ok(Blob { memory: bytes, file: None, size });
        };
        let name = id::hex_digits(32);
        let path = folder.join(&name);
        blocking(move || whole(&path, |file| file.write_all(&bytes))).await?;
        Ok(Blob { memory: Bytes::new(), file: Some(name), size })
    }

    /// Keeps the bytes of several blobs, one after the other.
    pub(crate) async fn join(&self, parts: Vec<Blob>) -> Result<Blob, Error> {
        let size: u64 = parts.iter().map(|part| part.size).sum();
        let Some(folder) = self.folder.clone() else {
            let mut memory = BytesMut::with_capacity(usize::try_from(size).unwrap_or(0));
            for part in &parts {
                memory.extend_from_slice(&part.memory);
            }
            return Ok(Blob { memory: memory.freeze(), file: None, size });
        };
        let name = id::hex_digits(32);
        let target = folder.join(&name);
        blocking(move || {
            whole(&target, |file| {
                for part in &parts {
                    if let Some(source) = &part.file {
                        io::copy(&mut File::open(folder.join(source))?, file)?;
                    }
                }
                Ok(())
            })
        })
        .await?;
        Ok(Blob { memory: Bytes::new(), file: Some(name), size })
    }

    /// Keeps the same bytes once more, so that each copy can go on its own.
    pub(crate) async fn copy(&self, blob: &Blob) -> Result<Blob, Error> {
        match blob.file {
            None => Ok(blob.clone()),
            Some(_) => self.join(vec![blob.clone()]).await,
        }
    }

    /// All bytes from `start` to before `end`.
    pub(crate) async fn read(&self, blob: &Blob, start: u64, end: u64) -> Result<Bytes, Error> {
        match self.path(blob) {
            None => Ok(slice(&blob.memory, start, end)),
            Some(path) => {
                blocking(move || {
                    let file = File::open(path)?;
                    read_at(&file, start, end)
                })
                .await
            }
        }
    }

    /// The bytes from `start` to before `end` as a stream that holds little of
    /// them at a time.
    pub(crate) async fn stream(
        &self,
        blob: &Blob,
        start: u64,
        end: u64,
    ) -> Result<StreamingBlob, Error> {
        let Some(path) = self.path(blob) else {
            return Ok(s3s::Body::from(slice(&blob.memory, start, end)).into());
        };
        // Opened now, so that a deletion meanwhile does not cut the answer short.
        let file = Arc::new(blocking(move || File::open(path)).await?);
        let chunks = stream::unfold((file, start), move |(file, at)| async move {
            if at >= end {
                return None;
            }
            let next = end.min(at + CHUNK);
            let reader = file.clone();
            let chunk = tokio::task::spawn_blocking(move || read_at(&reader, at, next)).await;
            let chunk = chunk.unwrap_or_else(|error| Err(io::Error::other(error)));
            // An error ends the stream; the connection is cut, and the client sees it.
            let next = if chunk.is_ok() { next } else { end };
            Some((chunk, (file, next)))
        });
        Ok(StreamingBlob::wrap(chunks))
    }

    /// Removes a blob whose record is gone.
    pub(crate) fn remove(&self, blob: &Blob) {
        if let Some(path) = self.path(blob)
            && let Err(error) = fs::remove_file(&path)
        {
            tracing::warn!(path = %path.display(), %error, "a blob stays behind");
        }
    }

    fn path(&self, blob: &Blob) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(blob.file.as_ref()?))
    }
}

impl Blob {
    /// The name of its file.
    pub(crate) fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }
}

fn slice(bytes: &Bytes, start: u64, end: u64) -> Bytes {
    let at = |position: u64| usize::try_from(position).unwrap_or(usize::MAX).min(bytes.len());
    bytes.slice(at(start)..at(end).max(at(start)))
}

fn read_at(file: &File, start: u64, end: u64) -> io::Result<Bytes> {
    let length = usize::try_from(end.saturating_sub(start)).map_err(io::Error::other)?;
    let mut buffer = vec![0; length];
    #[cfg(unix)]
    std::os::unix::fs::FileExt::read_exact_at(file, &mut buffer, start)?;
    #[cfg(not(unix))]
    {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = file.try_clone()?;
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut buffer)?;
    }
    Ok(buffer.into())
}

/// Writes a file, or leaves none: on a full disk halves would take what space there is.
fn whole(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut file = create(path)?;
    let written = write(&mut file).and_then(|()| file.sync_all());
    if written.is_err() {
        // What cannot be removed either goes when the cloud starts again.
        let _ = std::fs::remove_file(path);
    }
    written
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let outcome = tokio::task::spawn_blocking(work).await;
    outcome
        .unwrap_or_else(|error| Err(io::Error::other(error)))
        .map_err(|error| Error::File(error.to_string()))
}

/// How much of a file is read at a time.
const CHUNK: u64 = 256 * 1024;
