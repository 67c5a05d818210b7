//! What a policy can do to a child: stop it at each stage, set macros for it, ask for something first.

use std::sync::Arc;

use bytes::Bytes;
use millstream_core::event::{Event, MessageEnd, Outcome, Verdict};
use millstream_core::machine::{Answer, Question};
use millstream_core::policy::{
    Answers, ChildIndex, ChildState, Decision, Effects, Facts, Fallback, Notes, Remark, RemarkLevel, Why,
};
use millstream_core::wire::{
    Actions, ClientAddress, Final, Negotiation, Protocol, Reply, Stage, VERSION_MAX,
};

use super::driver::{Decide, World, agrees, negotiates, policy, says};

pub(crate) fn stop() -> Decision {
    Decision::Stop(Why { condition: Arc::from("test"), place: Arc::from("test.conf:1") })
}

fn run() -> Decision {
    Decision::Run(Effects::default())
}

/// What the first of two children sees of a message with two recipients when it is stopped at `stage`, and what the MTA
/// is told.
fn stopped_at(stage: Stage, decide: Decide) -> (String, String) {
    let mut policy = policy(2);
    policy.watched = vec![stage];
    policy.decide = decide;
    let mut world = World::new(policy, &[agrees, agrees]).begin("Postfix 3.7");
    world.mail();
    world.rcpt("<one@d.test>");
    world.rcpt("<two@d.test>");
    world.raw(b'T', b"");
    world.header("Subject", "test");
    world.raw(b'N', b"");
    world.raw(b'B', b"body\r\n");
    world.end();
    assert_eq!(world.seen(1), "CHMRRTLNBE", "the other child is not harmed by a stop at {stage}");
    (world.seen(0), world.told_letters())
}

/// What is reported of the first child's part in the last message.
fn first_child(world: &World) -> (Outcome, Stage) {
    let report = world.events.iter().rev().find_map(|event| match event {
        Event::Message(report) => Some(report),
        _ => None,
    });
    let child = &report.unwrap().children[0];
    (child.outcome.clone(), child.stage)
}

fn first_only(child: millstream_core::policy::ChildIndex) -> Decision {
    if child.0 == 0 { stop() } else { run() }
}

#[test]
fn a_child_is_stopped_at_each_stage() {
    let decide: Decide = |child, _, _, _| first_only(child);
    for (stage, seen) in [
        (Stage::Connect, "Q"),
        (Stage::Helo, "CQ"),
        (Stage::Mail, "CH"),
        (Stage::Data, "CHMRRA"),
        (Stage::Header, "CHMRRTA"),
        (Stage::EndOfHeaders, "CHMRRTLA"),
        (Stage::Body, "CHMRRTLNA"),
        (Stage::EndOfMessage, "CHMRRTLNBA"),
    ] {
        assert_eq!(stopped_at(stage, decide), (seen.to_owned(), "Occccccc".to_owned()), "{stage}");
    }
}

/// Administrators who try it from the machine itself took it for a milter that had accepted the connection.
#[test]
fn a_stop_before_mail_is_reported_with_every_message_of_the_connection() {
    for stage in [Stage::Connect, Stage::Helo] {
        let mut policy = policy(2);
        policy.watched = vec![stage];
        policy.decide = |child, _, _, _| first_only(child);
        let mut world = World::new(policy, &[agrees, agrees]).begin("Postfix 3.7");
        for _ in 0..2 {
            world.mail();
            world.rcpt("<one@d.test>");
            world.raw(b'T', b"");
            world.raw(b'N', b"");
            world.end();
            assert_eq!(first_child(&world), (Outcome::Stopped, stage));
            world.events.clear();
        }
    }
}

#[test]
fn a_stop_at_a_recipient_hides_only_that_recipient() {
    let decide: Decide = |child, _, facts, _| match (child.0, facts.recipient) {
        (0, Some(b"<one@d.test>")) => stop(),
        _ => run(),
    };
    assert_eq!(stopped_at(Stage::Rcpt, decide).0, "CHMRTLNBE");
}

/// It has nothing to do with this message.
#[test]
fn a_child_that_was_shown_no_recipient_is_out_of_the_message_at_data() {
    let decide: Decide = |child, _, _, _| first_only(child);
    assert_eq!(stopped_at(Stage::Rcpt, decide).0, "CHMA");
}

#[test]
fn facts_are_those_of_the_session() {
    let decide: Decide = |_, _, facts: &Facts<'_>, _| {
        assert_eq!(facts.helo, Some(&b"client.test"[..]));
        assert_eq!(facts.sender, Some(&b"<a@b.test>"[..]));
        assert_eq!(facts.macros.value(b"v"), Some(&b"Postfix 3.7"[..]));
        assert_eq!(facts.header, Some((&b"Subject"[..], &b" test"[..])));
        assert_eq!(facts.children.len(), 2);
        run()
    };
    assert_eq!(stopped_at(Stage::Header, decide).0, "CHMRRTLNBE");
}

#[test]
fn a_decision_that_needs_an_answer_holds_back_only_that_child() {
    let mut policy = policy(2);
    policy.watched = vec![Stage::Connect];
    policy.decide = |child, _, _, answers| {
        let question = Question::Addresses("7.2.0.192.list.test".into());
        match (child.0, answers.find(&question)) {
            (0, None) => Decision::Need(vec![question]),
            (0, Some(Answer::Found(_))) => stop(),
            _ => run(),
        }
    };
    let mut world = World::new(policy.clone(), &[agrees, agrees]).begin("Postfix 3.7");
    assert_eq!((world.seen(0), world.seen(1)), (String::new(), "C".to_owned()));
    assert_eq!(world.told_letters(), "O");
    let (query, _) = world.questions[0].clone();
    world.answer(query, Answer::Found(vec!["127.0.0.2".into()]));
    assert_eq!((world.seen(0), world.seen(1)), ("Q".to_owned(), "CH".to_owned()));
    assert_eq!(world.told_letters(), "cc");

    let mut world = World::new(policy, &[agrees, agrees]).begin("Postfix 3.7");
    let (query, _) = world.questions[0].clone();
    world.answer(query, Answer::Nothing);
    assert_eq!(world.seen(0), "CH");
}

/// Listed where the first of two lists says so, and not where both say no.
fn listed_in_two(child: ChildIndex, answers: &Answers) -> Decision {
    let lists = ["a.test", "b.test"].map(|list| Question::Addresses(list.into()));
    let found = |answer: Option<&Answer>| matches!(answer, Some(Answer::Found(_)));
    if child.0 > 0 || lists.iter().any(|list| found(answers.find(list))) {
        return run();
    }
    if lists.iter().all(|list| answers.find(list).is_some()) {
        stop()
    } else {
        Decision::Need(lists.to_vec())
    }
}

#[test]
fn several_questions_are_asked_at_once_and_each_answer_is_decided_on() {
    let begin = || {
        let mut policy = policy(2);
        policy.watched = vec![Stage::Connect];
        policy.decide = |child, _, _, answers| listed_in_two(child, answers);
        World::new(policy, &[agrees, agrees]).begin("Postfix 3.7")
    };
    let asked = |world: &World| -> Vec<_> { world.questions.iter().map(|(query, _)| *query).collect() };
    let found = || Answer::Found(vec!["127.0.0.2".into()]);

    for (answers, seen) in [
        (vec![(1, found())], "CH"),
        (vec![(1, Answer::Nothing), (0, found())], "CH"),
        (vec![(0, Answer::Failed), (1, Answer::Nothing)], "Q"),
        (vec![(1, Answer::Nothing)], ""),
        // The second comes when nobody waits for it any more.
        (vec![(0, found()), (1, found())], "CH"),
    ] {
        let mut world = begin();
        let queries = asked(&world);
        assert_eq!(queries.len(), 2);
        for (at, answer) in &answers {
            world.answer(queries[*at], answer.clone());
        }
        assert_eq!(world.seen(0), seen, "{answers:?}");
        assert_eq!(asked(&world).len(), 2, "nothing is asked twice");
    }
}

#[test]
fn macros_that_a_condition_sets_reach_that_child_only() {
    let mut policy = policy(2);
    policy.watched = vec![Stage::Mail];
    policy.decide = |child, _, _, _| {
        let mut effects = Effects::default();
        if child.0 == 0 {
            effects.macros.push((Bytes::from_static(b"trusted_domain"), Bytes::from_static(b"yes")));
        }
        Decision::Run(effects)
    };
    let mut world = World::new(policy, &[agrees, agrees]).begin("Postfix 3.7");
    world.mail();
    assert_eq!(world.macros(0), [("{trusted_domain}".to_owned(), "yes".to_owned())]);
    assert_eq!(world.macros(1), []);
}

/// Runs, or stops, once the first child has said what it has to say.
fn reads_the_first(child: millstream_core::policy::ChildIndex, facts: &Facts<'_>) -> Decision {
    match (child.0, facts.children[0]) {
        (0, _) => run(),
        (_, ChildState::Pending) => Decision::Await(ChildIndex(0)),
        (_, ChildState::Rejected | ChildState::TemporarilyFailed | ChildState::Accepted) => stop(),
        _ => run(),
    }
}

#[test]
fn a_condition_that_reads_anothers_verdict_on_a_command_waits_for_it() {
    let mut policy = policy(2);
    policy.watched = vec![Stage::Mail];
    policy.decide = |child, _, facts, _| reads_the_first(child, facts);
    let silent_at_mail = |stage: Stage, payload: &[u8]| match stage {
        Stage::Mail => None,
        stage => agrees(stage, payload),
    };
    let world = || World::new(policy.clone(), &[silent_at_mail, agrees]).begin("Postfix 3.7");
    for (answer, seen) in [(Final::Continue, "CHM"), (Final::Accept, "CH")] {
        let mut world = world();
        world.told.clear();
        world.mail();
        assert_eq!((world.seen(1), world.told_letters()), ("CH".to_owned(), String::new()));
        world.reply(0, &Reply::Final(answer.clone()));
        assert_eq!((world.seen(1), world.told_letters().len()), (seen.to_owned(), 1), "{answer:?}");
    }
    let mut world = world();
    world.mail();
    world.told.clear();
    world.close(0);
    assert_eq!(
        (world.seen(1), world.told_letters()),
        ("CH".to_owned(), "t".to_owned()),
        "its fallback counts"
    );
}

#[test]
fn a_condition_that_reads_anothers_verdict_on_the_content_waits_for_the_whole_message() {
    for (answer, seen) in [(Final::Continue, "CHMRTA"), (Final::Discard, "CHMRTA")] {
        let mut policy = policy(2);
        policy.watched = vec![Stage::Header];
        policy.decide = |child, _, facts, _| reads_the_first(child, facts);
        let silent_at_end = |stage: Stage, payload: &[u8]| match stage {
            Stage::EndOfMessage => None,
            stage => agrees(stage, payload),
        };
        let mut world = World::new(policy, &[silent_at_end, agrees]).begin("Postfix 3.7");
        world.message();
        world.end();
        assert_eq!((world.seen(0), world.seen(1)), ("CHMRTLNBE".to_owned(), "CHMRT".to_owned()));
        world.reply(0, &Reply::Final(answer.clone()));
        assert_eq!(world.seen(1), seen, "{answer:?}");
        assert_eq!(world.told_letters().len(), 7, "every reply is there");
    }
}

#[test]
fn nobody_waits_for_a_child_behind() {
    let mut policy = policy(2);
    policy.watched = vec![Stage::Connect, Stage::Header, Stage::EndOfMessage];
    policy.decide = |child, _, facts, _| {
        assert!(child.0 == 1 || facts.children[1] == ChildState::Running);
        run()
    };
    let mut world = World::new(policy, &[agrees, agrees]).begin("Postfix 3.7");
    world.message();
    world.end();
    assert_eq!(world.seen(0), "CHMRTLNBE");
}

/// A policy that asks for what never comes: time goes on, and the answer is the fallback.
#[test]
fn a_condition_that_waits_for_itself_ends_with_the_time_for_the_answer() {
    let mut policy = policy(1);
    policy.watched = vec![Stage::Mail];
    policy.decide = |child, _, _, _| Decision::Await(child);
    let mut world = World::new(policy, &[agrees]).begin("Postfix 3.7");
    world.mail();
    world.told.clear();
    world.wait(std::time::Duration::from_secs(28));
    assert_eq!(world.told_letters(), "t");
}

/// Sendmail sends such ones for odd set-ups.
#[test]
fn an_address_of_a_client_that_does_not_parse_is_known_as_it_came() {
    let mut policy = policy(1);
    policy.watched = vec![Stage::Helo];
    policy.decide = |_, _, facts, _| {
        let came = facts.client.map(|client| client.address.clone());
        let odd = ClientAddress::OddIp { family: b'4', port: 25, text: Bytes::from_static(b"somewhere") };
        if came == Some(odd) { stop() } else { run() }
    };
    let mut world = World::new(policy, &[agrees]);
    world.negotiate();
    world.raw(b'C', b"client.test\x004\x00\x19somewhere\0");
    world.raw(b'H', b"client.test\0");
    assert_eq!(world.seen(0), "CQ");
}

/// Nobody is left whose answer could come: the MTA is answered at once, and not when its time is over.
#[test]
fn a_look_up_for_a_child_that_is_out_of_the_message_keeps_nobody_waiting() {
    let mut policy = policy(3);
    policy.children[1].fallback = Fallback::Discard;
    policy.watched = vec![Stage::Mail];
    policy.decide = |child, _, _, _| match child.0 {
        2 => Decision::Need(vec![Question::Addresses("never.test".into())]),
        _ => run(),
    };
    let mut world = World::new(policy, &[agrees, agrees, agrees]).begin("Postfix 3.7");
    world.mail();
    world.told.clear();
    world.close(1);
    assert_eq!(world.told_letters(), "c", "the first child may still refuse the message");
    world.rcpt("<c@d.test>");
    world.raw(b'T', b"");
    world.header("Subject", "test");
    world.end();
    assert!(world.told_letters().ends_with('d'));
}

/// A pool knows nothing of a connection that was never asked for.
#[test]
fn a_child_that_fails_before_it_was_connected_has_no_connection_to_close() {
    let mut policy = policy(1);
    policy.lazy = true;
    policy.watched = vec![Stage::Connect];
    policy.decide = |_, _, _, _| Decision::Need(vec![Question::Addresses("never.test".into())]);
    let mut world = World::new(policy, &[agrees]);
    let (version, macro_lists) = (VERSION_MAX, Vec::new());
    let known = Negotiation { version, actions: Actions::NONE, protocol: Protocol::NONE, macro_lists };
    world.pool.remembered.insert(0, known);
    let mut world = world.begin("Postfix 3.7");
    world.wait(std::time::Duration::from_secs(28));
    assert!(world.told_letters().ends_with('t'));
    assert!(world.pool.asked.is_empty() && !world.closed(0));
}

/// The time for the answer is over because of another child. Who does not want recipients still has a say in the message,
/// and what is answered for one that has failed still counts.
#[test]
fn a_child_behind_one_that_used_up_the_time_for_a_recipient_keeps_its_part() {
    let wants_no_recipients = |stage: Stage, _: &[u8]| match stage {
        Stage::Negotiate => negotiates(Actions::NONE, Protocol::NO_RCPT),
        Stage::EndOfMessage => says(Final::Reject),
        _ => says(Final::Continue),
    };
    for (closes, answers) in [(false, "ccr"), (true, "rrr")] {
        let mut policy = policy(2);
        policy.children[0].fallback = Fallback::Accept;
        policy.children[1].fallback = Fallback::Reject;
        policy.watched = vec![Stage::Rcpt];
        policy.decide = |child, _, _, _| match child.0 {
            0 => Decision::Need(vec![Question::Addresses("never.test".into())]),
            _ => run(),
        };
        let mut world = World::new(policy, &[agrees, wants_no_recipients]).begin("Postfix 3.7");
        world.mail();
        if closes {
            world.close(1);
        }
        world.told.clear();
        world.rcpt("<c@d.test>");
        world.wait(std::time::Duration::from_secs(28));
        world.raw(b'T', b"");
        world.header("Subject", "test");
        world.end();
        assert_eq!(world.told_letters(), answers, "the second child closes: {closes}");
    }
}

/// The first child notes the sender at MAIL and something at HELO; the second says what it finds.
fn note(child: ChildIndex, stage: Stage, facts: &Facts<'_>, notes: &mut Notes) {
    let (key, value) = (Bytes::from_static(b"key"), facts.sender.map(Bytes::copy_from_slice));
    match (child.0, stage) {
        (0, Stage::Helo) => notes.memory.push((Bytes::from_static(b"helo"), Some(Bytes::from_static(b"1")))),
        (0, Stage::Mail) if facts.sender != Some(b"<>") => notes.memory.push((key, value)),
        (1, Stage::Rcpt) => {
            let found: Vec<_> =
                facts.memory.iter().map(|(key, value)| format!("{key:?}={value:?}")).collect();
            let from = Why { condition: Arc::from("test"), place: Arc::from("test.conf:1") };
            let text = format!("{} {}", facts.environment.unix_seconds, found.join(" "));
            notes.remarks.push(Remark { level: RemarkLevel::Info, from, text: text.into() });
        }
        _ => {}
    }
}

fn remarks(world: &World) -> Vec<String> {
    let text = |event: &Event| match event {
        Event::ConditionRemarked { child: ChildIndex(1), stage: Stage::Rcpt, remark, .. } => {
            Some(remark.text.to_string())
        }
        _ => None,
    };
    world.events.iter().filter_map(text).collect()
}

#[test]
fn what_a_condition_notes_is_there_for_the_others_until_the_next_message() {
    let mut policy = policy(2);
    policy.watched = vec![Stage::Helo, Stage::Mail, Stage::Rcpt];
    policy.notes = note;
    let mut world = World::new(policy, &[agrees, agrees]).begin("Postfix 3.7");
    world.mail();
    world.rcpt("<one@d.test>");
    world.raw(b'M', b"<>\0");
    world.rcpt("<two@d.test>");
    let told = remarks(&world);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("b\"helo\"=b\"1\" b\"key\"=b\"<"), "{told:?}");
    assert!(told[1].contains("b\"helo\"=b\"1\"") && !told[1].contains("key"), "{told:?}");
}

#[test]
fn what_is_noted_counts_with_a_stop_and_not_with_a_question() {
    for (decide, times) in [
        (
            (|child, stage, _, _| if (child.0, stage) == (1, Stage::Rcpt) { stop() } else { run() })
                as Decide,
            1,
        ),
        (
            |child, stage, _, answers| {
                let question = Question::Addresses("x".into());
                match (child.0, stage, answers.find(&question)) {
                    (1, Stage::Rcpt, None) => Decision::Need(vec![question]),
                    _ => run(),
                }
            },
            0,
        ),
    ] {
        let mut policy = policy(2);
        policy.watched = vec![Stage::Rcpt];
        policy.notes = note;
        policy.decide = decide;
        let mut world = World::new(policy, &[agrees, agrees]).begin("Postfix 3.7");
        world.mail();
        world.rcpt("<one@d.test>");
        assert_eq!(remarks(&world).len(), times);
    }
}

/// An administrator saw mail that was delivered and read in the log that the MTA had taken it back.
#[test]
fn a_message_that_nobody_wants_to_see_was_accepted_and_not_taken_back() {
    let mut policy = policy(1);
    policy.watched = vec![Stage::Mail];
    policy.decide = |_, _, _, _| stop();
    let mut world = World::new(policy, &[agrees]).begin("Postfix 3.7");
    world.mail();
    assert_eq!(world.told_letters().pop(), Some('a'), "no more of it has to be shown");

    world.raw(b'A', b"");

    let Some(Event::Message(report)) = world.events.last() else { panic!("{:?}", world.events) };
    assert_eq!(report.end, MessageEnd::Answered(Verdict::Accept));
}
