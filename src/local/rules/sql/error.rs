//! What is wrong with a statement, and where.
//!
//! The place is a line and a character of the statement's own text, so that the
//! message of the API points into what the user wrote.

use std::fmt;

/// A statement that cannot be read: AWS IoT's `SqlParseException`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    /// What is wrong, and what would be accepted.
    pub message: String,
    /// The line in the statement, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
}

impl SqlError {
    /// An error at byte `at` of `source`.
    pub fn new(source: &str, at: usize, message: impl Into<String>) -> SqlError {
        let mut at = at.min(source.len());
        while !source.is_char_boundary(at) {
            at -= 1;
        }
        let before = &source[..at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        SqlError { message: message.into(), line, column }
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}:{}", self.message, self.line, self.column)
    }
}

impl std::error::Error for SqlError {}
