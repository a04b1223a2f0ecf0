//! Filters to find by the topic of a message.
//!
//! Most filters of a fleet name one topic exactly, so these stand in a hash table
//! and cost one look-up per message, however many clients there are. Filters with
//! wildcards stand in a tree of levels, of which a message walks only the branches
//! that it can match.
//!
//! An entry is a key, such as a client, with a value, such as its QoS. The index
//! knows nothing of shared subscriptions: their proper filter goes in.

use std::collections::{BTreeMap, HashMap};

use super::{Matching, first_level, has_wildcard};

/// Entries under topic filters, found by topic.
#[derive(Debug, Clone)]
pub struct Index<K, V> {
    exact: HashMap<Box<str>, Entries<K, V>>,
    wildcards: Level<K, V>,
    wildcard_filters: usize,
}

impl<K: Ord, V> Index<K, V> {
    /// An empty index.
    pub fn new() -> Self {
        Index { exact: HashMap::new(), wildcards: Level::default(), wildcard_filters: 0 }
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.wildcard_filters == 0
    }

    /// Puts an entry under `filter` and gives back the value that the key had there.
    pub fn insert(&mut self, filter: &str, key: K, value: V) -> Option<V> {
        if !has_wildcard(filter) {
            if let Some(entries) = self.exact.get_mut(filter) {
                return entries.insert(key, value);
            }
            self.exact.entry(filter.into()).or_default().insert(key, value);
            return None;
        }
        let mut level = &mut self.wildcards;
        let mut rest = Some(filter);
        while let Some((name, behind)) = rest.map(first_level) {
            level = match name {
                "#" => level.hash.get_or_insert_default(),
                "+" => level.plus.get_or_insert_default(),
                name => level.names.entry(name.into()).or_default(),
            };
            rest = behind;
        }
        let replaced = level.here.insert(key, value);
        self.wildcard_filters += usize::from(replaced.is_none());
        replaced
    }

    /// Takes the entry of `key` away from `filter`.
    pub fn remove(&mut self, filter: &str, key: &K) -> Option<V> {
        if !has_wildcard(filter) {
            let entries = self.exact.get_mut(filter)?;
            let removed = entries.remove(key);
            if entries.is_empty() {
                self.exact.remove(filter);
                give_back(&mut self.exact);
            }
            return removed;
        }
        let removed = self.wildcards.remove(Some(filter), key)?;
        self.wildcard_filters -= 1;
        Some(removed)
    }

    /// The value of `key` under exactly this filter.
    pub fn get(&self, filter: &str, key: &K) -> Option<&V> {
        if !has_wildcard(filter) {
            return self.exact.get(filter)?.get(key);
        }
        let mut level = &self.wildcards;
        let mut rest = Some(filter);
        while let Some((name, behind)) = rest.map(first_level) {
            level = match name {
                "#" => level.hash.as_deref()?,
                "+" => level.plus.as_deref()?,
                name => level.names.get(name)?,
            };
            rest = behind;
        }
        level.here.get(key)
    }

    /// Shows every entry whose filter matches `topic` to `visit`. A key that stands
    /// under several filters is shown several times.
    pub fn visit<'a>(
        &'a self,
        topic: &str,
        matching: Matching,
        visit: &mut impl FnMut(&'a K, &'a V),
    ) {
        if let Some(entries) = self.exact.get(topic) {
            entries.visit(visit);
        }
        if self.wildcard_filters > 0 {
            self.wildcards.visit(Some(topic), topic.starts_with('$'), matching, visit);
        }
    }

    /// Whether any filter matches `topic`.
    pub fn matches_any(&self, topic: &str, matching: Matching) -> bool {
        let mut found = false;
        self.visit(topic, matching, &mut |_, _| found = true);
        found
    }
}

impl<K: Ord, V> Default for Index<K, V> {
    fn default() -> Self {
        Index::new()
    }
}

/// One level of the filters with wildcards.
#[derive(Debug, Clone)]
struct Level<K, V> {
    names: HashMap<Box<str>, Box<Level<K, V>>>,
    plus: Option<Box<Level<K, V>>>,
    hash: Option<Box<Level<K, V>>>,
    here: Entries<K, V>,
}

impl<K, V> Default for Level<K, V> {
    fn default() -> Self {
        Level { names: HashMap::new(), plus: None, hash: None, here: Entries::default() }
    }
}

impl<K: Ord, V> Level<K, V> {
    fn is_empty(&self) -> bool {
        self.names.is_empty() && self.plus.is_none() && self.hash.is_none() && self.here.is_empty()
    }

    /// Filters are at most as deep as their text is long; AWS's limit and that of
    /// the wire keep this recursion short.
    fn visit<'a>(
        &'a self,
        topic: Option<&str>,
        reserved: bool,
        matching: Matching,
        visit: &mut impl FnMut(&'a K, &'a V),
    ) {
        let rest_matches = topic.is_some() || matching == Matching::Standard;
        if let Some(hash) = &self.hash
            && rest_matches
            && !reserved
        {
            hash.here.visit(visit);
        }
        let Some((name, behind)) = topic.map(first_level) else {
            return self.here.visit(visit);
        };
        if let Some(plus) = &self.plus
            && !reserved
        {
            plus.visit(behind, false, matching, visit);
        }
        if let Some(next) = self.names.get(name) {
            next.visit(behind, false, matching, visit);
        }
    }

    fn remove(&mut self, filter: Option<&str>, key: &K) -> Option<V> {
        let Some((name, behind)) = filter.map(first_level) else {
            return self.here.remove(key);
        };
        match name {
            "#" | "+" => {
                let place = if name == "#" { &mut self.hash } else { &mut self.plus };
                let removed = place.as_mut()?.remove(behind, key);
                if place.as_ref().is_some_and(|level| level.is_empty()) {
                    *place = None;
                }
                removed
            }
            name => {
                let next = self.names.get_mut(name)?;
                let removed = next.remove(behind, key);
                if next.is_empty() {
                    self.names.remove(name);
                    give_back(&mut self.names);
                }
                removed
            }
        }
    }
}

/// The entries under one filter: a few in most cases, many under a few filters.
#[derive(Debug, Clone)]
enum Entries<K, V> {
    Few(Vec<(K, V)>),
    Many(BTreeMap<K, V>),
}

impl<K, V> Default for Entries<K, V> {
    fn default() -> Self {
        Entries::Few(Vec::new())
    }
}

impl<K: Ord, V> Entries<K, V> {
    fn is_empty(&self) -> bool {
        match self {
            Entries::Few(few) => few.is_empty(),
            Entries::Many(many) => many.is_empty(),
        }
    }

    fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self {
            Entries::Many(many) => many.insert(key, value),
            Entries::Few(few) => {
                if let Some((_, old)) = few.iter_mut().find(|(known, _)| *known == key) {
                    return Some(std::mem::replace(old, value));
                }
                if few.len() < FEW {
                    few.reserve_exact(1);
                    few.push((key, value));
                } else {
                    let mut many: BTreeMap<K, V> = few.drain(..).collect();
                    many.insert(key, value);
                    *self = Entries::Many(many);
                }
                None
            }
        }
    }

    fn remove(&mut self, key: &K) -> Option<V> {
        match self {
            Entries::Many(many) => many.remove(key),
            Entries::Few(few) => {
                let place = few.iter().position(|(known, _)| known == key)?;
                Some(few.remove(place).1)
            }
        }
    }

    fn get(&self, key: &K) -> Option<&V> {
        match self {
            Entries::Many(many) => many.get(key),
            Entries::Few(few) => few.iter().find(|(known, _)| known == key).map(|(_, value)| value),
        }
    }

    fn visit<'a>(&'a self, visit: &mut impl FnMut(&'a K, &'a V)) {
        match self {
            Entries::Few(few) => few.iter().for_each(|(key, value)| visit(key, value)),
            Entries::Many(many) => many.iter().for_each(|(key, value)| visit(key, value)),
        }
    }
}

/// Gives memory back after a crowd has gone.
fn give_back<V>(map: &mut HashMap<Box<str>, V>) {
    if map.capacity() > 1024 && map.len() * 8 < map.capacity() {
        map.shrink_to(map.len() * 2);
    }
}

const FEW: usize = 16;
