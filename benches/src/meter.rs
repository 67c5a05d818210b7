//! What other threads and processes cost: processor time as the kernel counts it, and system calls as strace does.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use millstream_tests::until::until;

/// Longer than strace takes to begin and to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// Threads of a process. Those that have ended meanwhile count no more: the ones that serve sessions do not end before the
/// process, unlike the one that gives memory back after a burst.
#[derive(Debug, Clone)]
pub struct Threads {
    /// Their folders in `/proc`.
    folders: Vec<PathBuf>,
}

impl Threads {
    /// All threads of a process.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn of(process: u32) -> io::Result<Self> {
        let tasks = fs::read_dir(format!("/proc/{process}/task"))?;
        Ok(Self { folders: tasks.flatten().map(|task| task.path()).collect() })
    }

    /// The threads of this process that `start` starts and leaves running.
    ///
    /// # Errors
    /// When `start` fails, or the system does not say.
    pub fn started_by<T>(start: impl FnOnce() -> io::Result<T>) -> io::Result<(Self, T)> {
        let before = Self::of(std::process::id())?.folders;
        let started = start()?;
        let folders = Self::of(std::process::id())?.folders;
        Ok((Self { folders: folders.into_iter().filter(|task| !before.contains(task)).collect() }, started))
    }

    /// Nanoseconds of processor time so far.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn time(&self) -> io::Result<f64> {
        let mut sum = 0.0;
        for text in self.read("schedstat")? {
            let spent = text.split_whitespace().next().and_then(|field| field.parse::<f64>().ok());
            sum += spent.ok_or(io::ErrorKind::InvalidData)?;
        }
        Ok(sum)
    }

    /// How often these threads were put on a processor after they had waited or made room for others, so far.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn switches(&self) -> io::Result<u64> {
        let mut sum = 0;
        for status in self.read("status")? {
            let counts = status.lines().filter(|line| line.contains("ctxt_switches:"));
            sum += counts.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum::<u64>();
        }
        Ok(sum)
    }

    /// What the kernel says of each thread that is left. All gone is an error.
    fn read(&self, name: &str) -> io::Result<Vec<String>> {
        let mut texts = Vec::new();
        for folder in &self.folders {
            match fs::read_to_string(folder.join(name)) {
                Ok(text) => texts.push(text),
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error),
            }
        }
        if texts.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(texts) }
    }

    /// The system calls of `run` by name; `None` without strace.
    ///
    /// # Errors
    /// When `run` fails.
    ///
    /// # Panics
    /// When strace does not begin or end.
    pub fn system_calls(
        &self,
        scratch: &Path,
        run: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<Option<BTreeMap<String, u64>>> {
        let Some(text) = self.traced(scratch, &["-c"], run)? else { return Ok(None) };
        let mut calls = BTreeMap::new();
        for line in text.lines() {
            // % time, seconds, usecs/call, calls, perhaps errors, syscall
            let fields: Vec<&str> = line.split_whitespace().collect();
            if let ([_, _, _, count, name] | [_, _, _, count, _, name], false) =
                (&fields[..], line.ends_with("total"))
                && let Ok(count) = count.parse()
            {
                calls.insert((*name).to_owned(), count);
            }
        }
        Ok(Some(calls))
    }

    /// What strace prints about these threads during `run`; `None` without strace.
    ///
    /// # Errors
    /// When `run` fails.
    ///
    /// # Panics
    /// When strace does not begin or end.
    pub fn traced(
        &self,
        scratch: &Path,
        options: &[&str],
        run: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<Option<String>> {
        let report = scratch.join("strace");
        let mut command = Command::new("strace");
        command.args(options).arg("-o").arg(&report).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(File::create(scratch.join("strace.errors"))?);
        for folder in &self.folders {
            command.arg("-p").arg(folder.file_name().unwrap_or_default());
        }
        let Ok(mut strace) = command.spawn() else { return Ok(None) };
        until(PATIENCE, "strace at the threads", || {
            self.folders.iter().all(|at| is_traced(at)).then_some(())
        });
        let result = run();
        // What the threads do behind the last answer.
        std::thread::sleep(Duration::from_millis(100));
        let _ = Command::new("/bin/kill").arg("-INT").arg(strace.id().to_string()).status();
        until(PATIENCE, "the end of strace", || strace.try_wait().ok().flatten());
        result?;
        fs::read_to_string(&report).map(Some)
    }
}

/// Whether there is no such thread any more: before its files are opened, or while they are read.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

fn is_traced(task: &Path) -> bool {
    let status = fs::read_to_string(task.join("status")).unwrap_or_default();
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
    tracer.is_some_and(|tracer| tracer.trim() != "0")
}

/// Nanoseconds of processor time of a process so far, threads that have ended included; the kernel counts it in
/// hundredths of a second.
///
/// # Errors
/// When there is no such process.
pub fn process_time(process: u32) -> io::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name before may contain anything; the times are the 12th and 13th field behind it.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    Ok(fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() * 1e7)
}

/// A size of a process in bytes, by its name in `/proc/PID/status`.
#[must_use]
pub fn size(process: u32, name: &str) -> Option<usize> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse::<usize>().ok().map(|kib| kib * 1024)
}

/// The resident memory of a process, once it changes no more.
#[must_use]
pub fn settled(process: u32) -> Option<usize> {
    let mut before = size(process, "VmRSS")?;
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let now = size(process, "VmRSS")?;
        if now == before {
            return Some(now);
        }
        before = now;
    }
}
