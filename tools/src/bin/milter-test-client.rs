//! `milter-test-client`: a milter that prints what it is told and does what its options say.

use std::process::ExitCode;

fn main() -> ExitCode {
    millstream_tools::test_client::run(std::env::args_os())
}
