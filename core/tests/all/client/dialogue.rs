//! A milter in a few words.

use bytes::{Bytes, BytesMut};
use millstream_core::client::{Client, FromMilter};
use millstream_core::wire::{Actions, Command, Decoder, Fault, Final, Negotiation, Protocol, Stage, head};

pub(crate) const LIMIT: usize = 1 << 20;

pub(crate) fn negotiation(version: u32, actions: Actions, protocol: Protocol) -> Negotiation {
    Negotiation { version, actions, protocol, macro_lists: Vec::new() }
}

pub(crate) fn full_offer() -> Negotiation {
    negotiation(6, Actions::ALL, Protocol::ALL)
}

pub(crate) fn encoded(negotiation: &Negotiation) -> Vec<u8> {
    let mut out = BytesMut::new();
    negotiation.encode_frame(&mut out);
    out.to_vec()
}

/// A client that a milter has answered to.
pub(crate) fn negotiated(version: u32, protocol: Protocol) -> Client {
    answered(&negotiation(version, Actions::ALL, protocol)).unwrap()
}

/// A client with a full offer, after this answer.
pub(crate) fn answered(answer: &Negotiation) -> Result<Client, Fault> {
    let mut client = Client::new(LIMIT, &full_offer());
    written(&mut client);
    client.receive(BytesMut::from(&encoded(answer)[..]));
    assert_eq!(client.poll_reply()?, Some(FromMilter::Negotiated));
    Ok(client)
}

/// Sends the command of a stage. Returns whether a reply is owed.
pub(crate) fn send(client: &mut Client, stage: Stage) -> bool {
    let payload: &[u8] = match stage {
        Stage::Connect => b"host\0U",
        Stage::Helo => b"helo.test\0",
        Stage::Mail => b"<a@b>\0",
        Stage::Rcpt => b"<c@d>\0",
        Stage::Unknown => b"XYZZY\0",
        Stage::Header => return client.header(b"Subject", b"hi"),
        Stage::Body => {
            return client.body(&millstream_core::wire::Frame::new(b'B', Bytes::from_static(b"hi\r\n")));
        }
        _ => b"",
    };
    client.command(stage, payload)
}

/// Sends commands by their letters; the milter goes on wherever it replies.
pub(crate) fn talk(client: &mut Client, commands: &str) {
    for letter in commands.bytes() {
        let stage = Stage::of_letter(letter).unwrap();
        if send(client, stage) {
            assert_eq!(reply(client, b'c', b""), Ok(Some(FromMilter::Final(stage, Final::Continue))));
        }
    }
}

/// Lets the milter send a frame, and returns what comes of it.
pub(crate) fn reply(client: &mut Client, letter: u8, payload: &[u8]) -> Result<Option<FromMilter>, Fault> {
    replies(client, &[(letter, payload)]);
    client.poll_reply()
}

/// Lets the milter send frames, and looks at none.
pub(crate) fn replies(client: &mut Client, frames: &[(u8, &[u8])]) {
    let mut bytes = BytesMut::new();
    for (letter, payload) in frames {
        bytes.extend_from_slice(&head(*letter, payload.len()));
        bytes.extend_from_slice(payload);
    }
    client.receive(bytes);
}

/// Takes everything that waits to be written.
pub(crate) fn written(client: &mut Client) -> Vec<u8> {
    let mut all = Vec::new();
    while client.unwritten() > 0 {
        let mut slices = [&b""[..]; 4];
        let filled = client.transmit(&mut slices);
        let joined = slices[..filled].concat();
        client.wrote(joined.len());
        all.extend_from_slice(&joined);
    }
    all
}

/// The commands that wait to be written.
pub(crate) fn commands(client: &mut Client) -> Vec<Command> {
    let mut decoder = Decoder::new(LIMIT);
    decoder.receive(BytesMut::from(&written(client)[..]));
    let mut commands = Vec::new();
    while let Some(frame) = decoder.next_frame().unwrap() {
        commands.push(Command::decode(frame.letter(), frame.contiguous()).unwrap());
    }
    commands
}

/// The letters of the commands that wait to be written.
pub(crate) fn letters(client: &mut Client) -> String {
    commands(client).iter().map(|command| char::from(command.letter())).collect()
}

/// A well-formed payload of a reply.
pub(crate) fn payload(letter: u8) -> &'static [u8] {
    match letter {
        b'O' => b"\0\0\0\x06\0\0\0\0\0\0\0\0",
        b'y' => b"550 5.7.1 No\0",
        b'+' | b'-' | b'2' | b'e' => b"<u@v>\0",
        b'b' => b"new\r\n",
        b'h' => b"X-T\0 1\0",
        b'i' | b'm' => b"\0\0\0\x01X-T\0 1\0",
        b'q' => b"held\0",
        _ => b"",
    }
}
