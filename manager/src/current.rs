//! The configuration that holds now, and the addresses of its host names.
//!
//! ```text
//!   SIGHUP -----> replace ----+
//!                             +--> policy for new sessions
//!   time is up -> look again -+    (only when an address is another)
//! ```
//!
//! Names are looked up in a thread of their own: a resolver may take half a minute to say that it has found nothing.

use std::cell::OnceCell;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use millstream_config::{Configuration, HostChange, Hosts, LogLevel, Problem};

use crate::log::Logger;
use crate::service::ManagerService;

/// The configuration that holds now.
#[derive(Debug)]
pub(crate) struct Current {
    state: Mutex<State>,
    service: Arc<ManagerService>,
    log: Logger,
}

#[derive(Debug)]
struct State {
    configuration: Configuration,
    hosts: Hosts,
    /// How often the configuration was replaced: what was looked up for an earlier one does not count any more.
    replaced: u64,
}

impl Current {
    /// `service` follows `configuration` with the addresses of `hosts` already.
    pub(crate) fn new(
        configuration: Configuration,
        hosts: Hosts,
        service: Arc<ManagerService>,
        log: Logger,
    ) -> Self {
        Self { state: Mutex::new(State { configuration, hosts, replaced: 0 }), service, log }
    }

    /// New sessions follow `configuration`. One with problems is not taken. Blocks while host names are looked up.
    pub(crate) fn replace(&self, configuration: &Configuration) -> Result<(), Vec<Problem>> {
        // Not held meanwhile.
        let before = self.state().hosts.clone();
        let hosts = before.of(configuration, Instant::now());
        let policy = configuration.policy_at(&hosts)?;
        self.tell(&hosts.changes_since(&before));
        let mut state = self.state();
        *state = State { configuration: configuration.clone(), hosts, replaced: state.replaced + 1 };
        self.service.swap_policy(policy);
        Ok(())
    }

    /// Looks those host names up again whose addresses hold no longer at `now`, and lets new sessions follow what has
    /// changed. Blocks meanwhile.
    fn look_again(&self, now: Instant) {
        let (mut hosts, replaced) = {
            let state = self.state();
            (state.hosts.clone(), state.replaced)
        };
        let changes = hosts.look_again(now);
        let mut state = self.state();
        if state.replaced != replaced {
            return;
        }
        if changes.iter().any(|change| matches!(change, HostChange::Moved { .. })) {
            match state.configuration.policy_at(&hosts) {
                Ok(policy) => self.service.swap_policy(policy),
                Err(problems) => {
                    debug_assert!(false, "the names of a policy keep an address: {problems:?}");
                    return;
                }
            }
        }
        state.hosts = hosts;
        self.tell(&changes);
    }

    /// What holds.
    pub(crate) fn configuration(&self) -> Configuration {
        self.state().configuration.clone()
    }

    fn tell(&self, changes: &[HostChange]) {
        for change in changes {
            self.log.log(level(change), || format!("[resolve] {change}"));
        }
    }

    /// Until when all addresses hold; `None`: until the configuration is replaced.
    fn hold_until(&self) -> Option<Instant> {
        self.state().hosts.next_look()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn level(change: &HostChange) -> LogLevel {
    match change {
        HostChange::Moved { .. } | HostChange::Found { .. } => LogLevel::MESSAGE,
        HostChange::Lost { .. } => LogLevel::WARNING,
    }
}

/// The thread that looks host names up, from the first one that may change on. It ends when this is dropped, a look-up that
/// is under way aside.
#[derive(Debug)]
pub(crate) struct Watch {
    current: Arc<Current>,
    /// The way to the thread, when there is one.
    replaced: OnceCell<Sender<()>>,
}

impl Watch {
    /// Begins, when there is something to look up again.
    pub(crate) fn start(current: Arc<Current>) -> io::Result<Self> {
        let watch = Self { current, replaced: OnceCell::new() };
        watch.replaced()?;
        Ok(watch)
    }

    /// The configuration was replaced: other names may be due at other times.
    pub(crate) fn replaced(&self) -> io::Result<()> {
        if let Some(replaced) = self.replaced.get() {
            // Without the thread nothing is waited for.
            let _ = replaced.send(());
        } else if self.current.hold_until().is_some() {
            let (replaced, told) = channel();
            let current = Arc::clone(&self.current);
            thread::Builder::new()
                .name("resolve".to_owned())
                .spawn(move || watch(&told, || current.hold_until(), |now| current.look_again(now)))?;
            let _ = self.replaced.set(replaced);
        }
        Ok(())
    }
}

fn watch(told: &Receiver<()>, hold_until: impl Fn() -> Option<Instant>, look_again: impl Fn(Instant)) {
    loop {
        let waited = match hold_until() {
            None => told.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(until) => told.recv_timeout(until.saturating_duration_since(Instant::now())),
        };
        match waited {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => look_again(Instant::now()),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs;
    use std::net::SocketAddr;
    use std::path::PathBuf;
    use std::time::Duration;

    use millstream_config::{Addresses, Family, LoadOptions, Log, Resolver, load_str};
    use millstream_core::policy::{Endpoint, Policy};

    use super::*;
    use crate::log::{self, LogGuard};
    use crate::names;

    /// Says what it is told to say.
    #[derive(Debug)]
    struct Scripted(Mutex<Vec<&'static str>>);

    impl Resolver for Scripted {
        fn addresses(&self, _host: &str, _family: Family) -> Result<Addresses, String> {
            let found = self.0.lock().unwrap();
            if found.is_empty() {
                return Err("Name or service not known".to_owned());
            }
            let found = found.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect();
            Ok(Addresses { found, hold: None })
        }
    }

    /// A manager without its sockets.
    struct Bench {
        resolver: Arc<Scripted>,
        service: Arc<ManagerService>,
        current: Current,
        log_file: PathBuf,
        log_guard: LogGuard,
    }

    fn configuration(settings: &str) -> Configuration {
        let source =
            format!("define_milter(\"m\") {{|m| m.connection_spec = \"inet:5@scanner.test\" }}\n{settings}");
        let loaded = load_str("test.conf", &source, &LoadOptions::default());
        assert_eq!(loaded.problems, []);
        loaded.configuration
    }

    impl Bench {
        fn new(name: &str, settings: &str) -> Self {
            let log_file =
                std::env::temp_dir().join(format!("millstream-current-{}-{name}", std::process::id()));
            let path = log_file.to_str().unwrap().to_owned();
            let (log, log_guard) = {
                let settings = Log { path: Some(path), use_syslog: false, ..Log::default() };
                log::start(&settings, log::Format::default()).unwrap()
            };
            let resolver = Arc::new(Scripted(Mutex::new(vec!["10.0.0.1"])));
            let configuration = configuration(settings);
            let hosts = Hosts::new(Arc::<Scripted>::clone(&resolver)).of(&configuration, Instant::now());
            let policy = configuration.policy_at(&hosts).unwrap();
            let service = Arc::new(ManagerService::new(policy, names::of(&configuration), log.clone()));
            let current = Current::new(configuration, hosts, Arc::clone(&service), log);
            Self { resolver, service, current, log_file, log_guard }
        }

        fn say(&self, addresses: &[&'static str]) {
            *self.resolver.0.lock().unwrap() = addresses.to_vec();
        }

        /// As if the time of the addresses were over.
        fn look_again(&self) {
            self.current.look_again(self.current.hold_until().unwrap());
        }

        fn policy(&self) -> Arc<dyn Policy> {
            self.service.policy()
        }

        fn address(&self) -> String {
            match &self.policy().children()[0].route.endpoints[0] {
                Endpoint::Tcp(addresses) => addresses[0].to_string(),
                Endpoint::Unix(_) => String::new(),
            }
        }

        /// The lines of the log without their times.
        fn log(self) -> Vec<String> {
            drop(self.log_guard);
            let text = fs::read_to_string(&self.log_file).unwrap();
            let _ = fs::remove_file(&self.log_file);
            text.lines().filter_map(|line| line.find("[resolve]").map(|at| line[at..].to_owned())).collect()
        }
    }

    #[test]
    fn new_sessions_go_to_a_name_s_new_address() {
        let bench = Bench::new("moved", "");
        bench.say(&["10.0.0.2"]);
        bench.look_again();
        bench.look_again();
        assert_eq!(bench.address(), "10.0.0.2:5");
        assert_eq!(bench.log(), ["[resolve] scanner.test: 10.0.0.1 -> 10.0.0.2"]);
    }

    #[test]
    fn without_another_address_the_policy_stays_the_same_one() {
        let bench = Bench::new("same", "");
        let before = bench.policy();
        bench.look_again();
        bench.say(&[]);
        bench.look_again();
        bench.look_again();
        bench.say(&["10.0.0.1"]);
        bench.look_again();
        assert!(Arc::ptr_eq(&before, &bench.policy()));
        assert_eq!(
            bench.log(),
            [
                "[resolve] scanner.test cannot be looked up, 10.0.0.1 holds on: Name or service not known",
                "[resolve] scanner.test can be looked up again: 10.0.0.1",
            ]
        );
    }

    #[test]
    fn a_reload_looks_names_up_and_is_refused_without_an_address() {
        let bench = Bench::new("reload", "");
        bench.say(&["10.0.0.3"]);
        bench.current.replace(&configuration("manager.max_edits = 5")).unwrap();
        assert_eq!(bench.address(), "10.0.0.3:5");
        bench.say(&[]);
        assert!(bench.current.replace(&configuration("manager.max_edits = 6")).is_err());
        assert_eq!(bench.address(), "10.0.0.3:5");
        bench.say(&["10.0.0.4"]);
        bench.look_again();
        assert_eq!(bench.address(), "10.0.0.4:5");
        // With the settings of the last good reload.
        assert_eq!(bench.policy().limits().edits, 5);
        assert_eq!(
            bench.log(),
            ["[resolve] scanner.test: 10.0.0.1 -> 10.0.0.3", "[resolve] scanner.test: 10.0.0.3 -> 10.0.0.4"]
        );
    }

    #[test]
    fn the_interval_is_that_of_the_configuration_that_holds() {
        let bench = Bench::new("interval", "");
        let seconds = || {
            let left = bench.current.hold_until()?.saturating_duration_since(Instant::now());
            Some(left.as_secs_f64().round() as u64 / 30)
        };
        assert_eq!(seconds(), Some(2));
        bench.current.replace(&configuration("manager.resolve_interval = 3000")).unwrap();
        assert_eq!(seconds(), Some(100));
        // Counted anew from each look-up.
        let later = Instant::now() + Duration::from_secs(30_000);
        bench.current.look_again(later);
        assert_eq!(bench.current.hold_until(), Some(later + Duration::from_secs(3000)));
        bench.current.replace(&configuration("manager.resolve_interval = 0")).unwrap();
        assert_eq!(seconds(), None);
        // Without a name there is nothing to look up.
        bench.current.replace(&configuration("remove_milter(\"m\")")).unwrap();
        assert_eq!(seconds(), None);
        bench.log();
    }

    #[test]
    fn the_thread_looks_when_it_is_time_and_ends_with_its_owner() {
        let (owner, told) = channel();
        let owner = Cell::new(Some(owner));
        let looked = Cell::new(0);
        watch(
            &told,
            || Some(Instant::now() + Duration::from_millis(1)),
            |_| {
                looked.set(looked.get() + 1);
                if looked.get() == 3 {
                    owner.take();
                }
            },
        );
        assert_eq!(looked.get(), 3);
    }

    #[test]
    fn without_a_time_the_thread_waits_for_a_reload() {
        let (owner, told) = channel();
        let times = Cell::new(vec![Some(Instant::now()), None]);
        owner.send(()).unwrap();
        let owner = Cell::new(Some(owner));
        watch(
            &told,
            || {
                let mut left = times.take();
                let next = left.pop().flatten();
                times.set(left);
                next
            },
            |_| drop(owner.take()),
        );
        assert!(owner.take().is_none());
    }

    #[test]
    fn there_is_a_thread_from_the_first_name_that_may_change_on() {
        let bench = Bench::new("thread", "manager.resolve_interval = 0");
        let Bench { current, log_guard: _log_guard, log_file, .. } = bench;
        let current = Arc::new(current);
        let watch = Watch::start(Arc::clone(&current)).unwrap();
        assert!(watch.replaced.get().is_none());
        current.replace(&configuration("")).unwrap();
        watch.replaced().unwrap();
        assert!(watch.replaced.get().is_some());
        watch.replaced().unwrap();
        let _ = fs::remove_file(&log_file);
    }
}
