//! systemd's journal, as its own protocol has it: fields to search for instead of one line of text.
//!
//! An entry is one datagram of `FIELD=VALUE` lines to a socket (systemd's "Native Journal Protocol"). It is used where
//! standard output leads to the journal anyway.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::{env, process};

use super::line::Line;
use super::priority::{self, IDENTITY};
use super::text::printable;

/// Where the journal listens.
const SOCKET: &str = "/run/systemd/journal/socket";
/// Where syslog is the journal's own.
const SYSLOG_OF_JOURNAL: &str = "/run/systemd/journal/";

/// The way to the journal.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
    to: PathBuf,
    facility: u8,
    entry: Vec<u8>,
}

impl Journal {
    /// The journal, if that is where `output` leads.
    pub(super) fn behind(output: &File, facility: &str) -> Option<Self> {
        leads_to_journal(output, &env::var("JOURNAL_STREAM").ok()?).then_some(())?;
        Self::at(Path::new(SOCKET), facility).ok()
    }

    fn at(socket: &Path, facility: &str) -> io::Result<Self> {
        let to = socket.to_owned();
        let facility = priority::facility_number(facility);
        Ok(Self { socket: UnixDatagram::unbound()?, to, facility, entry: Vec::new() })
    }

    /// Sends a line with what is known about it.
    pub(super) fn write(&mut self, line: &Line) -> io::Result<()> {
        self.entry.clear();
        let about = &line.about;
        let put = |entry: &mut Vec<u8>, name: &str, value: &str| {
            // One that has several lines is written with its length.
            if value.contains('\n') {
                entry.extend_from_slice(name.as_bytes());
                entry.push(b'\n');
                entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
                entry.extend_from_slice(value.as_bytes());
                entry.push(b'\n');
            } else {
                // Memory takes everything.
                let _ = writeln!(entry, "{name}={value}");
            }
        };
        put(&mut self.entry, "PRIORITY", &priority::severity(line.level).to_string());
        put(&mut self.entry, "SYSLOG_IDENTIFIER", IDENTITY);
        put(&mut self.entry, "SYSLOG_PID", &process::id().to_string());
        put(&mut self.entry, "SYSLOG_FACILITY", &self.facility.to_string());
        put(&mut self.entry, "MESSAGE", &priority::message(line));
        if let Some(session) = about.session {
            put(&mut self.entry, "MILTER_SESSION", &session.to_string());
        }
        if let Some(queue_id) = &about.queue_id {
            put(&mut self.entry, "MILTER_QUEUE_ID", &printable(queue_id));
        }
        if let Some(milter) = &about.milter {
            put(&mut self.entry, "MILTER_NAME", milter);
        }
        if let Some(status) = about.status {
            put(&mut self.entry, "MILTER_STATUS", status);
        }
        self.socket.send_to(&self.entry, &self.to).map(drop)
    }
}

/// Whether what is sent to syslog comes to the journal, too, and would be there twice.
pub(super) fn has_syslog() -> bool {
    fs::canonicalize("/dev/log").is_ok_and(|path| path.starts_with(SYSLOG_OF_JOURNAL))
}

/// Whether `output` is what a service manager has named: `DEVICE:INODE`. It may have been led elsewhere since.
fn leads_to_journal(output: &File, stream: &str) -> bool {
    let named = stream.split_once(':');
    let named = named.and_then(|(device, inode)| Some((device.parse().ok()?, inode.parse().ok()?)));
    named.is_some() && output.metadata().ok().map(|file| (file.dev(), file.ino())) == named
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use millstream_config::LogLevel;
    use millstream_core::service::SessionId;

    use super::*;
    use crate::log::About;

    #[test]
    fn an_entry_has_the_line_and_what_is_known_about_it() {
        let path = env::temp_dir().join(format!("millstream-journal-{}", process::id()));
        let _ = fs::remove_file(&path);
        let receiver = UnixDatagram::bind(&path).unwrap();
        let mut journal = Journal::at(&path, "mail").unwrap();
        let about = About {
            session: Some(SessionId(7)),
            queue_id: Some(Arc::from(*b"4jWC")),
            milter: Some(Arc::from("clamav")),
            status: Some("reject"),
        };
        let text = "[milter][end][end-of-message][reject][0.08](7): clamav".to_owned();
        journal.write(&Line::about(LogLevel::STATISTICS, text, about)).unwrap();
        let text = "two\nlines".to_owned();
        journal.write(&Line::about(LogLevel::ERROR, text, About::default())).unwrap();
        let mut entry = [0; 1000];
        let length = receiver.recv(&mut entry).unwrap();
        let pid = process::id();
        assert_eq!(
            String::from_utf8_lossy(&entry[..length]),
            format!(
                "PRIORITY=5\nSYSLOG_IDENTIFIER=milter-manager\nSYSLOG_PID={pid}\nSYSLOG_FACILITY=2\n\
                 MESSAGE=[statistics] [milter][end][end-of-message][reject][0.08](7): clamav\n\
                 MILTER_SESSION=7\nMILTER_QUEUE_ID=4jWC\nMILTER_NAME=clamav\nMILTER_STATUS=reject\n"
            )
        );
        let length = receiver.recv(&mut entry).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&entry[..length]),
            format!(
                "PRIORITY=3\nSYSLOG_IDENTIFIER=milter-manager\nSYSLOG_PID={pid}\nSYSLOG_FACILITY=2\n\
                 MESSAGE\n\u{9}\0\0\0\0\0\0\0two\nlines\n"
            )
        );
    }

    #[test]
    fn only_the_file_that_was_named_leads_to_the_journal() {
        let file = File::open("/dev/null").unwrap();
        let metadata = file.metadata().unwrap();
        let named = format!("{}:{}", metadata.dev(), metadata.ino());
        assert!(leads_to_journal(&file, &named));
        for other in ["", "5", "x:y", &format!("{}:{}", metadata.dev(), metadata.ino() + 1)] {
            assert!(!leads_to_journal(&file, other), "{other}");
        }
    }
}
