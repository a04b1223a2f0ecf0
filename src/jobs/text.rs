//! Texts that somebody sent: how long they may be and what may stand in them.

use std::fmt::Display;

use iotstack_protocol::text::is_other;

use crate::error::{Result, invalid};

/// Judges a text that may be absent.
pub(crate) fn check_text(field: &str, text: Option<&str>, most: usize) -> Result<()> {
    text.map_or(Ok(()), |text| check_length(field, text, 0, most))
}

/// Judges a text, which has so many characters at least and at most.
pub(crate) fn check_length(
    field: impl Display,
    text: &str,
    least: usize,
    most: usize,
) -> Result<()> {
    let length = text.chars().count();
    if (least..=most).contains(&length) && !text.chars().any(is_other) {
        return Ok(());
    }
    let expected =
        if least == 0 { format!("at most {most}") } else { format!("{least} to {most}") };
    invalid(format!(
        "{field} has {length} characters: expected {expected} without control characters"
    ))
}

/// Whether a text is made of the characters of ids: letters, digits, `_` and `-`.
pub(crate) fn is_word(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !text.is_empty() && text.bytes().all(is_word)
}

/// The beginning of a text that somebody sent, for a message.
pub(crate) fn shortened(text: &str) -> &str {
    let end = text.char_indices().nth(160).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_can_see_is_refused() {
        let seen = "Lampe 7: 50 % \u{e9}\u{20ac}\u{6f22}\u{1f4a1}";
        assert_eq!(check_text("comment", Some(seen), 20), Ok(()));
        assert_eq!(check_text("comment", None, 0), Ok(()));
        for other in ['\n', '\u{7f}', '\u{85}', '\u{ad}', '\u{200d}', '\u{feff}', '\u{e000}'] {
            assert!(is_other(other), "{other:?}");
            assert!(check_text("comment", Some(&format!("a{other}")), 20).is_err(), "{other:?}");
        }
        assert!(is_other('\u{ffff}') && is_other('\u{1fffe}') && is_other('\u{10ffff}'));
    }

    #[test]
    fn the_length_is_counted_in_characters() {
        assert_eq!(check_text("comment", Some(&"\u{e9}".repeat(20)), 20), Ok(()));
        let error = check_text("comment", Some(&"\u{e9}".repeat(21)), 20).unwrap_err();
        assert!(error.to_string().starts_with("comment has 21 characters"), "{error}");
        assert_eq!(shortened(&"\u{e9}".repeat(161)), "\u{e9}".repeat(160));
    }
}
