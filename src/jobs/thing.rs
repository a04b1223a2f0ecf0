//! The things that jobs are about, by number.
//!
//! A million executions must not hold a million names, so each name is kept once,
//! in one long text, and everything else speaks of a [`ThingIndex`]. The index of
//! names is a plain open-addressing table without an order of its own: it is only
//! ever asked about one name, so nothing that anybody sees depends on it.
//!
//! Whether a thing exists is the registry's business. A name stays known for the
//! life of the engine once a job has targeted it.

use crate::slab::NONE;

/// A thing, as the engine counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThingIndex(pub(crate) u32);

/// The executions of one thing: ends of intrusive lists.
#[derive(Debug, Clone)]
pub(crate) struct ThingRecord {
    name_end: u32,
    /// First and last queued execution.
    pub queued: (u32, u32),
    /// First execution in progress.
    pub started: u32,
    /// The newest execution, ended ones included.
    pub newest: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Things {
    names: String,
    records: Vec<ThingRecord>,
    /// Half of the hash and the index plus one, 0 for a free place; its length is a
    /// power of two. The half hash spares nearly every look at a wrong name.
    table: Vec<u64>,
}

impl Things {
    /// The thing of that name, if a job has ever targeted it.
    pub(crate) fn find(&self, name: &str) -> Option<ThingIndex> {
        if self.table.is_empty() {
            return None;
        }
        let hash = hash(name);
        let mask = self.table.len() - 1;
        let mut place = hash as usize & mask;
        loop {
            let taken = self.table[place];
            if taken == 0 {
                return None;
            }
            let thing = ThingIndex(taken as u32 - 1);
            if taken >> 32 == hash >> 32 && self.name(thing) == name {
                return Some(thing);
            }
            place = (place + 1) & mask;
        }
    }

    /// The thing of that name, counted from now on.
    pub(crate) fn intern(&mut self, name: &str) -> ThingIndex {
        if let Some(found) = self.find(name) {
            return found;
        }
        if (self.records.len() + 1) * 4 > self.table.len() * 3 {
            self.grow();
        }
        let index = ThingIndex(self.records.len() as u32);
        self.names.push_str(name);
        self.records.push(ThingRecord {
            name_end: self.names.len() as u32,
            queued: (NONE, NONE),
            started: NONE,
            newest: NONE,
        });
        self.place(index);
        index
    }

    pub(crate) fn name(&self, thing: ThingIndex) -> &str {
        let index = thing.0 as usize;
        let start = if index == 0 { 0 } else { self.records[index - 1].name_end };
        &self.names[start as usize..self.records[index].name_end as usize]
    }

    pub(crate) fn record(&self, thing: ThingIndex) -> &ThingRecord {
        &self.records[thing.0 as usize]
    }

    pub(crate) fn record_mut(&mut self, thing: ThingIndex) -> &mut ThingRecord {
        &mut self.records[thing.0 as usize]
    }

    fn place(&mut self, thing: ThingIndex) {
        let mask = self.table.len() - 1;
        let hash = hash(self.name(thing));
        let mut place = hash as usize & mask;
        while self.table[place] != 0 {
            place = (place + 1) & mask;
        }
        self.table[place] = hash >> 32 << 32 | u64::from(thing.0 + 1);
    }

    fn grow(&mut self) {
        let size = (self.table.len() * 2).max(64);
        self.table = vec![0; size];
        for index in 0..self.records.len() {
            self.place(ThingIndex(index as u32));
        }
    }
}

/// FNV-1a over eight bytes at a time, with a final mix.
fn hash(name: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut chunks = name.as_bytes().chunks_exact(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 32;
    }
    for byte in chunks.remainder() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ (hash >> 29)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_keeps_its_number() {
        let mut things = Things::default();
        let names: Vec<String> = (0..10_000).map(|n| format!("lamp-{n}")).collect();
        for (index, name) in names.iter().enumerate() {
            assert_eq!(things.find(name), None);
            assert_eq!(things.intern(name), ThingIndex(index as u32));
        }
        for (index, name) in names.iter().enumerate() {
            assert_eq!(things.intern(name), ThingIndex(index as u32));
            assert_eq!(things.name(ThingIndex(index as u32)), name);
        }
        assert_eq!(things.find("lamp-10000"), None);
    }
}
