//! CloudWatch and CloudWatch Logs of the local cloud.
//!
//! Nothing is offered yet: calls are refused by name.

use std::sync::Arc;

use iotstack_local_kernel::{Cloud, StoreError};

/// Registers the services, their resource types and their ports.
///
/// # Errors
/// [`StoreError`] if the state on disk cannot be read.
pub fn install(_cloud: &Arc<Cloud>) -> Result<(), StoreError> {
    Ok(())
}
