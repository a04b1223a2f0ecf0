//! The local authority: certifies devices and the server.
//!
//! One P-256 key, made at the first start and kept in the state. Devices trust
//! its certificate and nothing else, so one file makes a client work. The keys
//! that it makes for devices are RSA, as AWS makes them; they leave in the answer
//! and are not kept. The key of the server is made anew at every start.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread::available_parallelism;

use iotstack_local_kernel::{Fault, Store, StoreError, Timestamp, id};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber,
};
use rsa::RsaPrivateKey;
use rsa::pkcs1::{EncodeRsaPrivateKey, EncodeRsaPublicKey};
use rsa::pkcs8::{EncodePublicKey, LineEnding};
use rsa::rand_core::UnwrapErr;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::sync::Semaphore;

use crate::state::table;
use crate::x509::{self, SubjectKey};

/// The local authority. `Debug` does not show the key.
pub struct LocalCa {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
    /// When certificates begin to be good: never after the machine's time, even
    /// where the cloud's clock runs ahead of it.
    not_before: Timestamp,
    /// When this process began to use it.
    started: Timestamp,
    /// Who may make keys at the same time: a fleet that asks for its keys all at once
    /// leaves a processor to everything else.
    makers: Arc<Semaphore>,
    /// Who may wait for that.
    queue: Semaphore,
}

/// A certificate for a server. `Debug` does not show the key.
pub struct ServerCertificate {
    /// The certificate of the server and that of the authority, PEM.
    pub chain_pem: String,
    /// The private key, PEM (PKCS#8).
    pub key_pem: String,
}

/// A certificate that was issued just now, with the key if it was made here.
pub struct Issued {
    pub der: Vec<u8>,
    pub id: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub keys: Option<Keys>,
}

/// A pair of keys, PEM: PKCS #1 for the private one, as AWS writes it. It is handed to
/// whoever asked and then forgotten.
pub struct Keys {
    pub public: String,
    pub private: String,
}

#[derive(Serialize, Deserialize)]
struct Record {
    name: String,
    certificate: String,
    key: String,
    made: Timestamp,
}

impl LocalCa {
    /// The authority of a stored state; a new one for a state that has none.
    ///
    /// # Errors
    /// [`StoreError`] if the stored one cannot be read.
    pub fn restore(store: &Store, now: Timestamp) -> Result<Self, StoreError> {
        let refuse = |error: rcgen::Error| StoreError::Read {
            table: table::CA.to_owned(),
            key: KEY.to_owned(),
            reason: error.to_string(),
        };
        if let Some((_, record)) = store.load::<Record>(table::CA)?.into_iter().next() {
            let key = KeyPair::from_pem(&record.key).map_err(refuse)?;
            let issuer = Issuer::new(params(&record.name, record.made), key);
            return Ok(LocalCa::new(record.certificate, issuer, record.made, now));
        }
        let made = Timestamp(now.millis() - ONE_HOUR);
        let name = format!("iotstack local CA {}", id::hex_digits(8));
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(refuse)?;
        let params = params(&name, made);
        let pem = params.self_signed(&key).map_err(refuse)?.pem();
        let record = Record { name, certificate: pem.clone(), key: key.serialize_pem(), made };
        let mut batch = store.batch();
        batch.put(table::CA, KEY, &record);
        // Everything that this authority signs is stored after it, so nothing
        // waits for this batch.
        drop(store.commit(batch));
        Ok(LocalCa::new(pem, Issuer::new(params, key), made, now))
    }

    fn new(
        pem: String,
        issuer: Issuer<'static, KeyPair>,
        not_before: Timestamp,
        started: Timestamp,
    ) -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        let makers = Arc::new(Semaphore::new(processors.saturating_sub(1).max(1)));
        let queue = Semaphore::new(MOST_WAITING);
        LocalCa { pem, issuer, not_before, started, makers, queue }
    }

    /// The certificate of the authority, PEM: what devices must trust.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for a server with these names (host names or addresses).
    ///
    /// # Errors
    /// What is wrong with a name.
    pub fn server_certificate(&self, hostnames: &[&str]) -> Result<ServerCertificate, String> {
        let refuse = |error: rcgen::Error| format!("no certificate for {hostnames:?}: {error}");
        let mut params = self.leaf();
        for name in hostnames {
            params.subject_alt_names.push(match name.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName((*name).try_into().map_err(refuse)?),
            });
        }
        let name = hostnames.first().copied().unwrap_or("localhost");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // Some clients refuse servers whose certificate is good for longer; as it is
        // made anew at every start, that is long enough.
        params.not_before = moment(Timestamp(self.started.millis() - ONE_HOUR));
        params.not_after = moment(Timestamp(self.started.millis() + 800 * 24 * ONE_HOUR));
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(refuse)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(refuse)?;
        Ok(ServerCertificate {
            chain_pem: format!("{}{}", certificate.pem(), self.pem),
            key_pem: key.serialize_pem(),
        })
    }

    /// Makes a pair of keys and certifies it. That takes a processor a tenth of a second,
    /// so it is done on a thread of its own.
    pub async fn issue_keys(self: &Arc<Self>) -> Result<Issued, Fault> {
        let _place = self.queue.try_acquire().map_err(|_| {
            let reason = format!("{MOST_WAITING} wait for keys already: try again");
            Fault::new("ThrottlingException", 429, reason)
        })?;
        let refuse = |error: &dyn Display| Fault::internal(format!("no key is made: {error}"));
        let maker = self.makers.clone().acquire_owned();
        let maker = maker.await.map_err(|error| refuse(&error))?;
        let ca = self.clone();
        // A key is made to its end although nobody may wait for it any more.
        let made = tokio::task::spawn_blocking(move || {
            let _maker = maker;
            ca.make_keys()
        });
        made.await.map_err(|error| refuse(&error))?.map_err(|error| refuse(&error))
    }

    fn make_keys(&self) -> Result<Issued, String> {
        let key = RsaPrivateKey::new(&mut UnwrapErr(getrandom::SysRng), RSA_BITS)
            .map_err(|error| error.to_string())?;
        let public = key.to_public_key();
        let subject = public.to_pkcs1_der().map_err(|error| error.to_string())?;
        let mut params = self.device();
        params.distinguished_name.push(DnType::CommonName, "AWS IoT Certificate");
        let mut issued = self.issue(&params, &SubjectKey::rsa(subject.into_vec()))?;
        let public = public.to_public_key_pem(LineEnding::LF).map_err(|error| error.to_string())?;
        let private = key.to_pkcs1_pem(LineEnding::LF).map_err(|error| error.to_string())?;
        issued.keys = Some(Keys { public, private: private.to_string() });
        Ok(issued)
    }

    /// Certifies the key of a request.
    pub fn issue_request(&self, pem: &str) -> Result<Issued, String> {
        let request = x509::request(pem)?;
        let mut params = self.device();
        for (oid, text) in &request.subject {
            params.distinguished_name.push(DnType::from_oid(oid), text.as_str());
        }
        if request.subject.is_empty() {
            params.distinguished_name.push(DnType::CommonName, "AWS IoT Certificate");
        }
        self.issue(&params, &request.key)
    }

    fn issue(
        &self,
        params: &CertificateParams,
        key: &impl PublicKeyData,
    ) -> Result<Issued, String> {
        let certificate = params
            .signed_by(key, &self.issuer)
            .map_err(|error| format!("the key cannot be certified: {error}"))?;
        let der = certificate.der().to_vec();
        Ok(Issued {
            id: x509::fingerprint(&der),
            der,
            not_before: self.not_before,
            not_after: END_OF_TIME,
            keys: None,
        })
    }

    fn device(&self) -> CertificateParams {
        let mut params = self.leaf();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params
    }

    fn leaf(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.not_before = moment(self.not_before);
        params.not_after = moment(END_OF_TIME);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(serial());
        params
    }
}

impl std::fmt::Debug for LocalCa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalCa").field("not_before", &self.not_before).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerCertificate").finish_non_exhaustive()
    }
}

/// The same name and key give the same identifiers, so the parameters need not be stored.
fn params(name: &str, made: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "iotstack");
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = moment(made);
    params.not_after = moment(END_OF_TIME);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(serial());
    params
}

fn serial() -> SerialNumber {
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(id::hex_digits(32).as_bytes().chunks_exact(2)) {
        let digit = |character: u8| (character as char).to_digit(16).unwrap_or(0) as u8;
        *byte = digit(pair[0]) << 4 | digit(pair[1]);
    }
    // Positive, and without a leading zero.
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&bytes)
}

fn moment(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

const KEY: &str = "ca";
const RSA_BITS: usize = 2048;
/// As many as are made while a device is patient. AWS makes ten in a second.
const MOST_WAITING: usize = 100;
const ONE_HOUR: i64 = 3_600_000;
/// The last second of 2049, as AWS IoT has it.
const END_OF_TIME: Timestamp = Timestamp(2_524_607_999_000);

#[cfg(test)]
mod tests {
    use rsa::RsaPublicKey;
    use rsa::pkcs1::DecodeRsaPrivateKey;
    use rsa::pkcs8::DecodePublicKey;
    use rsa::traits::PublicKeyParts;
    use x509_parser::prelude::{FromDer, X509Certificate};

    use super::*;

    fn ca() -> Arc<LocalCa> {
        Arc::new(LocalCa::restore(&Store::memory(), Timestamp(1_767_225_600_000)).unwrap())
    }

    #[tokio::test]
    async fn certifies_keys_of_its_own_and_of_requests() {
        let ca = ca();
        let authority = x509::certificate_der(ca.pem()).unwrap();
        let issued = ca.issue_keys().await.unwrap();
        assert!(x509::signed_by(&issued.der, &authority));
        let keys = issued.keys.unwrap();
        let private = RsaPrivateKey::from_pkcs1_pem(&keys.private).unwrap();
        assert_eq!(private.size() * 8, 2048);
        assert!(keys.public.starts_with("-----BEGIN PUBLIC KEY-----\n"));
        let public = RsaPublicKey::from_public_key_pem(&keys.public).unwrap();
        assert_eq!(public, private.to_public_key());
        let (_, certificate) = X509Certificate::from_der(&issued.der).unwrap();
        let certified = &certificate.public_key().subject_public_key.data;
        assert_eq!(certified.as_ref(), public.to_pkcs1_der().unwrap().as_bytes());
        assert_eq!(
            x509::subject_part(&issued.der, "CommonName").as_deref(),
            Some("AWS IoT Certificate")
        );

        for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384] {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let mut params = CertificateParams::default();
            params.distinguished_name = DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, "lamp-1");
            let request = params.serialize_request(&key).unwrap().pem().unwrap();
            let issued = ca.issue_request(&request).unwrap();
            assert!(x509::signed_by(&issued.der, &authority));
            assert_eq!(x509::subject_part(&issued.der, "CommonName").as_deref(), Some("lamp-1"));
            assert_eq!(issued.id.len(), 64);
        }
    }

    #[test]
    fn refuses_requests_that_are_none_or_are_not_signed_by_their_key() {
        let ca = ca();
        assert!(ca.issue_request("nothing").is_err());
        assert!(ca.issue_request(ca.pem()).is_err());
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::default();
        let request = params.serialize_request(&key).unwrap();
        let mut der = request.der().to_vec();
        let last = der.len() - 1;
        der[last] ^= 1;
        let forged = crate::state::certificate::pem("CERTIFICATE REQUEST", &der);
        assert!(ca.issue_request(&forged).err().unwrap().contains("does not fit its key"));
        let long = format!("{}{}", request.pem().unwrap(), "#".repeat(4096));
        assert!(ca.issue_request(&long).err().unwrap().contains("at most 4096"));
    }

    #[test]
    fn a_server_gets_names_and_addresses() {
        let certificate = ca().server_certificate(&["localhost", "127.0.0.1"]).unwrap();
        let der = x509::certificate_der(&certificate.chain_pem).unwrap();
        assert_eq!(x509::variable(&der, "Subject.AlternativeName.DNSName"), ["localhost"]);
        assert_eq!(x509::variable(&der, "Subject.AlternativeName.IPAddress"), ["127.0.0.1"]);
        assert_eq!(certificate.chain_pem.matches("BEGIN CERTIFICATE").count(), 2);
    }

    #[tokio::test]
    async fn stays_the_same_over_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let first = {
            let store = Store::open(folder.path()).unwrap();
            LocalCa::restore(&store, Timestamp(0)).unwrap().pem().to_owned()
        };
        let store = Store::open(folder.path()).unwrap();
        let again = Arc::new(LocalCa::restore(&store, Timestamp(9)).unwrap());
        assert_eq!(again.pem(), first);
        let issued = again.issue_keys().await.unwrap();
        assert!(x509::signed_by(&issued.der, &x509::certificate_der(&first).unwrap()));
    }
}
