//! What is sent to a loop.

use std::sync::Arc;

use loom::thread;
use millstream_shared::Mailbox;

use crate::bell::Bell;

#[test]
fn a_loop_that_sleeps_when_there_is_nothing_gets_every_message_once() {
    loom::model(|| {
        let bell = Bell::new();
        let mailbox = Arc::new(Mailbox::new(bell.waker()));
        let send = |mailbox: Arc<Mailbox<u32>>, message| move || mailbox.send(message).unwrap();
        let others = [1, 2].map(|message| thread::spawn(send(Arc::clone(&mailbox), message)));
        let (mut got, mut messages) = (Vec::new(), Vec::new());
        loop {
            mailbox.take(&mut messages);
            got.append(&mut messages);
            if got.len() >= 2 {
                break;
            }
            bell.wait();
        }
        others.into_iter().for_each(|other| other.join().unwrap());
        mailbox.take(&mut messages);
        assert!(messages.is_empty(), "had twice: {messages:?}");
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
    });
}

#[test]
fn a_message_to_a_loop_that_ends_is_taken_returned_or_given_back() {
    loom::model(|| {
        let mailbox = Arc::new(Mailbox::new(Bell::new().waker()));
        let sender = thread::spawn({
            let mailbox = Arc::clone(&mailbox);
            move || [1, 2].map(|message| mailbox.send(message).err())
        });
        let mut messages = Vec::new();
        mailbox.take(&mut messages);
        messages.extend(mailbox.close());
        // In the order in which they were sent, since a loop takes no more once one was given back.
        let given_back = sender.join().unwrap();
        messages.extend(given_back.into_iter().flatten());
        assert_eq!(messages, [1, 2]);
        assert_eq!(mailbox.send(3), Err(3));
    });
}
