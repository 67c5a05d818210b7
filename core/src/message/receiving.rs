//! Headers on their way from a read into a message: those that lie one behind the other are copied at once.

use super::headers::Headers;
use super::{Content, HeaderFrame};

/// Takes headers out of what came in, in order. They are in the message once this is dropped.
#[derive(Debug)]
pub struct Receiving<'a> {
    headers: &'a mut Headers,
    came: &'a [u8],
    /// Where their text begins.
    start: usize,
    /// Up to where what came is in the message, or passed over.
    done: usize,
    /// Up to where it was looked at.
    seen: usize,
}

impl Content {
    /// Receives headers that stand in `came`, from its beginning on.
    pub fn receive_headers<'a>(&'a mut self, came: &'a [u8]) -> Receiving<'a> {
        let start = self.headers.text_len();
        Receiving { headers: &mut self.headers, came, start, done: 0, seen: 0 }
    }
}

impl Receiving<'_> {
    /// Takes the header that comes next.
    pub fn header(&mut self, header: &HeaderFrame<'_>) {
        self.headers.receive_ahead(self.seen - self.done, header);
        self.seen += header.frame.len();
    }

    /// Passes over the bytes that come next.
    pub fn pass(&mut self, bytes: usize) {
        self.copy();
        self.seen += bytes;
        self.done = self.seen;
    }

    /// How many headers the MTA has sent so far.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.headers.received()
    }

    /// Bytes of these.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.headers.received_bytes()
    }

    /// Bytes of what came that were taken or passed over.
    #[must_use]
    pub const fn seen(&self) -> usize {
        self.seen
    }

    fn copy(&mut self) {
        if self.done < self.seen {
            self.headers.append(&self.came[self.done..self.seen]);
            self.done = self.seen;
        }
    }
}

impl Drop for Receiving<'_> {
    fn drop(&mut self) {
        self.copy();
        self.headers.end_of_text(self.start);
    }
}
