//! Names by the domain name system.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream_config::{Addresses, Family, Resolver as HostResolver, SystemResolver};
use millstream_core::machine;
use millstream_resolver::{Answer, Family as Kind, Options, Question, Resolver};

use super::Reply;
use super::connections::{About, Connections};
use super::failures::Failures;
use crate::log::Logger;

/// How long a question may take: below the 7 s after which an MTA other than Postfix is answered, whoever is still waited for.
/// milter manager waits for as long.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// The look-ups of the process. Nothing runs before the first.
#[derive(Debug)]
pub(crate) struct Names {
    resolver: Resolver,
    /// The administrator has named the name servers.
    named: bool,
    failures: Arc<Failures>,
    connections: Connections,
}

impl Names {
    /// With these name servers, or with those of the system.
    pub(crate) fn new(name_servers: &[SocketAddr]) -> Self {
        let name_servers = name_servers.to_vec();
        let named = !name_servers.is_empty();
        let options = Options { name_servers, time_limit: TIME_LIMIT, ..Options::default() };
        Self {
            resolver: Resolver::new(options),
            named,
            failures: Arc::default(),
            connections: Connections::default(),
        }
    }

    /// Answers a session's question, in another thread or at once.
    pub(crate) fn look_up(&self, question: &machine::Question, reply: Reply, log: &Logger) {
        let question = match question {
            // Whole as they are: the search list is for people.
            machine::Question::Addresses(name) => {
                let name = if name.ends_with('.') { name.clone() } else { format!("{name}.").into() };
                Question::Addresses { name, family: Kind::V4 }
            }
            machine::Question::Names(address) => Question::Names(*address),
            machine::Question::LocalEnd(client) => {
                return self.connections.find(*client, About::LocalEnd, reply, log);
            }
            machine::Question::State(client) => {
                return self.connections.find(*client, About::State, reply, log);
            }
        };
        let (text, failures, log) = (question.to_string(), Arc::clone(&self.failures), log.clone());
        let reply = move |answer| {
            reply(match answer {
                Answer::Found { records, .. } => machine::Answer::Found(records),
                Answer::Nothing => machine::Answer::Nothing,
                Answer::Failed(failure) => {
                    log.debug(|| format!("[resolve] no answer for {text}: {failure}"));
                    if let Some(others) = failures.one_more(Instant::now()) {
                        log.warning(|| sentence(&text, &failure, others));
                    }
                    machine::Answer::Failed
                }
            });
        };
        self.resolver.ask(question, Box::new(reply));
    }
}

fn sentence(question: &str, failure: &millstream_resolver::Failure, others: u64) -> String {
    let more = if others == 0 {
        String::new()
    } else {
        format!("; {} since the last such line", crate::count(others as usize, "more look-up"))
    };
    format!("[resolve] look-ups fail, the last one {question}: {failure}{more}")
}

impl HostResolver for Names {
    fn addresses(&self, host: &str, family: Family) -> Result<Addresses, String> {
        // An address, with or without its interface.
        if host.parse::<IpAddr>().is_ok() || host.contains(['%', ':']) {
            return SystemResolver.addresses(host, family);
        }
        let (kind, nothing) = match family {
            Family::V4 => (Kind::V4, "no such name, or no IPv4 address"),
            Family::V6 => (Kind::V6, "no such name, or no IPv6 address"),
        };
        let question = Question::Addresses { name: host.into(), family: kind };
        let failure = match self.resolver.ask_and_wait(question) {
            Answer::Found { records, holds } => {
                let address = |text: &str| Some(SocketAddr::new(text.parse().ok()?, 0));
                let found = records.iter().filter_map(|text| address(text)).collect();
                return Ok(Addresses { found, hold: holds });
            }
            Answer::Nothing => nothing.to_owned(),
            Answer::Failed(failure) => failure.to_string(),
        };
        if self.named {
            return Err(failure);
        }
        // What other sources of the system know: `nsswitch.conf` has more than files and DNS.
        match SystemResolver.addresses(host, family) {
            Ok(addresses) if addresses.found.iter().any(|it| it.is_ipv4() == (family == Family::V4)) => {
                Ok(addresses)
            }
            _ => Err(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::mpsc::channel;

    use millstream_config::Log;
    use millstream_core::machine::{Answer, Question};
    use millstream_tests::name_server::{NameServer, Said};

    use super::*;
    use crate::log;

    fn answer(names: &Names, question: &Question, log: &Logger) -> Answer {
        let (reply, replied) = channel();
        names.look_up(question, Box::new(move |answer| reply.send(answer).unwrap()), log);
        replied.recv().unwrap()
    }

    #[test]
    fn questions_of_sessions_are_answered_and_failures_are_told_once() {
        let path = std::env::temp_dir().join(format!("millstream-names-{}", std::process::id()));
        let settings =
            Log { path: Some(path.to_str().unwrap().to_owned()), use_syslog: false, ..Log::default() };
        let (log, guard) = log::start(&settings, log::Format::default()).unwrap();
        let server = NameServer::start();
        server.say("7.2.0.192.list.test", Said::Addresses(vec![Ipv4Addr::new(127, 0, 0, 2)], 60));
        server.say("8.2.0.192.list.test", Said::NoSuchName(Some(60)));
        server.say("9.2.0.192.list.test", Said::Error(2));
        server.say("7.2.0.192.in-addr.arpa", Said::Name("client.test".to_owned(), 60));
        let names = Names::new(&[server.address()]);
        let ask = |question: Question| answer(&names, &question, &log);
        let listed = |name: &str| Question::Addresses(name.into());

        assert_eq!(ask(listed("7.2.0.192.list.test")), Answer::Found(vec!["127.0.0.2".into()]));
        assert_eq!(ask(listed("8.2.0.192.list.test")), Answer::Nothing);
        for _ in 0..3 {
            assert_eq!(ask(listed("9.2.0.192.list.test")), Answer::Failed);
        }
        let client = Ipv4Addr::new(192, 0, 2, 7);
        assert_eq!(ask(Question::Names(client.into())), Answer::Found(vec!["client.test".into()]));
        assert_eq!(ask(Question::LocalEnd(SocketAddr::new(client.into(), 25))), Answer::Nothing);

        drop(guard);
        let text = std::fs::read_to_string(&path).unwrap();
        let _ = std::fs::remove_file(&path);
        let lines: Vec<_> =
            text.lines().filter_map(|line| line.find("[resolve]").map(|at| &line[at..])).collect();
        assert_eq!(
            lines,
            [
                "[resolve] look-ups fail, the last one A of 9.2.0.192.list.test.: the name server says: Server Failure"
            ]
        );
    }

    #[test]
    fn a_host_name_holds_as_long_as_its_name_server_says() {
        let server = NameServer::start();
        server.say("scanner.test", Said::Addresses(vec![Ipv4Addr::new(192, 0, 2, 1)], 3000));
        server.say("gone.test", Said::NoSuchName(Some(60)));
        let names = Names::new(&[server.address()]);

        let found = names.addresses("scanner.test", Family::V4).unwrap();

        assert_eq!(found.found, ["192.0.2.1:0".parse().unwrap()]);
        assert!(found.hold.is_some_and(|hold| hold.as_secs() > 2000), "{:?}", found.hold);
        assert_eq!(
            names.addresses("scanner.test", Family::V6).unwrap_err(),
            "no such name, or no IPv6 address"
        );
        assert_eq!(names.addresses("gone.test", Family::V4).unwrap_err(), "no such name, or no IPv4 address");
    }

    #[test]
    fn addresses_are_no_names() {
        let server = NameServer::start();
        let names = Names::new(&[server.address()]);
        for (text, family) in [("192.0.2.1", Family::V4), ("::1", Family::V6)] {
            let found = names.addresses(text, family).unwrap();
            assert_eq!((found.found[0].ip(), found.hold), (text.parse().unwrap(), None));
            assert_eq!(server.asked(text), 0);
        }
    }
}
