//! Packs a folder so that the same folder is always the same bytes.
//!
//! Names are sorted and written with `/`, times are the first that a zip can hold, modes
//! are 0755 for what anybody may execute and 0644 for the rest, and compression has one
//! setting. Owners, links and empty folders are not kept: Lambda, for which the zips
//! are made, does not need them.

use std::fs::File;
use std::io::Cursor;
use std::path::Path;

use iotstack_assembly::asset::{files_below, is_executable};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::{Error, Result};

/// A folder as a zip: sorted, with fixed times and modes.
pub fn zip_folder(folder: &Path) -> Result<Vec<u8>> {
    let files = files_below(folder)?;
    if files.is_empty() {
        return Err(Error::AssetInvalid {
            asset: folder.display().to_string(),
            message: "the folder is empty; a zip needs at least one file".into(),
        });
    }
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for file in &files {
        let path = folder.join(file);
        let mode = if is_executable(&path)? { 0o755 } else { 0o644 };
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default())
            .unix_permissions(mode);
        let name = file.to_string_lossy().replace('\\', "/");
        let failed =
            |error: zip::result::ZipError| Error::io("pack", &path)(std::io::Error::other(error));
        writer.start_file(name, options).map_err(failed)?;
        let mut source = File::open(&path).map_err(Error::io("read", &path))?;
        std::io::copy(&mut source, &mut writer).map_err(Error::io("pack", &path))?;
    }
    let failed =
        |error: zip::result::ZipError| Error::io("pack", folder)(std::io::Error::other(error));
    Ok(writer.finish().map_err(failed)?.into_inner())
}
