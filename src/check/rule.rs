//! What a rule is.
//!
//! A rule has one or more codes and looks at the template as a whole, at each resource
//! of the types it names, or both. Rules are stateless and know nothing of each other.

use iotstack_assembly::Severity;

use crate::{Findings, ResourceSubject, Subject};

/// Something that judges templates.
pub trait Rule: Sync {
    /// The findings that it can have.
    fn codes(&self) -> Vec<&'static Code>;

    /// The types whose resources it looks at.
    fn types(&self) -> Types {
        Types::None
    }

    /// Judges the template as a whole.
    fn template(&self, subject: &Subject<'_>, findings: &mut Findings<'_>) {
        let _ = (subject, findings);
    }

    /// Judges one resource of [`types`](Rule::types).
    fn resource(
        &self,
        resource: &ResourceSubject<'_>,
        subject: &Subject<'_>,
        findings: &mut Findings<'_>,
    ) {
        let _ = (resource, subject, findings);
    }
}

/// A kind of finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// The stable name in kebab case.
    pub name: &'static str,
    /// How much its findings weigh.
    pub severity: Severity,
    /// What it means and how to deal with it.
    pub explanation: &'static str,
}

impl Code {
    /// A finding that AWS refuses.
    pub const fn error(name: &'static str, explanation: &'static str) -> Self {
        Code { name, severity: Severity::Error, explanation }
    }

    /// A finding that deploys, and is probably not what was meant.
    pub const fn warning(name: &'static str, explanation: &'static str) -> Self {
        Code { name, severity: Severity::Warning, explanation }
    }

    /// A finding that is worth knowing.
    pub const fn info(name: &'static str, explanation: &'static str) -> Self {
        Code { name, severity: Severity::Info, explanation }
    }
}

/// Resource types that a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Types {
    /// None: the rule looks at the template only.
    None,
    /// Every type, known or not.
    All,
    /// These.
    Only(&'static [&'static str]),
}

impl Types {
    /// Whether a type is among them.
    pub fn include(&self, name: &str) -> bool {
        match self {
            Types::None => false,
            Types::All => true,
            Types::Only(names) => names.contains(&name),
        }
    }
}
