//! Findings about a user's input.
//!
//! A diagnostic says what is wrong, where, and how to mend it. Diagnostics are
//! collected, so that a user sees everything at once; an error, in contrast, stops the
//! operation. How a diagnostic looks on a terminal is not decided here.

use serde::Serialize;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// AWS refuses it, or it cannot work.
    Error,
    /// It deploys, and is probably not what was meant.
    Warning,
    /// Worth knowing.
    Info,
}

/// Where a finding is. Every part is optional; the more there is, the better.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
pub struct Place {
    /// The stack's name as shown to users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    /// The file, as the user named it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The construct's path from the root of the app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub construct: Option<String>,
    /// The resource's logical id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logical_id: Option<String>,
    /// The keys from the root of the template, list positions as numbers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
    /// Line and column in the file, both from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<(usize, usize)>,
}

impl Place {
    /// A place inside a template, by its keys.
    pub fn path<S: Into<String>>(keys: impl IntoIterator<Item = S>) -> Self {
        let path: Vec<String> = keys.into_iter().map(Into::into).collect();
        let logical_id = match path.as_slice() {
            [section, id, ..] if section == "Resources" => Some(id.clone()),
            _ => None,
        };
        Place { path, logical_id, ..Place::default() }
    }

    /// A construct of the tree.
    pub fn construct(path: impl Into<String>) -> Self {
        Place { construct: Some(path.into()), ..Place::default() }
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Diagnostic {
    /// How much it weighs.
    pub severity: Severity,
    /// The finding's stable name in kebab case, such as `unknown-property`.
    pub code: &'static str,
    /// Where it is.
    pub place: Place,
    /// What is wrong: lower case, no final period, with the value found.
    pub message: String,
    /// How to mend it, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Diagnostic {
    /// A finding that AWS would refuse.
    pub fn error(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Error, code, place, message: message.into(), help: None }
    }

    /// A finding that deploys and is probably wrong.
    pub fn warning(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, place, message) }
    }

    /// The same finding with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Findings in the order they were made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// No findings.
    pub const fn new() -> Self {
        Diagnostics(Vec::new())
    }

    /// Adds a finding.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Whether any finding is an error.
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// How many findings weigh `severity`.
    pub fn count(&self, severity: Severity) -> usize {
        self.0.iter().filter(|found| found.severity == severity).count()
    }

    /// The findings.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// The findings, to be changed.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, Diagnostic> {
        self.0.iter_mut()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, findings: I) {
        self.0.extend(findings);
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(findings: I) -> Self {
        Diagnostics(findings.into_iter().collect())
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
