//! The step between the launcher and a milter: becomes what the milter is to be, and then the milter.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use millstream_service::{Identity, find_user};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{User, close, setsid};

/// The first argument of a process that is this step; the user follows, empty for root, and then the command line.
pub(crate) const STEP: &str = "--start-milter";

/// Where a program is looked for that is named without its folder.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Becomes the program in `arguments`. Returns only if that is not possible, and has said why on standard error.
pub(crate) fn start_milter(arguments: &[OsString]) -> ExitCode {
    close_inherited();
    // The program's own leads nowhere by the time that it turns out not to be there.
    let told = io::stderr().as_fd().try_clone_to_owned();
    let reason = become_program(arguments);
    if let Ok(told) = told {
        let _ = fs::File::from(told).write_all(reason.as_bytes());
    }
    ExitCode::FAILURE
}

fn become_program(arguments: &[OsString]) -> String {
    let [user, program, rest @ ..] = arguments else { return "no command".to_owned() };
    let user = match find(user) {
        Ok(user) => user,
        Err(reason) => return reason,
    };
    // Its own session: no terminal, and no signal that is meant for the manager's group.
    if let Err(error) = setsid() {
        return format!("setsid: {error}");
    }
    umask(Mode::from_bits_truncate(0o022));
    if let Err(error) = env::set_current_dir("/") {
        return format!("the folder /: {error}");
    }
    let mut command = Command::new(program);
    command
        .args(rest)
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", &user.dir)
        .env("SHELL", "/bin/sh")
        .env("USER", &user.name)
        .env("LOGNAME", &user.name)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let name = user.name.clone();
    if let Err(error) = Identity::of(user).become_it() {
        return format!("cannot become {name}: {error}");
    }
    format!("{}: {}", Path::new(program).display(), command.exec())
}

fn find(name: &OsStr) -> Result<User, String> {
    let name = name.to_str().ok_or("the user's name is not UTF-8")?;
    let found = find_user(if name.is_empty() { "0" } else { name });
    found.ok_or_else(|| format!("no such user: {name} (milter.user_name)"))
}

/// Closes whatever this process was given besides its standard streams. Called before it opens anything itself.
pub(super) fn close_inherited() {
    let folder = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };
    let Ok(open) = fs::read_dir(folder) else { return };
    let numbers = open.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    // The folder itself is among them, and closed when they are known.
    for number in numbers.filter(|&number| number > 2).collect::<Vec<_>>() {
        let _ = close(number);
    }
}
