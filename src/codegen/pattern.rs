//! Patterns: from the dialects of the schemas to that of the `regex` crate.
//!
//! Schemas are written for the engines of Java and JavaScript. Most patterns mean
//! the same here; some need another spelling (`\u0020`, an unescaped `[` inside a
//! class), and some use what the crate does not have. Of those, assertions about
//! what lies around (`(?!aws:)`) are taken out: what is left accepts everything the
//! original accepts and a little more, so nobody is accused wrongly. What still
//! cannot be compiled, or only at a great cost, is left out. The generator lists
//! both kinds in a file beside the database.

use std::cell::RefCell;
use std::collections::BTreeMap;

use regex::RegexBuilder;

/// Translates patterns and remembers what became of them.
#[derive(Default)]
pub struct Patterns {
    known: RefCell<BTreeMap<String, Translation>>,
}

/// What became of a pattern.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Translation {
    /// The pattern for the `regex` crate, if there is one.
    pub pattern: Option<String>,
    /// The smallest length that the pattern demanded of the whole text.
    pub min_length: Option<u32>,
    /// The largest length that the pattern allowed for the whole text.
    pub max_length: Option<u32>,
    /// Whether the translation accepts more than the original.
    pub weaker: bool,
}

impl Patterns {
    /// Translates a pattern of a schema.
    pub fn translate(&self, source: &str) -> Translation {
        if let Some(known) = self.known.borrow().get(source) {
            return known.clone();
        }
        let translation = translate(source);
        self.known.borrow_mut().insert(source.to_owned(), translation.clone());
        translation
    }

    /// Lists the patterns that were weakened or left out.
    pub fn report(&self) -> String {
        let known = self.known.borrow();
        let mut report = format!(
            "# Patterns of the resource schemas that are not checked as they stand.\n\
             # Written by the generator, not to be edited. {} patterns were translated.\n",
            known.len()
        );
        report += "\n# Left out: the regex crate cannot express them, or only at a great cost.\n";
        for (source, _) in known.iter().filter(|(_, found)| found.pattern.is_none()) {
            report += &format!("{source}\n");
        }
        report += "\n# Weakened: the second line accepts what the first does, and more.\n";
        for (source, found) in known.iter().filter(|(_, found)| found.weaker) {
            if let Some(pattern) = &found.pattern {
                report += &format!("{source}\n    {pattern}\n");
            }
        }
        report
    }
}

fn translate(source: &str) -> Translation {
    let mut found = Translation::default();
    let (spelled, weaker) = Speller::default().spell(source);
    found.weaker = weaker;
    let mut pattern = spelled;
    if let Some((body, min, max)) = counted(&pattern) {
        found.min_length = min;
        found.max_length = max;
        pattern = body;
    }
    if !compiles(&pattern, SMALL) {
        let open = without_large_counts(&pattern);
        found.weaker |= open != pattern;
        pattern = open;
    }
    // A pattern that accepts everything is no pattern.
    let everything = ["", ".*", "^.*$", r"^[\s\S]*$", r"[\s\S]*", "[^]*"].contains(&&*pattern);
    if everything {
        found.pattern = Some(String::new());
    } else if compiles(&pattern, SMALL) {
        found.pattern = Some(pattern);
    }
    found
}

/// The compiled size that a pattern may have, in bytes. It bounds the time that the
/// checker spends on compiling.
const SMALL: usize = 200_000;

fn compiles(pattern: &str, size: usize) -> bool {
    RegexBuilder::new(pattern).size_limit(size).build().is_ok()
}

/// Recognises one class, or one character, repeated within limits over the whole
/// text: that is a simple pattern and two lengths.
fn counted(pattern: &str) -> Option<(String, Option<u32>, Option<u32>)> {
    let inner = pattern.strip_prefix('^')?.strip_suffix("}$")?;
    let (atom, count) = inner.rsplit_once('{')?;
    let single = match atom.chars().next()? {
        '[' => class_end(atom) == Some(atom.len()),
        '\\' => atom.len() == 2,
        _ => atom == ".",
    };
    if !single {
        return None;
    }
    let (min, max) = match count.split_once(',') {
        Some((min, max)) => (min.parse().ok(), max.parse().ok()),
        None => (count.parse().ok(), count.parse().ok()),
    };
    min?;
    let sign = if min == Some(0) { '*' } else { '+' };
    Some((format!("^{atom}{sign}$"), min.filter(|min| *min > 0), max))
}

/// Where the class that the text begins with ends.
fn class_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (place, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ']' => return Some(place + 1),
            _ => {}
        }
    }
    None
}

/// Replaces counts that make a compiled pattern large by their open form.
fn without_large_counts(pattern: &str) -> String {
    let mut output = String::new();
    let mut rest = pattern;
    while let Some(start) = rest.find('{') {
        let (before, from) = rest.split_at(start);
        output += before;
        let Some(end) = from.find('}') else { break };
        let count = &from[1..end];
        let (min, max) = count.split_once(',').unwrap_or((count, count));
        let number = |text: &str| text.parse::<u32>().ok();
        let escaped = before.ends_with(['\\', 'p', 'P', 'x']);
        match number(min) {
            Some(least) if !escaped && number(max).unwrap_or(least) > 20 => {
                output.push(if least == 0 { '*' } else { '+' });
            }
            _ => output += &from[..=end],
        }
        rest = &from[end + 1..];
    }
    output + rest
}

/// Respells a pattern, character by character.
#[derive(Default)]
struct Speller {
    output: String,
    weaker: bool,
}

impl Speller {
    fn spell(mut self, source: &str) -> (String, bool) {
        // In Java, characters beyond the first plane are written as two surrogates.
        let source = source
            .replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\x{10000}-\x{10FFFF}")
            .replace(r"\ud800\udc00-\udbff\udfff", r"\x{10000}-\x{10FFFF}")
            .replace(r"\uD800\uDBFF-\uDC00\uDFFF", r"\x{10000}-\x{10FFFF}")
            .replace(r"\Z", r"\z");
        let source = posix_classes(&source);
        let mut rest = source.as_str();
        while let Some(character) = rest.chars().next() {
            rest = match character {
                '\\' => match outside_class(rest) {
                    Some(class) => self.push(class, &rest[2..]),
                    None => self.escape(rest),
                },
                '[' => self.class(rest),
                '(' if LOOKS.iter().any(|look| rest.starts_with(look)) => self.look(rest),
                '{' if !counts(rest) => self.push(r"\{", &rest[1..]),
                '}' if !self.closes_count() => self.push(r"\}", &rest[1..]),
                _ => {
                    self.output.push(character);
                    &rest[character.len_utf8()..]
                }
            };
        }
        (self.output, self.weaker)
    }

    fn push<'a>(&mut self, text: &str, rest: &'a str) -> &'a str {
        self.output += text;
        rest
    }

    /// Copies an escape; those with a number are respelled.
    fn escape<'a>(&mut self, text: &'a str) -> &'a str {
        let kind = text.chars().nth(1).unwrap_or('\\');
        let digits = match kind {
            'u' => text.get(2..6),
            'x' => text.get(2..4).filter(|digits| !digits.starts_with('{')),
            _ => None,
        };
        if let Some(digits) = digits.filter(|digits| digits.chars().all(|c| c.is_ascii_hexdigit()))
        {
            self.output += &format!(r"\x{{{digits}}}");
            return &text[2 + digits.len()..];
        }
        if matches!(kind, 'p' | 'P' | 'x') && text[2..].starts_with('{') {
            let end = text.find('}').map_or(text.len(), |end| end + 1);
            return self.push(&text[..end], &text[end..]);
        }
        let end = 1 + text.chars().nth(1).map_or(0, char::len_utf8);
        if matches!(kind, '<' | '>') {
            return self.push(&text[1..end], &text[end..]);
        }
        self.push(&text[..end], &text[end..])
    }

    /// Copies a class. Inside, `[` and the operators of the crate are ordinary
    /// characters for the schemas.
    fn class<'a>(&mut self, text: &'a str) -> &'a str {
        self.output.push('[');
        let mut rest = &text[1..];
        if let Some(after) = rest.strip_prefix('^') {
            rest = self.push("^", after);
        }
        let end = class_end(text).unwrap_or(text.len());
        let inner = &text[..end];
        // Together with its opposite, as in `[\s\S]`, a class means everything.
        let opposites = [r"\S", r"\W", r"\D", r"\P"].iter().any(|class| inner.contains(class));
        let mut first = true;
        let mut after_class = false;
        while let Some(character) = rest.chars().next() {
            let doubled = rest[character.len_utf8()..].starts_with(character);
            let was_class = character == '\\'
                && CLASSES.contains(&rest.as_bytes().get(1).copied().unwrap_or(0));
            rest = match character {
                // An empty class means nothing; at its start `]` is a character.
                ']' if !first || !rest[1..].contains(']') => return self.push("]", &rest[1..]),
                ']' => self.push(r"\]", &rest[1..]),
                '[' if rest.starts_with("[:") => self.push("[", &rest[1..]),
                '[' => self.push(r"\[", &rest[1..]),
                '\\' => match inside_class(rest).filter(|_| !opposites) {
                    Some(class) => self.push(class, &rest[2..]),
                    None => self.escape(rest),
                },
                // Beside a class, a dash cannot mean a range.
                '-' if after_class || inside_class(&rest[1..]).is_some() => {
                    self.push(r"\-", &rest[1..])
                }
                '&' | '~' | '-' if doubled => {
                    self.output.push('\\');
                    self.push(&rest[..1], &rest[1..])
                }
                _ => {
                    self.output.push(character);
                    &rest[character.len_utf8()..]
                }
            };
            first = false;
            after_class = was_class;
        }
        rest
    }

    /// Leaves out an assertion about what lies around.
    fn look<'a>(&mut self, text: &'a str) -> &'a str {
        self.weaker = true;
        let mut depth = 0;
        let mut in_class = false;
        let mut escaped = false;
        for (place, character) in text.char_indices() {
            match character {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '[' if !in_class => in_class = true,
                ']' => in_class = false,
                '(' if !in_class => depth += 1,
                ')' if !in_class => {
                    depth -= 1;
                    if depth == 0 {
                        return &text[place + 1..];
                    }
                }
                _ => {}
            }
        }
        ""
    }

    /// Whether a `}` at this place ends a count that was copied.
    fn closes_count(&self) -> bool {
        let open = self.output.rfind('{');
        open.is_some_and(|open| {
            let inside = &self.output[open + 1..];
            !self.output[..open].ends_with('\\')
                && inside.chars().all(|c| c.is_ascii_digit() || c == ',')
        })
    }
}

/// The letters of escapes that stand for more than one character.
const CLASSES: &[u8] = b"dDsSwWpP";

/// The engines of the schemas know `\d`, `\s` and `\w` in ASCII only.
fn outside_class(text: &str) -> Option<&'static str> {
    Some(match text.get(..2)? {
        r"\d" => "[0-9]",
        r"\D" => "[^0-9]",
        r"\s" => r"[\t-\r ]",
        r"\S" => r"[^\t-\r ]",
        r"\w" => "[0-9A-Za-z_]",
        r"\W" => "[^0-9A-Za-z_]",
        _ => return None,
    })
}

fn inside_class(text: &str) -> Option<&'static str> {
    Some(match text.get(..2)? {
        r"\d" => "0-9",
        r"\s" => r"\t-\r ",
        r"\w" => "0-9A-Za-z_",
        _ => return None,
    })
}

/// Replaces the classes of POSIX, which Java spells like those of Unicode.
fn posix_classes(source: &str) -> String {
    let mut output = String::new();
    let mut in_class = false;
    let mut rest = source;
    while let Some(character) = rest.chars().next() {
        let class = POSIX.iter().find(|(name, _)| rest.starts_with(name));
        if let Some((name, inside)) = class {
            output += &if in_class { (*inside).to_owned() } else { format!("[{inside}]") };
            rest = &rest[name.len()..];
            continue;
        }
        let mut length = character.len_utf8();
        match character {
            '\\' => length += rest[length..].chars().next().map_or(0, char::len_utf8),
            '[' => in_class = true,
            ']' => in_class = false,
            _ => {}
        }
        output += &rest[..length];
        rest = &rest[length..];
    }
    output
}

const POSIX: [(&str, &str); 9] = [
    (r"\p{ASCII}", r"\x{00}-\x{7F}"),
    (r"\p{Alnum}", "0-9A-Za-z"),
    (r"\p{Alpha}", "A-Za-z"),
    (r"\p{Digit}", "0-9"),
    (r"\p{Graph}", r"\x{21}-\x{7E}"),
    (r"\p{Lower}", "a-z"),
    (r"\p{Print}", r"\x{20}-\x{7E}"),
    (r"\p{Space}", r"\t-\r "),
    (r"\p{Upper}", "A-Z"),
];

const LOOKS: [&str; 4] = ["(?=", "(?!", "(?<=", "(?<!"];

/// Whether the text begins with a count such as `{1,3}`.
fn counts(text: &str) -> bool {
    let Some(end) = text.find('}') else { return false };
    let inside = &text[1..end];
    inside.starts_with(|c: char| c.is_ascii_digit())
        && inside.chars().all(|c| c.is_ascii_digit() || c == ',')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(source: &str) -> Option<String> {
        translate(source).pattern
    }

    #[test]
    fn leaves_ordinary_patterns_alone() {
        let source = r"^arn:[a-z0-9-]+:iot:[a-z0-9-]*:[0-9]{12}:thing/[a-zA-Z0-9:_-]{1,128}$";
        assert_eq!(pattern(source).as_deref(), Some(source));
        assert!(!translate(source).weaker);
    }

    #[test]
    fn turns_one_counted_class_into_lengths() {
        let found = translate(r"^[\p{L}\]_]{1,2048}$");
        assert_eq!(found.pattern.as_deref(), Some(r"^[\p{L}\]_]+$"));
        assert_eq!((found.min_length, found.max_length), (Some(1), Some(2048)));
        assert!(!found.weaker);
    }

    #[test]
    fn takes_assertions_out() {
        let found = translate(r"^(?!aws:)[a-z(]+(?=[)])$");
        assert_eq!(found.pattern.as_deref(), Some(r"^[a-z(]+$"));
        assert!(found.weaker);
    }

    #[test]
    fn respells_characters() {
        assert_eq!(pattern(r"[\u0020-\u00FF]+").as_deref(), Some(r"[\x{0020}-\x{00FF}]+"));
        assert_eq!(pattern(r"^[[a-z&&]+$").as_deref(), Some(r"^[\[a-z\&&]+$"));
        assert_eq!(pattern(r"^\{{x}\}$").as_deref(), Some(r"^\{\{x\}\}$"));
    }

    #[test]
    fn reads_short_classes_as_ascii() {
        assert_eq!(pattern(r"^[\w-.]+\d$").as_deref(), Some(r"^[0-9A-Za-z_\-.]+[0-9]$"));
        assert_eq!(pattern(r"^a[\s\S]*$").as_deref(), Some(r"^a[\s\S]*$"));
        assert_eq!(pattern(r"^[\p{Graph}\x20]+$").as_deref(), Some(r"^[\x{21}-\x{7E}\x{20}]+$"));
    }

    #[test]
    fn opens_counts_that_would_cost_too_much() {
        let found = translate(r"^x[\p{L}\p{N}]{0,4000}y{2}$");
        assert_eq!(found.pattern.as_deref(), Some(r"^x[\p{L}\p{N}]*y{2}$"));
        assert!(found.weaker);
    }

    #[test]
    fn leaves_out_what_cannot_be_expressed() {
        assert_eq!(pattern(r"^(a)\1$"), None);
    }
}
