//! A milter that has no objection to anything.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bytes::BytesMut;
use millstream_core::wire::{Actions, Decoder, Final, Negotiation, Protocol, Reply, Stage, VERSION_MAX};

/// What a child negotiates.
#[derive(Debug, Clone, Copy)]
pub struct Wishes {
    /// The edits that it may make. Who may make none never keeps content from the children behind it.
    pub actions: Actions,
    /// What it does not want, and what it does not answer.
    pub protocol: Protocol,
}

impl Wishes {
    /// Reads everything, answers every frame, edits nothing.
    pub const ANSWERS: Self = Self { actions: Actions::NONE, protocol: Protocol::NONE };
    /// Reads everything and answers nothing of the content before its end; edits nothing.
    pub const SILENT: Self = Self {
        actions: Actions::NONE,
        protocol: Protocol::NR_HEADERS.with(Protocol::NR_EOH).with(Protocol::NR_BODY),
    };
    /// The same, and may edit everything.
    pub const WRITES: Self = Self { actions: Actions::ALL, protocol: Self::SILENT.protocol };
    /// As opendkim answers an offer of everything (`docs/children.md`): no HELO, UNKNOWN and DATA.
    pub const OPENDKIM: Self = Self { actions: Actions(0x111), protocol: Protocol(0x10_0702) };
    /// As clamav-milter: no HELO, end of headers, UNKNOWN and DATA.
    pub const CLAMAV_MILTER: Self = Self { actions: Actions(0x031), protocol: Protocol(0x342) };
    /// As spamass-milter: no UNKNOWN and DATA.
    pub const SPAMASS_MILTER: Self = Self { actions: Actions(0x013), protocol: Protocol(0x300) };
    /// As rspamd: everything, and no answers before the end of the message.
    pub const RSPAMD: Self = Self { actions: Actions(0x1ff), protocol: Protocol(0xf_f080) };
    /// Reads and answers nothing before MAIL.
    pub const FROM_MAIL: Self = Self { actions: Actions(0x011), protocol: Protocol(0x103) };
    /// Reads and answers nothing before RCPT.
    pub const FROM_RCPT: Self = Self { actions: Actions(0x011), protocol: Protocol(0x107) };
    /// Reads the content only.
    pub const CONTENT: Self = Self { actions: Actions(0x011), protocol: Protocol(0x30f) };
}

/// One connection of such a child, without its socket.
pub struct NoObjection {
    wishes: Wishes,
    decoder: Decoder,
}

impl NoObjection {
    /// A new connection.
    #[must_use]
    pub fn new(wishes: Wishes) -> Self {
        Self { wishes, decoder: Decoder::new(1 << 20) }
    }

    /// What it answers to `bytes`.
    pub fn replies(&mut self, bytes: BytesMut) -> BytesMut {
        let mut out = BytesMut::new();
        self.decoder.receive(bytes);
        while let Ok(Some(frame)) = self.decoder.next_frame() {
            let Some(stage) = Stage::of_letter(frame.letter()) else { continue };
            if stage == Stage::Negotiate {
                let answer = Negotiation {
                    version: VERSION_MAX,
                    actions: self.wishes.actions,
                    protocol: self.wishes.protocol,
                    macro_lists: Vec::new(),
                };
                Reply::Negotiate(answer).encode(&mut out);
            } else if stage.fact().no_reply.is_none_or(|bit| !self.wishes.protocol.has(bit)) {
                Reply::Final(Final::Continue).encode(&mut out);
            }
        }
        out
    }
}

/// How many connections a child has accepted.
#[derive(Debug, Clone, Default)]
pub struct Accepted(Arc<AtomicUsize>);

impl Accepted {
    /// So far; what a manager connected before its last answer is in it.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Listens on a unix socket until the process ends, each connection in a thread of its own.
///
/// # Errors
/// When the socket cannot be made.
pub fn listen(socket: &Path, wishes: Wishes) -> io::Result<Accepted> {
    let listener = UnixListener::bind(socket)?;
    // The manager does not serve as root and has to reach it.
    fs::set_permissions(socket, fs::Permissions::from_mode(0o666))?;
    let accepted = Accepted::default();
    let count = Arc::clone(&accepted.0);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::SeqCst);
            // A connection that breaks shows at the MTA's end.
            thread::spawn(move || drop(serve(stream, wishes)));
        }
    });
    Ok(accepted)
}

fn serve(mut stream: UnixStream, wishes: Wishes) -> io::Result<()> {
    let mut child = NoObjection::new(wishes);
    let mut buffer = vec![0; 72 << 10];
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        stream.write_all(&child.replies(BytesMut::from(&buffer[..read])))?;
    }
}
