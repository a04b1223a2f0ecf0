//! The embedded database: finding a type by name, decoding it once.
//!
//! The index is read when the first type is asked for; a type is decoded when it is
//! asked for and kept until the program ends. Both are plain reads of memory: no
//! file is opened.

use std::sync::OnceLock;

use crate::codec::Database;
use crate::nearest::ranked;
use crate::resource_type::ResourceType;

/// Finds the facts of a resource type by its exact name.
///
/// Types whose name begins with `Custom::` have the facts of
/// `AWS::CloudFormation::CustomResource`.
pub fn resource_type(name: &str) -> Option<&'static ResourceType> {
    let name = if name.starts_with("Custom::") { CUSTOM_RESOURCE } else { name };
    let index = index();
    let place = index.database.names.binary_search_by(|other| (**other).cmp(name)).ok()?;
    index.decoded.get(place)?.get_or_init(|| index.database.decode(place)).as_ref()
}

/// Lists the names of all known resource types in alphabetical order.
pub fn resource_types() -> impl Iterator<Item = &'static str> {
    index().database.names.iter().copied()
}

/// Finds known resource types with a similar name, the most similar first, three at
/// most.
pub fn nearest_resource_types(name: &str) -> Vec<&'static str> {
    let mut found = ranked(name, resource_types());
    found.truncate(3);
    found
}

/// The date of the schemas that the facts were taken from, as `YYYY-MM-DD`.
pub fn schema_date() -> &'static str {
    index().database.date
}

/// Lists the regions about which the facts say anything.
pub(crate) fn regions() -> impl Iterator<Item = &'static str> {
    index().database.regions.iter().copied()
}

/// Finds the bit that stands for a region in [`ResourceType::region_bits`].
pub(crate) fn region_bit(region: &str) -> Option<u64> {
    index().database.regions.iter().position(|name| *name == region).map(|place| 1 << place)
}

struct Index {
    database: Database,
    decoded: Vec<OnceLock<Option<ResourceType>>>,
}

fn index() -> &'static Index {
    static INDEX: OnceLock<Index> = OnceLock::new();
    INDEX.get_or_init(|| {
        // Damaged data reads as an empty database. It cannot be damaged without the
        // tests of this crate failing, which decode every type.
        let database = Database::open(BYTES).unwrap_or_default();
        let decoded = database.names.iter().map(|_| OnceLock::new()).collect();
        Index { database, decoded }
    })
}

const CUSTOM_RESOURCE: &str = "AWS::CloudFormation::CustomResource";

static BYTES: &[u8] = include_bytes!("data/types.bin");

#[cfg(test)]
mod tests;
