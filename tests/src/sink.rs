//! Where delivered mail ends: an SMTP server that keeps every byte.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// One delivered message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivered {
    /// The argument of MAIL FROM, with brackets.
    pub sender: String,
    /// The arguments of RCPT TO, with brackets, sorted: an MTA may deliver in any order.
    pub recipients: Vec<String>,
    /// Header and body as received, lines ending in CRLF, without dot-stuffing.
    pub data: Vec<u8>,
}

impl Delivered {
    /// Whether a recipient is in the domain.
    #[must_use]
    pub fn is_for(&self, domain: &str) -> bool {
        self.recipients.iter().any(|recipient| recipient.ends_with(&format!("@{domain}>")))
    }

    /// The header fields in order: name and everything after the colon, folding kept, without the final CRLF.
    #[must_use]
    pub fn headers(&self) -> Vec<(String, String)> {
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in self.head().split(|&byte| byte == b'\n') {
            let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned();
            if line.is_empty() {
                continue;
            }
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = headers.last_mut() {
                    value.push_str("\r\n");
                    value.push_str(&line);
                }
            } else if let Some((name, value)) = line.split_once(':') {
                headers.push((name.to_owned(), value.to_owned()));
            }
        }
        headers
    }

    /// The values of one header field, first to last, without surrounding blanks.
    #[must_use]
    pub fn header(&self, name: &str) -> Vec<String> {
        self.headers()
            .into_iter()
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
            .collect()
    }

    /// What follows the empty line.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.split().map_or(&[], |at| &self.data[at + 4..])
    }

    fn head(&self) -> &[u8] {
        self.split().map_or(&self.data, |at| &self.data[..at])
    }

    fn split(&self) -> Option<usize> {
        self.data.windows(4).position(|window| window == b"\r\n\r\n")
    }
}

/// The server. It runs until the process ends.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    store: Arc<Store>,
}

#[derive(Debug, Default)]
struct Store {
    messages: Mutex<Vec<Delivered>>,
    arrival: Condvar,
}

impl Sink {
    /// Listens on a free loopback port.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let store = Arc::new(Store::default());
        let shared = Arc::clone(&store);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let store = Arc::clone(&shared);
                // A connection that breaks is the MTA's to repeat.
                thread::spawn(move || drop(serve(&stream, &store)));
            }
        });
        Self { address, store }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until `count` messages for the domain have arrived.
    ///
    /// # Panics
    /// When they have not after `limit`.
    #[must_use]
    pub fn wait_for(&self, domain: &str, count: usize, limit: Duration) -> Vec<Delivered> {
        let start = Instant::now();
        let mut messages = self.store.messages.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let found: Vec<_> = messages.iter().filter(|message| message.is_for(domain)).cloned().collect();
            if found.len() >= count {
                return found;
            }
            let left = limit.saturating_sub(start.elapsed());
            assert!(!left.is_zero(), "{} of {count} messages for {domain} arrived in {limit:?}", found.len());
            messages =
                self.store.arrival.wait_timeout(messages, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What has arrived for the domain so far.
    #[must_use]
    pub fn arrived(&self, domain: &str) -> Vec<Delivered> {
        let messages = self.store.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.iter().filter(|message| message.is_for(domain)).cloned().collect()
    }
}

/// One SMTP connection.
fn serve(stream: &TcpStream, store: &Store) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 16, stream);
    let mut writer = stream;
    let mut message = Delivered::default();
    writer.write_all(b"220 sink.test ESMTP\r\n")?;
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => {
                writer.write_all(b"250-sink.test\r\n250-PIPELINING\r\n250-SIZE 0\r\n250 8BITMIME\r\n")?;
            }
            "MAIL" => {
                message = Delivered { sender: path_of(&line), ..Delivered::default() };
                writer.write_all(b"250 2.1.0 Ok\r\n")?;
            }
            "RCPT" => {
                message.recipients.push(path_of(&line));
                writer.write_all(b"250 2.1.5 Ok\r\n")?;
            }
            "DATA" => {
                writer.write_all(b"354 Go ahead\r\n")?;
                message.data = read_data(&mut reader)?;
                message.recipients.sort();
                let finished = std::mem::take(&mut message);
                store.messages.lock().unwrap_or_else(PoisonError::into_inner).push(finished);
                store.arrival.notify_all();
                writer.write_all(b"250 2.0.0 Kept\r\n")?;
            }
            "QUIT" => return writer.write_all(b"221 2.0.0 Bye\r\n"),
            _ => writer.write_all(b"250 2.0.0 Ok\r\n")?,
        }
    }
}

/// The address of `MAIL FROM:<a@b> SIZE=1` with its brackets.
fn path_of(line: &str) -> String {
    let from = line.find('<').unwrap_or(line.len());
    let to = line.rfind('>').map_or(line.len(), |at| at + 1);
    line.get(from..to).unwrap_or_default().to_owned()
}

fn read_data(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut data = Vec::new();
    loop {
        let start = data.len();
        if reader.read_until(b'\n', &mut data)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // A line starts after CRLF only: a bare LF is part of one.
        if data[..start].is_empty() || data[..start].ends_with(b"\r\n") {
            if &data[start..] == b".\r\n" {
                data.truncate(start);
                return Ok(data);
            }
            if data[start] == b'.' {
                data.remove(start);
            }
        }
    }
}
