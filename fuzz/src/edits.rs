//! Edits of several milters to one message: whatever they ask for, our edits at the end come to the same delivered mail
//! as the milters directly in Postfix. The model is that of `core/tests/all/message_properties`; bytes are read as a script.

use bytes::Bytes;
use millstream_core::message::{Content, ViewId};
use millstream_core::wire::{Actions, Chunks, Edit, Frame};

#[path = "../../core/tests/all/message_properties/postfix.rs"]
mod postfix;

use super::script::Script;
use postfix::Postfix;

impl Script<'_> {
    fn name(&mut self) -> Bytes {
        let names = ["A", "a", "B", "Received", "RECEIVED", "X-New", "x-new", "Ab"];
        Bytes::from(names[usize::from(self.byte()) % names.len()])
    }

    /// Anything without NUL, mostly short.
    fn value(&mut self) -> Bytes {
        let length = usize::from(self.byte() % 6);
        self.take(length).into_iter().filter(|byte| *byte != 0).collect()
    }

    fn index(&mut self) -> u32 {
        match self.byte() {
            255 => 0x7fff_ffff,
            254 => 1000,
            byte => u32::from(byte % 10),
        }
    }

    fn edit(&mut self) -> Edit {
        match self.byte() % 16 {
            0 | 1 => Edit::AddHeader(self.name(), self.value()),
            2..=4 => Edit::InsertHeader(self.index(), self.name(), self.value()),
            5..=7 => Edit::ChangeHeader(self.index(), self.name(), self.value()),
            8 | 9 => Edit::ChangeHeader(self.index(), self.name(), Bytes::new()),
            10 => Edit::ReplaceBody(self.value()),
            11 => Edit::AddRecipient(self.value()),
            12 => Edit::AddRecipientPar(self.value(), Some(self.value()).filter(|value| !value.is_empty())),
            13 => Edit::DeleteRecipient(self.value()),
            14 => Edit::ChangeFrom(self.value(), None),
            _ => Edit::Quarantine(self.value()),
        }
    }
}

fn shown(content: &Content, view: ViewId, leading_space: bool) -> Vec<(Vec<u8>, Vec<u8>)> {
    (0..)
        .map_while(|index| content.header(view, index))
        .map(|(name, value)| (name.to_vec(), content.to_child_value(value, leading_space).to_vec()))
        .collect()
}

fn body(content: &Content, view: ViewId) -> Vec<u8> {
    let runs = (0..).map_while(|index| content.chunks(view, index));
    runs.flat_map(Chunks::payloads).flatten().collect()
}

/// Plays a script.
pub(crate) fn edits(data: &[u8]) {
    let mut script = Script::new(&data[..data.len().min(2048)]);
    let head = script.byte();
    let spaces = head & 1 != 0;
    let received: Vec<(Bytes, Bytes)> = (0..head >> 4).map(|_| (script.name(), script.value())).collect();
    let chunks: Vec<Bytes> = (0..(head >> 1) % 3).map(|_| script.value()).collect();
    let fresh = Postfix::new(&received, &chunks);
    let mut content = Content::new(spaces);
    for (name, value) in fresh.headers_for(spaces) {
        content.receive_header(&name, &value);
    }
    for chunk in &chunks {
        content.receive_body(Frame::new(b'B', chunk.clone()));
    }

    let mut direct = fresh.clone();
    for _ in 0..3 {
        let leading_space = spaces && script.byte() & 1 != 0;
        let actions = if script.byte() & 3 != 0 { Actions::ALL } else { Actions(u32::from(script.byte())) };
        let edits: Vec<Edit> = (0..script.byte() % 24).map(|_| script.edit()).collect();
        let view = content.latest_view();
        assert_eq!(shown(&content, view, leading_space), direct.headers_for(leading_space));
        assert_eq!(body(&content, view), direct.body());
        let granted: Vec<Edit> =
            edits.iter().filter(|edit| postfix::is_granted(edit, actions)).cloned().collect();
        direct.apply(&granted, leading_space);
        assert_eq!(content.commit(edits, actions, leading_space), granted.len());
    }
    let mut delivered = fresh;
    let rendered = content.render(Actions::ALL);
    delivered.apply(&rendered, spaces);
    assert_eq!(delivered, direct, "rendered: {rendered:?}");
}
