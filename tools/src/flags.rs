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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_has_a_name() {
        assert_eq!(actions(Actions::ALL).len(), 9);
        assert_eq!(ACTIONS.iter().fold(Actions::NONE, |all, (bit, _)| all.with(*bit)), Actions::ALL);
        assert_eq!(STEPS.iter().fold(Protocol::NONE, |all, (bit, _)| all.with(*bit)), Protocol::ALL);
        assert_eq!(steps(Protocol::NO_HELO.with(Protocol::SKIP)), ["no-helo", "skip"]);
    }
}
