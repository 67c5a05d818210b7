//! `milter-test-server` plays the MTA's side against the real milters, and against the manager in front of all of them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use millstream_tests::programs;
use millstream_tests::real_children::clamav::{EICAR, VIRUS};
use millstream_tests::real_children::spamassassin::GTUBE;
use millstream_tests::scratch::Scratch;

use crate::children::Kind;
use crate::office::{Chain, Office, office};

/// What it prints for a message with this body.
fn ask(socket: &Path, body: &str) -> String {
    static PROGRAM: LazyLock<std::path::PathBuf> = LazyLock::new(|| programs::ours("milter-test-server"));
    let scratch = Scratch::new("test-server");
    let file = scratch.join("mail");
    let headers =
        "From: a@mx.test\nTo: b@example.org\nSubject: test\nDate: Mon, 05 Jan 2026 10:00:00 +0000\n";
    fs::write(&file, format!("{headers}Message-ID: <1@mx.test>\n\n{body}\n")).expect("a file can be written");
    let mut command = Command::new(&*PROGRAM);
    command.arg("-s").arg(socket).arg("-m").arg(&file).args(["--output-message", "--connect-address"]);
    // The milters leave alone what comes from this machine or from nowhere.
    command.args(["inet:50443@[127.0.0.1]", "--all-timeouts", "60"]);
    let output = command.output().expect("it can be run");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

fn of_child(office: &Office, kind: Kind, body: &str) -> String {
    ask(&office.child_socket(kind), body)
}

#[test]
fn each_milter_is_shown_as_it_is() {
    let Some(office) = office() else { return };
    for kind in Kind::ALL {
        let text = of_child(office, kind, "nothing");
        // Some want nothing more to do with a message that they have looked at.
        assert!(["status: pass\n", "status: accept\n"].iter().any(|line| text.starts_with(line)), "{text}");
        assert!(text.contains(&format!("\n+ {}: ", kind.mark())), "{kind:?}: {text}");
    }
}

#[test]
fn a_refusal_is_shown_with_its_text() {
    let Some(office) = office() else { return };
    let text = of_child(office, Kind::ClamAv, &EICAR.concat());
    assert!(text.starts_with("status: reject [550]<5.7.1>(") && text.contains(VIRUS), "{text}");
    let text = of_child(office, Kind::SpamAssassin, &GTUBE.concat());
    assert!(text.starts_with("status: reject [550]<5.7.1>("), "{text}");
}

#[test]
fn the_manager_is_a_milter_like_another() {
    let Some(office) = office() else { return };
    let socket = office.manager_socket(Chain::All);
    let text = ask(&socket, "nothing");
    assert!(text.starts_with("status: pass\n"), "{text}");
    for kind in Kind::ALL {
        assert!(text.contains(&format!("\n+ {}: ", kind.mark())), "{kind:?}: {text}");
    }
    let text = ask(&socket, &EICAR.concat());
    assert!(text.starts_with("status: reject [550]<5.7.1>(") && text.contains(VIRUS), "{text}");
}
