//! Connections to children: from `Acquire` to `Ready` or `Refused`.

use millstream_core::machine::{IoError, Peer};
use millstream_core::pool::{Request, Step};
use millstream_core::service::Service;

use crate::context::Context;
use crate::error::classify;
use crate::link::{Link, Phase, Wire};
use crate::session::Session;
use crate::socket::{Progress, Socket};

impl<S: Service> Session<S> {
    /// Begins to connect.
    pub(crate) fn acquire(&mut self, peer: Peer, request: Request, cx: &mut Context<S>) {
        let (phase, wire) = begin(self.key.index, peer, Box::new(request), None, cx);
        self.links.push(Link { peer, phase, wire });
    }

    /// Looks at a link that is being connected. Says whether there is something to tell the machine.
    pub(crate) fn advance_connect(&mut self, at: usize, cx: &mut Context<S>) -> bool {
        let index = self.key.index;
        let link = &mut self.links[at];
        let peer = link.peer;
        match std::mem::replace(&mut link.phase, Phase::Connected) {
            Phase::Waiting(request, time) => {
                if time > cx.now {
                    link.phase = Phase::Waiting(request, time);
                    return false;
                }
                (link.phase, link.wire) = begin(index, peer, request, None, cx);
            }
            Phase::Connecting(request) => {
                let Some(wire) = link.wire.as_mut().filter(|wire| wire.writable) else {
                    link.phase = Phase::Connecting(request);
                    return false;
                };
                match wire.socket.progress() {
                    Progress::Connected => {}
                    Progress::Pending => {
                        wire.writable = false;
                        link.phase = Phase::Connecting(request);
                    }
                    Progress::Failed(error) => {
                        if let Some(wire) = link.wire.take() {
                            wire.close(cx);
                        }
                        (link.phase, link.wire) = begin(index, peer, request, Some(error), cx);
                    }
                }
            }
            other => link.phase = other,
        }
        matches!(link.phase, Phase::Connected | Phase::Refused(_))
    }
}

/// Does what the pool says until the kernel is at work, the pool wants to wait, or the outcome is known. `error` is how
/// the last attempt failed; `None` for the first one and for a retry.
fn begin<S: Service>(
    session: u32,
    peer: Peer,
    mut request: Box<Request>,
    mut error: Option<IoError>,
    cx: &mut Context<S>,
) -> (Phase, Option<Wire>) {
    loop {
        let step = match error.take() {
            None => request.retry(),
            Some(error) => request.failed(cx.now, error),
        };
        let attempt = match step {
            Step::Connect(address) => Socket::connect(address),
            Step::Later(at) => return (Phase::Waiting(request, at), None),
            Step::Refused(why) => return (Phase::Refused(why), None),
        };
        match attempt.and_then(|socket| watch(socket, session, peer, cx)) {
            Ok((wire, true)) => return (Phase::Connected, Some(wire)),
            Ok((wire, false)) => return (Phase::Connecting(request), Some(wire)),
            Err(failure) => error = Some(failure),
        }
    }
}

/// Registers a socket whose connect was begun. Says whether it is connected already, as unix sockets always are and
/// TCP on the same machine mostly.
fn watch<S: Service>(
    socket: Socket,
    session: u32,
    peer: Peer,
    cx: &mut Context<S>,
) -> Result<(Wire, bool), IoError> {
    let connected = match socket.progress() {
        Progress::Connected => true,
        Progress::Pending => false,
        Progress::Failed(error) => return Err(error),
    };
    match Wire::new(socket, session, peer, connected, cx) {
        Ok(wire) => Ok((wire, connected)),
        Err(error) => Err(classify(&error)),
    }
}
