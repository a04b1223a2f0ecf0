//! How findings look: severity, code, message, place, help.
//!
//! One finding is a few lines, the first of which says everything that matters, so that
//! the output can be searched. `iotstack check --format …` has forms for machines.

use iotstack_assembly::{Diagnostic, Diagnostics, Severity};

use super::{count, style, tell};

/// Shows the findings that weigh at least so much on standard error, errors last because
/// terminals scroll.
pub fn show(findings: &Diagnostics, least: Severity) {
    // The heaviest severity is the first of the order.
    let shown = [Severity::Info, Severity::Warning, Severity::Error];
    for severity in shown.into_iter().filter(|severity| *severity <= least) {
        for found in findings.iter().filter(|found| found.severity == severity) {
            tell(text(found));
        }
    }
}

/// The findings as text, with a closing line.
pub fn report(findings: &Diagnostics) -> String {
    let mut lines: Vec<String> = findings.iter().map(text).collect();
    lines.push(summary(findings));
    lines.join("\n")
}

/// `2 errors, 1 warning`, or that there is nothing to say.
pub fn summary(findings: &Diagnostics) -> String {
    let parts: Vec<String> =
        [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Info, "note")]
            .into_iter()
            .map(|(severity, noun)| (findings.count(severity), noun))
            .filter(|(number, _)| *number > 0)
            .map(|(number, noun)| count(number, noun))
            .collect();
    if parts.is_empty() { "no findings".into() } else { parts.join(", ") }
}

/// One finding as a few lines.
pub fn text(found: &Diagnostic) -> String {
    let severity = match found.severity {
        Severity::Error => style::bad("error"),
        Severity::Warning => style::care("warning"),
        Severity::Info => style::note("note"),
    };
    let mut lines = vec![format!("{severity}[{}]: {}", found.code, found.message)];
    let place = place(found);
    if !place.is_empty() {
        lines.push(format!("  {} {place}", style::faint("at")));
    }
    if let Some(help) = &found.help {
        lines.push(format!("  {}: {help}", style::note("help")));
    }
    lines.join("\n")
}

/// The most telling names of a place, from the file to the property.
fn place(found: &Diagnostic) -> String {
    let place = &found.place;
    let mut parts = Vec::new();
    if let Some(file) = &place.file {
        parts.push(match place.position {
            Some((line, column)) => format!("{file}:{line}:{column}"),
            None => file.clone(),
        });
    }
    // A construct's path starts with its stack.
    match (&place.construct, &place.stack) {
        (Some(construct), _) => parts.push(construct.clone()),
        (None, Some(stack)) => parts.push(stack.clone()),
        (None, None) => {}
    }
    if !place.path.is_empty() {
        parts.push(place.path.join("/"));
    } else if let Some(id) = &place.logical_id {
        parts.push(id.clone());
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use iotstack_assembly::Place;

    #[test]
    fn says_what_is_wrong_where_and_how_to_mend_it() {
        let mut at = Place::path(["Resources", "Pump", "Properties", "Nme"]);
        at.stack = Some("Fleet".into());
        let found =
            Diagnostic::error("unknown-property", at, "`Nme` is no property").help("`Name`?");
        assert_eq!(
            anstream::adapter::strip_str(&text(&found)).to_string(),
            "error[unknown-property]: `Nme` is no property\n  \
             at Fleet, Resources/Pump/Properties/Nme\n  help: `Name`?"
        );
    }

    #[test]
    fn counts_by_weight() {
        let one = |found: Diagnostic| Diagnostics::from_iter([found.clone(), found]);
        let place = Place::default;
        assert_eq!(summary(&one(Diagnostic::warning("a", place(), "b"))), "2 warnings");
        assert_eq!(summary(&Diagnostics::new()), "no findings");
    }
}
