//! Reading numbers and words out of a block.
//!
//! Every read returns `None` at the end of the bytes, so damaged data ends in a
//! missing type and never in a panic.

/// A place in a block, and the words that its numbers point at.
pub(super) struct Reader<'a, 'w> {
    bytes: &'a [u8],
    words: &'w [&'static str],
    /// The first word that was not read yet.
    next: usize,
}

impl<'a, 'w> Reader<'a, 'w> {
    pub(super) fn new(bytes: &'a [u8], words: &'w [&'static str]) -> Self {
        Self { bytes, words, next: 0 }
    }

    /// A number in groups of seven bits, the lowest first.
    pub(super) fn number(&mut self) -> Option<usize> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return usize::try_from(value).ok();
            }
        }
        None
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    pub(super) fn float(&mut self) -> Option<f64> {
        match self.number()? {
            0 => Some(f64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            more => Some((more - 1) as f64),
        }
    }

    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.bytes
    }

    /// One of the words: zero is the next new one, others count back from there.
    pub(super) fn word(&mut self) -> Option<&'static str> {
        let place = match self.number()? {
            0 => {
                self.next += 1;
                self.next - 1
            }
            back => self.next.checked_sub(back)?,
        };
        self.words.get(place).copied()
    }

    pub(super) fn words(&mut self) -> Option<Vec<&'static str>> {
        self.list(Self::word)
    }

    pub(super) fn list<T>(
        &mut self,
        mut one: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let count = self.number()?;
        let mut list = Vec::with_capacity(count.min(self.bytes.len()));
        for _ in 0..count {
            list.push(one(self)?);
        }
        Some(list)
    }
}

impl Reader<'static, '_> {
    /// Text that lies here, with its length before it.
    pub(super) fn text(&mut self) -> Option<&'static str> {
        let length = self.number()?;
        std::str::from_utf8(self.take(length)?).ok()
    }
}
