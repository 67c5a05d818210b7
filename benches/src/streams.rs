//! The dispatch path by itself: a steady stream of frames of one kind, from the MTA through a session to its children.

use bytes::{Bytes, BytesMut};
use millstream_core::wire::Command;

use crate::child::Wishes;
use crate::session::{Bench, encode, envelope, macros, opening};

/// What the stream consists of.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Headers of the usual size.
    Headers,
    /// The same, each behind the macros that Postfix sends with it.
    HeadersWithMacros,
    /// Body chunks of so many bytes.
    Body(usize),
}

/// A stream, how it is read, and who is shown it.
#[derive(Debug, Clone, Copy)]
pub struct Stream {
    /// For people.
    pub name: &'static str,
    /// What comes.
    pub kind: Kind,
    /// How many frames one read brings.
    pub per_read: usize,
    /// How many children there are.
    pub children: usize,
    /// What each of them wants.
    pub wishes: Wishes,
}

const fn stream(name: &'static str, kind: Kind, per_read: usize, children: usize, wishes: Wishes) -> Stream {
    Stream { name, kind, per_read, children, wishes }
}

/// Frames in a read that is full: 64 KiB of usual headers.
const FULL: usize = 600;

/// Every stream that is measured.
#[rustfmt::skip] // A table.
pub const STREAMS: [Stream; 16] = [
    stream("headers, full reads", Kind::Headers, FULL, 1, Wishes::SILENT),
    stream("headers with macros, full reads", Kind::HeadersWithMacros, FULL, 1, Wishes::SILENT),
    stream("body of 100 bytes, full reads", Kind::Body(100), FULL, 1, Wishes::SILENT),
    stream("body of 1 KiB, full reads", Kind::Body(1024), 64, 1, Wishes::SILENT),
    stream("headers, full reads", Kind::Headers, FULL, 3, Wishes::SILENT),
    stream("headers, full reads", Kind::Headers, FULL, 10, Wishes::SILENT),
    stream("headers, one a read", Kind::Headers, 1, 1, Wishes::SILENT),
    stream("headers with macros, one a read", Kind::HeadersWithMacros, 1, 1, Wishes::SILENT),
    stream("body of 1 byte, one a read", Kind::Body(1), 1, 1, Wishes::SILENT),
    stream("body of 1 KiB, one a read", Kind::Body(1024), 1, 1, Wishes::SILENT),
    stream("body of 16 KiB, one a read", Kind::Body(16 << 10), 1, 1, Wishes::SILENT),
    stream("body of 65,535 bytes, one a read", Kind::Body(65_535), 1, 1, Wishes::SILENT),
    stream("headers, lock step", Kind::Headers, 1, 1, Wishes::ANSWERS),
    stream("headers, lock step", Kind::Headers, 1, 3, Wishes::ANSWERS),
    stream("headers, lock step", Kind::Headers, 1, 10, Wishes::ANSWERS),
    stream("body of 65,535 bytes, lock step", Kind::Body(65_535), 1, 1, Wishes::ANSWERS),
];

impl Stream {
    /// Opens a session with a message and passes `frames` frames of it, less what does not fill a read.
    #[must_use]
    pub fn run(&self, frames: usize) -> Bench {
        let mut bench = Bench::new(&vec![self.wishes; self.children]);
        bench.feed(&opening());
        for command in envelope() {
            bench.feed(&command);
        }
        let read = self.read();
        for _ in 0..frames / self.per_read {
            bench.feed(&read);
            bench.forget_reads();
        }
        bench
    }

    /// Frames that a run with `frames` really passes.
    #[must_use]
    pub const fn passed(&self, frames: usize) -> usize {
        frames / self.per_read * self.per_read
    }

    /// The bytes of one read.
    fn read(&self) -> BytesMut {
        let text = &b"from mail.example (mail.example [192.0.2.1])\n\tby mx.test; Fri, 20 Nov 2026"[..];
        let header =
            Command::Header { name: Bytes::from_static(b"Received"), value: Bytes::from_static(text) };
        let frame = match self.kind {
            Kind::Headers => encode(&[header]),
            Kind::HeadersWithMacros => encode(&[macros(b'L'), header]),
            Kind::Body(size) => encode(&[Command::Body(vec![b'x'; size].into())]),
        };
        BytesMut::from(&frame.repeat(self.per_read)[..])
    }
}
