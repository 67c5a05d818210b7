//! Bytes that are read as a script.

/// The longest script that is looked at: longer ones only repeat themselves.
pub(crate) const LONGEST: usize = 4096;

/// Reads a script; zeros behind its end.
pub(crate) struct Script<'a>(pub(crate) &'a [u8]);

impl<'a> Script<'a> {
    /// Of these bytes, as many as are looked at.
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self(&data[..data.len().min(LONGEST)])
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().map_or((0, &[][..]), |(first, rest)| (*first, rest));
        self.0 = rest;
        first
    }

    /// One of `n` choices; the first where there is none.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n.max(1)
    }

    /// As many bytes as there are, `n` at most.
    pub(crate) fn take(&mut self, n: usize) -> Vec<u8> {
        let (taken, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        taken.to_vec()
    }
}
