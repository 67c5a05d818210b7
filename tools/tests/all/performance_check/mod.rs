//! `milter-performance-check` against scripted servers: what it says, what it prints, how it ends.

mod failures;
mod introduction;
mod mails;
mod milter;
mod output;
mod pace;
mod server;

use std::process::{Command, Output, Stdio};

use server::Server;

/// What a run printed, and how it ended.
#[derive(Debug)]
struct Ran {
    text: String,
    errors: String,
    status: i32,
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_milter-performance-check"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn ran(output: &Output) -> Ran {
    Ran {
        text: String::from_utf8_lossy(&output.stdout).into_owned(),
        errors: String::from_utf8_lossy(&output.stderr).into_owned(),
        status: output.status.code().unwrap(),
    }
}

fn run(arguments: &[&str]) -> Ran {
    ran(&command(arguments).output().unwrap())
}

/// The options that lead to a server.
fn to(server: &Server) -> Vec<String> {
    let address = server.address;
    vec![format!("--smtp-server={}", address.ip()), format!("--smtp-port={}", address.port())]
}

fn send(server: &Server, options: &[&str]) -> Ran {
    let to = to(server);
    let all: Vec<&str> = to.iter().map(String::as_str).chain(options.iter().copied()).collect();
    run(&all)
}

impl Ran {
    /// The number of mails, and of those that failed temporarily, were rejected, were errors.
    #[track_caller]
    fn counts(&self) -> [u64; 4] {
        ["      N mails:", " Temporary failure:", "            Reject:", "             Error:"].map(|label| {
            let line = self.text.lines().find_map(|line| line.strip_prefix(label));
            let line = line.unwrap_or_else(|| panic!("{label} is not in {self:?}"));
            line.split_whitespace().next().unwrap().parse().unwrap()
        })
    }
}
