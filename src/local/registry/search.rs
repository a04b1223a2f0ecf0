//! Searching the fleet from within the process, whatever the account indexes.
//!
//! Fleet indexing is a setting of the account that costs money on AWS, and the ready
//! stacks leave it off. The console shows all the same which things are connected
//! and what they run. Queries are those of SearchIndex; things are seen with their
//! classic shadow and their connectivity, and with the named shadows that the
//! account indexes.

use std::ops::Bound;
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
        let after = page::after(token)?;
        let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let (names, configuration) = registry.read(|state| {
            let rest = state.things.range::<str, _>((from, Bound::Unbounded));
            let names: Vec<Arc<str>> = rest.map(|(name, _)| name.clone()).collect();
            (names, all_of(&state.settings.indexing))
        });
        let cloud = registry.cloud()?;
        let shadows = cloud.ports.shadows()?;
        let fits = |name: &Arc<str>| {
            // Asked for with no lock held, as another service keeps it, and one by one: no
            // more is looked at than the page and the next match need.
            let classic = shadows.shadow(name, None);
            registry.read(|state| {
                let Some(thing) = state.things.get(name) else { return false };
                let known = state.indexed.get(name);
                let indexed = Indexed {
                    connectivity: known.and_then(|known| known.connectivity),
                    classic,
                    named: known.map(|known| known.named.clone()).unwrap_or_default(),
                };
                let configuration = &configuration;
                query.fits(&Document { thing, indexed: Some(&indexed), configuration })
            })
        };
        page::page(names.into_iter().filter(fits), |name| name.to_string(), None, limit)
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
