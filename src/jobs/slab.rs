//! Where executions live: in blocks, by number.
//!
//! A growing vector would own up to twice the memory that it uses and move a
//! million records while it grows, so records stand in blocks that never move.
//! Numbers of removed records are used again, the last one first.

use std::ops::{Index, IndexMut};

use crate::execution::Execution;

/// The number that stands for no record.
pub(crate) const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(crate) struct Slab {
    blocks: Vec<Vec<Execution>>,
    free: u32,
    len: usize,
}

impl Default for Slab {
    fn default() -> Self {
        Slab { blocks: Vec::new(), free: NONE, len: 0 }
    }
}

impl Slab {
    pub(crate) fn insert(&mut self, execution: Execution) -> u32 {
        self.len += 1;
        if self.free != NONE {
            let index = self.free;
            self.free = self[index].next;
            self[index] = execution;
            return index;
        }
        if self.blocks.last().is_none_or(|block| block.len() == BLOCK) {
            self.blocks.push(Vec::with_capacity(BLOCK));
        }
        let block = self.blocks.len() - 1;
        self.blocks[block].push(execution);
        (block * BLOCK + self.blocks[block].len() - 1) as u32
    }

    pub(crate) fn remove(&mut self, index: u32) -> Execution {
        self.len -= 1;
        let vacant = Execution { next: self.free, ..Execution::vacant() };
        self.free = index;
        std::mem::replace(&mut self[index], vacant)
    }

    /// How many records there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl Index<u32> for Slab {
    type Output = Execution;

    fn index(&self, index: u32) -> &Execution {
        &self.blocks[index as usize / BLOCK][index as usize % BLOCK]
    }
}

impl IndexMut<u32> for Slab {
    fn index_mut(&mut self, index: u32) -> &mut Execution {
        &mut self.blocks[index as usize / BLOCK][index as usize % BLOCK]
    }
}

const BLOCK: usize = 4096;
