//! What exists, for the functions of a template that is being deployed.
//!
//! Resources are asked for after those that they need have been made, so whatever a
//! template may ask for is there, or never will be. Exports that are used are noted,
//! because their stack must not take them away.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::Run;
use crate::engine::evaluate::Known;
use crate::engine::plan;

/// The resources of a stack as they stand, and the exports of all others.
pub struct Existing<'a> {
    run: &'a Run,
}

impl<'a> Existing<'a> {
    /// What exists for a run.
    pub fn of(run: &'a Run) -> Self {
        Existing { run }
    }
}

impl Known for Existing<'_> {
    fn reference(&self, logical_id: &str) -> Result<Value, String> {
        self.run
            .ledger
            .look(|stack| stack.resources.get(logical_id)?.physical_id.clone())
            .flatten()
            .map(Value::String)
            .ok_or_else(|| unresolved(logical_id))
    }

    fn attribute(&self, logical_id: &str, attribute: &str) -> Result<Value, String> {
        self.run
            .ledger
            .look(|stack| {
                let resource = stack.resources.get(logical_id)?;
                Some(plan::attribute_of(resource, attribute))
            })
            .flatten()
            .unwrap_or_else(|| Err(unresolved(logical_id)))
    }

    fn import(&self, name: &str) -> Result<Value, String> {
        let own = &self.run.ledger.id;
        let found = self.run.ledger.engine.read(|state| {
            state
                .export(name)
                .filter(|(stack, _)| stack.head.id != *own)
                .map(|(_, output)| output.value.clone())
        });
        let value = found.ok_or_else(|| format!("No export named {name} found."))?;
        let mut used = self.run.imports.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        used.insert(name.to_owned());
        Ok(json!(value))
    }
}

/// The exports that a run used, shared by all its tasks.
pub type Imports = Arc<Mutex<BTreeSet<String>>>;

fn unresolved(logical_id: &str) -> String {
    format!(
        "Unresolved resource dependencies [{logical_id}] in the Resources block of the template"
    )
}
