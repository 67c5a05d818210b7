//! Large frames are read into the machine's own buffer; small ones share the loop's.

use std::io::{Read, Write};

use bytes::BytesMut;
use millstream_core::machine::{Input, Peer};
use millstream_core::time::Instant;

use crate::common::{Base, Kit, Log, Script, loops, on_each};

const HEAD: usize = 4;

/// Frames of a 4-byte length and a payload. A frame that is partly here is completed in one buffer of just its size;
/// the frame's payload is answered by its length and the sum of its bytes.
#[derive(Default)]
struct Framer {
    partial: Option<(BytesMut, usize)>,
}

impl Framer {
    fn take(&mut self, base: &mut Base, mut data: BytesMut) {
        if let Some((_, size)) = self.partial.take() {
            assert!(data.len() <= size, "more was read than there was room for");
            if data.len() < size {
                self.partial = Some((BytesMut::new(), size));
                base.lend = Some(data);
                return;
            }
        }
        loop {
            if data.len() < HEAD {
                if !data.is_empty() {
                    self.lend(base, &data, HEAD);
                }
                return;
            }
            let size = HEAD + u32::from_be_bytes(data[..HEAD].try_into().unwrap()) as usize;
            if data.len() < size {
                self.lend(base, &data, size);
                return;
            }
            let frame = data.split_to(size);
            let sum: u64 = frame[HEAD..].iter().map(|byte| u64::from(*byte)).sum();
            base.send(Peer::MTA, format!("{} {sum}\n", size - HEAD));
        }
    }

    fn lend(&mut self, base: &mut Base, start: &[u8], size: usize) {
        let mut buffer = BytesMut::with_capacity(size);
        buffer.extend_from_slice(start);
        assert_eq!(buffer.capacity(), size);
        base.lend = Some(buffer);
        self.partial = Some((BytesMut::new(), size));
    }
}

#[test]
fn frames_of_any_size_come_through_whole() {
    on_each(|on| {
        let kit = Kit::new(|_, _| {
            let mut framer = Framer::default();
            Script::new(move |base: &mut Base, _: Instant, input| match input {
                Input::Received { data, .. } => framer.take(base, data),
                Input::Closed { .. } => base.finish(),
                _ => {}
            })
        });
        let running = on.start(&kit, loops(1));
        let sizes = [0, 1, 20, 4_095, 65_535, 72 << 10, (72 << 10) - HEAD, 1_000_000, 3, 5_000_000];
        let mut wire = Vec::new();
        let mut expected = String::new();
        for (n, size) in sizes.into_iter().enumerate() {
            let byte = u8::try_from(n + 1).unwrap();
            wire.extend_from_slice(&u32::try_from(size).unwrap().to_be_bytes());
            wire.extend(std::iter::repeat_n(byte, size));
            expected += &format!("{size} {}\n", size * usize::from(byte));
        }
        for step in [wire.len(), 7_001, 65_540] {
            let mut client = running.unix();
            let mut reader = client.try_clone().unwrap();
            for piece in wire.chunks(step) {
                client.write_all(piece).unwrap();
            }
            let mut text = vec![0; expected.len()];
            reader.read_exact(&mut text).unwrap();
            assert_eq!(String::from_utf8(text).unwrap(), expected);
        }
        running.stop();
        assert_eq!(kit.notices.all(), []);
    });
}

#[test]
fn the_loops_buffer_is_used_again_when_nothing_was_kept() {
    on_each(|on| {
        let places = Log::new();
        let log = places.clone();
        let kit = Kit::new(move |_, _| {
            let log = log.clone();
            Script::new(move |base, _, input| match input {
                Input::Received { peer, data } => {
                    log.push(data.as_ptr() as usize);
                    base.send(peer, data.to_vec());
                }
                Input::Closed { .. } => base.finish(),
                _ => {}
            })
        });
        let running = on.start(&kit, loops(1));
        let mut client = running.unix();
        for _ in 0..100 {
            client.write_all(&[1; 3000]).unwrap();
            client.read_exact(&mut [0; 3000]).unwrap();
        }
        let mut all = places.all();
        all.dedup();
        // The rest of the buffer is used up before it is reclaimed, so a place or two; never one for each read.
        let spread = all.iter().max().unwrap() - all.iter().min().unwrap();
        assert!(spread <= 72 << 10, "{spread} bytes apart");
        drop(client);
        running.stop();
    });
}

#[test]
fn a_lone_frame_of_the_largest_kind_needs_one_read() {
    on_each(|on| {
        const FRAME: usize = 65_535 + 5;
        let reads = Log::new();
        let log = reads.clone();
        let kit = Kit::new(move |_, _| {
            let log = log.clone();
            let mut total = 0;
            Script::new(move |base, _, input| match input {
                Input::Received { data, .. } if base.refuses_input.is_empty() && data.as_ref() == b"wait" => {
                    std::thread::sleep(std::time::Duration::from_millis(100));
                    base.send(Peer::MTA, &b"."[..]);
                }
                Input::Received { data, .. } => {
                    log.push(data.len());
                    total += data.len();
                    if total == FRAME {
                        base.send(Peer::MTA, &b"."[..]);
                    }
                }
                Input::Closed { .. } => base.finish(),
                _ => {}
            })
        });
        let running = on.start(&kit, loops(1));
        let mut client = running.unix();
        let mut busy = running.unix();
        // While the loop is busy with another session, the whole frame gets into the socket.
        busy.write_all(b"wait").unwrap();
        client.write_all(&[1; FRAME]).unwrap();
        busy.read_exact(&mut [0]).unwrap();
        client.read_exact(&mut [0]).unwrap();
        assert_eq!(reads.all().iter().sum::<usize>(), FRAME);
        drop((client, busy));
        running.stop();
    });
}
