//! Who may connect to the broker, and with which rights.
//!
//! A certificate is known by its fingerprint and must be ACTIVE. Its rights are
//! the policies attached to it and, where the connection stands for a thing,
//! those of the thing's groups and their ancestors. They are taken together once
//! per connection and again when something changes that they depend on: a
//! connection compares two numbers before it trusts what it knows.
//!
//! AWS IoT keeps copies of policies, so that a changed one holds for devices minutes later.
//! Here it does at once, unless the cloud is started with a delay. What is attached to whom
//! and which certificates are active holds at once in any case, and so does everything
//! after a restart.
//!
//! WebSocket clients have no certificate; IAM judges them, and the last few
//! decisions are remembered until rights change.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use iotstack_local_kernel::{
    Admission, Authority, Caller, ConnectAttempt, Publisher, Refused, Rights, Timestamp,
};

use crate::core::Registry;
use crate::policy::{Action, Connect, Document, Env, Judge, Request};
use crate::provisioning;
use crate::state::{CertStatus, Principal, State, Thing};
use crate::x509;

/// Principals with how often their rights changed and how often they are connected.
type Connected = HashMap<Arc<str>, (Arc<AtomicU64>, usize)>;

/// The connections whose rights may change, by their principal.
#[derive(Default)]
pub struct Live {
    all: AtomicU64,
    iam: AtomicU64,
    principals: Mutex<Connected>,
}

impl Live {
    /// Something changed that any connection may depend on.
    pub fn all_changed(&self) {
        self.all.fetch_add(1, Ordering::AcqRel);
    }

    /// IAM changed.
    pub fn iam_changed(&self) {
        self.iam.fetch_add(1, Ordering::AcqRel);
    }

    /// Something of one principal changed; whether it is connected at all.
    pub fn changed(&self, principal: &str) -> bool {
        match self.lock().get(principal) {
            Some((epoch, _)) => {
                epoch.fetch_add(1, Ordering::AcqRel);
                true
            }
            None => false,
        }
    }

    fn enter(&self, principal: &Arc<str>) -> Arc<AtomicU64> {
        let mut principals = self.lock();
        let (epoch, count) = principals.entry(principal.clone()).or_default();
        *count += 1;
        epoch.clone()
    }

    fn leave(&self, principal: &str) {
        let mut principals = self.lock();
        if let Some((_, count)) = principals.get_mut(principal) {
            *count -= 1;
            if *count == 0 {
                principals.remove(principal);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Connected> {
        self.principals.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Authority for Registry {
    fn admits(&self, certificate: &[u8]) -> Admission {
        let id = x509::fingerprint(certificate);
        let now = self.clock.now();
        self.read(|state| match state.certificates.get(&*id) {
            Some(found) if found.claim_until.is_some_and(|until| until < now) => {
                Admission::Inactive
            }
            Some(found) if found.status == CertStatus::Active => Admission::Active,
            Some(_) => Admission::Inactive,
            None => {
                let known = state.cas.values().any(|ca| {
                    ca.active && ca.auto_registration && x509::signed_by(certificate, &ca.der)
                });
                if known { Admission::FirstSeen } else { Admission::Unknown }
            }
        })
    }

    fn connect(&self, attempt: &ConnectAttempt<'_>) -> Result<Arc<dyn Rights>, Refused> {
        // The registry is only ever held in an `Arc`; the cloud hands it out.
        let registry = self.shared().ok_or(Refused::NotAuthenticated)?;
        match (attempt.certificate, attempt.caller) {
            (Some(certificate), _) => {
                let id: Arc<str> = x509::fingerprint(certificate).into();
                if self.admits(certificate) == Admission::FirstSeen {
                    provisioning::first_seen(&registry, certificate);
                    return Err(Refused::NotAuthenticated);
                }
                CertificateRights::open(registry, &id, attempt)
            }
            (None, Some(Caller::Device { certificate_id })) => {
                CertificateRights::open(registry, &Arc::from(certificate_id.as_str()), attempt)
            }
            (None, Some(caller)) => IamRights::open(registry, caller.clone(), attempt),
            (None, None) => Err(Refused::NotAuthenticated),
        }
    }
}

impl Registry {
    /// Whether a certificate's policies allow something over HTTPS, where the
    /// variables of a thing have no values.
    pub fn may_over_http(&self, certificate_id: &str, action: &str, resource: &str) -> bool {
        let now = self.clock.now();
        let prefix = self.arn_prefix();
        let arn = match resource.starts_with("arn:") {
            true => resource.to_owned(),
            false => format!("{prefix}{resource}"),
        };
        self.read(|state| {
            let Some(certificate) = state.certificates.get(certificate_id) else { return false };
            if certificate.status != CertStatus::Active {
                return false;
            }
            let principal = self.certificate_arn(certificate_id);
            let env = Env {
                certificate_id: Some(certificate_id),
                certificate: Some(&certificate.der),
                now,
                ..Env::default()
            };
            let documents = documents(state, &principal, None, &prefix, now);
            let judge = Judge::new(documents.into_iter(), &env);
            judge.judge(Request::Named(action, &arn), &prefix, now).allows()
        })
    }

    /// Whether a connected client may do something, judged from the beginning.
    pub fn client_may(&self, client: &Publisher, action: Action, value: &str) -> bool {
        let now = self.clock.now();
        let prefix = self.arn_prefix();
        self.read(|state| {
            let Some(certificate) = state.certificates.get(&client.principal) else {
                // Whoever signed with keys of IAM was judged when it subscribed.
                return client.principal.starts_with("arn:");
            };
            let principal = self.certificate_arn(&certificate.id);
            let thing = state.thing_of_client(&principal, &client.client_id);
            let documents = documents(state, &principal, thing, &prefix, now);
            let env = Env {
                client_id: Some(&client.client_id),
                source: Some(client.source),
                thing,
                mqtt: true,
                certificate_id: Some(&certificate.id),
                certificate: Some(&certificate.der),
                connect: None,
                now,
            };
            let judge = Judge::new(documents.into_iter(), &env);
            judge.judge(Request::Mqtt(action, value), &prefix, now).allows()
        })
    }

    /// The ARN of a certificate, which is the name of its principal.
    pub fn certificate_arn(&self, id: &str) -> String {
        self.account.arn("iot", format_args!("cert/{id}"))
    }

    /// The ARN of any resource up to its kind.
    pub fn arn_prefix(&self) -> String {
        self.account.arn("iot", "")
    }
}

/// The documents that apply to a principal: its own, and those of the groups of
/// the thing that it stands for.
fn documents<'s>(
    state: &'s State,
    principal: &str,
    thing: Option<&Thing>,
    prefix: &str,
    now: Timestamp,
) -> Vec<&'s Document> {
    policies(state, principal, thing, prefix)
        .into_iter()
        .filter_map(|name| state.policies.get(name).map(|policy| policy.in_force(now)))
        .collect()
}

/// The names of those policies, each once.
pub fn policies<'s>(
    state: &'s State,
    principal: &str,
    thing: Option<&Thing>,
    prefix: &str,
) -> Vec<&'s Arc<str>> {
    let mut found: Vec<&Arc<str>> = Vec::new();
    let mut add = |principal: Option<&'s Principal>| {
        for policy in principal.into_iter().flat_map(|principal| &principal.policies) {
            if !found.contains(&policy) {
                found.push(policy);
            }
        }
    };
    add(state.principals.get(principal));
    if let Some(thing) = thing.filter(|thing| !thing.groups.is_empty()) {
        for group in state.groups_of(thing) {
            add(state.principals.get(&*format!("{prefix}thinggroup/{group}")));
        }
    }
    found
}

/// The rights of a client with a certificate.
struct CertificateRights {
    registry: Arc<Registry>,
    publisher: Arc<Publisher>,
    principal: Arc<str>,
    epoch: Arc<AtomicU64>,
    prefix: Box<str>,
    connect: Connect,
    judged: RwLock<Judged>,
}

/// What was found the last time that something had changed.
#[derive(Default)]
struct Judged {
    at: (u64, u64),
    holds: bool,
    judge: Judge,
}

impl CertificateRights {
    fn open(
        registry: Arc<Registry>,
        id: &Arc<str>,
        attempt: &ConnectAttempt<'_>,
    ) -> Result<Arc<dyn Rights>, Refused> {
        let prefix = registry.arn_prefix();
        let principal: Arc<str> = registry.certificate_arn(id).into();
        let thing = registry.read(|state| {
            state.thing_of_client(&principal, attempt.client_id).map(|thing| thing.name.clone())
        });
        let publisher = Arc::new(Publisher {
            client_id: attempt.client_id.into(),
            principal: id.clone(),
            thing,
            source: attempt.source,
        });
        let connect = Connect {
            persistent: attempt.persistent,
            last_will: attempt
                .last_will
                .map(|topic| format!("{prefix}topic/{topic}").into_boxed_str()),
        };
        let epoch = registry.live.enter(&principal);
        let rights = CertificateRights {
            registry,
            publisher,
            principal,
            epoch,
            prefix: prefix.into(),
            connect,
            judged: RwLock::default(),
        };
        let judged = rights.rejudge();
        let active = judged.is_some();
        let holds = judged.is_some_and(|judged| {
            let holds = judged.holds;
            *rights.judged.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = judged;
            holds
        });
        if !active {
            return Err(Refused::NotAuthenticated);
        }
        let will = |topic: &str| rights.may_publish(topic, attempt.retained_will);
        if !holds || !attempt.last_will.is_none_or(will) {
            return Err(Refused::NotAuthorized);
        }
        Ok(Arc::new(rights))
    }

    /// Judges everything anew; nothing if the certificate is not active.
    fn rejudge(&self) -> Option<Judged> {
        // The numbers are read first: what changes meanwhile is seen next time.
        let at = self.now();
        let now = self.registry.clock.now();
        self.registry.read(|state| {
            let certificate = state.certificates.get(&self.publisher.principal)?;
            if certificate.status != CertStatus::Active
                || certificate.claim_until.is_some_and(|until| until < now)
            {
                return None;
            }
            let client_id = &*self.publisher.client_id;
            let thing = state.thing_of_client(&self.principal, client_id);
            let documents = documents(state, &self.principal, thing, &self.prefix, now);
            let env = Env {
                client_id: Some(client_id),
                source: Some(self.publisher.source),
                thing,
                mqtt: true,
                certificate_id: Some(&certificate.id),
                certificate: Some(&certificate.der),
                connect: None,
                now,
            };
            let judge = Judge::new(documents.iter().copied(), &env);
            let env = Env { connect: Some(&self.connect), ..env };
            let at_connect = Judge::new(documents.into_iter(), &env);
            let request = Request::Mqtt(Action::Connect, client_id);
            let holds = at_connect.judge(request, &self.prefix, now).allows();
            Some(Judged { at, holds, judge })
        })
    }

    fn now(&self) -> (u64, u64) {
        (self.registry.live.all.load(Ordering::Acquire), self.epoch.load(Ordering::Acquire))
    }

    /// Looks at what is known, after judging it anew if something changed.
    fn look<T>(&self, look: impl Fn(&Judged) -> T) -> T {
        let now = self.now();
        {
            let judged = self.judged.read().unwrap_or_else(|poisoned| poisoned.into_inner());
            if judged.at == now {
                return look(&judged);
            }
        }
        // A certificate that is no longer active has no rights at all.
        let judged = self.rejudge().unwrap_or(Judged { at: now, ..Judged::default() });
        let found = look(&judged);
        *self.judged.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = judged;
        found
    }

    fn may(&self, action: Action, value: &str) -> bool {
        let now = self.registry.clock.now();
        self.look(|judged| {
            judged.judge.judge(Request::Mqtt(action, value), &self.prefix, now).allows()
        })
    }
}

impl Rights for CertificateRights {
    fn publisher(&self) -> &Arc<Publisher> {
        &self.publisher
    }

    fn may_publish(&self, topic: &str, retain: bool) -> bool {
        self.may(Action::Publish, topic) && (!retain || self.may(Action::RetainPublish, topic))
    }

    fn may_subscribe(&self, filter: &str) -> bool {
        self.may(Action::Subscribe, filter)
    }

    fn may_receive(&self, topic: &str) -> bool {
        self.may(Action::Receive, topic)
    }

    fn holds(&self) -> bool {
        self.look(|judged| judged.holds)
    }
}

impl Drop for CertificateRights {
    fn drop(&mut self) {
        self.registry.live.leave(&self.principal);
    }
}

/// Decisions of IAM, and how often IAM had changed when they were made.
#[derive(Default)]
struct Known {
    epoch: u64,
    decisions: VecDeque<(Action, Box<str>, bool)>,
}

/// The rights of a client whose WebSocket was signed with keys of IAM.
struct IamRights {
    registry: Arc<Registry>,
    publisher: Arc<Publisher>,
    caller: Caller,
    prefix: Box<str>,
    known: Mutex<Known>,
}

impl IamRights {
    fn open(
        registry: Arc<Registry>,
        caller: Caller,
        attempt: &ConnectAttempt<'_>,
    ) -> Result<Arc<dyn Rights>, Refused> {
        let principal = match &caller {
            Caller::Root => registry.account.global_arn("iam", "root"),
            Caller::Principal { arn } => arn.clone(),
            Caller::Service { name } => (*name).to_owned(),
            Caller::Device { .. } => return Err(Refused::NotAuthenticated),
        };
        let publisher = Arc::new(Publisher {
            client_id: attempt.client_id.into(),
            principal: principal.into(),
            thing: None,
            source: attempt.source,
        });
        let prefix = registry.arn_prefix().into();
        let known = Mutex::default();
        let rights = IamRights { registry, publisher, caller, prefix, known };
        let will = |topic: &str| rights.may_publish(topic, attempt.retained_will);
        if !rights.holds() || !attempt.last_will.is_none_or(will) {
            return Err(Refused::NotAuthorized);
        }
        Ok(Arc::new(rights))
    }

    fn may(&self, action: Action, value: &str) -> bool {
        if matches!(self.caller, Caller::Root | Caller::Service { .. }) {
            return true;
        }
        let epoch = self.registry.live.iam.load(Ordering::Acquire);
        let lock = || self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        {
            let mut known = lock();
            if known.epoch != epoch {
                *known = Known { epoch, decisions: VecDeque::new() };
            }
            let same = |(of, on, _): &&(Action, Box<str>, bool)| *of == action && **on == *value;
            if let Some((_, _, allowed)) = known.decisions.iter().find(same) {
                return *allowed;
            }
        }
        let arn = format!("{}{}{value}", self.prefix, action.resource());
        let allowed = self.registry.cloud().is_ok_and(|cloud| {
            cloud
                .ports
                .credentials()
                .is_ok_and(|credentials| credentials.allows(&self.caller, action.name(), &arn))
        });
        let mut known = lock();
        if known.decisions.len() == REMEMBERED {
            known.decisions.pop_front();
        }
        known.decisions.push_back((action, value.into(), allowed));
        allowed
    }
}

impl Rights for IamRights {
    fn publisher(&self) -> &Arc<Publisher> {
        &self.publisher
    }

    fn may_publish(&self, topic: &str, retain: bool) -> bool {
        self.may(Action::Publish, topic) && (!retain || self.may(Action::RetainPublish, topic))
    }

    fn may_subscribe(&self, filter: &str) -> bool {
        self.may(Action::Subscribe, filter)
    }

    fn may_receive(&self, topic: &str) -> bool {
        self.may(Action::Receive, topic)
    }

    fn holds(&self) -> bool {
        self.may(Action::Connect, &self.publisher.client_id)
    }
}

/// How many decisions of IAM a WebSocket client keeps.
const REMEMBERED: usize = 16;
