//! Texts that somebody sent: how long they may be and what may stand in them.
//!
//! AWS IoT refuses every character of Unicode's group "other" in what people and devices
//! write: controls, invisible marks of format, private ones, and those that are none.
//! Characters that Unicode has not given out yet are taken, because that changes with
//! every year.

use crate::error::{Result, invalid};

/// Judges a text that may be absent.
pub(crate) fn check_text(field: &str, text: Option<&str>, most: usize) -> Result<()> {
    let Some(text) = text else { return Ok(()) };
    let length = text.chars().count();
    if length > most || text.chars().any(is_other) {
        return invalid(format!(
            "{field} has {length} characters: expected at most {most} without control characters"
        ));
    }
    Ok(())
}

/// Whether a text is made of the characters of ids: letters, digits, `_` and `-`.
pub(crate) fn is_word(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !text.is_empty() && text.bytes().all(is_word)
}

/// Whether a character is a control, a mark of format, private, or no character at all.
pub(crate) fn is_other(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    let format = matches!(
        character,
        '\u{ad}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2064}'
            | '\u{2066}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0001}'
            | '\u{e0020}'..='\u{e007f}'
    );
    let private = matches!(character, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..);
    let none = matches!(character, '\u{fdd0}'..='\u{fdef}') || character as u32 & 0xfffe == 0xfffe;
    character.is_control() || format || private || none
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
