//! The key and certificate of a device, and where it keeps them.
//!
//! On disk both files are for their owner alone, and the certificate is written last:
//! a device that lost its power in between has no certificate, and claims another one.
//! In memory a fleet keeps nothing but what TLS needs.

use std::path::{Path, PathBuf};

use iotstack_mqtt::tls::Identity;

use crate::target::KeyPair;
use crate::{Error, Result, private};

/// Where a device keeps its key.
#[derive(Debug, Clone)]
pub(crate) enum KeyStore {
    Memory,
    Folder(PathBuf),
}

impl KeyStore {
    /// The identity of the device, if it has one.
    pub(crate) fn load(&self) -> Result<Option<Identity>> {
        let KeyStore::Folder(folder) = self else { return Ok(None) };
        let (Some(certificate), Some(key)) =
            (read(&folder.join(CERTIFICATE))?, read(&folder.join(KEY))?)
        else {
            return Ok(None);
        };
        identity(&KeyPair { certificate, private_key: key }).map(Some)
    }

    /// Keeps a key and its certificate.
    pub(crate) fn save(&self, pair: &KeyPair) -> Result<Identity> {
        if let KeyStore::Folder(folder) = self {
            private::make_folder(folder)?;
            private::write(&folder.join(KEY), pair.private_key.as_bytes())?;
            private::write(&folder.join(CERTIFICATE), pair.certificate.as_bytes())?;
        }
        identity(pair)
    }
}

/// What TLS needs of a key and its certificate.
pub(crate) fn identity(pair: &KeyPair) -> Result<Identity> {
    Identity::from_pem(&pair.certificate, &pair.private_key)
        .map_err(|error| Error::invalid("device certificate", error))
}

fn read(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::File { action: "read", path: path.to_owned(), source }),
    }
}

const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "private.key";

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair as Generated};

    use super::*;

    #[test]
    fn a_certificate_without_its_key_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let store = KeyStore::Folder(folder.path().join("lamp-1"));
        assert!(store.load().unwrap().is_none());
        let key = Generated::generate().unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap().pem();
        let pair = KeyPair { certificate, private_key: key.serialize_pem() };
        let saved = store.save(&pair).unwrap();
        let loaded = store.load().unwrap().unwrap();
        assert_eq!(saved.certificate(), loaded.certificate());
        #[cfg(unix)]
        for name in [KEY, CERTIFICATE] {
            use std::os::unix::fs::PermissionsExt;
            let file = folder.path().join("lamp-1").join(name);
            let mode = std::fs::metadata(file).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        std::fs::remove_file(folder.path().join("lamp-1").join(KEY)).unwrap();
        assert!(store.load().unwrap().is_none());
    }
}
