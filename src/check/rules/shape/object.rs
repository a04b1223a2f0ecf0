//! Objects: unknown, missing and read-only properties, and those that belong together.
//!
//! Whether a property is given may depend on a condition. A demand is broken only if no
//! outcome of the conditions satisfies it.

use iotstack_assembly::intrinsic::Trail;
use iotstack_schema::{MapShape, ObjectRule, ObjectShape, PropertyPath, ResourceType};
use serde_json::{Map, Value};

use super::Walk;
use crate::value::{Given, choices, given};
use crate::{Code, Findings, pattern};

impl Walk<'_, '_> {
    /// Judges an object with named properties.
    pub(super) fn object(
        &mut self,
        shape: &'static ObjectShape,
        map: &Map<String, Value>,
        trail: &Trail<'_>,
        is_top: bool,
    ) {
        let mut has_macro = false;
        for (key, value) in map {
            match shape.property(key) {
                Some(property) => self.value(&property.shape, value, &trail.key(key)),
                None if key.starts_with("Fn::") => has_macro = true,
                None if shape.open => {}
                None => self.unknown(shape, key, trail, is_top),
            }
        }
        // A macro may add what seems to be missing.
        if has_macro {
            return;
        }
        for property in shape.properties.iter().filter(|property| property.required) {
            let is_read_only = is_top && self.facts.is_read_only(&[property.name]);
            if given(map, property.name) == Given::No && !is_read_only {
                self.report(&MISSING_PROPERTY, trail, || {
                    (format!("property `{}` is missing", property.name), None)
                });
            }
        }
        for rule in &shape.rules {
            self.rule(rule, &shape.rules, map, trail);
        }
    }

    /// Judges an object whose names the user chooses.
    pub(super) fn map(
        &mut self,
        shape: &'static MapShape,
        map: &Map<String, Value>,
        trail: &Trail<'_>,
    ) {
        for (key, value) in map {
            if key.starts_with("Fn::") {
                continue;
            }
            let by_pattern =
                shape.patterns.iter().find(|(pattern, _)| pattern::is_found(pattern, key));
            match by_pattern.map(|(_, shape)| shape).or(shape.other.as_ref()) {
                Some(inner) => self.value(inner, value, &trail.key(key)),
                None => self.report(&INVALID_KEY, &trail.key(key), || {
                    let patterns = choices(shape.patterns.iter().map(|(pattern, _)| *pattern));
                    (format!("key `{key}` does not fit {patterns}"), None)
                }),
            }
        }
        let count = map.len();
        let too_many = shape.max.is_some_and(|max| count > max as usize);
        let too_few = shape.min.is_some_and(|min| count < min as usize);
        if too_many || too_few {
            self.report(&super::list::ITEM_COUNT, trail, || {
                let bounds = super::list::bounds(shape.min, shape.max);
                (format!("found {count} entries; expected {bounds}"), None)
            });
        }
    }

    fn unknown(&mut self, shape: &'static ObjectShape, key: &str, trail: &Trail<'_>, is_top: bool) {
        let name = self.facts.name;
        let settable: Vec<&str> = shape
            .properties
            .iter()
            .map(|property| property.name)
            .filter(|name| !is_top || !self.facts.is_read_only(&[name]))
            .collect();
        self.report(&UNKNOWN_PROPERTY, &trail.key(key), || {
            let help = match iotstack_schema::nearest(key, settable.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("expected one of {}", choices(settable)),
            };
            (format!("{name} has no property `{key}` here"), Some(help))
        });
    }

    /// Whether a rule says that `name` does not bear `other`. Where two exclude each
    /// other by two rules, one finding is enough.
    fn excludes(&self, rules: &[ObjectRule], name: &str, other: &str) -> bool {
        rules.iter().any(|rule| match rule {
            ObjectRule::Excludes { name: own, others } => *own == name && others.contains(&other),
            _ => false,
        })
    }

    fn rule(
        &mut self,
        rule: &'static ObjectRule,
        rules: &'static [ObjectRule],
        map: &Map<String, Value>,
        trail: &Trail<'_>,
    ) {
        // The strongest that can be said of a group is what its weakest name says.
        let group = |names: &[&str]| names.iter().map(|name| filled(map, name)).min();
        let named = |groups: &[Vec<&'static str>]| {
            choices(groups.iter().map(|names| names.join("` with `")))
        };
        match rule {
            ObjectRule::ExactlyOne(groups) => {
                let sure = groups.iter().filter(|names| group(names) == Some(Given::Yes)).count();
                let none = groups.iter().all(|names| group(names) == Some(Given::No));
                if sure > 1 || none {
                    self.report(&PROPERTY_GROUP, trail, || {
                        let found = if none { "none" } else { "more than one" };
                        (format!("found {found} of {}; expected exactly one", named(groups)), None)
                    });
                }
            }
            ObjectRule::AtLeastOne(groups) => {
                if groups.iter().all(|names| group(names) == Some(Given::No)) {
                    self.report(&PROPERTY_GROUP, trail, || {
                        (format!("found none of {}; expected one at least", named(groups)), None)
                    });
                }
            }
            ObjectRule::Requires { name, needs } => {
                let missing = needs.iter().find(|need| given(map, need) == Given::No);
                if let (Given::Yes, Some(missing)) = (given(map, name), missing) {
                    self.report(&PROPERTY_GROUP, trail, || {
                        (format!("property `{name}` needs `{missing}`, which is missing"), None)
                    });
                }
            }
            ObjectRule::Excludes { name, others } => {
                let both = others.iter().find(|other| filled(map, other) == Given::Yes);
                if let (Given::Yes, Some(other)) = (filled(map, name), both)
                    && !(name > other && self.excludes(rules, other, name))
                {
                    self.report(&PROPERTY_GROUP, trail, || {
                        (format!("properties `{name}` and `{other}` exclude each other"), None)
                    });
                }
            }
        }
    }
}

/// Whether a key is given something. An empty list or object may count as nothing.
fn filled(map: &Map<String, Value>, key: &str) -> Given {
    let is_empty = match map.get(key) {
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(map)) => map.is_empty(),
        _ => false,
    };
    if is_empty { Given::Maybe } else { given(map, key) }
}

/// Finds properties that can only be read.
pub(super) fn read_only(
    facts: &'static ResourceType,
    properties: &Map<String, Value>,
    trail: &Trail<'_>,
    findings: &mut Findings<'_>,
) {
    for path in &facts.read_only {
        if let [name] = path.segments() {
            if given(properties, name) == Given::Yes {
                tell_read_only(facts, path, &trail.key(name), findings);
            }
        } else if let Some((first, rest)) = path.segments().split_first()
            && let Some(value) = properties.get(*first)
        {
            below(facts, path, rest, value, &trail.key(first), findings);
        }
    }
}

fn below(
    facts: &'static ResourceType,
    path: &'static PropertyPath,
    rest: &[&'static str],
    value: &Value,
    trail: &Trail<'_>,
    findings: &mut Findings<'_>,
) {
    let Some((first, rest)) = rest.split_first() else {
        return tell_read_only(facts, path, trail, findings);
    };
    match value {
        Value::Array(items) if *first == "*" => {
            for (index, item) in items.iter().enumerate() {
                below(facts, path, rest, item, &trail.item(index), findings);
            }
        }
        Value::Object(map) => {
            if let Some(value) = map.get(*first) {
                below(facts, path, rest, value, &trail.key(first), findings);
            }
        }
        _ => {}
    }
}

fn tell_read_only(
    facts: &ResourceType,
    path: &PropertyPath,
    trail: &Trail<'_>,
    findings: &mut Findings<'_>,
) {
    findings.advise(
        &READ_ONLY_PROPERTY,
        trail,
        format!("property `{path}` of {} can be read, but not set", facts.name),
        "leave it away; `Fn::GetAtt` reads it",
    );
}

pub(super) static UNKNOWN_PROPERTY: Code = Code::error(
    "unknown-property",
    "The resource type has no property of this name at this place, and CloudFormation refuses \
     the resource. Most often the name is misspelled (names are case-sensitive) or stands one \
     level too deep or too high.",
);

pub(super) static MISSING_PROPERTY: Code = Code::error(
    "missing-property",
    "The resource type demands this property. CloudFormation refuses the resource without it.",
);

pub(super) static PROPERTY_GROUP: Code = Code::error(
    "property-group",
    "Some properties belong together: one of several has to be given, one needs another, or two \
     exclude each other. The resource is refused until the combination is right.",
);

pub(super) static READ_ONLY_PROPERTY: Code = Code::error(
    "read-only-property",
    "AWS sets this property itself. A template can read it with `Fn::GetAtt`, and is refused if \
     it tries to set it.",
);

pub(super) static INVALID_KEY: Code = Code::error(
    "invalid-key",
    "The keys of this object are chosen by you, but they have to fit a pattern, which this one \
     does not.",
);
