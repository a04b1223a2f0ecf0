//! A fleet: many devices on one runtime, started in a row and watched together.
//!
//! A fleet can be a slice of a larger one, so that several processes play one
//! simulation; what they bring home is plain data and adds up. Devices are told two
//! things only: that the simulation is over, and that all connections are cut.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use iotstack_mqtt::tls::{ALPN_MQTT, ClientSettings, Versions};

use crate::boot::{Manifest, manufacture, read};
use crate::device::{Control, Device, DeviceRecord, Favour, KeyStore, Parts, Shared, identity};
use crate::dice::Dice;
use crate::download::Web;
use crate::fault::{Fault, FaultKit, Injector};
use crate::flash::{Flash, Shelf};
use crate::image::{Behaviour, Recipe, digest};
use crate::observe::{Counts, Observer, Stats};
use crate::profile::Profile;
use crate::signer::Signer;
use crate::target::Target;
use crate::trust::Trust;
use crate::{Error, Result};

/// One device of a plan.
#[derive(Debug, Clone)]
pub struct DevicePlan {
    /// Its serial number, which is the end of its thing name.
    pub serial: String,
    /// Its character.
    pub profile: Arc<Profile>,
    /// The fault that is injected.
    pub fault: Option<Fault>,
}

/// A fleet that runs. Dropping it ends all of its devices at once.
pub struct Fleet {
    shared: Arc<Shared>,
    control: watch::Sender<Control>,
    devices: JoinSet<DeviceRecord>,
    favours: mpsc::UnboundedReceiver<Favour>,
    size: u64,
}

/// What a fleet brings home.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct FleetOutcome {
    /// Every device.
    pub devices: Vec<DeviceRecord>,
    /// The numbers at the end.
    pub counts: Counts,
    /// How long things took.
    pub times: Vec<TimeSummary>,
}

/// How long one kind of thing took, in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimeSummary {
    /// What.
    pub name: String,
    /// How often.
    pub count: u64,
    /// Half of them took no longer.
    pub p50: f64,
    /// 95 of a hundred took no longer.
    pub p95: f64,
    /// 99 of a hundred took no longer.
    pub p99: f64,
    /// The longest.
    pub maximum: f64,
}

impl Fleet {
    /// Starts the devices of a plan that are in `slice`, as the seed decides.
    pub fn start(
        plan: &[DevicePlan],
        slice: Range<usize>,
        target: Target,
        seed: u64,
        observer: Arc<dyn Observer>,
    ) -> Result<Fleet> {
        let end = slice.end.min(plan.len());
        let first = slice.start.min(end);
        Fleet::start_numbered(&plan[first..end], first, target, seed, observer)
    }

    /// Starts devices that are numbered from `first` on.
    pub(crate) fn start_numbered(
        plan: &[DevicePlan],
        first: usize,
        mut target: Target,
        seed: u64,
        observer: Arc<dyn Observer>,
    ) -> Result<Fleet> {
        if target.sources.is_empty() {
            target.sources = target.loopback_sources(first + plan.len());
        }
        // Every connection is an open file, and systems begin with a thousand or so.
        if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
            tracing::warn!(%error, "the limit of open files stays as it is");
        }
        let factory = match &target.folder {
            None => Signer::generate(FACTORY)?,
            Some(folder) => {
                crate::private::make_folder(folder)?;
                Signer::kept_in(&folder.join("factory.key"), FACTORY)?
            }
        };
        let (favours_in, favours) = mpsc::unbounded_channel();
        let (control, heard) = watch::channel(Control::default());
        let mut factory =
            Factory { signer: factory, images: HashMap::new(), shelf: Shelf::default() };
        let kit = match plan.iter().any(|device| device.fault.is_some()) {
            true => Some(Arc::new(FaultKit::new()?)),
            false => None,
        };
        let shared = Arc::new(share(target, &factory.signer, observer, favours_in)?);
        let mut devices = JoinSet::new();
        let seed = Dice::new(seed);
        for (place, planned) in plan.iter().enumerate() {
            let number = first + place;
            let thing = shared.target.thing_name(&planned.serial);
            let folder = shared.target.folder.as_ref().map(|folder| folder.join(&planned.serial));
            let given = shared.target.identities.get(&thing).map(identity).transpose()?;
            let sources = &shared.target.sources;
            let dice = seed.of(number as u64);
            let device = Device::new(Parts {
                shared: shared.clone(),
                place: place as u64,
                source: (!sources.is_empty()).then(|| sources[number % sources.len()]),
                serial: planned.serial.clone(),
                profile: planned.profile.clone(),
                dice,
                flash: factory.flash(&planned.profile, folder.as_deref())?,
                store: folder.map_or(KeyStore::Memory, KeyStore::Folder),
                identity: given,
                injector: kit
                    .as_ref()
                    .zip(planned.fault)
                    .map(|(kit, fault)| Injector::new(fault, kit.clone(), dice)),
                control: heard.clone(),
            })?;
            devices.spawn(device.live());
        }
        Ok(Fleet { shared, control, devices, favours, size: plan.len() as u64 })
    }

    /// How many devices there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The numbers of this moment.
    pub fn counts(&self) -> Counts {
        self.shared.stats.counts()
    }

    /// Waits until the numbers are as wanted; says whether they were within the limit.
    pub async fn wait(&self, limit: Duration, wanted: impl Fn(&Counts) -> bool) -> bool {
        let end = Instant::now() + limit;
        loop {
            if wanted(&self.counts()) {
                return true;
            }
            if Instant::now() >= end {
                return false;
            }
            sleep(GLANCE).await;
        }
    }

    /// Cuts all connections at once.
    pub fn cut(&self) {
        self.control.send_modify(|control| control.herds += 1);
    }

    /// What a device asks for, if one does.
    pub(crate) fn favour(&mut self) -> Option<Favour> {
        self.favours.try_recv().ok()
    }

    /// Ends the simulation and gathers what became of every device.
    pub async fn stop(mut self) -> FleetOutcome {
        let counts = self.counts();
        self.control.send_modify(|control| control.is_over = true);
        let mut devices = Vec::with_capacity(self.size as usize);
        while let Some(device) = self.devices.join_next().await {
            match device {
                Ok(record) => devices.push(record),
                Err(error) => tracing::error!(%error, "a device ended in a way it must not"),
            }
        }
        devices.sort_by(|one, other| natural(&one.thing).cmp(&natural(&other.thing)));
        FleetOutcome { devices, counts, times: self.shared.times() }
    }
}

impl Shared {
    fn times(&self) -> Vec<TimeSummary> {
        self.stats.times(|times| {
            [
                ("connect", &times.connect),
                ("provision", &times.provision),
                ("request", &times.request),
                ("download", &times.download),
                ("update", &times.update),
                ("reconnect", &times.reconnect),
            ]
            .into_iter()
            .filter(|(_, histogram)| !histogram.is_empty())
            .map(|(name, histogram)| summary(name, histogram))
            .collect()
        })
    }
}

impl FleetOutcome {
    /// Adds what another part of the fleet brought home. Percentiles cannot be added,
    /// so the worse of two is kept.
    pub fn merge(&mut self, other: FleetOutcome) {
        self.devices.extend(other.devices);
        self.devices.sort_by(|one, other| natural(&one.thing).cmp(&natural(&other.thing)));
        self.counts = self.counts.plus(other.counts);
        for time in other.times {
            match self.times.iter_mut().find(|mine| mine.name == time.name) {
                None => self.times.push(time),
                Some(mine) => {
                    mine.count += time.count;
                    mine.p50 = mine.p50.max(time.p50);
                    mine.p95 = mine.p95.max(time.p95);
                    mine.p99 = mine.p99.max(time.p99);
                    mine.maximum = mine.maximum.max(time.maximum);
                }
            }
        }
    }
}

/// Makes devices as they leave the factory.
struct Factory {
    signer: Signer,
    images: HashMap<(String, String), (bytes::Bytes, Manifest)>,
    shelf: Shelf,
}

impl Factory {
    /// The flash of a device: a new one, or what is in its folder.
    fn flash(&mut self, profile: &Profile, folder: Option<&std::path::Path>) -> Result<Flash> {
        let mut flash = match folder {
            None => Flash::in_memory(profile.slot_size, self.shelf.clone()),
            Some(folder) => Flash::in_folder(folder, profile.slot_size)?,
        };
        if read(&flash).is_ok() {
            return Ok(flash);
        }
        let (image, manifest) = self.image(profile)?;
        manufacture(&mut flash, image, manifest)
            .map_err(|error| Error::invalid("flash of a device", error))?;
        Ok(flash)
    }

    fn image(&mut self, profile: &Profile) -> Result<(bytes::Bytes, Manifest)> {
        let key = (profile.model.clone(), profile.version.clone());
        if let Some(made) = self.images.get(&key) {
            return Ok(made.clone());
        }
        let recipe =
            Recipe { model: Some(profile.model.clone()), ..Recipe::new(&profile.version, 4096) };
        let image = recipe.make()?;
        let sha256 = digest(&image);
        let manifest = Manifest {
            version: profile.version.clone(),
            size: image.len() as u64,
            sha256,
            claim: self.signer.sign(&sha256),
            job: None,
            sequence: None,
            behaviour: Behaviour::Healthy,
        };
        self.images.insert(key, (image.clone(), manifest.clone()));
        Ok((image, manifest))
    }
}

fn share(
    target: Target,
    factory: &Signer,
    observer: Arc<dyn Observer>,
    favours: mpsc::UnboundedSender<Favour>,
) -> Result<Shared> {
    let mut trust = Trust::new();
    for (name, certificate) in &target.signers {
        trust.add(name, certificate)?;
    }
    trust.add_key(FACTORY, factory.verifying_key());
    let settings = |authority: &str| {
        ClientSettings::trusting(authority, Versions::Both)
            .map_err(|error| Error::invalid("certificate of the authority", error))
    };
    let tls = target.authority.as_deref().map(settings).transpose()?;
    let tls = tls.map(|tls| match target.names_mqtt_in_alpn {
        true => tls.with_alpn(&[ALPN_MQTT]),
        false => tls,
    });
    let web = match target.web_authority.as_deref().or(target.authority.as_deref()) {
        Some(authority) => settings(authority)?.without_identity(),
        None => nobody(),
    };
    Ok(Shared {
        trust,
        tls,
        claim: target.claim.as_ref().map(|claim| identity(&claim.claim)).transpose()?,
        web: Web {
            tls: web,
            allows_plain: target.allows_plain_downloads,
            source: None,
            patience: target.pace.patience,
        },
        stats: Stats::new(),
        observer,
        favours,
        requests: Default::default(),
        target,
    })
}

/// TLS that trusts no server at all.
fn nobody() -> Arc<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        // The provider that was just made supports its own versions.
        .unwrap_or_else(|_| unreachable!("ring supports TLS 1.2 and 1.3"));
    let config =
        builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    Arc::new(config)
}

fn summary(name: &str, histogram: &Histogram<u64>) -> TimeSummary {
    let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
    TimeSummary {
        name: name.to_owned(),
        count: histogram.len(),
        p50: at(0.5),
        p95: at(0.95),
        p99: at(0.99),
        maximum: histogram.max() as f64 / 1000.0,
    }
}

/// Orders names with numbers at their end as people do.
fn natural(name: &str) -> (&str, u64, &str) {
    let start = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (start, name[start.len()..].parse().unwrap_or(0), name)
}

/// The name of the factory's key on every device.
const FACTORY: &str = "factory.pem";

const GLANCE: Duration = Duration::from_millis(20);
