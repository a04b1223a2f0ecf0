//! Fleet indexing: what can be asked of all things at once.
//!
//! The index is the registry itself seen with shadows and connectivity beside
//! it: nothing is copied, so nothing lags behind. Shadows and connectivity are
//! heard on the bus; dynamic groups are judged again for those things that
//! changed. A query is read once ([`Query`]) and then asked of one thing after
//! the other.
//!
//! Device Defender and locations are not indexed.

mod aggregate;
mod configuration;
mod document;
mod parser;
mod query;

pub use aggregate::{Aggregate, aggregate, buckets, percentiles};
pub use configuration::{Configuration, GROUP_FIELDS, GroupIndexing, THING_FIELDS, ThingIndexing};
pub use document::{Connectivity, Document, Fields, GroupDocument, Indexed, Scalar};
pub use parser::parse;
pub use query::Query;

use iotstack_local_kernel::Fault;

use crate::fault;

/// The index of things.
pub const THINGS_INDEX: &str = "AWS_Things";
/// The index of groups.
pub const GROUPS_INDEX: &str = "AWS_ThingGroups";
/// The only version of the query language.
pub const QUERY_VERSION: &str = "2017-09-30";

/// Checks `queryVersion`.
pub fn check_version(version: Option<&str>) -> Result<(), Fault> {
    match version {
        None | Some(QUERY_VERSION) => Ok(()),
        Some(other) => Err(fault::invalid(format!(
            "queryVersion `{other}` is not known; `{QUERY_VERSION}` is"
        ))),
    }
}

#[cfg(test)]
mod tests;
