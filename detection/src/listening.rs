//! What the files of a milter say of it, whichever way it is started.

use std::time::Duration;

use crate::files;
use crate::report::Evidence;
use crate::setting::Setting;
use crate::survey::Survey;

/// Where a milter listens, and what else its files say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Listening {
    /// The socket.
    pub(crate) socket: Option<Setting>,
    /// Why it is not to be used although its service is enabled.
    pub(crate) refused: Option<Evidence>,
    /// How long it keeps clients waiting.
    pub(crate) tarpit: Duration,
}

impl Listening {
    /// Of a socket alone.
    pub(crate) fn at(socket: Option<Setting>) -> Self {
        Self { socket, ..Self::default() }
    }

    /// Of clamav-milter with the configuration at `path`.
    pub(crate) fn clamav(survey: &mut Survey<'_>, path: &str) -> Self {
        let read = files::clamav(survey, path);
        let refused = read.example.map(|example| Evidence {
            says: "Example: clamav-milter does not start with this line".to_owned(),
            ..example.by
        });
        Self { socket: read.socket, refused, tarpit: Duration::ZERO }
    }

    /// Of milter-greylist with the configuration at `path`.
    pub(crate) fn greylist(survey: &mut Survey<'_>, path: &str) -> Self {
        let read = files::greylist(survey, path);
        Self { socket: read.socket, refused: None, tarpit: read.tarpit }
    }

    /// Of rspamd with its files in `directory`.
    pub(crate) fn rspamd(survey: &mut Survey<'_>, directory: &str) -> Self {
        let socket = files::rspamd(survey, directory);
        let path = format!("{directory}/rspamd.conf");
        let nothing = || Evidence::whole(&path, "no worker rspamd_proxy has milter = true and a bind_socket");
        Self { refused: socket.is_none().then(nothing), socket, tarpit: Duration::ZERO }
    }

    /// The same, at `socket` if there is one.
    pub(crate) fn preferring(self, socket: Option<Setting>) -> Self {
        Self { socket: socket.or(self.socket), ..self }
    }

    /// The same, at `socket` if none is known yet.
    pub(crate) fn or(self, socket: impl FnOnce() -> Option<Setting>) -> Self {
        Self { socket: self.socket.or_else(socket), ..self }
    }
}
