//! The same delivered mail: children one after another directly in the MTA, and our edits at the end, come to the same.
//!
//! The model knows nothing of header identities, views or frames. It is the message as Postfix keeps it, and the header as
//! Sendmail does: a list of lines that each request changes at once.

mod postfix;
mod sendmail;

use bytes::Bytes;
use millstream_core::message::{Content, HeaderRules, ViewId};
use millstream_core::wire::{Actions, Chunks, Edit, Frame};
use proptest::collection::vec;
use proptest::prelude::*;

use postfix::Postfix;
use sendmail::SendmailHeader;

/// One milter: its rights, whether it asked for leading spaces, and what it does.
#[derive(Debug, Clone)]
struct Script {
    actions: Actions,
    leading_space: bool,
    edits: Vec<Edit>,
}

/// Few names, so that they meet often, in several cases; one is that of the header which Postfix hides.
fn name() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        Just("A"),
        Just("a"),
        Just("B"),
        Just("Received"),
        Just("RECEIVED"),
        Just("X-New"),
        Just("x-new"),
        Just("Ab"),
        Just("Date"),
        Just("From")
    ]
    .prop_map(Bytes::from)
}

fn value() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        4 => "[a-c]{1,2}",
        1 => Just(String::new()),
        1 => Just(" ".to_owned()),
        1 => " {1,2}[a-c]",
        1 => Just("\tt".to_owned()),
        1 => Just("a\n\tfolded".to_owned()),
    ]
    .prop_map(Bytes::from)
}

fn index() -> impl Strategy<Value = u32> {
    prop_oneof![9 => 0..8_u32, 1 => Just(0x7fff_ffff)]
}

fn piece() -> impl Strategy<Value = Bytes> {
    let large = (16_000..70_000_usize, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]);
    prop_oneof![30 => vec(any::<u8>(), 0..20), 1 => large].prop_map(Bytes::from)
}

fn address() -> impl Strategy<Value = Bytes> {
    "<[a-d]>".prop_map(Bytes::from)
}

fn edit() -> impl Strategy<Value = Edit> {
    let arguments = || proptest::option::of("[A-C]=1".prop_map(Bytes::from));
    prop_oneof![
        4 => (name(), value()).prop_map(|(name, value)| Edit::AddHeader(name, value)),
        8 => (index(), name(), value()).prop_map(|(index, name, value)| Edit::InsertHeader(index, name, value)),
        8 => (index(), name(), value()).prop_map(|(index, name, value)| Edit::ChangeHeader(index, name, value)),
        6 => (0..4_u32, name()).prop_map(|(index, name)| Edit::ChangeHeader(index, name, Bytes::new())),
        1 => piece().prop_map(Edit::ReplaceBody),
        1 => address().prop_map(Edit::AddRecipient),
        1 => (address(), arguments()).prop_map(|(address, arguments)| Edit::AddRecipientPar(address, arguments)),
        1 => address().prop_map(Edit::DeleteRecipient),
        1 => (address(), arguments()).prop_map(|(address, arguments)| Edit::ChangeFrom(address, arguments)),
        1 => "[a-c]".prop_map(|reason| Edit::Quarantine(Bytes::from(reason))),
    ]
}

fn script(leading_space: bool) -> impl Strategy<Value = Script> {
    let actions = prop_oneof![3 => Just(Actions::ALL), 1 => (0..0x200_u32).prop_map(Actions)];
    (actions, any::<bool>(), vec(edit(), 0..12)).prop_map(move |(actions, asks, edits)| Script {
        actions,
        leading_space: leading_space && asks,
        edits,
    })
}

/// Headers as they were received, with everything behind the colon.
fn headers() -> impl Strategy<Value = Vec<(Bytes, Bytes)>> {
    vec((name(), value()), 0..10)
}

/// Whether leading spaces were negotiated with Postfix, and the milters, of whom only then any may have asked for them.
fn milters() -> impl Strategy<Value = (bool, Vec<Script>)> {
    any::<bool>().prop_flat_map(|spaces| (Just(spaces), vec(script(spaces), 1..4)))
}

/// What a milter is shown.
fn shown(content: &Content, view: ViewId, leading_space: bool) -> Vec<(Vec<u8>, Vec<u8>)> {
    (0..)
        .map_while(|index| content.header(view, index))
        .map(|(name, value)| (name.to_vec(), content.to_child_value(value, leading_space).to_vec()))
        .collect()
}

fn body(content: &Content, view: ViewId) -> Vec<u8> {
    let runs = (0..).map_while(|index| content.chunks(view, index));
    runs.flat_map(Chunks::payloads).flatten().collect()
}

/// The group in which an edit stands in what is rendered. The changes of headers come in three.
fn group(edit: &Edit) -> u8 {
    match edit {
        Edit::ChangeHeader(_, _, value) if !value.is_empty() => 0,
        Edit::ChangeHeader(..) => 1,
        Edit::InsertHeader(..) => 2,
        Edit::AddHeader(..) => 3,
        Edit::ReplaceBody(_) => 4,
        Edit::ChangeFrom(..) => 5,
        Edit::AddRecipient(_) | Edit::AddRecipientPar(..) | Edit::DeleteRecipient(_) => 6,
        Edit::Quarantine(_) => 7,
    }
}

/// Does in Sendmail what a milter asks for.
fn apply_in_sendmail(header: &mut SendmailHeader, edits: &[Edit], leading_space: bool) {
    let space: &[u8] = if leading_space { b"" } else { b" " };
    let raw = |value: &Bytes| [space, value].concat();
    header.begin();
    for edit in edits {
        match edit {
            Edit::AddHeader(name, value) => header.add(name, raw(value)),
            Edit::InsertHeader(index, name, value) => header.insert(index.cast_signed(), name, raw(value)),
            Edit::ChangeHeader(index, name, value) => {
                header.change(index.cast_signed(), name, (!value.is_empty()).then(|| raw(value)));
            }
            _ => {}
        }
    }
}

/// The headers that a milter is shown: one space goes unless it has asked for it.
fn shown_by_sendmail(header: &SendmailHeader, leading_space: bool) -> Vec<(Vec<u8>, Vec<u8>)> {
    let value = |raw: Vec<u8>| match &raw[..] {
        [b' ', rest @ ..] if !leading_space => rest.to_vec(),
        _ => raw,
    };
    header.visible().into_iter().map(|(name, raw)| (name, value(raw))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]

    #[test]
    fn the_same_mail_is_delivered(
        (spaces, milters) in milters(),
        received in headers(),
        chunks in vec(piece(), 0..3),
    ) {
        let fresh = Postfix::new(&received, &chunks);
        let mut content = Content::new(spaces);
        for (name, value) in fresh.headers_for(spaces) {
            content.receive_header(&name, &value);
        }
        for chunk in &chunks {
            content.receive_body(Frame::new(b'B', chunk.clone()));
        }

        let mut direct = fresh.clone();
        for milter in &milters {
            let view = content.latest_view();
            prop_assert_eq!(
                shown(&content, view, milter.leading_space),
                direct.headers_for(milter.leading_space)
            );
            prop_assert_eq!(body(&content, view), direct.body());

            let granted: Vec<Edit> =
                milter.edits.iter().filter(|edit| postfix::is_granted(edit, milter.actions)).cloned().collect();
            direct.apply(&granted, milter.leading_space);
            let applied = content.commit(milter.edits.clone(), milter.actions, milter.leading_space);
            prop_assert_eq!(applied, granted.len());
        }

        let rendered = content.render(Actions::ALL);
        let mut delivered = fresh;
        delivered.apply(&rendered, spaces);
        prop_assert_eq!(&delivered, &direct, "rendered: {:?}", &rendered);
        prop_assert!(rendered.is_sorted_by_key(group), "{:?}", rendered);
        // Nothing that undoes itself.
        if received.is_empty() {
            prop_assert!(rendered.iter().all(|edit| group(edit) > 1), "{:?}", rendered);
        }
    }

    #[test]
    fn the_same_header_is_delivered_by_sendmail((spaces, milters) in milters(), received in headers()) {
        let mut fresh = SendmailHeader::new();
        for (name, raw) in &received {
            fresh.receive(name, raw);
        }
        let mut content = Content::new(spaces).with_rules(HeaderRules::Sendmail);
        for (name, value) in shown_by_sendmail(&fresh, spaces) {
            content.receive_header(&name, &value);
        }

        let mut direct = fresh.clone();
        for milter in &milters {
            let view = content.latest_view();
            prop_assert_eq!(
                shown(&content, view, milter.leading_space),
                shown_by_sendmail(&direct, milter.leading_space)
            );
            let granted: Vec<Edit> =
                milter.edits.iter().filter(|edit| postfix::is_granted(edit, milter.actions)).cloned().collect();
            apply_in_sendmail(&mut direct, &granted, milter.leading_space);
            content.commit(milter.edits.clone(), milter.actions, milter.leading_space);
        }

        let rendered = content.render(Actions::ALL);
        let mut delivered = fresh;
        apply_in_sendmail(&mut delivered, &rendered, spaces);
        prop_assert_eq!(delivered.delivered(), direct.delivered(), "rendered: {:?}", &rendered);
    }
}
