//! `--demo`: the real manager on a temporary socket in front of two small milters, and two messages through it.

mod milter;
mod mta;

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use millstream_core::wire::{Edit, Final};
use millstream_runtime::{Listener, Options, Server};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use milter::{DemoService, HEADER, Kind, MARKER, REFUSAL};
use mta::{Mta, Told};

use crate::backend;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Shows the program at work. Ends with a line that starts `demo: ok`, or `demo: failed` and status 1.
pub(crate) fn run() -> ExitCode {
    let mut out = io::stdout().lock();
    let result = story(&mut out);
    let (line, status) = match &result {
        Ok(took) => {
            (format!("demo: ok, two messages in {:.1} ms", took.as_secs_f64() * 1000.0), ExitCode::SUCCESS)
        }
        Err(error) => (format!("demo: failed: {error}"), ExitCode::FAILURE),
    };
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Ok(()) => status,
        Err(_) => ExitCode::FAILURE,
    }
}

fn story(out: &mut impl Write) -> io::Result<Duration> {
    let folder = Folder::new()?;
    let (tagger, tagger_server) = serve(Kind::Tagger, &folder.path.join("tagger.sock"))?;
    let (guard, guard_server) = serve(Kind::Guard, &folder.path.join("guard.sock"))?;
    let configuration = configuration(&folder.path);
    fs::write(folder.path.join("milter-manager.conf"), &configuration)?;
    writeln!(out, "The configuration, {}/milter-manager.conf:\n", folder.path.display())?;
    for line in configuration.lines() {
        writeln!(out, "    {line}")?;
    }
    let mut manager = Manager::start(&folder.path)?;
    writeln!(out, "\nmilter-manager runs as process {} and {}\n", manager.process.id(), manager.started)?;

    let began = Instant::now();
    let mut mta = Mta::connect(&folder.path.join("manager.sock"))?;
    let marked = [b"This body contains ", MARKER, b".\r\n"].concat();
    let messages: [(&str, &str, &[u8]); 2] =
        [("DEMO1", "an ordinary message", b"Hello.\r\n"), ("DEMO2", "a message with the marker", &marked)];
    let mut told = Vec::new();
    for (queue_id, what, body) in messages {
        writeln!(out, "{queue_id}: {what}")?;
        let answer = mta.pass(queue_id, body)?;
        for (name, service) in [("tagger", &tagger), ("guard", &guard)] {
            let record = service.take_record();
            let saw: Vec<&str> = record.saw.iter().map(|stage| stage.name()).collect();
            let did = if record.did.is_empty() { "nothing".to_owned() } else { record.did.join(", ") };
            writeln!(out, "    {name:7} saw {}", saw.join(" "))?;
            writeln!(out, "    {name:7} did {did}")?;
        }
        writeln!(out, "    the MTA was told: {}", in_words(&answer))?;
        writeln!(out, "    the manager's log: {}\n", manager.log_line(&format!("[message] {queue_id}"))?)?;
        told.push(answer);
    }
    mta.quit()?;
    let took = began.elapsed();

    manager.stop()?;
    tagger_server.stop();
    guard_server.stop();
    check(&told)?;
    Ok(took)
}

/// The demonstration proves something: what came back is what the two milters together mean.
fn check(told: &[Told]) -> io::Result<()> {
    let [accepted, rejected] = told else { return Err(io::Error::other("not two answers")) };
    let header_is_there = accepted.edits.iter().any(
        |edit| matches!(edit, Edit::AddHeader(name, value) if (&name[..], &value[..]) == (HEADER.0.as_bytes(), HEADER.1.as_bytes())),
    );
    if accepted.verdict != Final::Continue || !header_is_there {
        return Err(io::Error::other("the first message was not accepted with its header"));
    }
    let text = matches!(&rejected.verdict, Final::ReplyCode(text) if &text[..] == REFUSAL.as_bytes());
    if !text || !rejected.edits.is_empty() {
        return Err(io::Error::other("the second message was not rejected with the guard's own text"));
    }
    Ok(())
}

fn configuration(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "manager.connection_spec = \"unix:{folder}/manager.sock\"\n\
         log.use_syslog = false\n\n\
         define_milter(\"tagger\") do |milter|\n  milter.connection_spec = \"unix:{folder}/tagger.sock\"\nend\n\n\
         define_milter(\"guard\") do |milter|\n  milter.connection_spec = \"unix:{folder}/guard.sock\"\n\
         \x20 milter.fallback_status = \"temporary-failure\"\nend\n"
    )
}

fn in_words(told: &Told) -> String {
    let mut words: Vec<String> = told
        .edits
        .iter()
        .map(|edit| match edit {
            Edit::AddHeader(name, value) => {
                format!("add the header {}: {}", crate::log::printable(name), crate::log::printable(value))
            }
            other => format!("{other:?}"),
        })
        .collect();
    words.push(match &told.verdict {
        Final::Continue => "accept the message".to_owned(),
        Final::ReplyCode(text) => format!("refuse it with \"{}\"", crate::log::printable(text)),
        other => format!("{other:?}"),
    });
    words.join(", ")
}

fn serve(kind: Kind, path: &Path) -> io::Result<(Arc<DemoService>, Server)> {
    let listener = UnixListener::bind(path)?;
    // The manager gives up root and has to reach it all the same.
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
    let service = Arc::new(DemoService::new(kind));
    let options = Options { loops: 1, ..Options::default() };
    let listeners = vec![Listener::Unix(listener)];
    let server = backend::serve(backend::BUILT_IN[0], listeners, Arc::clone(&service), options)?;
    Ok((service, server))
}

/// A folder that is removed at the end.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn new() -> io::Result<Self> {
        let path = nix::unistd::mkdtemp(&std::env::temp_dir().join("millstream-demo-XXXXXX"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(Self { path })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left in the temporary folder harms nobody.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The manager as a process of its own: this very program with a configuration.
struct Manager {
    process: Child,
    log: Receiver<String>,
    started: String,
}

impl Manager {
    fn start(folder: &Path) -> io::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("--no-daemon")
            .arg("--config-dir")
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (lines, log) = channel();
        if let Some(output) = process.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if lines.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        let mut manager = Self { process, log, started: String::new() };
        match manager.log_line("[start] ") {
            Ok(line) => line.clone_into(&mut manager.started),
            Err(error) => {
                let _ = manager.process.kill();
                let mut reason = String::new();
                if let Some(mut errors) = manager.process.stderr.take() {
                    errors.read_to_string(&mut reason)?;
                }
                return Err(io::Error::other(format!("the manager did not start: {error} {reason}")));
            }
        }
        Ok(manager)
    }

    /// The next line of the manager's log that contains `part`, from there on.
    fn log_line(&self, part: &str) -> io::Result<String> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.log.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    if let Some(at) = line.find(part) {
                        let skip = if part == "[start] " { part.len() } else { 0 };
                        return Ok(line[at + skip..].to_owned());
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(io::Error::other(format!("no line {part:?} in its log")));
                }
                Err(RecvTimeoutError::Disconnected) => return Err(io::Error::other("it has ended")),
            }
        }
    }

    fn stop(&mut self) -> io::Result<()> {
        kill(Pid::from_raw(self.process.id().cast_signed()), Signal::SIGTERM)?;
        let status = self.process.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("the manager ended with {status}")))
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        // Already ended when all went well.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
