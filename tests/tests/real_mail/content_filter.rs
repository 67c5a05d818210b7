//! A content filter that speaks SMTP, as `smtpd_proxy_filter` wants one: it hands everything on to another SMTP server,
//! and objects where the message asks for it.
//!
//! | in | word | what it does |
//! |---|---|---|
//! | sender | `filter-sender` | refuses MAIL |
//! | sender | `filter-data` | refuses DATA for now |
//! | sender | `filter-leaves` | closes at MAIL, without a reply |
//! | recipient | `filter-refused` | refuses RCPT |
//! | content | `FILTER-REJECT` | refuses the message |
//! | content | `FILTER-LEAVES` | closes at the end of the message, without a reply |

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// The filter. It serves until it is stopped, or the test process ends.
#[derive(Debug)]
pub(crate) struct ContentFilter {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl ContentFilter {
    /// Listens on a free port and hands mail on to `next`.
    pub(crate) fn start(next: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let stopped = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stopped);
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if told.load(Ordering::SeqCst) {
                    return;
                }
                // A connection that breaks is the MTA's to answer for.
                thread::spawn(move || drop(serve(stream, next)));
            }
        });
        Self { address, stopped, thread: Some(thread) }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on nobody listens there.
    pub(crate) fn stop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the filter has not panicked");
        }
    }
}

fn serve(front: TcpStream, next: SocketAddr) -> io::Result<()> {
    let next = TcpStream::connect(next)?;
    // Lines go both ways one by one: without this each would wait for an acknowledgement.
    front.set_nodelay(true)?;
    next.set_nodelay(true)?;
    let (mut front, mut next) = (BufReader::new(front), BufReader::new(next));
    let mut refuses_data = false;
    hand_on_reply(&mut next, &mut front)?;
    loop {
        let line = line(&mut front)?;
        let text = String::from_utf8_lossy(&line).into_owned();
        let verb = text.split([' ', '\r']).next().unwrap_or_default().to_ascii_uppercase();
        if verb == "MAIL" {
            refuses_data = text.contains("filter-data");
        }
        let objection = match verb.as_str() {
            "MAIL" if text.contains("filter-leaves") => return Ok(()),
            "MAIL" if text.contains("filter-sender") => Some("550 5.7.1 filter: not this sender"),
            "RCPT" if text.contains("filter-refused") => Some("550 5.7.1 filter: not this recipient"),
            "DATA" if refuses_data => Some("451 4.7.1 filter: not now"),
            _ => None,
        };
        if let Some(objection) = objection {
            reply(&mut front, objection)?;
            continue;
        }
        next.get_mut().write_all(&line)?;
        let agreed = hand_on_reply(&mut next, &mut front)?;
        if verb == "QUIT" {
            return Ok(());
        }
        if verb == "DATA" && agreed {
            let content = content(&mut front)?;
            let has = |word: &[u8]| content.windows(word.len()).any(|window| window == word);
            if has(b"FILTER-LEAVES") {
                return Ok(());
            }
            if has(b"FILTER-REJECT") {
                // The next server has begun to take it: it sees a connection that ends.
                return reply(&mut front, "554 5.7.1 filter: not this message");
            }
            next.get_mut().write_all(&content)?;
            hand_on_reply(&mut next, &mut front)?;
        }
    }
}

fn line(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    if from.read_until(b'\n', &mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line)
}

/// Header and body as they are, dots and all, with the line that ends them.
fn content(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let line = line(from)?;
        content.extend_from_slice(&line);
        if line == b".\r\n" {
            return Ok(content);
        }
    }
}

/// Hands a reply on as it is, and tells whether it is a good one.
fn hand_on_reply(from: &mut impl BufRead, to: &mut BufReader<TcpStream>) -> io::Result<bool> {
    loop {
        let line = line(from)?;
        to.get_mut().write_all(&line)?;
        if line.get(3) != Some(&b'-') {
            return Ok(line.starts_with(b"2") || line.starts_with(b"3"));
        }
    }
}

fn reply(to: &mut BufReader<TcpStream>, text: &str) -> io::Result<()> {
    to.get_mut().write_all(format!("{text}\r\n").as_bytes())
}
