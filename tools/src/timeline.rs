//! A session as lines: what was said, what was answered, and how long that took.

use std::collections::VecDeque;

use bytes::Bytes;
use millstream_core::wire::facts::reply_name;
use millstream_core::wire::{Command, Edit, Negotiation, Reply, Stage, first_string};

use crate::flags;
use crate::record::{Direction, Entry, shown_letter};

/// As many bytes of a text are shown.
const SHOWN: usize = 60;

/// A session that goes on.
#[derive(Debug, Default)]
pub struct Timeline {
    negotiated: Negotiation,
    /// Commands whose answers are owed: what they were, and when they came.
    owed: VecDeque<(Stage, String, f64)>,
    /// Commands that are not answered, as long as the same comes again.
    run: Option<(Stage, String, usize, f64)>,
    edits: Vec<String>,
    /// How long the milter was waited for.
    waited: f64,
    /// The longest of it, and for what.
    longest: Option<(f64, Stage)>,
    last: f64,
}

impl Timeline {
    /// A frame has passed. Returns the lines that are complete with it.
    pub fn pass(&mut self, entry: &Entry) -> Vec<String> {
        self.last = entry.seconds;
        let mut lines = Vec::new();
        match entry.direction {
            Direction::ToMilter => self.command(entry, &mut lines),
            Direction::FromMilter => self.answer(entry, &mut lines),
        }
        lines
    }

    /// The session is over.
    pub fn end(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        self.end_run(&mut lines);
        for (_, command, begin) in std::mem::take(&mut self.owed) {
            lines.push(line(begin, &command, "NO ANSWER", Some(self.last - begin)));
        }
        let longest = self.longest.map_or_else(String::new, |(seconds, stage)| {
            format!(", {} of it for {stage}", milliseconds(seconds))
        });
        lines.push(format!(
            "{:>10.6}  over: the milter was waited for {}{longest}",
            self.last,
            milliseconds(self.waited)
        ));
        lines
    }

    fn command(&mut self, entry: &Entry, lines: &mut Vec<String>) {
        let Ok(command) = Command::decode(entry.letter, Bytes::copy_from_slice(&entry.payload)) else {
            self.end_run(lines);
            lines.push(line(
                entry.seconds,
                &format!("what is no command: {}", shown_letter(entry.letter)),
                "",
                None,
            ));
            return;
        };
        if matches!(command, Command::Macros { .. }) {
            return;
        }
        let text = shown_command(&command);
        let Some(stage) = command.stage() else {
            self.end_run(lines);
            lines.push(line(entry.seconds, &text, "", None));
            return;
        };
        if stage == Stage::Negotiate || self.negotiated.replies_to(stage) {
            self.end_run(lines);
            self.owed.push_back((stage, text, entry.seconds));
            return;
        }
        match &mut self.run {
            Some((running, _, count, _)) if *running == stage => *count += 1,
            _ => {
                self.end_run(lines);
                self.run = Some((stage, text, 1, entry.seconds));
            }
        }
    }

    /// The same command came for the last time.
    fn end_run(&mut self, lines: &mut Vec<String>) {
        let Some((stage, text, count, begin)) = self.run.take() else { return };
        let text = if count == 1 { text } else { format!("{stage} {count} times") };
        lines.push(line(begin, &text, "(no answer is owed)", None));
    }

    fn answer(&mut self, entry: &Entry, lines: &mut Vec<String>) {
        self.end_run(lines);
        let reply = match Reply::decode(entry.letter, Bytes::copy_from_slice(&entry.payload)) {
            Ok(reply) => reply,
            Err(error) => {
                lines.push(line(entry.seconds, "", &format!("what is no answer: {error}"), None));
                return;
            }
        };
        match reply {
            Reply::Progress => return,
            Reply::Edit(edit) => {
                self.edits.push(shown_edit(&edit));
                return;
            }
            Reply::Negotiate(_) | Reply::Final(_) => {}
        }
        let Some((stage, command, begin)) = self.owed.pop_front() else {
            lines.push(line(entry.seconds, "", "AN ANSWER THAT IS NOT OWED", None));
            return;
        };
        let took = entry.seconds - begin;
        self.waited += took;
        if self.longest.is_none_or(|(longest, _)| took > longest) {
            self.longest = Some((took, stage));
        }
        let answer = match reply {
            Reply::Negotiate(negotiated) => {
                self.negotiated = negotiated;
                shown_negotiation(&self.negotiated)
            }
            _ if entry.payload.is_empty() => reply_name(entry.letter).unwrap_or("unknown").to_owned(),
            _ => format!(
                "{} {}",
                reply_name(entry.letter).unwrap_or("unknown"),
                shown(first_string(&entry.payload))
            ),
        };
        lines.push(line(begin, &command, &answer, Some(took)));
        for edit in self.edits.drain(..) {
            lines.push(format!("{:>12}{edit}", ""));
        }
    }
}

/// When, what, what was answered, and how long that took.
fn line(begin: f64, command: &str, answer: &str, took: Option<f64>) -> String {
    let took = took.map_or_else(String::new, milliseconds);
    format!("{begin:>10.6}  {took:>12}  {command:<48} {answer}").trim_end().to_owned()
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.3} ms", seconds * 1000.0)
}

fn shown_negotiation(negotiation: &Negotiation) -> String {
    let of = |names: Vec<&str>| if names.is_empty() { "nothing".to_owned() } else { names.join("|") };
    format!(
        "version {}, may {}, {}",
        negotiation.version,
        of(flags::actions(negotiation.actions)),
        of(flags::steps(negotiation.protocol))
    )
}

fn shown_command(command: &Command) -> String {
    let stage = command.stage().map_or("", Stage::name);
    match command {
        Command::Negotiate(offer) => format!("{stage} version {}", offer.version),
        Command::Connect(info) => format!("{stage} {} {}", shown(&info.host), shown_address(&info.address)),
        Command::Helo(text) | Command::Unknown(text) => format!("{stage} {}", shown(text)),
        Command::Mail(strings) | Command::Rcpt(strings) => {
            format!("{stage} {}", shown(first_string(strings)))
        }
        Command::Header { name, value } => format!("{stage} {}: {}", shown(name), shown(value)),
        Command::Body(piece) | Command::EndOfMessage(piece) if !piece.is_empty() => {
            format!("{stage} {} bytes", piece.len())
        }
        Command::Abort => "abort".to_owned(),
        Command::Quit => "quit".to_owned(),
        Command::QuitNc => "quit, and the next session".to_owned(),
        Command::Macros { .. }
        | Command::Data
        | Command::EndOfHeaders
        | Command::Body(_)
        | Command::EndOfMessage(_) => stage.to_owned(),
    }
}

fn shown_address(address: &millstream_core::wire::ClientAddress) -> String {
    use millstream_core::wire::ClientAddress::{Ip, OddIp, Unix, Unknown};
    match address {
        Ip(address, port) => format!("[{address}]:{port}"),
        OddIp { text, .. } => shown(text),
        Unix(path) => format!("unix:{}", shown(path)),
        Unknown => "unknown".to_owned(),
    }
}

fn shown_edit(edit: &Edit) -> String {
    match edit {
        Edit::AddRecipient(recipient) | Edit::AddRecipientPar(recipient, _) => {
            format!("+ recipient {}", shown(recipient))
        }
        Edit::DeleteRecipient(recipient) => format!("- recipient {}", shown(recipient)),
        Edit::ReplaceBody(piece) => format!("+ body, {} bytes", piece.len()),
        Edit::AddHeader(name, value) => format!("+ {}: {}", shown(name), shown(value)),
        Edit::InsertHeader(index, name, value) => {
            format!("+ {}: {}, at {index}", shown(name), shown(value))
        }
        Edit::ChangeHeader(number, name, value) if value.is_empty() => {
            format!("- {}, number {number}", shown(name))
        }
        Edit::ChangeHeader(number, name, value) => {
            format!("= {}: {}, number {number}", shown(name), shown(value))
        }
        Edit::ChangeFrom(sender, _) => format!("= sender {}", shown(sender)),
        Edit::Quarantine(reason) => format!("= quarantine: {}", shown(reason)),
    }
}

/// A text for a terminal: in one line, without what a terminal would obey, and not too long.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut shown: String = text.trim_start().escape_debug().take(SHOWN).collect();
    if text.chars().count() > SHOWN {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record;

    fn lines(record: &str) -> Vec<String> {
        let mut timeline = Timeline::default();
        let mut lines: Vec<String> =
            record::read(record).unwrap().iter().flat_map(|entry| timeline.pass(entry)).collect();
        lines.extend(timeline.end());
        lines
    }

    #[test]
    fn each_command_stands_with_its_answer_and_how_long_it_took() {
        let record = "0 > O \"\\0\\0\\0\\x06\\0\\0\\0\\x01\\0\\0\\0\\x80\"\n\
                      0.001 < O \"\\0\\0\\0\\x06\\0\\0\\0\\x01\\0\\0\\0\\x80\"\n\
                      0.002 > D \"Ha\\0b\\0\"\n0.002 > H \"helo.example\\0\"\n0.0025 < c \"\"\n\
                      0.003 > M \"<a@b>\\0SIZE=1\\0\"\n0.004 < c \"\"\n\
                      0.005 > L \"A\\0 1\\0\"\n0.005 > L \"B\\0 2\\0\"\n0.006 > E \"\"\n0.007 < p \"\"\n\
                      0.107 < h \"X-Spam\\0 YES\\0\"\n0.107 < y \"550 5.7.1 no\\0\"\n0.108 > Q \"\"\n";
        assert_eq!(
            lines(record),
            [
                "  0.000000      1.000 ms  negotiate version 6                              version 6, may add-headers, no-reply-header",
                "  0.002000      0.500 ms  helo helo.example                                continue",
                "  0.003000      1.000 ms  envelope-from <a@b>                              continue",
                "  0.005000                header 2 times                                   (no answer is owed)",
                "  0.006000    101.000 ms  end-of-message                                   reply-code 550 5.7.1 no",
                "            + X-Spam: YES",
                "  0.108000                quit",
                "  0.108000  over: the milter was waited for 103.500 ms, 101.000 ms of it for end-of-message",
            ]
        );
    }

    #[test]
    fn what_is_missing_or_too_much_is_seen() {
        let lines =
            lines("0 > H \"a\\0\"\n0.5 < c \"\"\n0.6 < c \"\"\n0.7 > C \"h\\0U\"\n0.9 > H \"\\x1b[2J\\0\"\n");
        assert!(lines[1].ends_with("AN ANSWER THAT IS NOT OWED"), "{lines:?}");
        assert!(lines[2].contains("connect h unknown") && lines[2].ends_with("NO ANSWER"), "{lines:?}");
        assert!(lines[3].contains("helo \\u{1b}[2J"), "{lines:?}");
    }
}
