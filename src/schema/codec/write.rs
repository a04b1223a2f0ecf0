//! Writing a database, for the generator.
//!
//! The common dictionary is made of the words that most types share, the most
//! frequent at its end, where deflate reaches them at the least cost.

use std::collections::BTreeMap;

use miniz_oxide::deflate::core::create_comp_flags_from_zip_params;
use miniz_oxide::deflate::core::{CompressorOxide, TDEFLFlush, compress_to_output};

use super::types;
use crate::resource_type::ResourceType;

/// What a database is made of.
pub struct DatabaseSource {
    /// The date of the schemas as `YYYY-MM-DD`.
    pub date: String,
    /// The regions that bits of types stand for, 64 at most.
    pub regions: Vec<String>,
    /// The types, in any order.
    pub types: Vec<ResourceType>,
}

/// Writes a database that [`Database::open`](super::Database::open) reads. The same
/// source always gives the same bytes.
pub fn write_database(source: &DatabaseSource) -> Vec<u8> {
    let mut types: Vec<&ResourceType> = source.types.iter().collect();
    types.sort_by_key(|resource_type| resource_type.name);
    let plain: Vec<(Vec<&str>, Vec<u8>)> =
        types.iter().map(|resource_type| types::write_type(resource_type)).collect();
    let dictionary = dictionary(plain.iter().map(|(words, _)| words.as_slice()));

    let mut head = Writer::default();
    let mut file_end = Vec::new();
    head.text(&source.date);
    head.number(source.regions.len());
    source.regions.iter().for_each(|region| head.text(region));
    let parts: Vec<Part<'_>> = types
        .iter()
        .zip(&plain)
        .map(|(found, (words, facts))| Part { name: found.name, words: joined(words), facts })
        .collect();
    let blocks = blocks(&parts);
    head.number(blocks.len());
    for block in blocks {
        let mut bytes = Vec::new();
        block.iter().for_each(|part| bytes.extend_from_slice(part.words.as_bytes()));
        block.iter().for_each(|part| bytes.extend_from_slice(part.facts));
        let deflated = deflate(&bytes, &dictionary);
        head.number(deflated.len());
        head.number(block.len());
        for part in block {
            head.text(part.name);
            head.number(part.words.len());
            head.number(part.facts.len());
        }
        file_end.extend_from_slice(&deflated);
    }
    head.bytes.extend_from_slice(&dictionary);

    let deflated = deflate(&head.bytes, &[]);
    let mut file = Writer::default();
    file.number(head.bytes.len());
    file.number(deflated.len());
    file.bytes.extend_from_slice(&deflated);
    file.bytes.extend_from_slice(&file_end);
    file.bytes
}

fn joined(words: &[&str]) -> String {
    words.iter().flat_map(|word| [*word, types::WORD_END]).collect()
}

/// A type on its way into a block.
struct Part<'a> {
    name: &'a str,
    words: String,
    facts: &'a [u8],
}

/// The size of a block: inflating it should take a fraction of a millisecond.
const BLOCK_SIZE: usize = 24 * 1024;

/// Divides the types into blocks of about the same size.
fn blocks<'p, 'a>(parts: &'p [Part<'a>]) -> Vec<&'p [Part<'a>]> {
    let mut blocks = Vec::new();
    let (mut start, mut size) = (0, 0);
    for (place, part) in parts.iter().enumerate() {
        let own = part.words.len() + part.facts.len();
        if size > 0 && size + own > BLOCK_SIZE {
            blocks.push(&parts[start..place]);
            (start, size) = (place, 0);
        }
        size += own;
    }
    blocks.push(&parts[start..]);
    blocks
}

/// Numbers and words on their way into a block.
#[derive(Default)]
pub(super) struct Writer<'a> {
    pub(super) bytes: Vec<u8>,
    pub(super) words: Vec<&'a str>,
    places: BTreeMap<&'a str, usize>,
}

impl<'a> Writer<'a> {
    pub(super) fn number(&mut self, value: usize) {
        let mut value = value;
        while value > 0x7f {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    pub(super) fn byte(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// A number that is usually whole, not negative and small: those are written as
    /// numbers from one on, all others as their bits behind a zero.
    pub(super) fn float(&mut self, value: f64) {
        if value >= 0.0 && value.fract() == 0.0 && value < f64::from(u32::MAX) {
            self.number(value as usize + 1);
        } else {
            self.number(0);
            self.bytes.extend_from_slice(&value.to_le_bytes());
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        self.number(text.len());
        self.bytes.extend_from_slice(text.as_bytes());
    }

    pub(super) fn word(&mut self, word: &'a str) {
        let next = self.words.len();
        let place = *self.places.entry(word).or_insert(next);
        // Words stand in the order of their first use, so a new one is always the
        // next: that writes most of them as zero.
        if place == next {
            self.words.push(word);
            self.number(0);
        } else {
            self.number(next - place);
        }
    }

    pub(super) fn words(&mut self, words: &[&'a str]) {
        self.number(words.len());
        words.iter().for_each(|word| self.word(word));
    }

    pub(super) fn list<T>(&mut self, list: &'a [T], mut one: impl FnMut(&mut Self, &'a T)) {
        self.number(list.len());
        for item in list {
            one(self, item);
        }
    }
}

/// The longest text that deflate can still refer back to from a type's block.
const DICTIONARY_SIZE: usize = 24 * 1024;

fn dictionary<'a>(types: impl Iterator<Item = &'a [&'a str]>) -> Vec<u8> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for word in types.flatten() {
        *counts.entry(word).or_default() += 1;
    }
    let mut ranked: Vec<(usize, &str)> = counts
        .into_iter()
        .filter(|(word, count)| *count > 3 && word.len() > 3)
        .map(|(word, count)| (count * word.len(), word))
        .collect();
    ranked.sort_by(|left, right| right.cmp(left));
    let mut size = 0;
    ranked.retain(|(_, word)| {
        let fits = size + word.len() < DICTIONARY_SIZE;
        size += if fits { word.len() + 1 } else { 0 };
        fits
    });
    let words: Vec<&str> = ranked.iter().rev().map(|(_, word)| *word).collect();
    joined(&words).into_bytes()
}

/// Deflates `bytes` as if `dictionary` had come before them.
fn deflate(bytes: &[u8], dictionary: &[u8]) -> Vec<u8> {
    let mut state = CompressorOxide::new(create_comp_flags_from_zip_params(10, -15, 0));
    let mut output = Vec::new();
    if !dictionary.is_empty() {
        // A synchronising flush ends on a whole byte, so what follows can be read
        // on its own by whoever has the dictionary.
        compress_to_output(&mut state, dictionary, TDEFLFlush::Sync, |_| true);
    }
    compress_to_output(&mut state, bytes, TDEFLFlush::Finish, |part| {
        output.extend_from_slice(part);
        true
    });
    output
}
