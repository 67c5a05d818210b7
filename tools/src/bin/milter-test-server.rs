//! `milter-test-server`: plays the MTA's side against one milter.

use std::process::ExitCode;

fn main() -> ExitCode {
    millstream_tools::test_server::run(std::env::args_os())
}
