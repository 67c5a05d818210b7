//! Where clients are connected to, and whether they still are, from the kernel's table of TCP connections, when the MTA is on this
//! machine.
//!
//! The table has a line for each connection of the machine, so a thread of its own reads it, for many questions at once, not more
//! often than ten times a second and no longer than a tenth of the time. It keeps only what was asked for. Nothing runs before the
//! first question.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use millstream_config::LogLevel;
use millstream_core::machine::{Answer, Question};

use super::Reply;
use crate::log::Logger;

/// Questions that wait for the thread; what comes on top has no answer.
const QUEUE: usize = 1024;

/// Between two looks at the table.
const PAUSE: Duration = Duration::from_millis(100);

/// The pause is at least as many times what a look takes.
const SHARE: u32 = 10;

/// The tables, where there are such (Linux).
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// The way to the thread.
#[derive(Debug, Default)]
pub(super) struct Connections(Mutex<Option<SyncSender<Asked>>>);

struct Asked {
    client: SocketAddr,
    about: About,
    reply: Reply,
}

/// What is asked about a client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// Its local end, as `address port`.
    LocalEnd,
    /// Its state.
    State,
}

/// The connection of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    local: SocketAddr,
    state: State,
}

/// The states in which a connection is still held by this end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Established,
    ClosedThere,
}

impl Connections {
    /// Tells `reply` about the connection from `client`.
    pub(super) fn find(&self, client: SocketAddr, about: About, reply: Reply, log: &Logger) {
        let mut way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if way.is_none() {
            let (sender, receiver) = sync_channel(QUEUE);
            let log = log.clone();
            let started =
                thread::Builder::new().name("connections".to_owned()).spawn(move || serve(&receiver, &log));
            if started.is_ok() {
                *way = Some(sender);
            }
        }
        let asked = Asked { client, about, reply };
        let refused = match way.as_ref() {
            Some(way) => match way.try_send(asked) {
                Ok(()) => return,
                Err(TrySendError::Full(asked) | TrySendError::Disconnected(asked)) => asked,
            },
            None => asked,
        };
        (refused.reply)(Answer::Failed);
    }
}

fn serve(questions: &Receiver<Asked>, log: &Logger) {
    let mut not_before = Instant::now();
    let (mut told_of_tables, mut told_of_client) = (false, false);
    while let Ok(first) = questions.recv() {
        thread::sleep(not_before.saturating_duration_since(Instant::now()));
        let mut asked = vec![first];
        asked.extend(questions.try_iter().take(QUEUE));
        let begun = Instant::now();
        let found = look(&TABLES, asked.iter().map(|asked| asked.client));
        not_before = Instant::now() + PAUSE.max(begun.elapsed() * SHARE);
        if let (Err(error), false) = (&found, told_of_tables) {
            told_of_tables = true;
            log.warning(|| {
                format!(
                    "[connections] clients' connections cannot be looked at: {}: {error}. Without that nobody notices \
                     clients that have gone (manager.connection_check_interval)",
                    TABLES[0]
                )
            });
        }
        for Asked { client, about, reply } in asked {
            let row = found.as_ref().map(|rows| rows.get(&client).copied().flatten());
            let is_missing = about == About::State && matches!(row, Ok(None));
            if is_missing && !told_of_client {
                told_of_client = true;
                log.log(LogLevel::INFO, || {
                    format!(
                        "[connections] {client} is not connected to this machine, as far as can be seen from here: it has \
                         gone, or the MTA is elsewhere. Clients that were never seen are waited for"
                    )
                });
            }
            reply(match row {
                Err(_) => Answer::Failed,
                Ok(None) => Answer::Nothing,
                Ok(Some(row)) => Answer::Found(vec![row.answer(about)]),
            });
        }
    }
}

impl Row {
    fn answer(self, about: About) -> Box<str> {
        match (about, self.state) {
            (About::LocalEnd, _) => format!("{} {}", self.local.ip(), self.local.port()).into(),
            (About::State, State::Established) => Question::ESTABLISHED.into(),
            (About::State, State::ClosedThere) => Question::CLOSED_THERE.into(),
        }
    }
}

/// The connection of each client, where the tables have one. One that is established goes before others from the same port.
fn look(
    tables: &[&str],
    clients: impl Iterator<Item = SocketAddr>,
) -> io::Result<HashMap<SocketAddr, Option<Row>>> {
    let mut rows: HashMap<_, _> = clients.map(|client| (client, None)).collect();
    let mut failure = None;
    let mut looked = false;
    for table in tables {
        // Without IPv6 there is only one of them.
        match File::open(table).and_then(|file| note(BufReader::new(file), &mut rows)) {
            Ok(()) => looked = true,
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    match failure {
        Some(error) if !looked => Err(error),
        _ => Ok(rows),
    }
}

fn note(mut table: impl io::BufRead, rows: &mut HashMap<SocketAddr, Option<Row>>) -> io::Result<()> {
    let mut line = String::new();
    while table.read_line(&mut line)? > 0 {
        if let Some((remote, row)) = connection(&line)
            && let Some(known) = rows.get_mut(&remote)
            && known.is_none_or(|known: Row| known.state != State::Established)
        {
            *known = Some(row);
        }
        line.clear();
    }
    Ok(())
}

/// `sl local_address rem_address st ...` (proc_net_tcp(5)).
fn connection(line: &str) -> Option<(SocketAddr, Row)> {
    let mut columns = line.split_ascii_whitespace().skip(1);
    let (local, remote) = (columns.next()?, columns.next()?);
    let state = match columns.next()? {
        "01" => State::Established,
        "08" => State::ClosedThere,
        _ => return None,
    };
    Some((end(remote)?, Row { local: end(local)?, state }))
}

/// An address as words in the order of this machine, a port in the usual one.
fn end(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let word =
        |at: usize| u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes);
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let bytes: Vec<u8> = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
            IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(address, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::sync::mpsc::channel;

    use millstream_config::Log;

    use super::*;
    use crate::log;

    /// Asks as sessions do.
    struct Bench {
        connections: Connections,
        log: Logger,
        log_file: std::path::PathBuf,
        guard: log::LogGuard,
    }

    impl Bench {
        fn new(name: &str) -> Self {
            let log_file =
                std::env::temp_dir().join(format!("millstream-connections-{}-{name}", std::process::id()));
            let path = log_file.to_str().unwrap().to_owned();

            let level = LogLevel::ALL;
            let settings = Log { path: Some(path), use_syslog: false, level, ..Log::default() };
            let (log, guard) = log::start(&settings, log::Format::default()).unwrap();
            Self { connections: Connections::default(), log, log_file, guard }
        }

        fn ask(&self, client: SocketAddr, about: About) -> Answer {
            let (reply, replied) = channel();
            let reply = Box::new(move |answer| reply.send(answer).unwrap());
            self.connections.find(client, about, reply, &self.log);
            replied.recv().unwrap()
        }

        fn log(self) -> String {
            drop(self.guard);
            let text = std::fs::read_to_string(&self.log_file).unwrap();
            let _ = std::fs::remove_file(&self.log_file);
            text
        }
    }

    fn found(text: &str) -> Answer {
        Answer::Found(vec![text.into()])
    }

    #[test]
    fn the_end_that_a_client_is_connected_to() {
        let bench = Bench::new("ends");
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let server = listener.local_addr().unwrap();
            for _ in 0..2 {
                let client = TcpStream::connect(server).unwrap();
                let expected = format!("{} {}", server.ip(), server.port());
                assert_eq!(bench.ask(client.local_addr().unwrap(), About::LocalEnd), found(&expected));
            }
        }
        assert_eq!(bench.ask("192.0.2.1:1".parse().unwrap(), About::LocalEnd), Answer::Nothing);
        assert!(!bench.log().contains("[connections]"));
    }

    #[test]
    fn whether_a_client_is_still_connected() {
        let bench = Bench::new("states");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, end) = listener.accept().unwrap();
        assert_eq!(bench.ask(end, About::State), found(Question::ESTABLISHED));
        drop(client);
        assert_eq!(bench.ask(end, About::State), found(Question::CLOSED_THERE));
        drop(server);
        for _ in 0..2 {
            assert_eq!(bench.ask(end, About::State), Answer::Nothing);
        }
        let log = bench.log();
        assert_eq!(log.matches(&format!("[connections] {end} is not connected")).count(), 1, "{log}");
    }

    #[test]
    fn a_machine_without_such_tables_says_so_and_one_of_them_is_enough() {
        let client: SocketAddr = "192.0.2.1:1".parse().unwrap();
        let none = look(&["/proc/net/no such", "/proc/net/none"], [client].into_iter());
        assert_eq!(none.unwrap_err().kind(), io::ErrorKind::NotFound);
        let one = look(&[TABLES[0], "/proc/net/none"], [client].into_iter());
        assert_eq!(one.unwrap().get(&client), Some(&None));
    }

    #[test]
    fn lines_of_other_states_and_of_no_form_are_passed_over() {
        let line =
            |state: &str| format!("  0: 0100007F:0019 0200007F:1F90 {state} 00000000:00000000 00:00000000");
        let row = |state| Row { local: "127.0.0.1:25".parse().unwrap(), state };
        let expected = |state| {
            Some(("127.0.0.2:8080".parse().unwrap(), row(state))).filter(|_| cfg!(target_endian = "little"))
        };
        assert_eq!(connection(&line("01")), expected(State::Established));
        assert_eq!(connection(&line("08")), expected(State::ClosedThere));
        for text in [line("0A"), line("06"), "sl local_address rem_address st".to_owned(), String::new()] {
            assert_eq!(connection(&text), None, "{text}");
        }
    }

    #[test]
    fn who_is_connected_once_more_from_the_same_port_is_there() {
        let line = |state: &str| format!("0: 0100007F:0019 0200007F:1F90 {state} 0\n");
        let client: SocketAddr = end("0200007F:1F90").unwrap();
        for text in [line("08") + &line("01"), line("01") + &line("08")] {
            let mut rows = HashMap::from([(client, None)]);
            note(text.as_bytes(), &mut rows).unwrap();
            assert_eq!(rows[&client].map(|row| row.state), Some(State::Established));
        }
    }
}
