//! Negotiation: with each child on its own, with the MTA on behalf of all.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use super::child::Child;
use super::{Decided, Session};
use crate::event::{Event, Verdict};
use crate::policy::{ChildIndex, FailureKind, Fallback};
use crate::wire::facts::{Actions, Protocol, STAGES, Stage};
use crate::wire::{Negotiation, VERSION_MAX, VERSION_MIN, names};

/// What Postfix 3.7 and Sendmail 8.17 send when no list is asked for. A list replaces the MTA's own, so that asking
/// for one macro without naming these would take them away from every other child.
const DEFAULT_MACROS: [(Stage, &[u8]); 7] = [
    (Stage::Connect, b"j {daemon_name} {daemon_addr} v _ {if_name} {if_addr} {client_name}"),
    (Stage::Helo, b"{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}"),
    (
        Stage::Mail,
        b"i {auth_type} {auth_authen} {auth_ssf} {auth_author} {mail_addr} {mail_host} {mail_mailer}",
    ),
    (Stage::Rcpt, b"i {rcpt_addr} {rcpt_host} {rcpt_mailer}"),
    (Stage::Data, b"i"),
    (Stage::EndOfHeaders, b"i"),
    (Stage::EndOfMessage, b"i {msg_id}"),
];

impl Session {
    /// The MTA has made its offer: every child is asked for.
    pub(super) fn offered(&mut self, offer: Negotiation) {
        if offer.version < VERSION_MIN {
            self.mta_failed(crate::event::Failure::Protocol(Box::new(crate::wire::Fault::Negotiation {
                culprit: crate::wire::Culprit::Mta,
                what: "version",
                expected: VERSION_MAX,
                came: offer.version,
            })));
            return;
        }
        self.offered = taken(offer);
        self.offer = to_children(&self.offered);
        if self.children.is_empty() {
            let verdict = Verdict::from(self.policy.fallback());
            self.refused = (!verdict.delivers()).then_some(Decided { verdict, by: None });
        }
        self.begin_budget(Stage::Negotiate);
        self.ask_for_children();
    }

    /// Answers the MTA as soon as nothing more has to be known about any child.
    pub(super) fn settle_negotiation(&mut self) {
        if self.filter.owed() != Some(Stage::Negotiate) || self.children.iter().any(Child::is_coming) {
            return;
        }
        self.budget = None;
        self.asks_version = self.offered.actions.has(Actions::MACRO_LISTS) && self.wants_version();
        self.answer = self.joint_answer();
        if self.filter.negotiate(&self.answer).is_err() {
            return self.finish();
        }
        let children = self.children.iter().filter(|child| child.terms().is_some()).count();
        self.event(Event::Negotiated { version: self.answer.version, children });
    }

    /// What is asked of the MTA: the union of what the children need, and silence wherever no child speaks.
    fn joint_answer(&self) -> Negotiation {
        let agreed = || self.children.iter().filter_map(Child::terms);
        let enforcing = self.children.iter().filter(|child| !child.evaluation).filter_map(Child::terms);
        let mut actions = enforcing.fold(Actions::NONE, |all, terms| all.with(terms.actions));
        if actions.has(Actions::CHANGE_HEADERS) {
            // A change of a header that is not there adds it.
            actions = actions.with(Actions::ADD_HEADERS);
        }
        actions = actions.with(self.own_actions());
        let mut macro_lists = Vec::new();
        if self.offered.actions.has(Actions::MACRO_LISTS) {
            macro_lists = self.joint_macro_lists();
        }
        let lists_bit = if macro_lists.is_empty() { Actions::NONE } else { Actions::MACRO_LISTS };

        let must_speak = self.refused.is_some() || self.children.iter().any(Child::failure_counts);
        let mut protocol = Protocol::NONE;
        for fact in &STAGES {
            let wanted = self.needs(fact.stage);
            let asked = agreed().any(|terms| terms.wants(fact.stage) && terms.replies_to(fact.stage));
            let speaks = (asked || must_speak) && !fact.stage.is_content();
            if let Some(bit) = fact.no_send.filter(|_| !wanted) {
                protocol = protocol.with(bit);
            } else if let Some(bit) = fact.no_reply.filter(|_| !speaks) {
                protocol = protocol.with(bit);
            }
        }
        let extras = Protocol::HEADER_LEADING_SPACE.with(Protocol::REJECTED_RECIPIENTS);
        let extras = agreed().fold(Protocol::NONE, |all, terms| all.with(terms.protocol.and(extras)));
        Negotiation {
            version: self.offer.version,
            actions: actions.with(lists_bit).and(self.offered.actions),
            protocol: protocol.with(extras).and(self.offered.protocol),
            macro_lists,
        }
    }

    /// What we may have to do to a message ourselves.
    fn own_actions(&self) -> Actions {
        let mut actions = Actions::NONE;
        if self.policy.unfiltered_header().is_some() {
            actions = actions.with(Actions::ADD_HEADERS).with(Actions::CHANGE_HEADERS);
        }
        let children = self.children.iter().enumerate().filter(|(_, child)| !child.evaluation);
        let quarantines = |index: usize| {
            let fallback = |kind| self.policy.fallback_for(ChildIndex(index as u16), kind);
            FailureKind::ALL.into_iter().map(fallback).any(|fallback| fallback == Fallback::Quarantine)
        };
        if children.map(|(index, _)| index).any(quarantines) {
            actions = actions.with(Actions::QUARANTINE);
        }
        actions
    }

    /// Whether the MTA has to send the command of `stage`. The envelope is always wanted, for the log and as the frame
    /// of a message; headers also when edits have to be resolved against them.
    fn needs(&self, stage: Stage) -> bool {
        let wanted = self
            .children
            .iter()
            .any(|child| child.terms().is_some_and(|terms| child.is_watched(stage) || terms.wants(stage)));
        let header_rights = Actions::ADD_HEADERS.with(Actions::CHANGE_HEADERS);
        match stage {
            Stage::Connect | Stage::Helo | Stage::Mail | Stage::Rcpt => true,
            Stage::Header => {
                wanted
                    || self.policy.unfiltered_header().is_some()
                    || self.children.iter().any(|child| child.writes().has_any(header_rights))
            }
            _ => wanted,
        }
    }

    /// Whether the MTA has to be asked which one it is: `v` tells, and its time limits and rules for headers with it.
    /// Sendmail sends that only when asked, Postfix with CONNECT unless the administrator has other macros there. Asked
    /// with HELO: hardly anybody has macros of his own there, which a list would replace.
    fn wants_version(&self) -> bool {
        let terms = || self.children.iter().filter_map(Child::terms);
        let lists = |stage| terms().filter_map(move |terms| terms.macro_list(stage));
        // What is listed for CONNECT is asked for together with `v`.
        lists(Stage::Connect).next().is_none() && !lists(Stage::Helo).flat_map(names).any(|name| name == b"v")
    }

    /// For each stage that a child has listed: the names that any child listed, and the MTA's defaults.
    fn joint_macro_lists(&self) -> Vec<(Stage, Bytes)> {
        let mut lists = Vec::new();
        for fact in STAGES.iter().filter(|fact| fact.macro_list.is_some()) {
            let stage = fact.stage;
            let asked = || self.children.iter().filter_map(|child| child.terms()?.macro_list(stage));
            let version = (stage == Stage::Helo && self.asks_version).then_some(&b"v"[..]);
            if version.is_none() && asked().next().is_none() {
                continue;
            }
            let listed = DEFAULT_MACROS.iter().filter(|(listed, _)| *listed == stage);
            let defaults = listed.map(|(_, list)| *list).chain(version);
            let mut joint: Vec<u8> = Vec::new();
            let mut seen: Vec<&[u8]> = Vec::new();
            for name in defaults.chain(asked()).flat_map(names) {
                if seen.contains(&name) {
                    continue;
                }
                seen.push(name);
                let (open, close): (&[u8], &[u8]) = if name.len() == 1 { (b"", b"") } else { (b"{", b"}") };
                for piece in [if joint.is_empty() { &b""[..] } else { b" " }, open, name, close] {
                    joint.extend_from_slice(piece);
                }
            }
            lists.push((stage, Bytes::from(joint)));
        }
        lists
    }
}

/// The MTA's offer as far as it is known here. No actions at all means the first four, as libmilter has it.
fn taken(mut offer: Negotiation) -> Negotiation {
    offer.version = offer.version.min(VERSION_MAX);
    offer.actions =
        if offer.actions == Actions::NONE { Actions::V1 } else { offer.actions.and(Actions::ALL) };
    offer.protocol = offer.protocol.and(Protocol::ALL);
    offer
}

/// What is offered to children: what the MTA offers, and every bit of that version that is settled between a child and
/// us alone.
fn to_children(offered: &Negotiation) -> Negotiation {
    let ours = Protocol::NO_SEND.with(Protocol::NO_REPLY).with(Protocol::SKIP);
    let protocol = offered.protocol.with(ours.and(Protocol::of_version(offered.version)));
    Negotiation { protocol, macro_lists: Vec::new(), ..*offered }
}
