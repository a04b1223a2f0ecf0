//! Patterns of several resources (L3).

mod custom_resource;

pub use custom_resource::{CustomResource, CustomResourceRef, Provider, ProviderRef};
