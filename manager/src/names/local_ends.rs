//! Where clients are connected to, from the kernel's table of TCP connections, when the MTA is on this machine.
//!
//! The table has a line for each connection of the machine, so a thread of its own reads it, for many questions at once and not more
//! often than ten times a second. Nothing runs before the first question.

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use millstream_core::machine::Answer;

use super::Reply;

/// Questions that wait for the thread; what comes on top has no answer.
const QUEUE: usize = 1024;

/// Between two looks at the table.
const PAUSE: Duration = Duration::from_millis(100);

/// The tables, where there are such (Linux).
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// The state of a connection in which mail comes.
const ESTABLISHED: &str = "01";

/// The way to the thread.
#[derive(Debug, Default)]
pub(super) struct LocalEnds(Mutex<Option<SyncSender<Asked>>>);

struct Asked {
    client: SocketAddr,
    reply: Reply,
}

impl LocalEnds {
    /// Tells `reply` the local end of the connection from `client`, as `address port`.
    pub(super) fn find(&self, client: SocketAddr, reply: Reply) {
        let mut way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if way.is_none() {
            let (sender, receiver) = sync_channel(QUEUE);
            let started =
                thread::Builder::new().name("local ends".to_owned()).spawn(move || serve(&receiver));
            if started.is_ok() {
                *way = Some(sender);
            }
        }
        let asked = Asked { client, reply };
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

fn serve(questions: &Receiver<Asked>) {
    let mut table = HashMap::new();
    let mut read: Option<Instant> = None;
    while let Ok(first) = questions.recv() {
        let mut asked = vec![first];
        asked.extend(questions.try_iter());
        // One who is not there has connected since.
        if asked.iter().any(|asked| !table.contains_key(&asked.client)) {
            let pause = read.map_or(Duration::ZERO, |read| PAUSE.saturating_sub(read.elapsed()));
            thread::sleep(pause);
            asked.extend(questions.try_iter());
            table = connections();
            read = Some(Instant::now());
        }
        for Asked { client, reply } in asked {
            reply(table.get(&client).map_or(Answer::Nothing, |end: &SocketAddr| {
                Answer::Found(vec![format!("{} {}", end.ip(), end.port()).into()])
            }));
        }
        // A port is used again by another client.
        if read.is_some_and(|read| read.elapsed() > PAUSE) {
            table = HashMap::new();
        }
    }
}

/// The local end of each connection, by its remote one.
fn connections() -> HashMap<SocketAddr, SocketAddr> {
    let texts = TABLES.iter().filter_map(|path| fs::read_to_string(path).ok());
    texts.flat_map(|text| text.lines().filter_map(connection).collect::<Vec<_>>()).collect()
}

/// `sl local_address rem_address st ...` (proc_net_tcp(5)).
fn connection(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let mut columns = line.split_ascii_whitespace().skip(1);
    let (local, remote) = (columns.next()?, columns.next()?);
    if columns.next()? != ESTABLISHED {
        return None;
    }
    Some((end(remote)?, end(local)?))
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

    use super::*;

    fn answer(ends: &LocalEnds, client: SocketAddr) -> Answer {
        let (reply, replied) = channel();
        ends.find(client, Box::new(move |answer| reply.send(answer).unwrap()));
        replied.recv().unwrap()
    }

    #[test]
    fn the_end_that_a_client_is_connected_to() {
        let ends = LocalEnds::default();
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let server = listener.local_addr().unwrap();
            for _ in 0..2 {
                let client = TcpStream::connect(server).unwrap();
                let expected = format!("{} {}", server.ip(), server.port());
                assert_eq!(answer(&ends, client.local_addr().unwrap()), Answer::Found(vec![expected.into()]));
            }
        }
        assert_eq!(answer(&ends, "192.0.2.1:1".parse().unwrap()), Answer::Nothing);
    }

    #[test]
    fn lines_of_other_states_and_of_no_form_are_passed_over() {
        let line =
            |state: &str| format!("  0: 0100007F:0019 0200007F:1F90 {state} 00000000:00000000 00:00000000");
        let expected = ("127.0.0.2:8080".parse().unwrap(), "127.0.0.1:25".parse().unwrap());
        assert_eq!(connection(&line("01")), Some(expected).filter(|_| cfg!(target_endian = "little")));
        for text in [line("0A"), "sl local_address rem_address st".to_owned(), String::new()] {
            assert_eq!(connection(&text), None, "{text}");
        }
    }
}
