//! The database's file format: written by the generator, read by the program.
//!
//! A file is a head and one block per type. The head (deflated) names the regions
//! and the types and says where each block lies. A block (deflated) holds a type's
//! words, joined, and then its facts as small numbers that point at the words. All
//! blocks are deflated against one common dictionary, which is what makes types of
//! a few hundred bytes worth compressing one by one.
//!
//! Reader and writer stand side by side because they must agree; nothing but the
//! generator needs the writer. The format has no version: file and program are
//! always built together.

mod read;
mod types;
mod write;

pub use write::{DatabaseSource, write_database};

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use crate::resource_type::ResourceType;
use read::Reader;

/// An opened database: the names of its types and where their blocks lie.
#[derive(Default)]
pub struct Database {
    /// The date of the schemas as `YYYY-MM-DD`.
    pub date: &'static str,
    /// The regions that bits of types stand for.
    pub regions: Vec<&'static str>,
    /// The names of the types, sorted.
    pub names: Vec<&'static str>,
    blocks: Vec<Block>,
    bytes: &'static [u8],
    dictionary: &'static [u8],
}

/// Where a type's block lies and how long it is when inflated.
struct Block {
    start: usize,
    end: usize,
    inflated: usize,
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
        for _ in 0..reader.number()? {
            database.names.push(reader.text()?);
            let (length, inflated) = (reader.number()?, reader.number()?);
            database.blocks.push(Block { start, end: start + length, inflated });
            start += length;
        }
        database.dictionary = reader.rest();
        Some(database)
    }

    /// Decodes the type whose name is at this place.
    pub fn decode(&self, place: usize) -> Option<ResourceType> {
        let block = self.blocks.get(place)?;
        let deflated = self.bytes.get(block.start..block.end)?;
        let bytes = inflate(deflated, self.dictionary, block.inflated)?;
        types::read_type(self.names.get(place)?, &bytes)
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
