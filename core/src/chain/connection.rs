//! The connection to a child: its state, and the time limit for what is awaited on it.

use alloc::boxed::Box;
use core::time::Duration;

use super::told::Told;
use crate::client::Client;
use crate::event::TimerName;
use crate::machine::Peer;
use crate::policy::{Fallback, Timeouts};
use crate::time::Instant;
use crate::wire::Negotiation;
use crate::wire::facts::Stage;

/// A child is sent content while no more than this waits to be written to it, in bytes.
pub(super) const WINDOW: usize = 128 << 10;

/// The connection to a child, or what is known for it where there is none.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) peer: Peer,
    pub(super) link: Link,
    pub(super) origin: Origin,
    /// What the child has to answer to the offer, when the MTA was answered before it was.
    pub(super) expected: Option<Box<Negotiation>>,
    pub(super) told: Told,
    pub(super) timer: Option<Timer>,
    /// It has changed since its timer was set.
    pub(super) touched: bool,
}

/// How far a connection is; `connect.rs` has the picture.
#[derive(Debug)]
pub(super) enum Link {
    /// Not asked for yet.
    None,
    /// What it answered to this offer before was asked for.
    Recalling,
    /// That is known, and it is not connected.
    Remembered,
    /// Asked for.
    Connecting,
    /// The offer was sent.
    Negotiating(Box<Client>),
    /// It takes part.
    Up(Box<Client>),
    /// There is none any more.
    Gone(Gone),
}

/// Why a child is not in the session any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gone {
    /// It accepted the connection, the session is over, or the connection was refused.
    Left,
    /// A condition stopped it, at this stage.
    Stopped(Stage),
    /// It failed, and this is answered instead.
    Failed(Fallback),
}

/// Where a connection is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// It was made for this session.
    Fresh,
    /// The same, since one that was kept was dead.
    Replacement,
    /// It was kept from another session, and the child has said nothing on it yet.
    Unproven,
    /// It was kept from another session, and the child has answered on it.
    Proven,
}

/// A running timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timer {
    pub(super) name: TimerName,
    pub(super) limit: Duration,
    pub(super) since: Instant,
    pub(super) deadline: Instant,
}

impl Connection {
    pub(super) fn new(peer: Peer) -> Self {
        Self {
            peer,
            link: Link::None,
            origin: Origin::Fresh,
            expected: None,
            told: Told::default(),
            timer: None,
            touched: true,
        }
    }

    /// The conversation, while bytes may still go to the child.
    pub(super) fn client(&self) -> Option<&Client> {
        match &self.link {
            Link::Negotiating(client) | Link::Up(client) => Some(client),
            Link::None | Link::Recalling | Link::Remembered | Link::Connecting | Link::Gone(_) => None,
        }
    }

    pub(super) fn client_mut(&mut self) -> Option<&mut Client> {
        self.touched = true;
        match &mut self.link {
            Link::Negotiating(client) | Link::Up(client) => Some(client),
            Link::None | Link::Recalling | Link::Remembered | Link::Connecting | Link::Gone(_) => None,
        }
    }

    /// Whether so much waits to be written to it that it is sent no more content.
    pub(super) fn is_crowded(&self) -> bool {
        self.client().is_some_and(|client| client.unwritten() > WINDOW)
    }

    /// The conversation with a child that takes part.
    pub(super) fn up(&self) -> Option<&Client> {
        match &self.link {
            Link::Up(client) => Some(client),
            _ => None,
        }
    }

    pub(super) fn up_mut(&mut self) -> Option<&mut Client> {
        self.touched = true;
        match &mut self.link {
            Link::Up(client) => Some(client),
            _ => None,
        }
    }

    /// Whether the child has to be waited for.
    pub(super) const fn is_coming(&self) -> bool {
        matches!(self.link, Link::None | Link::Recalling | Link::Connecting | Link::Negotiating(_))
    }

    /// What the child negotiated, as far as that is known and it is in the session.
    pub(super) fn terms(&self) -> Option<&Negotiation> {
        match &self.link {
            Link::Up(client) => Some(client.negotiated()),
            Link::Remembered | Link::Connecting | Link::Negotiating(_) => self.expected.as_deref(),
            Link::None | Link::Recalling | Link::Gone(_) => None,
        }
    }

    /// Whether it was kept from another session.
    pub(super) const fn is_kept(&self) -> bool {
        matches!(self.origin, Origin::Unproven | Origin::Proven)
    }

    /// Whether it may be dead, and the child knows of nothing that was said on it.
    pub(super) fn is_unproven(&self) -> bool {
        self.origin == Origin::Unproven
    }

    /// Whether the child has not answered the offer, and is perhaps talked to all the same.
    pub(super) const fn is_unheard(&self) -> bool {
        match self.link {
            Link::Negotiating(_) => true,
            Link::Up(_) => self.expected.is_some(),
            _ => false,
        }
    }

    /// Whether all that the child was told can be told again on another, should this one turn out to be dead.
    pub(super) fn is_replaceable(&self) -> bool {
        self.is_unproven() && self.told.is_whole()
    }

    /// It is of no use any more: what was negotiated on it is what the child has to answer on another.
    pub(super) fn lose(&mut self) {
        if let Link::Up(client) = &self.link {
            let expected = Some(Box::new(client.negotiated().clone()));
            let told = core::mem::take(&mut self.told);
            *self = Self { link: Link::Remembered, expected, told, ..Self::new(self.peer.next()) };
        }
    }

    /// The child is not in the session any more. Returns how far the connection was.
    pub(super) fn end(&mut self, why: Gone) -> Link {
        core::mem::replace(self, Self { link: Link::Gone(why), ..Self::new(self.peer) }).link
    }

    /// It is asked for.
    pub(super) fn ask(&mut self) {
        self.link = Link::Connecting;
        self.origin = Origin::Fresh;
        self.touched = true;
    }

    /// The child has answered something on it, if only what was taken back.
    pub(super) fn prove(&mut self) {
        if self.is_unproven() && self.client().is_some_and(Client::has_answered) {
            self.origin = Origin::Proven;
            self.told.take_said();
        }
    }

    pub(super) fn wrote(&mut self, n: usize) {
        if let Some(client) = self.client_mut() {
            client.wrote(n);
            self.timer = None;
        }
    }

    /// Sets the timer for what is awaited now. A timer for the same thing runs on.
    pub(super) fn retime(&mut self, timeouts: &Timeouts, now: Instant) {
        let wanted = match &self.link {
            Link::Connecting => Some((TimerName::Connection, timeouts.connection)),
            Link::Negotiating(client) | Link::Up(client) => match client.awaits() {
                _ if client.unwritten() > 0 => Some((TimerName::Writing, timeouts.writing)),
                Some(Stage::EndOfMessage) => Some((TimerName::EndOfMessage, timeouts.end_of_message)),
                Some(_) => Some((TimerName::Reading, timeouts.reading)),
                None => None,
            },
            Link::None | Link::Recalling | Link::Remembered | Link::Gone(_) => None,
        };
        match wanted {
            None => self.timer = None,
            Some((name, _)) if self.timer.as_ref().is_some_and(|timer| timer.name == name) => {}
            Some((name, limit)) => {
                self.timer = Some(Timer { name, limit, since: now, deadline: now + limit });
            }
        }
    }
}
