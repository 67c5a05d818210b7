//! A program that runs beside the test.

use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use crate::guardian;
use crate::until::{PATIENCE, until};

/// A running program, killed when this is dropped. What it prints goes to a file.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    output: PathBuf,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts it. `output` takes both of its output streams.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(name: &str, command: &mut Command, output: &Path) -> Self {
        let file = File::create(output).expect("an output file can be made");
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle can be had"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        guardian::watch(child.id());
        Self { name: name.to_owned(), child, output: output.to_owned(), status: None }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    #[must_use]
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    /// Sends a signal by its name, such as `TERM`.
    ///
    /// # Panics
    /// When it is not running.
    pub fn signal(&self, signal: &str) {
        assert!(self.status.is_none(), "{} has ended", self.name);
        let sent = Command::new("/bin/kill")
            .arg(format!("-{signal}"))
            .arg(self.id().to_string())
            .status()
            .expect("kill runs");
        assert!(sent.success(), "{} takes no {signal}", self.name);
    }

    /// Its exit status, when it has ended.
    ///
    /// # Panics
    /// When the system does not say.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().expect("a child can be waited for");
            if self.status.is_some() {
                guardian::forget(self.id());
            }
        }
        self.status
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it is still running after `limit`.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        until(limit, &what, || self.ended())
    }

    /// Waits until it accepts connections on a unix socket.
    ///
    /// # Panics
    /// When it ends instead, or never does.
    pub fn wait_for_socket(&mut self, socket: &Path) {
        self.wait_for(&format!("listening on {}", socket.display()), || {
            UnixStream::connect(socket).map(drop)
        });
    }

    /// Waits until it accepts connections on a port.
    ///
    /// # Panics
    /// When it ends instead, or never does.
    pub fn wait_for_port(&mut self, address: SocketAddr) {
        self.wait_for(&format!("listening on {address}"), || TcpStream::connect(address).map(drop));
    }

    fn wait_for(&mut self, what: &str, connect: impl Fn() -> io::Result<()>) {
        let what = format!("{} {what}", self.name);
        until(PATIENCE, &what, || {
            if let Some(status) = self.ended() {
                panic!("{} ended with {status}:\n{}", self.name, self.output());
            }
            connect().ok()
        });
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
            guardian::forget(self.id());
        }
        if thread::panicking() {
            let output = self.output();
            let tail = output.lines().rev().take(60).collect::<Vec<_>>();
            eprintln!(
                "--- {} printed ({} lines, the last of them first to last):",
                self.name,
                output.lines().count()
            );
            for line in tail.into_iter().rev() {
                eprintln!("    {line}");
            }
        }
    }
}
