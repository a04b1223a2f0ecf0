//! Ids as AWS makes them: random, and never reused.
//!
//! Ids of jobs and things that tests compare are given by the tests, so there is
//! no seed here.

use rand::Rng;

/// A random UUID (version 4).
pub fn uuid() -> String {
    let mut bytes: [u8; 16] = rand::rng().random();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = hex(&bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// `length` random hexadecimal digits.
pub fn hex_digits(length: usize) -> String {
    let mut rng = rand::rng();
    (0..length).map(|_| char::from(HEX[rng.random_range(0..16)])).collect()
}

/// `length` random capital letters and digits.
pub fn capitals(length: usize) -> String {
    let mut rng = rand::rng();
    (0..length).map(|_| char::from(CAPITALS[rng.random_range(0..CAPITALS.len())])).collect()
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(HEX[usize::from(byte >> 4)]));
        text.push(char::from(HEX[usize::from(byte & 15)]));
    }
    text
}

const HEX: &[u8; 16] = b"0123456789abcdef";
const CAPITALS: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
