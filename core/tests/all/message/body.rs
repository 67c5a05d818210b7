//! The body: shared chunks, replaced as a whole.

use bytes::Bytes;
use millstream_core::message::{Content, ViewId};
use millstream_core::wire::{CHUNK_SIZE, Edit};

use super::words::{add, chunk, chunks, commit, message, render, replace};

fn with_body(pieces: &[&[u8]]) -> Content {
    let mut content = message(&["A: 1"]);
    for piece in pieces {
        content.receive_body(chunk(piece));
    }
    content
}

/// The pieces of a body replacement, all else left out.
fn pieces(content: &Content) -> Vec<Bytes> {
    render(content)
        .into_iter()
        .filter_map(|edit| match edit {
            Edit::ReplaceBody(data) => Some(data),
            _ => None,
        })
        .collect()
}

#[test]
fn a_body_that_nobody_replaces_is_shown_and_not_rendered() {
    let mut content = with_body(&[b"one\r\n", b"", b"two\r\n"]);
    commit(&mut content, &[add("X", "x")]);
    assert_eq!(chunks(&content, ViewId::RECEIVED), [b"one\r\n", b"two\r\n"]);
    assert_eq!(chunks(&content, content.latest_view()), [b"one\r\n", b"two\r\n"]);
    assert!(content.shows_received_body(content.latest_view()));
    assert_eq!(content.body_bytes(), 10);
    assert!(pieces(&content).is_empty());
}

#[test]
fn pieces_of_a_replacement_are_one_body() {
    let mut content = with_body(&[b"old"]);
    commit(&mut content, &[replace(b"n"), replace(b""), replace(b"e"), add("X", "x"), replace(b"w")]);
    let view = content.latest_view();
    assert_eq!(chunks(&content, view), [b"new"]);
    assert_eq!(chunks(&content, ViewId::RECEIVED), [b"old"]);
    assert!(!content.shows_received_body(view));
    assert_eq!(render(&content), [add("X", "x"), replace(b"new")]);
}

#[test]
fn a_replacement_with_nothing_is_one_empty_piece() {
    let mut content = with_body(&[b"old"]);
    commit(&mut content, &[replace(b""), replace(b"")]);
    assert!(chunks(&content, content.latest_view()).is_empty());
    assert_eq!(render(&content), [replace(b"")]);
}

#[test]
fn large_replacements_are_cut_and_stay_in_order() {
    let sizes = [1, 100, 8191, 8192, 8193, 16_383, 16_384, 65_534, 65_535, 65_536, 200_000];
    for size in sizes {
        for around in [0, 1, 5000] {
            let data: Vec<u8> = (0..size + 2 * around).map(|number: usize| (number % 251) as u8).collect();
            let edits = [
                replace(&data[..around]),
                replace(&data[around..around + size]),
                replace(&data[around + size..]),
            ];
            let mut content = with_body(&[b"old"]);
            commit(&mut content, &edits);
            let view = content.latest_view();
            let shown = chunks(&content, view);
            assert!(shown.concat() == data, "{size} within {around}");
            assert!(shown.iter().all(|chunk| (1..=CHUNK_SIZE).contains(&chunk.len())));
            let rendered = pieces(&content);
            assert!(rendered.concat() == data);
            assert!(rendered.iter().all(|piece| (1..=CHUNK_SIZE).contains(&piece.len())));
            assert_eq!(content.body_bytes() + content.replaced_bytes(), data.len() + 3);
        }
    }
}

#[test]
fn many_small_pieces_are_joined() {
    let mut content = with_body(&[b"old"]);
    let edits: Vec<Edit> = (0..3000).map(|_| replace(&[b'x'; 100])).collect();
    commit(&mut content, &edits);
    let rendered = pieces(&content);
    assert_eq!(rendered.concat().len(), 300_000);
    assert!(rendered.len() <= 10, "{} pieces", rendered.len());
}

#[test]
fn the_last_replacement_wins() {
    let mut content = with_body(&[b"old"]);
    commit(&mut content, &[replace(b"first")]);
    let first = content.latest_view();
    commit(&mut content, &[add("X", "x")]);
    assert_eq!(chunks(&content, content.latest_view()), [b"first"]);
    commit(&mut content, &[replace(b"second")]);
    assert_eq!(chunks(&content, first), [b"first"]);
    assert_eq!(chunks(&content, content.latest_view()), [b"second"]);
    assert_eq!(pieces(&content), ["second"]);
}

#[test]
fn a_chunk_that_no_milter_takes_is_cut() {
    let data = vec![b'x'; 2 * CHUNK_SIZE + 1];
    let content = with_body(&[&data]);
    let lengths: Vec<usize> = chunks(&content, ViewId::RECEIVED).iter().map(Vec::len).collect();
    assert_eq!(lengths, [CHUNK_SIZE, CHUNK_SIZE, 1]);
}

#[test]
fn released_chunks_are_gone_and_the_others_keep_their_number() {
    let mut content = with_body(&[b"one", b"two", b"three"]);
    content.release_received_body(2);
    let held = |content: &Content, run| {
        content.chunks(ViewId::RECEIVED, run).map(|chunks| chunks.payloads().collect::<Vec<_>>().concat())
    };
    assert_eq!(held(&content, 1), None);
    assert_eq!(held(&content, 2), Some(b"three".to_vec()));
    assert_eq!(content.body_bytes(), 5);

    content.release_received_body(1);
    assert_eq!(content.body_bytes(), 5);

    content.release_received_body(usize::MAX);
    assert_eq!(content.body_bytes(), 0);
    content.receive_body(chunk(b"four"));
    assert_eq!(held(&content, 3), Some(b"four".to_vec()));
    assert_eq!(held(&content, 4), None);
}

#[test]
fn a_replacement_does_not_depend_on_what_is_released() {
    let mut content = with_body(&[b"one", b"two"]);
    content.release_received_body(2);
    commit(&mut content, &[replace(b"new")]);
    assert_eq!(chunks(&content, content.latest_view()), [b"new"]);
    assert_eq!(pieces(&content), ["new"]);
}

#[test]
fn everything_can_be_released() {
    let mut content = with_body(&[b"one"]);
    commit(&mut content, &[add("X", "x"), replace(b"new"), Edit::Quarantine(Bytes::from_static(b"held"))]);
    content.release_all();
    assert_eq!((content.body_bytes(), content.header_bytes(), content.received_headers()), (0, 0, 0));
    assert_eq!(content.latest_view(), ViewId::RECEIVED);
    assert_eq!(render(&content), []);
}
