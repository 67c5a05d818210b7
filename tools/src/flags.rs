//! The names that milter manager gives to what is negotiated.

use millstream_core::wire::{Actions, Protocol};

/// What a milter may do, by bit.
const ACTIONS: [(Actions, &str); 9] = [
    (Actions::ADD_HEADERS, "add-headers"),
    (Actions::CHANGE_BODY, "change-body"),
    (Actions::ADD_RECIPIENTS, "add-envelope-recipient"),
    (Actions::DELETE_RECIPIENTS, "delete-envelope-recipient"),
    (Actions::CHANGE_HEADERS, "change-headers"),
    (Actions::QUARANTINE, "quarantine"),
    (Actions::CHANGE_FROM, "change-envelope-from"),
    (Actions::ADD_RECIPIENTS_PAR, "add-envelope-recipient-with-parameters"),
    (Actions::MACRO_LISTS, "set-symbol-list"),
];

/// How the conversation goes, by bit.
const STEPS: [(Protocol, &str); 21] = [
    (Protocol::NO_CONNECT, "no-connect"),
    (Protocol::NO_HELO, "no-helo"),
    (Protocol::NO_MAIL, "no-envelope-from"),
    (Protocol::NO_RCPT, "no-envelope-recipient"),
    (Protocol::NO_BODY, "no-body"),
    (Protocol::NO_HEADERS, "no-headers"),
    (Protocol::NO_EOH, "no-end-of-header"),
    (Protocol::NR_HEADERS, "no-reply-header"),
    (Protocol::NO_UNKNOWN, "no-unknown"),
    (Protocol::NO_DATA, "no-data"),
    (Protocol::SKIP, "skip"),
    (Protocol::REJECTED_RECIPIENTS, "envelope-recipient-rejected"),
    (Protocol::NR_CONNECT, "no-reply-connect"),
    (Protocol::NR_HELO, "no-reply-helo"),
    (Protocol::NR_MAIL, "no-reply-envelope-from"),
    (Protocol::NR_RCPT, "no-reply-envelope-recipient"),
    (Protocol::NR_DATA, "no-reply-data"),
    (Protocol::NR_UNKNOWN, "no-reply-unknown"),
    (Protocol::NR_EOH, "no-reply-end-of-header"),
    (Protocol::NR_BODY, "no-reply-body"),
    (Protocol::HEADER_LEADING_SPACE, "header-value-with-leading-space"),
];

/// The names of the actions that are set, in the order of their bits.
#[must_use]
pub fn actions(set: Actions) -> Vec<&'static str> {
    ACTIONS.iter().filter(|(bit, _)| set.has(*bit)).map(|(_, name)| *name).collect()
}

/// The names of the steps that are set, in the order of their bits.
#[must_use]
pub fn steps(set: Protocol) -> Vec<&'static str> {
    STEPS.iter().filter(|(bit, _)| set.has(*bit)).map(|(_, name)| *name).collect()
}

/// The names of the actions in a word, `|` between them, and what has no name.
#[must_use]
pub fn shown_actions(set: Actions) -> String {
    shown(&actions(set), "action", set.without(Actions::ALL).0)
}

/// The same of the steps.
#[must_use]
pub fn shown_steps(set: Protocol) -> String {
    shown(&steps(set), "step", set.without(Protocol::ALL).0)
}

fn shown(names: &[&str], kind: &str, unknown: u32) -> String {
    let names = names.join("|");
    if unknown == 0 { names } else { format!("{names} (unknown flags: {kind}:{unknown:#x})") }
}

/// The actions of these names; an empty one is nothing.
///
/// # Errors
///
/// The name that is none, and those that are.
pub fn parse_actions(names: &[String]) -> Result<Actions, String> {
    let mut bits = names.iter().filter(|name| !name.is_empty()).map(|name| find(&ACTIONS, name));
    bits.try_fold(Actions::NONE, |all, bit| Ok(all.with(bit?)))
}

/// The steps of these names; an empty one is nothing.
///
/// # Errors
///
/// The name that is none, and those that are.
pub fn parse_steps(names: &[String]) -> Result<Protocol, String> {
    let mut bits = names.iter().filter(|name| !name.is_empty()).map(|name| find(&STEPS, name));
    bits.try_fold(Protocol::NONE, |all, bit| Ok(all.with(bit?)))
}

fn find<T: Copy>(table: &[(T, &str)], name: &str) -> Result<T, String> {
    let found = table.iter().find(|(_, known)| *known == name).map(|(bit, _)| *bit);
    found.ok_or_else(|| {
        let names: Vec<&str> = table.iter().map(|(_, known)| *known).collect();
        format!("unknown: <{name}>: it should be one of {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_has_a_name() {
        assert_eq!(actions(Actions::ALL).len(), 9);
        assert_eq!(ACTIONS.iter().fold(Actions::NONE, |all, (bit, _)| all.with(*bit)), Actions::ALL);
        assert_eq!(STEPS.iter().fold(Protocol::NONE, |all, (bit, _)| all.with(*bit)), Protocol::ALL);
        assert_eq!(shown_steps(Protocol(0x4000_0002)), "no-helo (unknown flags: step:0x40000000)");
        assert_eq!(parse_steps(&["no-helo".to_owned(), "skip".to_owned()]), Ok(Protocol(0x402)));
        assert!(
            parse_actions(&["nothing".to_owned()]).unwrap_err().starts_with("unknown: <nothing>: it should")
        );
        assert_eq!(steps(Protocol::NO_HELO.with(Protocol::SKIP)), ["no-helo", "skip"]);
    }
}
