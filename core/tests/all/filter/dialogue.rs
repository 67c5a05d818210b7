//! An MTA in a few words: each command by its letter, with a payload that does not matter.

use bytes::BytesMut;
use millstream_core::filter::{Filter, FromMta};
use millstream_core::wire::{Actions, Fault, Final, Negotiation, Protocol, Reply, Stage, head};

pub(crate) const LIMIT: usize = 1 << 20;

/// Every command letter.
pub(crate) const COMMANDS: &[u8; 15] = b"OCHMRTULNBEADKQ";

pub(crate) fn frame(letter: u8, payload: &[u8]) -> Vec<u8> {
    [&head(letter, payload.len()), payload].concat()
}

/// A well-formed command with this letter.
pub(crate) fn command(letter: u8) -> Vec<u8> {
    let payload: &[u8] = match letter {
        b'O' => b"\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff",
        b'D' => b"Ci\0queue\0",
        b'C' => b"host\x004\x12\x34203.0.113.7\0",
        b'H' => b"helo.test\0",
        b'M' => b"<a@b>\0SIZE=9\0",
        b'R' => b"<c@d>\0",
        b'U' => b"XYZZY now\0",
        b'L' => b"Subject\0hi\0",
        b'B' => b"hi\r\n",
        _ => b"",
    };
    frame(letter, payload)
}

pub(crate) fn answer(version: u32, protocol: Protocol) -> Negotiation {
    Negotiation { version, actions: Actions::ALL, protocol, macro_lists: Vec::new() }
}

/// A filter that has answered the negotiation.
pub(crate) fn negotiated(protocol: Protocol) -> Filter {
    let mut filter = Filter::new(LIMIT);
    assert_eq!(say(&mut filter, b'O'), Ok(b'O'));
    filter.negotiate(&answer(6, protocol)).unwrap();
    written(&mut filter);
    filter
}

pub(crate) fn receive(filter: &mut Filter, bytes: &[u8]) {
    filter.receive(BytesMut::from(bytes));
}

/// The letter of a command.
pub(crate) fn letter(command: &FromMta) -> u8 {
    match command {
        FromMta::Command(command, _) => command.letter(),
        FromMta::Body(frame) => frame.letter(),
    }
}

/// Sends the filter a command and returns the letter of the command that comes out.
pub(crate) fn say(filter: &mut Filter, command_letter: u8) -> Result<u8, Fault> {
    receive(filter, &command(command_letter));
    let came = filter.poll_command()?.unwrap();
    Ok(letter(&came))
}

/// Goes on wherever a reply is owed. Returns whether one was.
pub(crate) fn go_on(filter: &mut Filter) -> bool {
    match filter.owed() {
        None => false,
        Some(Stage::Negotiate) => panic!("a negotiation is owed"),
        Some(_) => {
            filter.reply(Final::Continue).unwrap();
            true
        }
    }
}

/// Sends commands one after another, each answered where it has to be.
pub(crate) fn talk(filter: &mut Filter, commands: &str) -> Result<(), Fault> {
    for letter in commands.bytes().filter(|letter| *letter != b' ') {
        say(filter, letter)?;
        go_on(filter);
    }
    Ok(())
}

/// Takes everything that waits to be written.
pub(crate) fn written(filter: &mut Filter) -> Vec<u8> {
    let mut all = Vec::new();
    while filter.unwritten() > 0 {
        let mut slices = [&b""[..]; 4];
        let filled = filter.transmit(&mut slices);
        let joined = slices[..filled].concat();
        filter.wrote(joined.len());
        all.extend_from_slice(&joined);
    }
    all
}

pub(crate) fn encoded(replies: &[Reply]) -> Vec<u8> {
    let mut out = BytesMut::new();
    for reply in replies {
        reply.encode(&mut out);
    }
    out.to_vec()
}

/// Every mixture of the bits in `mask`.
pub(crate) fn mixtures(mask: Protocol) -> impl Iterator<Item = Protocol> {
    let mut next = Some(mask.0);
    std::iter::from_fn(move || {
        let current = next?;
        next = (current != 0).then(|| (current - 1) & mask.0);
        Some(Protocol(current))
    })
}
