//! `milter-manager`: the daemon that stands between an MTA and its milters.

use std::process::ExitCode;

fn main() -> ExitCode {
    millstream::run(std::env::args_os())
}
