//! What the milter was told, as milter manager's program prints it.

use millstream_core::wire::{ClientAddress, Command, Negotiation, bare, first_string, pairs};

use crate::flags;

/// The line of a command; none for macros, which are printed with theirs.
pub(super) fn command(command: &Command) -> Vec<u8> {
    match command {
        Command::Negotiate(offer) => negotiation(offer).into_bytes(),
        Command::Connect(info) => {
            [b"connect: host=<", &info.host[..], b">, address=<", &address(&info.address), b">\n"].concat()
        }
        Command::Helo(name) => in_brackets("helo", name),
        Command::Mail(strings) => in_brackets("envelope-from", first_string(strings)),
        Command::Rcpt(strings) => in_brackets("envelope-recipient", first_string(strings)),
        Command::Data => b"data\n".to_vec(),
        Command::Header { name, value } => [b"header: <", &name[..], b": ", value, b">\n"].concat(),
        Command::EndOfHeaders => b"end-of-header\n".to_vec(),
        Command::Body(piece) => in_brackets("body", piece),
        Command::EndOfMessage(piece) if piece.is_empty() => b"end-of-message\n".to_vec(),
        Command::EndOfMessage(piece) => in_brackets("end-of-message", piece),
        Command::Unknown(line) => in_brackets("unknown", line),
        Command::Abort => b"abort\n".to_vec(),
        Command::Macros { .. } | Command::Quit | Command::QuitNc => Vec::new(),
    }
}

/// The macros of a command: names and values, each with its NUL.
pub(super) fn macros(set: &[u8]) -> Vec<u8> {
    let mut text = b"macros:\n".to_vec();
    for (name, value) in pairs(set) {
        text.extend_from_slice(&[b"  ", bare(name), b"=", value, b"\n"].concat());
    }
    text
}

fn in_brackets(what: &str, text: &[u8]) -> Vec<u8> {
    [what.as_bytes(), b": <", text, b">\n"].concat()
}

fn negotiation(offer: &Negotiation) -> String {
    format!(
        "negotiate: version=<{}>, action=<{}>, step=<{}>\n",
        offer.version,
        flags::shown_actions(offer.actions),
        flags::shown_steps(offer.protocol)
    )
}

/// As a connection specification.
fn address(address: &ClientAddress) -> Vec<u8> {
    match address {
        ClientAddress::Ip(address, port) => {
            let family = if address.is_ipv4() { "inet" } else { "inet6" };
            format!("{family}:{port}@[{address}]").into_bytes()
        }
        ClientAddress::OddIp { port, text, .. } => {
            [b"inet:", port.to_string().as_bytes(), b"@[", text, b"]"].concat()
        }
        ClientAddress::Unix(path) => [b"unix:", &path[..]].concat(),
        ClientAddress::Unknown => b"unknown".to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use millstream_core::wire::{Actions, ConnectInfo, Protocol};

    use super::*;

    fn line(command_: &Command) -> String {
        String::from_utf8(command(command_)).unwrap()
    }

    const fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn each_event_is_the_line_that_scripts_know() {
        let offer = Negotiation {
            version: 6,
            actions: Actions::ADD_HEADERS.with(Actions::CHANGE_BODY),
            protocol: Protocol::NO_CONNECT.with(Protocol::SKIP),
            macro_lists: Vec::new(),
        };
        let connect = |address| Command::Connect(ConnectInfo { host: bytes("mx.example.net"), address });
        let ip = |text: &str| ClientAddress::Ip(text.parse().unwrap(), 50443);
        let cases = [
            (
                Command::Negotiate(offer),
                "negotiate: version=<6>, action=<add-headers|change-body>, step=<no-connect|skip>\n",
            ),
            (
                connect(ip("192.168.123.123")),
                "connect: host=<mx.example.net>, address=<inet:50443@[192.168.123.123]>\n",
            ),
            (connect(ip("::1")), "connect: host=<mx.example.net>, address=<inet6:50443@[::1]>\n"),
            (
                connect(ClientAddress::Unix(bytes("/a"))),
                "connect: host=<mx.example.net>, address=<unix:/a>\n",
            ),
            (connect(ClientAddress::Unknown), "connect: host=<mx.example.net>, address=<unknown>\n"),
            (Command::Helo(bytes("delian")), "helo: <delian>\n"),
            (
                Command::Mail(bytes("<sender@example.com>\0SIZE=1\0")),
                "envelope-from: <<sender@example.com>>\n",
            ),
            (
                Command::Rcpt(bytes("<receiver@example.org>\0")),
                "envelope-recipient: <<receiver@example.org>>\n",
            ),
            (Command::Data, "data\n"),
            (
                Command::Header { name: bytes("From"), value: bytes("<sender@example.com>") },
                "header: <From: <sender@example.com>>\n",
            ),
            (Command::EndOfHeaders, "end-of-header\n"),
            (Command::Body(bytes("La de\nda")), "body: <La de\nda>\n"),
            (Command::EndOfMessage(bytes("")), "end-of-message\n"),
            (Command::EndOfMessage(bytes("last")), "end-of-message: <last>\n"),
            (Command::Unknown(bytes("NOOP")), "unknown: <NOOP>\n"),
            (Command::Abort, "abort\n"),
            (Command::Quit, ""),
        ];
        for (command, text) in cases {
            assert_eq!(line(&command), text);
        }
    }

    #[test]
    fn macros_stand_without_their_braces() {
        let set = b"{daemon_name}\0milter-test-server\0j\0mail.example.com\0";
        assert_eq!(macros(set), b"macros:\n  daemon_name=milter-test-server\n  j=mail.example.com\n");
    }
}
