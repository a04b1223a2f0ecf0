//! What may stand in texts that people and devices write: descriptions, comments, details.
//!
//! AWS IoT refuses every character of Unicode's group "other" in them: controls, invisible
//! marks of format, private ones, and those that are none. Characters that Unicode has not
//! given out yet are taken, because that changes with every year.

/// Whether a character is a control, a mark of format, private, or no character at all.
pub fn is_other(character: char) -> bool {
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
