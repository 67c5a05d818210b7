//! Macros go to a milter as far as it listed them.

use bytes::Bytes;
use millstream_core::client::Client;
use millstream_core::wire::{Actions, Command, Protocol, Stage, pairs};

use super::dialogue::{answered, commands, full_offer, negotiated, negotiation, talk, written};

const SET: &[u8] = b"i\0queue\0{auth_type}\0plain\0{daemon_name}\0smtp\0j\0mx\0";

fn with_lists(lists: &[(Stage, &'static [u8])]) -> Client {
    let mut answer = negotiation(6, Actions::MACRO_LISTS, Protocol::NONE);
    answer.macro_lists = lists.iter().map(|(stage, list)| (*stage, Bytes::from_static(list))).collect();
    answered(&answer).unwrap()
}

fn extra(extra: &[(&'static str, &'static str)]) -> Vec<(Bytes, Bytes)> {
    extra.iter().map(|(name, value)| (Bytes::from(*name), Bytes::from(*value))).collect()
}

/// The macros that were sent, as `letter: name=value ...` for each frame.
fn sent(client: &mut Client) -> Vec<String> {
    let text = |command: Command| match command {
        Command::Macros { letter, pairs: set } => {
            let pair = |(name, value): (&[u8], &[u8])| {
                format!(" {}={}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
            };
            format!("{}:{}", char::from(letter), pairs(&set).map(pair).collect::<String>())
        }
        other => format!("{other:?}"),
    };
    commands(client).into_iter().map(text).collect()
}

#[test]
fn a_list_chooses_whatever_its_braces() {
    let all = "M: i=queue {auth_type}=plain {daemon_name}=smtp j=mx";
    let cases: [(&[u8], &str); 9] = [
        (b"i {auth_type}", "M: i=queue {auth_type}=plain"),
        (b"{i} auth_type", "M: i=queue {auth_type}=plain"),
        (b"j  i ", "M: i=queue j=mx"),
        (b"{daemon_name}", "M: {daemon_name}=smtp"),
        (b"{no_such}", "M:"),
        (b"AUTH_TYPE", "M:"),
        (b"i,j", "M:"),
        // An empty list means the MTA's own, as Postfix has it.
        (b"", all),
        (b"  ", all),
    ];
    for (list, expected) in cases {
        let mut client = with_lists(&[(Stage::Mail, list)]);
        client.macros(b'M', SET, &[]);
        assert_eq!(sent(&mut client), [expected], "{}", String::from_utf8_lossy(list));
    }
}

#[test]
fn a_list_chooses_for_its_stage_only() {
    let mut client = with_lists(&[(Stage::Connect, b"j"), (Stage::EndOfHeaders, b"i")]);
    for letter in b"CHMRTLNBEU" {
        client.macros(*letter, b"i\0queue\0j\0mx\0", &[]);
    }
    let expected = [
        "C: j=mx",
        "H: i=queue j=mx",
        "M: i=queue j=mx",
        "R: i=queue j=mx",
        "T: i=queue j=mx",
        "L: i=queue j=mx",
        "N: i=queue",
        "B: i=queue j=mx",
        "E: i=queue j=mx",
        "U: i=queue j=mx",
    ];
    assert_eq!(sent(&mut client), expected);
}

#[test]
fn without_a_list_the_set_goes_on_as_it_came() {
    let mut client = negotiated(6, Protocol::NONE);
    client.macros(b'C', b"odd\0\0odd\0twice\0", &[]);
    assert_eq!(written(&mut client)[4..], *b"DCodd\0\0odd\0twice\0");
}

#[test]
fn an_empty_set_is_sent_as_postfix_does() {
    let mut client = negotiated(6, Protocol::NONE);
    client.macros(b'T', b"", &[]);
    assert_eq!(written(&mut client), *b"\0\0\0\x02DT");
}

#[test]
fn macros_set_for_this_milter_replace_and_add_and_keep_to_its_list() {
    let extra = extra(&[("i", "own"), ("shelf", "yes")]);
    let mut client = negotiated(6, Protocol::NONE);
    client.macros(b'M', b"i\0queue\0j\0mx\0", &extra);
    assert_eq!(sent(&mut client), ["M: j=mx i=own {shelf}=yes"]);

    let mut client = with_lists(&[(Stage::Mail, b"{shelf} j")]);
    client.macros(b'M', b"i\0queue\0j\0mx\0", &extra);
    assert_eq!(sent(&mut client), ["M: j=mx {shelf}=yes"]);
}

#[test]
fn sets_for_commands_that_repeat_are_sent_when_they_changed() {
    for letter in b"LBU" {
        let mut client = negotiated(6, Protocol::NONE);
        let name = char::from(*letter);
        let sets: [(&[u8], Option<&str>); 6] = [
            (b"", None),
            (b"i\0one\0", Some(": i=one")),
            (b"i\0one\0", None),
            (b"i\0two\0", Some(": i=two")),
            (b"", Some(":")),
            (b"i\0two\0", Some(": i=two")),
        ];
        for (set, expected) in sets {
            client.macros(*letter, set, &[]);
            let expected: Vec<String> = expected.iter().map(|text| format!("{name}{text}")).collect();
            assert_eq!(sent(&mut client), expected);
        }
    }
}

#[test]
fn sets_for_other_commands_are_sent_each_time() {
    for letter in b"CHMRTNE" {
        let mut client = negotiated(6, Protocol::NONE);
        for _ in 0..2 {
            client.macros(*letter, b"i\0one\0", &[]);
            assert_eq!(sent(&mut client).len(), 1);
        }
    }
}

#[test]
fn one_letter_does_not_hide_another() {
    let mut client = negotiated(6, Protocol::NONE);
    for letter in b"LBU" {
        client.macros(*letter, b"i\0one\0", &[]);
    }
    assert_eq!(sent(&mut client), ["L: i=one", "B: i=one", "U: i=one"]);
}

#[test]
fn macros_set_for_this_milter_are_a_change_too() {
    for letter in b"LBU" {
        let mut client = negotiated(6, Protocol::NONE);
        let name = char::from(*letter);
        let steps: [(&[u8], Option<&'static str>, Option<&str>); 6] = [
            (b"", Some("one"), Some(": {own}=one")),
            (b"", Some("one"), None),
            (b"", Some("two"), Some(": {own}=two")),
            (b"i\0queue\0", Some("two"), Some(": i=queue {own}=two")),
            (b"i\0queue\0", None, Some(": i=queue")),
            (b"i\0queue\0", None, None),
        ];
        for (set, own, expected) in steps {
            let extra: Vec<_> = own.iter().map(|value| (Bytes::from("own"), Bytes::from(*value))).collect();
            client.macros(*letter, set, &extra);
            let expected: Vec<String> = expected.iter().map(|text| format!("{name}{text}")).collect();
            assert_eq!(sent(&mut client), expected);
        }
    }
}

/// Macros hold until the message is over, so a milter may have forgotten them by the next.
#[test]
fn the_next_message_brings_its_macros_again() {
    let mut client = negotiated(6, Protocol::NONE);
    talk(&mut client, "CH");
    for _ in 0..2 {
        talk(&mut client, "MRT");
        written(&mut client);
        for _ in 0..2 {
            client.macros(b'L', b"{v}\x001\0", &[]);
        }
        assert_eq!(sent(&mut client), ["L: {v}=1"]);
        talk(&mut client, "LN");
        written(&mut client);
        for _ in 0..2 {
            client.macros(b'B', b"{v}\x001\0", &[]);
        }
        assert_eq!(sent(&mut client), ["B: {v}=1"]);
        talk(&mut client, "BE");
    }
}

#[test]
fn macros_come_again_behind_an_abort_even_without_an_envelope() {
    let mut client = negotiated(6, Protocol::NO_MAIL.with(Protocol::NO_RCPT));
    talk(&mut client, "CH");
    for _ in 0..2 {
        talk(&mut client, "T");
        written(&mut client);
        client.macros(b'L', b"{v}\x001\0", &[]);
        assert_eq!(sent(&mut client), ["L: {v}=1"]);
        client.abort();
    }
}

#[test]
fn lists_of_a_resumed_connection_hold() {
    let mut agreed = full_offer();
    agreed.macro_lists = vec![(Stage::Connect, Bytes::from_static(b"j"))];
    let mut client = Client::resumed(1 << 16, agreed);
    client.macros(b'C', SET, &[]);
    assert_eq!(sent(&mut client), ["C: j=mx"]);
}
