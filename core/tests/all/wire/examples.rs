//! Every byte example of section 11 of the specification, decoded and encoded.

use bytes::BytesMut;
use millstream_core::wire::{Command, Decoder, Reply};

use super::specification::{Message, NOT_KEPT, examples};

#[test]
fn every_example_is_decoded() {
    for example in examples() {
        let mut decoder = Decoder::new(65_536);
        decoder.receive(BytesMut::from(&example.frame[..]));
        let frame = decoder.next_frame().unwrap().unwrap();
        assert!(decoder.is_empty(), "{}", example.name);
        assert_eq!(frame.payload_len() + 5, example.frame.len());
        let letter = frame.letter();
        let message = match example.message {
            Message::Command(_) => Message::Command(Command::decode(letter, frame.contiguous()).unwrap()),
            Message::Reply(_) => Message::Reply(Reply::decode(letter, frame.contiguous()).unwrap()),
        };
        assert_eq!(message, example.message, "{}", example.name);
    }
}

#[test]
fn every_example_is_encoded_as_it_came() {
    for example in examples().into_iter().filter(|example| example.name != NOT_KEPT) {
        let mut wire = BytesMut::new();
        match &example.message {
            Message::Command(command) => command.encode(&mut wire),
            Message::Reply(reply) => reply.encode(&mut wire),
        }
        assert_eq!(wire, example.frame, "{}", example.name);
    }
}

#[test]
fn an_address_in_sendmails_style_is_encoded_in_postfixs() {
    let examples = examples();
    let frame = |name| examples.iter().find(|example| example.name == name).unwrap();
    let mut wire = BytesMut::new();
    let Message::Command(command) = &frame(NOT_KEPT).message else { unreachable!() };
    command.encode(&mut wire);
    assert_eq!(wire, frame("C IPv6 Postfix style").frame);
}

#[test]
fn the_head_alone_is_enough_to_forward_a_body_frame() {
    let examples = examples();
    let body = examples.iter().find(|example| example.name == "B \"hi\" CRLF").unwrap();
    assert_eq!(millstream_core::wire::head(b'B', 4), body.frame[..5]);
}
