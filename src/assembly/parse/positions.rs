//! Where the parts of a text are: lines and columns by the keys that lead there.
//!
//! The list of places is made when the first place is asked for. A place that the
//! text does not have (a property that is missing, say) is answered with the nearest
//! one around it.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::{json, yaml};

/// Lines and columns of a template's parts, both counted from 1, columns in
/// characters.
#[derive(Debug, Default)]
pub struct Positions {
    text: String,
    is_json: bool,
    places: OnceLock<HashMap<String, (usize, usize)>>,
}

impl Positions {
    pub(super) fn json(text: &str) -> Self {
        Positions { text: text.to_owned(), is_json: true, places: OnceLock::new() }
    }

    pub(super) fn yaml(text: &str) -> Self {
        Positions { text: text.to_owned(), is_json: false, places: OnceLock::new() }
    }

    /// The line and column of the key or list item at `path`, or of the nearest place
    /// around it; `None` only for an empty text.
    pub fn of<S: AsRef<str>>(&self, path: &[S]) -> Option<(usize, usize)> {
        let places = self.places.get_or_init(|| self.read());
        (0..=path.len()).rev().find_map(|length| {
            let mut joined = String::new();
            for key in &path[..length] {
                push_key(&mut joined, key.as_ref());
            }
            places.get(&joined).copied()
        })
    }

    /// The text that the places are in.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn read(&self) -> HashMap<String, (usize, usize)> {
        let mut recorder = Recorder::default();
        if self.is_json {
            json::record(&self.text, &mut recorder);
        } else {
            // The text was read before, so this cannot fail; if it did, the places
            // found so far would still be right.
            let _ = yaml::value(&self.text, Some(&mut recorder));
        }
        recorder.places
    }
}

impl Clone for Positions {
    fn clone(&self) -> Self {
        Positions { text: self.text.clone(), is_json: self.is_json, places: OnceLock::new() }
    }
}

/// Collects places while a text is read.
#[derive(Default)]
pub(super) struct Recorder {
    path: String,
    lengths: Vec<usize>,
    places: HashMap<String, (usize, usize)>,
}

impl Recorder {
    /// Steps into a key or item.
    pub(super) fn enter(&mut self, key: impl AsRef<str>) {
        self.lengths.push(self.path.len());
        push_key(&mut self.path, key.as_ref());
    }

    /// Steps out again.
    pub(super) fn leave(&mut self) {
        self.path.truncate(self.lengths.pop().unwrap_or(0));
    }

    /// Notes a position for the current place, unless it has one.
    pub(super) fn here(&mut self, position: (usize, usize)) {
        if !self.places.contains_key(&self.path) {
            self.places.insert(self.path.clone(), position);
        }
    }
}

/// Keys are ended by a character that no template has in a key.
fn push_key(path: &mut String, key: &str) {
    path.push_str(key);
    path.push('\u{0}');
}
