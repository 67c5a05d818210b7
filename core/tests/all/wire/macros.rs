//! Macros: sets per command, look-up over stages, what is forgotten when, what a child is sent.

use bytes::{Bytes, BytesMut};
use millstream_core::wire::{Command, Macros, Negotiation, Stage, bare, encode_macros, names, pairs};

/// Postfix's defaults for CONNECT, MAIL and RCPT.
fn macros() -> Macros {
    let mut macros = Macros::default();
    macros.set(b'C', b"j\0mx.test\0{daemon_name}\0smtpd\0v\0Postfix\0");
    macros.set(b'H', b"{tls_version}\0TLSv1.3\0");
    macros.set(b'M', b"{mail_addr}\0a@b\0");
    macros.set(b'R', b"i\x004Xq\0{rcpt_addr}\0c@d\0");
    macros
}

/// What a MACRO frame holds.
fn sent(set: &[u8], wanted: Option<&[u8]>, extra: &[(Bytes, Bytes)]) -> Vec<(String, String)> {
    let mut wire = BytesMut::new();
    encode_macros(&mut wire, b'C', set, wanted, extra);
    assert_eq!(wire[..4], u32::try_from(wire.len() - 4).unwrap().to_be_bytes());
    let Ok(Command::Macros { letter: b'C', pairs: sent }) =
        Command::decode(wire[4], wire.freeze().slice(5..))
    else {
        unreachable!("not a MACRO frame for CONNECT")
    };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    pairs(&sent).map(|(name, value)| (text(name), text(value))).collect()
}

fn extra(pairs: &[(&'static str, &'static str)]) -> Vec<(Bytes, Bytes)> {
    pairs.iter().map(|(name, value)| (Bytes::from(*name), Bytes::from(*value))).collect()
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

#[test]
fn values_are_found_in_all_stages_with_and_without_braces() {
    let macros = macros();
    for (name, value) in
        [("j", "mx.test"), ("daemon_name", "smtpd"), ("tls_version", "TLSv1.3"), ("i", "4Xq")]
    {
        assert_eq!(macros.value(name.as_bytes()), Some(value.as_bytes()), "{name}");
        assert_eq!(macros.value(format!("{{{name}}}").as_bytes()), Some(value.as_bytes()), "{name}");
    }
    assert_eq!(macros.value(b"auth_type"), None);
    assert_eq!(macros.value(b""), None);
}

#[test]
fn a_later_stage_hides_an_earlier_one_whatever_came_first() {
    let mut macros = Macros::default();
    macros.set(b'E', b"i\0end\0");
    macros.set(b'M', b"{i}\0mail\0");
    assert_eq!(macros.value(b"i"), Some(&b"end"[..]));
    macros.set(b'E', b"");
    assert_eq!(macros.value(b"i"), Some(&b"mail"[..]));
}

#[test]
fn a_new_set_replaces_the_old_one_of_its_command() {
    let mut macros = macros();
    macros.set(b'R', b"{rcpt_addr}\0e@f\0");
    assert_eq!(macros.value(b"rcpt_addr"), Some(&b"e@f"[..]));
    assert_eq!(macros.value(b"i"), None);
    assert_eq!(macros.get(b'R').unwrap(), &b"{rcpt_addr}\0e@f\0"[..]);
    macros.set(b'R', b"");
    assert_eq!(macros.get(b'R').unwrap(), &b""[..], "an empty set was sent, too");
    assert_eq!(macros.get(b'T'), None);
}

#[test]
fn the_same_set_again_is_not_copied() {
    let mut macros = Macros::default();
    macros.set(b'L', b"i\x004Xq\0");
    let at = macros.get(b'L').unwrap().as_ptr();
    macros.set(b'L', b"i\x004Xq\0");
    assert_eq!(macros.get(b'L').unwrap().as_ptr(), at);
    assert_eq!(macros.bytes(), 6);
}

/// It is kept beside the sets, and must never be another than what they say.
#[test]
fn the_version_is_the_macro_v_whatever_comes_and_is_forgotten() {
    const SETS: [&[u8]; 4] = [b"v\0Postfix\0", b"i\0id\0{v}\0Sendmail\0", b"i\0v\0", b""];
    // Every sequence of four steps: a set for one of three commands, or forgetting from one of two stages on.
    for mut steps in 0..14_u32.pow(4) {
        let mut macros = Macros::default();
        while steps > 0 {
            let step = steps as usize % 14;
            match step.checked_sub(12) {
                None => macros.set(b"XCM"[step % 3], SETS[step / 3]),
                Some(0) => macros.forget_from(Stage::Helo),
                Some(_) => macros.forget_from(Stage::Connect),
            }
            assert_eq!(macros.version(), macros.value(b"v"));
            steps /= 14;
        }
    }
}

#[test]
fn a_stage_is_forgotten_with_all_later_ones() {
    // A new MAIL: its own macros came before it, those of the last message go.
    let mut macros = macros();
    for letter in *b"TLNBEU?" {
        macros.set(letter, b"x\0y\0");
    }
    macros.forget_from(Stage::Rcpt);
    for letter in *b"RTLNBEU?" {
        assert_eq!(macros.get(letter), None, "{}", char::from(letter));
    }
    for letter in *b"CHM" {
        assert!(macros.get(letter).is_some(), "{}", char::from(letter));
    }
    macros.forget_from(Stage::Connect);
    assert_eq!(macros.bytes(), 0);
}

/// The order of the stages had no place for negotiation, and everything stayed.
#[test]
fn from_negotiation_on_is_everything() {
    let mut macros = macros();
    macros.forget_from(Stage::Negotiate);
    assert_eq!(macros.bytes(), 0);
}

#[test]
fn without_a_list_a_child_gets_the_set_as_it_is() {
    let set = b"j\0mx.test\0{daemon_name}\0smtpd\0odd name\0\0";
    assert_eq!(
        sent(set, None, &[]),
        owned(&[("j", "mx.test"), ("{daemon_name}", "smtpd"), ("odd name", "")])
    );
    assert_eq!(sent(b"", None, &[]), owned(&[]));
}

#[test]
fn with_a_list_a_child_gets_what_it_lists_in_the_order_of_the_set() {
    let set = b"j\0mx.test\0{daemon_name}\0smtpd\0v\0Postfix\0";
    assert_eq!(
        sent(set, Some(b" {v}  daemon_name {other}"), &[]),
        owned(&[("{daemon_name}", "smtpd"), ("v", "Postfix")])
    );
    assert_eq!(sent(set, Some(b"other"), &[]), owned(&[]));
}

#[test]
fn extra_macros_replace_those_of_the_mta_and_obey_the_list() {
    let set = b"j\0mx.test\0{client_name}\0spoofed\0";
    let extra = extra(&[("client_name", "real"), ("v", "Millstream"), ("helper", "1")]);
    assert_eq!(
        sent(set, None, &extra),
        owned(&[("j", "mx.test"), ("{client_name}", "real"), ("v", "Millstream"), ("{helper}", "1")])
    );
    assert_eq!(
        sent(set, Some(b"client_name j"), &extra),
        owned(&[("j", "mx.test"), ("{client_name}", "real")])
    );
}

#[test]
fn an_extra_macro_cannot_smuggle_in_another_one() {
    let extra = extra(&[("helper\0x", "1\0{auth_authen}\0root")]);
    assert_eq!(sent(b"", None, &extra), owned(&[("{helper}", "1")]));
}

#[test]
fn braces_are_taken_off_in_pairs_only() {
    for (name, inner) in
        [("{i}", "i"), ("i", "i"), ("{i", "{i"), ("i}", "i}"), ("{}", ""), ("{{i}}", "{i}"), ("", "")]
    {
        assert_eq!(bare(name.as_bytes()), inner.as_bytes(), "{name}");
    }
}

#[test]
fn a_list_is_names_between_spaces() {
    let listed: Vec<&[u8]> = names(b"  i {auth_type}   j ").collect();
    assert_eq!(listed, [&b"i"[..], b"auth_type", b"j"]);
    assert_eq!(names(b"   ").count(), 0);
}

#[test]
fn an_empty_list_is_no_list() {
    let lists = vec![(Stage::Mail, Bytes::from("  ")), (Stage::Rcpt, Bytes::from("i"))];
    let negotiation = Negotiation { macro_lists: lists, ..Negotiation::default() };
    assert_eq!(negotiation.macro_list(Stage::Mail), None);
    assert_eq!(negotiation.macro_list(Stage::Rcpt), Some(&b"i"[..]));
    assert_eq!(negotiation.macro_list(Stage::Connect), None);
}

#[test]
fn pairs_of_a_broken_set_end_where_it_breaks() {
    let read: Vec<_> = pairs(b"a\0b\0c\0").collect();
    assert_eq!(read, [(&b"a"[..], &b"b"[..])]);
    assert_eq!(pairs(b"a").count(), 0);
}
