//! Streams of frames as an MTA sends them.

use bytes::{Bytes, BytesMut};
use millstream_core::wire::{CHUNK_SIZE, Command};

/// A stream with a name.
pub struct Traffic {
    /// What it is.
    pub name: &'static str,
    /// The wire bytes.
    pub wire: Vec<u8>,
    /// The number of frames in it.
    pub frames: usize,
}

fn traffic(name: &'static str, commands: &[Command]) -> Traffic {
    let mut wire = BytesMut::new();
    for command in commands {
        command.encode(&mut wire);
    }
    Traffic { name, wire: wire.to_vec(), frames: commands.len() }
}

/// Header frames as in a usual message, with the macros that Postfix sends before each of them.
#[must_use]
pub fn headers() -> Traffic {
    let macros = Command::Macros { letter: b'L', pairs: Bytes::from_static(b"i\x004Xq9Yw1ZzZ\0") };
    let value =
        Bytes::from_static(b"from mail.example (mail.example [192.0.2.1])\n\tby mx.test; Fri, 20 Nov 2026");
    let header = Command::Header { name: Bytes::from_static(b"Received"), value };
    traffic("headers", &vec![[macros, header]; 500].concat())
}

/// Body frames of the usual size.
#[must_use]
pub fn body() -> Traffic {
    traffic("body", &vec![Command::Body(vec![b'x'; CHUNK_SIZE].into()); 64])
}
