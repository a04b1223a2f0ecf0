//! IAM: roles and policies.
//!
//! The `Cfn…` types are the L1: one per CloudFormation type, with every property it
//! has. They describe resources and do nothing by themselves; nothing here calls AWS.

pub mod cfn;
pub mod grant;
pub mod role;
pub mod statement;

pub use cfn::*;
pub use grant::{Grant, Grantee};
pub use role::{Role, RoleRef};
pub use statement::{Condition, Effect, Principal, Service, Statement, document};
pub(crate) use statement::{add_statement, one_or_many};
