//! Three children that each take 300 ms at end of message: directly in Postfix, and behind the manager, in order and
//! independent of each other; with Postfix in front and without.
//!
//! What is printed is the time of a whole message in times of one child, so that the machine's speed does not matter.

use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use millstream_benches::chain::Chain;
use millstream_benches::figures::Spread;
use millstream_tests::child_side::ChildSide;
use millstream_tests::lane::{Lane, Lanes};
use millstream_tests::message::Message;
use millstream_tests::mta::{Entry, Mta};
use millstream_tests::mta_side::MtaSide;
use millstream_tests::postfix::Postfix;
use millstream_tests::require;
use millstream_tests::scratch::Scratch;
use millstream_tests::sink::Sink;
use millstream_tests::smtp::Smtp;
use millstream_tests::wire::{Address, Frame};

/// What each child takes.
const TAKES: Duration = Duration::from_millis(300);
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);
/// Messages of each kind.
const MESSAGES: usize = 5;

/// The manager with `children` slow children.
fn chain(folder: &Path, children: usize, independent: bool) -> Chain {
    let settings = format!("milter.independent = {independent}");
    Chain::start(folder, "", children, &settings, |_, socket| {
        let _ = ChildSide::scripted(socket, |frame| {
            if frame.letter == b'E' {
                thread::sleep(TAKES);
            }
            vec![Frame::new(b'c', [])]
        });
    })
}

/// Runs `message` several times.
fn several(name: &str, mut message: impl FnMut() -> bool) {
    let mut times = Vec::new();
    for _ in 0..MESSAGES {
        let began = Instant::now();
        if !message() {
            println!("{name:48} cannot be measured here");
            return;
        }
        times.push(began.elapsed().as_secs_f64() / TAKES.as_secs_f64());
    }
    if let Some(spread) = Spread::of(times) {
        println!("{name:48} {spread:>24}");
    }
}

fn alone() {
    for (children, independent) in [(1, false), (3, false), (3, true), (10, true)] {
        let name = format!("manager, {children} {}", if independent { "independent" } else { "in order" });
        let scratch = Scratch::new("order");
        let chain = chain(&scratch.join("chain"), children, independent);
        let address = Address::Unix(chain.socket().to_owned());
        let open = || {
            let mut mta = MtaSide::connect(&address, PATIENCE).ok()?;
            mta.negotiate().ok()?;
            mta.begin().ok()?;
            Some(mta)
        };
        let mut mta = open();
        several(&name, || mta.as_mut().is_some_and(|mta| mta.message().is_ok()));
    }
}

fn behind_postfix() {
    if !require::available("end_of_message", Postfix::NEEDS) {
        return;
    }
    let scratch = Scratch::new("order");
    let folder = scratch.join("lanes");
    let sink = Sink::start();
    let postfix = Postfix::start(&scratch.join("mta"), &folder, sink.address());
    let lanes = Lanes::new(&folder, postfix.lanes());
    let lane_of = |independent| {
        let lane = lanes.take();
        let chain = chain(lane.folder(), 3, independent);
        (lane, chain)
    };
    let (ordered, independent) = (lane_of(false), lane_of(true));
    let address = |lane: &Lane, entry| postfix.address(lane.number(), entry);
    for (name, server) in [
        ("Postfix, 3 directly", address(&ordered.0, Entry::Direct(3))),
        ("Postfix, manager, 3 in order", address(&ordered.0, Entry::Manager)),
        ("Postfix, manager, 3 independent", address(&independent.0, Entry::Manager)),
    ] {
        through(name, server);
    }
}

/// Sends messages over one SMTP connection.
fn through(name: &str, server: SocketAddr) {
    let mut smtp = Smtp::open(server);
    let message = Message::new("bench.test", "slow");
    several(name, || smtp.send(&message).last().is_positive());
    let _ = smtp.command("QUIT");
}

fn main() {
    println!("{:48} {:>24}", "one message through", "times of one child");
    alone();
    behind_postfix();
}
