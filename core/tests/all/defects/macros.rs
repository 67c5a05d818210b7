//! Macros, and who is in which message.

use std::sync::Arc;

use millstream_core::policy::{
    Answers, ChildIndex, ChildSettings, ChildState, Decision, Effects, Facts, Fallback, Limits, Notes,
    Policy, StaticPolicy, Why,
};
use millstream_core::wire::Stage;

use super::dialogue::{c, content, greeted, message, negotiated, on};
use crate::matrix::driver::{Driver, Kid, Say, frame};

fn macros(driver: &mut Driver, letter: u8, pairs: &str) {
    driver.send(&frame(b'D', [&[letter][..], pairs.replace(' ', "\0").as_bytes(), b"\0"].concat()));
}

/// The macros that a child was sent for a command, in their order.
fn shown(kid: &Kid, letter: u8) -> Vec<String> {
    let frames = kid.seen.iter().filter(|(came, payload)| *came == b'D' && payload[0] == letter);
    frames.map(|(_, payload)| String::from_utf8(payload[1..].to_vec()).unwrap().replace('\0', " ")).collect()
}

/// A list of macros for a stage, as it stands in a negotiation: 0 connect, 1 HELO, 2 MAIL, 3 RCPT.
fn list(stage: u32, names: &str) -> Vec<u8> {
    [&stage.to_be_bytes()[..], names.as_bytes(), b"\0"].concat()
}

/// W12
#[test]
fn a_child_that_lists_macros_for_one_stage_gets_those_of_the_others() {
    let mut lists = Kid::usual();
    lists.lists = list(2, "{auth_type}");
    lists.actions = 0x1ff;
    let mut driver = Driver::new(vec![lists, Kid::usual()]);
    let (_, offer) = crate::matrix::driver::negotiation(6, 0x1ff, 0x1f_ffff);
    let answer = driver.ask(b'O', offer);
    // What is asked of the MTA keeps what the other child would have been sent.
    let asked = String::from_utf8_lossy(&answer[0].1[12..]).into_owned();
    assert!(asked.contains("{auth_type}") && asked.contains("{mail_addr}"), "{asked}");
    macros(&mut driver, b'C', "j mx.test");
    assert_eq!(driver.ask(b'C', super::dialogue::CONNECT), c());
    macros(&mut driver, b'M', "{auth_type} PLAIN {mail_addr} sender@example.org");
    assert_eq!(driver.ask(b'M', b"<sender@example.org>\0"), c());
    macros(&mut driver, b'R', "{rcpt_addr} one@example.org");
    assert_eq!(driver.ask(b'R', b"<one@example.org>\0"), c());
    assert_eq!(shown(&driver.kids[0], b'C'), ["j mx.test "]);
    assert_eq!(shown(&driver.kids[0], b'M'), ["{auth_type} PLAIN "]);
    assert_eq!(shown(&driver.kids[0], b'R'), ["{rcpt_addr} one@example.org "]);
    assert_eq!(shown(&driver.kids[1], b'M'), ["{auth_type} PLAIN {mail_addr} sender@example.org "]);
}

/// A policy that stops the first child at MAIL of a sender called `stop`, and between messages looks at how the children stand.
#[derive(Debug)]
struct Stopping(StaticPolicy);

impl Policy for Stopping {
    fn children(&self) -> &[ChildSettings] {
        self.0.children()
    }

    fn limits(&self) -> &Limits {
        self.0.limits()
    }

    fn fallback(&self) -> Fallback {
        self.0.fallback()
    }

    fn watches(&self, child: ChildIndex, stage: Stage) -> bool {
        child.0 == 0 && stage == Stage::Mail || stage == Stage::Unknown
    }

    fn decide(&self, _: ChildIndex, stage: Stage, facts: &Facts<'_>, _: &Answers, _: &mut Notes) -> Decision {
        if stage == Stage::Unknown {
            let undecided = |state: &ChildState| matches!(state, ChildState::Running | ChildState::Pending);
            assert!(facts.children.iter().all(undecided), "of no message at all");
        }
        match facts.sender {
            Some(b"<stop@example.org>") => {
                Decision::Stop(Why { condition: Arc::from("by sender"), place: Arc::from("test:1") })
            }
            _ => Decision::Run(Effects::default()),
        }
    }
}

/// W22
#[test]
fn a_child_that_is_stopped_at_the_sender_is_shown_nothing_of_that_message() {
    let mut driver = Driver::over(vec![Kid::usual(), Kid::usual()], |policy| Arc::new(Stopping(policy)));
    driver.ask(b'O', crate::matrix::driver::negotiation(6, 0x1ff, 0x1f_ffff).1);
    assert_eq!(driver.ask(b'C', super::dialogue::CONNECT), c());
    assert_eq!(message(&mut driver), c());
    assert_eq!(driver.ask(b'M', b"<stop@example.org>\0"), c());
    assert_eq!(driver.ask(b'R', b"<one@example.org>\0"), c());
    assert_eq!(driver.ask(b'T', []), c());
    assert_eq!(content(&mut driver), c());
    assert_eq!(message(&mut driver), c());
    assert_eq!(driver.kids[0].letters(), "OCMRTLLLNBEMRTLLLNBE");
    assert_eq!(driver.kids[1].letters(), "OCMRTLLLNBEMRTLLLNBEMRTLLLNBE");
}

/// W1, W22: as the conditions of other children see it
#[test]
fn between_two_messages_no_child_has_decided_anything() {
    let mut driver =
        Driver::over(vec![on(b'E', 0, Say::letter(b'r')), Kid::usual()], |policy| Arc::new(Stopping(policy)));
    driver.ask(b'O', crate::matrix::driver::negotiation(6, 0x1ff, 0x1f_ffff).1);
    assert_eq!(driver.ask(b'C', super::dialogue::CONNECT), c());
    assert_eq!(message(&mut driver), [frame(b'r', [])]);
    assert_eq!(driver.ask(b'U', b"NONSENSE\0"), c());
}

/// W22: by its own wish
#[test]
fn a_child_that_has_had_enough_at_the_sender_is_shown_no_more_of_that_message() {
    for (verdict, trial) in [(b'a', false), (b'a', true), (b'r', true), (b'd', true)] {
        let leaves = on(b'M', 2, Say::letter(verdict)).evaluation(trial);
        let mut driver = greeted(vec![leaves, Kid::usual()]);
        for _ in 0..4 {
            assert_eq!(message(&mut driver), c());
        }
        let whole = "MRTLLLNBE";
        assert_eq!(driver.kids[0].letters(), format!("OCH{whole}{whole}M{whole}"));
        assert_eq!(driver.kids[1].letters(), format!("OCH{whole}{whole}{whole}{whole}"));
    }
}

/// W23
#[test]
fn the_macros_of_one_message_are_not_shown_with_the_next() {
    let mut driver = greeted(vec![Kid::usual()]);
    macros(&mut driver, b'M', "{auth_type} PLAIN");
    assert_eq!(driver.ask(b'M', b"<sender@example.org>\0"), c());
    macros(&mut driver, b'R', "{rcpt_addr} one@example.org");
    assert_eq!(driver.ask(b'R', b"<one@example.org>\0"), c());
    macros(&mut driver, b'T', "i 4AbC");
    assert_eq!(driver.ask(b'T', []), c());
    macros(&mut driver, b'E', "{msg_id} <1@example.org>");
    assert_eq!(driver.ask(b'E', []), c());
    assert_eq!(message(&mut driver), c());
    for (letter, pairs) in [
        (b'M', "{auth_type} PLAIN "),
        (b'R', "{rcpt_addr} one@example.org "),
        (b'T', "i 4AbC "),
        (b'E', "{msg_id} <1@example.org> "),
    ] {
        assert_eq!(shown(&driver.kids[0], letter), [pairs]);
    }
}

/// W23: after an ABORT
#[test]
fn the_macros_of_an_aborted_message_are_not_shown_with_the_next() {
    let mut driver = greeted(vec![Kid::usual()]);
    macros(&mut driver, b'M', "{auth_type} PLAIN");
    assert_eq!(driver.ask(b'M', b"<sender@example.org>\0"), c());
    super::dialogue::abort(&mut driver);
    assert_eq!(message(&mut driver), c());
    assert_eq!(shown(&driver.kids[0], b'M'), ["{auth_type} PLAIN "]);
}

/// W6
#[test]
fn arguments_of_sender_and_recipient_reach_every_child() {
    let mut driver = negotiated(vec![Kid::usual(), Kid::usual()], 0x1f_ffff);
    assert_eq!(driver.ask(b'C', super::dialogue::CONNECT), c());
    let sender = b"<sender@example.org>\0SIZE=1000\0BODY=8BITMIME\0";
    let recipient = b"<one@example.org>\0NOTIFY=NEVER\0";
    assert_eq!(driver.ask(b'M', sender), c());
    assert_eq!(driver.ask(b'R', recipient), c());
    assert_eq!(content(&mut driver), c());
    for kid in &driver.kids {
        assert!(kid.seen.contains(&frame(b'M', sender)));
        assert!(kid.seen.contains(&frame(b'R', recipient)));
    }
}
