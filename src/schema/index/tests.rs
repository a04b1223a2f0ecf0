//! What the embedded facts say about types that everybody knows.

use super::*;
use crate::{Replacement, Shape};

#[test]
fn decodes_every_type() {
    let mut count = 0;
    for name in resource_types() {
        let found = resource_type(name).unwrap_or_else(|| panic!("{name} is damaged"));
        assert_eq!(found.name, name);
        for definition in &found.definitions {
            assert!(!matches!(found.resolve(&definition.shape), Shape::Definition(_)));
        }
        count += 1;
    }
    assert!(count >= 1_854, "only {count} types");
}
