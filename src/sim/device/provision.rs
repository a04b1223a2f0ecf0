//! Fleet provisioning by claim: how a device becomes a thing with its own certificate.
//!
//! On a connection with the claim certificate the device asks for a certificate, hands
//! in the ownership token with its serial number, and gets its thing name. Nothing of
//! it is kept before the cloud has said yes to everything: a certificate that was made
//! and not registered is never used, and the cloud forgets it. The next attempt begins
//! with a new key.

use std::time::Duration;

use iotstack_mqtt::client::{Client, Heard, Options, Session, Stream};
use iotstack_mqtt::wire::QoS;
use iotstack_protocol::topic::{
    create_certificate_from_csr, create_keys_and_certificate, provision,
};
use rcgen::{CertificateParams, DnType, KeyPair as Generated, PKCS_ECDSA_P256_SHA256};
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use crate::target::{Claiming, KeyOrigin, KeyPair};
use crate::{Error, Result};

/// What a device has become.
pub(crate) struct Provisioned {
    pub thing: String,
    pub pair: KeyPair,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    certificate_ownership_token: String,
    certificate_pem: String,
    private_key: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Registered {
    thing_name: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Rejected {
    status_code: i64,
    error_code: String,
    error_message: String,
}

/// Claims a certificate for the device with this serial number on a connection that
/// stands already.
///
/// `fails_late` makes the registration fail after the certificate has been made.
pub(crate) async fn claim(
    stream: Stream,
    options: &Options,
    claiming: &Claiming,
    origin: KeyOrigin,
    serial: &str,
    address: &str,
    fails_late: bool,
) -> Result<Provisioned> {
    let wire = |source| Error::Mqtt { address: address.to_owned(), source };
    let mut client = Client::open(stream, options, Session::default())
        .await
        .map_err(|(error, _)| wire(error))?;
    let patience = options.patience;
    let register = provision(&claiming.template)
        .map_err(|error| Error::invalid("provisioning template", error))?;
    let create = match origin {
        KeyOrigin::Device => create_certificate_from_csr(),
        KeyOrigin::Cloud => create_keys_and_certificate(),
    };
    let topics = [create.accepted(), create.rejected(), register.accepted(), register.rejected()];
    let filters: Vec<&str> = topics.iter().map(|topic| topic.as_str()).collect();
    client.subscribe(&filters).await.map_err(wire)?;
    wait(&mut client, patience, "the subscription", address, |heard| {
        matches!(heard, Heard::Subscribed(_)).then_some(())
    })
    .await?;

    let (own_key, request) = match origin {
        KeyOrigin::Device => {
            let (key, request) = signing_request()?;
            (Some(key), json!({"certificateSigningRequest": request}).to_string())
        }
        // The payload may be empty, and some clouds want it to be an object.
        KeyOrigin::Cloud => (None, "{}".to_owned()),
    };
    let ask = |topic: &str| topic.to_owned();
    client.publish(ask(create.as_str()), request, QoS::AtLeastOnce).await.map_err(wire)?;
    // A cloud that knows no such requests says nothing at all.
    let limit = patience.min(Duration::from_secs(10));
    let created = answer(&mut client, create.as_str(), limit, serial, address).await;
    let created: Created = match (created, origin) {
        (Err(Error::Late { seconds, .. }), KeyOrigin::Device) => {
            let what = UNANSWERED_REQUEST.to_owned();
            return Err(Error::Late { what, seconds });
        }
        (created, _) => created?,
    };
    if fails_late {
        return Err(Error::Provisioning {
            device: serial.to_owned(),
            status: 403,
            code: "AccessDenied".to_owned(),
            message: "the registration was refused on purpose".to_owned(),
        });
    }
    let mut parameters = claiming.parameters.clone();
    parameters.insert(claiming.serial_parameter.clone(), serial.to_owned());
    let body = json!({
        "certificateOwnershipToken": created.certificate_ownership_token,
        "parameters": parameters,
    });
    client
        .publish(ask(register.as_str()), body.to_string(), QoS::AtLeastOnce)
        .await
        .map_err(wire)?;
    let registered: Registered =
        answer(&mut client, register.as_str(), patience, serial, address).await?;
    client.close().await;
    let private_key = own_key.or(created.private_key).ok_or_else(|| {
        Error::invalid("answer to the claim", "it has no private key: expected `privateKey`")
    })?;
    let pair = KeyPair { certificate: created.certificate_pem, private_key };
    Ok(Provisioned { thing: registered.thing_name, pair })
}

/// What did not happen if a cloud does not know certificate signing requests.
pub(crate) const UNANSWERED_REQUEST: &str = "the answer to the certificate signing request";

/// Waits for the answer to a request on `topic`.
async fn answer<T: for<'de> Deserialize<'de>>(
    client: &mut Client<Stream>,
    topic: &str,
    patience: Duration,
    serial: &str,
    address: &str,
) -> Result<T> {
    let message = wait(client, patience, "the answer to the claim", address, |heard| {
        let Heard::Message(message) = heard else { return None };
        match message.topic.strip_prefix(topic)? {
            "/accepted" => Some((true, message.payload)),
            "/rejected" => Some((false, message.payload)),
            _ => None,
        }
    });
    match message.await? {
        (true, payload) => serde_json::from_slice(&payload)
            .map_err(|error| Error::invalid("answer to the claim", error)),
        (false, payload) => {
            let refused: Rejected = serde_json::from_slice(&payload).unwrap_or_default();
            Err(Error::Provisioning {
                device: serial.to_owned(),
                status: refused.status_code,
                code: refused.error_code,
                message: refused.error_message,
            })
        }
    }
}

/// Waits for what `wanted` picks, for as long as patience allows.
async fn wait<T>(
    client: &mut Client<Stream>,
    patience: Duration,
    what: &str,
    address: &str,
    wanted: impl Fn(Heard) -> Option<T>,
) -> Result<T> {
    let waiting = async {
        loop {
            let heard = client
                .next()
                .await
                .map_err(|source| Error::Mqtt { address: address.to_owned(), source })?;
            if let Some(found) = wanted(heard) {
                return Ok(found);
            }
        }
    };
    timeout(patience, waiting)
        .await
        .unwrap_or_else(|_| Err(Error::Late { what: what.to_owned(), seconds: patience.as_secs() }))
}

/// A new key, and a request for a certificate of it, both PEM.
fn signing_request() -> Result<(String, String)> {
    let failed = |error: rcgen::Error| Error::invalid("device key", error);
    let key = Generated::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "AWS IoT Certificate");
    let request = params.serialize_request(&key).map_err(failed)?;
    Ok((key.serialize_pem(), request.pem().map_err(failed)?))
}
