//! Whose cloud this is: one account in one region.
//!
//! The local cloud serves a single account and region. Requests signed for
//! another region are answered all the same, as their resources carry the
//! region of this account.

use std::fmt;

/// An account in a region; makes the ARNs of what lives in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Twelve digits.
    pub id: String,
    /// Such as `eu-central-1`.
    pub region: String,
}

impl Account {
    /// The ARN of a resource in this account and region, as in
    /// `account.arn("iot", "thing/lamp-1")`.
    pub fn arn(&self, service: &str, resource: impl fmt::Display) -> String {
        format!("arn:{}:{service}:{}:{}:{resource}", self.partition(), self.region, self.id)
    }

    /// The ARN of a resource that belongs to no region, such as a role.
    pub fn global_arn(&self, service: &str, resource: impl fmt::Display) -> String {
        format!("arn:{}:{service}::{}:{resource}", self.partition(), self.id)
    }

    /// The partition of the region, `aws` almost everywhere.
    pub fn partition(&self) -> &'static str {
        match self.region.split('-').next() {
            Some("cn") => "aws-cn",
            Some("us") if self.region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }

    /// The domain under which AWS serves the region.
    pub fn url_suffix(&self) -> &'static str {
        if self.partition() == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" }
    }
}

impl Default for Account {
    fn default() -> Self {
        Account { id: "123456789012".to_owned(), region: "us-east-1".to_owned() }
    }
}
