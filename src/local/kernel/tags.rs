//! Tags of resources that share an operation on tags but live in several services.
//!
//! AWS IoT has one `TagResource` for things of many kinds: groups, jobs, rules, streams.
//! The registry answers it; whoever keeps resources of another kind says so here, and is
//! asked for their tags. The ARN says which kind it is.

use std::collections::BTreeMap;

use crate::{BoxFuture, Fault};

/// The tags of one resource.
pub type Tags = BTreeMap<String, String>;

/// What is done to tags; a refusal leaves them as they are.
pub type ChangeTags = Box<dyn FnOnce(&mut Tags) -> Result<(), Fault> + Send>;

/// Keeps resources that can have tags.
pub trait Tagged: Send + Sync {
    /// The kinds of its resources, as they stand in ARNs, such as `rule`.
    fn kinds(&self) -> &'static [&'static str];

    /// The tags of a resource; nothing if there is no such resource.
    fn tags(&self, kind: &str, name: &str) -> Option<Tags>;

    /// Changes the tags of a resource, and waits until that is stored.
    ///
    /// # Errors
    /// What `change` refuses; a fault if there is no such resource.
    fn change_tags<'a>(
        &'a self,
        kind: &'a str,
        name: &'a str,
        change: ChangeTags,
    ) -> BoxFuture<'a, Result<(), Fault>>;
}
