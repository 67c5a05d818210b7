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

    /// Gives back the memory of tokens that are not used, as far as none above them is.
    pub(crate) fn shrink(&mut self) {
        shrink(&mut self.entries, &mut self.free, |&index| index);
    }

    /// Whose connection a token stands for, `None` when it is closed.
    pub(crate) fn find(&self, token: Token) -> Option<Owner> {
        self.entries.get(token.0).copied().flatten()
    }
}

/// Drops the empty places at the end, and the memory behind them. Low places are taken first from then on, so that the end is
/// empty the next time.
pub(crate) fn shrink<T, I: Ord>(places: &mut Vec<Option<T>>, free: &mut Vec<I>, index: impl Fn(&I) -> usize) {
    let used = places.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    places.truncate(used);
    places.shrink_to_fit();
    free.retain(|at| index(at) < used);
    free.sort_unstable_by(|one, other| other.cmp(one));
    free.shrink_to_fit();
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
    #[test]
    fn shrinking_leaves_what_is_used_and_gives_low_tokens_first() {
        let mut routes = Routes::default();
        let owner = |session| Owner::Session(session, Peer::MTA);
        let tokens: Vec<_> = (0..10).map(|session| routes.add(owner(session))).collect();
        for gone in [0, 5, 2, 9, 7, 8] {
            routes.remove(tokens[gone]);
        }
        routes.shrink();
        assert_eq!(routes.find(tokens[6]), Some(owner(6)));
        let given: Vec<_> = (0..5).map(|_| routes.add(owner(11)).0).collect();
        assert_eq!(given, [0, 2, 5, 7, 8]);
    }
}
