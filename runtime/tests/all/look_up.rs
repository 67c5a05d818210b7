//! Questions to the resolver, answered now, later, or too late.

use std::io::{Read, Write};
use std::thread;

use millstream_core::machine::{Answer, Input, Output, Peer, QueryId, Question};

use crate::common::{Kit, Script, loops, on_each};

/// Asks about every word that it gets and sends the answer.
fn asker()
-> crate::common::Script<impl FnMut(&mut crate::common::Base, millstream_core::time::Instant, Input)> {
    let mut next = 0;
    Script::new(move |base, _, input| match input {
        Input::Received { data, .. } => {
            next += 1;
            let name = String::from_utf8(data.to_vec()).unwrap();
            let question = Question::Addresses(name.into());
            base.push(Output::LookUp { query: QueryId(next), question });
        }
        Input::Answered { query, answer } => {
            assert_eq!(query, QueryId(next));
            base.send(Peer::MTA, format!("{answer:?}\n"));
        }
        Input::Closed { .. } => base.finish(),
        _ => {}
    })
}

#[test]
fn an_answer_comes_from_another_thread_and_wakes_the_loop() {
    on_each(|on| {
        let kit = Kit::new(|_, _| asker());
        let running = on.start(&kit, loops(1));
        let mut client = running.unix();
        client.write_all(b"mx.example").unwrap();
        kit.asked_count.wait_for(1);
        let (question, reply) = kit.asked.lock().unwrap().pop().unwrap();
        assert_eq!(question, Question::Addresses("mx.example".into()));
        thread::spawn(move || reply(Answer::Nothing));
        client.read_exact(&mut [0; 8]).unwrap();
        drop(client);
        running.stop();
    });
}

#[test]
fn a_question_that_is_forgotten_counts_as_failed() {
    on_each(|on| {
        let kit = Kit::new(|_, _| asker());
        let running = on.start(&kit, loops(1));
        let mut client = running.unix();
        client.write_all(b"mx.example").unwrap();
        kit.asked_count.wait_for(1);
        kit.asked.lock().unwrap().clear();
        let mut text = [0; 7];
        client.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"Failed\n");
        drop(client);
        running.stop();
    });
}

#[test]
fn an_answer_for_a_session_that_is_over_goes_nowhere() {
    on_each(|on| {
        let kit = Kit::new(|_, _| asker());
        let running = on.start(&kit, loops(1));
        let mut first = running.unix();
        first.write_all(b"slow.example").unwrap();
        kit.asked_count.wait_for(1);
        drop(first);
        while running.server.sessions() > 0 {
            thread::yield_now();
        }
        // The second session has the place of the first one.
        let mut second = running.unix();
        second.write_all(b"fast.example").unwrap();
        kit.asked_count.wait_for(2);
        let (fast, slow) = {
            let mut asked = kit.asked.lock().unwrap();
            (asked.pop().unwrap().1, asked.pop().unwrap().1)
        };
        slow(Answer::Failed);
        fast(Answer::Nothing);
        let mut text = [0; 8];
        second.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"Nothing\n");
        let address = running.server.handle();
        drop(second);
        running.stop();
        assert_eq!(address.sessions(), 0);
        assert_eq!(kit.notices.all(), []);
    });
}

#[test]
fn an_answer_after_the_server_has_stopped_is_harmless() {
    on_each(|on| {
        let kit = Kit::new(|_, _| asker());
        let running = on.start(&kit, loops(1));
        let mut client = running.unix();
        client.write_all(b"slow.example").unwrap();
        kit.asked_count.wait_for(1);
        let (_, reply) = kit.asked.lock().unwrap().pop().unwrap();
        running.server.stop_now();
        assert_eq!(running.server.join().cut, 1);
        reply(Answer::Nothing);
    });
}
