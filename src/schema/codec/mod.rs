//! The database's file format: written by the generator, read by the program.
//!
//! A file is a head and a few dozen blocks. The head (deflated) names the regions
//! and the types and says where each type lies. A block (deflated) holds the words
//! of some types that stand next to each other in the alphabet, joined, and behind
//! them the facts of these types, as small numbers that point at the words. Asking
//! for a type inflates its block, which is kept, and decodes that type alone. All
//! blocks are deflated against one common dictionary.
//!
//! Reader and writer stand side by side because they must agree; nothing but the
//! generator needs the writer. The format has no version: file and program are
//! always built together.

mod read;
mod types;
mod write;

use std::ops::Range;
use std::sync::OnceLock;

pub use write::{DatabaseSource, write_database};

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use crate::resource_type::ResourceType;
use read::Reader;

/// An opened database: the names of its types and where they lie.
#[derive(Default)]
pub struct Database {
    /// The date of the schemas as `YYYY-MM-DD`.
    pub date: &'static str,
    /// The regions that bits of types stand for.
    pub regions: Vec<&'static str>,
    /// The names of the types, sorted.
    pub names: Vec<&'static str>,
    entries: Vec<Entry>,
    blocks: Vec<Block>,
    bytes: &'static [u8],
    dictionary: &'static [u8],
}

/// Where a type lies: its words and its facts inside a block.
struct Entry {
    block: usize,
    words: Range<usize>,
    facts: Range<usize>,
}

/// Where a block lies and how long it is when inflated.
struct Block {
    deflated: Range<usize>,
    length: usize,
    inflated: OnceLock<Option<&'static [u8]>>,
}

impl Database {
    /// Reads the head of a database; `None` when the bytes are not one.
    pub fn open(bytes: &'static [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes, &[]);
        let (inflated, deflated) = (reader.number()?, reader.number()?);
        let head: &'static [u8] = inflate(reader.take(deflated)?, &[], inflated)?.leak();
        let bytes = reader.rest();

        let mut reader = Reader::new(head, &[]);
        let mut database = Self { bytes, date: reader.text()?, ..Self::default() };
        for _ in 0..reader.number()? {
            database.regions.push(reader.text()?);
        }
        let mut start = 0;
        for block in 0..reader.number()? {
            let deflated = start..start + reader.number()?;
            start = deflated.end;
            let mut lengths = Vec::new();
            for _ in 0..reader.number()? {
                database.names.push(reader.text()?);
                lengths.push((reader.number()?, reader.number()?));
            }
            let (mut word, mut fact) = (0, lengths.iter().map(|(words, _)| words).sum());
            for (words, facts) in lengths {
                let (words, facts) = (word..word + words, fact..fact + facts);
                (word, fact) = (words.end, facts.end);
                database.entries.push(Entry { block, words, facts });
            }
            database.blocks.push(Block { deflated, length: fact, inflated: OnceLock::new() });
        }
        database.dictionary = reader.rest();
        Some(database)
    }

    /// Decodes the type whose name is at this place.
    pub fn decode(&self, place: usize) -> Option<ResourceType> {
        let entry = self.entries.get(place)?;
        let block = self.blocks.get(entry.block)?;
        let bytes = (*block.inflated.get_or_init(|| {
            let deflated = self.bytes.get(block.deflated.clone())?;
            let bytes: &'static [u8] = inflate(deflated, self.dictionary, block.length)?.leak();
            Some(bytes)
        }))?;
        let words = std::str::from_utf8(bytes.get(entry.words.clone())?).ok()?;
        types::read_type(self.names.get(place)?, words, bytes.get(entry.facts.clone())?)
    }
}

/// Inflates to exactly `length` bytes, with `dictionary` as if it had come before.
fn inflate(deflated: &[u8], dictionary: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut output = Vec::with_capacity(dictionary.len() + length);
    output.extend_from_slice(dictionary);
    output.resize(dictionary.len() + length, 0);
    let flags = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let mut state = Box::<DecompressorOxide>::default();
    let (status, _, written) =
        decompress(&mut state, deflated, &mut output, dictionary.len(), flags);
    if status != TINFLStatus::Done || written != length {
        return None;
    }
    output.drain(..dictionary.len());
    Some(output)
}

#[cfg(test)]
mod tests;
