//! Where rules put what they find.
//!
//! A place is turned into owned text here, and only here, so that walking a clean
//! template costs nothing. At the end the findings are put in the order of the
//! template, and of two findings about one value the more special one is kept.

use iotstack_assembly::intrinsic::Trail;
use iotstack_assembly::{Diagnostic, Diagnostics, Place, Template};

use crate::{Code, Context};

/// Collects findings about one template.
#[derive(Debug)]
pub struct Findings<'a> {
    template: &'a Template,
    context: &'a Context,
    list: Vec<Diagnostic>,
}

impl<'a> Findings<'a> {
    /// No findings yet.
    pub fn new(template: &'a Template, context: &'a Context) -> Self {
        Findings { template, context, list: Vec::new() }
    }

    /// Adds a finding at a place. The answer is for adding advice.
    pub fn add(
        &mut self,
        code: &'static Code,
        trail: &Trail<'_>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let mut place = Place::path(trail.to_path());
        place.stack.clone_from(&self.context.stack);
        place.file.clone_from(&self.context.file);
        let resource = place.logical_id.as_ref().and_then(|id| self.template.resources.get(id));
        place.construct =
            resource.and_then(|resource| resource.construct_path()).map(str::to_owned);
        self.list.push(Diagnostic {
            severity: code.severity,
            code: code.name,
            place,
            message: message.into(),
            help: None,
        });
        let last = self.list.len() - 1;
        &mut self.list[last]
    }

    /// Adds a finding with advice.
    pub fn advise(
        &mut self,
        code: &'static Code,
        trail: &Trail<'_>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(code, trail, message).help = Some(help.into());
    }

    /// The findings in the order of the template.
    pub fn finish(mut self) -> Diagnostics {
        if self.list.len() > 1 {
            let special: Vec<Vec<String>> = self
                .list
                .iter()
                .filter(|found| !is_general(found))
                .map(|found| found.place.path.clone())
                .collect();
            self.list.retain(|found| !is_general(found) || !special.contains(&found.place.path));
            let order = |found: &Diagnostic| {
                let path = &found.place.path;
                let section = path.first().and_then(|name| SECTIONS.iter().position(|s| s == name));
                let resource =
                    path.get(1).and_then(|id| self.template.resources.get_index_of(id.as_str()));
                (section, resource)
            };
            self.list.sort_by_cached_key(order);
        }
        self.list.into_iter().collect()
    }
}

/// Whether a finding comes from the type's facts alone. A rule that knows the type
/// better has the word where both speak about one value.
fn is_general(found: &Diagnostic) -> bool {
    matches!(found.code, "invalid-value" | "pattern-mismatch" | "invalid-length" | "item-count")
}

/// The sections in the order in which they are read.
const SECTIONS: &[&str] = &[
    "AWSTemplateFormatVersion",
    "Description",
    "Transform",
    "Parameters",
    "Rules",
    "Mappings",
    "Conditions",
    "Resources",
    "Outputs",
];
