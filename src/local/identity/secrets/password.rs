//! Random passwords, as `GetRandomPassword` and `GenerateSecretString` make them.
//!
//! What is asked for is checked before a character is drawn. A password is never
//! logged.

use iotstack_local_kernel::{Fault, loose};
use rand::Rng;
use rand::seq::SliceRandom;
use serde_json::{Map, Value};

/// What a password shall be made of.
#[derive(Debug)]
pub(super) struct Wanted {
    length: usize,
    /// Kinds of characters, each without those that are excluded.
    kinds: Vec<Vec<char>>,
    each: bool,
}

impl Wanted {
    /// Reads it from members under AWS's names, which both callers share.
    pub(super) fn read(input: &Map<String, Value>) -> Result<Self, Fault> {
        let refuse = |reason: String| Fault::new("InvalidParameterException", 400, reason);
        let length = loose::integer(input, "PasswordLength")?.unwrap_or(32);
        let length = usize::try_from(length).ok().filter(|length| (1..=4096).contains(length));
        let length = length.ok_or_else(|| refuse("PasswordLength must be 1 to 4096".to_owned()))?;
        let excluded = loose::text(input, "ExcludeCharacters")?.unwrap_or_default();
        let flag = |name: &str| loose::flag(input, name).map(|flag| flag.unwrap_or(false));
        let all = [
            (flag("ExcludeLowercase")?, LOWER),
            (flag("ExcludeUppercase")?, UPPER),
            (flag("ExcludeNumbers")?, DIGITS),
            (flag("ExcludePunctuation")?, PUNCTUATION),
            (!flag("IncludeSpace")?, " "),
        ];
        let kinds: Vec<Vec<char>> = all
            .iter()
            .filter(|(out, _)| !out)
            .map(|(_, kind)| kind.chars().filter(|c| !excluded.contains(*c)).collect::<Vec<_>>())
            .filter(|kind| !kind.is_empty())
            .collect();
        if kinds.is_empty() {
            return Err(refuse("all characters are excluded".to_owned()));
        }
        let each = loose::flag(input, "RequireEachIncludedType")?.unwrap_or(true);
        if each && length < kinds.len() {
            let reason = format!("{length} characters cannot hold all {} kinds", kinds.len());
            return Err(refuse(reason));
        }
        Ok(Wanted { length, kinds, each })
    }

    /// Makes one.
    pub(super) fn make(&self) -> Result<String, Fault> {
        let mut rng = rand::rng();
        let all: Vec<char> = self.kinds.iter().flatten().copied().collect();
        let mut password: Vec<char> = Vec::with_capacity(self.length);
        if self.each {
            password.extend(self.kinds.iter().map(|kind| kind[rng.random_range(0..kind.len())]));
        }
        while password.len() < self.length {
            password.push(all[rng.random_range(0..all.len())]);
        }
        password.shuffle(&mut rng);
        Ok(password.into_iter().collect())
    }
}

const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const DIGITS: &str = "0123456789";
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
