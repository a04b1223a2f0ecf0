//! What every service of the local cloud stands on.
//!
//! A service is a folder of its own and knows no other service. It meets the
//! rest of the cloud here:
//!
//! - [`Service`]: its operations, called with a [`Call`], answered with a
//!   [`Reply`] or a [`Fault`]. [`Services`] finds the operation of an HTTP
//!   request and speaks the wire format (REST-JSON, AWS-JSON, query).
//! - [`ResourceHandler`]: how CloudFormation makes, changes and removes what the
//!   service owns.
//! - [`Reserved`]: the `$aws/…` topics that the service answers.
//! - [`ports`]: the few things that one service may ask of another, as small
//!   traits; [`Bus`]: what one service tells all others.
//! - [`Clock`]: the only source of time. [`Store`]: state that outlives the
//!   process. [`Account`]: whose cloud this is. [`signature`]: who signed a request.
//!
//! A crate of the local cloud has one entrance,
//! `pub fn install(cloud: &Arc<Cloud>) -> Result<(), StoreError>`: it restores
//! its state from [`Cloud::store`], registers its services, handlers and ports,
//! and may start background tasks.
//!
//! Invariants: nothing here names a service that it serves. No lock is held
//! while another service is called. A reply is sent only after the change that
//! it confirms is stored. Local time comes from the clock, never from the
//! machine.

pub mod account;
pub mod bus;
pub mod call;
pub mod clock;
pub mod cloud;
pub mod fault;
pub mod handler;
pub mod id;
pub mod loose;
pub mod message;
pub mod page;
pub mod policy;
pub mod ports;
pub mod resource;
pub mod service;
pub mod services;
pub mod signature;
pub mod store;
pub mod tags;
pub mod testing;
pub mod violation;
pub mod wire;

pub use account::Account;
pub use bus::{Bus, CloudEvent};
pub use call::{Body, Call, Caller, Reply};
pub use clock::{Clock, Timestamp};
pub use cloud::Cloud;
pub use fault::Fault;
pub use handler::Immediate;
pub use message::{
    Admission, Authority, ConnectAttempt, Message, Properties, Publisher, QoS, Refused, Reserved,
    Rights,
};
pub use resource::{ResourceFault, ResourceHandler, ResourceRequest, ResourceState};
pub use service::{Operation, Operations, Protocol, Service};
pub use services::{Meant, Services};
pub use store::{Batch, Commit, Store, StoreError};
pub use violation::{violation, violations};

/// A boxed future, the shape of every asynchronous answer behind a trait object.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
