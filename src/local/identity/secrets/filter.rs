//! Which secrets a list shows, and in which order.
//!
//! Names and tags are matched by how they begin. Descriptions, and everything at once, are
//! searched word by word, in capitals or not: each word that is asked for must begin a word
//! that is there. Words end where the case changes, as in `FleetClaim`.

use iotstack_local_kernel::{Fault, loose};
use serde_json::{Map, Value};

use super::secret::Secret;
use crate::wire::violating;

/// A filter of a list.
#[derive(Debug)]
pub(super) struct Filter {
    key: Key,
    values: Vec<String>,
}

/// What a filter looks at.
#[derive(Debug, Clone, Copy)]
enum Key {
    Description,
    Name,
    Tag,
    TagValue,
    /// The region from which secrets are copied, which nothing here is.
    PrimaryRegion,
    /// The service that keeps a secret in an account; here none does.
    OwningService,
    All,
}

impl Filter {
    /// The filters of an input.
    pub(super) fn read_all(input: &Map<String, Value>) -> Result<Vec<Self>, Fault> {
        let filters = loose::list(input, "Filters")?;
        filters.iter().enumerate().map(|(place, filter)| Filter::read(place, filter)).collect()
    }

    fn read(place: usize, filter: &Value) -> Result<Self, Fault> {
        let refuse = |reason: String| Fault::new("InvalidParameterException", 400, reason);
        let name = filter["Key"].as_str().unwrap_or_default();
        if name.is_empty() {
            return Err(refuse("Invalid filter key".to_owned()));
        }
        let Some((_, key)) = KEYS.iter().find(|(known, _)| *known == name) else {
            let known: Vec<&str> = KEYS.iter().map(|(known, _)| *known).collect();
            let member = format!("filters.{}.member.key", place + 1);
            let wanted = format!("Member must satisfy enum value set: [{}]", known.join(", "));
            return Err(violating(&member, Some(name), &wanted));
        };
        let values = filter["Values"].as_array().into_iter().flatten();
        let values: Vec<String> = values.filter_map(Value::as_str).map(str::to_owned).collect();
        if values.is_empty() {
            return Err(refuse(format!("Invalid filter values for key: {name}")));
        }
        Ok(Filter { key: *key, values })
    }

    /// Whether a secret fits: one of the values must, and none with `!` in front.
    pub(super) fn fits(&self, secret: &Secret) -> bool {
        let mut any = false;
        let mut positive = false;
        for value in &self.values {
            match value.strip_prefix('!') {
                Some(not) if self.key.holds(secret, not) => return false,
                Some(_) => {}
                None => {
                    positive = true;
                    any |= self.key.holds(secret, value);
                }
            }
        }
        any || !positive
    }
}

impl Key {
    fn holds(self, secret: &Secret, wanted: &str) -> bool {
        let begins = |text: &String| text.starts_with(wanted);
        match self {
            Key::Name => begins(&secret.name),
            Key::Tag => secret.tags.keys().any(begins),
            Key::TagValue => secret.tags.values().any(begins),
            Key::PrimaryRegion | Key::OwningService => false,
            Key::Description => have(&words(secret.description.iter()), wanted),
            Key::All => {
                let tags = secret.tags.iter().flat_map(|(key, value)| [key, value]);
                let texts = [&secret.name].into_iter().chain(&secret.description).chain(tags);
                have(&words(texts), wanted)
            }
        }
    }
}

/// The order of a list: the oldest secret first if nothing is said.
#[derive(Debug)]
pub(super) struct Order {
    by: Option<String>,
    falls: bool,
}

impl Order {
    pub(super) fn read(input: &Map<String, Value>) -> Result<Self, Fault> {
        let falls = loose::text(input, "SortOrder")?.as_deref() == Some("desc");
        Ok(Order { by: loose::text(input, "SortBy")?, falls })
    }

    /// Where a secret stands: these keys rise, whichever way the list goes.
    pub(super) fn key(&self, secret: &Secret) -> String {
        let at = match self.by.as_deref() {
            Some("name") => return self.turned(&secret.name),
            Some("last-changed-date") => Some(secret.changed),
            Some("last-accessed-date") => secret.accessed,
            _ => Some(secret.created),
        };
        let at = at.map_or(0, |at| at.millis());
        self.turned(&format!("{at:020} {}", secret.name))
    }

    fn turned(&self, key: &str) -> String {
        match self.falls {
            // What begins with another key comes before it here.
            true => key.bytes().map(|byte| format!("{:02x}", 255 - byte)).collect::<String>() + "g",
            false => key.to_owned(),
        }
    }
}

/// Whether each word that is wanted begins one of the words.
fn have(words: &[String], wanted: &str) -> bool {
    let wanted = split(wanted);
    !wanted.is_empty()
        && wanted.iter().all(|wanted| words.iter().any(|word| word.starts_with(wanted)))
}

fn words<'a>(texts: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    texts.into_iter().flat_map(|text| split(text)).collect()
}

/// The words of a text in small letters. The last of several capitals begins the next word.
fn split(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in text.split(|c: char| !c.is_alphanumeric()) {
        let mut word = String::new();
        let mut before = false;
        let mut rest = part.chars().peekable();
        while let Some(letter) = rest.next() {
            let small_follows = rest.peek().is_some_and(|next| next.is_lowercase());
            if letter.is_uppercase() && (!before || small_follows) && !word.is_empty() {
                found.push(std::mem::take(&mut word));
            }
            before = letter.is_uppercase();
            word.extend(letter.to_lowercase());
        }
        if !word.is_empty() {
            found.push(word);
        }
    }
    found
}

const KEYS: &[(&str, Key)] = &[
    ("all", Key::All),
    ("description", Key::Description),
    ("name", Key::Name),
    ("owning-service", Key::OwningService),
    ("primary-region", Key::PrimaryRegion),
    ("tag-key", Key::Tag),
    ("tag-value", Key::TagValue),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_end_where_the_case_changes() {
        for (text, words) in [
            ("fleet claim", &["fleet", "claim"][..]),
            ("FleetClaim/a1b2", &["fleet", "claim", "a1b2"]),
            ("uat/COMPANYthings", &["uat", "compan", "ythings"]),
            ("COMPANY", &["company"]),
            ("SecretFTag", &["secret", "f", "tag"]),
            ("+", &[]),
        ] {
            assert_eq!(split(text), words, "{text}");
        }
    }
}
