//! `milter-trace`: stands between an MTA and a milter and shows what they say.

use std::process::ExitCode;

fn main() -> ExitCode {
    millstream_tools::trace::run(std::env::args_os())
}
