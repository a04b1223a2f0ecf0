//! What CloudFormation resource types accept: facts, embedded in the program.
//!
//! For every resource type there is a [`ResourceType`]: its properties with their
//! shapes, what is required, which attributes can be read, what an update replaces,
//! and in which regions the type exists. The checker walks a template along these
//! shapes, the diff asks them what a change will replace.
//!
//! The facts are compressed one type at a time and decoded when a type is first
//! asked for, so a program that never asks pays nothing, and one that asks for ten
//! types decodes ten.
//!
//! Nothing here reads templates, compiles patterns or judges: this is data. There
//! are no description texts in it, and no network is ever used.

pub mod codec;
mod index;
mod nearest;
mod path;
mod resource_type;
mod shape;

pub use index::{nearest_resource_types, resource_type, resource_types, schema_date};
pub use nearest::nearest;
pub use path::PropertyPath;
pub use resource_type::{
    Attribute, Definition, Lifecycle, Replacement, ReplacementOrder, ResourceType, Scrutiny,
    Tagging,
};
pub use shape::{
    ArrayShape, Format, MapShape, NumberShape, ObjectRule, ObjectShape, Property, Shape,
    StringShape, Target,
};
