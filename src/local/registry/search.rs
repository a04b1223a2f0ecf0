//! Searching the fleet from within the process, whatever the account indexes.
//!
//! Fleet indexing is a setting of the account that costs money on AWS, and the ready
//! stacks leave it off. The console shows all the same which things are connected
//! and what they run. Queries are those of SearchIndex; things are seen with their
//! classic shadow and their connectivity, and with the named shadows that the
//! account indexes.

use std::collections::HashMap;
use std::sync::Arc;

use iotstack_local_kernel::{Fault, page};

use crate::core::Registry;
use crate::index::{Configuration, Document, Indexed, parse};

/// Searches all things of the registry.
pub struct FleetSearch {
    registry: Arc<Registry>,
}

impl FleetSearch {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        FleetSearch { registry }
    }

    /// The names of the things that fit a query: the first `limit` after `token`, in
    /// their order, and the token of the next page.
    ///
    /// # Errors
    /// A fault for a query that cannot be read, or a token that no page gave.
    pub fn things(
        &self,
        query: &str,
        token: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Arc<str>>, Option<String>), Fault> {
        let query = parse(query)?;
        let registry = &self.registry;
        registry.know_shadows();
        let (names, configuration) = registry.read(|state| {
            let names: Vec<Arc<str>> = state.things.keys().cloned().collect();
            (names, all_of(&state.settings.indexing))
        });
        // Asked for with no lock held, as another service keeps them.
        let cloud = registry.cloud()?;
        let shadows = cloud.ports.shadows()?;
        let classic: HashMap<Arc<str>, _> = names
            .into_iter()
            .filter_map(|name| shadows.shadow(&name, None).map(|document| (name, document)))
            .collect();
        registry.read(|state| {
            let found = state.things.values().filter(|thing| {
                let known = state.indexed.get(&thing.name);
                let indexed = Indexed {
                    connectivity: known.and_then(|known| known.connectivity),
                    classic: classic.get(&thing.name).cloned(),
                    named: known.map(|known| known.named.clone()).unwrap_or_default(),
                };
                let configuration = &configuration;
                query.fits(&Document { thing, indexed: Some(&indexed), configuration })
            });
            let (found, next) = page::page(found, |thing| thing.name.to_string(), token, limit)?;
            Ok((found.into_iter().map(|thing| thing.name.clone()).collect(), next))
        })
    }
}

/// The same configuration with classic shadows and connectivity on.
fn all_of(indexing: &Configuration) -> Configuration {
    let mut all = indexing.clone();
    let things = &mut all.thing_indexing_configuration;
    things.thing_indexing_mode = "REGISTRY_AND_SHADOW".to_owned();
    things.thing_connectivity_indexing_mode = "STATUS".to_owned();
    all
}
