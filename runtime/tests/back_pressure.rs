//! A machine that takes no input is left alone, whatever its peer does. Alone in its program: it measures the loops.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::Write;
use std::thread::sleep;
use std::time::Duration;

use common::{Kit, Log, Script, loop_activity, loops, on_each};
use millstream_core::machine::{Answer, Input, Output, Peer, QueryId, Question};

/// Refuses input until the look-up is answered; then counts what it gets to the end.
#[test]
fn a_hang_up_while_input_is_refused_does_not_spin_and_loses_nothing() {
    on_each(|on| {
        const BYTES: usize = 200_000;
        let totals = Log::new();
        let log = totals.clone();
        let kit = Kit::new(move |_, _| {
            let log = log.clone();
            let mut total = 0;
            Script::new(move |base, _, input| match input {
                Input::Tick => {
                    base.refuses_input.insert(Peer::MTA);
                    base.push(Output::LookUp {
                        query: QueryId(1),
                        question: Question::Addresses("x".into()),
                    });
                }
                Input::Answered { .. } => base.refuses_input.clear(),
                Input::Received { data, .. } => total += data.len(),
                Input::Closed { why, .. } => {
                    log.push((total, why));
                    base.finish();
                }
                _ => {}
            })
        });
        let running = on.start(&kit, loops(1));
        let mut unix = running.unix();
        let mut tcp = running.tcp();
        kit.asked_count.wait_for(2);
        unix.write_all(&vec![1; BYTES / 2]).unwrap();
        tcp.write_all(&vec![1; BYTES / 2]).unwrap();
        drop((unix, tcp));
        // Not for order: this is the time in which a spinning loop would be seen.
        sleep(Duration::from_millis(100));
        let before = loop_activity();
        sleep(Duration::from_millis(500));
        let after = loop_activity();
        assert!(after.0 - before.0 <= 1, "{} wake-ups", after.0 - before.0);
        assert!(after.1 - before.1 <= 1, "{} ticks", after.1 - before.1);
        assert_eq!(totals.all(), []);
        for (_, reply) in kit.asked.lock().unwrap().drain(..) {
            reply(Answer::Nothing);
        }
        let eof = millstream_core::machine::Closure::Eof;
        assert_eq!(totals.wait_for(2), [(BYTES / 2, eof), (BYTES / 2, eof)]);
        running.stop();
        assert_eq!(kit.notices.all(), []);
    });
}
