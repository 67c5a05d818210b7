//! Ends what the tests started, however the test process ends.
//!
//! A panic runs destructors; a kill, an abort or the end of the process with an MTA in a static does not. So a small shell
//! script reads, from a pipe that only this process holds, which processes and folders exist; when the pipe closes,
//! it ends the one and removes the other.

use std::env;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};

/// `watch PID`, `forget PID`, `folder PATH`, then the end of the pipe.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
watched=''
folders=''
while read -r verb what; do
  case $verb in
    watch) watched="$watched $what" ;;
    forget)
      rest=''
      for process in $watched; do [ "$process" = "$what" ] || rest="$rest $process"; done
      watched=$rest ;;
    folder) folders="$folders $what" ;;
  esac
done
for process in $watched; do kill -TERM "$process"; done
tries=0
while [ "$tries" -lt 50 ]; do
  running=''
  for process in $watched; do kill -0 "$process" && running=yes; done
  [ -n "$running" ] || break
  tries=$((tries + 1))
  sleep 0.1
done
for process in $watched; do kill -KILL "$process"; done
[ -n "$folders" ] && rm -rf $folders
"#;

static GUARDIAN: LazyLock<Mutex<Child>> = LazyLock::new(|| {
    let guardian = Command::new("/bin/sh")
        .args(["-c", SCRIPT, "millstream-tests-guardian"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/")
        // Its own process group: an interrupt typed at the terminal is not for it.
        .process_group(0)
        .spawn()
        .expect("the guardian starts");
    Mutex::new(guardian)
});

/// The process is ended when this process is gone.
pub fn watch(process: u32) {
    tell("watch", &process.to_string());
}

/// The process has been waited for; its id may belong to somebody else from now on.
pub fn forget(process: u32) {
    tell("forget", &process.to_string());
}

/// The folder is removed when this process is gone, unless `MILLSTREAM_KEEP` is set.
pub fn folder(path: &Path) {
    if !keeps_folders() {
        tell("folder", &path.display().to_string());
    }
}

/// Whether private folders are to stay, to be looked at.
#[must_use]
pub fn keeps_folders() -> bool {
    env::var_os("MILLSTREAM_KEEP").is_some()
}

fn tell(verb: &str, what: &str) {
    let mut guardian = GUARDIAN.lock().unwrap_or_else(PoisonError::into_inner);
    let pipe = guardian.stdin.as_mut().expect("the pipe was asked for");
    pipe.write_all(format!("{verb} {what}\n").as_bytes()).expect("the guardian reads");
}
