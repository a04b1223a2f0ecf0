//! Leaves out what is empty.
//!
//! A list without items or an object without entries says nothing, but it stands in the
//! template, in diffs, and in what AWS compares for drift.

use iotstack_core::Expr;

/// The value, unless nothing is in it.
pub(crate) fn unless_empty(value: Expr) -> Option<Expr> {
    let is_empty = match &value {
        Expr::Null => true,
        Expr::List(items) => items.is_empty(),
        Expr::Object(pairs) => pairs.iter().all(|(_, value)| matches!(value, Expr::Null)),
        _ => false,
    };
    (!is_empty).then_some(value)
}

#[cfg(test)]
mod tests {
    use iotstack_core::{Pseudo, object};

    use super::*;

    #[test]
    fn only_what_holds_nothing_is_empty() {
        for empty in [Expr::Null, Expr::List(Vec::new()), object! {}, object! { "A": Expr::Null }] {
            assert_eq!(unless_empty(empty), None);
        }
        for value in [
            Expr::Text("".into()),
            Expr::Bool(false),
            Expr::list([Expr::Null]),
            object! { "A": object! {} },
            Pseudo::NoValue.into(),
        ] {
            assert_eq!(unless_empty(value.clone()), Some(value));
        }
    }
}
