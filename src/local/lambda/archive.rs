//! Zips of code: judged before they are taken, unpacked where nothing escapes.
//!
//! An archive is a stranger's input: entries that would leave the folder, links,
//! devices and archives that unpack to far more than a function may hold are
//! refused. Sizes are counted while bytes are written, whatever the archive's own
//! directory claims.

use std::fs;
use std::io::{Cursor, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zip::ZipArchive;
use zip::write::SimpleFileOptions;

use crate::Error;

/// Judges an archive by its directory, without unpacking it.
pub(crate) fn inspect(bytes: &[u8]) -> Result<(), Error> {
    let mut archive = open(bytes)?;
    let mut size: u64 = 0;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(damaged)?;
        place_of(&entry)?;
        size = size.saturating_add(entry.size());
    }
    if size > LARGEST_FOLDER { Err(too_large()) } else { Ok(()) }
}

/// Unpacks an archive into `folder`, which exists and is empty.
pub(crate) fn unpack(bytes: &[u8], folder: &Path) -> Result<(), Error> {
    let mut archive = open(bytes)?;
    let mut left = LARGEST_FOLDER;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(damaged)?;
        let place = folder.join(place_of(&entry)?);
        if entry.is_dir() {
            fs::create_dir_all(&place).map_err(Error::machine("a folder cannot be made"))?;
            continue;
        }
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent).map_err(Error::machine("a folder cannot be made"))?;
        }
        // Archives made on Windows carry no modes; their files must still run.
        let mode = entry.unix_mode().unwrap_or(0o755);
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600 | (mode & 0o111))
            .open(&place)
            .map_err(Error::machine("a file of the code cannot be written"))?;
        left -= copy(&mut entry, &mut file, left)?;
    }
    Ok(())
}

/// A zip of files with their names, for code that a template holds as a text.
pub(crate) fn pack(files: &[(&str, &str)]) -> Result<Vec<u8>, Error> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().unix_permissions(0o644);
    for (name, text) in files {
        writer.start_file(*name, options).map_err(damaged)?;
        writer.write_all(text.as_bytes()).map_err(Error::machine("code cannot be packed"))?;
    }
    Ok(writer.finish().map_err(damaged)?.into_inner())
}

/// Makes a folder readable by its owner alone.
pub(crate) fn keep_private(folder: &Path) -> Result<(), Error> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
        .map_err(Error::machine("a folder cannot be made private"))
}

fn open(bytes: &[u8]) -> Result<ZipArchive<Cursor<&[u8]>>, Error> {
    let archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    if archive.len() > MOST_ENTRIES {
        return Err(Error::TooLarge { limit: MOST_ENTRIES as u64, unit: "files" });
    }
    Ok(archive)
}

/// Where an entry belongs below the folder.
fn place_of<R: Read + ?Sized>(entry: &zip::read::ZipFile<'_, R>) -> Result<PathBuf, Error> {
    let name = entry.name().map_err(damaged)?.into_owned();
    let place = entry.enclosed_name();
    let refuse = |problem: &'static str| Error::Entry { entry: name.clone(), problem };
    let place = place.ok_or_else(|| refuse("would leave the folder"))?;
    let kind = entry.unix_mode().unwrap_or(0) & FILE_KIND;
    if kind != 0 && kind != PLAIN_FILE && kind != FOLDER {
        return Err(refuse("is a link or a device; only plain files are taken"));
    }
    Ok(place)
}

/// Copies at most `left` bytes; says how many there were.
fn copy(from: &mut impl Read, to: &mut impl Write, left: u64) -> Result<u64, Error> {
    let mut limited = from.take(left.saturating_add(1));
    let copied =
        std::io::copy(&mut limited, to).map_err(|error| Error::Archive(error.to_string()))?;
    if copied > left { Err(too_large()) } else { Ok(copied) }
}

fn too_large() -> Error {
    Error::TooLarge { limit: LARGEST_FOLDER / 1024 / 1024, unit: "MiB" }
}

fn damaged(error: zip::result::ZipError) -> Error {
    Error::Archive(error.to_string())
}

/// AWS unpacks no more than this.
const LARGEST_FOLDER: u64 = 250 * 1024 * 1024;
const MOST_ENTRIES: usize = 50_000;

const FILE_KIND: u32 = 0o170_000;
const PLAIN_FILE: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn zip(entries: &[(&str, &[u8], u32)]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes, mode) in entries {
            let options = SimpleFileOptions::default().unix_permissions(*mode);
            writer.start_file(*name, options).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn unpacks_files_with_their_right_to_run() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = zip(&[("bootstrap", b"x", 0o755), ("lib/a.txt", b"abc", 0o644)]);
        inspect(&bytes).unwrap();
        unpack(&bytes, folder.path()).unwrap();
        let mode = |name| fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode("bootstrap") & 0o777, 0o711);
        assert_eq!(mode("lib/a.txt") & 0o777, 0o600);
        assert_eq!(fs::read(folder.path().join("lib/a.txt")).unwrap(), b"abc");
    }

    #[test]
    fn refuses_an_entry_that_would_leave_the_folder() {
        for name in ["../evil", "a/../../evil", "/etc/evil"] {
            let bytes = zip(&[(name, b"x", 0o644)]);
            let folder = tempfile::tempdir().unwrap();
            let inside = folder.path().join("inside");
            fs::create_dir(&inside).unwrap();
            let outcome = unpack(&bytes, &inside);
            assert!(!folder.path().join("evil").exists(), "{name}");
            assert!(outcome.is_err() || inside.join("etc/evil").exists(), "{name}");
        }
    }

    #[test]
    fn refuses_links() {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        writer.add_symlink("link", "/etc/passwd", SimpleFileOptions::default()).unwrap();
        let bytes = writer.finish().unwrap().into_inner();
        let refused = inspect(&bytes).unwrap_err().to_string();
        assert!(refused.contains("`link`") && refused.contains("link or a device"), "{refused}");
    }

    #[test]
    fn stops_where_an_archive_grows_beyond_the_limit() {
        let mut sink = Vec::new();
        assert_eq!(copy(&mut &b"12345"[..], &mut sink, 5).unwrap(), 5);
        assert!(matches!(copy(&mut &b"123456"[..], &mut sink, 5), Err(Error::TooLarge { .. })));
    }

    #[test]
    fn refuses_what_is_no_archive() {
        assert!(matches!(inspect(b"no zip"), Err(Error::Archive(_))));
    }
}
