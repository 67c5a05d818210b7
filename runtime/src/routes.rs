//! From what the poller reports to the connection that it means.

use millstream_core::machine::Peer;
use millstream_core::pool::KeptId;

use crate::poller::Token;

/// Whose connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// That of a session.
    Session(u32, Peer),
    /// One that waits for a session.
    Kept(KeptId),
}

/// The connections registered with one loop's poller; the index is the poller's token.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    entries: Vec<Option<Owner>>,
    free: Vec<usize>,
}

impl Routes {
    /// A token for a connection.
    pub(crate) fn add(&mut self, owner: Owner) -> Token {
        match self.free.pop() {
            Some(index) => {
                self.entries[index] = Some(owner);
                Token(index)
            }
            None => {
                self.entries.push(Some(owner));
                Token(self.entries.len() - 1)
            }
        }
    }

    /// A connection belongs to another one now.
    pub(crate) fn give(&mut self, token: Token, owner: Owner) {
        if let Some(entry) = self.entries.get_mut(token.0) {
            *entry = Some(owner);
        }
    }

    /// Frees the token of a connection that was closed.
    pub(crate) fn remove(&mut self, token: Token) {
        if let Some(entry) = self.entries.get_mut(token.0)
            && entry.take().is_some()
        {
            self.free.push(token.0);
        }
    }

    /// Whose connection a token stands for, `None` when it is closed.
    pub(crate) fn find(&self, token: Token) -> Option<Owner> {
        self.entries.get(token.0).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_connection_is_not_found_and_its_token_is_used_again() {
        let mut routes = Routes::default();
        let owner = |session| Owner::Session(session, Peer::MTA);
        let token = routes.add(owner(7));
        assert_eq!(routes.find(token), Some(owner(7)));
        routes.give(token, Owner::Kept(KeptId(1)));
        assert_eq!(routes.find(token), Some(Owner::Kept(KeptId(1))));
        routes.remove(token);
        routes.remove(token);
        assert_eq!(routes.find(token), None);
        assert_eq!(routes.add(owner(8)), token);
        assert_ne!(routes.add(owner(9)), token);
    }
}
