//! What the session asks for, done as a runtime and a pool would do it.

use bytes::Bytes;
use millstream_core::event::{Event, LimitName, MessageEnd};
use millstream_core::machine::{
    Answer, Input, IoError, IoKind, Machine, Output, Peer, QueryId, Question, SpillId,
};
use millstream_core::time::Instant;

use super::line::{Line, index_of, name};
use super::{SECOND, World};
use crate::peers::mta::MS;
use crate::plan::{Effect, Reads, Said};

impl<M: Machine> World<M> {
    /// The only door into the session; then everything that it asks for is done.
    pub(super) fn handle(&mut self, input: Input) {
        if self.finished {
            if matches!(input, Input::Wrote { .. }) {
                self.machine.handle(Instant::from_nanos(self.now), input);
            }
            return;
        }
        let state = self.state();
        let gone = match &input {
            Input::SpillAppended { file, .. }
            | Input::SpillRead { file, .. }
            | Input::SpillFailed { file, .. } => !self.spills.contains_key(&file.0),
            _ => false,
        };
        match gone {
            true => self.coverage.note_late(state),
            false => self.coverage.note(state, &input),
        }
        let written = match input {
            Input::Wrote { peer, n } => Some((peer, n, self.all_pending())),
            _ => None,
        };
        self.machine.handle(Instant::from_nanos(self.now), input);
        if self.machine.added_nothing() {
            self.check_added_nothing(written);
        }
        for round in 0.. {
            if round > 100_000 {
                return self.fail("poll_output never waits".into());
            }
            match self.machine.poll_output() {
                Output::Wait(at) => {
                    self.wait = at.map(Instant::as_nanos);
                    break;
                }
                Output::Finished => {
                    self.finish();
                    break;
                }
                output => self.output(output),
            }
            if self.error.is_some() {
                return;
            }
        }
        // That is answered before anything else happens.
        for input in std::mem::take(&mut self.recalled) {
            self.handle(input);
        }
        for at in 1..self.lines.len() {
            let (peer, open) =
                (self.lines[at].peer, !self.lines[at].over && self.lines[at].acquiring.is_none());
            self.lines[at].unwritten = open && self.has_pending(peer);
            if open && !self.lines[at].unwritten {
                self.lines[at].watch.idle();
            }
        }
    }

    pub(super) fn output(&mut self, output: Output) {
        match output {
            Output::Acquire { peer, route, offer, fresh } => self.acquire(peer, &route, &offer, fresh),
            Output::Recall { peer, offer, .. } => self.recall(peer, &offer),
            Output::Learned { peer, negotiated } => drop(self.memory.insert(index_of(peer), *negotiated)),
            Output::Unwell { peer, .. } => drop(self.memory.remove(&index_of(peer))),
            Output::Release { peer, negotiated } => self.release(peer, &negotiated),
            Output::Close { peer, flush_by } => self.close(peer, flush_by.map(Instant::as_nanos)),
            Output::LookUp { query, question } => self.look_up(query, &question),
            Output::SpillAppend { file, data } => {
                let stored = self.spills.entry(file.0).or_default();
                data.iter().for_each(|bytes| stored.extend_from_slice(bytes));
                let length = stored.len() as u64;
                self.file_does(file, Input::SpillAppended { file, length });
            }
            Output::SpillRead { file, offset, length } => {
                let stored = &self.spills[&file.0];
                let data = Bytes::copy_from_slice(&stored[offset as usize..offset as usize + length]);
                self.file_does(file, Input::SpillRead { file, offset, data });
            }
            Output::SpillDrop { file } => drop(self.spills.remove(&file.0)),
            Output::Event(event) => match event {
                Event::Message(report) => {
                    self.note(b"", || format!("S: message {:?}", report.end));
                    self.message_ended(&report.end);
                }
                Event::Negotiated { .. } => {}
                event => {
                    self.note(b"", || format!("S: {event:?}"));
                    if let Event::ChildFailed { child, failure, .. } = event {
                        self.failed(usize::from(child.0), &failure);
                    }
                }
            },
            Output::Wait(_) | Output::Finished => {}
        }
    }

    /// The session says how a message ended.
    fn message_ended(&mut self, end: &MessageEnd) {
        let body = [LimitName::BodyBytes, LimitName::SpillBytes, LimitName::SpillFile];
        let shared = [LimitName::TotalBodyBytes, LimitName::TotalSpillBytes];
        if shared.map(MessageEnd::OverLimit).contains(end) {
            self.floods.extend(self.mta_at);
            if self.reserve.refused.load(std::sync::atomic::Ordering::Relaxed) == 0 {
                self.fail("there was room enough".into());
            }
        }
        if body.map(MessageEnd::OverLimit).contains(end) {
            self.floods.extend(self.mta_at);
            let most = self.scenario.bounds.body_bytes;
            let is_file = *end == MessageEnd::OverLimit(LimitName::SpillFile);
            if !is_file && self.body().is_some_and(|body| body <= most.unwrap_or(u64::MAX)) {
                self.fail("the body was within the limits".into());
            }
        }
        let broken = std::mem::take(&mut self.file_broke);
        if *end == MessageEnd::OverLimit(LimitName::SpillFile) && !broken {
            self.fail("no file has failed".into());
        }
        if broken && matches!(end, MessageEnd::Answered(verdict) if verdict.delivers()) {
            self.fail("delivered although its file has failed".into());
        }
    }

    /// How many bytes of body have come in the message whose end has come just now.
    fn body(&self) -> Option<u64> {
        let sent = &self.mta.exchanges[..self.mta_at.map_or(0, |at| at + 1)];
        let message = sent.iter().rev().take_while(|it| it.letter != b'M');
        let sizes = message.filter(|it| b"BE".contains(&it.letter)).map(|it| it.payload.len() as u64);
        (sent.last()?.letter == b'E').then(|| sizes.sum())
    }

    /// A file is asked for something. Files are slow, and may break; a broken one does nothing any more.
    fn file_does(&mut self, file: SpillId, done: Input) {
        let broken = self.broken_files.contains(&file.0) || self.rng.chance(self.scenario.files_break);
        if broken {
            self.broken_files.push(file.0);
        }
        let error = IoError { kind: IoKind::NoSpace, code: 28 };
        let input = if broken { Input::SpillFailed { file, error } } else { done };
        let slow = if self.scenario.files_slow && self.rng.chance(50) {
            {
                let within = *self.rng.pick(&[20, 100, 1500]);
                self.rng.below(within) * MS
            }
        } else {
            0
        };
        let after = self.spilled.back().map_or(0, |(due, _)| *due);
        self.spilled.push_back((after.max(self.now + slow), input));
    }

    pub(super) fn look_up(&mut self, query: QueryId, question: &Question) {
        let Question::Addresses(name) = question else {
            return self.fail(format!("a look-up that nothing needs: {question:?}"));
        };
        let (child, condition) = name.split_once('.').unwrap();
        let [child, condition] = [child, condition].map(|text| text.parse::<usize>().unwrap());
        self.note(b"", || format!("S: asks for c{child}"));
        let letter = self.scenario.children[child].conditions[condition].letter;
        let Effect::LookUp { said, after } = self.scenario.children[child].conditions[condition].effect
        else {
            return self.fail("a look-up of a condition that needs none".into());
        };
        if b"CHMRTU".contains(&letter) {
            let answered = if said == Said::Never { u64::MAX } else { self.now + after * MS };
            let over = self.now + super::clock::budget(&self.scenario.bounds, letter, self.postfix);
            self.asked.push(answered.min(over));
        }
        let answer = match said {
            Said::Found => Answer::Found(vec!["127.0.0.2".into()]),
            Said::Nothing => Answer::Nothing,
            Said::Failed => Answer::Failed,
            Said::Never => return,
        };
        self.questions.push((self.now + after * MS, query, answer));
    }

    pub(super) fn close(&mut self, peer: Peer, flush_by: Option<u64>) {
        let how = if flush_by.is_some() { ", flushed" } else { "" };
        self.note(b"", || format!("S: close {}{how}", name(peer)));
        let open = |line: &&mut Line| line.peer == peer && !line.over && line.flush_by.is_none();
        let Some(line) = self.lines.iter_mut().find(open) else {
            if peer == Peer::MTA {
                return;
            }
            return self.fail(format!("{} is closed, and closed again", name(peer)));
        };
        if line.acquiring.take().is_some() || flush_by.is_none() {
            (line.over, line.shut) = (true, true);
            line.cut = line.unwritten;
        } else {
            line.flush_by = flush_by;
        }
    }

    pub(super) fn finish(&mut self) {
        self.note(b"", || "S: finished".into());
        self.finished = true;
        for at in 0..self.lines.len() {
            let line = &mut self.lines[at];
            if line.over || line.flush_by.is_some() {
                continue;
            }
            line.over = true;
            if at > 0 {
                let who = name(line.peer);
                self.fail(format!("finished with {who} open"));
            }
        }
        let bounds = &self.scenario.bounds;
        let patience = match () {
            () if !self.mta_watch.has_asked() => bounds.mta_greeting.unwrap_or(300),
            () if self.scenario.mta.reads == Reads::Never => {
                bounds.mta_writing.unwrap_or(300).min(bounds.mta_idle.unwrap_or(7210))
            }
            () if self.scenario.mta.reads != Reads::Usual || self.scenario.pauses => {
                bounds.mta_writing.unwrap_or(300).min(bounds.mta_idle.unwrap_or(7210))
            }
            () => bounds.mta_idle.unwrap_or(7210),
        };
        let gone = self.mta.raving || self.mta.quit || self.mta.closed || self.stopped;
        if !gone && self.now < self.mta_moved + patience * SECOND {
            self.fail("finished although the MTA is still there".into());
        }
    }
}
