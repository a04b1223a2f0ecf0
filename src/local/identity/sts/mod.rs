//! STS: who one is, and keys for a while.
//!
//! Real: `GetCallerIdentity` and `AssumeRole` (the trust policy decides, together
//! with the caller's own policies), with keys that end on the cloud's clock. Not
//! offered: session policies and tags, federation, web identities.

use std::sync::Arc;
use std::time::Duration;

use iotstack_local_kernel::ports::{Credentials, SessionKeys};
use iotstack_local_kernel::{
    Call, Caller, Fault, Operation, Operations, Protocol, Reply, Service, loose,
};
use serde_json::{Value, json};

use crate::credentials::{Keys, identity_of};
use crate::iam::Kind;

/// STS.
pub(crate) struct Sts(pub(crate) Arc<Keys>);

impl Service for Sts {
    fn scopes(&self) -> &'static [&'static str] {
        &["sts"]
    }

    fn protocols(&self) -> &'static [Protocol] {
        &[Protocol::Query { namespace: "https://sts.amazonaws.com/doc/2011-06-15/" }]
    }

    fn invalid_input(&self) -> &'static str {
        "ValidationError"
    }

    fn operations(self: Arc<Self>) -> Vec<Operation> {
        Operations::of(self)
            .named("GetCallerIdentity", Sts::caller_identity)
            .named("AssumeRole", Sts::assume_role)
            .named("GetAccessKeyInfo", Sts::key_info)
            .list()
    }

    fn refused(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("AssumeRoleWithSAML", "there are no identity providers"),
            ("AssumeRoleWithWebIdentity", "there are no identity providers"),
            ("GetFederationToken", "there is no federation"),
            ("GetSessionToken", "use the access key itself, or take a role"),
        ]
    }
}

impl Sts {
    fn caller_identity(&self, call: Call) -> Result<Reply, Fault> {
        let account = &self.0.iam.account;
        let (arn, id) = match &call.caller {
            Caller::Root => (account.global_arn("iam", "root"), account.id.clone()),
            Caller::Principal { arn } => (arn.clone(), self.user_id(arn)),
            Caller::Device { certificate_id } => {
                (account.arn("iot", format!("cert/{certificate_id}")), certificate_id.clone())
            }
            Caller::Service { name } => ((*name).to_owned(), (*name).to_owned()),
        };
        Ok(json!({"UserId": id, "Account": account.id, "Arn": arn}).into())
    }

    fn assume_role(&self, call: Call) -> Result<Reply, Fault> {
        let input = &call.input;
        for refused in ["Policy", "PolicyArns", "Tags", "TransitiveTagKeys"] {
            let given = input.get(refused).filter(|value| !value.is_null());
            if given.is_some_and(|value| value != "") {
                return Err(Fault::not_implemented(format!("sts:AssumeRole with {refused}")));
            }
        }
        let role_arn = loose::required(input, "RoleArn")?;
        let session = loose::required(input, "RoleSessionName")?;
        let accepted = |c: char| c.is_ascii_alphanumeric() || "_=,.@-".contains(c);
        if !(2..=64).contains(&session.len()) || !session.chars().all(accepted) {
            let reason =
                format!("RoleSessionName `{session}` must be 2 to 64 letters, digits and `_=,.@-`");
            return Err(Fault::invalid_input(reason));
        }
        let account = &self.0.iam.account;
        let asker = match &call.caller {
            Caller::Principal { arn } => arn.clone(),
            _ => account.global_arn("iam", "root"),
        };
        // A role that does not exist must look like one that may not be taken.
        let role = self.0.iam.role(&role_arn).ok_or_else(|| {
            let reason = format!("{asker} may not do sts:AssumeRole on {role_arn}");
            Fault::new("AccessDenied", 403, reason)
        })?;
        let seconds = loose::integer(input, "DurationSeconds")?.unwrap_or(3600);
        if !(900..=role.longest_session_seconds).contains(&seconds) {
            let longest = role.longest_session_seconds;
            let reason = format!("DurationSeconds must be 900 to {longest}, not {seconds}");
            return Err(Fault::invalid_input(reason));
        }
        let mut context = self.0.iam.context().with("aws:PrincipalArn", asker.clone());
        if let Some(external) = loose::text(input, "ExternalId")? {
            context = context.with("sts:ExternalId", external);
        }
        if !self.0.allows(&call.caller, "sts:AssumeRole", &role_arn) && !self.named(&role, &asker) {
            let reason = format!("{asker} may not do sts:AssumeRole on {role_arn}");
            return Err(Fault::new("AccessDenied", 403, reason));
        }
        let duration = Duration::from_secs(u64::try_from(seconds).unwrap_or(3600));
        // Sessions of a role are let in as the role.
        let as_role = identity_of(&asker).filter(|(kind, _)| *kind == Kind::Role);
        let as_role = as_role.and_then(|(_, name)| self.0.iam.entity(Kind::Role, name));
        let principal = as_role.map_or(asker, |role| role.arn(account));
        let keys = self.0.take_role(&role, &session, ("AWS", &principal), context, duration)?;
        let arn = account.global_arn("sts", format!("assumed-role/{}/{session}", role.name));
        Ok(json!({
            "Credentials": shown(&keys),
            "AssumedRoleUser": {"AssumedRoleId": format!("{}:{session}", role.id), "Arn": arn},
            "PackedPolicySize": 0,
        })
        .into())
    }

    fn key_info(&self, call: Call) -> Result<Reply, Fault> {
        let key = loose::required(&call.input, "AccessKeyId")?;
        if self.0.identity(&key).is_none() {
            let reason = format!("the access key `{key}` does not exist");
            return Err(Fault::new("InvalidClientTokenId", 403, reason));
        }
        Ok(json!({"Account": self.0.iam.account.id}).into())
    }

    /// Whether a trust policy names the asker itself, which needs no policy of its own.
    fn named(&self, role: &crate::iam::Entity, asker: &str) -> bool {
        let trust: Value =
            serde_json::from_str(role.trust.as_deref().unwrap_or_default()).unwrap_or_default();
        let own = identity_of(asker)
            .and_then(|(kind, name)| self.0.iam.entity(kind, name))
            .map(|entity| entity.arn(&self.0.iam.account));
        own.is_some_and(|own| trust.to_string().contains(&format!("\"{own}\"")))
    }

    fn user_id(&self, arn: &str) -> String {
        if let Some(session) = self.0.session_of(arn) {
            return session.user_id;
        }
        let entity = identity_of(arn).and_then(|(kind, name)| self.0.iam.entity(kind, name));
        entity.map(|entity| entity.id).unwrap_or_default()
    }
}

fn shown(keys: &SessionKeys) -> Value {
    json!({
        "AccessKeyId": keys.access_key_id,
        "SecretAccessKey": keys.secret_access_key,
        "SessionToken": keys.session_token,
        "Expiration": keys.expires.iso8601(),
    })
}
