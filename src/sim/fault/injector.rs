//! Injects the fault of one device: into its documents, its downloads and its flash.
//!
//! The injector stands between the wire and the device's own logic. Where a fault needs
//! an image of its own (an older one, one for another model), it brings one that is
//! signed by a key which only devices with a fault trust; so the device refuses it for
//! the reason that is tried, and not for its signature. A fault is spent when the first
//! update has ended.

use std::sync::Arc;

use bytes::Bytes;
use iotstack_mqtt::client::Deafness;
use serde_json::{Value, json};

use super::Fault;
use crate::Result;
use crate::dice::Dice;
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
    Redirected,
    UrlExpired,
    /// The ETag is another one.
    TagChanges,
}

/// What all injectors of a run share: the keys that devices with a fault know.
#[derive(Debug)]
pub(crate) struct FaultKit {
    trusted: Signer,
    revoked: Signer,
}

impl FaultKit {
    pub(crate) fn new() -> Result<Self> {
        Ok(FaultKit { trusted: Signer::generate(TRUSTED)?, revoked: Signer::generate(REVOKED)? })
    }
}

/// The fault of one device.
pub(crate) struct Injector {
    fault: Fault,
    kit: Arc<FaultKit>,
    dice: Dice,
    fetches: u32,
    reports: u32,
    is_spent: bool,
    has_worn: bool,
    has_deafened: bool,
}

impl Injector {
    pub(crate) fn new(fault: Fault, kit: Arc<FaultKit>, dice: Dice) -> Self {
        Injector {
            fault,
            kit,
            dice: dice.on("fault"),
            fetches: 0,
            reports: 0,
            is_spent: false,
            has_worn: false,
            has_deafened: false,
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

    /// Makes a device know the keys of the injector.
    pub(crate) fn extend(&self, trust: &mut Trust) -> Result<()> {
        trust.add(TRUSTED, self.kit.trusted.certificate())?;
        trust.add(REVOKED, self.kit.revoked.certificate())?;
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
            Fault::ExpiredImage => Recipe { expires: Some(now.saturating_sub(1)), ..healthy },
            Fault::RevokedSigner => {
                let image = self.bring(document, &healthy, true);
                let claim = self.kit.revoked.sign(&digest(&image));
                document["firmware"]["signature"] = json!({
                    "algorithm": claim.algorithm, "value": claim.value, "certificate": REVOKED});
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
            (Fault::Redirect, _) => Some(BodyFault::Redirected),
            (Fault::SlowRetrieval, 1) => Some(BodyFault::Drips { bytes_per_second: 16 }),
            (Fault::Stall, 1 | 2) => Some(BodyFault::Stalls { at: middle }),
            (Fault::NetworkLoss | Fault::OfflineInDownload | Fault::Cancelled, 1)
            | (Fault::UrlExpired | Fault::MixAndMatch, 1) => Some(BodyFault::Breaks { at: middle }),
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
const SIZE: usize = 16 * 1024;
