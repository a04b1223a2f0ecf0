//! Where devices connect, whom they trust, and what they may ask for.
//!
//! Everything that differs between a local cloud, another AWS-compatible one and AWS
//! itself is in here, so that one scenario runs against all of them. Times and rates
//! are settings too: a test wants them short, and AWS wants claims to come slowly.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use iotstack_mqtt::client::Address;
use serde::{Deserialize, Serialize};

/// The cloud that devices talk to.
///
/// Its serialized form holds private keys; it is made for the pipe to a worker process.
#[derive(Clone, Serialize, Deserialize)]
pub struct Target {
    /// The broker.
    #[serde(with = "AddressForm")]
    pub broker: Address,
    /// Who vouches for the broker, PEM; plain TCP without it.
    pub authority: Option<String>,
    /// The name in the broker's certificate, if not the host's.
    pub server_name: Option<String>,
    /// Whether MQTT is named in ALPN, as port 443 needs it.
    pub names_mqtt_in_alpn: bool,
    /// How a device without a certificate gets one.
    pub claim: Option<Claiming>,
    /// Certificates that devices have already, by thing name.
    pub identities: BTreeMap<String, KeyPair>,
    /// Begins the thing name and every client id.
    pub prefix: String,
    /// Who vouches for the servers of images, PEM; [`Self::authority`] without it.
    pub web_authority: Option<String>,
    /// Whether images may come over plain HTTP, as from a local cloud.
    pub allows_plain_downloads: bool,
    /// The certificates that sign firmware, PEM, by the name in the job document.
    pub signers: BTreeMap<String, String>,
    /// Where telemetry goes; `{thing}` stands for the thing name. None is sent without.
    pub telemetry_topic: Option<String>,
    /// The addresses to come from, in turn.
    pub sources: Vec<IpAddr>,
    /// Where devices keep keys and flash, a folder for each; in memory without.
    pub folder: Option<PathBuf>,
    /// How fast devices do things.
    pub pace: Pace,
}

/// How the address of the broker is handed to worker processes.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Address")]
struct AddressForm {
    host: String,
    port: u16,
}

/// A certificate and its key, both PEM. Its `Debug` shows neither.
#[derive(Clone, Serialize, Deserialize)]
pub struct KeyPair {
    /// The certificate, and what it is signed with.
    pub certificate: String,
    /// The private key.
    pub private_key: String,
}

/// How a device without a certificate gets one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claiming {
    /// The claim certificate, which every device has from the factory.
    pub claim: KeyPair,
    /// The provisioning template.
    pub template: String,
    /// The template's parameter for the serial number.
    pub serial_parameter: String,
    /// Further parameters.
    pub parameters: BTreeMap<String, String>,
    /// Who makes the device's key.
    pub key: KeyOrigin,
}

/// Who makes a device's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum KeyOrigin {
    /// The device; it sends a certificate signing request, and the key never leaves it.
    /// A fleet of which no device gets an answer to such a request goes on with keys
    /// of the cloud, because there are clouds that do not know them.
    #[default]
    Device,
    /// The cloud, which sends the key along with the certificate.
    Cloud,
}

/// How fast devices do things, and how patient they are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// How many devices connect in a second.
    pub connects_per_second: f64,
    /// How many devices claim a certificate in a second.
    pub claims_per_second: f64,
    /// How long a connection, an acknowledgement or an answer may take.
    pub patience: Duration,
    /// Keep alive, in seconds.
    pub keep_alive: u16,
    /// The first wait after a failure.
    pub backoff: Duration,
    /// The longest wait after a failure.
    pub longest_backoff: Duration,
    /// How long a new image may take to connect and test itself.
    pub self_test: Duration,
    /// How long a reset takes.
    pub reset: Duration,
    /// After how long a watchdog resets a device that hangs.
    pub watchdog: Duration,
    /// How long nothing may come of a download.
    pub stall: Duration,
    /// How many bytes of a download must come in a second.
    pub minimum_rate: u64,
    /// How long a download may take in all.
    pub download: Duration,
    /// How often a device asks for jobs, in case a notification was lost.
    pub poll: Duration,
    /// How long a device stays away whose execution is to time out meanwhile: longer than
    /// the shortest step timeout, which is a minute.
    pub away: Duration,
}

impl Pace {
    /// For a cloud on this machine.
    pub fn local() -> Self {
        Pace {
            connects_per_second: 250.0,
            claims_per_second: 250.0,
            patience: Duration::from_secs(20),
            keep_alive: 300,
            backoff: Duration::from_millis(500),
            longest_backoff: Duration::from_secs(20),
            self_test: Duration::from_secs(15),
            reset: Duration::from_millis(200),
            watchdog: Duration::from_secs(1),
            stall: Duration::from_secs(5),
            minimum_rate: 256,
            download: Duration::from_secs(300),
            poll: Duration::from_secs(120),
            away: Duration::from_secs(65),
        }
    }

    /// For AWS, within its quotas.
    pub fn aws() -> Self {
        Pace {
            connects_per_second: 50.0,
            claims_per_second: 8.0,
            patience: Duration::from_secs(30),
            keep_alive: 300,
            backoff: Duration::from_secs(1),
            longest_backoff: Duration::from_secs(120),
            self_test: Duration::from_secs(90),
            reset: Duration::from_secs(1),
            watchdog: Duration::from_secs(5),
            stall: Duration::from_secs(20),
            minimum_rate: 128,
            download: Duration::from_secs(1800),
            poll: Duration::from_secs(600),
            away: Duration::from_secs(90),
        }
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").finish_non_exhaustive()
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("broker", &self.broker)
            .field("prefix", &self.prefix)
            .field("identities", &self.identities.len())
            .finish_non_exhaustive()
    }
}

impl Target {
    /// A target without TLS, claims and keys, to be completed.
    pub fn new(broker: Address, prefix: impl Into<String>) -> Self {
        Target {
            broker,
            authority: None,
            server_name: None,
            names_mqtt_in_alpn: false,
            claim: None,
            identities: BTreeMap::new(),
            prefix: prefix.into(),
            web_authority: None,
            allows_plain_downloads: false,
            signers: BTreeMap::new(),
            telemetry_topic: None,
            sources: Vec::new(),
            folder: None,
            pace: Pace::local(),
        }
    }

    /// Addresses enough for `devices` devices to come from, if the broker is on this
    /// machine: each has some 28,000 ports. None otherwise.
    pub(crate) fn loopback_sources(&self, devices: usize) -> Vec<IpAddr> {
        let is_near = self.broker.host == "localhost" || self.broker.host.starts_with("127.");
        if !is_near || devices <= DEVICES_PER_SOURCE {
            return Vec::new();
        }
        let count = devices.div_ceil(DEVICES_PER_SOURCE).min(250) as u8;
        (1..=count).map(|last| IpAddr::from([127, 0, 0, last])).collect()
    }

    /// The name of the thing with this serial number.
    pub fn thing_name(&self, serial: &str) -> String {
        format!("{}-{serial}", self.prefix)
    }
}

/// Room is left for downloads and for ports that wait to be free again.
const DEVICES_PER_SOURCE: usize = 8_000;
