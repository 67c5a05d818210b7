//! What a session does at this moment, for people who ask.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::wire::{ConnectInfo, Stage};

/// What a session does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Situation {
    /// The client, once the MTA has told of it.
    pub client: Option<ConnectInfo>,
    /// The message in hand as the MTA names it (macro `i`); empty when it has not.
    pub queue_id: Arc<[u8]>,
    /// The stage at which the session is.
    pub stage: Stage,
    /// Since its first input.
    pub age: Duration,
    /// The children that something is awaited of; when there are none the MTA is waited for.
    pub waits_for: Vec<Waiting>,
}

/// A child that a session waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its name.
    pub child: Arc<str>,
    /// What it has not answered; [`Stage::Negotiate`] also stands for its connection.
    pub stage: Stage,
    /// For how long.
    pub since: Duration,
}
