//! From a request to a plan, in pure steps. Their order:
//!
//! 1. [`source`]: the template's text, from the request, a bucket or the stack
//! 2. [`parameters`]: the values, by the template's declarations
//! 3. [`extensions`]: loops unrolled, if the template asks for it
//! 4. [`evaluate`]: conditions decided, later everything else resolved
//! 5. [`rules`]: the template's own assertions
//! 6. [`validate`]: what is wrong before anything exists
//! 7. [`capabilities`]: what the caller has to agree to
//! 8. [`plan`]: what would change
//!
//! A new stack has no plan; [`left_out`] finds what would have stopped one.
//! While resources are made, [`judge`] looks at their resolved properties, and
//! [`stack_policy`] at what may happen to those that are there.
//! Nothing in here changes a stack.

pub mod capabilities;
pub mod dynamic;
pub mod evaluate;
pub mod extensions;
pub mod functions;
pub mod judge;
pub mod left_out;
pub mod parameters;
pub mod plan;
mod planner;
pub mod rules;
pub mod source;
pub mod stack_policy;
pub mod validate;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use indexmap::IndexMap;
use iotstack_assembly::graph::Graph;
use iotstack_assembly::{Template, parse};
use iotstack_local_kernel::{Account, Cloud};
use serde_json::Value;

use crate::state::{Definition, Parameter};
use crate::{Error, Result};
use evaluate::{Known, Nothing, Scope, StackNames};

/// A template with its parameters, ready to be planned or executed.
#[derive(Debug)]
pub struct Prepared {
    /// What it was made from.
    pub definition: Arc<Definition>,
    /// The template, loops unrolled.
    pub template: Template,
    /// Its conditions, decided.
    pub conditions: BTreeMap<String, bool>,
    /// For each resource whose condition holds, the resources that it needs.
    pub needs: IndexMap<String, Vec<String>>,
}

/// What the caller asks for, besides the template.
#[derive(Debug, Default)]
pub struct Wanted {
    /// The parameters that were given.
    pub given: Vec<parameters::Given>,
    /// The stack's parameters until now.
    pub previous: IndexMap<String, Parameter>,
    /// The other parts of the definition; text and parameters are filled in.
    pub definition: Definition,
}

/// Takes a request through all steps up to its validation.
///
/// # Errors
/// What is refused.
pub fn prepare(cloud: &Cloud, text: String, wanted: Wanted, stack: &str) -> Result<Prepared> {
    let raw = source::parse(&text)?;
    extensions::refuse_inner(&raw)?;
    let values = parameters::values(cloud, &raw, &wanted.given, &wanted.previous)?;
    let description = raw.get("Description").and_then(Value::as_str).map(str::to_owned);
    let definition = Definition { text, description, parameters: values, ..wanted.definition };
    let prepared = assemble(raw, Arc::new(definition), &cloud.account, stack)?;
    rules::check(&prepared, &cloud.account, stack)?;
    validate::template(cloud, &prepared)?;
    capabilities::check(&prepared.template, &prepared.definition.capabilities)?;
    Ok(prepared)
}

/// Prepares a definition that was accepted before.
///
/// # Errors
/// What is refused; it was not refused the first time.
pub fn prepare_again(
    definition: &Arc<Definition>,
    account: &Account,
    stack: &str,
) -> Result<Prepared> {
    assemble(source::parse(&definition.text)?, definition.clone(), account, stack)
}

fn assemble(
    raw: Value,
    definition: Arc<Definition>,
    account: &Account,
    stack: &str,
) -> Result<Prepared> {
    let raw = extensions::unroll(raw, &definition.parameters, account, stack)?;
    let template = Template::from_value(raw)
        .map_err(|error| Error::invalid(format!("Template format error: {error}")))?;
    let conditions = decide(&template, &definition, account, stack)?;
    let mut needs: IndexMap<String, Vec<String>> = IndexMap::new();
    let is_active = |id: &str| {
        template.resources.get(id).is_some_and(|resource| {
            resource.condition.as_ref().is_none_or(|name| conditions.get(name) == Some(&true))
        })
    };
    for (id, needed) in Graph::of(&template).to_map() {
        if is_active(id) {
            let needed = needed.into_iter().filter(|id| is_active(id)).map(str::to_owned).collect();
            needs.insert(id.to_owned(), needed);
        }
    }
    Ok(Prepared { definition, template, conditions, needs })
}

/// Decides all conditions, each after those that it names. What each names is read
/// once, so that a chain of conditions costs as much as its template is long.
fn decide(
    template: &Template,
    definition: &Definition,
    account: &Account,
    stack: &str,
) -> Result<BTreeMap<String, bool>> {
    let all = &template.conditions;
    let mut missing = vec![0_usize; all.len()];
    let mut named_by: Vec<Vec<usize>> = vec![Vec::new(); all.len()];
    for (place, value) in all.values().enumerate() {
        let mut named = BTreeSet::new();
        conditions_in(value, &mut named);
        for other in named.into_iter().filter_map(|other| all.get_index_of(other)) {
            missing[place] += 1;
            named_by[other].push(place);
        }
    }
    let mut decided = BTreeMap::new();
    let mut ready: VecDeque<usize> = (0..all.len()).filter(|place| missing[*place] == 0).collect();
    while let Some((place, (name, value))) =
        ready.pop_front().and_then(|place| Some((place, all.get_index(place)?)))
    {
        let scope = Scope {
            template,
            parameters: &definition.parameters,
            conditions: &decided,
            account,
            stack: StackNames {
                name: stack,
                id: stack,
                notification_arns: &definition.notification_arns,
            },
            known: &Nothing,
            masked: false,
        };
        let holds = scope.condition(value).map_err(|reason| {
            Error::invalid(format!("Template error: condition {name}: {reason}"))
        })?;
        decided.insert(name.clone(), holds);
        for waiting in &named_by[place] {
            missing[*waiting] -= 1;
            if missing[*waiting] == 0 {
                ready.push_back(*waiting);
            }
        }
    }
    if decided.len() < all.len() {
        let left: Vec<&str> =
            all.keys().map(String::as_str).filter(|name| !decided.contains_key(*name)).collect();
        return Err(Error::invalid(format!(
            "Template error: the conditions {} need each other in a circle",
            left.join(", ")
        )));
    }
    Ok(decided)
}

fn conditions_in<'v>(value: &'v Value, found: &mut BTreeSet<&'v str>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(name) if key == "Condition" => {
                        found.insert(name);
                    }
                    other => conditions_in(other, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| conditions_in(item, found)),
        _ => {}
    }
}

impl Prepared {
    /// A template without anything in it, for operations that only take away.
    pub fn empty() -> Self {
        Prepared {
            definition: Arc::default(),
            template: Template::default(),
            conditions: BTreeMap::new(),
            needs: IndexMap::new(),
        }
    }

    /// The scope in which the values of this template are resolved.
    pub fn scope<'a>(
        &'a self,
        account: &'a Account,
        name: &'a str,
        id: &'a str,
        known: &'a dyn Known,
    ) -> Scope<'a> {
        Scope {
            template: &self.template,
            parameters: &self.definition.parameters,
            conditions: &self.conditions,
            account,
            stack: StackNames { name, id, notification_arns: &self.definition.notification_arns },
            known,
            masked: false,
        }
    }
}

/// Reads a template's text.
pub(crate) fn parse_value(text: &str) -> Result<Value> {
    parse::value(text)
        .map(|(value, _)| value)
        .map_err(|error| Error::invalid(format!("Template format error: {error}")))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    fn decided(conditions: &str) -> Result<BTreeMap<String, bool>> {
        let text = format!(
            r#"{{"Conditions":{{{conditions}}},"Resources":{{"T":{{"Type":"AWS::SNS::Topic"}}}}}}"#
        );
        let definition = Definition { text, ..Definition::default() };
        prepare_again(&Arc::new(definition), &Account::default(), "s").map(|made| made.conditions)
    }

    #[test]
    fn decides_a_long_chain_of_conditions_whose_last_one_comes_first() {
        // Looked through again for each condition, these would keep the cloud for minutes.
        const LENGTH: usize = 20_000;
        let mut chain = String::new();
        for place in 0..LENGTH {
            write!(chain, r#""C{place}":{{"Fn::Not":[{{"Condition":"C{}"}}]}},"#, place + 1)
                .unwrap();
        }
        write!(chain, r#""C{LENGTH}":{{"Fn::Equals":["a","a"]}}"#).unwrap();
        let decided = decided(&chain).unwrap();
        assert_eq!(decided.len(), LENGTH + 1);
        assert!(decided["C0"] && !decided["C1"]);
    }

    #[test]
    fn names_the_conditions_that_need_each_other_and_those_that_wait_for_them() {
        let refused = decided(
            r#""A":{"Condition":"B"},"B":{"Fn::Not":[{"Condition":"A"}]},"C":{"Condition":"A"},
            "D":{"Fn::Equals":["a","b"]}"#,
        );
        let reason = refused.unwrap_err().to_string();
        assert!(reason.ends_with("the conditions A, B, C need each other in a circle"), "{reason}");
    }
}
