//! Machines are called when they want to be.

use std::io::{Read, Write};
use std::time::Duration;

use millstream_core::machine::{Input, Peer};

use crate::common::{Kit, PATIENCE, Script, loops, on_each};

const SHORT: Duration = Duration::from_millis(20);

#[test]
fn a_deadline_comes_in_time_and_never_early() {
    on_each(|on| {
        let kit = Kit::new(|_, _| {
            let mut due = None;
            Script::new(move |base, now, input| {
                if let Input::Closed { .. } = input {
                    return base.finish();
                }
                match due {
                    None => {
                        due = Some(now + SHORT);
                        base.wait = due;
                    }
                    Some(at) if now >= at => {
                        base.wait = None;
                        base.send(Peer::MTA, &b"."[..]);
                        due = Some(now + PATIENCE + PATIENCE);
                    }
                    Some(_) => {}
                }
            })
        });
        let running = on.start(&kit, loops(1));
        let started = std::time::Instant::now();
        let mut clients: Vec<_> = (0..50).map(|_| running.unix()).collect();
        for client in &mut clients {
            client.read_exact(&mut [0]).unwrap();
        }
        assert!(started.elapsed() >= SHORT);
        drop(clients);
        running.stop();
    });
}

#[test]
fn a_deadline_that_moves_back_is_not_fired_and_one_that_moves_forward_is_early() {
    on_each(|on| {
        let kit = Kit::new(|_, _| {
            let mut due = None;
            Script::new(move |base, now, input| match input {
                Input::Received { data, .. } => {
                    let wait = if data.starts_with(b"late") { PATIENCE * 2 } else { SHORT };
                    due = Some(now + wait);
                    base.wait = due;
                    base.send(Peer::MTA, &b"k"[..]);
                }
                Input::Tick => {
                    if let Some(due) = due {
                        assert!(now >= due, "called early");
                        base.wait = None;
                        base.send(Peer::MTA, &b"t"[..]);
                    }
                }
                Input::Closed { .. } => base.finish(),
                _ => {}
            })
        });
        let running = on.start(&kit, loops(1));
        let mut client = running.unix();
        let mut ask = |text: &[u8]| {
            client.write_all(text).unwrap();
            client.read_exact(&mut [0]).unwrap();
        };
        ask(b"soon");
        ask(b"late");
        // A second session lives through the alarm of the first deadline.
        let mut other = running.unix();
        other.write_all(b"soon").unwrap();
        let mut text = [0; 2];
        other.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"kt");
        ask(b"soon");
        let mut text = [0];
        client.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"t");
        drop((client, other));
        running.stop();
        assert_eq!(kit.notices.all(), []);
    });
}

#[test]
fn what_has_arrived_is_heard_before_the_deadline_fires() {
    on_each(|on| {
        let kit = Kit::new(|_, _| {
            let mut heard = false;
            Script::new(move |base, now, input| match input {
                Input::Received { data, .. } if data.starts_with(b"block") => {
                    base.send(Peer::MTA, &b"b"[..]);
                    base.wait = Some(now + SHORT);
                    base.refuses_input.clear();
                    heard = false;
                }
                Input::Received { .. } => {
                    heard = true;
                    base.wait = None;
                    base.send(Peer::MTA, &b"in time"[..]);
                }
                // The loop is late: the deadline and the bytes come at the same time.
                Input::Wrote { .. } if !heard => std::thread::sleep(SHORT * 3),
                Input::Tick if base.wait.is_some() => panic!("timed out although the bytes were there"),
                Input::Closed { .. } => base.finish(),
                _ => {}
            })
        });
        let running = on.start(&kit, loops(1));
        let mut client = running.unix();
        client.write_all(b"block").unwrap();
        client.read_exact(&mut [0]).unwrap();
        client.write_all(b"answer").unwrap();
        client.read_exact(&mut [0; 7]).unwrap();
        drop(client);
        running.stop();
        assert_eq!(kit.notices.all(), []);
    });
}
