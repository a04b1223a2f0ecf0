//! Policy variables and condition keys, and where their values come from.
//!
//! A connection keeps the values of those variables that its statements use, and
//! no others. Over HTTP the variables of a thing have no values.

use std::net::IpAddr;
use std::sync::Arc;

use iotstack_local_kernel::Timestamp;

use crate::state::Thing;
use crate::x509;

/// A policy variable or a condition key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Variable {
    ClientId,
    SourceIp,
    ThingName,
    ThingType,
    IsAttached,
    ThingAttribute(Arc<str>),
    CertificateId,
    /// What the certificate says, such as `Subject.CommonName`, and which of
    /// several values: one by its index, or all.
    Certificate(Arc<str>, Which),
    ConnectAttributes,
    LastWillTopic,
    CurrentTime,
    EpochTime,
    /// Nothing that has a value here.
    Unknown(Arc<str>),
}

/// Which of several values is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Which {
    At(usize),
    All,
}

/// Where values come from.
#[derive(Default, Clone, Copy)]
pub struct Env<'a> {
    pub client_id: Option<&'a str>,
    pub source: Option<IpAddr>,
    /// The thing that the connection stands for; nothing over HTTP.
    pub thing: Option<&'a Thing>,
    /// Whether it is a connection of MQTT.
    pub mqtt: bool,
    pub certificate_id: Option<&'a str>,
    pub certificate: Option<&'a [u8]>,
    pub connect: Option<&'a Connect>,
    pub now: Timestamp,
}

/// What a CONNECT asks for beyond a plain connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connect {
    pub persistent: bool,
    /// The ARN of the topic of the last will.
    pub last_will: Option<Box<str>>,
}

/// The values of the variables that are used.
#[derive(Debug, Clone, Default)]
pub struct Values(Box<[Valued]>);

/// A variable with its values.
type Valued = (Variable, Box<[Box<str>]>);

impl Variable {
    /// Reads the name of a variable.
    pub fn parse(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "iot:clientid" => Variable::ClientId,
            "aws:sourceip" => Variable::SourceIp,
            "iot:connection.thing.thingname" => Variable::ThingName,
            "iot:connection.thing.thingtypename" => Variable::ThingType,
            "iot:connection.thing.isattached" => Variable::IsAttached,
            "iot:certificateid" => Variable::CertificateId,
            "iot:connectattributes" => Variable::ConnectAttributes,
            "iot:lastwilltopic" => Variable::LastWillTopic,
            "aws:currenttime" => Variable::CurrentTime,
            "aws:epochtime" => Variable::EpochTime,
            _ => Self::long(name),
        }
    }

    /// Whether its value changes while a connection lasts.
    pub fn changes(&self) -> bool {
        matches!(self, Variable::CurrentTime | Variable::EpochTime)
    }

    fn long(name: &str) -> Self {
        if let Some(key) = name
            .strip_prefix("iot:Connection.Thing.Attributes[")
            .and_then(|rest| rest.strip_suffix(']'))
        {
            return Variable::ThingAttribute(key.into());
        }
        let Some(path) = name.strip_prefix("iot:Certificate.") else {
            return Variable::Unknown(name.into());
        };
        match path.rsplit_once('.') {
            Some((path, "List")) => Variable::Certificate(path.into(), Which::All),
            Some((path, index)) if index.bytes().all(|byte| byte.is_ascii_digit()) => {
                match index.parse() {
                    Ok(index) => Variable::Certificate(path.into(), Which::At(index)),
                    Err(_) => Variable::Unknown(name.into()),
                }
            }
            _ => Variable::Certificate(path.into(), Which::At(0)),
        }
    }

    /// Its values; nothing if it has none.
    fn values(&self, env: &Env<'_>) -> Option<Vec<String>> {
        let one = |value: Option<String>| value.map(|value| vec![value]);
        match self {
            Variable::ClientId => one(env.client_id.map(str::to_owned)),
            Variable::SourceIp => one(env.source.map(|source| source.to_string())),
            Variable::ThingName => one(env.thing.map(|thing| thing.name.to_string())),
            Variable::ThingType => {
                one(env.thing.and_then(|thing| thing.thing_type.as_deref()).map(str::to_owned))
            }
            Variable::IsAttached => one(env.mqtt.then(|| env.thing.is_some().to_string())),
            Variable::ThingAttribute(key) => {
                one(env.thing.and_then(|thing| thing.attributes.get(&**key)).cloned())
            }
            Variable::CertificateId => one(env.certificate_id.map(str::to_owned)),
            Variable::Certificate(path, which) => certificate(path, *which, env),
            Variable::ConnectAttributes => env.connect.map(|connect| {
                let mut used = Vec::new();
                if connect.persistent {
                    used.push("PersistentConnect".to_owned());
                }
                if connect.last_will.is_some() {
                    used.push("LastWill".to_owned());
                }
                used
            }),
            Variable::LastWillTopic => {
                one(env.connect.and_then(|connect| connect.last_will.as_deref()).map(str::to_owned))
            }
            Variable::CurrentTime => one(Some(env.now.iso8601())),
            Variable::EpochTime => one(Some(env.now.seconds().to_string())),
            Variable::Unknown(_) => None,
        }
    }
}

impl Values {
    /// The values of `variables`, as far as they have any.
    pub fn resolve<'a>(variables: impl Iterator<Item = &'a Variable>, env: &Env<'_>) -> Self {
        let mut found: Vec<Valued> = Vec::new();
        for variable in variables {
            if found.iter().any(|(known, _)| known == variable) {
                continue;
            }
            if let Some(values) = variable.values(env) {
                let values = values.into_iter().map(String::into_boxed_str).collect();
                found.push((variable.clone(), values));
            }
        }
        Values(found.into_boxed_slice())
    }

    /// The same values at another time.
    pub fn at(&self, now: Timestamp) -> Self {
        let env = Env { now, ..Env::default() };
        let mut values = self.clone();
        for (variable, found) in values.0.iter_mut().filter(|(variable, _)| variable.changes()) {
            let now = variable.values(&env).unwrap_or_default();
            *found = now.into_iter().map(String::into_boxed_str).collect();
        }
        values
    }

    /// All values of a variable; `None` if it has no value at all.
    pub fn all(&self, variable: &Variable) -> Option<&[Box<str>]> {
        self.0.iter().find(|(known, _)| known == variable).map(|(_, values)| &**values)
    }

    /// The value to put in a variable's place. One that holds wildcards is none.
    pub fn substitute(&self, variable: &Variable) -> Option<&str> {
        self.all(variable)?
            .first()
            .map(|value| &**value)
            .filter(|value| !value.contains(['*', '?', '+', '#']))
    }
}

fn certificate(path: &str, which: Which, env: &Env<'_>) -> Option<Vec<String>> {
    if path == "AvailableKeys" {
        // The keys are asked for one by one where they matter.
        return None;
    }
    let der = env.certificate?;
    let mut values = x509::variable(der, path);
    values.truncate(MOST_VALUES);
    values.retain(|value| value.len() <= LONGEST_VALUE);
    match which {
        Which::All => (!values.is_empty()).then_some(values),
        Which::At(index) => (index < values.len()).then(|| vec![values.swap_remove(index)]),
    }
}

const MOST_VALUES: usize = 5;
const LONGEST_VALUE: usize = 1024;
