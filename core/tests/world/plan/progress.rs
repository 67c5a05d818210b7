//! Where a child stands, by what it saw itself.

/// Where a child stands when it sees a command, by what it saw itself.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) message: u32,
    pub(crate) letter: u8,
    pub(crate) from: u32,
    pub(crate) until: u32,
}

/// Counts what a child sees, so that its script means the same whatever the timing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    message: u32,
    open: bool,
    /// By letter, from A.
    counts: [u32; 26],
}

impl Progress {
    pub(crate) fn see(&mut self, letter: u8, payload: usize) -> Place {
        match letter {
            b'A' | b'K' => self.open = false,
            b'M' | b'R' | b'T' | b'L' | b'N' | b'B' | b'E' if !self.open || letter == b'M' => {
                self.open = true;
                self.message += 1;
                for known in b"MRTLNBE" {
                    self.counts[usize::from(known - b'A')] = 0;
                }
            }
            _ => {}
        }
        if letter == b'E' {
            self.open = false;
        }
        let count = &mut self.counts[usize::from(letter - b'A')];
        let from = *count;
        *count += if letter == b'B' { payload as u32 } else { 1 };
        Place { message: self.message, letter, from, until: *count }
    }
}
