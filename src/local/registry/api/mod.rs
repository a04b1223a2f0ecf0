//! The operations of the control plane.
//!
//! One file per noun. The rules stand beside the operations, as methods of
//! [`crate::core::Tx`], so that CloudFormation and provisioning follow them too.
//! Which request means which operation is told in [`routes`].

pub mod authorization;
pub mod billing;
pub mod cas;
pub mod certificates;
pub mod fleet_metrics;
pub mod groups;
pub mod indexing;
pub mod input;
pub mod membership;
pub mod policies;
pub mod principals;
mod refused;
pub mod role_aliases;
mod routes;
pub mod settings;
pub mod tags;
pub mod templates;
pub mod thing_types;
pub mod things;

use std::sync::Arc;

use iotstack_local_kernel::{Operation, Protocol, Service};

use crate::core::Registry;

impl Service for Registry {
    fn scopes(&self) -> &'static [&'static str] {
        // Older clients sign for API Gateway.
        &["iot", "execute-api"]
    }

    fn protocols(&self) -> &'static [Protocol] {
        &[Protocol::RestJson]
    }

    fn invalid_input(&self) -> &'static str {
        "InvalidRequestException"
    }

    fn operations(self: Arc<Self>) -> Vec<Operation> {
        routes::all(self)
    }

    fn refused(&self) -> &'static [(&'static str, &'static str)] {
        refused::list()
    }
}
