//! rspamd as a milter that scans by itself: no redis, no DNS, no controller, no rules but a few of ours.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::without_network;
use crate::account;
use crate::process::Process;
use crate::until::PATIENCE;

/// What has to be installed.
pub const NEEDS: &[&str] = &["rspamd", "unshare"];

/// What it insists to run as when root starts it.
const USER: &str = "_rspamd";

/// A message whose subject has this word is refused by it alone.
pub const REFUSED_WORD: &str = "rspamd-refuses";

/// Asks it alone to mark the message as spam, in two parts as GTUBE itself is.
pub const MARK: [&str; 2] = ["YJS*C4JDBQADN1.NSBN3*2IDNEN*", "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"];

/// Asks it alone to put a note into the subject.
pub const REWRITE: [&str; 2] = ["ZJS*C4JDBQADN1.NSBN3*2IDNEN*", "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"];

/// Starts it on `socket`, its other files in a folder beside that. The caller waits until it listens.
///
/// It is the leader of a process group; see [`kill`].
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn start(socket: &Path) -> Process {
    let folder = socket.with_extension("folder");
    fs::create_dir_all(&folder).expect("a folder can be made");
    account::give_to(USER, &folder);
    let configuration = folder.join("rspamd.conf");
    fs::write(&configuration, text(socket, &folder)).expect("rspamd.conf can be written");
    // The list of all public suffixes takes 18 seconds to compile.
    fs::write(folder.join("suffixes"), "com\nnet\norg\ntest\n").expect("a list can be written");
    let mut command = without_network("rspamd");
    command.args(["-f", "-u", USER, "-g", USER, "-c"]).arg(&configuration);
    command.process_group(0);
    Process::start("rspamd", &mut command, &socket.with_extension("output"))
}

/// Kills it with everything that belongs to it: the worker survives the main process and goes on answering.
///
/// # Panics
/// When it does not run.
pub fn kill(rspamd: &mut Process) {
    let killed = Command::new("/bin/kill")
        .args(["-KILL", "--", &format!("-{}", rspamd.id())])
        .status()
        .expect("kill runs");
    assert!(killed.success(), "rspamd has ended before");
    rspamd.wait(PATIENCE);
}

fn text(socket: &Path, folder: &Path) -> String {
    let socket = socket.display();
    let folder = folder.display();
    format!(
        r#"# Written by the test suite.
options {{
  filters = "regexp";
  url_tld = "{folder}/suffixes";
  # Nobody is there, nor is there a way.
  dns {{ nameserver = ["127.0.0.1:9"]; timeout = 0.1s; retransmits = 1; }}
  local_addrs = [];
  cache_file = "{folder}/symbols.cache";
  control_socket = "{folder}/control.sock mode=0600";
  hs_cache_dir = "{folder}/";
  tempdir = "{folder}";
  disable_hyperscan = true;
  disable_monitoring = true;
  # Its own relatives of GTUBE.
  enable_test_patterns = true;
}}
lang_detection {{ languages = ["en"]; }}
logging {{ type = "console"; level = "info"; }}
worker "rspamd_proxy" {{
  bind_socket = "{socket} mode=0666";
  milter = yes;
  timeout = 60s;
  count = 1;
  upstream "local" {{ default = yes; self_scan = yes; }}
}}
actions {{ reject = 15; add_header = 6; rewrite_subject = 8; subject = "[spam] %s"; }}
modules {{ path = "/usr/share/rspamd/plugins/milter_headers.lua"; }}
regexp {{
  REFUSED {{ re = 'Subject=/{REFUSED_WORD}/{{header}}'; score = 100; }}
}}
milter_headers {{
  use = ["x-spamd-bar", "x-spam-level", "x-spam-status", "x-spamd-result", "x-rspamd-queue-id"];
  extended_spam_headers = true;
  skip_local = false;
  skip_authenticated = false;
}}
"#
    )
}
