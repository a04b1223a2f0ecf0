//! A parameter with its versions, and the rules for names and values.
//!
//! Values of secure strings are ciphertext here; sealing and opening them is the
//! service's part.

use iotstack_local_kernel::{Fault, Timestamp};
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::wire::{Tags, moment, violating};

/// A parameter. Not `Debug`, for its values.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Parameter {
    pub(super) name: String,
    /// The oldest first; never empty.
    pub(super) versions: Vec<Version>,
    pub(super) tags: Tags,
}

/// A version of a parameter. Not `Debug`.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(super) number: u64,
    pub(super) value: String,
    pub(super) kind: Kind,
    pub(super) description: Option<String>,
    /// The KMS key of a SecureString.
    pub(super) key: Option<String>,
    pub(super) pattern: Option<String>,
    pub(super) tier: String,
    pub(super) modified: Timestamp,
    pub(super) modified_by: String,
    pub(super) labels: Vec<String>,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum Kind {
    #[default]
    String,
    StringList,
    SecureString,
}

impl Kind {
    pub(super) const ALL: [Kind; 3] = [Kind::String, Kind::StringList, Kind::SecureString];

    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        match text {
            "String" => Ok(Kind::String),
            "StringList" => Ok(Kind::StringList),
            "SecureString" => Ok(Kind::SecureString),
            other => {
                let wanted =
                    "Member must satisfy enum value set: [SecureString, StringList, String]";
                Err(violating("type", Some(other), wanted))
            }
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::String => "String",
            Kind::StringList => "StringList",
            Kind::SecureString => "SecureString",
        }
    }
}

impl Parameter {
    /// The version that counts.
    pub(super) fn newest(&self) -> &Version {
        static NONE: std::sync::LazyLock<Version> = std::sync::LazyLock::new(Version::default);
        self.versions.last().unwrap_or(&NONE)
    }

    /// Adds a version. Of a hundred the oldest goes, unless it has a label.
    pub(super) fn add(&mut self, version: Version) -> Result<(), Fault> {
        if self.versions.len() >= 100 {
            if self.versions.first().is_some_and(|oldest| !oldest.labels.is_empty()) {
                let oldest = self.versions.first().map_or(0, |oldest| oldest.number);
                let reason = format!(
                    "version {oldest} of {}, the oldest of 100, has a label and cannot go",
                    self.name
                );
                return Err(Fault::new("ParameterMaxVersionLimitExceeded", 400, reason));
            }
            self.versions.remove(0);
        }
        self.versions.push(version);
        Ok(())
    }

    /// A version by its number or label; the newest if nothing is named.
    pub(super) fn select(&self, selector: Option<&str>) -> Result<&Version, Fault> {
        let Some(selector) = selector else { return Ok(self.newest()) };
        let number = selector.parse::<u64>().ok();
        let fits = |version: &&Version| {
            Some(version.number) == number || version.labels.iter().any(|label| label == selector)
        };
        self.versions.iter().find(fits).ok_or_else(|| self.no_version(selector))
    }

    fn no_version(&self, wanted: &str) -> Fault {
        let reason = format!(
            "Systems Manager could not find version {wanted} of {}. Verify the version and try \
             again.",
            self.name
        );
        Fault::new("ParameterVersionNotFound", 400, reason)
    }

    /// Puts labels on a version, taking them from others. Gives those that are
    /// no labels.
    pub(super) fn label(&mut self, number: u64, labels: &[String]) -> Result<Vec<String>, Fault> {
        if !self.versions.iter().any(|version| version.number == number) {
            return Err(self.no_version(&number.to_string()));
        }
        if let Some(long) = labels.iter().find(|label| !(1..=100).contains(&label.len())) {
            let reason = format!("the label `{long}` has {} characters, not 1 to 100", long.len());
            return Err(Fault::new("ValidationException", 400, reason));
        }
        let is_label = |label: &String| {
            let plain = label.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
            let reserved = ["aws", "ssm"].iter().any(|p| label.to_lowercase().starts_with(p));
            let digit = label.starts_with(|c: char| c.is_ascii_digit());
            plain && !reserved && !digit
        };
        let (good, bad): (Vec<String>, Vec<String>) = labels.iter().cloned().partition(is_label);
        for version in &mut self.versions {
            version.labels.retain(|label| !good.contains(label));
            if version.number == number {
                if version.labels.len() + good.len() > 10 {
                    let reason = "a version has 10 labels at most";
                    return Err(Fault::new("ParameterVersionLabelLimitExceeded", 400, reason));
                }
                version.labels.extend(good.iter().cloned());
            }
        }
        Ok(bad)
    }

    /// Takes labels from a version. Gives those that it had, and those that it had not.
    pub(super) fn unlabel(
        &mut self,
        number: i64,
        labels: &[String],
    ) -> Result<(Vec<String>, Vec<String>), Fault> {
        let missing = self.no_version(&number.to_string());
        let wanted = u64::try_from(number).ok();
        let version = self.versions.iter_mut().find(|version| Some(version.number) == wanted);
        let version = version.ok_or(missing)?;
        let found = labels.iter().cloned().partition(|label| version.labels.contains(label));
        version.labels.retain(|label| !labels.contains(label));
        Ok(found)
    }

    /// Whether it is in a hierarchy, directly or in one below.
    pub(super) fn is_below(&self, path: &str, recursive: bool) -> bool {
        let rooted = self.rooted();
        let below = rooted.strip_prefix(path.trim_end_matches('/'));
        let below = below.and_then(|below| below.strip_prefix('/'));
        below.is_some_and(|below| recursive || !below.contains('/'))
    }

    /// Its name from the root: outside of hierarchies the slash may be left out.
    pub(super) fn rooted(&self) -> String {
        match self.name.starts_with('/') {
            true => self.name.clone(),
            false => format!("/{}", self.name),
        }
    }
}

impl Version {
    /// As `GetParameter` shows it, without the value.
    pub(super) fn shown(&self, name: &str) -> Value {
        json!({
            "Name": name,
            "Type": self.kind.name(),
            "Version": self.number,
            "LastModifiedDate": moment(self.modified),
            "DataType": "text",
        })
    }

    /// As `DescribeParameters` shows it: no value.
    pub(super) fn described(&self, name: &str) -> Value {
        let mut shown = self.shown(name);
        shown["LastModifiedUser"] = json!(self.modified_by);
        shown["Tier"] = json!(self.tier);
        shown["Policies"] = json!([]);
        for (member, value) in [
            ("Description", &self.description),
            ("KeyId", &self.key),
            ("AllowedPattern", &self.pattern),
        ] {
            if let Some(value) = value {
                shown[member] = json!(value);
            }
        }
        shown
    }
}

/// Names are paths of letters, digits and `_.-`, fifteen levels deep at most.
pub(super) fn check_name(name: &str) -> Result<(), Fault> {
    let refuse =
        |reason: &str| Err(Fault::new("ValidationException", 400, format!("`{name}`: {reason}")));
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-/".contains(c);
    if name.is_empty() || name.len() > 1011 || !name.chars().all(plain) {
        return refuse("a name has 1 to 1011 letters, digits and `_.-/`");
    }
    if name.contains('/') && !name.starts_with('/') {
        return refuse("a name with levels must begin with `/`");
    }
    if name.ends_with('/') || name.contains("//") {
        return refuse("no level of a name may be empty");
    }
    let first = name.trim_start_matches('/').to_lowercase();
    let reserved = |code: &str, reason: String| Err(Fault::new(code, 400, reason));
    match name.starts_with('/') {
        true if first.starts_with("aws") => {
            let reason = format!("No access to reserved parameter name: {name}.");
            return reserved("AccessDeniedException", reason);
        }
        true if first.starts_with("ssm") => {
            let reason = "Parameter name: can't be prefixed with \"ssm\" (case-insensitive). If \
                          formed as a path, it can consist of sub-paths divided by slash symbol; \
                          each sub-path can be formed as a mix of letters, numbers and the \
                          following 3 symbols .-_";
            return reserved("ValidationException", reason.to_owned());
        }
        false if first.starts_with("aws") || first.starts_with("ssm") => {
            let reason =
                "Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive).";
            return reserved("ValidationException", reason.to_owned());
        }
        _ => {}
    }
    if name.matches('/').count() > 15 {
        let reason = format!("`{name}` has more than 15 levels");
        return Err(Fault::new("HierarchyLevelLimitExceededException", 400, reason));
    }
    Ok(())
}

/// Values have a bound and may have to fit a pattern.
pub(super) fn check_value(
    kind: Kind,
    value: &str,
    pattern: Option<&str>,
    largest: usize,
) -> Result<(), Fault> {
    if value.len() > largest {
        let reason = format!("a value has {largest} bytes at most, not {}", value.len());
        return Err(Fault::new("ValidationException", 400, reason));
    }
    if kind == Kind::StringList && value.split(',').any(str::is_empty) {
        let reason = "no item of a StringList may be empty";
        return Err(Fault::new("ValidationException", 400, reason));
    }
    let Some(pattern) = pattern else { return Ok(()) };
    let regex = Regex::new(pattern).map_err(|_| {
        let reason = format!("`{pattern}` is no regular expression");
        Fault::new("InvalidAllowedPatternException", 400, reason)
    })?;
    if regex.is_match(value) {
        return Ok(());
    }
    // The value itself stays out of the message: it may be a secret.
    let reason = format!("the value does not fit the pattern `{pattern}`");
    Err(Fault::new("ParameterPatternMismatchException", 400, reason))
}

/// The tier of large values.
pub(super) const ADVANCED: &str = "Advanced";

/// The tiers that can be asked for; parameters have one of the first two.
pub(super) const TIERS: [&str; 3] = ["Standard", ADVANCED, "Intelligent-Tiering"];
