//! Property paths: where in a resource's properties something is.
//!
//! A path is a list of names from the resource's properties downwards. An item of a
//! list, whichever it is, is written `*`, as is a name that the user chooses.

use std::fmt;

/// A place below a resource's properties, as in `Tags.*.Key`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PropertyPath(Vec<&'static str>);

impl PropertyPath {
    /// Makes a path from its names.
    pub fn new(segments: Vec<&'static str>) -> Self {
        Self(segments)
    }

    /// The names from the outside to the inside; `*` is any item.
    pub fn segments(&self) -> &[&'static str] {
        &self.0
    }

    /// Says whether `path` is this place or lies inside it.
    ///
    /// In `path`, items of lists may be written as numbers or as `*`.
    pub fn contains(&self, path: &[&str]) -> bool {
        path.len() >= self.0.len() && self.agrees_with(path)
    }

    /// Says whether `path` is a place around this one, and not this one itself.
    pub fn lies_inside(&self, path: &[&str]) -> bool {
        path.len() < self.0.len() && self.agrees_with(path)
    }

    fn agrees_with(&self, path: &[&str]) -> bool {
        self.0.iter().zip(path).all(|(own, other)| own == other || *own == "*" || *other == "*")
    }
}

impl fmt::Display for PropertyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contains_what_lies_below_an_item_of_a_list() {
        let key = PropertyPath(vec!["Tags", "*", "Key"]);
        assert!(key.contains(&["Tags", "0", "Key"]));
        assert!(key.contains(&["Tags", "*", "Key", "Deeper"]));
        assert!(!key.contains(&["Tags", "0", "Value"]));
        assert!(!key.contains(&["Tags", "0"]));
        assert!(key.lies_inside(&["Tags"]));
        assert!(!key.lies_inside(&["Tags", "0", "Key"]));
    }

    #[test]
    fn is_written_with_dots() {
        assert_eq!(PropertyPath(vec!["Tags", "*", "Key"]).to_string(), "Tags.*.Key");
    }
}
