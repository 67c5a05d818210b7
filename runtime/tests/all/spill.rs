//! Files for what does not fit into memory.

use std::io::{Read, Write};

use bytes::Bytes;
use millstream_core::machine::{Input, IoKind, Output, Peer, SpillId};
use millstream_runtime::Options;

use crate::common::{Folder, Kit, Log, PATIENCE, Script, loops, on_each};

const FILE: SpillId = SpillId(3);

#[test]
fn what_is_spilled_is_read_back() {
    on_each(|on| {
        const PIECE: usize = 100_000;
        let lengths = Log::new();
        let log = lengths.clone();
        let kit = Kit::new(move |_, _| {
            let log = log.clone();
            Script::new(move |base, now, input| match input {
                Input::Received { data, .. } => {
                    // Many small pieces and an empty one, so that several writes are needed.
                    let mut pieces: Vec<Bytes> = vec![data.freeze(), Bytes::new()];
                    pieces.extend(
                        (0..PIECE / 100).map(|n| Bytes::from(vec![u8::try_from(n % 251).unwrap(); 100])),
                    );
                    base.push(Output::SpillAppend { file: FILE, data: pieces });
                    base.push(Output::SpillAppend { file: FILE, data: vec![Bytes::from_static(b"end")] });
                }
                Input::SpillAppended { file, length } => {
                    assert_eq!(file, FILE);
                    log.push(length);
                    if log.all().len() == 2 {
                        base.push(Output::SpillRead { file, offset: 0, length: 5 });
                        base.push(Output::SpillRead { file, offset: length - 103, length: 103 });
                    }
                }
                Input::SpillRead { offset, data, .. } => {
                    base.send(Peer::MTA, data);
                    if offset > 0 {
                        base.push(Output::SpillDrop { file: FILE });
                        base.close(Peer::MTA, Some(now + PATIENCE));
                        base.finish();
                    }
                }
                Input::SpillFailed { error, .. } => panic!("{error}"),
                _ => {}
            })
        });
        let folder = Folder::new();
        let options = Options { spill_directory: folder.path().to_owned(), ..loops(1) };
        let running = on.start(&kit, options);
        let mut client = running.unix();
        client.write_all(b"start").unwrap();
        let mut all = Vec::new();
        client.read_to_end(&mut all).unwrap();
        assert_eq!(lengths.all(), [PIECE as u64 + 5, PIECE as u64 + 8]);
        assert_eq!(&all[..5], b"start");
        assert_eq!(&all[105..], b"end");
        assert_eq!(all[5], u8::try_from((PIECE / 100 - 1) % 251).unwrap());
        // Nothing with a name is left, not even while the server runs.
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        running.stop();
        assert_eq!(kit.notices.all(), []);
    });
}

#[test]
fn a_folder_that_is_not_there_fails_the_file_and_not_the_session() {
    on_each(|on| {
        let failures = Log::new();
        let log = failures.clone();
        let kit = Kit::new(move |_, _| {
            let log = log.clone();
            Script::new(move |base, _, input| match input {
                Input::Tick => {
                    base.push(Output::SpillAppend { file: FILE, data: vec![Bytes::from_static(b"x")] });
                    base.push(Output::SpillAppend { file: FILE, data: vec![Bytes::from_static(b"y")] });
                    base.push(Output::SpillRead { file: SpillId(9), offset: 0, length: 1 });
                }
                Input::SpillFailed { file, error } => {
                    log.push((file, error.kind));
                    if log.all().len() == 3 {
                        base.send(Peer::MTA, &b"still here"[..]);
                    }
                }
                Input::Closed { .. } => base.finish(),
                _ => {}
            })
        });
        let options = Options { spill_directory: "/nonexistent/folder".into(), ..loops(1) };
        let running = on.start(&kit, options);
        let mut client = running.unix();
        client.read_exact(&mut [0; 10]).unwrap();
        let not_found = IoKind::NotFound;
        assert_eq!(failures.all(), [(FILE, not_found), (FILE, not_found), (SpillId(9), not_found)]);
        drop(client);
        running.stop();
    });
}
