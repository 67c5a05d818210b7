//! The programs, a line each.

use clap::Command;

/// A program of ours.
#[derive(Debug)]
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// The section of its manual page: 1 for everybody's programs, 8 for the administrator's.
    pub section: u8,
    /// Its options.
    pub command: fn() -> Command,
    /// What its manual page says besides: titles and paragraphs.
    pub more: &'static [(&'static str, &'static str)],
}

impl Program {
    /// The name of its manual page's file.
    #[must_use]
    pub fn page_name(&self) -> String {
        format!("{}.{}", self.name, self.section)
    }
}

/// All of them. Another one is one more line.
pub const PROGRAMS: [Program; 5] = [
    Program { name: "milter-manager", section: 8, command: millstream::command, more: MANAGER },
    Program {
        name: "milter-performance-check",
        section: 1,
        command: millstream_tools::performance_check::command,
        more: PERFORMANCE,
    },
    Program {
        name: "milter-test-client",
        section: 1,
        command: millstream_tools::test_client::command,
        more: CLIENT,
    },
    Program {
        name: "milter-test-server",
        section: 1,
        command: millstream_tools::test_server::command,
        more: SERVER,
    },
    Program { name: "milter-trace", section: 1, command: millstream_tools::trace::command, more: TRACE },
];

const MANAGER: &[(&str, &str)] = &[
    (
        "SIGNALS",
        "TERM and INT stop it when no session is left, or after 30 seconds; once more: at once. HUP loads the configuration \
         again, USR1 opens the log's file anew, USR2 logs how many sessions run and how each milter stands.",
    ),
    (
        "FILES",
        "milter-manager.conf in the folder of --config-dir, of $MILTER_MANAGER_CONFIG_DIR, or of the system.",
    ),
    (
        "EXIT STATUS",
        "0 when all went well. 1 when it could not begin to serve, or what was asked for failed.",
    ),
    (
        "SEE ALSO",
        "milter-test-server(1), milter-test-client(1), milter-performance-check(1), milter-trace(1)",
    ),
];

const PERFORMANCE: &[(&str, &str)] = &[
    ("SIGNALS", "INT and TERM end it with its report; once more: at once."),
    (
        "EXIT STATUS",
        "0 when the mails were sent, whatever became of them. 1 when options are wrong, or it could not begin.",
    ),
    ("SEE ALSO", "milter-test-server(1), milter-manager(8)"),
];

const CLIENT: &[(&str, &str)] = &[
    (
        "STAGES",
        "connect, helo, envelope-from, envelope-recipient, data, unknown, header, end-of-header, body and end-of-message.",
    ),
    ("SIGNALS", "TERM and INT stop it when the sessions that run are over."),
    ("EXIT STATUS", "0 after a stop. 1 when options are wrong, or it could not begin to serve."),
    ("SEE ALSO", "milter-test-server(1), milter-trace(1), milter-manager(8)"),
];

const SERVER: &[(&str, &str)] = &[
    (
        "EXIT STATUS",
        "0 when the milter was reached, whatever its verdict. 1 when it was not, or options are wrong. 2 when the status is one \
         that --fail-on names, or a record was answered otherwise.",
    ),
    ("SEE ALSO", "milter-test-client(1), milter-trace(1), milter-manager(8)"),
];

const TRACE: &[(&str, &str)] = &[
    ("EXIT STATUS", "0 after the number of sessions that --sessions asked for. 1 when it could not begin."),
    ("SEE ALSO", "milter-test-server(1), milter-test-client(1), milter-manager(8)"),
];
