//! Prepares an environment: the bucket and roles that deployments use.
//!
//! The stack is compatible with the one that `cdk bootstrap` makes: the same names for
//! the stack, its parameters, resources and outputs, so that either program can use
//! and update what the other made.

use indexmap::IndexMap;
use iotstack_assembly::Template;

use crate::change_set::Proposal;
use crate::event::EventSink;
use crate::{Clients, Result};

/// The version that this program's bootstrap stack declares.
pub const VERSION: u32 = 21;

/// The bootstrap stack's usual name.
pub const STACK_NAME: &str = "CDKToolkit";

/// The qualifier in the names of the bucket and the roles, unless told otherwise.
pub const QUALIFIER: &str = "hnb659fds";

/// How to bootstrap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootstrapOptions {
    /// The stack's name.
    pub stack_name: String,
    /// The qualifier in the names; `None` keeps that of an existing stack or takes
    /// [`QUALIFIER`].
    pub qualifier: Option<String>,
    /// Accounts that may deploy here; `None` keeps those of an existing stack.
    pub trust: Option<Vec<String>>,
    /// Accounts that may look things up here; `None` keeps those of an existing stack.
    pub trust_for_lookup: Option<Vec<String>>,
    /// Managed policies of the role that CloudFormation uses; `None` keeps those of an
    /// existing stack, and gives a new one `AdministratorAccess`.
    pub execution_policies: Option<Vec<String>>,
    /// The bucket's key; `None` keeps that of an existing stack, and gives a new one
    /// the key that S3 manages.
    pub key: Option<BucketKey>,
    /// The name of the bucket; `None` keeps it or takes the usual one.
    pub bucket_name: Option<String>,
    /// The name of a managed policy that bounds the role CloudFormation uses.
    pub permissions_boundary: Option<String>,
    /// Blocks public access to the bucket; `None` keeps what there is and blocks in a
    /// new one.
    pub block_public_access: Option<bool>,
    /// Whether the stack refuses to be deleted; `None` keeps what there is.
    pub termination_protection: Option<bool>,
    /// Tags on the stack.
    pub tags: IndexMap<String, String>,
    /// Deploys this version even over a newer one.
    pub force: bool,
}

/// Which key encrypts the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BucketKey {
    /// The key that S3 manages.
    Managed,
    /// A key that the stack makes.
    New,
    /// A key that exists, by id or ARN.
    Existing(String),
}

/// What bootstrapping would do.
#[derive(Debug, Clone, PartialEq)]
pub enum BootstrapProposal {
    /// There is a newer version, which is left alone.
    Newer {
        /// The version there.
        found: u32,
    },
    /// There is a bootstrap stack of somebody's own making, which is left alone.
    Foreign {
        /// What it calls itself.
        variant: String,
    },
    /// As for any stack.
    Stack(Proposal),
}

/// A bootstrap stack as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bootstrap {
    /// The stack's name.
    pub stack_name: String,
    /// Its version.
    pub version: u32,
    /// Its bucket.
    pub bucket: Option<String>,
    /// Its qualifier.
    pub qualifier: Option<String>,
}

impl Default for BootstrapOptions {
    fn default() -> Self {
        BootstrapOptions {
            stack_name: STACK_NAME.into(),
            qualifier: None,
            trust: None,
            trust_for_lookup: None,
            execution_policies: None,
            key: None,
            bucket_name: None,
            permissions_boundary: None,
            block_public_access: None,
            termination_protection: None,
            tags: IndexMap::new(),
            force: false,
        }
    }
}

/// The bootstrap stack's template.
pub fn template() -> Template {
    todo!()
}

/// The bootstrap stack of the environment, if there is one.
pub async fn find(clients: &Clients, stack_name: &str) -> Result<Option<Bootstrap>> {
    todo!()
}

/// Says what bootstrapping would do; hand the change set to
/// [`crate::change_set::execute`], then call [`finish`].
pub async fn propose(
    clients: &Clients,
    options: &BootstrapOptions,
    sink: &dyn EventSink,
) -> Result<BootstrapProposal> {
    todo!()
}

/// Sets the termination protection that the options ask for.
pub async fn finish(clients: &Clients, options: &BootstrapOptions) -> Result<()> {
    todo!()
}
