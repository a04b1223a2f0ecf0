//! Fetching an image over MQTT, from a stream: blocks asked for by number.
//!
//! A few blocks are asked for at a time. They may come in any order, twice or not at
//! all; they are handed on in order, and what is missing when the time is up is asked
//! for again. Only JSON is spoken, so a block is smaller than MQTT would allow.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use iotstack_protocol::ThingName;
use serde::Deserialize;
use serde_json::json;

/// What a message about a stream means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// Bytes that continue what is there; perhaps of several blocks.
    Bytes(Bytes),
    /// Nothing that is needed now.
    Nothing,
    /// The service refuses, for ever.
    Refused(String),
}

/// The fetch of one file of one stream.
#[derive(Debug)]
pub(crate) struct StreamFetch {
    prefix: String,
    file: u8,
    size: u64,
    /// The first block that is not there.
    next: u64,
    /// The first block that has not been asked for.
    asked: u64,
    early: BTreeMap<u64, Bytes>,
}

#[derive(Deserialize)]
struct Data {
    f: u64,
    i: u64,
    p: String,
}

#[derive(Deserialize)]
struct Rejection {
    o: String,
    #[serde(default)]
    m: String,
}

impl StreamFetch {
    /// Fetches from `at` on, which is at the beginning of a block.
    pub(crate) fn new(thing: &ThingName, stream: &str, file: u8, size: u64, at: u64) -> Self {
        let next = at / BLOCK;
        let prefix = format!("$aws/things/{thing}/streams/{stream}");
        StreamFetch { prefix, file, size, next, asked: next, early: BTreeMap::new() }
    }

    /// The filters to subscribe to.
    pub(crate) fn filters(&self) -> [String; 2] {
        [format!("{}/data/json", self.prefix), format!("{}/rejected/json", self.prefix)]
    }

    /// Where the fetch really begins: at the beginning of a block.
    pub(crate) fn position(&self) -> u64 {
        self.next * BLOCK
    }

    /// Whether everything is there.
    pub(crate) fn is_done(&self) -> bool {
        self.next * BLOCK >= self.size
    }

    /// Whether nothing that was asked for is still to come.
    pub(crate) fn is_waiting(&self) -> bool {
        self.asked > self.next
    }

    /// The next request: topic and payload. Asks again for what is missing.
    pub(crate) fn ask(&mut self) -> (String, Vec<u8>) {
        let blocks = self.size.div_ceil(BLOCK) - self.next;
        let count = blocks.min(WINDOW);
        self.asked = self.next + count;
        let body = json!({"f": self.file, "l": BLOCK, "o": self.next, "n": count});
        (format!("{}/get/json", self.prefix), body.to_string().into_bytes())
    }

    /// Takes a message; `None` if it is not about this stream.
    pub(crate) fn hear(&mut self, topic: &str, payload: &[u8]) -> Option<Block> {
        match topic.strip_prefix(self.prefix.as_str())? {
            "/data/json" => {
                let Ok(data) = serde_json::from_slice::<Data>(payload) else {
                    return Some(Block::Nothing);
                };
                Some(self.take(data))
            }
            "/rejected/json" => {
                let refused: Option<Rejection> = serde_json::from_slice(payload).ok();
                let words = refused.map_or_else(
                    || "no reason given".to_owned(),
                    |refused| format!("{}: {}", refused.o, refused.m),
                );
                Some(Block::Refused(words))
            }
            _ => None,
        }
    }

    fn take(&mut self, data: Data) -> Block {
        let expected = (self.size - (data.i.saturating_mul(BLOCK)).min(self.size)).min(BLOCK);
        let is_wanted = data.f == u64::from(self.file) && (self.next..self.asked).contains(&data.i);
        let Ok(bytes) = STANDARD.decode(&data.p) else { return Block::Nothing };
        if !is_wanted || bytes.len() as u64 != expected {
            return Block::Nothing;
        }
        // The window bounds how much can be early.
        self.early.insert(data.i, bytes.into());
        let mut ready = Vec::new();
        while let Some(bytes) = self.early.remove(&self.next) {
            ready.extend_from_slice(&bytes);
            self.next += 1;
        }
        if ready.is_empty() { Block::Nothing } else { Block::Bytes(ready.into()) }
    }
}

/// The size of a block: a page of flash, so that a resumed download begins with one.
const BLOCK: u64 = crate::flash::PAGE as u64;

/// How many blocks are asked for at a time: within the 128 KB that one request yields.
const WINDOW: u64 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn data(block: u64, bytes: &[u8]) -> Vec<u8> {
        let l = bytes.len();
        json!({"f": 3, "i": block, "l": l, "p": STANDARD.encode(bytes)}).to_string().into_bytes()
    }

    fn fetch(size: u64, at: u64) -> StreamFetch {
        StreamFetch::new(&"lamp".parse().unwrap(), "S", 3, size, at)
    }

    const DATA: &str = "$aws/things/lamp/streams/S/data/json";

    #[test]
    fn puts_blocks_in_order_and_ignores_what_is_not_wanted() {
        let mut fetch = fetch(4096 * 2 + 10, 0);
        let (topic, body) = fetch.ask();
        assert_eq!(topic, "$aws/things/lamp/streams/S/get/json");
        assert_eq!(body, br#"{"f":3,"l":4096,"o":0,"n":3}"#);
        assert_eq!(fetch.hear(DATA, &data(1, &[1; 4096])), Some(Block::Nothing));
        assert_eq!(fetch.hear(DATA, &data(7, &[1; 4096])), Some(Block::Nothing));
        assert_eq!(fetch.hear(DATA, &data(0, &[1; 99])), Some(Block::Nothing), "wrong size");
        assert_eq!(fetch.hear(DATA, b"no json"), Some(Block::Nothing));
        let both = fetch.hear(DATA, &data(0, &[0; 4096]));
        assert_eq!(both, Some(Block::Bytes([[0; 4096], [1; 4096]].concat().into())));
        assert_eq!(fetch.hear(DATA, &data(0, &[0; 4096])), Some(Block::Nothing), "twice");
        assert!(fetch.is_waiting() && !fetch.is_done());
        let last = fetch.hear(DATA, &data(2, &[2; 10]));
        assert_eq!(last, Some(Block::Bytes(vec![2; 10].into())));
        assert!(fetch.is_done() && !fetch.is_waiting());
    }

    #[test]
    fn resumes_at_a_block_and_asks_again_for_what_is_missing() {
        let mut fetch = fetch(4096 * 40, 4096 * 5);
        assert_eq!(fetch.ask().1, br#"{"f":3,"l":4096,"o":5,"n":16}"#);
        fetch.hear(DATA, &data(5, &[0; 4096]));
        assert_eq!(fetch.ask().1, br#"{"f":3,"l":4096,"o":6,"n":16}"#);
        assert_eq!(fetch.position(), 4096 * 6);
    }

    #[test]
    fn hears_a_refusal_and_nothing_of_other_streams() {
        let mut fetch = fetch(10, 0);
        let topic = "$aws/things/lamp/streams/S/rejected/json";
        assert_eq!(
            fetch.hear(topic, br#"{"o":"ResourceNotFound","m":"no stream"}"#),
            Some(Block::Refused("ResourceNotFound: no stream".to_owned()))
        );
        assert_eq!(fetch.hear("$aws/things/lamp/streams/T/data/json", b"{}"), None);
    }
}
