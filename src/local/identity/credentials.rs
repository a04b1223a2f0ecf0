//! The `Credentials` port: whose keys these are, and what they may do.
//!
//! Keys are of three kinds: the root key that the cloud was started with, the
//! access keys of users, and the keys of sessions, which end on the cloud's
//! clock. Asking who may do what is on the path of messages and must be quick.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use iotstack_local_kernel::policy::{Context, Policy, Question, Verdict};
use iotstack_local_kernel::ports::{Credentials, Identity, SessionKeys};
use iotstack_local_kernel::{Caller, Clock, Cloud, Fault, StoreError, Timestamp, id};
use serde::{Deserialize, Serialize};

use crate::RootKey;
use crate::iam::{Entity, Iam, Kind};
use crate::records::Records;

/// All keys of the cloud.
pub(crate) struct Keys {
    root: RootKey,
    clock: Clock,
    pub(crate) iam: Arc<Iam>,
    sessions: Records<Session>,
    /// Sessions that services took, to be used again: by role, name and service.
    services: Mutex<BTreeMap<(String, String, String), String>>,
}

/// A session of a role. Not `Debug`, for its secrets.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) access_key_id: String,
    secret: String,
    token: String,
    /// `arn:aws:sts::…:assumed-role/<role>/<session>`.
    pub(crate) arn: String,
    /// `<role id>:<session>`.
    pub(crate) user_id: String,
    pub(crate) expires: Timestamp,
}

impl Keys {
    pub(crate) fn restore(
        cloud: &Cloud,
        iam: &Arc<Iam>,
        root: RootKey,
    ) -> Result<Self, StoreError> {
        Ok(Keys {
            root,
            clock: cloud.clock.clone(),
            iam: iam.clone(),
            sessions: Records::restore(&cloud.store, "sts_sessions")?,
            services: Mutex::default(),
        })
    }

    /// The session behind an ARN, for `GetCallerIdentity`.
    pub(crate) fn session_of(&self, arn: &str) -> Option<Session> {
        self.sessions.find(|session| session.arn == arn)
    }

    /// Gives keys for a role to whoever its trust policy lets in.
    pub(crate) fn take_role(
        &self,
        role: &Entity,
        session: &str,
        asker: (&str, &str),
        context: Context,
        duration: Duration,
    ) -> Result<SessionKeys, Fault> {
        self.check_trust(role, asker, context)?;
        let now = self.clock.now();
        let account = &self.iam.account;
        let resource = format!("assumed-role/{}/{session}", role.name);
        let session = Session {
            access_key_id: format!("ASIA{}", id::capitals(16)),
            secret: id::hex_digits(40),
            token: format!("{}{}", id::hex_digits(64), id::capitals(64)),
            arn: account.global_arn("sts", resource),
            user_id: format!("{}:{session}", role.id),
            expires: now.after(duration),
        };
        let ((), commit) = self.sessions.change(|sessions| {
            // Whoever makes a session clears away those that have ended.
            let ended: Vec<String> = sessions
                .values()
                .filter(|session| session.expires <= now)
                .map(|session| session.access_key_id.clone())
                .collect();
            for key in ended {
                sessions.remove(&key);
            }
            sessions.put(&session.access_key_id, session.clone());
            Ok(())
        })?;
        // A session that a crash forgets is asked for again; nobody waits for the disk.
        drop(commit);
        Ok(session.keys())
    }

    fn check_trust(
        &self,
        role: &Entity,
        (kind, name): (&str, &str),
        context: Context,
    ) -> Result<(), Fault> {
        let trust = role.trust.as_deref().unwrap_or_default();
        let policy = Policy::parse(trust).map_err(Fault::internal)?;
        let question = Question {
            principal: Some((kind, name)),
            action: "sts:AssumeRole",
            resource: "*",
            context: &context,
        };
        if policy.verdict(&question) == Verdict::Allow {
            return Ok(());
        }
        let role = role.arn(&self.iam.account);
        let reason =
            format!("{name} may not take the role {role}: its trust policy does not let it");
        Err(Fault::new("AccessDenied", 403, reason))
    }

    /// A session that a service took before and that is good for long enough.
    fn taken(&self, key: &(String, String, String)) -> Option<SessionKeys> {
        let services = self.services.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let session = self.sessions.get(services.get(key)?)?;
        let rest = session.expires.since(self.clock.now());
        (rest >= SESSION / 2).then(|| session.keys())
    }
}

impl Session {
    fn keys(&self) -> SessionKeys {
        SessionKeys {
            access_key_id: self.access_key_id.clone(),
            secret_access_key: self.secret.clone(),
            session_token: self.token.clone(),
            expires: self.expires,
        }
    }
}

impl Credentials for Keys {
    fn identity(&self, access_key_id: &str) -> Option<Identity> {
        if access_key_id == self.root.access_key_id {
            return Some(Identity {
                secret: self.root.secret_access_key.clone(),
                session_token: None,
                caller: Caller::Root,
                expires: None,
            });
        }
        if let Some(session) = self.sessions.get(access_key_id) {
            return Some(Identity {
                secret: session.secret,
                session_token: Some(session.token),
                caller: Caller::Principal { arn: session.arn },
                expires: Some(session.expires),
            });
        }
        let key = self.iam.keys.get(access_key_id).filter(|key| key.active)?;
        let user = self.iam.entity(Kind::User, &key.user)?;
        Some(Identity {
            secret: key.secret,
            session_token: None,
            caller: Caller::Principal { arn: user.arn(&self.iam.account) },
            expires: None,
        })
    }

    fn allows(&self, caller: &Caller, action: &str, resource: &str) -> bool {
        let arn = match caller {
            Caller::Root | Caller::Service { .. } => return true,
            // What devices may do their own policies say, which the registry knows.
            Caller::Device { .. } => return false,
            Caller::Principal { arn } => arn,
        };
        // Anybody may ask who they are.
        if action == "sts:GetCallerIdentity" {
            return true;
        }
        let Some((kind, name)) = identity_of(arn) else { return false };
        let mut context = self
            .iam
            .context()
            .with("aws:PrincipalArn", arn.clone())
            .with("aws:PrincipalAccount", self.iam.account.id.clone());
        if kind == Kind::User {
            context = context.with("aws:username", name);
        }
        let question = Question { principal: None, action, resource, context: &context };
        self.iam.verdict(kind, name, &question) == Verdict::Allow
    }

    fn assume(&self, role_arn: &str, session: &str, service: &str) -> Result<SessionKeys, Fault> {
        let Some(role) = self.iam.role(role_arn) else {
            let reason = format!("the role `{role_arn}` does not exist");
            return Err(Fault::new("NoSuchEntity", 404, reason));
        };
        let context = self.iam.context().with("aws:SourceAccount", self.iam.account.id.clone());
        // Rules take their role for every message: one session serves many of them.
        let key = (role.id.clone(), session.to_owned(), service.to_owned());
        if let Some(keys) = self.taken(&key) {
            self.check_trust(&role, ("Service", service), context)?;
            return Ok(keys);
        }
        let session = plain_session_name(session);
        let asker = ("Service", service);
        let keys = self.take_role(&role, &session, asker, context, SESSION)?;
        let mut services = self.services.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if services.len() >= MOST_KEPT {
            services.clear();
        }
        services.insert(key, keys.access_key_id.clone());
        Ok(keys)
    }
}

/// The kind and name of the identity behind an ARN.
pub(crate) fn identity_of(arn: &str) -> Option<(Kind, &str)> {
    let resource = arn.splitn(6, ':').nth(5)?;
    if let Some(rest) = resource.strip_prefix("assumed-role/") {
        return Some((Kind::Role, rest.split('/').next()?));
    }
    if let Some(path) = resource.strip_prefix("role/") {
        return Some((Kind::Role, path.rsplit('/').next()?));
    }
    let path = resource.strip_prefix("user/")?;
    Some((Kind::User, path.rsplit('/').next()?))
}

/// Sessions of services are named after what they do it for; IAM's letters differ.
fn plain_session_name(name: &str) -> String {
    let accepted = |c: char| c.is_ascii_alphanumeric() || "_=,.@-".contains(c);
    let plain = name.chars().map(|c| if accepted(c) { c } else { '-' });
    let mut plain: String = plain.take(64).collect();
    if plain.len() < 2 {
        plain.push_str("-1");
    }
    plain
}

/// How long the session of a service lasts.
const SESSION: Duration = Duration::from_secs(3600);

/// How many sessions of services are kept for use again.
const MOST_KEPT: usize = 10_000;
