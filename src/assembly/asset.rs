//! Assets: files and folders that go to a bucket before the stack is deployed.
//!
//! The asset manifest names each source and where it goes. Placeholders
//! (`${AWS::AccountId}`, `${AWS::Region}`, `${AWS::Partition}`) are filled in by whoever
//! publishes. Hashing is here because the hash is the identity; packing and publishing
//! are not.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// The list of files to publish for one stack.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AssetManifest {
    /// The schema version.
    pub version: String,
    /// The files by asset id.
    #[serde(default)]
    pub files: IndexMap<String, FileAsset>,
    /// Container images by asset id. iotstack writes none and refuses to publish them.
    #[serde(default)]
    pub docker_images: IndexMap<String, serde_json::Value>,
}

/// One file or zipped folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileAsset {
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Where it comes from.
    pub source: FileSource,
    /// Where it goes, by destination id.
    pub destinations: IndexMap<String, FileDestination>,
}

/// Where an asset comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileSource {
    /// The file or folder, relative to the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// As it is, or as a zip of the folder.
    #[serde(default)]
    pub packaging: Packaging,
    /// A command that prints the path instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<Vec<String>>,
}

/// How an asset is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Packaging {
    /// The file as it is.
    #[default]
    File,
    /// A zip of the folder.
    Zip,
}

/// Where an asset goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileDestination {
    /// The bucket.
    pub bucket_name: String,
    /// The key.
    pub object_key: String,
    /// The bucket's region, if not the stack's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The role that may write there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assume_role_arn: Option<String>,
    /// The external id for the role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assume_role_external_id: Option<String>,
}

/// The files below `root`, sorted, as paths relative to it. A file is its own only entry.
pub fn files_below(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let absolute = root.join(&folder);
        for entry in std::fs::read_dir(&absolute).map_err(Error::io("read", &absolute))? {
            let entry = entry.map_err(Error::io("read", &absolute))?;
            let path = folder.join(entry.file_name());
            // Follows links, as the packed copy holds contents and no links.
            if root.join(&path).is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    Ok(files)
}

/// The SHA-256 of a file, or of the sorted names, execute bits and contents below a
/// folder, in hex.
pub fn fingerprint(source: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    if source.is_dir() {
        for path in files_below(source)? {
            let absolute = source.join(&path);
            // A length before each part keeps `a/bc` and `ab/c` apart.
            let name = path.to_string_lossy().replace('\\', "/");
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name.as_bytes());
            hash.update([u8::from(is_executable(&absolute)?)]);
            let mut content = Sha256::new();
            update_with_file(&mut content, &absolute)?;
            hash.update(content.finalize());
        }
    } else {
        update_with_file(&mut hash, source)?;
    }
    Ok(hex(&hash.finalize()))
}

/// The SHA-256 of bytes, in hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Whether the file's mode lets anybody run it.
pub fn is_executable(path: &Path) -> Result<bool> {
    let metadata = std::fs::metadata(path).map_err(Error::io("read", path))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        Ok(metadata.permissions().mode() & 0o111 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        Ok(false)
    }
}

fn update_with_file(hash: &mut Sha256, path: &Path) -> Result<()> {
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer).map_err(Error::io("read", path))? {
            0 => return Ok(()),
            count => hash.update(&buffer[..count]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_sees_names_and_contents() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        std::fs::write(folder.path().join("a/bc"), "1").unwrap();
        let first = fingerprint(folder.path()).unwrap();
        std::fs::rename(folder.path().join("a/bc"), folder.path().join("abc")).unwrap();
        let second = fingerprint(folder.path()).unwrap();
        assert_ne!(first, second);
        std::fs::write(folder.path().join("abc"), "2").unwrap();
        assert_ne!(second, fingerprint(folder.path()).unwrap());
    }
}
