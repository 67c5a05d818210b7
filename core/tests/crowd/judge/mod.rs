//! What must have been answered: the children one after another, and for one that failed its fallback from then on.
//!
//! A child fails at the moment at which the session says so. What the MTA was owed then, and what of the content had been
//! sent, may have had the child's own answer or the fallback: nobody else can know how far the child was. Everything before
//! must be the child's, everything behind the fallback. And it must have failed: the connection that it had must have been
//! dealt what the session says.

mod walk;

use millstream_core::event::{Failure, TimerName};
use millstream_core::machine::{IoError, IoKind, Peer};
use millstream_core::policy::Fallback;
use millstream_core::wire::Negotiation;

use crate::mta::Mta;
use crate::town::Town;
use walk::{View, Walk};

/// A failure, with the commands at the first of which it may have counted.
#[derive(Clone, Copy, Debug)]
struct Failed {
    from: usize,
    to: usize,
    fallback: Fallback,
}

/// What a session has seen of a child.
#[derive(Default)]
struct OfChild {
    /// What it negotiated, with the number of commands that the session had read.
    terms: Vec<(usize, u32)>,
    failures: Vec<Failed>,
    /// Of the last request: what it met, and the connection that came of it, with whether it was kept.
    met: Vec<IoError>,
    connection: Option<(usize, bool)>,
}

pub(crate) struct Record {
    children: Vec<OfChild>,
    /// Connections that have said something in this session.
    heard: Vec<usize>,
}

fn index(peer: Peer) -> usize {
    peer.child_index().map_or(0, |child| usize::from(child.0))
}

impl Record {
    pub(crate) fn new(children: usize) -> Self {
        Self { children: (0..children).map(|_| OfChild::default()).collect(), heard: Vec::new() }
    }

    /// A connection is asked for: a fresh one where the last was kept, or may still know the HELO of another client.
    pub(crate) fn asked(&mut self, peer: Peer, fresh: bool, mta: &Mta) {
        let child = &mut self.children[index(peer)];
        let had_kept = child.connection.is_some_and(|(_, kept)| kept);
        assert!(!fresh || had_kept || !mta.has_named(), "a fresh connection is asked for without need");
        child.met.clear();
        child.connection = None;
    }

    pub(crate) fn met(&mut self, peer: Peer, error: IoError) {
        self.children[index(peer)].met.push(error);
    }

    pub(crate) fn used(&mut self, peer: Peer, connection: usize, kept: bool) {
        self.heard.retain(|known| *known != connection);
        self.children[index(peer)].connection = Some((connection, kept));
    }

    /// The connection to a child.
    pub(crate) fn connection(&self, peer: Peer) -> Option<usize> {
        self.children[index(peer)].connection.map(|(connection, _)| connection)
    }

    /// What a child is known to negotiate.
    pub(crate) fn terms(&self, peer: Peer) -> Option<u32> {
        self.children[index(peer)].terms.last().map(|(_, terms)| *terms)
    }

    pub(crate) fn heard(&mut self, connection: usize) {
        self.heard.push(connection);
    }

    /// What a child negotiates is known.
    pub(crate) fn joined(&mut self, peer: Peer, negotiated: &Negotiation, mta: &Mta) {
        let at = mta.taken();
        let terms = &mut self.children[index(peer)].terms;
        if mta.protocol.is_none() {
            // The MTA was not answered: the last counts.
            terms.clear();
        }
        terms.push((at, negotiated.protocol.0));
    }

    /// A child has failed: that must be true.
    pub(crate) fn failed(
        &mut self,
        town: &Town,
        child: usize,
        failure: &Failure,
        fallback: Fallback,
        mta: &Mta,
    ) {
        let known = &self.children[child];
        let connection = known.connection.map(|(id, _)| &town.connections[id]);
        let is_true = match failure {
            // The desk has looked at those.
            Failure::Connect(_) => true,
            Failure::Timeout { timer: TimerName::Connection, .. } => {
                let hangs = connection.is_some_and(|it| it.outcome.is_none());
                hangs || known.met.iter().any(|error| error.kind == IoKind::Busy)
            }
            Failure::Timeout { timer: TimerName::Budget, .. } => false,
            Failure::Timeout { .. } => connection.is_some_and(|it| it.stood),
            Failure::Protocol(_) => connection.is_some_and(|it| it.garbage),
            Failure::Closed(_) => connection.is_some_and(|it| it.ended) && !self.is_replaceable(child),
            Failure::Renegotiated => {
                let differs = known.terms.iter().any(|(_, terms)| *terms != known.terms[0].1);
                differs || !known.failures.is_empty()
            }
        };
        assert!(is_true, "c{child} of s{} has not failed: {failure}", mta.number);
        let (from, to) = (mta.open(), mta.taken());
        self.children[child].failures.push(Failed { from, to: to.max(from), fallback });
    }

    /// Whether a connection that is lost was kept, and has said nothing: all can be told again.
    fn is_replaceable(&self, child: usize) -> bool {
        self.children[child].connection.is_some_and(|(id, kept)| kept && !self.heard.contains(&id))
    }

    /// The session is over: every answer must have been right.
    pub(crate) fn judge(&self, mta: &Mta) {
        let mut from = 0;
        for to in 0..=mta.log.len() {
            if to < mta.log.len() && mta.log[to].letter != b'K' {
                continue;
            }
            self.judge_part(mta, from, to);
            from = to;
        }
    }

    /// One session of the MTA: the commands `from..to`, the first of which is the offer or QUIT_NC.
    fn judge_part(&self, mta: &Mta, from: usize, to: usize) {
        let mut choices: Vec<Vec<View>> = Vec::new();
        for child in &self.children {
            let of_part = |at: usize| at > from && at <= to;
            let terms = child.terms.iter().find(|(at, _)| of_part(*at)).map(|(_, terms)| *terms);
            let failed: Vec<&Failed> = child.failures.iter().filter(|failed| of_part(failed.to)).collect();
            let mut views: Vec<View> = failed
                .iter()
                .flat_map(|failed| {
                    let first = failed.from.max(from);
                    (first..=failed.to).map(|at| View { terms, failed: Some((at, failed.fallback)) })
                })
                .collect();
            if views.is_empty() {
                views.push(View { terms, failed: None });
            }
            choices.push(views);
        }
        let mut chosen = vec![0; choices.len()];
        let mut wrong = None;
        loop {
            let views: Vec<View> = choices.iter().zip(&chosen).map(|(views, at)| views[*at]).collect();
            match Walk::new(views).run(&mta.log[from..to], from) {
                Ok(()) => return,
                Err(what) => wrong = Some(wrong.unwrap_or(what)),
            }
            let next = (0..chosen.len()).find(|at| chosen[*at] + 1 < choices[*at].len());
            let Some(next) = next else { break };
            chosen[next] += 1;
            chosen[..next].fill(0);
        }
        panic!("s{}: {}; views {choices:?}", mta.number, wrong.unwrap_or_default());
    }
}
