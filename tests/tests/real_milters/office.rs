//! What all tests share: the Postfix with its ports, the sink, the milters and the managers.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use millstream_tests::compare::Seen;
use millstream_tests::manager::{Manager, give_to_manager};
use millstream_tests::mta::{Entry, Mta as _, free_ports};
use millstream_tests::post::Route;
use millstream_tests::postfix::Postfix;
use millstream_tests::real_children::{clamav, opendkim, rspamd, spamassassin};
use millstream_tests::scratch::Scratch;
use millstream_tests::sink::{Delivered, Sink};
use millstream_tests::smtp::{Exchange, Smtp};
use millstream_tests::until::{PATIENCE, until_true};
use millstream_tests::{dkim, require};

use crate::children::{Backends, Children, Kind};
use crate::relay::Relay;

/// Which milters, in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chain {
    /// As administrators order them.
    All,
    /// Last to first.
    Reversed,
    /// As all, with viruses held.
    Holding,
    /// As all, but for clamd, which is not there.
    LostClamd,
    /// As all, but for spamd, which is not there.
    LostSpamd,
}

impl Chain {
    const ALL: [Self; 5] = [Self::All, Self::Reversed, Self::Holding, Self::LostClamd, Self::LostSpamd];

    const fn kinds(self) -> [Kind; 4] {
        use Kind::{ClamAv, HoldingClamAv, LostClamAv, LostSpamAssassin, OpenDkim, Rspamd, SpamAssassin};
        match self {
            Self::All => Kind::ALL,
            Self::Reversed => [Rspamd, SpamAssassin, ClamAv, OpenDkim],
            Self::Holding => [OpenDkim, HoldingClamAv, SpamAssassin, Rspamd],
            Self::LostClamd => [OpenDkim, LostClamAv, SpamAssassin, Rspamd],
            Self::LostSpamd => [OpenDkim, ClamAv, LostSpamAssassin, Rspamd],
        }
    }

    /// The folder of its manager.
    fn manager(self, scratch: &Scratch) -> PathBuf {
        scratch.join(&format!("manager-{}", self as usize))
    }
}

/// What an SMTP port leads through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    /// A chain.
    Of(Chain, Route),
    /// [`Chain::All`] but one, without the manager.
    Without(Kind),
    /// Those that one test kills, without the manager: Postfix answers a temporary failure for who is not there.
    Mortal,
    /// Those that one test kills, through a manager that accepts for who is not there.
    MortalAccepting,
    /// The same with a temporary failure.
    MortalRefusing,
    /// [`Chain::All`] through a manager that keeps connections.
    Kept,
    /// The same through one that connects to all milters at once, and writes nothing before it is answered.
    Plain,
    /// The same as `Kept`, with a relay before each milter that counts.
    Counted,
    /// Two milters that a test of outages has for itself, through a manager that accepts for who is not there.
    OutageAccepting,
    /// The same with a temporary failure.
    OutageRefusing,
    /// The same as accepting, for milters that stand still.
    Frozen,
}

impl Port {
    const COUNT: u16 = 23;

    /// Those that lead through a manager that a test starts, and the folder of that.
    const OWN: [(Self, &str); 6] = [
        (Self::MortalAccepting, "manager-accepting"),
        (Self::MortalRefusing, "manager-refusing"),
        (Self::Counted, "manager-counted"),
        (Self::OutageAccepting, "outage-accepting"),
        (Self::OutageRefusing, "outage-refusing"),
        (Self::Frozen, "frozen"),
    ];

    /// The folder of the manager.
    fn folder(self, scratch: &Scratch) -> PathBuf {
        let own = Self::OWN.into_iter().find(|(port, _)| *port == self);
        let (_, name) = own.expect("a manager that a test starts");
        scratch.join(name)
    }

    const fn offset(self) -> u16 {
        match self {
            Self::Mortal => 0,
            Self::MortalAccepting => 1,
            Self::MortalRefusing => 2,
            Self::Without(kind) => 3 + kind as u16,
            Self::Of(chain, Route::Direct) => 7 + 2 * chain as u16,
            Self::Of(chain, Route::Managed) => 8 + 2 * chain as u16,
            Self::Kept => 17,
            Self::Plain => 18,
            Self::Counted => 19,
            Self::OutageAccepting => 20,
            Self::OutageRefusing => 21,
            Self::Frozen => 22,
        }
    }
}

/// One for the test process.
#[derive(Debug)]
pub(crate) struct Office {
    sink: Sink,
    base_port: u16,
    pub(crate) backends: &'static Backends,
    scratch: Scratch,
    // Kept until the test process ends.
    postfix: Postfix,
    children: Children,
    managers: [Manager; Chain::ALL.len()],
    _kept: Manager,
    _plain: Manager,
}

/// The office; nothing when something that it needs is not installed: then the test is over.
pub(crate) fn office() -> Option<&'static Office> {
    static OFFICE: LazyLock<Office> = LazyLock::new(Office::start);
    let needs =
        [Postfix::NEEDS, opendkim::NEEDS, dkim::NEEDS, clamav::NEEDS, spamassassin::NEEDS, rspamd::NEEDS]
            .concat();
    let test = thread::current();
    require::available(test.name().unwrap_or("a test"), &needs).then(|| &*OFFICE)
}

impl Office {
    fn start() -> Self {
        let scratch = Scratch::new("chain");
        let sink = Sink::start();
        // Four ports to a lane of others.
        let base_port = free_ports(usize::from(Port::COUNT.div_ceil(4)));
        let services = services(&scratch, base_port);
        let (postfix, (backends, children)) = thread::scope(|scope| {
            let postfix = scope.spawn(|| {
                let folder = scratch.join("mta");
                Postfix::start_alone(&folder, &scratch.join("lanes"), sink.address(), Entry::Manager, |_| {
                    services
                })
                .0
            });
            let backends: &'static Backends = Box::leak(Box::new(Backends::start(&scratch.join("backends"))));
            let extra = [Kind::HoldingClamAv, Kind::LostClamAv, Kind::LostSpamAssassin];
            let kinds = [&Kind::ALL[..], &extra].concat();
            let children = Children::start(&scratch.join("children"), backends, &kinds);
            (postfix.join().expect("Postfix starts"), (backends, children))
        });
        let refusing = |folder: &Path, kinds: &[Kind], settings: &str, lines: &[&str]| {
            manager(folder, children.folder(), kinds, settings, "temporary-failure", lines)
        };
        let managers = Chain::ALL.map(|chain| refusing(&chain.manager(&scratch), &chain.kinds(), "", &[]));
        let kept = refusing(&scratch.join(KEPT), &Kind::ALL, "", &REUSE);
        let eager = "manager.lazy_connect = false\n";
        let plain = refusing(&scratch.join(PLAIN), &Kind::ALL, eager, &["pipelining = false"]);
        Self { sink, base_port, backends, scratch, postfix, children, managers, _kept: kept, _plain: plain }
    }

    /// Where to connect.
    pub(crate) fn address(&self, port: Port) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.base_port + port.offset()))
    }

    /// The manager of a chain.
    pub(crate) const fn manager(&self, chain: Chain) -> &Manager {
        &self.managers[chain as usize]
    }

    /// Where a milter that all use listens.
    pub(crate) fn child_socket(&self, kind: Kind) -> PathBuf {
        kind.socket(self.children.folder())
    }

    /// Where the manager of a chain listens.
    pub(crate) fn manager_socket(&self, chain: Chain) -> PathBuf {
        chain.manager(&self.scratch).join("manager.sock")
    }

    /// The milters of the one test that kills them, and the managers in front of them: the accepting one first.
    pub(crate) fn mortal(&self) -> (Children, [Manager; 2]) {
        let children = Children::start(&self.scratch.join("mortal"), self.backends, &Kind::ALL);
        let managers = [(Port::MortalAccepting, "accept"), (Port::MortalRefusing, "temporary-failure")].map(
            |(port, fallback)| {
                manager(
                    &port.folder(&self.scratch),
                    children.folder(),
                    &Kind::ALL,
                    "",
                    fallback,
                    &["retry_interval = 1"],
                )
            },
        );
        (children, managers)
    }

    /// Milters of a test's own and the manager in front of them, for a port of those that have the test's name.
    pub(crate) fn own(
        &self,
        port: Port,
        kinds: &[Kind],
        settings: &str,
        fallback: &str,
        lines: &[&str],
    ) -> (Children, Manager) {
        let folder = port.folder(&self.scratch);
        let children = Children::start(&folder.join("children"), self.backends, kinds);
        let manager = manager(&folder, children.folder(), kinds, settings, fallback, lines);
        (children, manager)
    }

    /// A relay for each of the milters that all use, and a manager that keeps its connections to these. It has one thread,
    /// since each thread keeps its own.
    pub(crate) fn counted(&self) -> (Vec<(Kind, Relay)>, Manager) {
        let folder = Port::Counted.folder(&self.scratch);
        let sockets = folder.join("relays");
        fs::create_dir_all(&sockets).expect("a folder can be made");
        let relay = |kind: Kind| Relay::start(&kind.socket(&sockets), &kind.socket(self.children.folder()));
        let relays = Kind::ALL.map(|kind| (kind, relay(kind))).into();
        let settings = "manager.n_workers = 1\n";
        (relays, manager(&folder, &sockets, &Kind::ALL, settings, "temporary-failure", &REUSE))
    }

    /// What has arrived for a domain, once `count` messages have.
    pub(crate) fn deliveries(&self, domain: &str, count: usize) -> Vec<Delivered> {
        self.sink.wait_for(domain, count, PATIENCE)
    }

    /// What clients and recipients see of a script on a port. It gets a session, and the domain of its recipients.
    pub(crate) fn run(&self, port: Port, script: impl Fn(&mut Smtp, &str) -> Vec<Exchange>) -> Seen {
        let domain = fresh_domain();
        let exchanges = script(&mut Smtp::open(self.address(port)), &domain);
        let queued: Vec<String> =
            exchanges.iter().filter_map(|exchange| exchange.last().queue_id()).collect();
        Seen::of_messages(&domain, &exchanges, |count| {
            assert_eq!(count, queued.len(), "an exchange is a message");
            until_true("mail on its way", || {
                queued.iter().all(|id| !self.postfix.is_queued(id) || self.postfix.is_held(id))
            });
            let held: Vec<Delivered> =
                queued.iter().filter(|id| self.postfix.is_held(id)).map(|id| self.held(id)).collect();
            [self.deliveries(&domain, count - held.len()), held].concat()
        })
    }

    /// A message that Postfix holds, as if it had been delivered to [`HELD`].
    fn held(&self, queue_id: &str) -> Delivered {
        let mut command = Command::new(require::program_path("postcat"));
        command.arg("-c").arg(self.scratch.join("mta").join("etc")).args(["-h", "-b", "-q", queue_id]);
        let output = command.output().expect("postcat can be run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = output.stdout.split(|&byte| byte == b'\n').collect::<Vec<_>>();
        let recipients = vec![HELD.to_owned()];
        Delivered { sender: "<>".to_owned(), recipients, data: lines.join(&b"\r\n"[..]) }
    }
}

/// The folders of the managers of two ports.
const KEPT: &str = "manager-kept";
const PLAIN: &str = "manager-plain";

/// Connections are kept.
const REUSE: [&str; 1] = ["reuse_connections = true"];

/// Whom a message that is held was delivered to.
pub(crate) const HELD: &str = "<held>";

/// Runs the script without and with the manager, and compares; [`Chain::All`] with each way to come by a connection. What was
/// seen comes back, for a test to look at.
pub(crate) fn same(chain: Chain, script: impl Fn(&mut Smtp, &str) -> Vec<Exchange>) -> Option<Seen> {
    let office = office()?;
    let direct = office.run(Port::Of(chain, Route::Direct), &script);
    let managed = Port::Of(chain, Route::Managed);
    let ports = if chain == Chain::All { vec![managed, Port::Kept, Port::Plain] } else { vec![managed] };
    for port in ports {
        if let Some(difference) = difference(&direct, &office.run(port, &script)) {
            panic!("{port:?}: {difference}");
        }
    }
    Some(direct)
}

/// The first difference, in words.
pub(crate) fn difference(direct: &Seen, managed: &Seen) -> Option<String> {
    if direct.replies != managed.replies {
        return Some(format!(
            "SMTP replies without the manager:\n{:#?}\nand with it:\n{:#?}",
            direct.replies, managed.replies
        ));
    }
    if direct.delivered.len() != managed.delivered.len() {
        return Some(format!("{} and {} messages", direct.delivered.len(), managed.delivered.len()));
    }
    let (direct, managed) =
        direct.delivered.iter().zip(&managed.delivered).find(|(one, other)| one != other)?;
    let shortened = |text: &str| text.chars().take(6000).collect::<String>();
    Some(format!(
        "delivered message without the manager:\n{}\nand with it:\n{}",
        shortened(direct),
        shortened(managed)
    ))
}

fn manager(
    folder: &Path,
    children: &Path,
    kinds: &[Kind],
    settings: &str,
    fallback: &str,
    lines: &[&str],
) -> Manager {
    fs::create_dir_all(folder).expect("a folder can be made");
    // It removes its socket there at its end.
    give_to_manager(folder);
    let socket = folder.join("manager.sock");
    let blocks: String = kinds.iter().map(|kind| kind.block(children, fallback, lines)).collect();
    let configuration = format!(
        "manager.connection_spec = \"unix:{}\"\nmanager.unix_socket_mode = 0666\n{settings}{blocks}",
        socket.display()
    );
    let mut manager = Manager::start(folder, &configuration);
    manager.process().wait_for_socket(&socket);
    manager
}

/// The lines of `master.cf` for all ports.
fn services(scratch: &Scratch, base_port: u16) -> String {
    let (children, mortal) = (scratch.join("children"), scratch.join("mortal"));
    let managed = |folder: PathBuf| format!("unix:{}", folder.join("manager.sock").display());
    let mut ports = vec![
        (Port::Mortal, Kind::list(&Kind::ALL, &mortal)),
        (Port::Kept, managed(scratch.join(KEPT))),
        (Port::Plain, managed(scratch.join(PLAIN))),
    ];
    ports.extend(Port::OWN.map(|(port, _)| (port, managed(port.folder(scratch)))));
    for chain in Chain::ALL {
        ports.push((Port::Of(chain, Route::Direct), Kind::list(&chain.kinds(), &children)));
        ports.push((Port::Of(chain, Route::Managed), managed(chain.manager(scratch))));
    }
    for kind in Kind::ALL {
        let others: Vec<_> = Kind::ALL.into_iter().filter(|&other| other != kind).collect();
        ports.push((Port::Without(kind), Kind::list(&others, &children)));
    }
    let mut text = String::new();
    for (port, milters) in ports {
        writeln!(
            text,
            "127.0.0.1:{} inet n - n - - smtpd -o smtpd_milters={milters}",
            base_port + port.offset()
        )
        .expect("text takes text");
    }
    text
}

/// All of one length, so that messages to them differ in nothing else.
pub(crate) fn fresh_domain() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    format!("c{:06}.test", COUNT.fetch_add(1, Ordering::Relaxed))
}
