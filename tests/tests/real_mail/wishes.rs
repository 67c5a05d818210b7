//! What a child has asked for when it was negotiated with, and only it: refused recipients, blanks before header values, macros.
//! Each case is run on both routes.

use std::collections::BTreeMap;

use millstream_tests::child_side::{ChildSide, Wishes};
use millstream_tests::children::Plan;
use millstream_tests::message::Message;
use millstream_tests::mta::Server;
use millstream_tests::post::{Chain, Route};
use millstream_tests::smtp::Smtp;
use millstream_tests::wire::Frame;

behind_both_mtas!(blanks_before_header_values, macros_of_some_stages_only);

/// It wants to see recipients that the MTA has refused (`SMFIP_RCPT_REJ`).
const REFUSED_RECIPIENTS: u32 = 0x800;
/// It takes and gives header values with the blank that follows the colon (`SMFIP_HDR_LEADSPC`).
const LEADING_SPACE: u32 = 0x10_0000;

const ROUTES: [Route; 2] = [Route::Direct, Route::Managed];

/// Postfix refuses one of three recipients by a table of its own.
#[test]
fn refused_recipients_go_to_children_that_asked() {
    const TABLE: &str = "-o { smtpd_recipient_restrictions = \
        check_recipient_access inline:{ { stop@ = REJECT by table } }, permit }";
    for route in ROUTES {
        let plans = [Plan::absent("asks"), Plan::absent("does not")];
        let alone = Chain::start_alone(route, "", plans, |site| {
            format!("{} inet n - n - - smtpd -o smtpd_milters={} {TABLE}\n", site.ports[0], site.milters)
        });
        let Some((chain, site)) = alone else { return };
        let wishes = Wishes { flags: REFUSED_RECIPIENTS, ..Wishes::default() };
        let asks = ChildSide::wishing(chain.child("asks").socket(), wishes, agree);
        let does_not = ChildSide::agreeing(chain.child("does not").socket());
        let message = Message::new(chain.domain(), "refused").to(chain.domain(), &["one", "stop", "two"]);

        let exchange = Smtp::open(site.ports[0]).send(&message);

        let codes: Vec<_> = exchange.recipients.iter().map(|reply| reply.code).collect();
        assert_eq!(codes, [250, 554, 250], "{route:?}");
        assert_eq!(exchange.last().code, 250, "{exchange:?}");
        assert_eq!(chain.delivered().recipients.len(), 2);
        let users = |child: &ChildSide| -> Vec<String> {
            let recipients = child.seen().into_iter().filter(|frame| frame.letter == b'R');
            recipients.map(|frame| frame.first_string().replace(chain.domain(), "")).collect()
        };
        assert_eq!(users(&asks), ["<one@>", "<stop@>", "<two@>"], "{route:?}");
        assert_eq!(users(&does_not), ["<one@>", "<two@>"], "{route:?}");
        // That it is a refused one is said by a macro.
        let refused = |macros: &&Vec<u8>| macros.windows(6).any(|window| window == b"error\0");
        assert_eq!(macros_at(&asks, b'R').iter().filter(refused).count(), 1, "{route:?}");
    }
}

/// One child wants the blanks, the other does not; both add a header.
fn blanks_before_header_values(server: Server) {
    let added = |value: &str| {
        let add = Frame::strings(b'h', ["X-Added", value]);
        move |frame: &Frame| match frame.letter {
            b'E' => vec![add.clone(), Frame::new(b'c', [])],
            _ => vec![Frame::new(b'c', [])],
        }
    };
    let mut outcomes = Vec::new();
    for route in ROUTES {
        let plans = [Plan::absent("wants"), Plan::absent("does not"), Plan::absent("wants, too")];
        let Some(chain) = Chain::start_behind(server, route, "", plans) else { return };
        let wishes = Wishes { flags: LEADING_SPACE, ..Wishes::default() };
        let wants = ChildSide::wishing(chain.child("wants").socket(), wishes, added("none"));
        let does_not = ChildSide::scripted(chain.child("does not").socket(), added("plain"));
        let too = ChildSide::wishing(chain.child("wants, too").socket(), wishes, added("  two"));
        let message = Message::new(chain.domain(), "blanks").with_headers([
            "X-Blanks:none",
            "X-Blanks: one",
            "X-Blanks:  two",
            "X-Blanks:\ttab",
            "X-Blanks: folded",
            " over two",
        ]);

        let exchange = chain.smtp().send(&message);

        assert_eq!(exchange.last().code, 250, "{exchange:?}");
        let values = |child: &ChildSide, name: &[u8]| -> Vec<String> {
            let seen = child.seen().into_iter().filter(|frame| frame.letter == b'L');
            let fields = seen.filter_map(|frame| Some(frame.payload.strip_prefix(name)?.to_vec()));
            fields.map(|value| String::from_utf8_lossy(&value).trim_matches('\0').to_owned()).collect()
        };
        assert_eq!(values(&wants, b"X-Blanks"), ["none", " one", "  two", "\ttab", " folded\n over two"]);
        assert_eq!(values(&too, b"X-Blanks"), values(&wants, b"X-Blanks"));
        assert_eq!(values(&does_not, b"X-Blanks")[..3], ["none", "one", " two"]);
        let delivered: Vec<_> =
            chain.delivered().headers().into_iter().filter(|(name, _)| name.starts_with("X-")).collect();
        let added = [&wants, &does_not, &too].map(|child| values(child, b"X-Added"));
        outcomes.push((delivered, added, values(&does_not, b"X-Blanks")));
    }
    assert_eq!(outcomes[0], outcomes[1], "without and with the manager");
    let mut added: Vec<_> =
        outcomes[0].0.iter().filter(|(name, _)| name == "X-Added").map(|(_, value)| value.as_str()).collect();
    // Sendmail puts an added header above others of its name.
    added.sort_unstable();
    assert_eq!(added, ["  two", " plain", "none"]);
}

/// One child has listed macros for three stages, and one nothing. The MTA is asked for its own choice and all that is listed;
/// of that a child is sent less only at the stages that it has listed.
fn macros_of_some_stages_only(server: Server) {
    const LISTED: Wishes = Wishes { flags: 0, macros: &[(2, "{mail_addr} {mail_host}"), (5, "i"), (6, "j")] };
    let mut outcomes = Vec::new();
    for route in ROUTES {
        let plans = [Plan::absent("lists"), Plan::absent("does not")];
        let Some(chain) = Chain::start_behind(server, route, "", plans) else { return };
        let lists = ChildSide::wishing(chain.child("lists").socket(), LISTED, agree);
        let does_not = ChildSide::agreeing(chain.child("does not").socket());

        let exchange = chain.smtp().send(&Message::new(chain.domain(), "macros"));

        assert_eq!(exchange.last().code, 250, "{exchange:?}");
        assert_eq!(chain.delivered().header("Subject"), ["macros"]);
        let (listed, unlisted) = (macro_names(&lists), macro_names(&does_not));
        assert_eq!(listed[&'M'], ["{mail_addr}", "{mail_host}"], "{server:?}, {route:?}");
        assert_eq!(listed[&'E'], ["i"], "{server:?}, {route:?}");
        assert_eq!(listed[&'N'], ["j"], "{server:?}, {route:?}");
        assert!(unlisted[&'M'].len() > 2, "{server:?}, {route:?}: {unlisted:?}");
        outcomes.push([listed, unlisted]);
    }
    for (direct, managed) in outcomes[0].iter().zip(&outcomes[1]) {
        for (command, names) in direct {
            let missing: Vec<_> = names.iter().filter(|name| !managed[command].contains(name)).collect();
            assert!(missing.is_empty(), "{server:?}: not sent by the manager at {command}: {missing:?}");
        }
    }
}

fn agree(_: &Frame) -> Vec<Frame> {
    vec![Frame::new(b'c', [])]
}

/// What each macro frame for a command has said.
fn macros_at(child: &ChildSide, command: u8) -> Vec<Vec<u8>> {
    let seen = child.seen().into_iter();
    seen.filter(|frame| frame.letter == b'D' && frame.payload.first() == Some(&command))
        .map(|frame| frame.payload[1..].to_vec())
        .collect()
}

/// The names of the macros by the command that they came for.
fn macro_names(child: &ChildSide) -> BTreeMap<char, Vec<String>> {
    let mut names = BTreeMap::new();
    for command in *b"CHMRTNE" {
        for macros in macros_at(child, command) {
            let mut strings =
                macros.split(|&byte| byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
            let of_command: &mut Vec<String> = names.entry(char::from(command)).or_default();
            while let (Some(name), Some(_)) = (strings.next(), strings.next()) {
                of_command.push(name);
            }
            of_command.sort();
        }
    }
    names
}
