//! Compiled patterns, each made once per program.
//!
//! The facts hold patterns as text that lives as long as the program, so the address
//! of the text names the pattern. A pattern that does not compile fits everything: it
//! is better to find nothing than to accuse an innocent.

use std::collections::HashMap;
use std::sync::{OnceLock, RwLock};

use regex::Regex;

/// Whether a pattern of the facts is found in a text.
pub(crate) fn is_found(pattern: &'static str, text: &str) -> bool {
    compiled(pattern).is_none_or(|regex| regex.is_match(text))
}

/// Whether a pattern, which may come from a user, fits the whole text; `None` where it
/// cannot be told.
pub(crate) fn fits_whole(pattern: &str, text: &str) -> Option<bool> {
    // CloudFormation uses Java's patterns. What this crate does not know is not judged.
    Some(Regex::new(&format!("^(?:{pattern})$")).ok()?.is_match(text))
}

fn compiled(pattern: &'static str) -> Option<&'static Regex> {
    static CACHE: OnceLock<RwLock<HashMap<usize, Option<&'static Regex>>>> = OnceLock::new();
    let cache = CACHE.get_or_init(RwLock::default);
    let address = pattern.as_ptr() as usize;
    if let Some(known) = cache.read().ok().and_then(|known| known.get(&address).copied()) {
        return known;
    }
    // There are a few hundred patterns in all, so keeping them is no leak.
    let made: Option<&'static Regex> =
        Regex::new(pattern).ok().map(|regex| &*Box::leak(Box::new(regex)));
    if let Ok(mut cache) = cache.write() {
        cache.insert(address, made);
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_that_does_not_compile_fits_everything() {
        assert!(is_found("(?<!x)y", "z"));
        assert_eq!(fits_whole("(?<!x)y", "z"), None);
    }

    #[test]
    fn a_users_pattern_has_to_fit_the_whole_text() {
        assert_eq!(fits_whole("[a-z]+|x", "ab1"), Some(false));
        assert_eq!(fits_whole("[a-z]+", "ab"), Some(true));
    }
}
