//! From what the poller reports to the connection that it means.

use millstream_core::machine::Peer;
use mio::Token;

/// The connections registered with one loop's poller; the index is the poller's token.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    entries: Vec<Option<(u32, Peer)>>,
    free: Vec<usize>,
}

impl Routes {
    /// A token for a connection of a session.
    pub(crate) fn add(&mut self, session: u32, peer: Peer) -> Token {
        let route = Some((session, peer));
        match self.free.pop() {
            Some(index) => {
                self.entries[index] = route;
                Token(index)
            }
            None => {
                self.entries.push(route);
                Token(self.entries.len() - 1)
            }
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

    /// The session and connection that a token stands for, `None` when it is closed.
    pub(crate) fn find(&self, token: Token) -> Option<(u32, Peer)> {
        self.entries.get(token.0).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_connection_is_not_found_and_its_token_is_used_again() {
        let mut routes = Routes::default();
        let token = routes.add(7, Peer::MTA);
        assert_eq!(routes.find(token), Some((7, Peer::MTA)));
        routes.remove(token);
        routes.remove(token);
        assert_eq!(routes.find(token), None);
        assert_eq!(routes.add(8, Peer::MTA), token);
        assert_ne!(routes.add(9, Peer::MTA), token);
    }
}
