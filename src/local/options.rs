//! How a local cloud is started.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use crate::{Account, Clock, RootKey};

/// How a local cloud is started. The default is a cloud in memory, on loopback,
/// on free ports, in real time.
#[derive(Debug, Clone)]
pub struct Options {
    /// The address of the sockets. What is no loopback address opens the cloud to
    /// the network.
    pub host: IpAddr,
    /// The port of the AWS APIs; any free one for 0.
    pub http_port: u16,
    /// The port of MQTT with mutual TLS; any free one for 0.
    pub mqtt_port: u16,
    /// Further names of this machine for the certificate of the broker.
    pub host_names: Vec<String>,
    /// Whose cloud it is.
    pub account: Account,
    /// The key of the account's owner.
    pub root: RootKey,
    /// The folder that keeps the state; memory if absent.
    pub state: Option<PathBuf>,
    /// The clock of the services.
    pub clock: Clock,
    /// Follows the MQTT standard where AWS IoT departs from it.
    pub standard_mqtt: bool,
    /// Refuses what exceeds AWS IoT's limits per second and client.
    pub aws_limits: bool,
    /// Refuses devices that do not name the server they want in the TLS handshake, which
    /// those that connect to an IP address cannot.
    pub needs_server_name: bool,
    /// How long it takes, on the clock of the services, until a change of a policy of AWS
    /// IoT holds for devices. AWS needs six to eight minutes.
    pub policy_delay: Duration,
    /// How to start further processes that take devices in; without, those of this
    /// process must do.
    pub door: Option<Door>,
    /// The most devices that one process takes in; three quarters of the files it may
    /// open if absent.
    pub connections_per_process: Option<usize>,
}

/// A program that calls [`keep_door`](crate::keep_door).
#[derive(Debug, Clone)]
pub struct Door {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            http_port: 0,
            mqtt_port: 0,
            host_names: Vec::new(),
            account: Account::default(),
            root: RootKey::default(),
            state: None,
            clock: Clock::real(),
            standard_mqtt: false,
            aws_limits: false,
            needs_server_name: false,
            policy_delay: Duration::ZERO,
            door: None,
            connections_per_process: None,
        }
    }
}
