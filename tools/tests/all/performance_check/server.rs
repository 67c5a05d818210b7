//! An SMTP server that answers as a test wants it to.

use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A session, line by line: what the client said, the content as one line, and `TLS` where encryption began.
pub(crate) type Session = Vec<String>;

/// Given to a script, it hangs up; a script that gives it to a line is not asked further.
pub(crate) const HANG_UP: &str = "hang up";
/// What a script is asked for when the content has come.
pub(crate) const CONTENT: &str = "the content";
/// What a script is asked for at the beginning.
pub(crate) const GREETING: &str = "the greeting";

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    sessions: Arc<Mutex<Vec<Session>>>,
}

/// How the answers go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pieces {
    Whole,
    /// Byte by byte.
    Bytes,
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

impl Server {
    /// Answers each line with what `script` makes of it; `None` is the usual answer.
    pub(crate) fn new(script: impl Fn(&str) -> Option<&'static str> + Send + Sync + 'static) -> Self {
        Self::with(Pieces::Whole, script)
    }

    pub(crate) fn with(
        pieces: Pieces,
        script: impl Fn(&str) -> Option<&'static str> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sessions = Arc::new(Mutex::new(Vec::new()));
        let (script, all) = (Arc::new(script), Arc::clone(&sessions));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (script, all) = (Arc::clone(&script), Arc::clone(&all));
                thread::spawn(move || {
                    let index = {
                        let mut all = all.lock().unwrap();
                        all.push(Vec::new());
                        all.len() - 1
                    };
                    let note = |line: &str| all.lock().unwrap()[index].push(line.to_owned());
                    // A client that breaks off is what some tests are about.
                    let _ = serve(stream, pieces, &*script, &note);
                });
            }
        });
        Self { address, sessions }
    }

    /// All sessions so far.
    pub(crate) fn sessions(&self) -> Vec<Session> {
        self.sessions.lock().unwrap().clone()
    }

    /// The lines of the only session.
    pub(crate) fn session(&self) -> Session {
        let sessions = self.sessions();
        assert_eq!(sessions.len(), 1, "{sessions:?}");
        sessions.into_iter().next().unwrap()
    }
}

fn serve(
    stream: TcpStream,
    pieces: Pieces,
    script: &dyn Fn(&str) -> Option<&'static str>,
    note: &dyn Fn(&str),
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut stream: BufReader<Box<dyn Stream>> = BufReader::new(Box::new(stream));
    let mut question = GREETING.to_owned();
    let mut in_content = false;
    loop {
        let answer = script(&question).unwrap_or_else(|| usual(&question));
        if answer == HANG_UP {
            return Ok(());
        }
        match pieces {
            Pieces::Whole => stream.get_mut().write_all(answer.as_bytes())?,
            Pieces::Bytes => {
                for byte in answer.as_bytes() {
                    stream.get_mut().write_all(&[*byte])?;
                    stream.get_mut().flush()?;
                }
            }
        }
        stream.get_mut().flush()?;
        if question == "STARTTLS" && answer.starts_with("220") {
            stream = BufReader::new(encrypt(stream.into_inner()));
            note("TLS");
        }
        if question == "QUIT" {
            return Ok(());
        }
        in_content |= answer.starts_with("354");
        question = if in_content { content(&mut stream)? } else { line(&mut stream)? };
        note(&question);
        if in_content {
            question = CONTENT.to_owned();
            in_content = false;
        }
    }
}

fn line(stream: &mut impl io::BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    if stream.read_until(b'\n', &mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    assert!(line.ends_with(b"\r\n"), "a line ends with CRLF: {line:?}");
    line.truncate(line.len() - 2);
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// The lines up to the dot, unstuffed, with LF.
fn content(stream: &mut impl io::BufRead) -> io::Result<String> {
    let mut text = String::new();
    loop {
        let line = line(stream)?;
        if line == "." {
            return Ok(text);
        }
        text += line.strip_prefix('.').unwrap_or(&line);
        text.push('\n');
    }
}

pub(crate) fn usual(question: &str) -> &'static str {
    match question.split(' ').next().unwrap_or_default() {
        _ if question == GREETING => "220 mx.test ESMTP\r\n",
        _ if question == CONTENT => "250 2.0.0 Ok: queued as 4Xq9Yw1ZzZ\r\n",
        "EHLO" => "250-mx.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
        "DATA" => "354 End data with <CR><LF>.<CR><LF>\r\n",
        "QUIT" => "221 2.0.0 Bye\r\n",
        "STARTTLS" | "XCLIENT" => "220 go on\r\n",
        _ => "250 2.1.0 Ok\r\n",
    }
}

#[cfg(feature = "tls")]
fn encrypt(stream: Box<dyn Stream>) -> Box<dyn Stream> {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let certificate = CertificateDer::from_pem_slice(include_bytes!("certificate.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
    Box::new(rustls::StreamOwned::new(connection, stream))
}

#[cfg(not(feature = "tls"))]
fn encrypt(stream: Box<dyn Stream>) -> Box<dyn Stream> {
    stream
}
