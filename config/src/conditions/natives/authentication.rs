//! `Authenticated` and `Unauthenticated`: whether the sender has logged in, by the macros `auth_type` and `auth_authen`.

use millstream_core::wire::Stage;

use super::Native;
use crate::evaluate::{Result, Situation};

/// Lets those through that have logged in (true), or the others.
#[derive(Debug)]
pub(super) struct Authenticated(pub(super) bool);

impl Native for Authenticated {
    fn watches(&self, stage: Stage) -> bool {
        stage == Stage::Mail
    }

    fn stops(&self, situation: &mut Situation<'_>) -> Result<bool> {
        Ok(situation.is_authenticated(situation.child) != self.0)
    }
}
