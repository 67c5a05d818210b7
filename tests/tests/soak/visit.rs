//! A session as its plan says.

use std::io;

use millstream_tests::bench::connect;
use millstream_tests::mta_side::MtaSide;
use millstream_tests::until::PATIENCE;
use millstream_tests::wire::{Address, Frame};

use crate::plan::{Break, COMMANDS, Plan};

/// How a session has ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// With this answer: the first that was not `c`, or the verdict on the last message.
    Answered(u8),
    /// The MTA has broken it off, before anything but `c` was answered.
    BrokenOff,
    /// The manager has closed the connection, or does not answer.
    Lost(io::Error),
}

pub(crate) fn run(plan: &Plan, address: &Address) -> Outcome {
    match attempt(plan, address) {
        Ok(outcome) => outcome,
        Err(error) => Outcome::Lost(error),
    }
}

fn attempt(plan: &Plan, address: &Address) -> io::Result<Outcome> {
    let mut mta = MtaSide::connect(address, PATIENCE)?;
    mta.negotiate()?;
    let body = vec![b'x'; plan.body];
    let mut commands =
        COMMANDS.map(|letter| (letter, frames_of(letter, plan, &body))).into_iter().enumerate();
    let mut aborted = false;
    let mut messages = plan.messages;
    while let Some((number, (letter, frames))) = commands.next() {
        if let Some((at, how)) = plan.broken
            && at == number
            && !aborted
        {
            match how {
                Break::Close => return Ok(Outcome::BrokenOff),
                Break::CloseUnread => {
                    // Whatever becomes of it.
                    let _ = mta.send(&frames[0]);
                    return Ok(Outcome::BrokenOff);
                }
                Break::Half => {
                    let bytes = frames[0].bytes();
                    let _ = mta.raw(&bytes[..bytes.len() / 2]);
                    return Ok(Outcome::BrokenOff);
                }
                Break::Rave => {
                    let _ = mta.raw(&[0xFF; 40]);
                    mta.wait_for_close()?;
                    return Ok(Outcome::BrokenOff);
                }
                Break::Abort => {
                    aborted = true;
                    if number > 2 {
                        mta.send(&Frame::new(b'A', []))?;
                        commands = again(plan, &body);
                        continue;
                    }
                }
            }
        }
        let answer = if letter == b'E' {
            mta.end_of_message()?.verdict.letter
        } else {
            let mut answer = b'c';
            for frame in &frames {
                answer = mta.command(frame)?.letter;
                if answer != b'c' {
                    break;
                }
            }
            answer
        };
        let is_last = letter == b'E' && messages == 1;
        // Some answers end the session for an MTA, the others what the plan was about.
        if answer != b'c' && answer != b's' || is_last {
            mta.quit()?;
            return Ok(Outcome::Answered(answer));
        }
        if letter == b'E' {
            messages -= 1;
            commands = again(plan, &body);
        }
    }
    unreachable!("a message ends with its verdict")
}

type Commands = std::iter::Enumerate<std::array::IntoIter<(u8, Vec<Frame>), 9>>;

/// The next message of the session.
fn again(plan: &Plan, body: &[u8]) -> Commands {
    let mut commands = COMMANDS.map(|letter| (letter, frames_of(letter, plan, body))).into_iter().enumerate();
    // CONNECT and HELO are said.
    let _ = commands.nth(1);
    commands
}

fn frames_of(letter: u8, plan: &Plan, body: &[u8]) -> Vec<Frame> {
    match letter {
        b'C' => vec![connect(&plan.client())],
        b'H' => vec![Frame::strings(b'H', ["client.example.org"])],
        b'M' => vec![Frame::strings(b'M', ["<sender@example.org>"])],
        b'R' => vec![Frame::strings(b'R', ["<user@example.com>"])],
        b'L' => ["From", "To", "Subject"].map(|name| Frame::strings(b'L', [name, "soak"])).into(),
        b'B' => body.chunks(65_535).map(|chunk| Frame::new(b'B', chunk)).collect(),
        letter => vec![Frame::new(letter, [])],
    }
}
