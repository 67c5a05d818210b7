//! Section 11 of the specification: whole frames in hex, and what they say.

use bytes::Bytes;
use millstream_core::wire::{
    Actions, ClientAddress, Command, ConnectInfo, Edit, Final, Negotiation, Protocol, Reply, Stage,
};

/// What a frame says, by who sends it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Message {
    /// The MTA.
    Command(Command),
    /// The milter.
    Reply(Reply),
}

/// One line of the specification.
pub(crate) struct Example {
    pub(crate) name: &'static str,
    pub(crate) frame: Vec<u8>,
    pub(crate) message: Message,
}

/// Bytes of a text of hex pairs.
pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    hex.split_whitespace().map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn command(name: &'static str, hex: &str, command: Command) -> Example {
    Example { name, frame: bytes(hex), message: Message::Command(command) }
}

fn reply(name: &'static str, hex: &str, reply: Reply) -> Example {
    Example { name, frame: bytes(hex), message: Message::Reply(reply) }
}

fn text(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn connect(address: ClientAddress) -> Command {
    Command::Connect(ConnectInfo { host: text("h.test"), address })
}

fn negotiation(actions: u32, protocol: u32, macro_lists: Vec<(Stage, Bytes)>) -> Negotiation {
    Negotiation { version: 6, actions: Actions(actions), protocol: Protocol(protocol), macro_lists }
}

/// The line that is not encoded as it came: Sendmail's prefix of an IPv6 address is not kept.
pub(crate) const NOT_KEPT: &str = "C IPv6 Sendmail style";

/// All lines of the table, in its order.
pub(crate) fn examples() -> Vec<Example> {
    let v6 = ClientAddress::Ip("2001:db8::1".parse().unwrap(), 25);
    vec![
        command(
            "O offer v6, all Postfix/Sendmail actions, all steps",
            "00 00 00 0d 4f 00 00 00 06 00 00 01 ff 00 1f ff ff",
            Command::Negotiate(negotiation(0x1ff, 0x1f_ffff, vec![])),
        ),
        reply(
            "O reply v6, add+change headers, no body, no header replies",
            "00 00 00 0d 4f 00 00 00 06 00 00 00 11 00 00 00 90",
            Reply::Negotiate(negotiation(0x11, 0x90, vec![])),
        ),
        reply(
            "O reply v6 with SETSYMLIST for MAIL",
            "00 00 00 1f 4f 00 00 00 06 00 00 01 01 00 00 00 00 00 00 00 02 69 20 7b 61 75 74 68 5f 74 79 70 65 7d 00",
            Reply::Negotiate(negotiation(0x101, 0, vec![(Stage::Mail, text("i {auth_type}"))])),
        ),
        command(
            "D for connect: j, {daemon_name}",
            "00 00 00 1d 44 43 6a 00 6d 78 2e 74 65 73 74 00 7b 64 61 65 6d 6f 6e 5f 6e 61 6d 65 7d 00 64 31 00",
            Command::Macros { letter: b'C', pairs: text("j\0mx.test\0{daemon_name}\0d1\0") },
        ),
        command(
            "D for DATA, no macros (Postfix style)",
            "00 00 00 02 44 54",
            Command::Macros { letter: b'T', pairs: text("") },
        ),
        command(
            "C IPv4 203.0.113.7 port 4660",
            "00 00 00 17 43 68 2e 74 65 73 74 00 34 12 34 32 30 33 2e 30 2e 31 31 33 2e 37 00",
            connect(ClientAddress::Ip("203.0.113.7".parse().unwrap(), 4660)),
        ),
        command(
            NOT_KEPT,
            "00 00 00 1c 43 68 2e 74 65 73 74 00 36 00 19 49 50 76 36 3a 32 30 30 31 3a 64 62 38 3a 3a 31 00",
            connect(v6.clone()),
        ),
        command(
            "C IPv6 Postfix style",
            "00 00 00 17 43 68 2e 74 65 73 74 00 36 00 19 32 30 30 31 3a 64 62 38 3a 3a 31 00",
            connect(v6),
        ),
        command(
            "C unknown family",
            "00 00 00 09 43 68 2e 74 65 73 74 00 55",
            connect(ClientAddress::Unknown),
        ),
        command("H", "00 00 00 08 48 68 2e 74 65 73 74 00", Command::Helo(text("h.test"))),
        command(
            "M with two ESMTP args",
            "00 00 00 1c 4d 3c 61 40 62 3e 00 53 49 5a 45 3d 39 00 42 4f 44 59 3d 38 42 49 54 4d 49 4d 45 00",
            Command::Mail(text("<a@b>\0SIZE=9\0BODY=8BITMIME\0")),
        ),
        command("M null sender", "00 00 00 04 4d 3c 3e 00", Command::Mail(text("<>\0"))),
        command("R", "00 00 00 07 52 3c 63 40 64 3e 00", Command::Rcpt(text("<c@d>\0"))),
        command("T", "00 00 00 01 54", Command::Data),
        command(
            "L without leading-space option",
            "00 00 00 08 4c 54 6f 00 63 40 64 00",
            Command::Header { name: text("To"), value: text("c@d") },
        ),
        command(
            "L with leading-space option",
            "00 00 00 09 4c 54 6f 00 20 63 40 64 00",
            Command::Header { name: text("To"), value: text(" c@d") },
        ),
        command("N", "00 00 00 01 4e", Command::EndOfHeaders),
        command("B \"hi\" CRLF", "00 00 00 05 42 68 69 0d 0a", Command::Body(text("hi\r\n"))),
        command("E without data", "00 00 00 01 45", Command::EndOfMessage(text(""))),
        command("A", "00 00 00 01 41", Command::Abort),
        command("K", "00 00 00 01 4b", Command::QuitNc),
        command("Q", "00 00 00 01 51", Command::Quit),
        reply("c", "00 00 00 01 63", Reply::Final(Final::Continue)),
        reply(
            "y single line",
            "00 00 00 0e 79 35 35 30 20 35 2e 37 2e 31 20 4e 6f 00",
            Reply::Final(Final::ReplyCode(text("550 5.7.1 No"))),
        ),
        reply(
            "y two lines",
            "00 00 00 26 79 34 35 31 2d 34 2e 37 2e 31 20 42 75 73 79 0d 0a 34 35 31 20 34 2e 37 2e 31 20 31 30 30 \
             25 25 20 66 75 6c 6c 00",
            Reply::Final(Final::ReplyCode(text("451-4.7.1 Busy\r\n451 4.7.1 100%% full"))),
        ),
        reply(
            "h add header",
            "00 00 00 08 68 58 2d 54 00 20 31 00",
            Reply::Edit(Edit::AddHeader(text("X-T"), text(" 1"))),
        ),
        reply(
            "i insert at top",
            "00 00 00 0c 69 00 00 00 00 58 2d 54 00 20 31 00",
            Reply::Edit(Edit::InsertHeader(0, text("X-T"), text(" 1"))),
        ),
        reply(
            "m delete 2nd Received",
            "00 00 00 0f 6d 00 00 00 02 52 65 63 65 69 76 65 64 00 00",
            Reply::Edit(Edit::ChangeHeader(2, text("Received"), text(""))),
        ),
        reply(
            "e change sender with args",
            "00 00 00 0f 65 3c 73 40 74 3e 00 45 4e 56 49 44 3d 31 00",
            Reply::Edit(Edit::ChangeFrom(text("<s@t>"), Some(text("ENVID=1")))),
        ),
        reply(
            "2 add recipient with args",
            "00 00 00 14 32 3c 75 40 76 3e 00 4e 4f 54 49 46 59 3d 4e 45 56 45 52 00",
            Reply::Edit(Edit::AddRecipientPar(text("<u@v>"), Some(text("NOTIFY=NEVER")))),
        ),
        reply(
            "- delete recipient",
            "00 00 00 07 2d 3c 63 40 64 3e 00",
            Reply::Edit(Edit::DeleteRecipient(text("<c@d>"))),
        ),
        reply(
            "b replacement chunk",
            "00 00 00 06 62 6e 65 77 0d 0a",
            Reply::Edit(Edit::ReplaceBody(text("new\r\n"))),
        ),
        reply("q quarantine", "00 00 00 06 71 68 65 6c 64 00", Reply::Edit(Edit::Quarantine(text("held")))),
        reply("p progress", "00 00 00 01 70", Reply::Progress),
    ]
}
