//! Which replies are owed, and that no other leaves.

use bytes::Bytes;
use millstream_core::filter::{Filter, FromMta, Misuse};
use millstream_core::wire::facts::STAGES;
use millstream_core::wire::{CHUNK_SIZE, Command, Edit, Final, Protocol, Reply, Stage};

use super::dialogue::{
    LIMIT, answer, command, encoded, frame, letter, mixtures, negotiated, receive, say, talk, written,
};

/// Every command of a session with one message.
const SESSION: &[u8] = b"CUHMRTLLNBBE";

#[test]
fn every_mixture_of_silences_owes_exactly_the_other_replies() {
    for silent in mixtures(Protocol::NO_REPLY) {
        let mut filter = negotiated(silent);
        for _ in 0..2 {
            for command in SESSION {
                say(&mut filter, *command).unwrap();
                let fact = STAGES.iter().find(|fact| fact.letter == *command).unwrap();
                let owed = fact.no_reply.is_none_or(|bit| !silent.has(bit));
                assert_eq!(filter.owed(), owed.then_some(fact.stage), "{silent:x?}");
                let expected = if owed { Ok(()) } else { Err(Misuse::NotOwed) };
                assert_eq!(filter.reply(Final::Continue), expected);
                assert_eq!(filter.reply(Final::Continue), Err(Misuse::NotOwed));
                let sent = if owed { encoded(&[Reply::Final(Final::Continue)]) } else { Vec::new() };
                assert_eq!(written(&mut filter), sent);
            }
            talk(&mut filter, "AK").unwrap();
        }
    }
}

#[test]
fn nothing_is_owed_for_macros_abort_quit_and_another_session() {
    let mut filter = negotiated(Protocol::NONE);
    talk(&mut filter, "CHMR").unwrap();
    written(&mut filter);
    for command in b"DAKQ" {
        say(&mut filter, *command).unwrap();
        assert_eq!(filter.owed(), None);
        assert_eq!(filter.reply(Final::Continue), Err(Misuse::NotOwed));
        assert_eq!(filter.edit(add()), Err(Misuse::NotAtEndOfMessage));
        assert_eq!(filter.progress(), Err(Misuse::NotAtEndOfMessage));
    }
    assert_eq!(filter.unwritten(), 0);
}

#[test]
fn a_negotiation_is_answered_once_and_with_nothing_else() {
    let mut filter = Filter::new(LIMIT);
    assert_eq!(filter.negotiate(&answer(6, Protocol::NONE)), Err(Misuse::NotOwed));
    say(&mut filter, b'O').unwrap();
    assert_eq!(filter.owed(), Some(Stage::Negotiate));
    assert_eq!(filter.reply(Final::Continue), Err(Misuse::NotOwed));
    assert_eq!(filter.edit(add()), Err(Misuse::NotAtEndOfMessage));
    assert_eq!(filter.unwritten(), 0);
    assert_eq!(filter.negotiate(&answer(6, Protocol::NONE)), Ok(()));
    assert_eq!(filter.negotiate(&answer(6, Protocol::NONE)), Err(Misuse::NotOwed));
    assert!(!filter.is_greeting());
}

#[test]
fn every_verdict_at_every_stage() {
    // Section 3: a row per verdict, a column per stage.
    let rows = [
        (Final::Continue, "CHMRTULNBE"),
        (Final::Accept, "CHMRTULNBE"),
        (Final::Reject, "CHMRTULNBE"),
        (Final::TemporaryFailure, "CHMRTULNBE"),
        (Final::ReplyCode(Bytes::from_static(b"451 4.7.1 Later")), "CHMRTULNBE"),
        // There is nothing to throw away yet.
        (Final::Discard, "MRTLNBE"),
        (Final::Skip, "LB"),
        // Sendmail takes 421 only as a reply text.
        (Final::Shutdown, ""),
        // Bogus to every MTA.
        (Final::ConnectionFailure, ""),
    ];
    let ways = ["C", "CH", "CHM", "CHMR", "CHMRT", "CU", "CHMRTL", "CHMRTN", "CHMRTB", "CHMRTE"];
    for (verdict, stages) in rows {
        for way in ways {
            let (last, before) = way.as_bytes().split_last().unwrap();
            let mut filter = negotiated(Protocol::SKIP);
            talk(&mut filter, std::str::from_utf8(before).unwrap()).unwrap();
            say(&mut filter, *last).unwrap();
            written(&mut filter);
            let owed = filter.owed();
            let allowed = stages.as_bytes().contains(last);

            let result = filter.reply(verdict.clone());

            let expected = if allowed { Ok(()) } else { Err(Misuse::Verdict) };
            assert_eq!(result, expected, "{verdict:?} after {way}");
            if allowed {
                assert_eq!(written(&mut filter), encoded(&[Reply::Final(verdict.clone())]));
            } else {
                assert_eq!((filter.owed(), filter.unwritten()), (owed, 0), "{verdict:?} after {way}");
                assert_eq!(filter.reply(Final::Reject), Ok(()));
            }
        }
    }
}

#[test]
fn skip_is_for_mtas_that_know_it() {
    let mut filter = negotiated(Protocol::NONE);
    talk(&mut filter, "CHMRTN").unwrap();
    say(&mut filter, b'B').unwrap();
    assert_eq!(filter.reply(Final::Skip), Err(Misuse::Verdict));
    assert_eq!(filter.reply(Final::Continue), Ok(()));
}

#[test]
fn the_next_command_waits_until_the_reply_is_given() {
    let mut filter = negotiated(Protocol::NONE);
    receive(&mut filter, &[command(b'C'), command(b'H'), command(b'A'), command(b'M')].concat());
    for expected in b"CHAM" {
        let came = filter.poll_command().unwrap().unwrap();
        assert_eq!(letter(&came), *expected);
        if filter.owed().is_some() {
            assert!(filter.poll_command().unwrap().is_none());
            filter.reply(Final::Continue).unwrap();
        }
    }
}

#[test]
fn changes_and_progress_belong_to_the_end_of_message() {
    let commands = b"CUHMRTLNBE";
    let mut filter = negotiated(Protocol::NONE);
    for command in commands {
        assert_eq!(filter.edit(add()), Err(Misuse::NotAtEndOfMessage));
        say(&mut filter, *command).unwrap();
        if *command != b'E' {
            assert_eq!(filter.edit(add()), Err(Misuse::NotAtEndOfMessage));
            assert_eq!(filter.edit(piece(b"x")), Err(Misuse::NotAtEndOfMessage));
            assert_eq!(filter.progress(), Err(Misuse::NotAtEndOfMessage));
            filter.reply(Final::Continue).unwrap();
        }
    }
    written(&mut filter);
    filter.progress().unwrap();
    filter.edit(add()).unwrap();
    filter.progress().unwrap();
    filter.reply(Final::Accept).unwrap();
    assert_eq!(filter.edit(add()), Err(Misuse::NotAtEndOfMessage));
    assert_eq!(filter.progress(), Err(Misuse::NotAtEndOfMessage));
    let replies = [Reply::Progress, Reply::Edit(add()), Reply::Progress, Reply::Final(Final::Accept)];
    assert_eq!(written(&mut filter), encoded(&replies));
}

#[test]
fn every_change_leaves_as_it_is_encoded() {
    let text = Bytes::from_static;
    let large = Bytes::from(vec![b'x'; CHUNK_SIZE]);
    let edits = [
        Edit::ChangeHeader(2, text(b"Received"), text(b"")),
        Edit::InsertHeader(0, text(b"X-T"), text(b" 1")),
        Edit::AddHeader(text(b"X-T"), text(b" 1")),
        Edit::ReplaceBody(large.clone()),
        Edit::ReplaceBody(text(b"tail")),
        Edit::ChangeFrom(text(b"<s@t>"), Some(text(b"ENVID=1"))),
        Edit::AddRecipient(text(b"<u@v>")),
        Edit::AddRecipientPar(text(b"<u@v>"), None),
        Edit::DeleteRecipient(text(b"<c@d>")),
        Edit::Quarantine(text(b"held")),
    ];
    let mut filter = negotiated(Protocol::NONE);
    talk(&mut filter, "CHMRT").unwrap();
    say(&mut filter, b'E').unwrap();
    written(&mut filter);
    for edit in &edits {
        filter.edit(edit.clone()).unwrap();
    }
    let replies: Vec<Reply> = edits.into_iter().map(Reply::Edit).collect();
    assert_eq!(written(&mut filter), encoded(&replies));
}

#[test]
fn a_new_body_comes_in_one_run() {
    // b: a piece of a body, h: another change, p: PROGRESS; in capitals what is refused.
    let runs = ["bbb", "hbbh", "pbb", "bPb", "bhB", "hbhBp", "bPbhBhp", "bbPPbhpBB", "hphpbhh"];
    let mut filter = negotiated(Protocol::NONE);
    talk(&mut filter, "CHMR").unwrap();
    for run in runs {
        say(&mut filter, b'E').unwrap();
        written(&mut filter);
        let mut sent = Vec::new();
        for step in run.chars() {
            let (result, reply) = match step.to_ascii_lowercase() {
                'b' => (filter.edit(piece(b"x")), Reply::Edit(piece(b"x"))),
                'h' => (filter.edit(add()), Reply::Edit(add())),
                _ => (filter.progress(), Reply::Progress),
            };
            if step.is_ascii_uppercase() {
                assert_eq!(result, Err(Misuse::BodyInterrupted), "{step} in {run}");
            } else {
                assert_eq!(result, Ok(()), "{step} in {run}");
                sent.push(reply);
            }
        }
        assert_eq!(written(&mut filter), encoded(&sent), "{run}");
        filter.reply(Final::Continue).unwrap();
        talk(&mut filter, "MR").unwrap();
    }
}

#[test]
fn an_end_of_message_may_carry_the_last_piece_of_body() {
    let mut filter = negotiated(Protocol::NONE);
    talk(&mut filter, "CHMRTNB").unwrap();
    receive(&mut filter, &frame(b'E', b"last\r\n"));
    let Some(FromMta::Command(Command::EndOfMessage(data), payload)) = filter.poll_command().unwrap() else {
        panic!("no end of message");
    };
    assert_eq!((&data[..], &payload[..]), (&b"last\r\n"[..], &b"last\r\n"[..]));
    assert_eq!(filter.owed(), Some(Stage::EndOfMessage));
}

fn add() -> Edit {
    Edit::AddHeader(Bytes::from_static(b"X"), Bytes::from_static(b"y"))
}

fn piece(data: &'static [u8]) -> Edit {
    Edit::ReplaceBody(Bytes::from_static(data))
}
