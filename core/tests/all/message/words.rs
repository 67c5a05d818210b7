//! Edits and messages in a few words.

use bytes::Bytes;
use millstream_core::message::{Content, ViewId};
use millstream_core::wire::{Actions, Chunks, Edit, Frame};

pub(crate) fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// `h`
pub(crate) fn add(name: &str, value: &str) -> Edit {
    Edit::AddHeader(text(name), text(value))
}

/// `i`
pub(crate) fn insert(index: u32, name: &str, value: &str) -> Edit {
    Edit::InsertHeader(index, text(name), text(value))
}

/// `m`
pub(crate) fn change(occurrence: u32, name: &str, value: &str) -> Edit {
    Edit::ChangeHeader(occurrence, text(name), text(value))
}

/// `m` without a value
pub(crate) fn delete(occurrence: u32, name: &str) -> Edit {
    change(occurrence, name, "")
}

/// `b`
pub(crate) fn replace(data: &[u8]) -> Edit {
    Edit::ReplaceBody(Bytes::copy_from_slice(data))
}

/// A message with these headers, `name: value`.
pub(crate) fn message(headers: &[&str]) -> Content {
    let mut content = Content::new(false);
    for header in headers {
        let (name, value) = header.split_once(": ").unwrap();
        content.receive_header(name.as_bytes(), value.as_bytes());
    }
    content
}

pub(crate) fn chunk(data: &[u8]) -> Frame {
    Frame::new(b'B', Bytes::copy_from_slice(data))
}

/// Applies the edits of a child that may do everything. Returns how many were applied.
pub(crate) fn commit(content: &mut Content, edits: &[Edit]) -> usize {
    content.commit(edits.to_vec(), Actions::ALL, false)
}

pub(crate) fn render(content: &Content) -> Vec<Edit> {
    content.render(Actions::ALL)
}

/// The headers of a view as `name: value`.
pub(crate) fn headers(content: &Content, view: ViewId) -> Vec<String> {
    let header = |index| {
        let (name, value) = content.header(view, index)?;
        Some(format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value)))
    };
    (0..).map_while(header).collect()
}

/// The headers that a child that begins now is shown.
pub(crate) fn latest(content: &Content) -> Vec<String> {
    headers(content, content.latest_view())
}

/// The chunks of a view.
pub(crate) fn chunks(content: &Content, view: ViewId) -> Vec<Vec<u8>> {
    let runs = (0..).map_while(|index| content.chunks(view, index));
    runs.flat_map(Chunks::payloads).map(|payload| payload.to_vec()).collect()
}
