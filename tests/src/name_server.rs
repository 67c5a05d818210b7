//! A name server that says what the test wants, and counts what it was asked.
//!
//! It listens on UDP and TCP at one port of the loopback interface. Names are without a dot at their end, in lower case.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

const A: u16 = 1;
const SOA: u16 = 6;
const PTR: u16 = 12;

/// What is said about a name.
#[derive(Debug, Clone)]
pub enum Said {
    /// Its addresses, and for how many seconds they hold.
    Addresses(Vec<Ipv4Addr>, u32),
    /// The name of an address, likewise; asked as `4.3.2.1.in-addr.arpa`.
    Name(String, u32),
    /// There is no such name (NXDOMAIN), for how many seconds; nothing is said about that without a number.
    NoSuchName(Option<u32>),
    /// It is there and has no addresses, for how many seconds.
    NoData(u32),
    /// Only an error, as 2 for SERVFAIL.
    Error(u8),
    /// Nothing at all.
    Silence,
}

/// A running name server. Its threads end with the test's process.
#[derive(Debug, Clone)]
pub struct NameServer {
    address: SocketAddr,
    socket: Arc<UdpSocket>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    said: HashMap<String, Said>,
    /// How often each name was asked for over UDP, and over TCP.
    asked: HashMap<String, (usize, usize)>,
    truncate: bool,
    /// Names whose questions wait.
    held: Vec<String>,
    waiting: Vec<(Vec<u8>, SocketAddr)>,
}

impl NameServer {
    /// One that refuses every name (REFUSED).
    ///
    /// # Panics
    /// When there is no port for it.
    #[must_use]
    pub fn start() -> Self {
        let (socket, listener) = (0..100).find_map(|_| sockets().ok()).expect("a port is free");
        let address = socket.local_addr().expect("it has an address");
        let server = Self { address, socket: Arc::new(socket), state: Arc::default() };
        let (datagrams, streams) = (server.clone(), server.clone());
        thread::spawn(move || datagrams.serve_datagrams());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = streams.clone();
                // The end of a connection is told by an error.
                thread::spawn(move || server.serve_stream(stream));
            }
        });
        server
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it says about `name` from now on.
    pub fn say(&self, name: &str, said: Said) {
        self.state().said.insert(name.to_owned(), said);
    }

    /// Over UDP it says only that its answer is too long for that.
    pub fn truncate(&self) {
        self.state().truncate = true;
    }

    /// Questions for `name` over UDP wait until [`release`](Self::release).
    pub fn hold(&self, name: &str) {
        self.state().held.push(name.to_owned());
    }

    /// Answers what waits, and lets no more wait.
    pub fn release(&self) {
        let mut state = self.state();
        state.held.clear();
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for (query, from) in waiting {
            self.reply_to(&query, from);
        }
    }

    /// How often `name` was asked for.
    #[must_use]
    pub fn asked(&self, name: &str) -> usize {
        self.state().asked.get(name).map_or(0, |(datagrams, streams)| datagrams + streams)
    }

    /// How often over TCP.
    #[must_use]
    pub fn asked_by_stream(&self, name: &str) -> usize {
        self.state().asked.get(name).map_or(0, |(_, streams)| *streams)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve_datagrams(&self) {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = self.socket.recv_from(&mut buffer) {
            let query = &buffer[..length];
            let Some((name, _)) = question(query) else { continue };
            let mut state = self.state();
            state.asked.entry(name.clone()).or_default().0 += 1;
            if state.held.contains(&name) {
                state.waiting.push((query.to_vec(), from));
                continue;
            }
            drop(state);
            self.reply_to(query, from);
        }
    }

    fn reply_to(&self, query: &[u8], from: SocketAddr) {
        let truncate = self.state().truncate;
        if let Some(answer) = self.answer(query, truncate) {
            // Who asked may be gone.
            let _ = self.socket.send_to(&answer, from);
        }
    }

    fn serve_stream(&self, mut stream: TcpStream) -> io::Result<()> {
        loop {
            let mut length = [0; 2];
            stream.read_exact(&mut length)?;
            let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut query)?;
            let Some((name, _)) = question(&query) else { return Ok(()) };
            self.state().asked.entry(name).or_default().1 += 1;
            if let Some(answer) = self.answer(&query, false) {
                let length = u16::try_from(answer.len()).expect("answers are short");
                stream.write_all(&[&length.to_be_bytes(), &answer[..]].concat())?;
            }
        }
    }

    /// RFC 1035, section 4: header, the question again, records.
    fn answer(&self, query: &[u8], truncate: bool) -> Option<Vec<u8>> {
        let (name, end) = question(query)?;
        let kind = u16::from_be_bytes([query[end - 4], query[end - 3]]);
        let said = self.state().said.get(&name).cloned().unwrap_or(Said::Error(5));
        let (code, answers, authority): (u8, Vec<Vec<u8>>, Option<Vec<u8>>) = match said {
            Said::Silence => return None,
            _ if truncate => (0, Vec::new(), None),
            Said::Addresses(addresses, holds) if kind == A => {
                (0, addresses.iter().map(|address| record(A, holds, &address.octets())).collect(), None)
            }
            Said::Name(name, holds) if kind == PTR => (0, vec![record(PTR, holds, &labels(&name))], None),
            Said::Addresses(_, holds) | Said::Name(_, holds) | Said::NoData(holds) => {
                (0, Vec::new(), Some(start_of_authority(holds)))
            }
            Said::NoSuchName(holds) => (3, Vec::new(), holds.map(start_of_authority)),
            Said::Error(code) => (code, Vec::new(), None),
        };
        let mut text = query[..2].to_vec();
        // An answer of a name server that recurses, as asked.
        text.extend([0x81 | if truncate { 0x02 } else { 0 }, 0x80 | code, 0, 1]);
        text.extend(u16::try_from(answers.len()).expect("few").to_be_bytes());
        text.extend([0, u8::from(authority.is_some()), 0, 0]);
        text.extend(&query[12..end]);
        answers.into_iter().chain(authority).for_each(|record| text.extend(record));
        Some(text)
    }
}

fn sockets() -> io::Result<(UdpSocket, TcpListener)> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let listener = TcpListener::bind(socket.local_addr()?)?;
    Ok((socket, listener))
}

/// The name that is asked for, and where its question ends.
fn question(query: &[u8]) -> Option<(String, usize)> {
    let mut at = 12;
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?).to_lowercase());
        at += length;
    }
    query.get(at..at + 4)?;
    Some((labels.join("."), at + 4))
}

fn labels(name: &str) -> Vec<u8> {
    let mut text = Vec::new();
    for label in name.split('.') {
        text.push(u8::try_from(label.len()).expect("a label is short"));
        text.extend(label.as_bytes());
    }
    text.push(0);
    text
}

/// A record of the name that was asked for.
fn record(kind: u16, holds: u32, data: &[u8]) -> Vec<u8> {
    let mut text = vec![0xc0, 12];
    text.extend(kind.to_be_bytes());
    text.extend([0, 1]);
    text.extend(holds.to_be_bytes());
    text.extend(u16::try_from(data.len()).expect("a record is short").to_be_bytes());
    text.extend(data);
    text
}

/// It says for how long nothing is there (RFC 2308).
fn start_of_authority(holds: u32) -> Vec<u8> {
    let mut data = [labels("ns.test"), labels("root.test")].concat();
    for number in [1, 3600, 600, 86400, holds] {
        data.extend(u32::to_be_bytes(number));
    }
    record(SOA, holds, &data)
}
