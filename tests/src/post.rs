//! The post offices: one MTA of a kind and one sink for a whole test program, and in it a chain of milters per test.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use crate::children::{Plan, RunningChild};
use crate::dkim::Key;
use crate::lane::{Lane, Lanes};
use crate::manager::Manager;
use crate::mta::{Entry, Mta, Server, child_socket};
use crate::postfix::{Postfix, Site};
use crate::require;
use crate::scratch::Scratch;
use crate::sendmail::Sendmail;
use crate::sink::{Delivered, Sink};
use crate::smtp::Smtp;
use crate::until::PATIENCE;

/// How mail gets to the children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// The MTA talks to each of them: what the manager is measured by.
    Direct,
    /// The MTA talks to the manager.
    Managed,
}

/// The MTA and the sink that all tests of a program share.
#[derive(Debug)]
pub struct Post {
    mta: Box<dyn Mta>,
    sink: Sink,
    lanes: Arc<Lanes>,
    key: Mutex<Option<Key>>,
    scratch: Scratch,
}

impl Post {
    /// What has to be installed.
    #[must_use]
    pub const fn needs(server: Server) -> &'static [&'static str] {
        match server {
            Server::Postfix => Postfix::NEEDS,
            Server::Sendmail => Sendmail::NEEDS,
        }
    }

    fn shared(server: Server) -> &'static Self {
        static POSTFIX: LazyLock<Post> = LazyLock::new(|| Post::start(Server::Postfix));
        static SENDMAIL: LazyLock<Post> = LazyLock::new(|| Post::start(Server::Sendmail));
        match server {
            Server::Postfix => &POSTFIX,
            Server::Sendmail => &SENDMAIL,
        }
    }

    fn start(server: Server) -> Self {
        let scratch = Scratch::new("post");
        let lanes = scratch.join("lanes");
        let sink = Sink::start();
        let folder = scratch.join("mta");
        let mta: Box<dyn Mta> = match server {
            Server::Postfix => Box::new(Postfix::start(&folder, &lanes, sink.address())),
            Server::Sendmail => Box::new(Sendmail::start(&folder, &lanes, sink.address())),
        };
        let lanes = Lanes::new(&lanes, mta.lanes());
        Self { mta, sink, lanes, key: Mutex::new(None), scratch }
    }

    /// A Postfix of one test's own. It stays until the test process ends, as the shared ones do.
    fn alone(entry: Entry, services: impl FnOnce(&Site) -> String) -> (&'static Self, Site) {
        let scratch = Scratch::new("post");
        let lanes = scratch.join("lanes");
        let sink = Sink::start();
        let (postfix, site) =
            Postfix::start_alone(&scratch.join("mta"), &lanes, sink.address(), entry, services);
        let lanes = Lanes::new(&lanes, postfix.lanes());
        let post = Self { mta: Box::new(postfix), sink, lanes, key: Mutex::new(None), scratch };
        (Box::leak(Box::new(post)), site)
    }

    /// The key that opendkim signs with, made at the first use.
    fn key(&self) -> Key {
        let mut key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        key.get_or_insert_with(|| Key::generate(&self.scratch.join("key"))).clone()
    }
}

/// The children of one test, with or without the manager in front, and an SMTP port that leads through them.
#[derive(Debug)]
pub struct Chain {
    // Dropped in this order: the manager before its children, the lane at last.
    manager: Option<Manager>,
    children: Vec<RunningChild>,
    lane: Lane,
    entry: Entry,
    domain: String,
    post: &'static Post,
}

impl Chain {
    /// Starts the children, in chain order, and the manager where it is asked for. Nothing when something that is needed
    /// is not installed: then the test is over, see [`require::available`].
    ///
    /// # Panics
    /// When anything does not start.
    #[must_use]
    pub fn start(route: Route, plans: impl IntoIterator<Item = Plan>) -> Option<Self> {
        Self::start_with(route, "", plans)
    }

    /// The same with `settings` at the top of the manager's configuration.
    ///
    /// # Panics
    /// When anything does not start.
    #[must_use]
    pub fn start_with(route: Route, settings: &str, plans: impl IntoIterator<Item = Plan>) -> Option<Self> {
        Self::start_behind(Server::Postfix, route, settings, plans)
    }

    /// The same behind an MTA of one's choice; the others are behind Postfix.
    ///
    /// # Panics
    /// When anything does not start.
    #[must_use]
    pub fn start_behind(
        server: Server,
        route: Route,
        settings: &str,
        plans: impl IntoIterator<Item = Plan>,
    ) -> Option<Self> {
        let plans: Vec<Plan> = plans.into_iter().collect();
        has_needs(server, &plans).then(|| Self::start_in(Post::shared(server), route, settings, &plans))
    }

    /// The same behind a Postfix of the test's own, with `settings` at the top of the manager's configuration and the lines of `master.cf` that `services` makes.
    ///
    /// # Panics
    /// When anything does not start.
    #[must_use]
    pub fn start_alone(
        route: Route,
        settings: &str,
        plans: impl IntoIterator<Item = Plan>,
        services: impl FnOnce(&Site) -> String,
    ) -> Option<(Self, Site)> {
        let plans: Vec<Plan> = plans.into_iter().collect();
        if !has_needs(Server::Postfix, &plans) {
            return None;
        }
        let (post, site) = Post::alone(entry_of(route, &plans), services);
        Some((Self::start_in(post, route, settings, &plans), site))
    }

    fn start_in(post: &'static Post, route: Route, settings: &str, plans: &[Plan]) -> Self {
        let lane = post.lanes.take();
        let children: Vec<_> = plans
            .iter()
            .zip(1..)
            .map(|(plan, number)| RunningChild::start(plan, &lane.join(&child_socket(number)), || post.key()))
            .collect();
        let mut chain = Self {
            manager: None,
            entry: entry_of(route, plans),
            children,
            lane,
            domain: fresh_domain(),
            post,
        };
        if route == Route::Managed {
            let socket = chain.lane.join("manager.sock");
            let mut manager =
                Manager::start(&chain.lane.join("manager"), &chain.configuration_with(settings, plans));
            manager.process().wait_for_socket(&socket);
            chain.manager = Some(manager);
        }
        chain
    }

    /// The manager's configuration for some of the children, in the order given; they keep their sockets by name.
    ///
    /// # Panics
    /// When a plan has the name of no child.
    #[must_use]
    pub fn configuration(&self, plans: &[Plan]) -> String {
        self.configuration_with("", plans)
    }

    fn configuration_with(&self, settings: &str, plans: &[Plan]) -> String {
        let socket = self.lane.join("manager.sock");
        let blocks: String = plans.iter().map(|plan| plan.block(self.child(&plan.name).socket())).collect();
        format!(
            "manager.connection_spec = \"unix:{}\"\nmanager.unix_socket_mode = 0666\n{settings}\n{blocks}",
            socket.display()
        )
    }

    /// A new SMTP connection, after EHLO.
    ///
    /// # Panics
    /// When the MTA does not answer.
    #[must_use]
    pub fn smtp(&self) -> Smtp {
        Smtp::open(self.server())
    }

    /// The SMTP port that leads through the children.
    #[must_use]
    pub fn server(&self) -> std::net::SocketAddr {
        self.post.mta.address(self.lane.number(), self.entry)
    }

    /// The domain of this test's recipients: mail is told apart by it.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The only message that has arrived, or arrives soon.
    ///
    /// # Panics
    /// When none or more than one arrives.
    #[must_use]
    #[track_caller]
    pub fn delivered(&self) -> Delivered {
        let mut messages = self.deliveries(1);
        assert_eq!(messages.len(), 1, "one message was expected");
        messages.remove(0)
    }

    /// At least `count` messages, in the order of their arrival.
    ///
    /// # Panics
    /// When fewer arrive.
    #[must_use]
    #[track_caller]
    pub fn deliveries(&self, count: usize) -> Vec<Delivered> {
        self.post.sink.wait_for(&self.domain, count, PATIENCE)
    }

    /// What has arrived so far.
    #[must_use]
    pub fn arrived(&self) -> Vec<Delivered> {
        self.post.sink.arrived(&self.domain)
    }

    /// The MTA.
    #[must_use]
    pub fn mta(&self) -> &dyn Mta {
        &*self.post.mta
    }

    /// The manager, when there is one.
    #[must_use]
    pub fn manager(&self) -> Option<&Manager> {
        self.manager.as_ref()
    }

    /// The manager of a managed chain.
    ///
    /// # Panics
    /// When the route is direct.
    pub fn manager_mut(&mut self) -> &mut Manager {
        self.manager.as_mut().expect("the route leads through the manager")
    }

    /// A child by its name.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn child(&self, name: &str) -> &RunningChild {
        self.children
            .iter()
            .find(|child| child.plan().name == name)
            .unwrap_or_else(|| panic!("there is no child {name}"))
    }

    /// Starts a child where `plan.name` was absent, or had another program, until now.
    ///
    /// # Panics
    /// When there is no such child, or it does not start.
    pub fn replace(&mut self, plan: &Plan) {
        let at = self
            .children
            .iter()
            .position(|child| child.plan().name == plan.name)
            .expect("a child of that name");
        let socket = self.children[at].socket().to_owned();
        let post = self.post;
        self.children[at].end();
        self.children[at] = RunningChild::start(plan, &socket, || post.key());
    }

    /// The key that opendkim signs with.
    #[must_use]
    pub fn key(&self) -> Key {
        self.post.key()
    }

    /// The folder of the MTA, which its own programs ask for.
    #[must_use]
    pub fn mta_folder(&self) -> std::path::PathBuf {
        self.post.scratch.join("mta")
    }

    /// The folder of this test.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.lane.folder()
    }
}

fn entry_of(route: Route, plans: &[Plan]) -> Entry {
    match route {
        Route::Direct => Entry::Direct(plans.len()),
        Route::Managed => Entry::Manager,
    }
}

/// Whether all is installed that a test asks for, see [`require::available`].
fn has_needs(server: Server, plans: &[Plan]) -> bool {
    let mut needs = Post::needs(server).to_vec();
    needs.extend(plans.iter().flat_map(Plan::needs));
    require::available(std::thread::current().name().unwrap_or("a test"), &needs)
}

/// All of one length, so that messages to them differ in nothing else.
fn fresh_domain() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    format!("t{:06}.test", COUNT.fetch_add(1, Ordering::Relaxed))
}
