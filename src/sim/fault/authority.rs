//! An authority of the injector's own, and servers with certificates of every kind.
//!
//! A certificate that is wrong in one way must be right in all others, or a device would
//! refuse it for another reason than the one that is tried. So devices with a fault trust
//! this authority where one of its servers stands in for the real one. It is made for one
//! run, its key stays in memory, and no other device knows it. Its servers serve nobody
//! but clients that it vouches for itself: a relay goes on with a device's own identity,
//! which no other program on this machine may have the use of.

use std::sync::Arc;

use iotstack_mqtt::tls::{ClientConfig, ClientSettings, Identity, ServerConfig, Versions};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::{ProtocolVersion, RootCertStore, SignatureScheme, SupportedCipherSuite};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::{Error, Result};

/// Makes certificates for servers, and one for all who may come to them.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    roots: Arc<RootCertStore>,
    client: Arc<ClientConfig>,
}

/// What is remarkable about a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    Nothing,
    OtherName,
    RanOut,
    VeryLarge,
}

impl Authority {
    pub(crate) fn new() -> Result<Self> {
        Authority::named("iotstack fault injection")
    }

    /// Another authority, with a name of its own: one that nobody knows.
    pub(crate) fn unknown() -> Result<Self> {
        Authority::named("iotstack fault injection, unknown")
    }

    fn named(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().map_err(failed)?;
        let issuer = CertifiedIssuer::self_signed(params, key).map_err(failed)?;
        let mut roots = RootCertStore::empty();
        roots.add(issuer.der().clone()).map_err(failed)?;
        let settings = ClientSettings::trusting(&issuer.pem(), Versions::Both).map_err(failed)?;
        let client = settings.with_identity(&identity(&issuer)?);
        Ok(Authority { issuer, roots: Arc::new(roots), client })
    }

    /// TLS of clients that trust this authority and are not let in: one without a
    /// certificate, and one with another authority's.
    #[cfg(test)]
    pub(crate) fn strangers(&self, versions: Versions) -> [Arc<ClientConfig>; 2] {
        let settings = ClientSettings::trusting(&self.issuer.pem(), versions).unwrap();
        let other = Authority::unknown().unwrap();
        let identity = identity(&other.issuer).unwrap();
        [settings.without_identity(), settings.with_identity(&identity)]
    }

    /// TLS of a client that trusts this authority and no other, and is let in.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        self.client.clone()
    }

    /// TLS of a server with this name, all cipher suites in one.
    pub(crate) fn server(&self, name: &str, flaw: Flaw) -> Result<Arc<ServerConfig>> {
        let provider = rustls::crypto::ring::default_provider();
        self.certify(name, flaw)?.server(provider, rustls::ALL_VERSIONS)
    }

    /// TLS of the server with this name, each time with a single cipher suite.
    pub(crate) fn servers_by_suite(&self, name: &str) -> Result<Vec<Arc<ServerConfig>>> {
        let certified = self.certify(name, Flaw::Nothing)?;
        let all = rustls::crypto::ring::default_provider();
        let suites = all.cipher_suites.iter().copied().filter(suits_ecdsa);
        suites
            .map(|suite| {
                let provider = CryptoProvider { cipher_suites: vec![suite], ..all.clone() };
                let version = match suite.version().version {
                    ProtocolVersion::TLSv1_3 => &rustls::version::TLS13,
                    _ => &rustls::version::TLS12,
                };
                certified.server(provider, &[version])
            })
            .collect()
    }

    fn certify(&self, name: &str, flaw: Flaw) -> Result<Certified> {
        let mut names = match flaw {
            Flaw::OtherName => vec!["elsewhere.invalid".to_owned()],
            _ => vec![name.to_owned()],
        };
        if flaw == Flaw::VeryLarge {
            names.extend((0..400).map(|number| format!("{number}.a-rather-long-name.invalid")));
        }
        let mut params = CertificateParams::new(names).map_err(failed)?;
        if flaw == Flaw::RanOut {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        Ok(Certified { certificate, key, clients: self.roots.clone() })
    }
}

/// What a client shows that is let in.
fn identity(issuer: &CertifiedIssuer<'_, KeyPair>) -> Result<Identity> {
    let key = KeyPair::generate().map_err(failed)?;
    let mut params = CertificateParams::default();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, issuer).map_err(failed)?;
    Identity::from_der(vec![certificate.der().to_vec()], key.serialize_der()).map_err(failed)
}

struct Certified {
    certificate: rcgen::Certificate,
    key: KeyPair,
    /// Who vouches for those that are let in.
    clients: Arc<RootCertStore>,
}

impl Certified {
    fn server(
        &self,
        provider: CryptoProvider,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Result<Arc<ServerConfig>> {
        let chain = vec![self.certificate.der().clone()];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let provider = Arc::new(provider);
        let clients =
            WebPkiClientVerifier::builder_with_provider(self.clients.clone(), provider.clone())
                .build()
                .map_err(failed)?;
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(failed)?
            .with_client_cert_verifier(clients);
        Ok(Arc::new(builder.with_single_cert(chain, key).map_err(failed)?))
    }
}

/// The keys here are of elliptic curves, so suites with RSA cannot be had.
fn suits_ecdsa(suite: &SupportedCipherSuite) -> bool {
    match suite {
        SupportedCipherSuite::Tls13(_) => true,
        SupportedCipherSuite::Tls12(suite) => {
            suite.sign.contains(&SignatureScheme::ECDSA_NISTP256_SHA256)
        }
    }
}

fn failed(error: impl ToString) -> Error {
    Error::invalid("certificate of a server with a fault", error)
}
