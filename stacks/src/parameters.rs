//! Parameters of the ready stacks.
//!
//! They come from `iotstack.yaml` and from `-c key=value`, already merged. Reading
//! checks every name and every value that AWS would refuse later, and says which
//! parameter it was; what is not set has a default that is safe in production.

use std::collections::BTreeMap;

use iotstack::protocol::JobSettings;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::Error;

/// Parameters of the firmware-update stacks.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Parameters {
    /// The beginning of every physical name: `firmware` gives `firmware-dev`.
    pub project: String,
    /// The things of the fleet.
    pub fleet: Fleet,
    /// Whether devices may get certificates of their own with a claim certificate; by
    /// default in every environment called `dev`.
    pub claim_provisioning: Option<bool>,
    /// How firmware is signed.
    pub signing: Signing,
    /// How jobs are rolled out, aborted and retried.
    pub jobs: JobSettings,
    /// How the firmware bucket encrypts.
    pub encryption: Encryption,
    /// After how many days old firmware versions move to Intelligent-Tiering.
    pub tier_old_versions_after_days: u32,
    /// After how many days old firmware versions are deleted; never where it is `null`.
    pub expire_old_versions_after_days: Option<u32>,
    /// Whether firmware outlives the stack; by default in every environment called
    /// `prod`.
    pub retain: Option<bool>,
    /// Mail addresses that hear of completed and failed jobs.
    pub notify: Vec<String>,
    /// How many job executions may fail within five minutes before the alarm goes off.
    pub failure_alarm_threshold: u32,
    /// How many invocations of the update manager may run at once; no limit where it is
    /// `null`, for accounts that have few to give.
    pub manager_concurrency: Option<u32>,
    /// How many days the functions' logs are kept.
    pub log_retention_days: u32,
    /// Puts the functions into a VPC.
    pub vpc: Option<Vpc>,
    /// Tags on everything that takes tags.
    pub tags: BTreeMap<String, String>,
    /// The qualifier of the bootstrap stack whose bucket and roles are used; the usual one
    /// where nothing is said.
    pub bootstrap_qualifier: Option<String>,
}

/// The things of the fleet: counted, or by name.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fleet {
    /// How many things, called `<project>-<environment>-0001` and so on.
    pub count: Option<u32>,
    /// The things by name. A thing's place in the list decides which stack holds it, so
    /// add new ones at the end, and put `null` in the place of one that goes.
    pub names: Vec<Option<String>>,
    /// Facts that every thing carries; without a thing type AWS takes at most three.
    pub attributes: BTreeMap<String, String>,
}

/// How firmware is signed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Signing {
    /// An imported code-signing certificate (ECDSA P-256) in ACM; one is made where
    /// nothing is said.
    pub certificate_arn: Option<String>,
    /// The organization that a certificate that is made names.
    pub organization: Option<String>,
    /// For how many days a certificate that is made is valid.
    pub validity_days: u32,
    /// Where devices keep the certificate; part of every job document.
    pub certificate_name: String,
}

/// How the firmware bucket encrypts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    /// With keys of S3.
    S3,
    /// With a KMS key of the stack.
    Kms,
    /// With a KMS key that exists already, by ARN.
    KmsKeyArn(String),
}

/// Where functions run inside a VPC.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vpc {
    /// Private subnets with a way to the AWS endpoints.
    pub subnet_ids: Vec<String>,
    /// Security groups.
    pub security_group_ids: Vec<String>,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters {
            project: "firmware".into(),
            fleet: Fleet::default(),
            claim_provisioning: None,
            signing: Signing::default(),
            jobs: JobSettings::default(),
            encryption: Encryption::S3,
            tier_old_versions_after_days: 30,
            expire_old_versions_after_days: Some(365),
            retain: None,
            notify: Vec::new(),
            failure_alarm_threshold: 1,
            manager_concurrency: Some(5),
            log_retention_days: 30,
            vpc: None,
            tags: BTreeMap::new(),
            bootstrap_qualifier: None,
        }
    }
}

impl Default for Signing {
    fn default() -> Self {
        Signing {
            certificate_arn: None,
            organization: None,
            validity_days: 3650,
            certificate_name: "/etc/iotstack/code-signing.pem".into(),
        }
    }
}

impl Parameters {
    /// Reads and checks the parameters of an environment.
    pub fn read(values: Map<String, Value>) -> Result<Self, Error> {
        let values = Value::Object(nested(values)?);
        let parameters: Parameters = serde_path_to_error::deserialize(values).map_err(|error| {
            let message = in_words_of_yaml(error.inner().to_string());
            Error::Parameter { name: error.path().to_string(), message }
        })?;
        parameters.check()?;
        Ok(parameters)
    }

    fn check(&self) -> Result<(), Error> {
        check_word("project", &self.project, 24)?;
        self.fleet.check()?;
        self.signing.check()?;
        self.jobs.problems().into_iter().next().map_or(Ok(()), |problem| {
            Err(wrong(
                &format!("jobs.{}", problem.field),
                format!("is {}; expected {}", problem.value, problem.expected),
            ))
        })?;
        if let Encryption::KmsKeyArn(arn) = &self.encryption
            && !arn.contains(":kms:")
        {
            let message = format!(
                "`{arn}` is not the ARN of a KMS key; expected `arn:aws:kms:REGION:ACCOUNT:key/ID`"
            );
            return Err(wrong("encryption.kms_key_arn", message));
        }
        for address in &self.notify {
            let (name, host) = address.split_once('@').unwrap_or_default();
            if name.is_empty() || !host.contains('.') || address.contains(char::is_whitespace) {
                let message = format!("`{address}` is not a mail address; expected `NAME@HOST`");
                return Err(wrong("notify", message));
            }
        }
        let tier = self.tier_old_versions_after_days;
        if let Some(days) = self.expire_old_versions_after_days.filter(|days| *days <= tier) {
            let message = format!(
                "is {days}; expected more than `tier_old_versions_after_days`, {tier}, or `null`"
            );
            return Err(wrong("expire_old_versions_after_days", message));
        }
        for (name, value) in [
            ("tier_old_versions_after_days", self.tier_old_versions_after_days),
            ("failure_alarm_threshold", self.failure_alarm_threshold),
            ("log_retention_days", self.log_retention_days),
            ("manager_concurrency", self.manager_concurrency.unwrap_or(1)),
        ] {
            if value == 0 {
                return Err(wrong(name, "must be at least 1"));
            }
        }
        if let Some(vpc) = &self.vpc {
            check_ids("vpc.subnet_ids", &vpc.subnet_ids, "subnet-")?;
            check_ids("vpc.security_group_ids", &vpc.security_group_ids, "sg-")?;
        }
        Ok(())
    }
}

impl Fleet {
    /// The names of all things by their place; nothing where a thing was taken out.
    pub fn things(&self, project: &str, environment: &str) -> Vec<Option<String>> {
        match self.count {
            Some(count) => (1..=count)
                .map(|number| Some(format!("{project}-{environment}-{number:04}")))
                .collect(),
            None => self.names.clone(),
        }
    }

    fn check(&self) -> Result<(), Error> {
        if self.count.is_some() && !self.names.is_empty() {
            return Err(wrong("fleet", "has both `count` and `names`; expected one of them"));
        }
        if self.count.is_some_and(|count| count > LARGEST_FLEET) {
            let message = format!(
                "is {}; expected at most {LARGEST_FLEET}, which already needs {} stacks",
                self.count.unwrap_or_default(),
                LARGEST_FLEET / 400
            );
            return Err(wrong("fleet.count", message));
        }
        let mut seen = BTreeMap::new();
        for (place, name) in self.names.iter().enumerate() {
            let Some(name) = name else { continue };
            let parameter = format!("fleet.names[{place}]");
            name.parse::<iotstack::protocol::ThingName>()
                .map_err(|error| wrong(&parameter, error.to_string()))?;
            if let Some(first) = seen.insert(name, place) {
                return Err(wrong(&parameter, format!("`{name}` is also `fleet.names[{first}]`")));
            }
        }
        if self.attributes.len() > 3 {
            let message = format!(
                "has {} entries; a thing has at most 3 until it has its type",
                self.attributes.len()
            );
            return Err(wrong("fleet.attributes", message));
        }
        Ok(())
    }
}

impl Signing {
    fn check(&self) -> Result<(), Error> {
        if let Some(arn) = &self.certificate_arn
            && !(arn.starts_with("arn:") && arn.contains(":acm:"))
        {
            let message = format!(
                "`{arn}` is not the ARN of a certificate; expected `arn:aws:acm:REGION:ACCOUNT:certificate/ID`"
            );
            return Err(wrong("signing.certificate_arn", message));
        }
        self.certificate_name
            .parse::<iotstack::protocol::CertificateName>()
            .map_err(|error| wrong("signing.certificate_name", error.to_string()))?;
        if !(1..=36_500).contains(&self.validity_days) {
            let message = format!("is {}; expected 1 to 36500", self.validity_days);
            return Err(wrong("signing.validity_days", message));
        }
        Ok(())
    }
}

/// Environment names become part of physical names.
pub fn check_environment_name(name: &str) -> Result<(), Error> {
    check_word("environment", name, 16)
}

/// What a value is instead of what was expected, in words of whoever writes YAML and not
/// of whoever writes Rust.
fn in_words_of_yaml(mut message: String) -> String {
    if let Some(place) = message.find("expected struct ") {
        message.replace_range(place.., "expected an object");
    }
    for (rust, yaml) in [
        ("expected u32", "expected a whole number from 0 to 4294967295"),
        ("expected f64", "expected a number"),
        ("expected a sequence", "expected a list"),
        ("expected a map", "expected an object"),
        ("invalid type: sequence", "invalid type: list"),
        ("invalid type: map", "invalid type: object"),
    ] {
        message = message.replace(rust, yaml);
    }
    message
}

/// `{"a.b": 1}` as `{"a": {"b": 1}}`.
fn nested(values: Map<String, Value>) -> Result<Map<String, Value>, Error> {
    // Names without dots first, so that a dotted one changes what it reaches into.
    let (dotted, mut nested): (Map<_, _>, Map<_, _>) =
        values.into_iter().partition(|(name, _)| name.contains('.'));
    for (name, value) in dotted {
        let mut levels: Vec<&str> = name.split('.').collect();
        let last = levels.pop().unwrap_or_default();
        let mut place = &mut nested;
        for level in levels {
            let next = place.entry(level).or_insert_with(|| Value::Object(Map::new()));
            place = match next {
                Value::Object(map) => map,
                _ => {
                    return Err(wrong(
                        &name,
                        format!("`{level}` is a value and has nothing inside"),
                    ));
                }
            };
        }
        place.insert(last.to_owned(), value);
    }
    Ok(nested)
}

fn check_word(parameter: &str, word: &str, longest: usize) -> Result<(), Error> {
    let fits = word.starts_with(|first: char| first.is_ascii_lowercase())
        && word.len() <= longest
        && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !word.ends_with('-');
    if fits {
        return Ok(());
    }
    Err(wrong(
        parameter,
        format!(
            "`{word}` is not valid; expected 1 to {longest} of `a-z 0-9 -`, a letter first and no `-` last"
        ),
    ))
}

fn check_ids(parameter: &str, ids: &[String], prefix: &str) -> Result<(), Error> {
    let wrong_id = ids.iter().find(|id| !id.starts_with(prefix));
    match wrong_id {
        Some(id) => Err(wrong(parameter, format!("`{id}` is not valid; expected `{prefix}…`"))),
        None if ids.is_empty() => {
            Err(wrong(parameter, format!("is empty; expected at least one `{prefix}…`")))
        }
        None => Ok(()),
    }
}

fn wrong(name: &str, message: impl Into<String>) -> Error {
    Error::Parameter { name: name.into(), message: message.into() }
}

/// Two thousand stacks is what an account takes in a region.
const LARGEST_FLEET: u32 = 800_000;

#[cfg(test)]
mod tests;
