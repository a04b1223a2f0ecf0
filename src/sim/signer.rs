//! Signs images where there is no AWS Signer: at the factory, for faults, in tests.
//!
//! A device's first image comes from a factory, and a fault that shows a device a
//! replayed or foreign image needs that image to be signed well, or the device would
//! refuse it for the wrong reason. The key is made for one run, stays in memory and
//! is trusted by the devices of that run alone.

use std::fmt;
use std::io::ErrorKind;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use iotstack_protocol::jobs::Sha256Digest;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use p256::pkcs8::DecodePrivateKey;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, date_time_ymd};

use crate::trust::Claim;
use crate::{Error, Result};

/// A key with its certificate. Its `Debug` names the certificate only.
pub struct Signer {
    name: String,
    key: SigningKey,
    certificate: String,
}

impl Signer {
    /// Makes a key and a certificate with the name that devices know it by.
    pub fn generate(name: &str) -> Result<Self> {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
            .map_err(|error| Error::invalid("code-signing key", error))?;
        Signer::of(name, &pair)
    }

    /// Makes a key with a certificate that ran out long ago.
    pub(crate) fn generate_expired(name: &str) -> Result<Self> {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
            .map_err(|error| Error::invalid("code-signing key", error))?;
        let mut params = CertificateParams::default();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        Signer::certified(name, &pair, params)
    }

    /// The signer whose key is in a file; a new one, kept there, if the file is missing.
    pub(crate) fn kept_in(path: &Path, name: &str) -> Result<Self> {
        let failed = |error: &dyn fmt::Display| Error::invalid("code-signing key", error);
        let pair = match std::fs::read_to_string(path) {
            Ok(text) => KeyPair::from_pem(&text).map_err(|e| failed(&e))?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let pair =
                    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|e| failed(&e))?;
                crate::private::write(path, pair.serialize_pem().as_bytes())?;
                pair
            }
            Err(source) => {
                return Err(Error::File { action: "read", path: path.to_owned(), source });
            }
        };
        Signer::of(name, &pair)
    }

    /// The certificate, PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Signs the image with this digest.
    pub fn sign(&self, digest: &Sha256Digest) -> Claim {
        // Signing a digest of 32 bytes fails for no key; an empty signature, should it
        // ever come to that, is refused by every device.
        let signature: Option<Signature> = self.key.sign_prehash(&digest.0).ok();
        Claim {
            algorithm: "SHA256withECDSA".to_owned(),
            value: signature
                .map_or_else(String::new, |signature| STANDARD.encode(signature.to_der())),
            certificate: self.name.clone(),
        }
    }

    fn of(name: &str, pair: &KeyPair) -> Result<Self> {
        Signer::certified(name, pair, CertificateParams::default())
    }

    fn certified(name: &str, pair: &KeyPair, params: CertificateParams) -> Result<Self> {
        let failed = |error: &dyn fmt::Display| Error::invalid("code-signing key", error);
        let certificate = params.self_signed(pair).map_err(|e| failed(&e))?;
        let key = SigningKey::from_pkcs8_der(pair.serialized_der()).map_err(|e| failed(&e))?;
        Ok(Signer { name: name.to_owned(), key, certificate: certificate.pem() })
    }

    pub(crate) fn verifying_key(&self) -> VerifyingKey {
        *self.key.verifying_key()
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("name", &self.name).finish_non_exhaustive()
    }
}
