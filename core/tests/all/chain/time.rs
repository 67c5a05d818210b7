//! Time: one budget for each answer, progress, and an MTA that is never left unread.

use std::time::Duration;

use millstream_core::event::{Event, Failure, TimerName};
use millstream_core::machine::{Answer, Input, Machine, Peer, Question};
use millstream_core::policy::{Decision, Effects, Fallback};
use millstream_core::wire::{Actions, Command, Final, Negotiation, Protocol, Reply, Stage, VERSION_MAX};

use super::driver::{Behaviour, World, agrees, negotiates, policy, says};

fn silent_at_recipient(stage: Stage, _: &[u8]) -> Option<Vec<Reply>> {
    (stage != Stage::Rcpt).then(|| vec![Reply::Final(Final::Continue)])
}

fn silent_at_end(stage: Stage, _: &[u8]) -> Option<Vec<Reply>> {
    (stage != Stage::EndOfMessage).then(|| vec![Reply::Final(Final::Continue)])
}

/// How long a recipient takes to be answered when five children, each within its own limit, do not answer at all.
fn slow_chain(mta: &'static str) -> Duration {
    let mut policy = policy(5);
    for child in &mut policy.children {
        child.fallback = Fallback::Accept;
        child.timeouts.reading = Duration::from_secs(6);
    }
    let mut world = World::new(policy, &[silent_at_recipient as Behaviour; 5]).begin(mta);
    world.mail();
    world.told.clear();
    let before = world.elapsed();
    world.rcpt("<c@d.test>");
    while world.told.is_empty() {
        world.wait(Duration::from_millis(500));
        assert!(world.elapsed() < Duration::from_secs(100), "never answered");
    }
    world.elapsed() - before
}

#[test]
fn a_chain_of_slow_children_is_answered_before_the_mta_gives_up() {
    assert_eq!(slow_chain("Postfix 3.7.11"), Duration::from_secs(27));
    assert_eq!(slow_chain("8.17.1"), Duration::from_secs(7));
}

/// The budget ran out while a recipient was with the first child: the last had said at CONNECT that it needs no more.
#[test]
fn who_has_left_is_not_blamed_for_the_time_of_others() {
    let accepts: fn(Stage, &[u8]) -> Option<Vec<Reply>> =
        |stage, _| says(if stage == Stage::Connect { Final::Accept } else { Final::Continue });
    let mut policy = policy(2);
    policy.children[0].fallback = Fallback::Accept;
    policy.children[0].timeouts.reading = Duration::from_secs(60);
    policy.children[1].fallback = Fallback::Reject;
    let mut world = World::new(policy, &[silent_at_recipient, accepts]).begin("8.17.1");
    world.mail();
    world.told.clear();
    world.rcpt("<c@d.test>");
    world.wait(Duration::from_secs(7));
    assert_eq!(world.told_letters(), "a");
    let failed = world.events.iter().filter(|event| matches!(event, Event::ChildFailed { .. })).count();
    assert_eq!(failed, 1, "{:?}", world.events);
}

/// Of this MTA nothing is answered before the end of message, and each command takes three seconds of looking up.
fn silence_and_look_ups(mta: &'static str) -> World {
    let mut policy = policy(1);
    policy.watched = vec![Stage::Mail, Stage::Rcpt];
    policy.decide = |_, _, _, answers| {
        let question = Question::Addresses("client.test".into());
        match answers.find(&question) {
            None => Decision::Need(vec![question]),
            Some(_) => Decision::Run(Effects::default()),
        }
    };
    let child: Behaviour = |stage, _| match stage {
        Stage::Negotiate => negotiates(Actions::ALL, Protocol::NO_REPLY),
        _ => None,
    };
    let mut world = World::new(policy, &[child]).begin(mta);
    world.mail();
    for _ in 0..4 {
        world.rcpt("<c@d.test>");
    }
    world.end();
    world.told.clear();
    for _ in 0..5 {
        world.wait(Duration::from_secs(3));
        if let Some((query, _)) = world.questions.pop() {
            world.answer(query, Answer::Nothing);
        }
        if !world.told.is_empty() {
            break;
        }
    }
    world
}

/// It waits for the end of message, whatever it takes us to come to it.
#[test]
fn commands_that_are_sent_in_silence_share_one_time_limit() {
    let mut world = silence_and_look_ups("8.17.1");
    assert_eq!(
        (world.told_letters(), world.elapsed()),
        ("t".to_owned(), Duration::from_secs(9)),
        "after 7 s"
    );
}

/// What came before it may have taken all the time that it had.
#[test]
fn a_command_that_comes_later_has_its_own_time() {
    let mut policy = policy(2);
    policy.children[0].fallback = Fallback::Accept;
    policy.watched = vec![Stage::Mail, Stage::Rcpt];
    policy.decide = |child, stage, _, answers| {
        let question = Question::Addresses("client.test".into());
        match answers.find(&question) {
            None if (child.0, stage) == (0, Stage::Mail) || (child.0, stage) == (1, Stage::Rcpt) => {
                Decision::Need(vec![question])
            }
            _ => Decision::Run(Effects::default()),
        }
    };
    let child: Behaviour = |stage, _| match stage {
        Stage::Negotiate => negotiates(Actions::ALL, Protocol::NO_REPLY),
        _ => None,
    };
    let mut world = World::new(policy, &[child; 2]).begin("8.17.1");
    world.mail();
    world.wait(Duration::from_secs(5));
    world.rcpt("<c@d.test>");
    world.wait(Duration::from_secs(4));
    let (query, _) = world.questions.pop().unwrap();
    world.answer(query, Answer::Nothing);
    world.wait(Duration::from_secs(4));
    let failed = world.events.iter().filter(|event| matches!(event, Event::ChildFailed { .. })).count();
    assert_eq!((failed, world.seen(1)), (1, "CHMR".to_owned()), "{:?}", world.events);
}

#[test]
fn who_has_waited_for_the_end_of_message_behind_other_commands_is_sent_progress_at_once() {
    let mut world = silence_and_look_ups("Postfix 3.7.11");
    assert_eq!((world.told_letters(), world.elapsed()), ("p".to_owned(), Duration::from_secs(15)));
}

#[test]
fn who_was_cut_short_by_the_budget_is_told_so() {
    let mut policy = policy(1);
    policy.children[0].timeouts.reading = Duration::from_secs(60);
    let mut world = World::new(policy, &[silent_at_recipient]).begin("8.17.1");
    world.mail();
    world.rcpt("<c@d.test>");
    world.wait(Duration::from_secs(7));
    let budget = world.events.iter().any(|event| {
        matches!(event, Event::ChildFailed { failure: Failure::Timeout { timer: TimerName::Budget, .. }, .. })
    });
    assert!(budget, "{:?}", world.events);
}

/// A recipient that the MTA has refused itself is shown only to children that ask for such.
#[test]
fn a_child_that_is_not_asked_about_a_recipient_does_not_fail_with_the_time_for_it() {
    let asks: fn(Stage, &[u8]) -> Option<Vec<Reply>> = |stage, _| match stage {
        Stage::Negotiate => negotiates(Actions::NONE, Protocol::REJECTED_RECIPIENTS),
        Stage::Rcpt => None,
        _ => says(Final::Continue),
    };
    let mut policy = policy(2);
    policy.children[0].timeouts.reading = Duration::from_secs(60);
    let mut world = World::new(policy, &[asks, agrees]).begin("8.17.1");
    world.mail();
    world.raw(b'D', b"Rrcpt_mailer\0error\0");
    world.rcpt("<c@d.test>");
    world.wait(Duration::from_secs(7));
    let failed: Vec<_> = world.events.iter().filter_map(failed_child).collect();
    assert_eq!(failed, [0]);
}

fn failed_child(event: &Event) -> Option<u16> {
    match event {
        Event::ChildFailed { child, .. } => Some(child.0),
        _ => None,
    }
}

#[test]
fn a_child_that_never_negotiates_does_not_hold_the_session_up() {
    let mute: fn(Stage, &[u8]) -> Option<Vec<Reply>> =
        |stage, _| (stage != Stage::Negotiate).then(|| vec![Reply::Final(Final::Continue)]);
    let mut policy = policy(2);
    policy.children[0].fallback = Fallback::Accept;
    policy.children[0].timeouts.reading = Duration::from_secs(60);
    let mut world = World::new(policy, &[mute, agrees]);
    world = world.begin("8.17.1");
    assert_eq!(world.told_letters(), "");
    world.wait(Duration::from_secs(7));
    assert_eq!(world.told_letters(), "Occ");
}

#[test]
fn progress_is_sent_while_the_end_of_message_is_pending_and_only_then() {
    let mut world = World::new(policy(1), &[silent_at_end]).begin("8.17.1");
    world.message();
    world.wait(Duration::from_secs(20));
    assert!(!world.told_letters().contains('p'), "before the end of message");
    world.end();
    world.wait(Duration::from_secs(21));
    assert_eq!(world.told_letters(), "pppp");
    world.reply(0, &Reply::Final(Final::Continue));
    world.wait(Duration::from_secs(20));
    assert_eq!(world.told_letters(), "c");
}

#[test]
fn a_message_is_answered_within_what_the_mta_waits_for_it() {
    let mut policy = policy(1);
    policy.children[0].timeouts.end_of_message = Duration::from_secs(3000);
    let mut world = World::new(policy, &[silent_at_end]).begin("Postfix 3.7");
    world.message();
    world.end();
    world.wait(Duration::from_secs(296));
    assert!(!world.told_letters().contains('t'));
    world.wait(Duration::from_secs(1));
    assert_eq!(world.told_letters(), "t");
}

/// A child that takes body slowly holds reading back, but not for so long that Sendmail lets the mail pass unfiltered.
#[test]
fn the_mta_is_not_left_unread_for_long() {
    let slow: fn(Stage, &[u8]) -> Option<Vec<Reply>> = |stage, _| match stage {
        Stage::Negotiate => negotiates(Actions::NONE, Protocol::NONE),
        Stage::Body => None,
        _ => says(Final::Continue),
    };
    let mut policy = policy(1);
    policy.limits.read_ahead = 1000;
    policy.children[0].timeouts.reading = Duration::from_secs(60);
    let mut world = World::new(policy, &[slow]).begin("8.17.1");
    world.message();
    world.raw(b'B', &[b'x'; 5000]);
    assert!(!world.session.wants_input(Peer::MTA));
    world.wait(Duration::from_secs(5));
    assert!(world.session.wants_input(Peer::MTA));
}

/// A byte now and then, which never become a command: it would hold a place for ever.
#[test]
fn an_mta_whose_command_never_ends_is_left() {
    let mut policy = policy(1);
    policy.limits.mta_idle = Duration::from_secs(60);
    let mut world = World::new(policy, &[agrees]).begin("8.17.1");
    let mut drip = |bytes: &[u8]| {
        world.handle(Input::Received { peer: Peer::MTA, data: bytes.into() });
        world.wait(Duration::from_secs(10));
        world.events.iter().any(|event| {
            let idle = Failure::Timeout { timer: TimerName::MtaIdle, limit: Duration::from_secs(60) };
            matches!(event, Event::MtaFailed { failure, .. } if *failure == idle)
        })
    };
    // A whole one counts, although the next has begun.
    let mail = b"\0\0\0\x09M<a@b.t>\0";
    for byte in mail.chunks(4).chain([&b"\0\0\xFF\xFFU"[..], b"x", b"x", b"x"]) {
        assert!(!drip(byte));
    }
    assert!(drip(b"x"));
}

/// Sendmail does not say it by itself, nor does a Postfix with macros of the administrator's choice at CONNECT.
#[test]
fn the_mta_is_asked_for_its_version_with_helo() {
    let mut world = World::new(policy(1), &[agrees]);
    world.send(&Command::Negotiate(offer(Actions::ALL)));
    let [Reply::Negotiate(answer)] = &world.told[..] else { panic!("{:?}", world.told) };
    let asked = answer.macro_list(Stage::Helo).unwrap();
    assert_eq!(asked, b"{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer} v");
    assert_eq!(answer.macro_lists.len(), 1, "the other stages keep what the administrator has chosen");

    let mut world = World::new(policy(1), &[agrees]);
    world.send(&Command::Negotiate(offer(Actions::ALL.without(Actions::MACRO_LISTS))));
    let [Reply::Negotiate(answer)] = &world.told[..] else { panic!("{:?}", world.told) };
    assert_eq!(answer.macro_lists, [], "nothing is asked that was not offered");
}

#[test]
fn a_version_that_comes_with_helo_counts() {
    for (version, limit) in [("Postfix 3.7", 27), ("8.17.1", 7)] {
        let silent_at_mail = |stage: Stage, payload: &[u8]| match stage {
            Stage::Mail => None,
            stage => agrees(stage, payload),
        };
        let mut policy = policy(1);
        policy.children[0].timeouts.reading = Duration::from_secs(60);
        let mut world = World::new(policy, &[silent_at_mail]);
        world.send(&Command::Negotiate(offer(Actions::ALL)));
        world.raw(b'C', b"client.test\0U");
        world.raw(b'D', format!("H{{tls_version}}\0TLSv1.3\0v\0{version}\0").as_bytes());
        world.raw(b'H', b"client.test\0");
        let theirs = [("{tls_version}".to_owned(), "TLSv1.3".to_owned())];
        assert_eq!(world.macros_for(0, b'H'), theirs, "no child asked for the version");
        world.mail();
        world.told.clear();
        world.wait(Duration::from_secs(limit) - Duration::from_millis(1));
        assert_eq!(world.told_letters(), "", "{version}");
        world.wait(Duration::from_millis(1));
        assert_eq!(world.told_letters(), "t", "{version}");
    }
}

fn offer(actions: Actions) -> Negotiation {
    Negotiation { version: VERSION_MAX, actions, protocol: Protocol::ALL, macro_lists: Vec::new() }
}

#[test]
fn a_child_that_takes_no_bytes_has_its_writing_timeout() {
    let mut policy = policy(1);
    policy.children[0].timeouts.writing = Duration::from_secs(3);
    let mut world = World::new(policy, &[agrees]).begin("Postfix 3.7");
    world.pool.stuck = vec![0];
    world.mail();
    world.told.clear();
    world.wait(Duration::from_millis(2999));
    assert_eq!(world.told_letters(), "");
    world.wait(Duration::from_millis(1));
    assert_eq!(world.told_letters(), "t");
    let timer = world.events.iter().find_map(|event| match event {
        Event::ChildFailed { failure: Failure::Timeout { timer, .. }, .. } => Some(*timer),
        _ => None,
    });
    assert_eq!(timer, Some(TimerName::Writing));
}
