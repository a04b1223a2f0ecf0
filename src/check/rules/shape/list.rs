//! Lists: how many items, and which of them may be alike.
//!
//! Items under conditions may be absent, so counts are judged by what is sure and what is
//! possible.

use iotstack_assembly::intrinsic::{Function, Trail};
use iotstack_schema::ArrayShape;
use serde_json::Value;

use super::Walk;
use crate::Code;
use crate::value::{Given, presence, shown};

impl Walk<'_, '_> {
    /// Judges a list.
    pub(super) fn list(&mut self, shape: &'static ArrayShape, items: &[Value], trail: &Trail<'_>) {
        for (index, item) in items.iter().enumerate() {
            self.value(&shape.items, item, &trail.item(index));
            if let Some(shape) = shape.prefix.get(index) {
                self.value(shape, item, &trail.item(index));
            }
        }
        self.count(shape, items, trail);
        if shape.unique && items.len() > 1 {
            self.unique(items, trail);
        }
        for key in &shape.unique_keys {
            self.unique_key(key, items, trail);
        }
    }

    fn count(&mut self, shape: &'static ArrayShape, items: &[Value], trail: &Trail<'_>) {
        if shape.min.is_none() && shape.max.is_none() {
            return;
        }
        let sure = items.iter().filter(|item| presence(item) == Given::Yes).count();
        let possible = items.iter().filter(|item| presence(item) != Given::No).count();
        // A macro in a list may stand for any number of items.
        let is_open = items.iter().any(|item| {
            Function::of(item).is_some_and(|function| function.name == "Fn::Transform")
        });
        let too_few = shape.min.is_some_and(|min| possible < min as usize);
        let too_many = shape.max.is_some_and(|max| sure > max as usize);
        if !is_open && (too_few || too_many) {
            self.report(&ITEM_COUNT, trail, || {
                let bounds = bounds(shape.min, shape.max);
                (format!("found {} items; expected {bounds}", items.len()), None)
            });
        }
    }

    fn unique(&mut self, items: &[Value], trail: &Trail<'_>) {
        for (index, item) in items.iter().enumerate().skip(1) {
            // What an absent value or a condition stands for is not known.
            let is_judged = !crate::value::is_no_value(item) && !calls_if(item);
            if let Some(first) = items[..index].iter().position(|other| other == item)
                && is_judged
            {
                self.report(&DUPLICATE_ITEMS, &trail.item(index), || {
                    let message = format!("{} is in the list twice", shown(item));
                    (message, Some(format!("the first is item {first}; keep one of them")))
                });
            }
        }
    }

    fn unique_key(&mut self, key: &'static str, items: &[Value], trail: &Trail<'_>) {
        for (index, item) in items.iter().enumerate().skip(1) {
            let Some(Value::String(value)) = item.get(key) else { continue };
            let same = |other: &Value| other.get(key).and_then(Value::as_str) == Some(value);
            if let Some(first) = items[..index].iter().position(same) {
                self.report(&DUPLICATE_ITEMS, &trail.item(index), || {
                    let message = format!("two items have the same `{key}`, `{value}`");
                    (message, Some(format!("the first is item {first}; keep one of them")))
                });
            }
        }
    }
}

fn calls_if(value: &Value) -> bool {
    Function::of(value).is_some_and(|function| function.name == "Fn::If")
}

/// Bounds in words.
pub(super) fn bounds(min: Option<u32>, max: Option<u32>) -> String {
    match (min, max) {
        (Some(min), Some(max)) if min == max => format!("exactly {min}"),
        (Some(min), Some(max)) => format!("{min} to {max}"),
        (Some(min), None) => format!("{min} at least"),
        (None, Some(max)) => format!("{max} at most"),
        (None, None) => "any number".to_owned(),
    }
}

pub(super) static ITEM_COUNT: Code =
    Code::error("item-count", "The list has fewer or more items than the property accepts.");

pub(super) static DUPLICATE_ITEMS: Code = Code::error(
    "duplicate-items",
    "Items of this list have to differ, or have to differ in one of their properties.",
);
