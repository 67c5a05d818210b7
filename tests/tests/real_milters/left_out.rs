//! The comparison itself: a chain that lacks any one of the milters does not pass for the whole.

use millstream_tests::message::Message;
use millstream_tests::post::Route;

use crate::children::Kind;
use crate::office::{Chain, Port, difference, office};

#[test]
fn a_child_that_is_left_out_is_noticed() {
    let Some(office) = office() else { return };
    let run = |port| office.run(port, |smtp, domain| vec![smtp.send(&Message::new(domain, "clean"))]);
    let whole = run(Port::Of(Chain::All, Route::Managed));
    for kind in Kind::ALL {
        let found = difference(&run(Port::Without(kind)), &whole).expect("a difference");
        assert!(found.contains(kind.mark()), "{kind:?}: {found}");
    }
}

/// Nor does the other order.
#[test]
fn another_order_is_noticed() {
    let Some(office) = office() else { return };
    let run = |port| office.run(port, |smtp, domain| vec![smtp.send(&Message::new(domain, "clean"))]);
    assert!(
        difference(
            &run(Port::Of(Chain::Reversed, Route::Direct)),
            &run(Port::Of(Chain::All, Route::Managed))
        )
        .is_some()
    );
}
