//! Who is shown what before whom.

use millstream_core::policy::Recipients;
use millstream_core::wire::{Actions, Final, Protocol, Reply, Stage};

use super::driver::{World, agrees, negotiates, policy, says};

fn refuses_recipients(stage: Stage, _: &[u8]) -> Option<Vec<Reply>> {
    says(if stage == Stage::Rcpt { Final::Reject } else { Final::Continue })
}

fn discards_recipients(stage: Stage, _: &[u8]) -> Option<Vec<Reply>> {
    says(if stage == Stage::Rcpt { Final::Discard } else { Final::Continue })
}

fn accepts_at_recipient(stage: Stage, _: &[u8]) -> Option<Vec<Reply>> {
    says(if stage == Stage::Rcpt { Final::Accept } else { Final::Continue })
}

fn silent_at_recipient(stage: Stage, _: &[u8]) -> Option<Vec<Reply>> {
    (stage != Stage::Rcpt).then(|| vec![Reply::Final(Final::Continue)])
}

#[test]
fn a_recipient_that_one_child_refuses_is_not_counted_by_the_next() {
    let mut world = World::new(policy(2), &[refuses_recipients, agrees]).begin("Postfix 3.7");
    world.mail();
    world.rcpt("<c@d.test>");
    assert_eq!(world.seen(1), "CHM");
    assert_eq!(world.told_letters(), "Occcr");
}

#[test]
fn recipients_in_parallel_are_shown_to_all_at_once() {
    let mut policy = policy(2);
    policy.recipients = Recipients::Parallel;
    let mut world = World::new(policy, &[silent_at_recipient, agrees]).begin("Postfix 3.7");
    world.mail();
    world.rcpt("<c@d.test>");
    assert_eq!(world.seen(1), "CHMR");
    assert_eq!(world.told_letters(), "Occc");
    world.reply(0, &Reply::Final(Final::Continue));
    assert_eq!(world.told_letters(), "c");
}

/// What it says about itself counts, although another child's refusal is the answer.
#[test]
fn a_child_that_accepts_beside_a_refusal_is_out_of_the_message() {
    let mut policy = policy(2);
    policy.recipients = Recipients::Parallel;
    let first: fn(Stage, &[u8]) -> Option<Vec<Reply>> = |stage, payload| match stage {
        Stage::Rcpt if payload.starts_with(b"<bad") => says(Final::Reject),
        _ => says(Final::Continue),
    };
    let mut world = World::new(policy, &[first, accepts_at_recipient]).begin("Postfix 3.7");
    world.mail();
    world.rcpt("<bad@d.test>");
    world.rcpt("<good@d.test>");
    world.raw(b'T', b"");
    world.raw(b'N', b"");
    world.end();
    assert_eq!(world.seen(1), "CHMR");
    assert_eq!(world.told_letters(), "Occcrccc");
}

/// The answer once waited for whatever happened next.
#[test]
fn a_discard_beside_a_child_that_takes_its_time_is_answered_at_once() {
    let mut policy = policy(2);
    policy.recipients = Recipients::Parallel;
    let mut world = World::new(policy, &[discards_recipients, silent_at_recipient]).begin("Postfix 3.7");
    world.mail();
    world.rcpt("<c@d.test>");
    assert_eq!(world.told_letters(), "Occcd");
}

/// All but that it is shown at once, since the scanner cannot change it.
#[test]
fn a_signer_sees_the_end_only_after_the_scanner_before_it_has_passed_the_mail() {
    let scanner: fn(Stage, &[u8]) -> Option<Vec<Reply>> = |stage, _| match stage {
        Stage::Negotiate => negotiates(Actions::NONE, Protocol::NONE),
        Stage::EndOfMessage => None,
        _ => says(Final::Continue),
    };
    let mut world = World::new(policy(2), &[scanner, agrees]).begin("Postfix 3.7");
    world.message();
    world.end();
    assert_eq!(world.seen(1), "CHMRTLNB");
    world.reply(0, &Reply::Final(Final::Reject));
    assert_eq!(world.seen(1), "CHMRTLNBA");
    assert!(world.told_letters().ends_with('r'));
}

/// Also for those before the child that throws it away, which would still have a say in the content.
#[test]
fn a_message_that_is_thrown_away_at_a_recipient_is_over_for_all() {
    let refuses: fn(Stage, &[u8]) -> Option<Vec<Reply>> =
        |stage, _| says(if stage == Stage::EndOfMessage { Final::Reject } else { Final::Continue });
    let mut world = World::new(policy(2), &[refuses, discards_recipients]).begin("Postfix 3.7");
    world.message();
    world.end();
    assert_eq!((world.seen(0), world.told_letters()), ("CHMRA".to_owned(), "Occcddd".to_owned()));
}

#[test]
fn a_child_that_skips_the_rest_of_the_headers_is_shown_the_body() {
    let skips: fn(Stage, &[u8]) -> Option<Vec<Reply>> =
        |stage, _| says(if stage == Stage::Header { Final::Skip } else { Final::Continue });
    let mut world = World::new(policy(1), &[skips]).begin("Postfix 3.7");
    world.mail();
    world.rcpt("<c@d.test>");
    world.raw(b'T', b"");
    world.header("Subject", "test");
    world.header("To", "you");
    world.raw(b'N', b"");
    world.raw(b'B', b"body\r\n");
    world.end();
    assert_eq!(world.seen(0), "CHMRTLNBE");
}
