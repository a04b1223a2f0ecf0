//! Whom a device believes: the certificates that sign firmware.
//!
//! A device keeps code-signing certificates by name, and a job document names the
//! one to verify with. A certificate can have been revoked, can have run out, and a
//! signature can be made by one the device knows but no longer trusts; each of these
//! is another word in the report.
//!
//! The chain of the certificate is not looked at: it was put on the device by whoever
//! made the device, and the name is what binds it.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use iotstack_protocol::jobs::Sha256Digest;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::ecdsa::{Signature, VerifyingKey};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::outcome::{Outcome, Reason};
use crate::{Error, Result};

/// The certificates of a device. Cheap to clone; a fleet shares one.
#[derive(Clone, Default)]
pub struct Trust {
    signers: BTreeMap<String, Signer>,
    /// What has been verified already. Thousands of devices verify the same
    /// signature of the same digest, and the answer is always the same.
    verified: Arc<Mutex<HashSet<[u8; 32]>>>,
}

/// A certificate that signs firmware.
#[derive(Clone)]
struct Signer {
    key: VerifyingKey,
    not_before: u64,
    not_after: u64,
    is_revoked: bool,
}

/// What a job document says about the signature of its image.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Claim {
    /// The algorithm.
    pub algorithm: String,
    /// The signature, DER, in base64.
    pub value: String,
    /// The name of the certificate.
    pub certificate: String,
}

impl Trust {
    /// Trusts nobody.
    pub fn new() -> Self {
        Trust::default()
    }

    /// Trusts a certificate, PEM, under a name.
    pub fn add(&mut self, name: &str, certificate: &str) -> Result<()> {
        let signer = Signer::from_pem(certificate)?;
        self.signers.insert(name.to_owned(), signer);
        Ok(())
    }

    /// Trusts a bare key under a name, for ever: the factory's.
    pub(crate) fn add_key(&mut self, name: &str, key: VerifyingKey) {
        let signer = Signer { key, not_before: 0, not_after: u64::MAX, is_revoked: false };
        self.signers.insert(name.to_owned(), signer);
    }

    /// Knows a certificate, and trusts it no longer.
    pub fn revoke(&mut self, name: &str) {
        if let Some(signer) = self.signers.get_mut(name) {
            signer.is_revoked = true;
        }
    }

    /// Whether a certificate of that name is known.
    pub fn knows(&self, name: &str) -> bool {
        self.signers.contains_key(name)
    }

    /// Judges a signature of the image with this digest at `now`, in seconds since
    /// 1970.
    pub fn judge(&self, digest: &Sha256Digest, claim: &Claim, now: u64) -> Result<(), Outcome> {
        if claim.value.is_empty() {
            return Err(Outcome::new(Reason::Signature, "the image has no signature"));
        }
        if !matches!(claim.algorithm.as_str(), "SHA256withECDSA" | "sig-sha256-ecdsa") {
            let detail = format!("algorithm `{}`: expected SHA256withECDSA", claim.algorithm);
            return Err(Outcome::new(Reason::Algorithm, detail));
        }
        let untrusted = |what: String| Err(Outcome::new(Reason::UntrustedSigner, what));
        let name = &claim.certificate;
        let Some(signer) = self.signers.get(name) else {
            return untrusted(format!("certificate `{name}` is not one of this device's"));
        };
        if signer.is_revoked {
            return untrusted(format!("certificate `{name}` has been revoked"));
        }
        if now < signer.not_before {
            let detail = format!(
                "certificate `{name}` is valid from {} on, and this device's clock says {now}",
                signer.not_before
            );
            return Err(Outcome::new(Reason::Clock, detail));
        }
        if now > signer.not_after {
            return untrusted(format!("certificate `{name}` ran out at {}", signer.not_after));
        }
        let Some(signature) = decode(&claim.value) else {
            return Err(Outcome::new(Reason::Signature, "the signature is not one in DER"));
        };
        if self.verify(signer, digest, &signature) {
            return Ok(());
        }
        // Made by one whom the device knows, and does not trust for this?
        let other = self
            .signers
            .iter()
            .find(|(other, signer)| *other != name && self.verify(signer, digest, &signature));
        match other {
            Some((other, _)) => untrusted(format!("signed by `{other}`, not by `{name}`")),
            None => Err(Outcome::new(Reason::Signature, "the signature does not fit the image")),
        }
    }

    /// Judges a signature at a time at which the certificate is valid, revoked or not:
    /// what has been installed may go on running.
    pub(crate) fn vouches(&self, digest: &Sha256Digest, claim: &Claim) -> Result<(), Outcome> {
        let Some(signer) = self.signers.get(&claim.certificate) else {
            let detail = format!("certificate `{}` is not known", claim.certificate);
            return Err(Outcome::new(Reason::UntrustedSigner, detail));
        };
        match decode(&claim.value) {
            Some(signature) if self.verify(signer, digest, &signature) => Ok(()),
            _ => Err(Outcome::new(Reason::Signature, "the signature does not fit the image")),
        }
    }

    fn verify(&self, signer: &Signer, digest: &Sha256Digest, signature: &Signature) -> bool {
        use sha2::{Digest, Sha256};
        let question: [u8; 32] = Sha256::new()
            .chain_update(signer.key.to_sec1_point(true).as_bytes())
            .chain_update(digest.0)
            .chain_update(signature.to_bytes())
            .finalize()
            .into();
        let lock = || self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if lock().contains(&question) {
            return true;
        }
        let fits = signer.key.verify_prehash(&digest.0, signature).is_ok();
        let mut verified = lock();
        // Only what fits is kept, and not without end.
        if fits && verified.len() < 4096 {
            verified.insert(question);
        }
        fits
    }
}

fn decode(value: &str) -> Option<Signature> {
    Signature::from_der(&STANDARD.decode(value).ok()?).ok()
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.signers.keys()).finish()
    }
}

impl Signer {
    fn from_pem(pem: &str) -> Result<Self> {
        let refused = |reason: String| Error::Invalid { what: "code-signing certificate", reason };
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| refused(format!("{error}: expected a certificate in PEM")))?;
        let (_, certificate) = x509_parser::parse_x509_certificate(&der)
            .map_err(|error| refused(error.to_string()))?;
        let key = certificate.public_key().subject_public_key.data.as_ref();
        let key = VerifyingKey::from_sec1_bytes(key)
            .map_err(|_| refused("its key is not on the curve P-256".to_owned()))?;
        let seconds = |time: x509_parser::time::ASN1Time| time.timestamp().max(0) as u64;
        Ok(Signer {
            key,
            not_before: seconds(certificate.validity().not_before),
            not_after: seconds(certificate.validity().not_after),
            is_revoked: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signer::Signer as FirmwareSigner;

    const NOW: u64 = 1_800_000_000;

    fn judge(trust: &Trust, digest: &Sha256Digest, claim: &Claim) -> Option<Reason> {
        trust.judge(digest, claim, NOW).err().map(|outcome| outcome.reason)
    }

    #[test]
    fn tells_every_way_of_being_signed_wrongly_apart() {
        let signer = FirmwareSigner::generate("signer.pem").unwrap();
        let other = FirmwareSigner::generate("other.pem").unwrap();
        let mut trust = Trust::new();
        trust.add("signer.pem", signer.certificate()).unwrap();
        let digest = crate::image::digest(b"image");
        let good = signer.sign(&digest);
        assert_eq!(judge(&trust, &digest, &good), None);
        assert_eq!(judge(&trust, &digest, &good), None, "also when it is remembered");
        let with = |change: fn(&mut Claim)| {
            let mut claim = good.clone();
            change(&mut claim);
            claim
        };
        let cases = [
            (with(|claim| claim.value.clear()), Reason::Signature),
            (with(|claim| claim.value = "MEUCIQD0+/8=".to_owned()), Reason::Signature),
            (with(|claim| claim.algorithm = "SHA1withECDSA".to_owned()), Reason::Algorithm),
            (with(|claim| claim.algorithm = "SHA256withRSA".to_owned()), Reason::Algorithm),
            (with(|claim| claim.certificate = "who.pem".to_owned()), Reason::UntrustedSigner),
            (
                Claim { certificate: "signer.pem".to_owned(), ..other.sign(&digest) },
                Reason::Signature,
            ),
        ];
        for (claim, expected) in cases {
            assert_eq!(judge(&trust, &digest, &claim), Some(expected), "{claim:?}");
        }
        assert_eq!(judge(&trust, &crate::image::digest(b"other"), &good), Some(Reason::Signature));
        trust.add("other.pem", other.certificate()).unwrap();
        let by_other = Claim { certificate: "signer.pem".to_owned(), ..other.sign(&digest) };
        assert_eq!(judge(&trust, &digest, &by_other), Some(Reason::UntrustedSigner));
        trust.revoke("signer.pem");
        assert_eq!(judge(&trust, &digest, &good), Some(Reason::UntrustedSigner));
    }

    #[test]
    fn a_certificate_has_its_time() {
        let signer = FirmwareSigner::generate("signer.pem").unwrap();
        let mut trust = Trust::new();
        trust.add("signer.pem", signer.certificate()).unwrap();
        let digest = crate::image::digest(b"image");
        let claim = signer.sign(&digest);
        let at = |now| trust.judge(&digest, &claim, now).err().map(|outcome| outcome.reason);
        assert_eq!(at(5), Some(Reason::Clock));
        assert_eq!(at(u64::MAX), Some(Reason::UntrustedSigner));
    }

    #[test]
    fn refuses_what_is_no_certificate_for_signing() {
        let mut trust = Trust::new();
        let error = trust.add("x", "hello").unwrap_err().to_string();
        assert!(error.starts_with("code-signing certificate is not valid: "), "{error}");
    }
}
