//! opendkim stands first: it signs for its own domain, says what it thinks of others, and the three behind add fields.

use millstream_tests::message::Message;
use millstream_tests::post::Route;
use millstream_tests::real_children::spamassassin::SPAM_WORD;
use millstream_tests::smtp::Smtp;

use crate::office::{Chain, Port, fresh_domain, office, same};

/// The same from somebody for whom nobody here signs.
pub(crate) fn from_stranger(mut message: Message) -> Message {
    message.sender = "<somebody@elsewhere.test>".to_owned();
    let text = String::from_utf8(message.data).expect("it is plain text");
    message.data = text.replace("sender@mx.test", "somebody@elsewhere.test").into_bytes();
    message
}

fn stranger(domain: &str, subject: &str) -> Message {
    from_stranger(Message::new(domain, subject))
}

#[test]
fn strangers_signatures_are_verified() {
    let Some(office) = office() else { return };
    let key = &office.backends.key;
    // Made once: the results name its first letters.
    let signature = key.sign_elsewhere(&stranger("any.test", "signed").data);
    let Some(seen) = same(Chain::All, |smtp, domain| {
        let unsigned = stranger(domain, "unsigned");
        let mut signed = stranger(domain, "signed");
        signed.data.splice(0..0, signature.iter().copied());
        let broken = signed.clone().with_body(b"Not what was signed.\r\n");
        let mut twice = broken.clone();
        twice.data.splice(0..0, signature.iter().copied());
        [unsigned, signed, broken, twice].iter().map(|message| smtp.send(message)).collect()
    }) else {
        return;
    };

    assert_eq!(seen.delivered.len(), 4, "{:?}", seen.replies);
    let all = seen.delivered.concat();
    for result in ["dkim=none", "dkim=pass", "dkim=fail"] {
        assert!(all.contains(result), "{result} is nowhere in\n{all}");
    }
}

#[test]
fn own_mail_is_signed() {
    let script = |smtp: &mut Smtp, domain: &str| {
        let message = Message::new(domain, "signed");
        let folded = message.clone().with_headers(["X-Folded: one", "\ttwo"]);
        vec![smtp.send(&message), smtp.send(&stranger(domain, "not signed")), smtp.send(&folded)]
    };
    for seen in [same(Chain::All, script), same(Chain::Reversed, script)] {
        let Some(seen) = seen else { return };
        assert_eq!(seen.delivered.len(), 3, "{:?}", seen.replies);
        let signed = seen.delivered.iter().filter(|message| message.contains("\nDKIM-Signature:"));
        assert_eq!(signed.count(), 2, "{:?}", seen.delivered);
    }
}

/// Whatever those before it have changed, its signature holds for what arrives.
#[test]
fn signatures_hold() {
    let Some(office) = office() else { return };
    let cases = [
        (Port::Of(Chain::All, Route::Managed), "signed first"),
        (Port::Kept, "signed first, perhaps on a kept connection"),
        (Port::Kept, "signed first, on a kept connection"),
        (Port::Plain, "signed first, in lock step"),
        (Port::Of(Chain::Reversed, Route::Managed), "signed last"),
        (Port::Of(Chain::Reversed, Route::Managed), SPAM_WORD),
    ];
    for (port, subject) in cases {
        let domain = fresh_domain();
        let exchange = Smtp::open(office.address(port)).send(&Message::new(&domain, subject));
        assert_eq!(exchange.last().code, 250, "{exchange:?}");
        let delivered = office.deliveries(&domain, 1).remove(0);
        let text = String::from_utf8_lossy(&delivered.data);
        assert_eq!(text.contains("original message before"), subject == SPAM_WORD, "{text}");
        assert!(office.backends.key.verifies(&delivered.data), "{text}");
    }
}
