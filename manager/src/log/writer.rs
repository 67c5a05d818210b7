//! Where lines go: standard output or a file, the journal where that is behind standard output, and syslog.
//!
//! Both may fail for a while and are used again without being told: a full disk has room again, the syslog daemon is
//! restarted. What they did not take meanwhile is counted, and told in the next line that they take.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;

use millstream_config::{Log, LogLevel};

use super::Levels;
use super::environment::Format;
use super::format::Items;
use super::journal::{self, Journal};
use super::line::Line;
use super::stamp::Stamp;
use super::syslog::Syslog;

/// So many bytes are written at once, or a line more.
const ONE_WRITE: usize = 64 << 10;
/// Of what a burst of lines has taken so much memory is kept: 1 KiB of text, and as many ends of lines.
const KEPT: usize = 1024;

/// Writes lines to all their places.
pub(super) struct Writer {
    settings: Log,
    format: Format,
    levels: Levels,
    output: Output,
    /// Where standard output leads to the journal; what that does not take goes to the output.
    journal: Option<Journal>,
    syslog: Syslog,
    /// Not where the same journal would have each line twice.
    uses_syslog: bool,
}

impl Writer {
    /// Opens what `settings` name.
    ///
    /// # Errors
    ///
    /// The log file cannot be opened. A syslog that cannot be reached is told on the other output instead.
    pub(super) fn open(settings: &Log, format: Format) -> io::Result<Self> {
        let file = open_output(settings)?;
        let levels = Levels::of(settings, &format);
        let journal = find_journal(settings, &file);
        let output = Output::new(file, format);
        let settings = settings.clone();
        let mut writer =
            Self { settings, format, levels, output, journal, syslog: Syslog::default(), uses_syslog: false };
        writer.open_syslog();
        Ok(writer)
    }

    fn open_syslog(&mut self) {
        self.syslog = Syslog::default();
        self.uses_syslog = self.settings.use_syslog && !(self.journal.is_some() && journal::has_syslog());
        if self.uses_syslog
            && let Err(error) = self.syslog.open(&self.settings)
        {
            self.output.remark(&format!("[log][syslog] not reachable, logging without it: {error}"));
        }
    }

    /// Applies changed settings; a file that cannot be opened leaves the old one in place.
    pub(super) fn configure(&mut self, settings: &Log) {
        if *settings == self.settings {
            return;
        }
        let path_changed = settings.path != self.settings.path;
        self.settings = settings.clone();
        self.levels = Levels::of(settings, &self.format);
        if path_changed {
            self.reopen();
        } else {
            self.journal = find_journal(settings, &self.output.file);
            self.open_syslog();
        }
    }

    /// Opens the log file anew.
    pub(super) fn reopen(&mut self) {
        match open_output(&self.settings) {
            Ok(file) => {
                self.journal = find_journal(&self.settings, &file);
                self.output = Output { lost: self.output.lost, ..Output::new(file, self.format) };
                self.open_syslog();
            }
            Err(error) => self.remark(&format!("[log][reopen] the old log file stays in use: {error}")),
        }
    }

    /// Writes lines.
    pub(super) fn write(&mut self, lines: &[Line]) {
        if lines.is_empty() {
            return;
        }
        let levels = self.levels;
        let is_for_output = |line: &&Line| levels.output.logs(line.level);
        match &mut self.journal {
            Some(journal) => {
                for line in lines.iter().filter(is_for_output) {
                    if journal.write(line).is_err() {
                        self.output.write([line].into_iter());
                    }
                }
            }
            None => self.output.write(lines.iter().filter(is_for_output)),
        }
        if !self.uses_syslog {
            return;
        }
        for line in lines.iter().filter(|line| levels.syslog.logs(line.level)) {
            if let Some(remark) = self.syslog.write(line, &self.settings) {
                self.output.remark(&remark);
            }
        }
    }

    /// Writes a line of the log's own.
    pub(super) fn remark(&mut self, text: &str) {
        self.write(&[Line::now(LogLevel::WARNING, text.to_owned())]);
    }
}

/// Standard output or a file.
struct Output {
    file: File,
    items: Items,
    coloured: bool,
    stamp: Stamp,
    /// What is written next, and where in it each line ends.
    text: String,
    ends: Vec<usize>,
    /// Lines that it has not taken since it last took one.
    lost: u64,
    /// Only a part of the last line is in it.
    torn: bool,
}

impl Output {
    fn new(file: File, format: Format) -> Self {
        let coloured = format.colours.on(&file, &std::env::var("TERM").unwrap_or_default());
        Self {
            file,
            items: format.items,
            coloured,
            stamp: Stamp::default(),
            text: String::new(),
            ends: Vec::new(),
            lost: 0,
            torn: false,
        }
    }

    fn remark(&mut self, text: &str) {
        self.write([&Line::now(LogLevel::WARNING, text.to_owned())].into_iter());
    }

    fn write<'l>(&mut self, lines: impl Iterator<Item = &'l Line>) {
        if self.lost > 0 {
            let text = format!("[log] {} lines were lost: the log could not be written", self.lost);
            if self.put([&Line::now(LogLevel::WARNING, text)].into_iter()).is_ok() {
                self.lost = 0;
            }
        }
        if self.lost > 0 {
            self.lost += lines.count() as u64;
        } else if let Err(lost) = self.put(lines) {
            self.lost += lost;
        }
    }

    /// One system call, or few, so that lines of others who write to the same file do not mix with these. What fails says how
    /// many lines that were.
    fn put<'l>(&mut self, lines: impl Iterator<Item = &'l Line>) -> Result<(), u64> {
        let mut lost = 0;
        for line in lines {
            if self.ends.is_empty() && self.torn {
                self.text.push('\n');
            }
            self.items.write(&mut self.text, line, &mut self.stamp, self.coloured);
            self.ends.push(self.text.len());
            if self.text.len() >= ONE_WRITE {
                lost += self.flush();
            }
        }
        lost += self.flush();
        if lost > 0 { Err(lost) } else { Ok(()) }
    }

    /// Writes what is there, and says how many lines of it are not in the file.
    fn flush(&mut self) -> u64 {
        let mut rest = self.text.as_bytes();
        // A line break alone can wait.
        while !self.ends.is_empty() && !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => break,
                Ok(written) => {
                    rest = &rest[written..];
                    let at = self.text.len() - rest.len();
                    self.torn = self.text.as_bytes()[at - 1] != b'\n';
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        let written = self.text.len() - rest.len();
        let lost = self.ends.iter().filter(|end| **end > written).count() as u64;
        self.text.clear();
        self.text.shrink_to(KEPT);
        self.ends.clear();
        self.ends.shrink_to(KEPT);
        lost
    }
}

/// The journal, where standard output leads there.
fn find_journal(settings: &Log, output: &File) -> Option<Journal> {
    settings.file().is_none().then(|| Journal::behind(output, &settings.syslog_facility)).flatten()
}

fn open_output(settings: &Log) -> io::Result<File> {
    let Some(path) = settings.file() else {
        // A handle of our own, without the buffer of the standard library: it would keep what could not be written.
        return Ok(io::stdout().as_fd().try_clone_to_owned()?.into());
    };
    let mut options = OpenOptions::new();
    if fs::metadata(path).is_ok_and(|file| file.file_type().is_fifo()) {
        // Opened for writing alone it would stand still until somebody reads, and be closed to us when they end.
        options.read(true).write(true);
    } else {
        options.append(true).create(true);
    }
    options.open(path).map_err(|error| {
        io::Error::new(error.kind(), format!("failed to set log output path: <{path}>: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::path::{Path, PathBuf};
    use std::process;

    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    fn to(path: &Path) -> Log {
        Log { path: Some(path.display().to_string()), use_syslog: false, ..Log::default() }
    }

    fn fresh(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("millstream-log-{}-{name}", process::id()));
        let _ = fs::remove_file(&path);
        path
    }

    /// `/dev/full` is a disk without room.
    #[cfg(target_os = "linux")]
    #[test]
    fn lines_that_a_full_disk_did_not_take_are_counted_and_told_when_there_is_room() {
        let path = fresh("full");
        let mut writer = Writer::open(&to(Path::new("/dev/full")), Format::default()).unwrap();
        for _ in 0..3 {
            writer.remark("lost");
        }
        writer.configure(&to(&path));
        writer.remark("first");
        writer.remark("second");
        let text = fs::read_to_string(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let lines: Vec<_> = text.lines().filter_map(|line| Some(line.split_once("]: ")?.1)).collect();
        assert_eq!(
            lines,
            ["[log] 3 lines were lost: the log could not be written", "first", "second"],
            "{text}"
        );
    }

    #[test]
    fn lines_that_come_together_are_written_in_their_order_however_many() {
        let path = fresh("many");
        let mut writer = Writer::open(&to(&path), Format::default()).unwrap();
        let lines: Vec<_> =
            (0..3000).map(|n| Line::now(LogLevel::WARNING, format!("line {n} {}", "x".repeat(50)))).collect();
        writer.write(&lines);
        writer.write(&[]);
        let text = fs::read_to_string(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(text.lines().count(), 3000);
        for (n, line) in text.lines().enumerate() {
            assert!(line.contains(&format!("]: line {n} x")), "{line}");
        }
    }

    /// Of what is written at once a part may be in the file.
    #[test]
    fn lines_of_which_a_part_was_written_are_torn_and_the_next_one_begins_anew() {
        let path = fresh("torn");
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        let mut writer = Writer::open(&to(&path), Format::default()).unwrap();
        let flags = OFlag::from_bits_truncate(fcntl(&writer.output.file, FcntlArg::F_GETFL).unwrap());
        fcntl(&writer.output.file, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).unwrap();
        // More than a pipe takes.
        let lines: Vec<_> = (0..3000).map(|n| Line::now(LogLevel::WARNING, format!("{n:060}"))).collect();
        writer.write(&lines);
        let lost = writer.output.lost;
        let mut reader = File::open(&path).unwrap();
        let mut bytes = vec![0; 1 << 20];
        let length = reader.read(&mut bytes).unwrap();
        let whole = bytes[..length].iter().filter(|byte| **byte == b'\n').count() as u64;
        assert_eq!((whole + lost, writer.output.torn), (3000, bytes[length - 1] != b'\n'));
        writer.remark("again");
        let length = reader.read(&mut bytes).unwrap();
        fs::remove_file(&path).unwrap();
        let text = String::from_utf8_lossy(&bytes[..length]);
        assert!(text.contains(&format!("]: [log] {lost} lines were lost")), "{text}");
        assert!(text.ends_with("]: again\n"), "{text}");
    }

    #[test]
    fn a_pipe_that_nobody_reads_is_opened_and_keeps_lines_for_who_comes() {
        let path = fresh("pipe");
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        let mut writer = Writer::open(&to(&path), Format::default()).unwrap();
        writer.remark("early");
        let mut reader = File::open(&path).unwrap();
        let mut text = [0; 200];
        let length = reader.read(&mut text).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(text[..length].ends_with(b"]: early\n"), "{}", String::from_utf8_lossy(&text[..length]));
    }
}
