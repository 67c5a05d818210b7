//! `milter-performance-check`: loads an SMTP server, or a milter, and tells what mails took.

use std::process::ExitCode;

fn main() -> ExitCode {
    millstream_tools::performance_check::run(std::env::args_os())
}
