//! The stage on which devices play: a cloud, the stack in it, and what a device must know.
//!
//! `demo` and `simulate` begin here. A stage on this machine is made and struck by us: a
//! local cloud in this process, bootstrapped, with the firmware-update stack deployed as
//! anybody would deploy it. A stage in an account is the stack that stands there already;
//! only what devices added to it is taken away again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use base64::Engine;
use iotstack_assembly::{CloudAssembly, Environment};
use iotstack_deploy::bootstrap::{self, BootstrapOptions, BootstrapProposal};
use iotstack_deploy::destroy::{self, Consent};
use iotstack_deploy::fleet::DeviceCredentials;
use iotstack_deploy::{DeployOptions, Fleet, Proposal, Session, Silence, asset, change_set};
use iotstack_sim::{Address, Claiming, KeyOrigin, KeyPair, Pace, Target};
use iotstack_stacks::{Handlers, Request};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::context::Context;
use super::error::{Error, Kind, Result};
use super::host::{CloudProcess, Host};
use super::{cloud, fleet, handlers};

/// A cloud with the firmware-update stack, ready for devices.
pub struct Stage {
    /// The fleet of the stack.
    pub fleet: Fleet,
    /// The cloud that was started for it; none for an account.
    local: Option<Host>,
    session: Session,
    prefix: String,
    /// The broker that was named, or that a local cloud has told.
    broker: Option<Broker>,
    /// Whether the cloud is on this machine.
    is_near: bool,
}

/// Where devices connect, if AWS is not to be asked, and who vouches for it.
#[derive(Debug, Clone)]
pub struct Broker {
    /// Where it listens.
    pub address: Address,
    /// Certificates, PEM; those that this machine trusts if absent.
    pub authority: Option<String>,
}

impl Stage {
    /// Starts a cloud on this machine and deploys the stack to it. `parameters` are those
    /// of the ready stack; `tell` hears of each step.
    pub async fn local(
        context: &Context,
        (time_lapse, is_killed): (f64, bool),
        parameters: Map<String, Value>,
        tell: &dyn Fn(&str),
    ) -> Result<Self> {
        let folder = tempfile::tempdir().map_err(|error| {
            Error::stack(format!("cannot make a folder for the stack: {error}"))
        })?;
        let assembly = synthesize(context, parameters, folder.path().join("assembly"))?;
        tell("starting the local cloud");
        let local = Host::start(time_lapse, is_killed).await?;
        let [endpoint, region, key_id, secret] = local.session();
        let session = Session::at_endpoint(endpoint, region, key_id, secret)?;
        tell("deploying the firmware-update stack");
        bootstrap(&session).await?;
        for stack in assembly.stacks() {
            let clients = session.clients_for(stack, &Silence).await?;
            asset::publish(&clients, stack, &Silence).await?;
            let options = DeployOptions::default();
            match change_set::propose(&clients, stack, &options, &Silence).await? {
                Proposal::Changes(changes) => {
                    change_set::execute(&clients, &changes, &Silence).await?;
                }
                other => {
                    return Err(Error::new(Kind::Bug, format!("a fresh cloud proposed {other:?}")));
                }
            }
        }
        let clients = session.clients(&Environment::default()).await?;
        let fleet = Fleet::open(clients, &fleet::stack_name(ENVIRONMENT)).await?;
        let prefix = fleet.thing_group()?.to_owned();
        Ok(Stage { fleet, local: Some(local), session, prefix, broker: None, is_near: true })
    }

    /// The stack that stands in the account of an environment.
    pub async fn account(
        context: &Context,
        stack: &fleet::StackOption,
        broker: Option<Broker>,
    ) -> Result<Self> {
        let session = cloud::session(context).await?;
        let fleet = fleet::open(context, stack).await?;
        let prefix = fleet.thing_group()?.to_owned();
        let is_near = session.endpoint_url().is_some_and(cloud::is_local);
        let broker = match (broker, session.endpoint_url()) {
            (None, Some(endpoint)) if is_near => told_by(endpoint).await,
            (broker, _) => broker,
        };
        Ok(Stage { fleet, local: None, session, prefix, broker, is_near })
    }

    /// The cloud, if it is ours to kill.
    pub fn process(&self) -> Option<&CloudProcess> {
        match &self.local {
            Some(Host::Apart(process)) => Some(process.as_ref()),
            _ => None,
        }
    }

    /// What devices must know.
    pub async fn target(&self) -> Result<Target> {
        let (name, certificate) = self.fleet.signing_certificate().await?;
        let broker = match (&self.broker, &self.local) {
            (Some(given), _) => given.address.clone(),
            (None, Some(local)) => told(local.mqtt())?,
            (None, None) => told(&self.fleet.endpoint().await?.host)?,
        };
        let mut target = Target::new(broker, self.prefix.clone());
        if self.fleet.provisioning_template().is_some() {
            let claim = self.fleet.claim().await?;
            target.claim = Some(Claiming {
                claim: pair(claim.credentials),
                template: claim.template,
                serial_parameter: "SerialNumber".to_owned(),
                parameters: Default::default(),
                key: KeyOrigin::Device,
            });
        }
        target.signers.insert(name, certificate);
        target.telemetry_topic = Some(format!("dt/{}/{{thing}}/telemetry", self.prefix));
        if let Some(local) = &self.local {
            target.authority = Some(local.authority().to_owned());
            target.allows_plain_downloads = true;
        } else {
            let given = self.broker.as_ref().and_then(|broker| broker.authority.clone());
            target.authority = Some(match given {
                Some(authority) => authority,
                None => system_authorities()?,
            });
            target.allows_plain_downloads = self.is_near;
            if !self.is_near {
                target.pace = Pace::aws();
            }
        }
        Ok(target)
    }

    /// Refuses to play with things that somebody else has made.
    pub async fn refuse_existing(&self, things: &[String]) -> Result<()> {
        match self.fleet.first_existing(things).await? {
            None => Ok(()),
            Some(thing) => Err(Error::usage(format!(
                "the thing `{thing}` exists already; a simulation takes only things of its own"
            ))
            .hint("set `fleet.serials` in the scenario, such as `serials: sim-{n}`")),
        }
    }

    /// Makes things with certificates, for devices of a stack that lets none claim its own.
    /// What Ctrl-C finds begun comes to its end, so that no certificate is left that belongs
    /// to no thing.
    pub async fn provision(&self, things: &[String]) -> Result<BTreeMap<String, KeyPair>> {
        let stopped = AtomicBool::new(false);
        let made = self.fleet.provision_all(things, &stopped);
        let made = cloud::stopping(async { Ok(made.await?) }, &stopped).await?;
        Ok(made.into_iter().map(|(thing, credentials)| (thing, pair(credentials))).collect())
    }

    /// Takes away the things that devices became, with their certificates.
    pub async fn dismiss(&self, things: &[String]) -> Result<()> {
        Ok(self.fleet.retire(things).await?)
    }

    /// Destroys the stack of a cloud that was started for it, and ends the cloud.
    pub async fn strike(self) -> Result<()> {
        let Some(local) = self.local else { return Ok(()) };
        let clients = self.session.clients(&Environment::default()).await?;
        let stack = fleet::stack_name(ENVIRONMENT);
        let demolition = destroy::inspect(&clients, &stack, &Silence).await?;
        let consent = Consent { empty_buckets: true, detach_iot: true, ..Consent::default() };
        destroy::destroy(&clients, &demolition, consent, &Silence).await?;
        drop(local);
        Ok(())
    }
}

fn synthesize(
    context: &Context,
    mut parameters: Map<String, Value>,
    output: PathBuf,
) -> Result<CloudAssembly> {
    let found = handlers::find(context.options.handlers.as_deref())?;
    parameters.entry("claim_provisioning").or_insert(json!(true));
    let request = Request {
        environment_name: ENVIRONMENT.to_owned(),
        account: None,
        region: None,
        parameters,
        handlers: Handlers { program: found.path, architecture: found.architecture.into() },
        output: output.clone(),
    };
    iotstack_stacks::synthesize(&request).map_err(|error| Error::stack(error.to_string()))?;
    Ok(CloudAssembly::read(&output)?)
}

async fn bootstrap(session: &Session) -> Result<()> {
    let clients = session.clients(&Environment::default()).await?;
    let options = BootstrapOptions::default();
    match bootstrap::propose(&clients, &options, &Silence).await? {
        BootstrapProposal::Stack(Proposal::Changes(changes)) => {
            change_set::execute(&clients, &changes, &Silence).await?;
            Ok(())
        }
        other => Err(Error::new(Kind::Bug, format!("a fresh cloud proposed {other:?}"))),
    }
}

/// The broker of an `iotstack local` at this endpoint; nothing if it is another cloud.
async fn told_by(endpoint: &str) -> Option<Broker> {
    let host = endpoint.strip_prefix("http://")?.trim_end_matches('/');
    let mut stream = tokio::net::TcpStream::connect(host).await.ok()?;
    let request =
        format!("GET /_iotstack/health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.take(LONGEST_ANSWER).read_to_string(&mut answer).await.ok()?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body)?;
    let health: Value = serde_json::from_str(body).ok()?;
    Some(Broker {
        address: address(health["mqtt"].as_str()?).ok()?,
        authority: health["authority"].as_str().map(str::to_owned),
    })
}

/// The authorities that this machine trusts, PEM, for brokers with public certificates.
fn system_authorities() -> Result<String> {
    let path = std::env::var_os("AWS_CA_BUNDLE").filter(|path| !path.is_empty());
    if let Some(path) = path {
        return std::fs::read_to_string(&path).map_err(|error| {
            Error::usage(format!("cannot read AWS_CA_BUNDLE `{}`: {error}", path.display()))
        });
    }
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        return Err(Error::stack("this machine trusts no certificate authority")
            .hint("name a file with certificates in AWS_CA_BUNDLE"));
    }
    let encode = |certificate: &[u8]| {
        let text = base64::engine::general_purpose::STANDARD.encode(certificate);
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    };
    Ok(found.certs.iter().map(|certificate| encode(certificate)).collect())
}

fn pair(credentials: DeviceCredentials) -> KeyPair {
    KeyPair { certificate: credentials.certificate_pem, private_key: credentials.private_key }
}

/// The address that a cloud tells of its broker.
fn told(text: &str) -> Result<Address> {
    address(text).map_err(|reason| {
        Error::stack(format!("the cloud says `{text}` is the address of its broker: {reason}"))
    })
}

/// Reads `host` or `host:port`, and addresses of IPv6 in brackets.
pub fn address(text: &str) -> std::result::Result<Address, &'static str> {
    const EXPECTED: &str = "expected HOST or HOST:PORT";
    let (host, port) = match text.rsplit_once(':') {
        // The last part of an address without a port.
        Some((_, after)) if after.ends_with(']') => (text, USUAL_PORT),
        Some((host, port)) => (host, port.parse().map_err(|_| EXPECTED)?),
        None => (text, USUAL_PORT),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_good = match bare {
        Some(bare) => bare.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        }
    };
    match is_good && port != 0 {
        true => Ok(Address { host: bare.unwrap_or(host).to_owned(), port }),
        false => Err(EXPECTED),
    }
}

/// Where brokers listen for MQTT over TLS.
const USUAL_PORT: u16 = 8883;

const LONGEST_ANSWER: u64 = 64 * 1024;

/// What the stack on this machine is called after.
const ENVIRONMENT: &str = "dev";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses_of_brokers_and_says_what_it_would_read() {
        for (text, host, port) in [
            ("localhost", "localhost", 8883),
            ("broker.example:443", "broker.example", 443),
            ("127.0.0.1:1883", "127.0.0.1", 1883),
            ("[::1]", "::1", 8883),
            ("[::1]:443", "::1", 443),
        ] {
            let address = address(text).unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port), "{text}");
        }
        for text in ["", ":1", "host:", "host:x", "host:0", "host:70000", "a b:1", "::1", "[x]:1"] {
            assert_eq!(address(text).unwrap_err(), "expected HOST or HOST:PORT", "{text}");
        }
    }
}
