//! JSON of messages, in and out, without losing a digit.
//!
//! The usual reader holds numbers as `f64`, which would change what a rule passes
//! on: a whole number of 20 digits would come out rounded. This one keeps the 34
//! digits of the language. It accepts exactly JSON in UTF-8, with a bound on how
//! deep lists and objects may be nested; of two members with one name the last wins.
//!
//! `Undefined` members are left out when writing, and `Undefined` on its own is an
//! empty text.

use indexmap::IndexMap;

use super::Version;
use super::number::{Decimal, fits};
use super::value::Value;

/// Reads a message; nothing if it is not JSON.
pub fn parse(text: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(text).ok()?;
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.space();
    (reader.at == text.len()).then_some(value)
}

/// Writes a value as JSON.
pub fn to_string(value: &Value, version: Version) -> String {
    let mut out = String::new();
    write(value, version, &mut out);
    out
}

/// Adds a value to `out` as JSON.
pub fn write(value: &Value, version: Version, out: &mut String) {
    match value {
        Value::Undefined => {}
        Value::Null => out.push_str("null"),
        Value::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) => out.push_str(&value.to_string()),
        Value::Decimal(value) => {
            let text = value.to_string();
            out.push_str(&text);
            // The first version of the language knew 10.0 as a decimal.
            if version < Version::V2016 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
                out.push_str(".0");
            }
        }
        Value::String(text) => quote(text, out),
        Value::Array(items) => {
            out.push('[');
            let mut first = true;
            for item in items.iter().filter(|item| !item.is_undefined()) {
                if !first {
                    out.push(',');
                }
                first = false;
                write(item, version, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            let mut first = true;
            for (name, member) in members.iter().filter(|(_, member)| !member.is_undefined()) {
                if !first {
                    out.push(',');
                }
                first = false;
                quote(name, out);
                out.push(':');
                write(member, version, out);
            }
            out.push('}');
        }
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if (control as u32) < 0x20 => {
                out.push_str(&format!("\\u{:04x}", control as u32));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > DEPTH {
            return None;
        }
        self.space();
        match self.peek()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string().map(Value::String),
            b't' => self.word("true", Value::Boolean(true)),
            b'f' => self.word("false", Value::Boolean(false)),
            b'n' => self.word("null", Value::Null),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize) -> Option<Value> {
        self.at += 1;
        let mut members = IndexMap::new();
        self.space();
        if self.take(b'}') {
            return Some(Value::Object(members));
        }
        loop {
            self.space();
            if self.peek()? != b'"' {
                return None;
            }
            let name = self.string()?;
            self.space();
            if !self.take(b':') {
                return None;
            }
            let value = self.value(depth + 1)?;
            members.insert(name, value);
            self.space();
            if self.take(b'}') {
                return Some(Value::Object(members));
            }
            if !self.take(b',') {
                return None;
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<Value> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.take(b']') {
            return Some(Value::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.space();
            if self.take(b']') {
                return Some(Value::Array(items));
            }
            if !self.take(b',') {
                return None;
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let stop = rest.bytes().position(|b| b == b'"' || b == b'\\' || b < 0x20)?;
            out.push_str(&rest[..stop]);
            self.at += stop;
            match rest.as_bytes()[stop] {
                b'"' => {
                    self.at += 1;
                    return Some(out);
                }
                b'\\' => {
                    self.at += 1;
                    out.push(self.escape()?);
                }
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        let kind = self.peek()?;
        self.at += 1;
        Some(match kind {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.hex()?;
                if !(0xd800..0xdc00).contains(&high) {
                    return char::from_u32(high);
                }
                if !(self.take(b'\\') && self.take(b'u')) {
                    return None;
                }
                let low = self.hex()?;
                if !(0xdc00..0xe000).contains(&low) {
                    return None;
                }
                return char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
            }
            _ => return None,
        })
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }

    fn number(&mut self) -> Option<Value> {
        let start = self.at;
        self.take(b'-');
        let whole = self.digits()?;
        if whole.len() > 1 && whole.starts_with('0') {
            return None;
        }
        let mut is_int = true;
        if self.take(b'.') {
            self.digits()?;
            is_int = false;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
            is_int = false;
        }
        let text = &self.text[start..self.at];
        if is_int && let Some(value) = text.parse().ok().filter(|value| fits(*value)) {
            return Some(Value::Int(value));
        }
        // What is larger than any number of the language is not a value of it.
        Some(Value::decimal(Decimal::parse(text)))
    }

    fn digits(&mut self) -> Option<&str> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then(|| &self.text[start..self.at])
    }

    fn word(&mut self, word: &str, value: Value) -> Option<Value> {
        self.text[self.at..].starts_with(word).then(|| {
            self.at += word.len();
            value
        })
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.at += 1;
        }
        found
    }
}

/// How deep a message may be nested; deeper ones are not read.
const DEPTH: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn again(text: &str) -> Option<String> {
        parse(text.as_bytes()).map(|value| to_string(&value, Version::V2016))
    }

    #[test]
    fn keeps_what_a_message_says() {
        for text in [
            r#"{"b":1,"a":[true,false,null,"x"],"c":{}}"#,
            r#"{"n":1234567890123456789012345678901234,"d":21.5,"s":-0.001}"#,
            r#""tab\t quote\" back\\ é 🦀""#,
            "[]",
            "17",
        ] {
            assert_eq!(again(text).as_deref(), Some(text));
        }
        assert_eq!(again(r#" { "a" : 10.0 , "a" : 1e2 } "#).as_deref(), Some(r#"{"a":100}"#));
        assert_eq!(again(r#""\u00e9\ud83e\udd80\/\b""#).as_deref(), Some("\"é🦀/\\u0008\""));
        let old = parse(b"[10.0, 1.5, 3]").unwrap();
        assert_eq!(to_string(&old, Version::V2015), "[10.0,1.5,3]");
    }

    #[test]
    fn refuses_what_is_not_json() {
        for text in [
            "",
            "{",
            "[1,]",
            "{a:1}",
            "{\"a\"}",
            "01",
            "1.",
            ".5",
            "+1",
            "tru",
            "'x'",
            "\"\u{1}\"",
            "\"\\x\"",
            "\"\\ud800\"",
            "1 2",
            "\"abc",
            "-",
            "1e",
        ] {
            assert_eq!(again(text), None, "{text}");
        }
        assert_eq!(parse(b"\xff"), None);
        assert_eq!(again(&"[".repeat(100_000)), None);
    }

    #[test]
    fn agrees_with_the_usual_reader() {
        let text = r#"{"a":[1,-2,{"b":"c\u0041"}],"z":1.25e-3,"n":null}"#;
        let usual: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(parse(text.as_bytes()).unwrap(), Value::from(&usual));
    }
}
