//! Each of them is killed between two messages, and comes back.

use millstream_tests::manager_log;
use millstream_tests::message::Message;
use millstream_tests::smtp::Smtp;
use millstream_tests::until::until_true;

use crate::children::Kind;
use crate::office::{Office, Port, office};

/// The ports that lead through the children of this test, and whether mail passes while one is not there.
const PORTS: [(Port, bool); 3] =
    [(Port::Mortal, false), (Port::MortalAccepting, true), (Port::MortalRefusing, false)];

/// What Postfix says for a milter that is not there, and for the temporary failure of one.
const REFUSAL: &str = "451 4.7.1 Service unavailable - try again later";

#[test]
fn killed_children_get_their_fallback_and_are_used_again() {
    let Some(office) = office() else { return };
    let (mut children, managers) = office.mortal();
    for kind in Kind::ALL {
        // All of them are there.
        let mut sessions = PORTS.map(|(port, _)| Smtp::open(office.address(port)));
        for ((port, _), smtp) in PORTS.iter().zip(&mut sessions) {
            assert_eq!(marks(office, smtp, &format!("{port:?}, before")), Ok(Kind::ALL.to_vec()), "{kind:?}");
        }

        children.kill(kind);

        let others: Vec<_> = Kind::ALL.into_iter().filter(|&other| other != kind).collect();
        let fallback = |passes| if passes { Ok(others.clone()) } else { Err(REFUSAL.to_owned()) };
        for ((port, passes), smtp) in PORTS.iter().zip(&mut sessions) {
            // In the session in which it was seen before, and in a fresh one.
            for smtp in [smtp, &mut Smtp::open(office.address(*port))] {
                let found = marks(office, smtp, &format!("{port:?}, without {}", kind.name()));
                assert_eq!(found, fallback(*passes), "{port:?} without {kind:?}");
            }
        }
        for (manager, fallback) in managers.iter().zip(["accept", "temporary-failure"]) {
            manager_log::expect_line(manager, &["failed", kind.name(), fallback]);
        }

        children.restart(kind);

        // A session stays as it is, with Postfix as with us.
        for ((port, passes), smtp) in PORTS.iter().zip(&mut sessions) {
            let found = marks(office, smtp, &format!("{port:?}, {} was away", kind.name()));
            assert_eq!(found, fallback(*passes), "{port:?} after {kind:?} was away");
        }
        for (port, _) in PORTS {
            until_true("all marks after the restart", || {
                let mut smtp = Smtp::open(office.address(port));
                marks(office, &mut smtp, &format!("{port:?}, {} is back", kind.name()))
                    == Ok(Kind::ALL.to_vec())
            });
        }
    }
}

/// Sends a message and tells whose marks it arrived with, or the reply that it was refused with.
fn marks(office: &Office, smtp: &mut Smtp, subject: &str) -> Result<Vec<Kind>, String> {
    let domain = crate::office::fresh_domain();
    let exchange = smtp.send(&Message::new(&domain, subject));
    if exchange.last().code != 250 {
        return Err(exchange.last().text());
    }
    let delivered = office.deliveries(&domain, 1).remove(0);
    Ok(Kind::ALL.into_iter().filter(|kind| !delivered.header(kind.mark()).is_empty()).collect())
}
