//! Ciphertexts: AES-256-GCM, with the key's id in front.
//!
//! Layout: one byte of version, 36 bytes of the key's id, 12 bytes of nonce, the
//! encrypted bytes with their tag. The encryption context is additional data, so
//! that a ciphertext opens only in the context in which it was made.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use iotstack_local_kernel::Fault;
use rand::Rng;

use super::Context;

/// Encrypts.
pub(super) fn seal(
    id: &str,
    material: &[u8],
    plain: &[u8],
    context: &Context,
) -> Result<Vec<u8>, Fault> {
    let nonce: [u8; NONCE] = rand::rng().random();
    let mut sealed = Vec::with_capacity(HEAD + plain.len() + 16);
    sealed.push(VERSION);
    sealed.extend_from_slice(id.as_bytes());
    sealed.extend_from_slice(&nonce);
    let payload = Payload { msg: plain, aad: &data(context) };
    let encrypted = cipher(material)?
        .encrypt(&Nonce::from(nonce), payload)
        .map_err(|_| Fault::new("KMSInternalException", 500, "encryption failed"))?;
    sealed.extend_from_slice(&encrypted);
    Ok(sealed)
}

/// Decrypts.
pub(super) fn open(material: &[u8], sealed: &[u8], context: &Context) -> Result<Vec<u8>, Fault> {
    let (head, encrypted) = sealed.split_at_checked(HEAD).ok_or_else(invalid)?;
    let nonce: [u8; NONCE] = head[HEAD - NONCE..].try_into().map_err(|_| invalid())?;
    let payload = Payload { msg: encrypted, aad: &data(context) };
    cipher(material)?.decrypt(&Nonce::from(nonce), payload).map_err(|_| invalid())
}

/// The id of the key that made a ciphertext.
pub(super) fn key_of(sealed: &[u8]) -> Result<&str, Fault> {
    let id = sealed.get(1..HEAD - NONCE).filter(|_| sealed[0] == VERSION);
    id.and_then(|id| std::str::from_utf8(id).ok()).ok_or_else(invalid)
}

/// What KMS says about everything that it cannot decrypt; it does not tell why.
pub(super) fn invalid() -> Fault {
    let reason = "the ciphertext cannot be decrypted with this key and context";
    Fault::new("InvalidCiphertextException", 400, reason)
}

fn cipher(material: &[u8]) -> Result<Aes256Gcm, Fault> {
    Aes256Gcm::new_from_slice(material)
        .map_err(|_| Fault::new("KMSInternalException", 500, "the key has no usable material"))
}

/// The context as bytes, in the order of its keys and unambiguous.
fn data(context: &Context) -> Vec<u8> {
    let mut data = Vec::new();
    for text in context.iter().flat_map(|(key, value)| [key, value]) {
        data.extend_from_slice(&(text.len() as u64).to_be_bytes());
        data.extend_from_slice(text.as_bytes());
    }
    data
}

const VERSION: u8 = 1;
const NONCE: usize = 12;
const HEAD: usize = 1 + 36 + NONCE;
