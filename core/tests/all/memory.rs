//! What conditions note, for how long, and what the log is told.

use bytes::Bytes;
use millstream_core::policy::Memory;
use millstream_core::wire::Stage;

fn found(memory: &Memory, key: &'static [u8]) -> Option<&'static str> {
    memory.find(key).map(|value| if value == "session" { "session" } else { "message" })
}

fn note(memory: &mut Memory, stage: Stage, key: &'static [u8], value: Option<&'static str>) {
    memory.note(stage, Bytes::from_static(key), value.map(|value| Bytes::from_static(value.as_bytes())));
}

#[test]
fn what_is_noted_for_a_message_hides_the_sessions_and_goes_with_the_message() {
    let mut memory = Memory::default();
    note(&mut memory, Stage::Connect, b"a", Some("session"));
    note(&mut memory, Stage::Helo, b"b", Some("session"));
    note(&mut memory, Stage::Mail, b"a", Some("message"));
    note(&mut memory, Stage::Data, b"b", None);
    note(&mut memory, Stage::Body, b"c", Some("message"));
    assert_eq!(found(&memory, b"a"), Some("message"));
    assert_eq!(found(&memory, b"b"), None);
    let keys: Vec<_> = memory.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(keys, [&b"a"[..], b"c"]);
    assert_eq!(
        memory.bytes(),
        "asession".len() + "bsession".len() + "amessage".len() + "b".len() + "cmessage".len()
    );

    memory.begin_message();
    assert_eq!((found(&memory, b"a"), found(&memory, b"b")), (Some("session"), Some("session")));
    assert_eq!(found(&memory, b"c"), None);
}

#[test]
fn what_is_removed_at_connect_is_gone() {
    let mut memory = Memory::default();
    note(&mut memory, Stage::Connect, b"a", Some("session"));
    note(&mut memory, Stage::Helo, b"a", None);
    assert_eq!(found(&memory, b"a"), None);
    assert_eq!(memory.bytes(), 0);
}
