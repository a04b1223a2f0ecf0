//! Handshakes between both ends, with certificates made for the test.
//!
//! No socket: both ends stand at a pipe in memory.

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::*;

struct Made {
    pem: String,
    key: String,
    identity: Identity,
}

fn made(name: &str) -> Made {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
    let (pem, key) = (certificate.pem(), key.serialize_pem());
    let identity = Identity::from_pem(&pem, &key).unwrap();
    Made { pem, key, identity }
}

#[derive(Debug)]
struct Only(Vec<u8>);

impl ClientGate for Only {
    fn admit(&self, certificate: &[u8], _: &[&[u8]]) -> bool {
        certificate == self.0
    }
}

/// Does a handshake and sends one byte each way.
async fn talk(server: Arc<ServerConfig>, client: Arc<ClientConfig>) -> std::io::Result<Vec<u8>> {
    let (near, far) = duplex(32 * 1024);
    let serving = tokio::spawn(async move {
        let mut stream = TlsAcceptor::from(server).accept(far).await?;
        let peer = stream.get_ref().1.peer_certificates().map(|chain| chain[0].to_vec());
        let byte = stream.read_u8().await?;
        stream.write_u8(byte).await?;
        stream.flush().await?;
        Ok::<_, std::io::Error>(peer.unwrap_or_default())
    });
    let name = ServerName::try_from("localhost").unwrap();
    let talking = async {
        let mut stream = TlsConnector::from(client).connect(name, near).await?;
        stream.write_u8(42).await?;
        stream.flush().await?;
        stream.read_u8().await
    };
    let answer = talking.await;
    let peer = serving.await.unwrap()?;
    assert_eq!(answer?, 42);
    Ok(peer)
}

#[tokio::test]
async fn admits_the_client_that_the_gate_knows_and_no_other() {
    let (server, known, unknown) = (made("localhost"), made("known"), made("unknown"));
    for versions in [Versions::Both, Versions::Only12, Versions::Only13] {
        let gate = Arc::new(Only(known.identity.certificate().to_vec()));
        let settings =
            ServerSettings { versions, ..ServerSettings::mutual(server.identity.clone(), gate) };
        let config = settings.build().unwrap();
        let clients = ClientSettings::trusting(&server.pem, Versions::Both).unwrap();
        let peer = talk(config.clone(), clients.with_identity(&known.identity)).await.unwrap();
        assert_eq!(peer, known.identity.certificate());
        assert!(talk(config.clone(), clients.with_identity(&unknown.identity)).await.is_err());
        assert!(talk(config, clients.without_identity()).await.is_err());
    }
}

#[tokio::test]
async fn refuses_a_client_that_shows_a_certificate_without_its_key() {
    let (server, known, thief) = (made("localhost"), made("known"), made("thief"));
    let gate = Arc::new(Only(known.identity.certificate().to_vec()));
    let config = ServerSettings::mutual(server.identity.clone(), gate).build().unwrap();
    let stolen = CertifiedKey::new(known.identity.0.cert.clone(), thief.identity.0.key.clone());
    let clients = ClientSettings::trusting(&server.pem, Versions::Both).unwrap();
    let stolen = clients.with_identity(&Identity(Arc::new(stolen)));
    assert!(talk(config, stolen).await.is_err());
    assert!(Identity::from_pem(&known.pem, &thief.key).is_err());
}

#[tokio::test]
async fn serves_the_alpn_of_mqtt_and_none_but_no_other() {
    let (server, known) = (made("localhost"), made("known"));
    let gate = Arc::new(Only(known.identity.certificate().to_vec()));
    let config = ServerSettings::mutual(server.identity.clone(), gate).build().unwrap();
    let clients = ClientSettings::trusting(&server.pem, Versions::Both).unwrap();
    for (alpn, is_served) in [(&[ALPN_MQTT][..], true), (&[][..], true), (&[&b"h2"[..]][..], false)]
    {
        let client = clients.clone().with_alpn(alpn).with_identity(&known.identity);
        assert_eq!(talk(config.clone(), client).await.is_ok(), is_served);
    }
}

#[tokio::test]
async fn can_insist_on_a_server_name() {
    let (server, known) = (made("localhost"), made("known"));
    let gate = Arc::new(Only(known.identity.certificate().to_vec()));
    let mut settings = ServerSettings::mutual(server.identity.clone(), gate);
    settings.needs_server_name = true;
    let config = settings.build().unwrap();
    let clients = ClientSettings::trusting(&server.pem, Versions::Both).unwrap();
    assert!(talk(config.clone(), clients.with_identity(&known.identity)).await.is_ok());
    let nameless = clients.without_server_name().with_identity(&known.identity);
    assert!(talk(config, nameless).await.is_err());
}

#[tokio::test]
async fn trusts_no_server_of_another_authority_or_name() {
    let (server, other, known) = (made("localhost"), made("localhost"), made("known"));
    let gate: Arc<dyn ClientGate> = Arc::new(Only(known.identity.certificate().to_vec()));
    let config = ServerSettings::mutual(server.identity.clone(), gate.clone()).build().unwrap();
    let clients = ClientSettings::trusting(&other.pem, Versions::Both).unwrap();
    assert!(talk(config, clients.with_identity(&known.identity)).await.is_err());
    let wrong = made("elsewhere");
    let config = ServerSettings::mutual(wrong.identity, gate).build().unwrap();
    let clients = ClientSettings::trusting(&wrong.pem, Versions::Both).unwrap();
    assert!(talk(config, clients.with_identity(&known.identity)).await.is_err());
}

#[test]
fn says_what_is_missing_and_shows_no_key() {
    let known = made("known");
    let error = Identity::from_pem("", &known.key).unwrap_err().to_string();
    assert!(error.contains("BEGIN CERTIFICATE"), "{error}");
    let error = Identity::from_pem(&known.pem, "not a key").unwrap_err().to_string();
    assert!(error.starts_with("cannot use the private key"), "{error}");
    assert_eq!(format!("{:?}", known.identity), "Identity { certificates: 1, .. }");
}
