//! What a reactor and other threads say to a loop that is a future.

use std::sync::Arc;
use std::task::Waker;

use loom::thread;
use millstream_shared::Inbox;

use crate::bell::Bell;

#[test]
fn a_loop_that_sleeps_after_it_has_looked_hears_of_every_report_once_and_of_other_threads() {
    loom::model(|| {
        let bell = Bell::new();
        let sleeper = bell.waker();
        let inbox = Arc::new(Inbox::new());
        let reactor = thread::spawn({
            let inbox = Arc::clone(&inbox);
            move || {
                inbox.report(1);
                inbox.report(2);
            }
        });
        let other = thread::spawn({
            let inbox = Arc::clone(&inbox);
            move || Waker::from(inbox).wake()
        });
        let (mut heard, mut reports, mut woken) = (Vec::new(), Vec::new(), false);
        loop {
            woken |= inbox.look(&mut reports, &sleeper);
            heard.append(&mut reports);
            if woken && heard.len() >= 2 {
                break;
            }
            bell.wait();
        }
        reactor.join().unwrap();
        other.join().unwrap();
        assert_eq!(heard, [1, 2]);
        assert!(!inbox.look(&mut reports, &sleeper) && reports.is_empty(), "told twice");
    });
}
