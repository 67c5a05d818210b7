//! Our codec against the one of the crate `miltr-common` 0.1.3, in both directions.
//!
//! Whatever both take must say the same; where only one takes it, or both say something else, it is one of these:
//!
//! | letter | difference | who is right |
//! |---|---|---|
//! | `O` | it takes exactly 12 bytes; we read the macro lists of an answer and ignore what follows an offer | we: SETSYMLIST, and libmilter for the offer |
//! | `C` | it has no port for family `L` when it decodes, so that its path begins with two zero bytes | we: MTAs send the port |
//! | `C` | it encodes family `U` with port and address; we ignore them | we: section 2.1 |
//! | `C` | it needs no NUL behind the address, and takes one inside | we: libmilter needs it |
//! | `H` | it takes a NUL inside the name | we: no receiver can tell the rest from garbage |
//! | `M` `R` | it needs no NUL behind the last argument | we: section 2 |
//! | `L` `U` `h` `i` `m` `+` `-` | it ignores bytes behind the last string | we, as Postfix; Sendmail ignores the request |
//! | `L` `h` `i` `m` | it takes an empty header name | we, as Postfix |
//! | `i` `m` | it takes indexes of 2^31 and more | we, as Postfix |
//! | `T` `N` `A` `Q` `K` `c` `d` `r` `t` `s` | it ignores a payload | we, as Postfix |
//! | `E` | it drops the last piece of body | we: section 2 |
//! | `y` | it needs the NUL, ignores bytes behind it, takes any class of code and needs a space in the text | we, as Postfix |
//! | `q` | it keeps the NUL as part of the reason; we do not need it | we, as Postfix |
//! | `A` | it takes ABORT as a reply | we: there is none |
//! | `a` `p` `4` `f` `2` `e` | it does not know these replies | we: section 3 |

use bytes::{Bytes, BytesMut};
use millstream_core::wire::{ClientAddress, Command, Decoder, Edit, Final, Reply, WireError};
use miltr_common::actions as their_actions;
use miltr_common::commands as theirs;
use miltr_common::decoding::{ClientCommand, ServerCommand};
use miltr_common::encoding::Writable;
use miltr_common::modifications as their_edits;
use miltr_common::optneg::{Capability, MacroStage, OptNeg, Protocol};
use proptest::collection::vec;
use proptest::prelude::*;

/// The payload that their message is encoded to.
fn written(message: &impl Writable) -> Vec<u8> {
    let mut payload = BytesMut::new();
    message.write(&mut payload);
    payload.to_vec()
}

fn their_input(letter: u8, payload: &[u8]) -> BytesMut {
    BytesMut::from(&[&[letter], payload].concat()[..])
}

/// Decoded and encoded again by them; `None` when they do not take it.
fn their_command(letter: u8, payload: &[u8]) -> Option<Vec<u8>> {
    Some(match ClientCommand::parse(their_input(letter, payload)).ok()? {
        ClientCommand::Abort(it) => written(&it),
        ClientCommand::OptNeg(it) => written(&it),
        ClientCommand::Quit(it) => written(&it),
        ClientCommand::QuitNc(it) => written(&it),
        ClientCommand::Macro(it) => {
            let mut payload = vec![it.code];
            for (name, value) in it.macros() {
                payload.extend([name, b"\0", value, b"\0"].concat());
            }
            payload
        }
        ClientCommand::Unknown(it) => written(&it),
        ClientCommand::Connect(it) => written(&it),
        ClientCommand::Helo(it) => written(&it),
        ClientCommand::Mail(it) => written(&it),
        ClientCommand::Recipient(it) => written(&it),
        ClientCommand::Header(it) => written(&it),
        ClientCommand::EndOfHeader(it) => written(&it),
        ClientCommand::Data(it) => written(&it),
        ClientCommand::Body(it) => written(&it),
        ClientCommand::EndOfBody(it) => written(&it),
    })
}

fn their_reply(letter: u8, payload: &[u8]) -> Option<Vec<u8>> {
    Some(match ServerCommand::parse(their_input(letter, payload)).ok()? {
        ServerCommand::OptNeg(it) => written(&it),
        ServerCommand::Abort(it) => written(&it),
        ServerCommand::Continue(it) => written(&it),
        ServerCommand::Discard(it) => written(&it),
        ServerCommand::Reject(it) => written(&it),
        ServerCommand::Tempfail(it) => written(&it),
        ServerCommand::Skip(it) => written(&it),
        ServerCommand::Replycode(it) => written(&it),
        ServerCommand::AddRecipient(it) => written(&it),
        ServerCommand::DeleteRecipient(it) => written(&it),
        ServerCommand::ReplaceBody(it) => written(&it),
        ServerCommand::AddHeader(it) => written(&it),
        ServerCommand::InsertHeader(it) => written(&it),
        ServerCommand::ChangeHeader(it) => written(&it),
        ServerCommand::Quarantine(it) => written(&it),
    })
}

/// Decoded and encoded again by us.
fn our_command(letter: u8, payload: &[u8]) -> Result<Vec<u8>, WireError> {
    let command = Command::decode(letter, Bytes::copy_from_slice(payload))?;
    let mut wire = BytesMut::new();
    command.encode(&mut wire);
    assert_eq!(wire[4], letter);
    Ok(wire[5..].to_vec())
}

fn our_reply(letter: u8, payload: &[u8]) -> Result<Vec<u8>, WireError> {
    let reply = Reply::decode(letter, Bytes::copy_from_slice(payload))?;
    let mut wire = BytesMut::new();
    reply.encode(&mut wire);
    assert_eq!(wire[4], letter);
    Ok(wire[5..].to_vec())
}

/// The line of the table that explains that only they take a payload, by what we say is wrong with it.
fn only_they_take(letter: u8, payload: &[u8], why: WireError) -> bool {
    match letter {
        b'C' => {
            matches!(why, WireError::Truncated { missing, .. } if missing == "a NUL behind the address")
                || matches!(why, WireError::Truncated { missing, .. } if missing == "a port")
                    && !payload.is_empty()
        }
        b'H' | b'L' | b'U' | b'h' | b'+' | b'-' | b'y' if matches!(why, WireError::Trailing { .. }) => true,
        b'i' | b'm' if matches!(why, WireError::Trailing { .. } | WireError::Range { .. }) => true,
        b'L' | b'h' | b'i' | b'm' => matches!(why, WireError::Truncated { missing: "a name", .. }),
        b'M' | b'R' => matches!(why, WireError::Truncated { missing: "a NUL behind the last string", .. }),
        b'T' | b'N' | b'A' | b'Q' | b'K' | b'c' | b'd' | b'r' | b't' | b's' => {
            matches!(why, WireError::Trailing { .. })
                || (letter == b'A' && why == WireError::UnknownLetter(b'A'))
        }
        b'y' => why == WireError::ReplyCode,
        b'q' => matches!(why, WireError::Trailing { .. }),
        _ => false,
    }
}

/// The line of the table that explains that only we take a payload.
fn only_we_take(letter: u8, payload: &[u8]) -> bool {
    match letter {
        b'O' => payload.len() > 12,
        b'y' => !payload.contains(&0) || !payload[..payload.len() - 1].contains(&b' '),
        b'a' | b'p' | b'4' | b'f' => payload.is_empty(),
        b'2' | b'e' => true,
        _ => false,
    }
}

/// The line of the table that explains that both take a payload and understand something else.
fn understood_differently(letter: u8, payload: &[u8], ours: &[u8], theirs: &[u8]) -> bool {
    match letter {
        b'C' => {
            // Host and family are the same in any case. An IP address is the same in another text.
            let family = payload.iter().position(|byte| *byte == 0).map_or(0, |end| end + 1);
            let same = match payload[family] {
                b'4' | b'6' => family + 3,
                _ => family + 1,
            };
            ours[..same] == payload[..same] && theirs[..same] == payload[..same]
        }
        b'E' | b'q' => true,
        _ => false,
    }
}

fn compare(letter: u8, payload: &[u8], ours: Result<Vec<u8>, WireError>, theirs: Option<Vec<u8>>) {
    let shown = || format!("{} {}", char::from(letter), payload.escape_ascii());
    match (ours, theirs) {
        (Ok(ours), Some(theirs)) => {
            let explained = ours == theirs || understood_differently(letter, payload, &ours, &theirs);
            assert!(explained, "{}: {ours:?} {theirs:?}", shown());
        }
        (Ok(_), None) => assert!(only_we_take(letter, payload), "only we take {}", shown()),
        (Err(why), Some(_)) => {
            assert!(only_they_take(letter, payload, why), "only they take {}: {why}", shown());
        }
        (Err(_), None) => {}
    }
}

const COMMANDS: &[u8] = b"ODCHMRTLNBEAQKU";
const REPLIES: &[u8] = b"Ocadrtysp+2-bhimeq4fl";

/// Payloads of the parts that real ones are made of, in any order.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        6 => Just(b"\0".to_vec()),
        2 => Just(b"<a@b>\0".to_vec()),
        1 => Just(b"550 5.7.1 No\0".to_vec()),
        1 => Just(b"451-4.7.1 a\r\n451 4.7.1 b".to_vec()),
        1 => Just(b"450 ".to_vec()),
        1 => Just(b"250 ok\0".to_vec()),
        1 => Just(b"4\x12\x34192.0.2.1\0".to_vec()),
        1 => Just(b"6\0\x19IPv6:2001:db8::1\0".to_vec()),
        1 => Just(b"L\0\0/run/x\0".to_vec()),
        1 => Just(b"U".to_vec()),
        1 => Just(b"\0\0\0\x02".to_vec()),
        1 => Just(b"\x80\0\0\x01".to_vec()),
        2 => vec(b' '..=b'~', 0..8),
        1 => vec(any::<u8>(), 0..14),
    ];
    vec(part, 0..5).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn commands(letter in prop::sample::select(COMMANDS), payload in payload()) {
        compare(letter, &payload, our_command(letter, &payload), their_command(letter, &payload));
    }

    #[test]
    fn replies(letter in prop::sample::select(REPLIES), payload in payload()) {
        compare(letter, &payload, our_reply(letter, &payload), their_reply(letter, &payload));
    }
}

/// A frame of theirs, as its bytes stand on the wire.
fn their_frame(message: &impl Writable) -> BytesMut {
    let payload = written(message);
    assert_eq!(payload.len(), message.len());
    let mut wire = BytesMut::from(&millstream_core::wire::head(message.code(), payload.len())[..]);
    wire.extend_from_slice(&payload);
    wire
}

fn received(wire: BytesMut) -> (u8, Bytes) {
    let mut decoder = Decoder::new(1 << 20);
    decoder.receive(wire);
    let frame = decoder.next_frame().unwrap().unwrap();
    assert!(decoder.is_empty());
    (frame.letter(), frame.contiguous())
}

/// A command of theirs, understood by us.
fn command(message: &impl Writable) -> Command {
    let (letter, payload) = received(their_frame(message));
    Command::decode(letter, payload).unwrap()
}

/// A reply of theirs, understood by us.
fn reply(message: &impl Writable) -> Reply {
    let (letter, payload) = received(their_frame(message));
    Reply::decode(letter, payload).unwrap()
}

fn text(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[test]
fn commands_that_they_send() {
    let connect = |family, port, address: &str| match command(&theirs::Connect::new(
        b"h.test",
        family,
        port,
        address.as_bytes(),
    )) {
        Command::Connect(info) => {
            assert_eq!(info.host, "h.test");
            info.address
        }
        other => panic!("{other:?}"),
    };
    let v4 = ClientAddress::Ip("192.0.2.1".parse().unwrap(), 4660);
    let v6 = ClientAddress::Ip("2001:db8::1".parse().unwrap(), 25);
    assert_eq!(connect(theirs::Family::Inet, Some(4660), "192.0.2.1"), v4);
    assert_eq!(connect(theirs::Family::Inet6, Some(25), "2001:db8::1"), v6);
    assert_eq!(connect(theirs::Family::Inet6, Some(25), "ipv6:2001:db8::1"), v6);
    assert_eq!(connect(theirs::Family::Unix, None, "/run/x"), ClientAddress::Unix(text("/run/x")));
    assert_eq!(connect(theirs::Family::Unknown, None, ""), ClientAddress::Unknown);

    assert_eq!(command(&theirs::Helo::from(&b"h.test"[..])), Command::Helo(text("h.test")));
    assert_eq!(command(&theirs::Helo::from(&b""[..])), Command::Helo(text("")));
    assert_eq!(command(&theirs::Mail::from(&b"<>"[..])), Command::Mail(text("<>\0")));
    assert_eq!(command(&theirs::Recipient::from(&b"<c@d>"[..])), Command::Rcpt(text("<c@d>\0")));
    assert_eq!(command(&theirs::Data), Command::Data);
    assert_eq!(
        command(&theirs::Header::new(b"To", b" c@d\n\te@f")),
        Command::Header { name: text("To"), value: text(" c@d\n\te@f") }
    );
    assert_eq!(command(&theirs::EndOfHeader), Command::EndOfHeaders);
    assert_eq!(command(&theirs::Body::from(&b"hi\r\n\0"[..])), Command::Body(text("hi\r\n\0")));
    assert_eq!(command(&theirs::EndOfBody), Command::EndOfMessage(text("")));
    assert_eq!(command(&theirs::Unknown::from(&b"XCMD a"[..])), Command::Unknown(text("XCMD a")));
    assert_eq!(command(&their_actions::Abort), Command::Abort);
    assert_eq!(command(&their_actions::Quit), Command::Quit);
    assert_eq!(command(&their_actions::QuitNc), Command::QuitNc);
}

#[test]
fn replies_that_they_send() {
    assert_eq!(reply(&their_actions::Continue), Reply::Final(Final::Continue));
    assert_eq!(reply(&their_actions::Discard), Reply::Final(Final::Discard));
    assert_eq!(reply(&their_actions::Reject), Reply::Final(Final::Reject));
    assert_eq!(reply(&their_actions::Tempfail), Reply::Final(Final::TemporaryFailure));
    assert_eq!(reply(&their_actions::Skip), Reply::Final(Final::Skip));
    assert_eq!(
        reply(&their_actions::Replycode::new([5, 5, 0], [5, 7, 1], "No")),
        Reply::Final(Final::ReplyCode(text("550 5.7.1 No")))
    );
    assert_eq!(
        reply(&their_actions::Replycode::without_xcode([4, 2, 1], "bye")),
        Reply::Final(Final::ReplyCode(text("421 bye")))
    );
    assert_eq!(
        reply(&their_edits::recipients::AddRecipient::new(b"<c@d>")),
        Reply::Edit(Edit::AddRecipient(text("<c@d>")))
    );
    assert_eq!(
        reply(&their_edits::recipients::DeleteRecipient::new(b"<c@d>")),
        Reply::Edit(Edit::DeleteRecipient(text("<c@d>")))
    );
    assert_eq!(
        reply(&their_edits::body::ReplaceBody::new(b"new\r\n")),
        Reply::Edit(Edit::ReplaceBody(text("new\r\n")))
    );
    assert_eq!(
        reply(&their_edits::headers::AddHeader::new(b"X-T", b"1")),
        Reply::Edit(Edit::AddHeader(text("X-T"), text("1")))
    );
    assert_eq!(
        reply(&their_edits::headers::InsertHeader::new(0, b"X-T", b"1")),
        Reply::Edit(Edit::InsertHeader(0, text("X-T"), text("1")))
    );
    assert_eq!(
        reply(&their_edits::headers::ChangeHeader::new(2, b"X-T", b"")),
        Reply::Edit(Edit::ChangeHeader(2, text("X-T"), text("")))
    );
    assert_eq!(
        reply(&their_edits::quarantine::Quarantine::new(b"held")),
        Reply::Edit(Edit::Quarantine(text("held")))
    );
}

#[test]
fn negotiations_that_they_send() {
    let offer = OptNeg {
        version: 6,
        capabilities: Capability::all(),
        protocol: Protocol::all(),
        macro_stages: Default::default(),
    };
    let Command::Negotiate(negotiation) = command(&offer) else { panic!("not an offer") };
    assert_eq!((negotiation.version, negotiation.actions.0, negotiation.protocol.0), (6, 0xff, 0x1f_ffff));
    assert_eq!(negotiation.macro_lists, []);
    let mut answer = offer;
    answer.macro_stages.with_stage(MacroStage::Connect, &["j", "{daemon_name}"]);
    answer.macro_stages.with_stage(MacroStage::EndOfBody, &["i"]);
    let Reply::Negotiate(negotiation) = reply(&answer) else { panic!("not an answer") };
    assert_eq!(negotiation.macro_list(millstream_core::wire::Stage::Connect), Some(&b"j {daemon_name}"[..]));
    assert_eq!(negotiation.macro_list(millstream_core::wire::Stage::EndOfMessage), Some(&b"i"[..]));
}

#[test]
fn every_difference_of_the_table_is_one() {
    let commands: [(u8, &[u8]); 10] = [
        (b'O', b"\0\0\0\x06\0\0\0\0\0\0\0\0more"),
        (b'C', b"h\x004\0\x19192.0.2.1"),
        (b'H', b"a\0b\0"),
        (b'M', b"<a@b>\0SIZE=1"),
        (b'R', b"<a@b>\0NOTIFY=NEVER"),
        (b'L', b"To\0a\0b"),
        (b'L', b"\0a\0"),
        (b'U', b"X\0Y"),
        (b'T', b"x"),
        (b'Q', b"x"),
    ];
    for (letter, payload) in commands {
        let (ours, theirs) = (our_command(letter, payload), their_command(letter, payload));
        assert_ne!(ours.is_ok(), theirs.is_some(), "{} {}", char::from(letter), payload.escape_ascii());
        compare(letter, payload, ours, theirs);
    }
    let replies: [(u8, &[u8]); 15] = [
        (b'O', b"\0\0\0\x06\0\0\0\0\0\0\0\0\0\0\0\x02i\0"),
        (b'h', b"\0a\0"),
        (b'i', b"\x80\0\0\0X\0\0"),
        (b'm', b"\0\0\0\x01X\0\0y"),
        (b'+', b"a\0b"),
        (b'-', b"a\0b"),
        (b'c', b"x"),
        (b'y', b"550 no NUL"),
        (b'y', b"250 ok\0"),
        (b'y', b"550-x\0"),
        (b'a', b""),
        (b'p', b""),
        (b'4', b""),
        (b'2', b"<a@b>\0"),
        (b'e', b"<a@b>\0X=1\0"),
    ];
    for (letter, payload) in replies {
        let (ours, theirs) = (our_reply(letter, payload), their_reply(letter, payload));
        assert_ne!(ours.is_ok(), theirs.is_some(), "{} {}", char::from(letter), payload.escape_ascii());
        compare(letter, payload, ours, theirs);
    }
    for (letter, payload) in [(b'E', &b"tail"[..]), (b'C', b"h\0L\0\0/run/x\0"), (b'C', b"h\0U")] {
        assert_ne!(our_command(letter, payload).ok(), their_command(letter, payload));
    }
    assert_ne!(our_reply(b'q', b"held\0").ok(), their_reply(b'q', b"held\0"));
    assert!(our_reply(b'A', b"").is_err() && their_reply(b'A', b"").is_some());
}
