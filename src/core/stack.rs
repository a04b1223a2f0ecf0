//! Stacks: the unit of deployment.

use std::collections::BTreeMap;
use std::ops::Deref;

use iotstack_assembly::Environment;

use crate::construct::Scope;

/// A CloudFormation stack. Added to an [`crate::App`] or a [`crate::Stage`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stack {
    /// The name in the account; from the ids on the way to the stack where it is `None`.
    pub stack_name: Option<String>,
    /// The template's description, at most 1,024 bytes.
    pub description: Option<String>,
    /// Where it goes; anywhere the credentials lead where nothing is said.
    pub environment: Environment,
    /// Tags on the stack, which CloudFormation hands on to what it makes.
    pub tags: BTreeMap<String, String>,
    /// Refuses deletion until it is switched off.
    pub termination_protection: bool,
    /// SNS topics that hear the stack's events.
    pub notification_arns: Vec<String>,
    /// Which bucket and roles the deployment uses.
    pub synthesizer: Synthesizer,
}

/// Which bucket and roles a deployment uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Synthesizer {
    /// The bucket and the roles that `iotstack bootstrap` (or `cdk bootstrap`) made
    /// with this qualifier.
    Bootstrapped {
        /// Tells bootstraps in one account and region apart.
        qualifier: String,
    },
    /// The bootstrap's bucket, but the caller's own permissions.
    CallerCredentials {
        /// Tells bootstraps in one account and region apart.
        qualifier: String,
    },
}

impl Synthesizer {
    /// The qualifier that tells bootstraps apart.
    pub fn qualifier(&self) -> &str {
        match self {
            Synthesizer::Bootstrapped { qualifier }
            | Synthesizer::CallerCredentials { qualifier } => qualifier,
        }
    }
}

impl Default for Synthesizer {
    fn default() -> Self {
        Synthesizer::Bootstrapped { qualifier: DEFAULT_QUALIFIER.into() }
    }
}

/// The qualifier of a bootstrap that was given none; CDK's own.
pub const DEFAULT_QUALIFIER: &str = "hnb659fds";

/// A stack in the tree; derefs to its scope.
#[derive(Debug, Clone)]
pub struct StackRef(Scope);

impl StackRef {
    pub(crate) fn new(scope: Scope) -> Self {
        StackRef(scope)
    }

    /// Deploys this stack only after `other`, whatever the references say.
    pub fn depends_on(&self, other: &StackRef) {
        let needed = other.node();
        if let Some(data) = self.tree().borrow_mut().stack_mut(self.node()) {
            data.depends_on.push(needed);
        }
    }

    /// The name in the account.
    pub fn stack_name(&self) -> String {
        crate::synth::stack_name(&self.tree().borrow(), self.node())
    }
}

impl Deref for StackRef {
    type Target = Scope;

    fn deref(&self) -> &Scope {
        &self.0
    }
}
