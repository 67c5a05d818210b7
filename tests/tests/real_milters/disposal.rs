//! Mail that a milter has held: Postfix asks none behind it then.

use millstream_tests::message::Message;
use millstream_tests::real_children::clamav::EICAR;
use millstream_tests::real_children::spamassassin::{GTUBE, SPAM_WORD};
use millstream_tests::until::until_true;

use crate::children::Kind;
use crate::office::{Chain, HELD, office, same};
use crate::verdicts::lines;

#[test]
fn viruses_are_held() {
    let (eicar, gtube) = (EICAR.concat(), GTUBE.concat());
    let Some(seen) = same(Chain::Holding, |smtp, domain| {
        vec![
            smtp.send(&Message::new(domain, "clean")),
            smtp.send(&lines(domain, "a virus", &[&eicar])),
            smtp.send(&lines(domain, "spam, and a virus", &[&gtube, &eicar])),
            smtp.send(&lines(domain, "spam", &[&gtube])),
            smtp.send(&lines(domain, SPAM_WORD, &[&eicar])),
            smtp.send(&Message::new(domain, "clean again")),
        ]
    }) else {
        return;
    };

    let (held, delivered): (Vec<_>, Vec<_>) =
        seen.delivered.iter().partition(|message| message.starts_with(&format!("from <> to {HELD}\n")));
    assert_eq!((held.len(), delivered.len()), (3, 2), "{:#?}", seen.replies);
    assert!(held.iter().all(|message| message.contains("\nDKIM-Signature:")), "{held:?}");
    let behind = [Kind::SpamAssassin, Kind::Rspamd].map(Kind::mark);
    assert!(held.iter().all(|message| behind.iter().all(|mark| !message.contains(mark))), "{held:?}");
    held_by(Kind::HoldingClamAv, 3);
}

/// As many messages were held, and the log says by whom.
fn held_by(kind: Kind, count: usize) {
    let Some(office) = office() else { return };
    let name = kind.name();
    let (verdict, end) = (format!(" {name}=quarantine@"), format!(" -> quarantine by {name} "));
    let lines = || {
        let log = office.manager(Chain::Holding).log();
        log.lines().filter(|line| line.contains(" -> quarantine")).map(str::to_owned).collect::<Vec<_>>()
    };
    until_true("a line for each message that is held", || lines().len() >= count);
    let lines = lines();
    assert_eq!(lines.len(), count, "{lines:#?}");
    assert!(lines.iter().all(|line| line.contains(&verdict) && line.contains(&end)), "{lines:#?}");
}
