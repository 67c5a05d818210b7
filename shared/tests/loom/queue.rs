//! Lines on their way to the log.

use std::sync::Arc;

use loom::thread;
use millstream_shared::{Queue, Taken};

/// Takes until the queue is closed and empty. Says what was taken, and how much was lost.
fn drain(queue: &Queue<u32>) -> (Vec<u32>, u64) {
    let (mut written, mut lost) = (Vec::new(), 0);
    loop {
        let mut lines = Vec::new();
        let Taken { lost: more, closed } = queue.take(&mut lines);
        lost += more;
        written.append(&mut lines);
        if closed {
            return (written, lost);
        }
    }
}

#[test]
fn lines_written_and_lines_lost_are_the_lines_logged() {
    loom::model(|| {
        let queue = Arc::new(Queue::new(1));
        let writer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || drain(&queue)
        });
        let session = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.offer(1)
        });
        queue.offer(2);
        queue.offer(3);
        session.join().unwrap();
        queue.close();
        let (mut written, lost) = writer.join().unwrap();
        let total = written.len() as u64 + lost;
        written.sort_unstable();
        written.dedup();
        assert_eq!(written.len() as u64 + lost, total, "written twice");
        assert_eq!(total, 3);
        assert!(!written.is_empty());
    });
}

#[test]
fn a_writer_that_sleeps_is_woken_by_a_line_and_by_the_end() {
    loom::model(|| {
        let queue = Arc::new(Queue::new(2));
        let writer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || drain(&queue)
        });
        queue.offer(1);
        queue.put(2).unwrap();
        queue.close();
        assert_eq!(writer.join().unwrap(), (vec![1, 2], 0), "in their order");
    });
}
