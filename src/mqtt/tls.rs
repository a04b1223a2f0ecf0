//! Settings of mutual TLS, from certificates and keys in PEM or DER.
//!
//! One stack for both ends: rustls on ring. A server says by a [`ClientGate`] which
//! client certificates it knows; that the client holds the key is proved by the
//! handshake before any packet is read. Clients of one fleet share their trust and
//! everything else, and differ in an [`Identity`] only.
//!
//! Sessions are not resumed: a resumed session would outlive the withdrawal of its
//! certificate, and tickets cost memory for each connection. No file is read here.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::ResolvesClientCert;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, CipherSuite, DigitallySignedStruct, DistinguishedName, RootCertStore,
    SignatureScheme, SupportedProtocolVersion,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};

pub use rustls::{ClientConfig, ServerConfig};
pub use rustls_pki_types::ServerName;
pub use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::{Error, Result};

/// The protocol name with which AWS IoT offers MQTT with client certificates.
pub const ALPN_MQTT: &[u8] = b"x-amzn-mqtt-ca";

/// A certificate chain and its private key. Clones share both.
#[derive(Clone)]
pub struct Identity(Arc<CertifiedKey>);

impl Identity {
    /// From texts in PEM: the certificate first, then what it is signed with.
    pub fn from_pem(chain: &str, private_key: &str) -> Result<Self> {
        let key = PrivateKeyDer::from_pem_slice(private_key.as_bytes())
            .map_err(|error| unusable("the private key", error))?;
        Identity::new(certificates(chain)?, key)
    }

    /// From binary data: the certificate first, then what it is signed with, and a
    /// private key in PKCS #8, SEC 1 or PKCS #1.
    pub fn from_der(chain: Vec<Vec<u8>>, private_key: Vec<u8>) -> Result<Self> {
        let key = PrivateKeyDer::try_from(private_key)
            .map_err(|error| unusable("the private key", error))?;
        Identity::new(chain.into_iter().map(CertificateDer::from).collect(), key)
    }

    /// The certificate itself, in DER.
    pub fn certificate(&self) -> &[u8] {
        self.0.cert.first().map_or(&[], |certificate| certificate)
    }

    fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self> {
        let certified = CertifiedKey::from_der(chain, key, provider())
            .map_err(|error| unusable("the certificate with its private key", error))?;
        Ok(Identity(Arc::new(certified)))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificates", &self.0.cert.len()).finish_non_exhaustive()
    }
}

/// The versions of TLS that an end speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Versions {
    /// TLS 1.2 and 1.3.
    #[default]
    Both,
    /// TLS 1.2 only.
    Only12,
    /// TLS 1.3 only.
    Only13,
}

impl Versions {
    fn list(self) -> Vec<&'static SupportedProtocolVersion> {
        match self {
            Versions::Both => rustls::ALL_VERSIONS.to_vec(),
            Versions::Only12 => vec![&rustls::version::TLS12],
            Versions::Only13 => vec![&rustls::version::TLS13],
        }
    }
}

/// Knows which client certificates may come in.
pub trait ClientGate: fmt::Debug + Send + Sync {
    /// Whether a client with this certificate (DER) may connect. `intermediates` is
    /// what else it sent. The handshake ends with an alert if not.
    fn admit(&self, certificate: &[u8], intermediates: &[&[u8]]) -> bool;
}

/// How a server does TLS.
#[derive(Debug)]
pub struct ServerSettings {
    /// The server's certificate and key.
    pub identity: Identity,
    /// Who may come in; without a gate, clients show no certificate.
    pub clients: Option<Arc<dyn ClientGate>>,
    /// The protocols of ALPN that are spoken. A client that names others only is
    /// refused; one that names none is served.
    pub alpn: Vec<Vec<u8>>,
    /// Whether a client must name the server it wants (SNI). One that connects to an
    /// IP address never does.
    pub needs_server_name: bool,
    /// The versions of TLS.
    pub versions: Versions,
}

impl ServerSettings {
    /// Both versions, the ALPN of MQTT, no server name needed.
    pub fn mutual(identity: Identity, clients: Arc<dyn ClientGate>) -> Self {
        ServerSettings {
            identity,
            clients: Some(clients),
            alpn: vec![ALPN_MQTT.to_vec()],
            needs_server_name: false,
            versions: Versions::default(),
        }
    }

    /// Settings to accept any number of connections with.
    pub fn build(self) -> Result<Arc<ServerConfig>> {
        let builder = ServerConfig::builder_with_provider(provider().clone())
            .with_protocol_versions(&self.versions.list())
            .map_err(|error| unusable("the versions of TLS", error))?;
        let builder = match self.clients {
            Some(gate) => builder.with_client_cert_verifier(Arc::new(Gatekeeper { gate })),
            None => builder.with_no_client_auth(),
        };
        let server = Server { key: self.identity.0, needs_server_name: self.needs_server_name };
        let mut config = builder.with_cert_resolver(Arc::new(server));
        config.alpn_protocols = self.alpn;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ignore_client_order = true;
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }
}

/// How the clients of one fleet do TLS. Clones share the trusted certificates.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    shared: ClientConfig,
}

impl ClientSettings {
    /// Trusts servers that the certificates in `authorities` (PEM) vouch for.
    pub fn trusting(authorities: &str, versions: Versions) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(authorities)? {
            roots
                .add(certificate)
                .map_err(|error| unusable("the certificate of the authority", error))?;
        }
        let mut shared = ClientConfig::builder_with_provider(provider().clone())
            .with_protocol_versions(&versions.list())
            .map_err(|error| unusable("the versions of TLS", error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        // Sessions are kept by server name only, so devices that share them would
        // come back as each other.
        shared.resumption = rustls::client::Resumption::disabled();
        Ok(ClientSettings { shared })
    }

    /// The same, naming these protocols in ALPN.
    #[must_use]
    pub fn with_alpn(mut self, protocols: &[&[u8]]) -> Self {
        self.shared.alpn_protocols = protocols.iter().map(|each| each.to_vec()).collect();
        self
    }

    /// The same, without telling the server which name is wanted (SNI).
    #[must_use]
    pub fn without_server_name(mut self) -> Self {
        self.shared.enable_sni = false;
        self
    }

    /// Settings for one client with its own certificate: a few hundred bytes.
    pub fn with_identity(&self, identity: &Identity) -> Arc<ClientConfig> {
        let mut config = self.shared.clone();
        config.client_auth_cert_resolver = Arc::new(Client(identity.0.clone()));
        Arc::new(config)
    }

    /// Settings for clients that show no certificate.
    pub fn without_identity(&self) -> Arc<ClientConfig> {
        Arc::new(self.shared.clone())
    }
}

/// The certificates in a text in PEM, in its order; at least one.
pub fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|error| unusable("the certificate", error))?;
    if certificates.is_empty() {
        return Err(unusable("the certificate", "expected a section `BEGIN CERTIFICATE`"));
    }
    Ok(certificates)
}

/// Asks the gate about the certificate, and the handshake about the key.
#[derive(Debug)]
struct Gatekeeper {
    gate: Arc<dyn ClientGate>,
}

impl ClientCertVerifier for Gatekeeper {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> std::result::Result<ClientCertVerified, rustls::Error> {
        let intermediates: Vec<&[u8]> = intermediates.iter().map(|each| &**each).collect();
        match self.gate.admit(certificate, &intermediates) {
            true => Ok(ClientCertVerified::assertion()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = &provider().signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = &provider().signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

#[derive(Debug)]
struct Server {
    key: Arc<CertifiedKey>,
    needs_server_name: bool,
}

impl ResolvesServerCert for Server {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let is_served = !self.needs_server_name || hello.server_name().is_some();
        is_served.then(|| self.key.clone())
    }
}

#[derive(Debug)]
struct Client(Arc<CertifiedKey>);

impl ResolvesClientCert for Client {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        let mut provider = rustls::crypto::ring::default_provider();
        // As AWS IoT prefers it, and a twelfth of a handshake cheaper: processors have
        // instructions for SHA-256 and none for SHA-384.
        provider.cipher_suites.sort_by_key(|suite| !is_aes_128(suite.suite()));
        Arc::new(provider)
    })
}

fn is_aes_128(suite: CipherSuite) -> bool {
    matches!(
        suite,
        CipherSuite::TLS13_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
    )
}

fn unusable(what: &'static str, reason: impl fmt::Display) -> Error {
    Error::Tls { what, reason: reason.to_string() }
}

#[cfg(test)]
mod tests;
