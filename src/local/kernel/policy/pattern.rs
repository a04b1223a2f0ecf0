//! Patterns of policies: `*`, `?`, and policy variables such as `${aws:username}`.
//!
//! What a variable stands for is taken as it is: a `*` in a user's name is no
//! wildcard. A variable without a value makes the pattern fit nothing.

use super::Context;

/// A pattern.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    text: String,
    lowercase: Vec<Token>,
    tokens: Vec<Token>,
    variables: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Any,
    One,
    Exactly(char),
}

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        Pattern {
            text: text.to_owned(),
            lowercase: tokens(&text.to_ascii_lowercase()),
            tokens: tokens(text),
            variables: text.contains("${"),
        }
    }

    /// As it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it fits a text in lower case, as the names of actions are compared.
    pub(super) fn fits_lowercase(&self, text: &str) -> bool {
        fits(self.lowercase.iter().copied(), text)
    }

    /// Whether it fits, with the values of its variables.
    pub(super) fn fits(&self, text: &str, context: &Context) -> bool {
        if !self.variables {
            return fits(self.tokens.iter().copied(), text);
        }
        self.resolved(context).is_some_and(|tokens| fits(tokens.into_iter(), text))
    }

    /// Whether it is the text once its variables are filled in; wildcards are none.
    pub(super) fn is(&self, text: &str, context: &Context, same_case: bool) -> bool {
        let plain = |tokens: &[Token]| -> String {
            let character = |token: &Token| match token {
                Token::Any => '*',
                Token::One => '?',
                Token::Exactly(character) => *character,
            };
            tokens.iter().map(character).collect()
        };
        let Some(tokens) = self.resolved(context) else { return false };
        let wanted = plain(&tokens);
        if same_case { wanted == text } else { wanted.eq_ignore_ascii_case(text) }
    }

    fn resolved(&self, context: &Context) -> Option<Vec<Token>> {
        let mut found = Vec::with_capacity(self.text.len());
        let mut rest = self.text.as_str();
        while let Some((before, after)) = rest.split_once("${") {
            found.extend(tokens(before));
            let (name, behind) = after.split_once('}')?;
            match name {
                "*" | "?" | "$" => found.extend(name.chars().map(Token::Exactly)),
                _ => {
                    let (key, default) = match name.split_once(',') {
                        Some((key, default)) => (key, Some(default.trim().trim_matches('\''))),
                        None => (name, None),
                    };
                    let value = context.single(key.trim()).or(default)?;
                    found.extend(value.chars().map(Token::Exactly));
                }
            }
            rest = behind;
        }
        found.extend(tokens(rest));
        Some(found)
    }
}

/// Whether an ARN fits a pattern of ARNs, part by part: a `*` stays within its part. The
/// parts are those of the pattern with its variables filled in: their names hold colons.
pub(super) fn fits_arn(pattern: &Pattern, arn: &str, context: &Context) -> bool {
    let Some(tokens) = pattern.resolved(context) else { return false };
    let patterns: Vec<&[Token]> = tokens.splitn(6, |each| *each == Token::Exactly(':')).collect();
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    patterns.len() == parts.len()
        && patterns.iter().zip(parts).all(|(pattern, part)| fits(pattern.iter().copied(), part))
}

/// Whether a text fits a pattern with `*` and `?`.
pub fn like(pattern: &str, text: &str) -> bool {
    fits(pattern.chars().map(Token::of), text)
}

impl Token {
    fn of(character: char) -> Self {
        match character {
            '*' => Token::Any,
            '?' => Token::One,
            other => Token::Exactly(other),
        }
    }
}

fn tokens(text: &str) -> Vec<Token> {
    text.chars().map(Token::of).collect()
}

/// Matches without recursion: one place to go back to is enough for `*`.
fn fits(mut pattern: impl Iterator<Item = Token> + Clone, text: &str) -> bool {
    let mut rest = text.chars();
    // Behind the last `*`: what must follow, and the text that it has not taken yet.
    let mut back = None;
    loop {
        match (pattern.next(), rest.clone().next()) {
            (Some(Token::Any), _) => back = Some((pattern.clone(), rest.clone())),
            (Some(Token::One), Some(_)) => drop(rest.next()),
            (Some(Token::Exactly(wanted)), Some(found)) if wanted == found => drop(rest.next()),
            (None, None) => return true,
            _ => {
                // The last `*` takes one character more.
                let Some((behind, from)) = &mut back else { return false };
                if from.next().is_none() {
                    return false;
                }
                (pattern, rest) = (behind.clone(), from.clone());
            }
        }
    }
}
