//! Text: accepted values, patterns, lengths, notations.
//!
//! Text that CloudFormation resolves while deploying is not known, and not judged.

use iotstack_assembly::intrinsic::Trail;
use iotstack_schema::{Format, StringShape};

use super::Walk;
use crate::value::{choices, is_dynamic};
use crate::{Code, pattern};

impl Walk<'_, '_> {
    /// Judges text.
    pub(super) fn text(&mut self, shape: &'static StringShape, text: &str, trail: &Trail<'_>) {
        if is_dynamic(text) {
            return;
        }
        if !shape.values.is_empty() {
            let is_known = shape.values.iter().any(|value| {
                if shape.ignore_case { value.eq_ignore_ascii_case(text) } else { *value == text }
            });
            if !is_known {
                return self.report(&INVALID_VALUE, trail, || {
                    let help = iotstack_schema::nearest(text, shape.values.iter().copied())
                        .map(|near| format!("did you mean `{near}`?"));
                    let values = choices(&shape.values);
                    (format!("found `{}`; expected one of {values}", brief(text)), help)
                });
            }
        }
        self.length(shape, text, trail);
        if let Some(pattern) = shape.pattern
            && !pattern::is_found(pattern, text)
        {
            self.report(&PATTERN_MISMATCH, trail, || {
                (format!("text `{}` does not fit the pattern `{pattern}`", brief(text)), None)
            });
        }
        if let Some(format) = shape.format
            && let Some(expected) = misses(format, text)
        {
            self.report(&PATTERN_MISMATCH, trail, || {
                (format!("text `{}` is not {expected}", brief(text)), None)
            });
        }
    }

    fn length(&mut self, shape: &'static StringShape, text: &str, trail: &Trail<'_>) {
        // Characters are never more than bytes: most texts need no counting.
        let may_be_long = shape.max_length.is_some_and(|max| text.len() > max as usize);
        let may_be_short = shape.min_length.is_some_and(|min| text.len() < min as usize * 4);
        if !may_be_long && !may_be_short {
            return;
        }
        let count = text.chars().count();
        let is_long = shape.max_length.is_some_and(|max| count > max as usize);
        let is_short = shape.min_length.is_some_and(|min| count < min as usize);
        if is_long || is_short {
            self.report(&INVALID_LENGTH, trail, || {
                let bounds = super::list::bounds(shape.min_length, shape.max_length);
                let message =
                    format!("text `{}` has {count} characters; expected {bounds}", brief(text));
                (message, None)
            });
        }
    }
}

/// What a notation demands, where text does not keep it. Notations in which AWS is
/// more lenient than their standard are not judged.
fn misses(format: Format, text: &str) -> Option<&'static str> {
    match format {
        Format::Json => serde_json::from_str::<serde_json::Value>(text).err().map(|_| "JSON"),
        Format::Ipv4Network => {
            let network = text.split_once('/').is_some_and(|(address, bits)| {
                address.parse::<std::net::Ipv4Addr>().is_ok()
                    && bits.parse::<u8>().is_ok_and(|bits| bits <= 32)
            });
            (!network).then_some("an IPv4 network such as 10.0.0.0/16")
        }
        Format::Ipv6Network => {
            let network = text.split_once('/').is_some_and(|(address, bits)| {
                address.parse::<std::net::Ipv6Addr>().is_ok()
                    && bits.parse::<u8>().is_ok_and(|bits| bits <= 128)
            });
            (!network).then_some("an IPv6 network such as 2001:db8::/32")
        }
        _ => None,
    }
}

fn brief(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

pub(super) static INVALID_VALUE: Code = Code::error(
    "invalid-value",
    "The property accepts a fixed list of values, and this is none of them. Values are \
     case-sensitive.",
);

pub(super) static PATTERN_MISMATCH: Code = Code::error(
    "pattern-mismatch",
    "The text does not have the form that the property demands. Patterns are those that AWS \
     publishes with the resource type.",
);

pub(super) static INVALID_LENGTH: Code =
    Code::error("invalid-length", "The text is shorter or longer than the property accepts.");
