//! spamd with local tests only, and spamass-milter.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use super::without_network;
use crate::process::Process;
use crate::require::program_path;

/// What has to be installed.
pub const NEEDS: &[&str] = &["spamd", "spamc", "spamass-milter", "unshare"];

/// The text that every spam filter takes for spam, in two parts: this file is not to be taken for it.
pub const GTUBE: [&str; 2] = ["XJS*C4JDBQADN1.NSBN3*2IDNEN*", "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"];

/// Those of its rules that are used: all of them take some tenths of a second for each message.
const RULES: [&str; 4] = ["10_default_prefs.cf", "20_body_tests.cf", "20_head_tests.cf", "50_scores.cf"];

/// A message whose subject has this word is spam, and not enough so to be refused.
pub const SPAM_WORD: &str = "spamassassin-wraps";

/// Starts spamd on `socket`. The caller waits until it listens.
///
/// It learns nothing: what it says of a message must not depend on those before.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn start_spamd(socket: &Path) -> Process {
    let rules = socket.with_extension("rules");
    fs::create_dir_all(&rules).expect("a folder can be made");
    for name in RULES {
        let _ = symlink(Path::new("/usr/share/spamassassin").join(name), rules.join(name));
    }
    let mut command = without_network("spamd");
    command.arg(format!("--configpath={}", rules.display()));
    command.args(["--local", "--nouser-config", "--max-children=2", "--min-children=2", "--syslog=stderr"]);
    command.args(["--cf=use_bayes 0", "--cf=bayes_auto_learn 0", "--socketmode=0666"]);
    command.arg(format!("--cf=header SUITE Subject =~ /{SPAM_WORD}/")).arg("--cf=score SUITE 10");
    command.args(["--cf=report_safe 1", "--cf=rewrite_header Subject [SPAM]"]);
    command.arg(format!("--socketpath={}", socket.display()));
    Process::start("spamd", &mut command, &socket.with_extension("output"))
}

/// Starts spamass-milter on `socket`. The caller waits until it listens.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn start_milter(socket: &Path, spamd: &Path) -> Process {
    // The socket's mode is made from its umask only; its service does it with chmod.
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"umask 000 && exec "$@""#, "sh"]).arg(program_path("unshare")).arg("--net");
    command.arg(program_path("spamass-milter"));
    // Refusal from 15 points on; below that spam is delivered as an attachment of a report.
    command.arg("-p").arg(socket).args(["-r", "15", "--", "-U"]).arg(spamd);
    Process::start("spamass-milter", &mut command, &socket.with_extension("output"))
}
