//! Publishes files: what the assembly lists and the bucket does not have yet.

use std::path::Path;

use iotstack_assembly::StackArtifact;

use crate::event::EventSink;
use crate::{Clients, Result};

/// What publishing did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Publication {
    /// Files that were sent.
    pub sent: usize,
    /// Files that were there already.
    pub present: usize,
    /// Bytes that were sent.
    pub bytes: u64,
}

/// Publishes the assets of a stack, its template among them. What this session published
/// already is not looked at again.
pub async fn publish(
    clients: &Clients,
    artifact: &StackArtifact,
    sink: &dyn EventSink,
) -> Result<Publication> {
    todo!()
}

/// A folder as a zip: sorted, with fixed times and modes, so that the same folder is
/// always the same bytes.
pub fn zip_folder(folder: &Path) -> Result<Vec<u8>> {
    todo!()
}
