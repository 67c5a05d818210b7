//! A session of a real Postfix is recorded by `milter-trace`, and played again by `milter-test-server`.

use std::fs;
use std::process::Command;

use millstream_tests::child_side::ChildSide;
use millstream_tests::children::Plan;
use millstream_tests::message::Message;
use millstream_tests::ports;
use millstream_tests::post::{Chain, Route};
use millstream_tests::process::Process;
use millstream_tests::programs;
use millstream_tests::scratch::Scratch;
use millstream_tests::smtp::Smtp;
use millstream_tests::until::PATIENCE;

#[test]
fn the_same_is_answered_again() {
    let port = ports::free(1);
    let mut manager = String::new();
    let alone = Chain::start_alone(Route::Managed, "", [Plan::absent("agrees")], |site| {
        manager.clone_from(&site.milters);
        format!("{} inet n - n - - smtpd -o smtpd_milters=inet:127.0.0.1:{port}\n", site.ports[0])
    });
    let Some((chain, site)) = alone else { return };
    let _agrees = ChildSide::agreeing(chain.child("agrees").socket());
    let scratch = Scratch::new("recorded");
    let mut trace = Command::new(programs::ours("milter-trace"));
    trace.args(["-s", &format!("inet:{port}@[127.0.0.1]"), "-m", &manager, "--sessions", "1", "--record"]);
    let mut trace = Process::start("milter-trace", trace.arg(scratch.path()), &scratch.join("output"));
    millstream_tests::until::until_true("it listens", || trace.output().contains("listening at"));

    let mut smtp = Smtp::open(site.ports[0]);
    for subject in ["one", "two"] {
        assert_eq!(smtp.send(&Message::new(chain.domain(), subject)).last().code, 250);
    }
    assert_eq!(smtp.command("QUIT").code, 221);

    assert!(trace.wait(PATIENCE).success());
    let record = scratch.join("session-1.txt");
    let text = fs::read_to_string(&record).expect("a session was recorded");
    assert_eq!(text.matches(" > E ").count(), 2, "{text}");
    let mut replay = Command::new(programs::ours("milter-test-server"));
    let output = replay.args(["-s", &manager, "--replay"]).arg(&record).output().expect("it can be run");
    let replayed = String::from_utf8_lossy(&output.stdout);
    assert!(replayed.ends_with(" 0 of them other ones\n") && output.status.success(), "{replayed}");
    assert_eq!(chain.deliveries(2).len(), 2, "a milter delivers nothing");
}
