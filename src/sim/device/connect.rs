//! How a device gets onto its broker: as itself, and as somebody with a claim before that.
//!
//! A device without a certificate claims one first; with it, the connection is made as
//! the thing that it has become. A clock that has not been set yet makes TLS fail, as it
//! would on a real device, until it is set.

use std::sync::atomic::{AtomicBool, Ordering};

use iotstack_mqtt::client::{Address, Client, Dial, Options, Stream};
use iotstack_mqtt::tls::Identity;
use tokio::time::Instant;
use tracing::warn;

use super::{Device, provision};
use crate::fault::Fault;
use crate::observe::{Did, Timed};
use crate::target::KeyOrigin;
use crate::{Error, Result};

/// What the fleet has found out about certificate signing requests.
#[derive(Debug, Default)]
pub(crate) struct SigningRequests {
    /// One was answered.
    pub(super) are_known: AtomicBool,
    /// None was answered, and one went unanswered.
    pub(super) are_unknown: AtomicBool,
}

impl Device {
    /// Connects as itself; becomes somebody first if it is nobody yet.
    pub(super) async fn connect(&mut self) -> Result<Client<Stream>> {
        if self.identity.is_none() && self.shared.target.claim.is_some() {
            self.provision().await?;
        }
        self.suffer().await?;
        let shared = self.shared.clone();
        let way = self.way().await?;
        let began = Instant::now();
        let stream = way.connect().await.map_err(|source| self.broker_failed(source))?;
        let options = self.options();
        if let Some(deafness) = self.injector.as_mut().and_then(|injector| injector.deafness()) {
            self.session.deafen(deafness);
        }
        let session = std::mem::take(&mut self.session);
        match Client::open(stream, &options, session).await {
            Ok(client) => {
                shared.stats.time(Timed::Connect, began.elapsed());
                self.note_session(client.is_resumed());
                Ok(client)
            }
            Err((error, session)) => {
                self.session = session;
                Err(self.broker_failed(error))
            }
        }
    }

    async fn provision(&mut self) -> Result<()> {
        let shared = self.shared.clone();
        let Some(claiming) = &shared.target.claim else { return Ok(()) };
        let began = Instant::now();
        let stream = self.dial(shared.claim.as_ref()).connect().await;
        let stream = stream.map_err(|source| self.broker_failed(source))?;
        let fails_late = self.refused_claims < 2 && self.has_fault(Fault::ClaimRefused);
        // Another client id than the thing's: AWS IoT lets one connect once in a second.
        let options = Options {
            clean_session: true,
            client_id: format!("{}-claim-{}", shared.target.prefix, self.serial),
            ..self.options()
        };
        let address = shared.target.broker.to_string();
        // There are clouds that do not answer certificate signing requests at all.
        let requests = &shared.requests;
        let origin = match requests.are_unknown.load(Ordering::Relaxed) {
            true => KeyOrigin::Cloud,
            false => claiming.key,
        };
        let claimed = provision::claim(
            stream,
            &options,
            claiming,
            origin,
            &self.serial,
            &address,
            fails_late,
        );
        let provisioned = match claimed.await {
            Ok(provisioned) => provisioned,
            Err(error) => {
                self.refused_claims += 1;
                let is_unanswered = matches!(
                    &error, Error::Late { what, .. } if what == provision::UNANSWERED_REQUEST
                );
                if is_unanswered
                    && !requests.are_known.load(Ordering::Relaxed)
                    && !requests.are_unknown.swap(true, Ordering::Relaxed)
                {
                    warn!("this cloud answers no signing requests, so it is asked for keys");
                }
                return Err(error);
            }
        };
        if origin == KeyOrigin::Device {
            requests.are_known.store(true, Ordering::Relaxed);
        }
        self.identity = Some(self.store.save(&provisioned.pair)?);
        self.thing = provisioned.thing;
        self.record.thing = self.thing.clone();
        shared.stats.time(Timed::Provision, began.elapsed());
        shared.stats.provisioned(1);
        self.tell(Did::Provision);
        Ok(())
    }

    pub(super) fn options(&self) -> Options {
        let pace = &self.shared.target.pace;
        let keeps_session = self.profile.keeps_session
            || self.has_fault(Fault::KeptSession)
            || self.has_fault(Fault::LostSession);
        Options {
            // So that a lost PINGRESP is met within the run.
            keep_alive: if self.has_fault(Fault::NoPingresp) { 2 } else { pace.keep_alive },
            patience: pace.patience,
            clean_session: !keeps_session,
            ..Options::new(self.thing.as_str())
        }
    }

    pub(super) fn dial(&self, identity: Option<&Identity>) -> Dial {
        let target = &self.shared.target;
        let tls = self.shared.tls.as_ref().map(|settings| {
            let config = match identity {
                Some(identity) => settings.with_identity(identity),
                None => settings.without_identity(),
            };
            self.clock.applied_to(config)
        });
        Dial {
            address: Address { host: target.broker.host.clone(), port: target.broker.port },
            tls,
            server_name: target.server_name.clone(),
            source: self.source,
            patience: target.pace.patience,
        }
    }

    pub(super) fn broker_failed(&self, source: iotstack_mqtt::client::Error) -> Error {
        Error::Mqtt { address: self.shared.target.broker.to_string(), source }
    }
}
