//! The offer, the check of its answer, and what follows from it.

use bytes::Bytes;
use millstream_core::client::{Client, FromMilter};
use millstream_core::wire::facts::STAGES;
use millstream_core::wire::{Actions, Culprit, Fault, Negotiation, Protocol, Stage};

use super::dialogue::{
    LIMIT, answered, encoded, full_offer, letters, negotiated, negotiation, reply, send, talk, written,
};

#[test]
fn the_offer_is_the_first_thing_and_waits_for_its_answer() {
    let offer = negotiation(4, Actions(0x3f), Protocol(0x37f));
    let mut client = Client::new(LIMIT, &offer);
    assert_eq!(written(&mut client), encoded(&offer));
    assert_eq!(client.awaits(), Some(Stage::Negotiate));
    assert!(client.is_busy());
    assert_eq!(client.poll_reply(), Ok(None));
}

#[test]
fn the_answer_is_kept() {
    let mut answer = negotiation(5, Actions(0x11), Protocol(0x90));
    answer.macro_lists = vec![(Stage::Mail, Bytes::from_static(b"i {auth_type}"))];
    let client = answered(&answer).unwrap();
    assert_eq!(client.negotiated(), &answer);
    assert_eq!(client.awaits(), None);
    assert!(!client.is_busy());
}

#[test]
fn an_answer_lies_within_the_offer() {
    let offer = |version, actions| negotiation(version, Actions(actions), Protocol(0x7f));
    let version = |expected, came| Some(("version", expected, came));
    let actions = |expected, came| Some(("actions", expected, came));
    let cases = [
        (offer(6, 0x1ff), offer(6, 0x1ff), None),
        (offer(6, 0x1ff), offer(2, 0), None),
        (offer(2, 0x0f), offer(2, 0x0f), None),
        (offer(6, 0x1ff), offer(7, 0), version(6, 7)),
        (offer(4, 0x1ff), offer(6, 0), version(4, 6)),
        (offer(6, 0x1ff), offer(1, 0), version(6, 1)),
        (offer(6, 0x1ff), offer(0, 0), version(6, 0)),
        (offer(6, 0x1ff), offer(u32::MAX, 0), version(6, u32::MAX)),
        (offer(6, 0x3f), offer(6, 0x40), actions(0x3f, 0x40)),
        (offer(6, 0x3f), offer(6, 0x13f), actions(0x3f, 0x13f)),
        (offer(6, 0x1ff), offer(6, 0x200), actions(0x1ff, 0x200)),
        (offer(6, 0), offer(6, 1), actions(0, 1)),
    ];
    for (offer, answer, wrong) in cases {
        let mut client = Client::new(LIMIT, &offer);
        let bytes = encoded(&answer);
        let expected = match wrong {
            None => Ok(Some(FromMilter::Negotiated)),
            Some((what, expected, came)) => {
                Err(Fault::Negotiation { culprit: Culprit::Child, what, expected, came })
            }
        };
        assert_eq!(reply(&mut client, b'O', &bytes[5..]), expected, "{answer:?}");
        if wrong.is_some() {
            assert_eq!(reply(&mut client, b'O', &bytes[5..]), expected, "a fault stays");
        }
    }
}

#[test]
fn wishes_about_the_conversation_that_were_not_offered_are_granted() {
    // rspamd wants silence whatever was offered; Postfix does as it is told.
    let offer = negotiation(2, Actions::V1, Protocol(0x7f));
    let mut client = Client::new(LIMIT, &offer);
    let answer = negotiation(2, Actions::NONE, Protocol::NO_REPLY.with(Protocol::NO_DATA));
    reply(&mut client, b'O', &encoded(&answer)[5..]).unwrap();
    assert_eq!(client.negotiated().protocol, answer.protocol);
    assert!(!client.replies_to(Stage::Body));
}

#[test]
fn sizes_for_larger_frames_and_unknown_bits_are_dropped() {
    for bits in [0x1000_0000, 0x2000_0000, 0x4000_0000, 0x8000_0000, 0x00e0_0000, 0xffff_ffff] {
        let client = answered(&negotiation(6, Actions::NONE, Protocol(bits | 0x2))).unwrap();
        assert_eq!(client.negotiated().protocol, Protocol(bits | 0x2).and(Protocol::ALL));
    }
}

#[test]
fn each_wish_takes_its_command_away_in_every_version() {
    for version in 2..=6 {
        for fact in &STAGES[1..] {
            let all_others = fact.no_send.map_or(Protocol::NO_SEND, |bit| Protocol::NO_SEND.without(bit));
            let known = version >= fact.since;
            assert_eq!(negotiated(version, Protocol::NONE).wants(fact.stage), known, "{}", fact.name);
            assert_eq!(negotiated(version, all_others).wants(fact.stage), known, "{}", fact.name);
            if let Some(bit) = fact.no_send {
                assert!(!negotiated(version, bit).wants(fact.stage), "{}", fact.name);
            }
        }
    }
}

#[test]
fn every_mixture_of_silences_owes_exactly_the_other_replies() {
    let bits: Vec<Protocol> = STAGES.iter().filter_map(|fact| fact.no_reply).collect();
    for mixture in 0_u32..1 << bits.len() {
        let set = bits.iter().enumerate().filter(|(index, _)| mixture >> index & 1 == 1);
        let silent = set.fold(Protocol::NONE, |all, (_, bit)| all.with(*bit));
        let mut client = negotiated(6, silent);
        let mut expected = Vec::new();
        for letter in b"CUHMRTLLNBBE" {
            let stage = Stage::of_letter(*letter).unwrap();
            let replies = stage.fact().no_reply.is_none_or(|bit| !silent.has(bit));
            assert_eq!(client.replies_to(stage), replies);
            assert_eq!(send(&mut client, stage), replies, "{stage}, {silent:x?}");
            expected.extend(replies.then_some(stage));
        }
        assert_eq!(letters(&mut client), "CUHMRTLLNBBE");
        let mut told = Vec::new();
        while let Some(stage) = client.awaits() {
            let event = reply(&mut client, b'c', b"").unwrap();
            assert!(matches!(event, Some(FromMilter::Final(of, _)) if of == stage));
            told.push(stage);
        }
        assert_eq!(told, expected, "{silent:x?}");
    }
}

#[test]
fn a_resumed_connection_goes_on_without_a_negotiation() {
    let agreed = Negotiation {
        macro_lists: vec![(Stage::Helo, Bytes::from_static(b"j"))],
        ..negotiation(4, Actions::ADD_HEADERS, Protocol::NR_HEADERS.with(Protocol::NO_BODY))
    };
    let mut client = Client::resumed(LIMIT, agreed.clone());
    assert_eq!((client.negotiated(), client.unwritten(), client.awaits()), (&agreed, 0, None));
    assert!(!client.wants(Stage::Body));
    talk(&mut client, "CHMRTL");
    assert_eq!(client.awaits(), None);
    talk(&mut client, "NE");
    assert_eq!(letters(&mut client), "CHMRTLNE");
}

#[test]
fn a_resumed_milter_that_negotiates_again_is_at_fault() {
    let mut client = Client::resumed(LIMIT, full_offer());
    let expected = "nothing, since no reply is owed";
    let fault = Fault::OutOfTurn { culprit: Culprit::Child, expected, came: b'O' };
    assert_eq!(reply(&mut client, b'O', &[0; 12]), Err(fault));
}

/// It goes by what is expected until the milter has answered, and then by that.
#[test]
fn commands_go_behind_the_offer_to_a_milter_that_is_known() {
    let expected = negotiation(6, Actions(0x11), Protocol::NR_CONNECT.with(Protocol::NO_HELO));
    let mut client = Client::expecting(LIMIT, &full_offer(), expected.clone());
    assert_eq!((client.awaits(), client.owed(), client.negotiated()), (Some(Stage::Negotiate), 1, &expected));
    assert!(!client.command(Stage::Connect, b"a.test\0U") && !client.wants(Stage::Helo));
    send(&mut client, Stage::Mail);
    assert_eq!((letters(&mut client), client.owed()), ("OCM".to_owned(), 2));
    assert!(!client.may_send(Stage::Header, true));

    let answer = negotiation(6, Actions(0x1), Protocol::NONE);
    assert_eq!(reply(&mut client, b'O', &encoded(&answer)[5..]), Ok(Some(FromMilter::Negotiated)));
    assert_eq!((client.awaits(), client.negotiated()), (Some(Stage::Mail), &answer));
}
