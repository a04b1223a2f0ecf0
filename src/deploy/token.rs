//! Request tokens: how this run recognises its own events.
//!
//! CloudFormation repeats the token of a request in every event that the request
//! causes. A token only has to differ from others; nothing is secret about it.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// A token that no other request has.
pub(crate) fn new() -> String {
    format!("iotstack-{}{}", random(), random())
}

/// Sixteen hexadecimal digits that tell what one run makes from what others make.
pub fn random() -> String {
    // The standard library seeds each state from the system's randomness.
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_token_comes_twice_and_all_fit_the_service() {
        let (one, two) = (super::new(), super::new());
        assert_ne!(one, two);
        assert!(one.len() <= 128 && one.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
    }
}
