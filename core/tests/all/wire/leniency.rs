//! What real MTAs and milters send beyond the letter of the protocol is taken; what nobody can read is not.
//!
//! Sections 2, 3, 10 and 12 of the specification.

use bytes::Bytes;
use millstream_core::wire::{
    Actions, ClientAddress, Command, Edit, Final, Negotiation, Protocol, Reply, Stage, WireError,
};

fn command(letter: u8, payload: &'static [u8]) -> Result<Command, WireError> {
    Command::decode(letter, Bytes::from_static(payload))
}

fn reply(letter: u8, payload: &'static [u8]) -> Result<Reply, WireError> {
    Reply::decode(letter, Bytes::from_static(payload))
}

fn text(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn address(payload: &'static [u8]) -> Result<ClientAddress, WireError> {
    match command(b'C', payload)? {
        Command::Connect(info) => Ok(info.address),
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn what_mtas_send_is_taken() {
    assert_eq!(command(b'H', b"\0"), Ok(Command::Helo(text(""))));
    assert_eq!(command(b'L', b"To\0\0"), Ok(Command::Header { name: text("To"), value: text("") }));
    for letter in *b"CHMRTLNBEU?" {
        let payload = Bytes::copy_from_slice(&[letter]);
        assert_eq!(Command::decode(b'D', payload), Ok(Command::Macros { letter, pairs: text("") }));
    }
    assert_eq!(command(b'E', b"tail"), Ok(Command::EndOfMessage(text("tail"))));
    assert_eq!(command(b'K', b""), Ok(Command::QuitNc));
    assert_eq!(command(b'M', b"\0"), Ok(Command::Mail(text("\0"))));
    assert_eq!(command(b'M', b"<a@b>\0\0SIZE=1\0"), Ok(Command::Mail(text("<a@b>\0\0SIZE=1\0"))));
}

#[test]
fn an_ipv6_address_has_a_prefix_or_not() {
    let expected = "2001:db8::1".parse().map(|ip| ClientAddress::Ip(ip, 25));
    for payload in [
        &b"h\x006\0\x192001:db8::1\0"[..],
        b"h\x006\0\x19IPv6:2001:db8::1\0",
        b"h\x006\0\x19ipv6:2001:DB8::1\0",
    ] {
        assert_eq!(address(payload).ok(), expected.clone().ok());
    }
}

#[test]
fn an_address_that_is_none_is_kept_as_it_came() {
    for (payload, family, text_of) in [
        (&b"h\x004\0\x19unknown\0"[..], b'4', "unknown"),
        (b"h\x006\0\x19fe80::1%eth0\0", b'6', "fe80::1%eth0"),
        (b"h\x006\0\x19192.0.2.1\0", b'6', "192.0.2.1"),
        (b"h\x004\0\x19\0", b'4', ""),
    ] {
        assert_eq!(address(payload), Ok(ClientAddress::OddIp { family, port: 25, text: text(text_of) }));
    }
}

#[test]
fn bytes_behind_connect_are_ignored_as_libmilter_does() {
    assert_eq!(address(b"h\0U\0\0\0"), Ok(ClientAddress::Unknown));
    assert_eq!(address(b"h\0L\0\0/run/x\0more"), Ok(ClientAddress::Unix(text("/run/x"))));
    assert_eq!(address(b"\0U"), Ok(ClientAddress::Unknown), "an empty host name");
}

#[test]
fn bytes_behind_an_offer_are_ignored_as_libmilter_does() {
    let offer = Negotiation { version: 6, actions: Actions(1), protocol: Protocol(2), macro_lists: vec![] };
    for payload in [
        &b"\0\0\0\x06\0\0\0\x01\0\0\0\x02"[..],
        b"\0\0\0\x06\0\0\0\x01\0\0\0\x02\0",
        b"\0\0\0\x06\0\0\0\x01\0\0\0\x02\0\0\0\x01i\0",
    ] {
        assert_eq!(command(b'O', payload), Ok(Command::Negotiate(offer.clone())));
    }
}

#[test]
fn macro_lists_for_unknown_stages_are_skipped_and_the_last_one_for_a_stage_counts() {
    let Ok(Reply::Negotiate(answer)) =
        reply(b'O', b"\0\0\0\x06\0\0\x01\0\0\0\0\0\0\0\0\x02i\0\0\0\0\x63x\0\0\0\0\x02j {v}\0\0\0\0\x05\0")
    else {
        unreachable!("a good answer")
    };
    assert_eq!(answer.macro_lists, [(Stage::Mail, text("j {v}")), (Stage::EndOfMessage, text(""))]);
    assert_eq!(answer.macro_list(Stage::EndOfMessage), None);
}

#[test]
fn reply_texts_and_reasons_may_lack_their_nul() {
    let expected = Ok(Reply::Final(Final::ReplyCode(text("550 5.7.1 No"))));
    assert_eq!(reply(b'y', b"550 5.7.1 No\0"), expected);
    assert_eq!(reply(b'y', b"550 5.7.1 No"), expected);
    for payload in [&b"held\0"[..], b"held"] {
        assert_eq!(reply(b'q', payload), Ok(Reply::Edit(Edit::Quarantine(text("held")))));
    }
}

#[test]
fn reply_texts_are_what_postfix_takes() {
    for good in
        [&b"550 "[..], b"421 4.3.2 bye\0", b"451-4.7.1 a\r\n451 4.7.1 b\0", b"550 x5.7.1", b"450 %% full\0"]
    {
        assert_eq!(reply(b'y', good).map(|reply| reply.letter()), Ok(b'y'), "{}", good.escape_ascii());
    }
    for bad in [
        &b""[..],
        b"\0",
        b"55",
        b"550",
        b"550\0",
        b"250 ok",
        b"5x0 no",
        b"550_no",
        b"550 4.7.1 no",
        b"450 100%% full",
        b"451 5 no",
    ] {
        assert_eq!(reply(b'y', bad), Err(WireError::ReplyCode), "{}", bad.escape_ascii());
    }
}

#[test]
fn an_empty_body_chunk_of_a_milter_is_an_empty_body() {
    assert_eq!(reply(b'b', b""), Ok(Reply::Edit(Edit::ReplaceBody(text("")))));
}

#[test]
fn what_cannot_be_read_is_refused() {
    let truncated = |result: Result<Command, WireError>| matches!(result, Err(WireError::Truncated { .. }));
    for (letter, payload) in [
        (b'O', &b"\0\0\0\x06\0\0\0\0\0\0\0"[..]),
        (b'D', b""),
        (b'D', b"Ci\0"),
        (b'D', b"Ci\0v"),
        (b'C', b""),
        (b'C', b"h"),
        (b'C', b"h\0"),
        (b'C', b"h\x004\0"),
        (b'C', b"h\x004\0\x19192.0.2.1"),
        (b'H', b""),
        (b'H', b"h"),
        (b'M', b""),
        (b'M', b"<a@b>"),
        (b'R', b"<a@b>\0X"),
        (b'L', b"To"),
        (b'L', b"To\0x"),
        (b'L', b"\0x\0"),
        (b'U', b""),
    ] {
        let result = command(letter, payload);
        assert!(truncated(result.clone()), "{} {}: {result:?}", char::from(letter), payload.escape_ascii());
    }
    assert_eq!(command(b'C', b"h\0X"), Err(WireError::Family(b'X')));
    assert_eq!(command(b'T', b"x"), Err(WireError::Trailing { letter: b'T', extra: 1 }));
    assert_eq!(command(b'c', b""), Err(WireError::UnknownLetter(b'c')));
    assert_eq!(reply(b'c', b"xy"), Err(WireError::Trailing { letter: b'c', extra: 2 }));
    assert_eq!(reply(b'A', b""), Err(WireError::UnknownLetter(b'A')));
    assert_eq!(reply(b'l', b""), Err(WireError::UnknownLetter(b'l')));
    assert_eq!(reply(b'+', b"<a@b>\0x"), Err(WireError::Trailing { letter: b'+', extra: 1 }));
    assert_eq!(reply(b'h', b"\0x\0"), Err(WireError::Truncated { letter: b'h', missing: "a name" }));
    let index = WireError::Range { letter: b'i', what: "index", value: 1 << 31 };
    assert_eq!(reply(b'i', b"\x80\0\0\0X\0\0"), Err(index));
    assert_eq!(reply(b'y', b"550 a\0b\0"), Err(WireError::Trailing { letter: b'y', extra: 2 }));
}

#[test]
fn errors_read_as_sentences() {
    for (error, text) in [
        (WireError::Trailing { letter: b'c', extra: 2 }, "'c' (continue) with 2 bytes too many"),
        (WireError::Truncated { letter: b'L', missing: "a name" }, "'L' (header) without a name"),
        (WireError::UnknownLetter(0), "unknown letter 0x00"),
        (WireError::Family(b'X'), "CONNECT with unknown address family 'X'"),
    ] {
        assert_eq!(error.to_string(), text);
    }
}
