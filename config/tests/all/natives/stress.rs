//! `Stress Notify`, `No Stress` and `stress`.

use millstream_core::wire::Stage;

use super::{runs_with, stopped, visit};
use crate::common::session::RUNS;
use crate::common::{good, problem};

const THREE: &str = "stress.threshold_n_connections = 3";

#[test]
fn from_so_many_sessions_on_it_is_stress() {
    for (before, sessions, is_stress) in [
        (THREE, 2, false),
        (THREE, 3, true),
        (THREE, 300, true),
        ("stress.threshold_n_connections = 0", 300, false),
    ] {
        let mut notify = visit("Stress Notify", before);
        let mut calm = visit("No Stress", before);
        for visit in [&mut notify, &mut calm] {
            visit.environment.sessions = sessions;
        }
        let (told, stays) =
            if is_stress { (runs_with(&[("stress", "yes")]), stopped("No Stress")) } else { (RUNS, RUNS) };
        assert_eq!(notify.ask(Stage::Connect), told, "{before}: {sessions}");
        assert_eq!(calm.ask(Stage::Connect), stays, "{before}: {sessions}");
    }
}

#[test]
fn a_number_that_was_set_holds_for_every_mta() {
    for version in ["Postfix 3.7.11", "8.17.1"] {
        let mut visit = visit("No Stress", THREE).macros(b'C', &format!("v {}", version.replace(' ', "-")));
        assert!(visit.stops(Stage::Connect), "{version}");
    }
}

#[test]
fn the_number_can_be_read_and_wrong_ones_are_problems() {
    let source = format!("{THREE}\nmanager.max_connections = stress.threshold_n_connections * 2");
    assert_eq!(good(&source).manager.max_connections, 6);
    for wrong in ["-1", "5_000_000_000"] {
        let found = problem(&format!("stress.threshold_n_connections = {wrong}"));
        assert_eq!(found.message, "stress.threshold_n_connections should be 0 or a number of sessions");
    }
    problem("stress.threshold_n_connections = \"3\"");
}
