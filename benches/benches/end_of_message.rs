//! Three children that each take 300 ms at end of message: one after another, and independent of each other.
//!
//! What is printed is the time of the answer in times of one child, so that the machine's speed does not matter.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use millstream_tests::child_side::ChildSide;
use millstream_tests::manager::Manager;
use millstream_tests::mta_side::MtaSide;
use millstream_tests::scratch::Scratch;
use millstream_tests::wire::{Address, Frame};

/// What each child takes.
const TAKES: Duration = Duration::from_millis(300);
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a whole message takes with `children` slow children.
fn measure(children: usize, independent: bool) -> Option<Duration> {
    let scratch = Scratch::new("order");
    let folder = scratch.join("socket");
    fs::create_dir_all(&folder).ok()?;
    millstream_tests::manager::give_to_manager(&folder);
    let socket = folder.join("manager.sock");
    let mut configuration = format!("manager.connection_spec = \"unix:{}\"\n", socket.display());
    let mut kept = Vec::new();
    for index in 0..children {
        let path = scratch.join(&format!("child{index}.sock"));
        kept.push(ChildSide::scripted(&path, |frame| {
            if frame.letter == b'E' {
                thread::sleep(TAKES);
            }
            vec![Frame::new(b'c', [])]
        }));
        configuration += &format!(
            "define_milter(\"child{index}\") do |milter|\n  milter.connection_spec = \"unix:{}\"\n  \
             milter.independent = {independent}\nend\n",
            path.display()
        );
    }
    let mut manager = Manager::start(&scratch.join("manager"), &configuration);
    manager.process().wait_for_socket(&socket);
    let mut mta = MtaSide::connect(&Address::Unix(socket), PATIENCE).ok()?;
    mta.negotiate().ok()?;
    mta.begin().ok()?;
    let began = Instant::now();
    mta.message().ok()?;
    Some(began.elapsed())
}

fn main() {
    println!("{:32} {:>24}", "children", "times of one child");
    for (children, independent) in [(1, false), (3, false), (3, true), (10, true)] {
        let name = format!("{children}, {}", if independent { "independent" } else { "in order" });
        match measure(children, independent) {
            Some(time) => println!("{name:32} {:>24.2}", time.as_secs_f64() / TAKES.as_secs_f64()),
            None => println!("{name:32} cannot be measured here"),
        }
    }
}
