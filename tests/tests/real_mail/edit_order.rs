//! Edits that depend on their order, behind both MTAs. What they come to stands here, and the milters direct in the MTA and
//! behind the manager have to agree on it. Many more, which only have to agree: `same_edits`.

use millstream_tests::children::Plan;
use millstream_tests::message::Message;
use millstream_tests::mta::Server;
use millstream_tests::post::{Chain, Route};
use millstream_tests::sink::Delivered;
use millstream_tests::until::until_true;

behind_both_mtas!(
    ordered_edits,
    two_independent_writers_of_one_header,
    an_independent_writer_of_a_header_that_one_before_deletes,
    independent_writers_of_different_headers,
);

/// The headers of each message that the edits are about.
const HEADERS: [&str; 3] = ["X-A: 1", "X-A: 2", "X-A: 3"];

/// A name, what the first and the second child do, and what the headers come to behind Postfix and Sendmail.
type Case = (&'static str, &'static str, &'static str, &'static [&'static str], &'static [&'static str]);

const CASES: &[Case] = &[
    (
        // Postfix counts what is left. For Sendmail a deleted header keeps its number until the end of this milter's turn.
        "delete then change",
        r#"["delete", "X-A", 1], ["change", "X-A", 1, "changed"]"#,
        "",
        &["changed", "3"],
        &["changed", "2", "3"],
    ),
    (
        "delete, and the next changes",
        r#"["delete", "X-A", 1]"#,
        r#"["change", "X-A", 1, "changed"]"#,
        &["changed", "3"],
        &["changed", "3"],
    ),
    (
        "change then delete",
        r#"["change", "X-A", 2, "changed"], ["delete", "X-A", 2]"#,
        "",
        &["1", "3"],
        &["1", "3"],
    ),
    (
        "change, and the next deletes",
        r#"["change", "X-A", 2, "changed"]"#,
        r#"["delete", "X-A", 2]"#,
        &["1", "3"],
        &["1", "3"],
    ),
    (
        "insert at 0 then change",
        r#"["insert", 0, "X-A", "0"], ["change", "X-A", 1, "changed"]"#,
        "",
        &["changed", "1", "2", "3"],
        &["changed", "1", "2", "3"],
    ),
    (
        "insert at 0, and the next changes",
        r#"["insert", 0, "X-A", "0"]"#,
        r#"["change", "X-A", 2, "changed"]"#,
        &["0", "changed", "2", "3"],
        &["0", "changed", "2", "3"],
    ),
    (
        "change, and the next changes",
        BY_THE_FIRST,
        BY_THE_SECOND,
        &["1", "by the second", "3"],
        &["1", "by the second", "3"],
    ),
];

const BY_THE_FIRST: &str = r#"["change", "X-A", 2, "by the first"]"#;
const BY_THE_SECOND: &str = r#"["change", "X-A", 2, "by the second"]"#;

/// Each child sees the edits of those before it, without the manager and with it.
fn ordered_edits(server: Server) {
    let list = |edits: fn(&Case) -> &'static str| {
        let lists: Vec<_> = CASES.iter().map(|case| format!("\"{}\": [{}]", case.0, edits(case))).collect();
        format!("{{{}}}", lists.join(","))
    };
    for route in [Route::Direct, Route::Managed] {
        let plans = [
            Plan::editor("first", &list(|case| case.1)),
            Plan::editor("second", &list(|case| case.2)),
            Plan::recorder("last"),
        ];
        let Some(chain) = Chain::start_behind(server, route, "", plans) else { return };
        let mut smtp = chain.smtp();
        for (name, _, _, postfix, sendmail) in CASES {
            let expected = if server == Server::Postfix { *postfix } else { *sendmail };
            let case = format!("X-Case: {name}");
            let exchange = smtp.send(&message(&chain).with_headers([case.as_str()]));
            assert_eq!(exchange.last().code, 250, "{exchange:?}");
            let seen = chain.child("last").wait_for_record(&["\"message\"", &format!("\"{name}\"")]);
            assert_eq!(x_a_in(&seen), expected, "{name}, shown to the last child, {route:?}");
        }
        for delivered in chain.deliveries(CASES.len()) {
            let name = delivered.header("X-Case").remove(0);
            let case = CASES.iter().find(|case| case.0 == name).expect("it is one of them");
            let expected = if server == Server::Postfix { case.3 } else { case.4 };
            assert_eq!(delivered.header("X-A"), expected, "{name}, delivered, {route:?}");
        }
    }
}

/// Both change what they were shown. One after another in the MTA, the later has its way, and so it has here.
fn two_independent_writers_of_one_header(server: Server) {
    let Some((delivered, log)) = independently(server, [BY_THE_FIRST, BY_THE_SECOND]) else { return };
    assert_eq!(delivered.header("X-A"), ["1", "by the second", "3"]);
    assert_eq!(conflicts(&log), ["second"], "{log}");
}

/// The second was shown the header and calls it by its number there: it changes that one, and none that has moved up.
fn an_independent_writer_of_a_header_that_one_before_deletes(server: Server) {
    let edits = [r#"["delete", "X-A", 1]"#, r#"["change", "X-A", 2, "by the second"]"#];
    let Some((delivered, log)) = independently(server, edits) else { return };
    assert_eq!(delivered.header("X-A"), ["by the second", "3"]);
    assert_eq!(conflicts(&log), [""; 0], "different headers are no conflict: {log}");
}

fn independent_writers_of_different_headers(server: Server) {
    let edits = [
        r#"["change", "X-A", 1, "by the first"], ["add", "X-B", "by the first"]"#,
        r#"["change", "X-A", 3, "by the second"], ["insert", 0, "X-C", "by the second"]"#,
    ];
    let Some((delivered, log)) = independently(server, edits) else { return };
    assert_eq!(delivered.header("X-A"), ["by the first", "2", "by the second"]);
    assert_eq!(delivered.header("X-B"), ["by the first"]);
    assert_eq!(delivered.header("X-C"), ["by the second"]);
    assert_eq!(conflicts(&log), [""; 0], "{log}");
}

/// Two editors behind the manager, neither of which is shown what the other does: what is delivered, and the log.
fn independently(server: Server, edits: [&str; 2]) -> Option<(Delivered, String)> {
    let [first, second] = edits.map(|edits| format!("[{edits}]"));
    let plans = [Plan::editor("first", &first), Plan::editor("second", &second)];
    let plans = plans.map(|plan| plan.with("independent = true"));
    let chain = Chain::start_behind(server, Route::Managed, "", plans)?;
    let exchange = chain.smtp().send(&message(&chain));
    assert_eq!(exchange.last().code, 250, "{exchange:?}");
    let delivered = chain.delivered();
    for child in ["first", "second"] {
        let seen = chain.child(child).wait_for_record(&["\"message\""]);
        assert_eq!(x_a_in(&seen), ["1", "2", "3"], "{child} was shown an edit");
    }
    let manager = chain.manager().expect("a managed chain has a manager");
    // What there is to tell of a message is told before this line.
    until_true("the line of the message", || manager.log().contains("[message]"));
    Some((delivered, manager.log()))
}

fn message(chain: &Chain) -> Message {
    Message::new(chain.domain(), "order").with_headers(HEADERS)
}

/// The values of `X-A` in a line of a child's record.
fn x_a_in(line: &str) -> Vec<&str> {
    line.split(r#"["X-A", ""#).skip(1).map(|rest| rest.split('"').next().unwrap_or_default()).collect()
}

/// The children whose change of a header was put in the place of another's.
fn conflicts(log: &str) -> Vec<&str> {
    log.lines()
        .filter(|line| line.contains("that an independent milter before it has changed, too"))
        .map(|line| {
            let (_, rest) = line.split_once("[milter][overlap] ").expect("it is told of a milter");
            rest.split(':').next().unwrap_or_default()
        })
        .collect()
}
