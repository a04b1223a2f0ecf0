//! Assets: files that a stack brings along.
//!
//! An asset is hashed when it is added, so that it has its place before anything is
//! rendered; it is packed and published by whoever deploys. A file that is missing is an
//! error at once, at the line that names it.

use std::path::{Path, PathBuf};

use iotstack_assembly::asset::{Packaging, fingerprint, sha256_hex};

use crate::text;
use crate::token::Pseudo;
use crate::value::Expr;

/// A file or a folder to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// Where it is now.
    pub(crate) source: PathBuf,
    /// Its name inside the packed folder, if a single file is packed under another name.
    pub(crate) rename: Option<String>,
    pub(crate) packaging: Packaging,
    pub(crate) hash: String,
    pub(crate) display_name: String,
}

impl Asset {
    /// One file, published as it is.
    pub fn file(path: impl AsRef<Path>) -> Result<Self, iotstack_assembly::Error> {
        Self::new(path.as_ref(), Packaging::File)
    }

    /// A folder, published as a zip.
    pub fn folder(path: impl AsRef<Path>) -> Result<Self, iotstack_assembly::Error> {
        Self::new(path.as_ref(), Packaging::Zip)
    }

    /// One file, published as a zip that holds it under the name `inside`; Lambda's
    /// custom runtimes want their program as `bootstrap`.
    pub fn program(
        path: impl AsRef<Path>,
        inside: impl Into<String>,
    ) -> Result<Self, iotstack_assembly::Error> {
        let mut asset = Self::new(path.as_ref(), Packaging::Zip)?;
        let inside = inside.into();
        // The same file under another name, or as it is, is another asset.
        asset.hash = sha256_hex(format!("{}/{inside}", asset.hash).as_bytes());
        asset.rename = Some(inside);
        Ok(asset)
    }

    fn new(path: &Path, packaging: Packaging) -> Result<Self, iotstack_assembly::Error> {
        Ok(Asset {
            hash: fingerprint(path)?,
            source: path.to_owned(),
            rename: None,
            packaging,
            display_name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        })
    }

    /// The content's identity.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Where the asset is once it is published to the bucket of a bootstrap.
    pub(crate) fn location(&self, qualifier: &str) -> AssetLocation {
        AssetLocation {
            bucket: text!("cdk-{}-assets-{}-{}", qualifier, Pseudo::AccountId, Pseudo::Region),
            key: self.object_key(),
        }
    }

    pub(crate) fn object_key(&self) -> String {
        let extension = match self.packaging {
            Packaging::Zip => Some("zip".into()),
            Packaging::File => self.source.extension().map(|extension| extension.to_string_lossy()),
        };
        match extension {
            Some(extension) => format!("{}.{extension}", self.hash),
            None => self.hash.clone(),
        }
    }
}

/// Where an asset is once it is published.
#[derive(Debug, Clone, PartialEq)]
pub struct AssetLocation {
    /// The bucket's name.
    pub bucket: Expr,
    /// The key in the bucket.
    pub key: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{App, Stack, Synthesizer};

    #[test]
    fn a_missing_file_is_named() {
        let missing = Path::new("/nowhere/firmware.bin");
        for asset in
            [Asset::file(missing), Asset::folder(missing), Asset::program(missing, "bootstrap")]
        {
            let error = asset.unwrap_err().to_string();
            assert!(error.starts_with("cannot read /nowhere/firmware.bin: "), "{error}");
        }
    }

    #[test]
    fn the_key_is_the_content() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let (one, same) = (write("a.bin", "v1"), write("b.bin", "v1"));
        let other = write("c.bin", "v2");
        let key = |path: &Path| Asset::file(path).unwrap().object_key();
        assert_eq!(key(&one), key(&same));
        assert_ne!(key(&one), key(&other));
        assert!(key(&one).ends_with(".bin"));
        let program = Asset::program(&one, "bootstrap").unwrap();
        assert_eq!(program.object_key(), format!("{}.zip", program.hash()));
    }

    #[test]
    fn an_asset_goes_to_the_bootstrap_of_its_stack() {
        let mut context = serde_json::Map::new();
        context.insert("@aws-cdk/core:bootstrapQualifier".into(), "fleet".into());
        let app = App::with_context(context);
        let folder = tempfile::tempdir().unwrap();
        let bucket = |id: &'static str, synthesizer| {
            let stack = app.add(id, Stack { synthesizer, ..Stack::default() });
            stack.asset(Asset::folder(folder.path()).unwrap()).bucket
        };
        let expected = |qualifier: &str| {
            text!("cdk-{}-assets-{}-{}", qualifier, Pseudo::AccountId, Pseudo::Region)
        };
        assert_eq!(bucket("named-by-caller", Synthesizer::default()), expected("fleet"));
        let own = Synthesizer::CallerCredentials { qualifier: "own".into() };
        assert_eq!(bucket("named-by-stack", own), expected("own"));
    }
}
