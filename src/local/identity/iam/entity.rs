//! Roles and users: the record, and how the API shows it.
//!
//! One record serves both kinds, as all but the trust policy is the same. Groups
//! are not offered.

use std::collections::BTreeMap;

use iotstack_local_kernel::{Account, Timestamp};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A role or a user.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entity {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    /// `/` or `/a/b/`.
    pub(crate) path: String,
    /// `AROA…` or `AIDA…`; never used again.
    pub(crate) id: String,
    pub(crate) created: Timestamp,
    pub(crate) description: Option<String>,
    /// Who may take the role.
    pub(crate) trust: Option<String>,
    pub(crate) longest_session_seconds: i64,
    pub(crate) inline: BTreeMap<String, String>,
    pub(crate) attached: Vec<String>,
    pub(crate) boundary: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
}

/// What an identity is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Role,
    User,
}

impl Kind {
    /// Under what it is stored. IAM's names differ in more than their case.
    pub(crate) fn key(self, name: &str) -> String {
        format!("{}/{}", self.word(), name.to_ascii_lowercase())
    }

    /// `role` or `user`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Kind::Role => "role",
            Kind::User => "user",
        }
    }

    /// What its own policies are called.
    pub(crate) fn inline(self) -> &'static str {
        match self {
            Kind::Role => "role policy",
            Kind::User => "user policy",
        }
    }

    /// The member that shows it, which filters take as well.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Kind::Role => "Role",
            Kind::User => "User",
        }
    }

    /// The member with its id.
    pub(crate) fn id_member(self) -> &'static str {
        match self {
            Kind::Role => "RoleId",
            Kind::User => "UserId",
        }
    }

    /// The member that names it.
    pub(crate) fn member(self) -> &'static str {
        match self {
            Kind::Role => "RoleName",
            Kind::User => "UserName",
        }
    }
}

impl Entity {
    pub(crate) fn arn(&self, account: &Account) -> String {
        account.global_arn("iam", format!("{}{}{}", self.kind.word(), self.path, self.name))
    }

    /// As `GetRole` and `GetUser` show it.
    pub(crate) fn shown(&self, account: &Account) -> Value {
        let mut shown = json!({
            "Path": self.path,
            "Arn": self.arn(account),
            "CreateDate": self.created.iso8601(),
        });
        if !self.tags.is_empty() {
            shown["Tags"] = shown_tags(&self.tags);
        }
        shown[self.kind.member()] = json!(self.name);
        shown[self.kind.id_member()] = json!(self.id);
        if let Some(boundary) = &self.boundary {
            shown["PermissionsBoundary"] = json!({
                "PermissionsBoundaryType": "Policy",
                "PermissionsBoundaryArn": boundary,
            });
        }
        if let Some(trust) = &self.trust {
            shown["AssumeRolePolicyDocument"] = json!(encoded(trust));
            shown["MaxSessionDuration"] = json!(self.longest_session_seconds);
            shown["Description"] = json!(self.description);
            shown["RoleLastUsed"] = json!({});
        }
        shown
    }

    /// As lists show it, which leave something out.
    pub(crate) fn listed(&self, account: &Account) -> Value {
        let mut shown = self.shown(account);
        if let Some(members) = shown.as_object_mut() {
            members.retain(|name, _| !UNLISTED.contains(&name.as_str()));
        }
        shown
    }
}

const UNLISTED: [&str; 3] = ["PermissionsBoundary", "RoleLastUsed", "Tags"];

/// Documents stand percent-encoded in IAM's answers.
pub(crate) fn encoded(document: &str) -> String {
    utf8_percent_encode(document, NON_ALPHANUMERIC).to_string()
}

/// Tags as a list of pairs.
pub(crate) fn shown_tags(tags: &BTreeMap<String, String>) -> Value {
    tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}
