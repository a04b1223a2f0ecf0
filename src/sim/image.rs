//! Firmware images of the simulator: bytes that say how they behave.
//!
//! A simulated device cannot run real firmware, so its images begin with a small
//! header: for which model they are, which version they are, and what they do
//! when they run (live, crash, hang, fail their self test, find no network). The
//! header is part of what is signed. It is the signed manifest that a device
//! believes, whatever the job document around it says.
//!
//! Bytes without the header are an opaque image: for any model, of the version that
//! the document says, and healthy. So any file can be rolled out in a simulation.

use bytes::Bytes;
use iotstack_protocol::jobs::Sha256Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::dice::Dice;
use crate::{Error, Result};

/// The bytes that an image of the simulator begins with.
pub const MAGIC: &[u8; 8] = b"IOTSTKF1";

/// The longest header, in bytes.
pub const HEADER_LIMIT: usize = 4096;

/// What an image says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The model of device that the image is for; every model if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The version.
    pub version: String,
    /// How many bytes follow the header.
    pub length: u64,
    /// Grows with each release; an image with a lower one is a replay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// From when on the image must no longer be installed, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// The SHA-256 of the image that this one builds upon; any if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Sha256Digest>,
    /// What happens when it runs.
    #[serde(default, skip_serializing_if = "Behaviour::is_healthy")]
    pub behaviour: Behaviour,
}

/// What an image does when it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behaviour {
    /// It lives.
    #[default]
    Healthy,
    /// It crashes as soon as it is booted.
    Crashes,
    /// It hangs until the watchdog resets the device.
    Hangs,
    /// It runs, but finds that it does not work.
    FailsSelfTest,
    /// It runs, but never reaches the cloud.
    CannotConnect,
}

impl Behaviour {
    /// Whether it lives.
    pub fn is_healthy(&self) -> bool {
        *self == Behaviour::Healthy
    }
}

/// How to make an image.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The model of device that the image is for; every model if absent.
    pub model: Option<String>,
    /// The version.
    pub version: String,
    /// How many bytes the image has in all; at least as many as the header needs.
    pub size: usize,
    /// Decides the filling; the same seed gives the same bytes.
    pub seed: u64,
    /// See [`Header::sequence`].
    pub sequence: Option<u64>,
    /// See [`Header::expires`].
    pub expires: Option<u64>,
    /// See [`Header::base`].
    pub base: Option<Sha256Digest>,
    /// What happens when it runs.
    pub behaviour: Behaviour,
}

impl Recipe {
    /// A healthy image of `size` bytes for every model.
    pub fn new(version: impl Into<String>, size: usize) -> Self {
        Recipe {
            model: None,
            version: version.into(),
            size,
            seed: 0,
            sequence: None,
            expires: None,
            base: None,
            behaviour: Behaviour::Healthy,
        }
    }

    /// The image: the same recipe gives the same bytes.
    pub fn make(&self) -> Result<Bytes> {
        let mut header = Header {
            model: self.model.clone(),
            version: self.version.clone(),
            length: 0,
            sequence: self.sequence,
            expires: self.expires,
            base: self.base,
            behaviour: self.behaviour,
        };
        // The length is written with a fixed number of digits' worth of room, because
        // the header's own size depends on it.
        let room = MAGIC.len() + 4 + encode(&header)?.len() + 20;
        header.length = self.size.saturating_sub(room) as u64;
        let text = encode(&header)?;
        let mut image = Vec::with_capacity(self.size.max(room));
        image.extend_from_slice(MAGIC);
        image.extend_from_slice(&(text.len() as u32).to_le_bytes());
        image.extend_from_slice(&text);
        fill(&mut image, header.length as usize, self.seed);
        Ok(image.into())
    }
}

/// The header of `image` and its length, magic included; `None` for an opaque image.
///
/// Fails for an image that begins like one of the simulator's and is not.
pub fn read(image: &[u8]) -> Result<Option<(Header, usize)>> {
    let Some(rest) = image.strip_prefix(MAGIC) else { return Ok(None) };
    let broken = |reason: String| Error::Invalid { what: "header of the image", reason };
    let Some((length, rest)) = rest.split_first_chunk::<4>() else {
        return Err(broken("it ends within its length".to_owned()));
    };
    let length = u32::from_le_bytes(*length) as usize;
    if length > HEADER_LIMIT {
        return Err(broken(format!("it has {length} bytes: expected at most {HEADER_LIMIT}")));
    }
    let text = rest
        .get(..length)
        .ok_or_else(|| broken(format!("it ends before its {length} bytes do")))?;
    let header = serde_json::from_slice(text).map_err(|error| broken(error.to_string()))?;
    Ok(Some((header, MAGIC.len() + 4 + length)))
}

/// The SHA-256 of some bytes.
pub fn digest(bytes: &[u8]) -> Sha256Digest {
    Sha256Digest(Sha256::digest(bytes).into())
}

fn encode(header: &Header) -> Result<Vec<u8>> {
    let text =
        serde_json::to_vec(header).map_err(|error| Error::invalid("header of the image", error))?;
    match text.len() {
        0..=HEADER_LIMIT => Ok(text),
        size => Err(Error::Invalid {
            what: "header of the image",
            reason: format!("it has {size} bytes: expected at most {HEADER_LIMIT}"),
        }),
    }
}

fn fill(image: &mut Vec<u8>, length: usize, seed: u64) {
    let dice = Dice::new(seed).on("image");
    let end = image.len() + length;
    for block in 0.. {
        if image.len() >= end {
            break;
        }
        let word = dice.of(block).below(u64::MAX).to_le_bytes();
        let room = (end - image.len()).min(word.len());
        image.extend_from_slice(&word[..room]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_says_what_its_recipe_said() {
        let recipe = Recipe {
            model: Some("lamp".to_owned()),
            sequence: Some(7),
            behaviour: Behaviour::Crashes,
            ..Recipe::new("1.1.0", 4096)
        };
        let image = recipe.make().unwrap();
        let (header, start) = read(&image).unwrap().unwrap();
        assert_eq!((header.version.as_str(), header.model.as_deref()), ("1.1.0", Some("lamp")));
        assert_eq!((header.sequence, header.behaviour), (Some(7), Behaviour::Crashes));
        assert_eq!(image.len() as u64, start as u64 + header.length);
        assert!(image.len() <= 4096 && image.len() > 4000, "{}", image.len());
        assert_eq!(image, recipe.make().unwrap());
        assert_ne!(image, Recipe { seed: 1, ..recipe }.make().unwrap());
    }

    #[test]
    fn other_bytes_are_an_opaque_image() {
        assert_eq!(read(b"#!/bin/sh").unwrap(), None);
        assert_eq!(read(b"").unwrap(), None);
    }

    #[test]
    fn refuses_a_header_that_is_none() {
        let image = Recipe::new("1", 300).make().unwrap();
        for cut in [8, 11, 12, 30] {
            assert!(read(&image[..cut]).is_err(), "{cut}");
        }
        let mut huge = MAGIC.to_vec();
        huge.extend_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(
            read(&huge).unwrap_err().to_string(),
            "header of the image is not valid: it has 4294967295 bytes: expected at most 4096"
        );
    }

    #[test]
    fn a_recipe_that_is_too_small_gives_the_header_alone() {
        let image = Recipe::new("1", 0).make().unwrap();
        let (header, start) = read(&image).unwrap().unwrap();
        assert_eq!((header.length, start), (0, image.len()));
    }
}
