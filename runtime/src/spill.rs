//! Files for what does not fit into a machine's memory limit. One thread for the whole server does the blocking work;
//! it is started when the first machine spills.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use bytes::{Buf, Bytes};
use millstream_core::machine::{Input, IoError, IoKind, SpillId};
use millstream_core::service::SessionId;

use crate::error::classify;
use crate::mailbox::{Key, Mailbox, Message};

/// The door to the thread, shared by all loops.
#[derive(Debug)]
pub(crate) struct Spill {
    directory: PathBuf,
    worker: Mutex<Worker>,
}

#[derive(Debug, Default)]
struct Worker {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// Where the result goes.
#[derive(Debug)]
struct Asker {
    key: Key,
    mailbox: Arc<Mailbox>,
}

impl Asker {
    fn tell(&self, input: Input) {
        // A loop that has ended wants no results.
        let _ = self.mailbox.send(Message::Input(self.key, input));
    }
}

#[derive(Debug)]
enum Job {
    Append(Asker, SpillId, Vec<Bytes>),
    Read(Asker, SpillId, u64, usize),
    Discard(SessionId, SpillId),
    Forget(SessionId),
}

impl Spill {
    pub(crate) const fn new(directory: PathBuf) -> Self {
        Self { directory, worker: Mutex::new(Worker { jobs: None, thread: None }) }
    }

    pub(crate) fn append(&self, key: Key, file: SpillId, data: Vec<Bytes>, mailbox: &Arc<Mailbox>) {
        let asker = Asker { key, mailbox: Arc::clone(mailbox) };
        if let Err(error) = self.start() {
            asker.tell(Input::SpillFailed { file, error });
            return;
        }
        self.submit(Job::Append(asker, file, data));
    }

    pub(crate) fn read(&self, key: Key, file: SpillId, offset: u64, length: usize, mailbox: &Arc<Mailbox>) {
        let asker = Asker { key, mailbox: Arc::clone(mailbox) };
        if let Err(error) = self.start() {
            asker.tell(Input::SpillFailed { file, error });
            return;
        }
        self.submit(Job::Read(asker, file, offset, length));
    }

    pub(crate) fn discard(&self, key: Key, file: SpillId) {
        self.submit(Job::Discard(key.id, file));
    }

    /// Deletes all files of a session that is over.
    pub(crate) fn forget(&self, session: SessionId) {
        self.submit(Job::Forget(session));
    }

    /// Ends the thread after the work that it has.
    pub(crate) fn end(&self) {
        let worker = std::mem::take(&mut *self.lock());
        drop(worker.jobs);
        if let Some(thread) = worker.thread {
            // It cannot panic on purpose, and files are all it had.
            let _ = thread.join();
        }
    }

    fn start(&self) -> Result<(), IoError> {
        let mut worker = self.lock();
        if worker.jobs.is_none() {
            let (jobs, queue) = channel();
            let directory = self.directory.clone();
            let work = move || Files { directory, open: BTreeMap::new() }.serve(&queue);
            let thread = Builder::new().name("millstream-spill".into()).spawn(work);
            worker.thread = Some(thread.map_err(|error| classify(&error))?);
            worker.jobs = Some(jobs);
        }
        Ok(())
    }

    fn submit(&self, job: Job) {
        if let Some(jobs) = &self.lock().jobs {
            // The thread lives as long as the sender does.
            let _ = jobs.send(job);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Worker> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread's side.
struct Files {
    directory: PathBuf,
    open: BTreeMap<(SessionId, SpillId), Result<Entry, IoError>>,
}

struct Entry {
    file: File,
    length: u64,
}

impl Files {
    fn serve(mut self, queue: &Receiver<Job>) {
        for job in queue {
            match job {
                Job::Append(asker, file, data) => {
                    let input = match self.append((asker.key.id, file), data) {
                        Ok(length) => Input::SpillAppended { file, length },
                        Err(error) => Input::SpillFailed { file, error },
                    };
                    asker.tell(input);
                }
                Job::Read(asker, file, offset, length) => {
                    let input = match self.read((asker.key.id, file), offset, length) {
                        Ok(data) => Input::SpillRead { file, offset, data },
                        Err(error) => Input::SpillFailed { file, error },
                    };
                    asker.tell(input);
                }
                Job::Discard(session, file) => {
                    self.open.remove(&(session, file));
                }
                Job::Forget(session) => {
                    let range = (session, SpillId(0))..=(session, SpillId(u32::MAX));
                    let names: Vec<_> = self.open.range(range).map(|(name, _)| *name).collect();
                    for name in names {
                        self.open.remove(&name);
                    }
                }
            }
        }
    }

    /// Appends, and after an error keeps only the error: a file with a hole is of no use.
    fn append(&mut self, name: (SessionId, SpillId), data: Vec<Bytes>) -> Result<u64, IoError> {
        let directory = &self.directory;
        let slot = self.open.entry(name).or_insert_with(|| {
            let entry = create(directory).map(|file| Entry { file, length: 0 });
            entry.map_err(|error| classify(&error))
        });
        let result = match slot {
            Ok(entry) => entry.append(data).map_err(|error| classify(&error)),
            Err(error) => Err(*error),
        };
        if let Err(error) = result {
            *slot = Err(error);
        }
        result
    }

    fn read(&self, name: (SessionId, SpillId), offset: u64, length: usize) -> Result<Bytes, IoError> {
        match self.open.get(&name) {
            Some(Ok(entry)) => entry.read(offset, length).map_err(|error| classify(&error)),
            Some(Err(error)) => Err(*error),
            None => Err(IoError { kind: IoKind::NotFound, code: 0 }),
        }
    }
}

impl Entry {
    fn append(&mut self, data: Vec<Bytes>) -> io::Result<u64> {
        let total: usize = data.iter().map(Bytes::len).sum();
        let mut data = data;
        let mut rest = data.as_mut_slice();
        while let Some(first) = rest.first() {
            if first.is_empty() {
                rest = &mut rest[1..];
                continue;
            }
            let mut slices = [IoSlice::new(&[]); 32];
            let count = rest.len().min(slices.len());
            for (slice, bytes) in slices.iter_mut().zip(rest.iter()) {
                *slice = IoSlice::new(bytes);
            }
            let mut written = match self.file.write_vectored(&slices[..count]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            for bytes in rest.iter_mut().take(count) {
                let here = written.min(bytes.len());
                bytes.advance(here);
                written -= here;
            }
        }
        self.length += total as u64;
        Ok(self.length)
    }

    fn read(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        if offset.saturating_add(length as u64) > self.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut data = vec![0; length];
        self.file.read_exact_at(&mut data, offset)?;
        Ok(data.into())
    }
}

/// A file without a name that only we can read.
fn create(directory: &Path) -> io::Result<File> {
    #[cfg(target_os = "linux")]
    if let Ok(file) = nameless(directory) {
        return Ok(file);
    }
    unlinked(directory)
}

/// Not every file system can do this.
#[cfg(target_os = "linux")]
fn nameless(directory: &Path) -> rustix::io::Result<File> {
    use rustix::fs::{CWD, Mode, OFlags, openat};
    let flags = OFlags::TMPFILE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
    openat(CWD, directory, flags, Mode::RUSR | Mode::WUSR).map(File::from)
}

/// Makes a file and takes its name away at once. An existing name is never followed or opened.
fn unlinked(directory: &Path) -> io::Result<File> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let name = format!(".millstream-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = directory.join(name);
        match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => {
                std::fs::remove_file(&path)?;
                return Ok(file);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn check(file: File) {
        let mut entry = Entry { file, length: 0 };
        let meta = entry.file.metadata().unwrap();
        assert_eq!((meta.mode() & 0o777, meta.nlink()), (0o600, 0));
        let data = (0..100_u8).map(|n| Bytes::from(vec![n; usize::from(n)])).collect();
        assert_eq!(entry.append(data).unwrap(), 4950);
        assert_eq!(entry.append(vec![Bytes::from_static(b"end")]).unwrap(), 4953);
        assert_eq!(entry.read(4949, 4).unwrap(), b"cend"[..]);
        assert_eq!(entry.read(4950, 4).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_spill_file_has_no_name_and_only_we_can_read_it() {
        check(create(&std::env::temp_dir()).unwrap());
        check(unlinked(&std::env::temp_dir()).unwrap());
    }
}
