//! Topic rules of the local cloud: SQL and actions.

pub mod sql;
