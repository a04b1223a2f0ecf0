//! Records that a torn write cannot destroy.
//!
//! Each record has two copies. A new state goes over the older copy, with a higher
//! number and a checksum; the younger copy is not touched until the next time. So
//! whatever happens to the one that is being written, the other one is whole, and a
//! reader takes the youngest copy whose checksum holds.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::{Area, Flash, FlashError};

/// What a device remembers besides images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Record {
    /// What the bootloader goes by.
    Boot = 0,
    /// What the firmware knows about its update.
    Journal = 1,
}

/// Reads a record; `None` if it has never been written completely.
pub(crate) fn load<T: DeserializeOwned>(
    flash: &Flash,
    record: Record,
) -> Result<Option<T>, FlashError> {
    let youngest = newest(flash, record)?;
    Ok(youngest.and_then(|(_, _, body)| serde_json::from_slice(&body).ok()))
}

/// Writes a record: afterwards the new state is there, or still the old one.
pub(crate) fn save<T: Serialize>(
    flash: &mut Flash,
    record: Record,
    state: &T,
) -> Result<(), FlashError> {
    let body = serde_json::to_vec(state).map_err(|error| FlashError::Io(error.to_string()))?;
    let (copy, number) = match newest(flash, record)? {
        Some((copy, number, _)) => (1 - copy, number + 1),
        None => (0, 1),
    };
    let mut bytes = Vec::with_capacity(HEAD + body.len());
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend_from_slice(&checksum(number, &body));
    bytes.extend_from_slice(&body);
    flash.replace(Area::Copy(record, copy), &bytes)
}

/// The youngest whole copy: which one, its number and its body.
fn newest(flash: &Flash, record: Record) -> Result<Option<(usize, u64, Vec<u8>)>, FlashError> {
    let mut best: Option<(usize, u64, Vec<u8>)> = None;
    for copy in 0..2 {
        let bytes = flash.read(Area::Copy(record, copy))?;
        let Some((number, body)) = whole(&bytes) else { continue };
        if best.as_ref().is_none_or(|(_, found, _)| number > *found) {
            best = Some((copy, number, body.to_vec()));
        }
    }
    Ok(best)
}

fn whole(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<8>()?;
    let (found, body) = rest.split_first_chunk::<8>()?;
    let number = u64::from_le_bytes(*number);
    (checksum(number, body) == *found).then_some((number, body))
}

fn checksum(number: u64, body: &[u8]) -> [u8; 8] {
    let digest = Sha256::new().chain_update(number.to_le_bytes()).chain_update(body).finalize();
    // Eight bytes are plenty against tearing; nobody is kept out by them.
    std::array::from_fn(|index| digest[index])
}

const HEAD: usize = 16;
