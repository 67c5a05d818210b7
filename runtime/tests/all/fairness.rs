//! A session that has always more to do does not keep its loop from the others.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::common::{Kit, Script, echo, loops, on_each};

#[test]
fn a_flood_in_both_directions_does_not_starve_a_neighbour() {
    on_each(|on| {
        let kit = Kit::new(|_, _| Script::new(echo));
        let running = on.start(&kit, loops(1));
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                let mut writer = running.unix();
                let mut reader = writer.try_clone().unwrap();
                let stop = &stop;
                scope.spawn(move || {
                    let piece = vec![0; 1 << 20];
                    while !stop.load(Ordering::SeqCst) {
                        writer.write_all(&piece).unwrap();
                    }
                    writer.shutdown(std::net::Shutdown::Write).unwrap();
                });
                scope.spawn(move || {
                    let mut piece = vec![0; 1 << 20];
                    while matches!(reader.read(&mut piece), Ok(1..)) {}
                });
            }
            let mut neighbour = running.tcp();
            for n in 0..200_u8 {
                neighbour.write_all(&[n]).unwrap();
                let mut back = [0];
                neighbour.read_exact(&mut back).unwrap();
                assert_eq!(back, [n]);
            }
            stop.store(true, Ordering::SeqCst);
        });
        running.stop();
        assert_eq!(kit.notices.all(), []);
    });
}
