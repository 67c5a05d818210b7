//! One process of each kind, on sockets that stay the same when it is killed and started again.

use std::fs;
use std::path::{Path, PathBuf};

use millstream_tests::dkim::Key;
use millstream_tests::process::Process;
use millstream_tests::real_children::clamav::OnInfected;
use millstream_tests::real_children::{clamav, opendkim, rspamd, spamassassin};
use millstream_tests::until::PATIENCE;

/// The milters, in the order of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    OpenDkim,
    ClamAv,
    SpamAssassin,
    Rspamd,
    /// clamav-milter that has what it finds held.
    HoldingClamAv,
    /// clamav-milter whose clamd is not there.
    LostClamAv,
    /// spamass-milter whose spamd is not there.
    LostSpamAssassin,
}

impl Kind {
    /// The chain that is mostly meant.
    pub(crate) const ALL: [Self; 4] = [Self::OpenDkim, Self::ClamAv, Self::SpamAssassin, Self::Rspamd];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::OpenDkim => "opendkim",
            Self::ClamAv => "clamav",
            Self::SpamAssassin => "spamassassin",
            Self::Rspamd => "rspamd",
            Self::HoldingClamAv => "clamav-holding",
            Self::LostClamAv => "clamav-lost",
            Self::LostSpamAssassin => "spamassassin-lost",
        }
    }

    /// A header field that nobody else adds.
    pub(crate) const fn mark(self) -> &'static str {
        match self {
            Self::OpenDkim => "DKIM-Signature",
            Self::ClamAv | Self::HoldingClamAv | Self::LostClamAv => "X-Virus-Status",
            Self::SpamAssassin | Self::LostSpamAssassin => "X-Spam-Checker-Version",
            Self::Rspamd => "X-Rspamd-Queue-Id",
        }
    }

    /// Whether its connections are kept where that is asked for. opendkim settles in the negotiation who cares for the blanks
    /// before header values, and forgets it with QUIT_NC: its signatures would not hold from the second session on.
    pub(crate) fn bears_reuse(self) -> bool {
        self != Self::OpenDkim
    }

    /// Where it listens.
    pub(crate) fn socket(self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.sock", self.name()))
    }

    /// The milters as `smtpd_milters` names them.
    pub(crate) fn list(kinds: &[Self], folder: &Path) -> String {
        let sockets: Vec<_> =
            kinds.iter().map(|kind| format!("unix:{}", kind.socket(folder).display())).collect();
        sockets.join(",")
    }

    /// Its block in the manager's configuration, with further lines without `milter.`.
    pub(crate) fn block(self, folder: &Path, fallback: &str, lines: &[&str]) -> String {
        let lines: String = lines.iter().map(|line| format!("  milter.{line}\n")).collect();
        format!(
            "define_milter(\"{}\") do |milter|\n  milter.connection_spec = \"unix:{}\"\n  \
             milter.fallback_status = \"{fallback}\"\n{lines}end\n",
            self.name(),
            self.socket(folder).display()
        )
    }
}

/// What the milters ask for their opinion. One of each serves all tests.
#[derive(Debug)]
pub(crate) struct Backends {
    pub(crate) clamd: PathBuf,
    pub(crate) spamd: PathBuf,
    pub(crate) key: Key,
    // Kept until the test process ends.
    _processes: [Process; 2],
}

impl Backends {
    pub(crate) fn start(folder: &Path) -> Self {
        fs::create_dir_all(folder).expect("a folder can be made");
        let (clamd, spamd) = (folder.join("clamd.sock"), folder.join("spamd.sock"));
        let mut processes = [clamav::start_clamd(&clamd), spamassassin::start_spamd(&spamd)];
        let key = Key::generate(&folder.join("key"));
        processes[0].wait_for_socket(&clamd);
        processes[1].wait_for_socket(&spamd);
        Self { clamd, spamd, key, _processes: processes }
    }
}

/// The milters themselves.
#[derive(Debug)]
pub(crate) struct Children {
    folder: PathBuf,
    backends: &'static Backends,
    running: Vec<(Kind, Process)>,
}

impl Children {
    pub(crate) fn start(folder: &Path, backends: &'static Backends, kinds: &[Kind]) -> Self {
        fs::create_dir_all(folder).expect("a folder can be made");
        let mut children = Self { folder: folder.to_owned(), backends, running: Vec::new() };
        for &kind in kinds {
            let process = children.launch(kind);
            children.running.push((kind, process));
        }
        for (kind, process) in &mut children.running {
            process.wait_for_socket(&kind.socket(folder));
        }
        children
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Has it stand still (`STOP`) or go on (`CONT`).
    pub(crate) fn signal(&self, kind: Kind, signal: &str) {
        let (_, process) = self.running.iter().find(|(running, _)| *running == kind).expect("it runs");
        process.signal(signal);
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self, kind: Kind) {
        let at = self.running.iter().position(|(running, _)| *running == kind).expect("it runs");
        let (_, mut process) = self.running.remove(at);
        if kind == Kind::Rspamd {
            rspamd::kill(&mut process);
        } else {
            process.signal("KILL");
            process.wait(PATIENCE);
        }
    }

    /// Starts it where it was killed, as its service would.
    pub(crate) fn restart(&mut self, kind: Kind) {
        let socket = kind.socket(&self.folder);
        let _ = fs::remove_file(&socket);
        let mut process = self.launch(kind);
        process.wait_for_socket(&socket);
        self.running.push((kind, process));
    }

    fn launch(&self, kind: Kind) -> Process {
        let socket = kind.socket(&self.folder);
        let backends = self.backends;
        let nobody = self.folder.join("nobody.sock");
        match kind {
            Kind::OpenDkim => {
                opendkim::start(kind.name(), &socket, &backends.key, opendkim::Mode::SignAndVerify)
            }
            Kind::ClamAv => clamav::start_milter(&socket, &backends.clamd, OnInfected::Reject),
            Kind::HoldingClamAv => clamav::start_milter(&socket, &backends.clamd, OnInfected::Quarantine),
            Kind::LostClamAv => clamav::start_milter(&socket, &nobody, OnInfected::Reject),
            Kind::SpamAssassin => spamassassin::start_milter(&socket, &backends.spamd),
            Kind::LostSpamAssassin => spamassassin::start_milter(&socket, &nobody),
            Kind::Rspamd => rspamd::start(&socket),
        }
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        // The others have no processes of their own.
        for (kind, process) in &mut self.running {
            if *kind == Kind::Rspamd && process.ended().is_none() {
                rspamd::kill(process);
            }
        }
    }
}
