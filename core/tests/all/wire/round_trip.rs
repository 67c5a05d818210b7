//! Everything that can be said comes back as it was said: encode, cut into frames, decode.

use bytes::{Bytes, BytesMut};
use millstream_core::wire::{
    Actions, ClientAddress, Command, ConnectInfo, Decoder, Edit, Final, Negotiation, Protocol, Reply, Stage,
    WireError,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// A string without its NUL.
fn string() -> impl Strategy<Value = Bytes> {
    vec(1_u8..=255, 0..40).prop_map(Bytes::from)
}

fn name() -> impl Strategy<Value = Bytes> {
    vec(1_u8..=255, 1..40).prop_map(Bytes::from)
}

/// Strings with their NUL, a multiple of `step`.
fn strings(step: usize, least: usize) -> impl Strategy<Value = Bytes> {
    vec(vec(string(), step), least..6).prop_map(|texts| {
        let mut joined = BytesMut::new();
        for text in texts.iter().flatten() {
            joined.extend_from_slice(text);
            joined.extend_from_slice(b"\0");
        }
        joined.freeze()
    })
}

fn data() -> impl Strategy<Value = Bytes> {
    prop_oneof![9 => vec(any::<u8>(), 0..200), 1 => vec(any::<u8>(), 65_535)].prop_map(Bytes::from)
}

fn address() -> impl Strategy<Value = ClientAddress> {
    prop_oneof![
        any::<([u8; 4], u16)>().prop_map(|(ip, port)| ClientAddress::Ip(ip.into(), port)),
        any::<([u8; 16], u16)>().prop_map(|(ip, port)| ClientAddress::Ip(ip.into(), port)),
        (prop_oneof![Just(b'4'), Just(b'6')], any::<u16>(), string()).prop_map(|(family, port, text)| {
            // Never an address: those are not odd.
            let text = Bytes::from([b"?", &text[..]].concat());
            ClientAddress::OddIp { family, port, text }
        }),
        string().prop_map(ClientAddress::Unix),
        Just(ClientAddress::Unknown),
    ]
}

fn offer() -> impl Strategy<Value = Negotiation> {
    any::<(u32, u32, u32)>().prop_map(|(version, actions, protocol)| Negotiation {
        version,
        actions: Actions(actions),
        protocol: Protocol(protocol),
        macro_lists: Vec::new(),
    })
}

fn answer() -> impl Strategy<Value = Negotiation> {
    let stages = [
        Stage::Connect,
        Stage::Helo,
        Stage::Mail,
        Stage::Rcpt,
        Stage::Data,
        Stage::EndOfMessage,
        Stage::EndOfHeaders,
    ];
    let lists = vec(option::of(string()), stages.len()).prop_map(move |lists| {
        stages.into_iter().zip(lists).filter_map(|(stage, list)| Some((stage, list?))).collect()
    });
    (offer(), lists).prop_map(|(offer, macro_lists)| Negotiation { macro_lists, ..offer })
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        offer().prop_map(Command::Negotiate),
        (any::<u8>(), strings(2, 0)).prop_map(|(letter, pairs)| Command::Macros { letter, pairs }),
        (string(), address()).prop_map(|(host, address)| Command::Connect(ConnectInfo { host, address })),
        string().prop_map(Command::Helo),
        strings(1, 1).prop_map(Command::Mail),
        strings(1, 1).prop_map(Command::Rcpt),
        Just(Command::Data),
        (name(), string()).prop_map(|(name, value)| Command::Header { name, value }),
        Just(Command::EndOfHeaders),
        data().prop_map(Command::Body),
        data().prop_map(Command::EndOfMessage),
        string().prop_map(Command::Unknown),
        Just(Command::Abort),
        Just(Command::Quit),
        Just(Command::QuitNc),
    ]
}

fn reply_text() -> impl Strategy<Value = Bytes> {
    (4..=5_u8, 0..100_u8, prop_oneof![Just(' '), Just('-')], option::of((0..1000_u16, 0..1000_u16)), string())
        .prop_map(|(class, rest, separator, enhanced, text)| {
            let mut line = format!("{class}{rest:02}{separator}");
            match enhanced {
                Some((subject, detail)) => line.push_str(&format!("{class}.{subject}.{detail} ")),
                None => line.push('x'),
            }
            Bytes::from([line.as_bytes(), &text].concat())
        })
}

fn reply() -> impl Strategy<Value = Reply> {
    let index = 0..1_u32 << 31;
    prop_oneof![
        answer().prop_map(Reply::Negotiate),
        Just(Reply::Progress),
        prop_oneof![
            Just(Final::Continue),
            Just(Final::Accept),
            Just(Final::Discard),
            Just(Final::Reject),
            Just(Final::TemporaryFailure),
            reply_text().prop_map(Final::ReplyCode),
            Just(Final::Skip),
            Just(Final::Shutdown),
            Just(Final::ConnectionFailure),
        ]
        .prop_map(Reply::Final),
        prop_oneof![
            string().prop_map(Edit::AddRecipient),
            (string(), option::of(string())).prop_map(|(to, arguments)| Edit::AddRecipientPar(to, arguments)),
            string().prop_map(Edit::DeleteRecipient),
            data().prop_map(Edit::ReplaceBody),
            (name(), string()).prop_map(|(name, value)| Edit::AddHeader(name, value)),
            (index.clone(), name(), string())
                .prop_map(|(at, name, value)| Edit::InsertHeader(at, name, value)),
            (index, name(), string()).prop_map(|(at, name, value)| Edit::ChangeHeader(at, name, value)),
            (string(), option::of(string())).prop_map(|(from, arguments)| Edit::ChangeFrom(from, arguments)),
            string().prop_map(Edit::Quarantine),
        ]
        .prop_map(Reply::Edit),
    ]
}

/// The messages that `decode` reads out of `wire`.
fn read<M>(wire: BytesMut, decode: impl Fn(u8, Bytes) -> Result<M, WireError>) -> Vec<M> {
    let mut decoder = Decoder::new(1 << 20);
    decoder.receive(wire);
    let mut messages = Vec::new();
    while let Some(frame) = decoder.next_frame().unwrap() {
        messages.push(decode(frame.letter(), frame.contiguous()).unwrap());
    }
    assert!(decoder.is_empty());
    messages
}

proptest! {
    #[test]
    fn commands(commands in vec(command(), 1..8)) {
        let mut wire = BytesMut::new();
        for command in &commands {
            let start = wire.len();
            command.encode(&mut wire);
            prop_assert_eq!(wire[start + 4], command.letter());
        }
        prop_assert_eq!(read(wire, Command::decode), commands);
    }

    #[test]
    fn replies(replies in vec(reply(), 1..8)) {
        let mut wire = BytesMut::new();
        for reply in &replies {
            let start = wire.len();
            reply.encode(&mut wire);
            prop_assert_eq!(wire[start + 4], reply.letter());
        }
        prop_assert_eq!(read(wire, Reply::decode), replies);
    }

    #[test]
    fn negotiations(answer in answer()) {
        let mut wire = BytesMut::new();
        answer.encode_frame(&mut wire);
        prop_assert_eq!(read(wire, Reply::decode), vec![Reply::Negotiate(answer)]);
    }

    /// No payload of any letter makes a decoder panic, and what it takes it can say again.
    #[test]
    fn any_payload(letter in any::<u8>(), payload in vec(prop_oneof![Just(0), any::<u8>()], 0..60)) {
        let payload = Bytes::from(payload);
        if let Ok(command) = Command::decode(letter, payload.clone()) {
            let mut wire = BytesMut::new();
            command.encode(&mut wire);
            prop_assert_eq!(read(wire, Command::decode), vec![command]);
        }
        if let Ok(reply) = Reply::decode(letter, payload) {
            let mut wire = BytesMut::new();
            reply.encode(&mut wire);
            prop_assert_eq!(read(wire, Reply::decode), vec![reply]);
        }
    }
}

#[test]
fn a_string_with_a_nul_inside_cannot_smuggle_in_a_second_one() {
    let smuggled = Bytes::from_static(b"x\0DATA");
    let cases = [
        (Reply::Edit(Edit::AddRecipient(smuggled.clone())), Reply::Edit(Edit::AddRecipient("x".into()))),
        (
            Reply::Edit(Edit::AddHeader(smuggled.clone(), smuggled.clone())),
            Reply::Edit(Edit::AddHeader("x".into(), "x".into())),
        ),
        (Reply::Edit(Edit::Quarantine(smuggled)), Reply::Edit(Edit::Quarantine("x".into()))),
    ];
    for (said, understood) in cases {
        let mut wire = BytesMut::new();
        said.encode(&mut wire);
        assert_eq!(read(wire, Reply::decode), vec![understood]);
    }
}
