//! `Stress Notify` and `No Stress`: whether many sessions are running; and `stress`, which has the number that is many.
//!
//! By default that is three quarters of the processes that Postfix may have for SMTP. It holds for sessions of an MTA that does
//! not call itself something else, so that nobody has to know which MTA is running when the manager starts.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use millstream_core::wire::Stage;

use super::Native;
use crate::code::Written;
use crate::evaluate::{Given, Result, Situation};
use crate::language::kinds::{Kind, Kinds};
use crate::language::methods::{Method, on};
use crate::value::Value;

/// Where Postfix has its configuration, on Linux and from the packages of the BSDs.
const DIRECTORIES: &[&str] = &["/etc/postfix", "/usr/local/etc/postfix", "/usr/pkg/etc/postfix"];

/// The names of the conditions that need the number.
pub(in crate::conditions) const NAMES: [&str; 2] = ["Stress Notify", "No Stress"];

/// `default_process_limit` where `main.cf` does not say it.
const PROCESS_LIMIT: u32 = 100;

/// How many sessions are stress; 0: no number is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Stress {
    set: Option<u32>,
    /// What Postfix's files say, once asked.
    detected: Option<u32>,
}

impl Stress {
    pub(in crate::conditions) fn written(&self) -> Option<Written> {
        Some(Ok(format!("stress.threshold_n_connections = {}", self.set?)))
    }

    /// Looks at Postfix's files, unless the number is set or known. True when that was done.
    pub(crate) fn detect(&mut self) -> bool {
        if self.set.or(self.detected).is_some() {
            return false;
        }
        let found = DIRECTORIES.iter().find_map(|directory| threshold(Path::new(directory)));
        self.detected = Some(found.unwrap_or(0));
        true
    }

    /// The number, set or detected.
    pub(crate) fn threshold(&self) -> u32 {
        self.set.or(self.detected).unwrap_or(0)
    }

    fn is_stressed(&self, situation: &Situation<'_>) -> bool {
        let threshold = self.threshold();
        let other_mta = || {
            situation.macro_value(situation.child, b"v").is_some() && !situation.is_postfix(situation.child)
        };
        threshold > 0
            && situation.facts.environment.sessions >= threshold
            && (self.set.is_some() || !other_mta())
    }
}

/// Three quarters of the process limit of the first service `smtp` in `master.cf`.
fn threshold(directory: &Path) -> Option<u32> {
    let master = fs::read_to_string(directory.join("master.cf")).ok()?;
    let mut services = master.lines().filter(|line| !line.starts_with('#')).map(str::split_ascii_whitespace);
    let limit = services.find_map(|mut columns| {
        columns.next().filter(|service| *service == "smtp")?;
        columns.nth(5)
    })?;
    let limit = match limit {
        "-" => default_limit(directory),
        limit => limit.parse().unwrap_or(PROCESS_LIMIT),
    };
    Some(limit / 4 * 3 + limit % 4 * 3 / 4)
}

fn default_limit(directory: &Path) -> u32 {
    let main = fs::read_to_string(directory.join("main.cf")).unwrap_or_default();
    let mut settings = main.lines().filter_map(|line| line.split_once('='));
    let last = settings.rfind(|(name, _)| name.trim_end() == "default_process_limit");
    last.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(PROCESS_LIMIT)
}

/// `Stress Notify`: tells the milter with a macro. It stops nothing.
#[derive(Debug)]
pub(super) struct Notify;

impl Native for Notify {
    fn watches(&self, stage: Stage) -> bool {
        stage == Stage::Connect
    }

    fn stops(&self, situation: &mut Situation<'_>) -> Result<bool> {
        if situation.knobs.stress.is_stressed(situation) {
            situation.set_macro(Bytes::from_static(b"stress"), Bytes::from_static(b"yes"));
        }
        Ok(false)
    }
}

/// `No Stress`.
#[derive(Debug)]
pub(super) struct Calm;

impl Native for Calm {
    fn watches(&self, stage: Stage) -> bool {
        stage == Stage::Connect
    }

    fn stops(&self, situation: &mut Situation<'_>) -> Result<bool> {
        Ok(situation.knobs.stress.is_stressed(situation))
    }
}

const ON: Kinds = Kinds::of(Kind::Stress);

pub(in crate::conditions) const METHODS: &[Method] = &[
    on(
        ON,
        "threshold_n_connections",
        &[],
        Kinds::INT,
        read,
        "so many sessions are stress; 0: no number is. By default three quarters of Postfix's processes for SMTP",
    ),
    on(ON, "threshold_n_connections=", &[Kinds::INT], Kinds::INT, set, "sets that").at_load(),
];

fn read(given: &mut Given<'_, '_>) -> Result<Value> {
    given.vm.detect_stress();
    Ok(Value::Int(i64::from(given.knobs().stress.threshold())))
}

fn set(given: &mut Given<'_, '_>) -> Result<Value> {
    let number = given.int(0).and_then(|number| u32::try_from(number).ok());
    let Some(number) = number else {
        let message = "stress.threshold_n_connections should be 0 or a number of sessions";
        return Err(given.stop(message));
    };
    given.knobs_to_change()?.stress.set = Some(number);
    Ok(Value::Int(i64::from(number)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;

    #[test]
    fn three_quarters_of_what_postfix_may_have() {
        let directory = std::env::temp_dir().join(format!("millstream-stress-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        assert_eq!(threshold(&directory), None);
        let line = |limit: &str| {
            format!(
                "# smtp inet n - y - 7 smtpd\nsubmission inet n - y - 9 smtpd\nsmtp      inet  n - y - {limit} smtpd\nsmtp unix - - y - 3 smtp\n"
            )
        };
        for (limit, main, expected) in [
            ("-", "", 75),
            ("-", "default_process_limit = 50\n", 37),
            ("-", "default_process_limit=10\n# default_process_limit = 99\ndefault_process_limit = 20\n", 15),
            ("-", "default_process_limit = $limit\n", 75),
            ("1", "default_process_limit = 50\n", 0),
            ("30", "", 22),
        ] {
            fs::write(directory.join("master.cf"), line(limit)).unwrap();
            fs::write(directory.join("main.cf"), main).unwrap();
            assert_eq!(threshold(&directory), Some(expected), "{limit}, {main}");
        }
        fs::remove_dir_all(&directory).unwrap();
    }
}
