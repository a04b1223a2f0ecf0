//! Where a stack goes: an account and a region, or wherever the credentials lead.
//!
//! In the assembly an environment is a URL, `aws://ACCOUNT/REGION`, with
//! `unknown-account` and `unknown-region` for a stack that fits anywhere.

use std::fmt;
use std::str::FromStr;

/// An account and a region, each of them possibly left to the caller's credentials.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Environment {
    /// The twelve digits of the account, if fixed.
    pub account: Option<String>,
    /// The region, if fixed.
    pub region: Option<String>,
}

impl Environment {
    /// A fixed environment.
    pub fn new(account: impl Into<String>, region: impl Into<String>) -> Self {
        Environment { account: Some(account.into()), region: Some(region.into()) }
    }

    /// Whether neither account nor region is fixed.
    pub fn is_agnostic(&self) -> bool {
        self.account.is_none() && self.region.is_none()
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let account = self.account.as_deref().unwrap_or(UNKNOWN_ACCOUNT);
        let region = self.region.as_deref().unwrap_or(UNKNOWN_REGION);
        write!(formatter, "aws://{account}/{region}")
    }
}

impl FromStr for Environment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (account, region) = text
            .strip_prefix("aws://")
            .and_then(|rest| rest.split_once('/'))
            .filter(|(account, region)| !account.is_empty() && !region.is_empty())
            .ok_or_else(|| {
                format!("environment `{text}` is not valid: expected `aws://ACCOUNT/REGION`")
            })?;
        let known = |part: &str, unknown: &str| (part != unknown).then(|| part.to_owned());
        Ok(Environment {
            account: known(account, UNKNOWN_ACCOUNT),
            region: known(region, UNKNOWN_REGION),
        })
    }
}

const UNKNOWN_ACCOUNT: &str = "unknown-account";
const UNKNOWN_REGION: &str = "unknown-region";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in ["aws://123456789012/eu-west-1", "aws://unknown-account/unknown-region"] {
            assert_eq!(text.parse::<Environment>().unwrap().to_string(), text);
        }
        assert!("aws:123".parse::<Environment>().is_err());
    }
}
