//! One device, from power on to the end of the simulation.
//!
//! A life is a row of power cycles: the bootloader chooses an image, the image runs,
//! connects and talks to the cloud until something resets the device. Everything that
//! must survive a reset is in the flash and the key store; the rest begins anew, the
//! MQTT session included.
//!
//! The simulation itself is watched from outside: a device does not know that it is
//! one of many.

mod clock;
mod connect;
mod identity;
mod ordeal;
mod provision;
mod record;
mod talk;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use iotstack_mqtt::client::{Backoff, Session};
use iotstack_mqtt::tls::{ClientSettings, Identity};
use iotstack_protocol::JobId;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use clock::Clock;
use connect::SigningRequests;
pub(crate) use identity::{KeyStore, identity};
pub use record::{DeviceRecord, UpdateRecord};

use crate::Result;
use crate::boot::{BootError, Booted, boot};
use crate::dice::Dice;
use crate::download::Web;
use crate::fault::{Fault, Injector};
use crate::flash::{Flash, FlashError};
use crate::image::Behaviour;
use crate::observe::{Did, Event, Observer, Stats, Timed};
use crate::profile::Profile;
use crate::target::Target;
use crate::trust::Trust;
use crate::update::{JobKey, State, Updater};

/// What the whole fleet is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Control {
    /// The simulation is over.
    pub is_over: bool,
    /// How often everybody has lost the connection at one moment.
    pub herds: u32,
}

/// What the devices of a fleet share.
pub(crate) struct Shared {
    pub target: Target,
    pub trust: Trust,
    pub tls: Option<ClientSettings>,
    pub claim: Option<Identity>,
    pub web: Web,
    pub stats: Stats,
    pub observer: Arc<dyn Observer>,
    pub favours: mpsc::UnboundedSender<Favour>,
    pub requests: SigningRequests,
}

/// What a device with a fault asks whoever runs the simulation for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Favour {
    /// Cancel my execution of this job.
    Cancel { thing: String, job: JobId },
    /// Cut all connections at once.
    Herd,
    /// Kill the cloud and start it again.
    RestartCloud,
}

/// The update that a device works on, as far as time goes.
#[derive(Debug, Clone, Default)]
struct Work {
    /// Which one, as soon as it has been begun.
    key: Option<JobKey>,
    began: Option<Instant>,
    download_began: Option<Instant>,
    failed_fetches: u32,
    /// How often the device was away so that its execution times out.
    absences: u32,
    /// The job that the operator was asked to cancel. It outlives the connection: it may
    /// be cancelled while there is none.
    cancelling: Option<JobId>,
}

/// One device.
pub(crate) struct Device {
    shared: Arc<Shared>,
    place: u64,
    source: Option<IpAddr>,
    serial: String,
    thing: String,
    profile: Arc<Profile>,
    dice: Dice,
    flash: Flash,
    store: KeyStore,
    identity: Option<Identity>,
    session: Session,
    injector: Option<Box<Injector>>,
    /// What it trusts, if that is not what the fleet trusts.
    own_trust: Option<Box<Trust>>,
    clock: Clock,
    /// How often it has claimed a certificate in vain.
    refused_claims: u32,
    record: DeviceRecord,
    work: Work,
    /// The version that the shadow reports, so that nothing is said twice.
    reported_version: Option<String>,
    tokens: u64,
    control: watch::Receiver<Control>,
    has_been_ready: bool,
}

/// How a power cycle ends.
enum After {
    Reset,
    Over,
    Dead(String),
}

/// How a connection ends.
enum End {
    Reset,
    /// The connection is of no use any more.
    Lost(String),
    /// The link is gone for a while.
    Offline(Duration),
    Over,
    Flash(FlashError),
}

impl From<FlashError> for End {
    fn from(error: FlashError) -> Self {
        End::Flash(error)
    }
}

/// What a device is made of.
pub(crate) struct Parts {
    pub shared: Arc<Shared>,
    /// Which one it is in this process; the first one starts first.
    pub place: u64,
    /// The address to come from.
    pub source: Option<IpAddr>,
    pub serial: String,
    pub profile: Arc<Profile>,
    pub dice: Dice,
    pub flash: Flash,
    pub store: KeyStore,
    pub identity: Option<Identity>,
    pub injector: Option<Injector>,
    pub control: watch::Receiver<Control>,
}

impl Device {
    pub(crate) fn new(parts: Parts) -> Result<Self> {
        let own_trust = match &parts.injector {
            None => None,
            Some(injector) => {
                let mut trust = parts.shared.trust.clone();
                injector.extend(&mut trust)?;
                Some(Box::new(trust))
            }
        };
        let identity = match parts.identity {
            Some(identity) => Some(identity),
            None => parts.store.load()?,
        };
        let thing = parts.shared.target.thing_name(&parts.serial);
        let fault = parts.injector.as_ref().map(Injector::fault);
        Ok(Device {
            record: DeviceRecord::new(&thing, &parts.profile, fault),
            clock: Clock::at_first(fault),
            shared: parts.shared,
            place: parts.place,
            source: parts.source,
            serial: parts.serial,
            thing,
            profile: parts.profile,
            dice: parts.dice,
            flash: parts.flash,
            store: parts.store,
            identity,
            session: Session::default(),
            injector: parts.injector.map(Box::new),
            own_trust,
            work: Work::default(),
            refused_claims: 0,
            reported_version: None,
            tokens: 0,
            control: parts.control,
            has_been_ready: false,
        })
    }

    /// Lives until the simulation is over, and says how it went.
    pub(crate) async fn live(mut self) -> DeviceRecord {
        self.shared.stats.devices(1);
        if self.identity.is_some() {
            self.shared.stats.provisioned(1);
        }
        let pace = &self.shared.target.pace;
        let must_claim = self.identity.is_none() && self.shared.target.claim.is_some();
        let rate = match must_claim {
            true => pace.connects_per_second.min(pace.claims_per_second),
            false => pace.connects_per_second,
        };
        let start = self.place as f64 / rate.max(0.001);
        if !self.pause(Duration::from_secs_f64(start)).await {
            loop {
                match self.power_cycle().await {
                    After::Reset if self.pause(self.shared.target.pace.reset).await => break,
                    After::Reset => {}
                    After::Over => break,
                    After::Dead(reason) => {
                        self.shared.stats.dead(1);
                        self.tell(Did::Die { reason: &reason });
                        self.record.died = Some(reason);
                        break;
                    }
                }
            }
        }
        self.shared.stats.devices(-1);
        self.note_unplayed();
        self.flash.power_on();
        self.record.examine(&self.flash, self.own_trust.as_deref().unwrap_or(&self.shared.trust));
        self.record
    }

    async fn power_cycle(&mut self) -> After {
        self.flash.power_on();
        self.shared.stats.boots(1);
        self.record.boots += 1;
        let trust = self.own_trust.as_deref().unwrap_or(&self.shared.trust);
        let mut booted = match boot(&mut self.flash, trust) {
            Ok(booted) => booted,
            Err(BootError::Flash(FlashError::PowerLost)) => return After::Reset,
            Err(error) => return After::Dead(error.to_string()),
        };
        if booted.is_trial {
            booted.behaviour = self.behaviour(&booted);
        }
        self.tell(Did::Boot { version: &booted.version, is_trial: booted.is_trial });
        match booted.behaviour {
            Behaviour::Crashes => return After::Reset,
            Behaviour::Hangs => {
                return match self.pause(self.shared.target.pace.watchdog).await {
                    true => After::Over,
                    false => After::Reset,
                };
            }
            _ => {}
        }
        let updater = match Updater::wake(&mut self.flash, booted) {
            Ok(updater) => updater,
            Err(error) => return self.flash_failed(error),
        };
        if *updater.state() == State::Rebooting {
            return After::Reset;
        }
        self.run(updater).await
    }

    /// Runs the image: connects again and again, and talks.
    async fn run(&mut self, mut updater: Updater) -> After {
        let pace = self.shared.target.pace;
        let mut backoff = Backoff::new(pace.backoff, pace.longest_backoff);
        let began = Instant::now();
        let mut lost_at: Option<Instant> = None;
        loop {
            let is_testing = *updater.state() == State::Testing;
            let cannot_connect = updater.running().behaviour == Behaviour::CannotConnect;
            if is_testing && (cannot_connect || began.elapsed() >= pace.self_test) {
                if cannot_connect && self.pause(pace.self_test).await {
                    return After::Over;
                }
                return match updater.revert(&mut self.flash, "the new image cannot connect") {
                    Ok(()) => After::Reset,
                    Err(error) => self.flash_failed(error),
                };
            }
            let mut control = self.control.clone();
            let over = async {
                // An error means that whoever watches is gone, which is an end as well.
                let _ = control.wait_for(|control| control.is_over).await;
            };
            let attempt = tokio::select! {
                attempt = Box::pin(self.connect()) => attempt,
                () = over => return After::Over,
            };
            let end = match attempt {
                Ok(client) => {
                    backoff.reset();
                    if let Some(lost_at) = lost_at.take() {
                        self.shared.stats.time(Timed::Reconnect, lost_at.elapsed());
                    }
                    self.shared.stats.connected(1);
                    self.record.connects += 1;
                    self.tell(Did::Connect);
                    let end = self.talk(client, &mut updater).await;
                    self.shared.stats.connected(-1);
                    end
                }
                Err(error) => End::Lost(error.to_string()),
            };
            let wait = match end {
                End::Reset => return After::Reset,
                End::Over => return After::Over,
                End::Flash(error) => return self.flash_failed(error),
                End::Offline(time) => time,
                End::Lost(reason) => {
                    self.shared.stats.lost(1);
                    self.record.losses += 1;
                    self.tell(Did::Disconnect { reason: &reason });
                    // A wrong clock is the usual reason for certificates that are not
                    // valid, so the device sets it before it tries again.
                    self.clock = Clock::Right;
                    let chance = self.chance("backoff");
                    let time = backoff.next(chance);
                    self.tell(Did::Wait { time });
                    time
                }
            };
            lost_at.get_or_insert_with(Instant::now);
            if self.pause(wait).await {
                return After::Over;
            }
        }
    }

    /// What a new image does on this device: what it says, or what the profile rolls.
    fn behaviour(&self, booted: &Booted) -> Behaviour {
        if !booted.behaviour.is_healthy() {
            return booted.behaviour;
        }
        if let Some(behaviour) = self.injector.as_ref().and_then(|injector| injector.behaviour()) {
            return behaviour;
        }
        let dice = self.dice.on(&booted.version);
        if dice.on("crash").happens(self.profile.crash_rate) {
            Behaviour::Crashes
        } else if dice.on("failure").happens(self.profile.failure_rate) {
            Behaviour::FailsSelfTest
        } else {
            Behaviour::Healthy
        }
    }

    fn has_fault(&self, fault: Fault) -> bool {
        self.injector.as_ref().is_some_and(|injector| injector.is(fault))
    }

    /// Whether this fault is the device's and still to be met.
    fn is_due(&self, fault: Fault) -> bool {
        self.injector.as_ref().is_some_and(|injector| injector.is_due(fault))
    }

    /// A number in 0.0..1.0 that is another one each time.
    fn chance(&mut self, choice: &str) -> f64 {
        self.tokens += 1;
        self.dice.on(choice).of(self.tokens).fraction()
    }

    /// Waits; says whether the simulation is over.
    async fn pause(&mut self, time: Duration) -> bool {
        if self.control.borrow().is_over {
            return true;
        }
        if time.is_zero() {
            return false;
        }
        let over = self.control.wait_for(|control| control.is_over);
        timeout(time, over).await.is_ok()
    }

    fn flash_failed(&self, error: FlashError) -> After {
        match error {
            FlashError::PowerLost => After::Reset,
            error => After::Dead(error.to_string()),
        }
    }

    fn tell(&self, did: Did<'_>) {
        self.shared.observer.hear(&Event::Device { thing: &self.thing, did });
    }
}

/// Sleeps until a moment, or for ever without one.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => sleep(Duration::from_secs(86_400)).await,
    }
}
