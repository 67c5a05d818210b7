//! The MTA's end of a milter connection: well-behaved by its methods, anything by [`MtaSide::raw`].

use std::io::{self, Read, Write};
use std::time::Duration;

use crate::wire::{ALL_ACTIONS, ALL_FLAGS, Address, Frame, Stream};

/// What the milter said at the end of a message: its edits, then its verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Everything before the last frame, without progress.
    pub edits: Vec<Frame>,
    /// The last frame.
    pub verdict: Frame,
}

/// One connection to a milter.
#[derive(Debug)]
pub struct MtaSide {
    stream: Stream,
    /// Read already, to see whether there is something.
    ahead: Option<u8>,
    flags: u32,
}

impl MtaSide {
    /// Connects; each read and write takes at most `limit`.
    ///
    /// # Errors
    /// When the milter cannot be reached.
    pub fn connect(milter: &Address, limit: Duration) -> io::Result<Self> {
        Ok(Self { stream: milter.connect(limit)?, ahead: None, flags: 0 })
    }

    /// Offers what Postfix offers and takes what the milter wants.
    ///
    /// # Errors
    /// When the milter answers something else or nothing.
    pub fn negotiate(&mut self) -> io::Result<[u32; 3]> {
        self.offer()?;
        self.take_wishes()
    }

    /// The first half of [`negotiate`](Self::negotiate): what Postfix offers.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub fn offer(&mut self) -> io::Result<()> {
        self.send(&Frame::negotiation(6, ALL_ACTIONS, ALL_FLAGS))
    }

    /// The second half: takes what the milter wants.
    ///
    /// # Errors
    /// When the milter answers something else or nothing.
    pub fn take_wishes(&mut self) -> io::Result<[u32; 3]> {
        let answer = self.receive()?;
        let wanted = answer.negotiated().ok_or_else(|| wrong(&answer))?;
        let [version, actions, flags] = wanted;
        if version > 6 || actions & !ALL_ACTIONS != 0 || flags & !ALL_FLAGS != 0 {
            return Err(wrong(&answer));
        }
        self.flags = flags;
        Ok(wanted)
    }

    /// One command; its reply, or `c` where none is owed: the event is not wanted or is not answered.
    ///
    /// # Errors
    /// When the milter does not answer.
    pub fn command(&mut self, frame: &Frame) -> io::Result<Frame> {
        // Letter, "do not send" flag, "no reply" flag.
        let (unwanted, unanswered) = match frame.letter {
            b'C' => (0x01, 0x1000),
            b'H' => (0x02, 0x2000),
            b'M' => (0x04, 0x4000),
            b'R' => (0x08, 0x8000),
            b'T' => (0x200, 0x1_0000),
            b'L' => (0x20, 0x80),
            b'N' => (0x40, 0x4_0000),
            b'B' => (0x10, 0x8_0000),
            b'U' => (0x100, 0x2_0000),
            _ => (0, 0),
        };
        if self.flags & unwanted != 0 {
            return Ok(Frame::new(b'c', []));
        }
        self.send(frame)?;
        if self.flags & unanswered != 0 {
            return Ok(Frame::new(b'c', []));
        }
        self.receive()
    }

    /// The end of the message; reads up to the verdict.
    ///
    /// # Errors
    /// When the milter gives none.
    pub fn end_of_message(&mut self) -> io::Result<Ending> {
        self.send(&Frame::new(b'E', []))?;
        let mut edits = Vec::new();
        loop {
            let frame = self.receive()?;
            match frame.letter {
                b'p' => {}
                b'+' | b'2' | b'-' | b'b' | b'h' | b'i' | b'm' | b'e' | b'q' => edits.push(frame),
                b'c' | b'a' | b'd' | b'r' | b't' | b'y' => return Ok(Ending { edits, verdict: frame }),
                _ => return Err(wrong(&frame)),
            }
        }
    }

    /// A whole message, up to the first answer that is not `c`, or to the verdict. Closed connections count as `4`: that is
    /// what an MTA makes of them.
    pub fn outcome(&mut self) -> u8 {
        let commands = [
            Frame::new(b'C', &b"client.example.org\x004\x12\x34203.0.113.7\0"[..]),
            Frame::strings(b'H', ["client.example.org"]),
            Frame::strings(b'M', ["<sender@example.org>"]),
            Frame::strings(b'R', ["<user@example.com>"]),
            Frame::new(b'T', []),
            Frame::strings(b'L', ["Subject", "Hello"]),
            Frame::new(b'N', []),
            Frame::new(b'B', &b"Hello.\r\n"[..]),
        ];
        for command in commands {
            match self.command(&command) {
                Ok(answer) if answer.letter == b'c' => {}
                Ok(answer) => return answer.letter,
                Err(_) => return b'4',
            }
        }
        self.end_of_message().map_or(b'4', |ending| ending.verdict.letter)
    }

    /// Connect and HELO, as every session starts.
    ///
    /// # Errors
    /// When either is not answered with `c`.
    pub fn begin(&mut self) -> io::Result<()> {
        self.send(&Frame::strings(b'D', ["Cj", "mx.test"]))?;
        let mut client = b"client.example.org\x004".to_vec();
        client.extend_from_slice(&4660_u16.to_be_bytes());
        client.extend_from_slice(b"203.0.113.7\0");
        self.agreed(&Frame::new(b'C', client))?;
        self.agreed(&Frame::strings(b'H', ["client.example.org"]))
    }

    /// One small message after [`begin`](Self::begin), up to its verdict.
    ///
    /// # Errors
    /// When anything before the end of the message is not answered with `c`.
    pub fn message(&mut self) -> io::Result<Ending> {
        self.message_with(b"Hello.\r\n")
    }

    /// The same with this body, in chunks as MTAs cut it.
    ///
    /// # Errors
    /// When anything before the end of the message is not answered with `c`.
    pub fn message_with(&mut self, body: &[u8]) -> io::Result<Ending> {
        self.agreed(&Frame::strings(b'M', ["<sender@example.org>"]))?;
        self.send(&Frame::strings(b'D', ["Ri", "4AbCdEfGhI"]))?;
        self.agreed(&Frame::strings(b'R', ["<user@example.com>"]))?;
        self.agreed(&Frame::new(b'T', []))?;
        for (name, value) in [("From", "sender@example.org"), ("Subject", "Hello")] {
            self.agreed(&Frame::strings(b'L', [name, value]))?;
        }
        self.agreed(&Frame::new(b'N', []))?;
        for chunk in body.chunks(65_535) {
            let answer = self.command(&Frame::new(b'B', chunk))?;
            match answer.letter {
                b'c' => {}
                b's' => break,
                _ => return Err(wrong(&answer)),
            }
        }
        self.end_of_message()
    }

    /// `Q` and the end.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub fn quit(mut self) -> io::Result<()> {
        self.send(&Frame::new(b'Q', []))
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// When the milter does not read.
    pub fn send(&mut self, frame: &Frame) -> io::Result<()> {
        self.raw(&frame.bytes())
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the milter does not read.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// When none comes, or the connection ends.
    pub fn receive(&mut self) -> io::Result<Frame> {
        let ahead = self.ahead.take();
        Frame::read(&mut ahead.as_slice().chain(&mut self.stream))?
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Whether something has come that was not read yet, or the end of the connection.
    ///
    /// # Panics
    /// When the socket cannot be switched.
    pub fn has_answer(&mut self) -> bool {
        if self.ahead.is_none() {
            let mut byte = [0];
            self.stream.set_nonblocking(true).expect("a socket can be switched");
            let read = self.stream.read(&mut byte);
            self.stream.set_nonblocking(false).expect("a socket can be switched");
            match read {
                Ok(1) => self.ahead = Some(byte[0]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                _ => {}
            }
        }
        true
    }

    /// Each further read and write takes at most this.
    ///
    /// # Panics
    /// When the system does not take it.
    pub fn limit(&mut self, limit: Duration) {
        self.stream.limit(limit).expect("a socket takes a time limit");
    }

    /// Reads until the milter closes, whatever it says before.
    ///
    /// # Errors
    /// When it does not close within the limit of one read after its last words.
    pub fn wait_for_close(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn agreed(&mut self, frame: &Frame) -> io::Result<()> {
        let answer = self.command(frame)?;
        if answer == Frame::new(b'c', []) { Ok(()) } else { Err(wrong(&answer)) }
    }
}

fn wrong(frame: &Frame) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the milter answered {frame:?}"))
}
