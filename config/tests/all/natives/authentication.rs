//! `Authenticated` and `Unauthenticated`.

use millstream_core::wire::Stage;

use super::{stopped, visit};
use crate::common::session::RUNS;

#[test]
fn who_has_logged_in_is_known_at_mail() {
    for (macros, logged_in) in [
        ("i 1", false),
        ("{auth_type} PLAIN", true),
        ("{auth_authen} user", true),
        ("auth_author user", false),
    ] {
        for (condition, wanted) in [("Authenticated", true), ("Unauthenticated", false)] {
            let mut visit = visit(condition, "").macros(b'M', macros);
            assert_eq!([Stage::Connect, Stage::Helo].map(|stage| visit.ask(stage)), [RUNS, RUNS]);
            let expected = if logged_in == wanted { RUNS } else { stopped(condition) };
            assert_eq!(visit.ask(Stage::Mail), expected, "{condition} with {macros}");
            assert_eq!(visit.ask_about(1, Stage::Mail), RUNS, "the milter without the condition");
        }
    }
}

#[test]
fn each_message_of_a_session_is_looked_at_anew() {
    let mut visit = visit("Authenticated", "").macros(b'M', "{auth_type} PLAIN");
    assert!(!visit.stops(Stage::Mail));
    let mut visit = visit.macros(b'M', "i 2");
    assert!(visit.stops(Stage::Mail));
}
