//! Injects the fault of one device: into its documents, its downloads and its flash.
//!
//! The injector stands between the wire and the device's own logic. Where a fault needs
//! an image of its own (an older one, one for another model), it brings one that is
//! signed by a key which only devices with a fault trust; so the device refuses it for
//! the reason that is tried, and not for its signature. Servers of its own are handled
//! alike. A fault is spent when the first update has ended.

use std::sync::Arc;

use bytes::Bytes;
use iotstack_mqtt::client::{Deafness, Dial};
use iotstack_mqtt::tls::ClientConfig;
use serde_json::{Value, json};

use super::Fault;
use super::authority::Authority;
use super::origin::{Habit, Origin};
use super::relay::{Guise, Relay};
use crate::Result;
use crate::dice::Dice;
use crate::download::Web;
use crate::flash::{PAGE, Wear};
use crate::image::{Behaviour, Recipe, digest};
use crate::signer::Signer;
use crate::trust::Trust;

/// What happens to the bytes of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyFault {
    FlipBit {
        at: u64,
    },
    Truncate {
        at: u64,
    },
    /// The connection breaks.
    Breaks {
        at: u64,
    },
    Drips {
        bytes_per_second: u64,
    },
    Stalls {
        at: u64,
    },
    Endless,
    UrlExpired,
    /// The ETag is another one.
    TagChanges,
}

/// What all injectors of a run share: the keys that devices with a fault know.
pub(crate) struct FaultKit {
    trusted: Signer,
    revoked: Signer,
    expired: Signer,
    pub(super) authority: Authority,
}

impl FaultKit {
    pub(crate) fn new() -> Result<Self> {
        Ok(FaultKit {
            trusted: Signer::generate(TRUSTED)?,
            revoked: Signer::generate(REVOKED)?,
            expired: Signer::generate_expired(EXPIRED)?,
            authority: Authority::new()?,
        })
    }
}

/// A moment at which the power can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The image is installed, and nobody has been told.
    Installed,
    /// The image runs on trial, and is not committed.
    OnTrial,
    /// The image is committed, and the cloud does not know it.
    Committed,
    /// A report was refused.
    Refused,
}

/// The fault of one device.
pub(crate) struct Injector {
    fault: Fault,
    kit: Arc<FaultKit>,
    dice: Dice,
    fetches: u32,
    reports: u32,
    cuts: u32,
    is_spent: bool,
    has_worn: bool,
    has_deafened: bool,
    has_played: bool,
    /// How often something was waited for in vain.
    waits: u32,
    relay: Option<Relay>,
    origin: Option<Origin>,
}

impl Injector {
    pub(crate) fn new(fault: Fault, kit: Arc<FaultKit>, dice: Dice) -> Self {
        Injector {
            fault,
            kit,
            dice: dice.on("fault"),
            fetches: 0,
            reports: 0,
            cuts: 0,
            is_spent: false,
            has_worn: false,
            has_deafened: false,
            has_played: false,
            waits: 0,
            relay: None,
            origin: None,
        }
    }

    pub(crate) fn fault(&self) -> Fault {
        self.fault
    }

    /// The first update has ended: nothing happens any more.
    pub(crate) fn spend(&mut self) {
        self.is_spent = true;
    }

    pub(crate) fn is(&self, fault: Fault) -> bool {
        self.fault == fault && !self.is_spent
    }

    /// Whether this fault is the device's and still to be met.
    pub(crate) fn is_due(&self, fault: Fault) -> bool {
        self.is(fault) && !self.has_played
    }

    /// The fault, as long as it is not spent.
    pub(crate) fn active(&self) -> Option<Fault> {
        (!self.is_spent).then_some(self.fault)
    }

    /// What the device was to meet has happened.
    pub(crate) fn note_played(&mut self) {
        self.has_played = true;
    }

    pub(crate) fn has_played(&self) -> bool {
        self.has_played
    }

    /// Whether something may still be waited for; counts how often it was.
    pub(crate) fn may_wait(&mut self) -> bool {
        self.waits += 1;
        self.waits <= LONGEST_WAIT
    }

    /// Makes a device know the keys of the injector.
    pub(crate) fn extend(&self, trust: &mut Trust) -> Result<()> {
        trust.add(TRUSTED, self.kit.trusted.certificate())?;
        trust.add(REVOKED, self.kit.revoked.certificate())?;
        trust.add(EXPIRED, self.kit.expired.certificate())?;
        trust.revoke(REVOKED);
        Ok(())
    }

    /// Changes a job document; gives the image that goes with it, if it is another one.
    pub(crate) fn document(
        &self,
        document: &mut Value,
        model: &str,
        running: &str,
        now: u64,
    ) -> Option<Bytes> {
        if self.is_spent || document.get("firmware").is_none() {
            return None;
        }
        let version = document["firmware"]["version"].as_str().unwrap_or("1").to_owned();
        let signature = &mut document["firmware"]["signature"];
        let healthy = Recipe { model: Some(model.to_owned()), ..Recipe::new(&version, SIZE) };
        let recipe = match self.fault {
            Fault::Unsigned => {
                *signature = Value::Null;
                return None;
            }
            Fault::GarbageSignature => {
                // Well formed, and made for something else.
                let claim = self.kit.trusted.sign(&digest(b"something else"));
                signature["value"] = claim.value.into();
                return None;
            }
            Fault::UntrustedSigner => {
                signature["certificate"] = "nobody.pem".into();
                return None;
            }
            Fault::WrongAlgorithm => {
                signature["algorithm"] = "SHA1withRSA".into();
                return None;
            }
            Fault::FastForward => {
                document["firmware"]["version"] = "999999.0.0".into();
                // Only an image that says its version can contradict the document.
                return Some(self.bring(document, &healthy, false));
            }
            Fault::Expired => {
                document["expires"] = now.saturating_sub(1).into();
                return None;
            }
            Fault::Replay => {
                document["sequence"] = (LATEST - 1).into();
                return None;
            }
            Fault::ExpiredImage => Recipe { expires: Some(now.saturating_sub(1)), ..healthy },
            Fault::RevokedSigner | Fault::ExpiredSigner => {
                let image = self.bring(document, &healthy, true);
                let signer = match self.fault {
                    Fault::RevokedSigner => &self.kit.revoked,
                    _ => &self.kit.expired,
                };
                let claim = signer.sign(&digest(&image));
                document["firmware"]["signature"] = json!({"algorithm": claim.algorithm,
                    "value": claim.value, "certificate": claim.certificate});
                return Some(image);
            }
            Fault::Downgrade => Recipe { version: "0.0.0-0".to_owned(), ..healthy },
            Fault::SameVersion => Recipe { version: running.to_owned(), ..healthy },
            Fault::WrongDevice => Recipe { model: Some(format!("not-{model}")), ..healthy },
            Fault::WrongBase => Recipe { base: Some(digest(b"another base")), ..healthy },
            Fault::ExtraBytes => {
                let image = healthy.make().unwrap_or_default();
                let longer: Bytes =
                    [image, Bytes::from_static(b"more than the image")].concat().into();
                return Some(self.describe(document, &version, longer));
            }
            _ => return None,
        };
        Some(self.bring(document, &recipe, true))
    }

    /// What happens to the next download.
    pub(crate) fn body(&mut self, size: u64) -> Option<BodyFault> {
        if self.is_spent {
            return None;
        }
        self.fetches += 1;
        let middle = (size / 2).max(1);
        match (self.fault, self.fetches) {
            (Fault::BitFlip, _) => {
                Some(BodyFault::FlipBit { at: self.dice.on("bit").below(size.max(1)) })
            }
            (Fault::Truncated, _) => Some(BodyFault::Truncate { at: size.saturating_sub(1) }),
            (Fault::EndlessData, _) => Some(BodyFault::Endless),
            (Fault::SlowRetrieval, 1) => Some(BodyFault::Drips { bytes_per_second: 16 }),
            (Fault::Stall, 1 | 2) => Some(BodyFault::Stalls { at: middle }),
            (Fault::Intermittent, 1..=3) => {
                let at = (size * u64::from(self.fetches) / 4).max(1);
                Some(BodyFault::Breaks { at })
            }
            (
                Fault::NetworkLoss
                | Fault::SecondClient
                | Fault::KeptSession
                | Fault::LostSession
                | Fault::TimedOut
                | Fault::Cancelled
                | Fault::UrlExpired
                | Fault::MixAndMatch,
                1,
            ) => Some(BodyFault::Breaks { at: middle }),
            (Fault::UrlExpired, 2) => Some(BodyFault::UrlExpired),
            (Fault::MixAndMatch, 2) => Some(BodyFault::TagChanges),
            _ => None,
        }
    }

    /// What is wrong with the flash from the beginning of an update on.
    pub(crate) fn wear(&mut self, size: u64) -> Option<Wear> {
        if self.is_spent || self.has_worn {
            return None;
        }
        self.has_worn = true;
        let pages = size.div_ceil(PAGE as u64).max(1);
        let wear = Wear::default();
        // About as many writes as an update has: pages, checkpoints, records.
        let cut_at_write = Some(1 + self.dice.on("cut").below(pages + pages / 16 + 10));
        match self.fault {
            Fault::PowerCut => Some(Wear { cut_at_write, ..wear }),
            Fault::TornWrite => Some(Wear { cut_at_write, is_torn: true, ..wear }),
            Fault::FlashFull => Some(Wear { full_after: Some(size / 2), ..wear }),
            Fault::FlashReadOnly => Some(Wear { is_read_only: true, ..wear }),
            Fault::BadBlock => {
                Some(Wear { bad_page: Some(self.dice.on("page").below(pages)), ..wear })
            }
            Fault::SyncFails => Some(Wear { sync_fails: true, ..wear }),
            _ => None,
        }
    }

    /// What the new image does on this device.
    pub(crate) fn behaviour(&self) -> Option<Behaviour> {
        match self.fault {
            _ if self.is_spent => None,
            Fault::Crash => Some(Behaviour::Crashes),
            Fault::Hang => Some(Behaviour::Hangs),
            Fault::SelfTest => Some(Behaviour::FailsSelfTest),
            Fault::NoConnection => Some(Behaviour::CannotConnect),
            _ => None,
        }
    }

    /// Which packets the device does not hear on its next connection.
    pub(crate) fn deafness(&mut self) -> Option<Deafness> {
        if self.is_spent || self.has_deafened {
            return None;
        }
        let packet = match self.fault {
            Fault::NoConnack => "CONNACK",
            Fault::NoPuback => "PUBACK",
            Fault::NoSuback => "SUBACK",
            Fault::NoPingresp => "PINGRESP",
            _ => return None,
        };
        self.has_deafened = true;
        Some(Deafness { packet, times: 1 })
    }

    /// Whether the next report is refused on its way.
    pub(crate) fn refuses_report(&mut self) -> bool {
        if !self.is(Fault::ReportRefused) {
            return false;
        }
        self.reports += 1;
        self.reports <= 3
    }

    /// Whether the power fails at this moment.
    pub(crate) fn cuts_power(&mut self, at: Moment) -> bool {
        let times = match (self.fault, at) {
            _ if self.is_spent => return false,
            (Fault::CutAfterInstall, Moment::Installed | Moment::OnTrial) => 2,
            (Fault::CutBeforeReport, Moment::Committed) => 2,
            // With one more refusal after the reset.
            (Fault::ReportRefused, Moment::Refused) if self.reports == 2 => 1,
            _ => return false,
        };
        self.cuts += 1;
        self.cuts <= times
    }

    /// The sequence that the device takes for the latest it has installed.
    pub(crate) fn latest_sequence(&self) -> Option<u64> {
        self.is(Fault::Replay).then_some(LATEST)
    }

    /// What the device meets in place of its broker.
    pub(crate) fn guise(&self) -> Option<Guise> {
        let guise = match self.fault {
            _ if self.is_spent => return None,
            Fault::UnknownBroker => Guise::Unknown,
            Fault::MisnamedBroker => Guise::OtherName,
            Fault::ExpiredBroker => Guise::RanOut,
            Fault::LargeCertificate => Guise::VeryLarge,
            Fault::CipherSuites => Guise::SuiteBySuite,
            Fault::LargestFragments => Guise::LargestFragments,
            _ => return None,
        };
        // One that must not be trusted is met once.
        (!guise.is_impostor() || !self.has_played).then_some(guise)
    }

    /// The server in place of the broker of this name, and TLS of a device that trusts
    /// the authority of such servers.
    pub(crate) async fn relay(
        &mut self,
        guise: Guise,
        name: &str,
        broker: Dial,
    ) -> Result<(&Relay, Arc<ClientConfig>)> {
        let authority = &self.kit.authority;
        let broker = (!guise.is_impostor()).then_some(broker);
        let relay = match self.relay.take() {
            Some(relay) => relay,
            None => Relay::start(guise, authority, name, broker).await?,
        };
        Ok((self.relay.insert(relay), authority.client()))
    }

    /// The server that the device meets in place of the image's.
    pub(crate) async fn origin(
        &mut self,
        url: &str,
        web: &Web,
        size: u64,
    ) -> Result<Option<&Origin>> {
        let habit = match self.fault {
            _ if self.is_spent => return Ok(None),
            Fault::LengthLie => Habit::SaysMore { size },
            Fault::Redirect => Habit::LeadsAway,
            Fault::PlainRedirect => Habit::LeadsToPlain,
            Fault::MisnamedServer => Habit::OtherName,
            Fault::UnknownServer => Habit::Unknown,
            Fault::RangeIgnored => {
                Habit::IgnoresRanges { url: url.to_owned(), web: Box::new(web.clone()), size }
            }
            _ => return Ok(None),
        };
        let origin = match self.origin.take() {
            Some(origin) => origin,
            None => Origin::start(habit, &self.kit.authority).await?,
        };
        Ok(Some(self.origin.insert(origin)))
    }

    /// An image made by a recipe, described by the document.
    fn bring(&self, document: &mut Value, recipe: &Recipe, with_version: bool) -> Bytes {
        let image = recipe.make().unwrap_or_default();
        let version = match with_version {
            true => recipe.version.clone(),
            false => document["firmware"]["version"].as_str().unwrap_or_default().to_owned(),
        };
        self.describe(document, &version, image)
    }

    fn describe(&self, document: &mut Value, version: &str, image: Bytes) -> Bytes {
        let sha256 = digest(&image);
        let claim = self.kit.trusted.sign(&sha256);
        let firmware = &mut document["firmware"];
        firmware["version"] = version.into();
        firmware["size"] = image.len().into();
        firmware["sha256"] = sha256.to_string().into();
        firmware["signature"] = json!({
            "algorithm": claim.algorithm, "value": claim.value, "certificate": claim.certificate});
        image
    }
}

const TRUSTED: &str = "fault-injection.pem";
const REVOKED: &str = "fault-injection-revoked.pem";
const EXPIRED: &str = "fault-injection-expired.pem";

/// The sequence that is said to be installed already.
const LATEST: u64 = 2;

/// How often a device looks whether the operator has done what the fault needs.
const LONGEST_WAIT: u32 = 200;

const SIZE: usize = 16 * 1024;
