//! A manager with one scripted child behind it, and an ordinary message to see that both still work.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use millstream_tests::child_side::ChildSide;
use millstream_tests::manager::{self, Manager};
use millstream_tests::mta_side::{Ending, MtaSide};
use millstream_tests::ports;
use millstream_tests::require;
use millstream_tests::scratch::Scratch;
use millstream_tests::until::PATIENCE;
use millstream_tests::wire::{Address, Frame};

/// How long the manager may take for one reply.
pub(crate) const LIMIT: Duration = PATIENCE;

/// The manager on a loopback port and one child.
pub(crate) struct Bench {
    pub(crate) manager: Manager,
    pub(crate) address: Address,
    pub(crate) child: ChildSide,
    _scratch: Scratch,
}

impl Bench {
    /// With lines of its own at the top of the configuration. Nothing when this machine cannot run it.
    pub(crate) fn start(settings: &str) -> Option<Self> {
        Self::start_with(settings, None)
    }

    /// The same, started by another program, which gets the manager's path as its last argument.
    pub(crate) fn start_with(settings: &str, starter: Option<&[&str]>) -> Option<Self> {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        if !require::available(&test, &starter.map_or(vec![], |starter| vec![starter[0]])) {
            return None;
        }
        let scratch = Scratch::new("hostile");
        let child = ChildSide::agreeing(&scratch.join("child.sock"));
        let port = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free(1)));
        let address = Address::Inet(port);
        let configuration = configuration(&address, settings, &scratch.join("child.sock"));
        let mut command = match starter {
            None => Command::new(manager::program()),
            Some(starter) => {
                let mut command = Command::new(require::program_path(starter[0]));
                command.args(&starter[1..]).arg(manager::program());
                command
            }
        };
        let _ = command.env("LC_ALL", "C");
        let mut manager = Manager::start_with(&scratch.join("manager"), &configuration, command);
        manager.process().wait_for_port(port);
        Some(Self { manager, address, child, _scratch: scratch })
    }

    pub(crate) fn connect(&self) -> MtaSide {
        MtaSide::connect(&self.address, LIMIT).expect("the manager listens")
    }

    /// A connection after negotiation, connect and HELO.
    pub(crate) fn session(&self) -> MtaSide {
        let mut session = self.connect();
        session.negotiate().expect("the manager negotiates");
        session.begin().expect("the manager agrees");
        session
    }

    /// An ordinary message on a new connection passes, and the manager still runs.
    #[track_caller]
    pub(crate) fn assert_works(&mut self) {
        let mut session = self.session();
        let ending = session.message().unwrap_or_else(|error| panic!("{error}\n{}", self.manager.log()));
        assert_eq!(ending, Ending { edits: vec![], verdict: Frame::new(b'c', []) });
        session.quit().expect("the manager reads");
        assert!(self.manager.process().ended().is_none());
    }

    /// Sends bytes on a new connection, and the manager closes it.
    #[track_caller]
    pub(crate) fn assert_closes_after(&self, bytes: &[u8]) {
        let mut connection = self.connect();
        // A manager that closes early lets writing fail, which is as good.
        let _ = connection.raw(bytes);
        connection.wait_for_close().expect("the manager closes");
    }
}

fn configuration(address: &Address, settings: &str, child: &Path) -> String {
    format!(
        "manager.connection_spec = \"{}\"\n{settings}\n\
         define_milter(\"child\") do |milter|\n  milter.connection_spec = \"unix:{}\"\n  \
         milter.fallback_status = \"accept\"\nend\n",
        address.specification(),
        child.display()
    )
}
