//! What conditions do: a policy asked about a session that is moved by hand.

use millstream_core::policy::{ChildState, RemarkLevel};
use millstream_core::wire::Stage;

use crate::common::session::{RUNS, Told, Visit, client, condition};
use crate::common::{good, problem, text};

const STAGES: [(&str, Stage); 9] = [
    ("connect", Stage::Connect),
    ("helo", Stage::Helo),
    ("envelope_from", Stage::Mail),
    ("envelope_recipient", Stage::Rcpt),
    ("data", Stage::Data),
    ("header", Stage::Header),
    ("end_of_header", Stage::EndOfHeaders),
    ("body", Stage::Body),
    ("end_of_message", Stage::EndOfMessage),
];

fn stopped() -> Told {
    Told::Stopped("C".to_owned(), "test.conf:2".to_owned())
}

#[test]
fn a_stopper_at_each_stage_stops_there_and_nowhere_else() {
    for (name, stage) in STAGES {
        let mut visit = Visit::with(name, "    true");
        for (_, other) in STAGES {
            let expected = if other == stage { stopped() } else { RUNS };
            assert_eq!(visit.ask(other), expected, "{name} at {other}");
            assert_eq!(visit.ask_about(1, other), RUNS, "the milter without the condition");
        }
    }
}

#[test]
fn only_nil_and_false_let_it_go_on() {
    for (value, stops) in [
        ("nil", false),
        ("false", false),
        ("", false),
        ("0", true),
        ("\"\"", true),
        ("[]", true),
        (":a", true),
    ] {
        assert_eq!(Visit::with("data", value).stops(Stage::Data), stops, "{value}");
    }
}

#[test]
fn each_stage_is_given_what_it_is_about() {
    for (name, test) in [
        ("connect", "host == \"host.example.com\" and address.to_s == \"inet:1234@[192.0.2.7]\""),
        ("helo", "fqdn == \"helo.example.com\""),
        ("envelope_from", "from == \"<from@example.com>\""),
        ("envelope_recipient", "recipient == \"<to@example.org>\""),
        ("header", "[name, value] == [\"Subject\", \"hello\"]"),
        ("body", "chunk == \"text\\r\\n\""),
        ("data", "context.name == \"m\""),
    ] {
        let stage = STAGES.iter().find(|(known, _)| *known == name).unwrap().1;
        assert!(Visit::with(name, test).stops(stage), "{name}");
    }
}

#[test]
fn the_conditions_of_a_milter_are_asked_in_order_up_to_the_first_that_stops() {
    let source = "%w(A B C).each do |name|\n  define_applicable_condition(name) do |condition|\n    \
                  condition.define_data_stopper {|context| Milter::Logger.info(\"first #{name}\"); false }\n    \
                  condition.define_data_stopper {|context| Milter::Logger.info(\"second #{name}\"); name != \"A\" }\n  end\nend\n\
                  define_milter(\"m\") {|m| m.connection_spec = \"unix:/m\"; m.applicable_conditions = %w(C A B).reverse }";
    let mut visit = Visit::of(&good(source));
    assert_eq!(visit.ask(Stage::Data), Told::Stopped("B".to_owned(), "test.conf:4".to_owned()));
    let told: Vec<_> = visit.remarks.iter().map(|remark| &*remark.text).collect();
    assert_eq!(told, ["first B", "second B"]);
    let mut second = Visit::of(&good(&source.replace("%w(C A B).reverse", "%w(A B)")));
    second.ask(Stage::Data);
    assert_eq!(second.remarks.len(), 4);
}

#[test]
fn blocks_take_more_and_fewer_parameters_than_there_are() {
    let source = condition("connect", "host == \"host.example.com\"");
    assert!(
        Visit::of(&good(&source.replace("|context, host, address|", "|context, host|")))
            .stops(Stage::Connect)
    );
    let more = source
        .replace("|context, host, address|", "|context, host, address, more|")
        .replace("host ==", "more.nil? and host ==");
    assert!(Visit::of(&good(&more)).stops(Stage::Connect));
}

#[test]
fn macros_of_the_latest_stage_with_and_without_braces() {
    let mut visit = Visit::with("envelope_from", "context[\"j\"] == \"b\" and context[\"{mail_addr}\"] == \"x\" and context[\"mail_addr\"] == \"x\" and context[\"y\"].nil?")
        .macros(b'C', "j a")
        .macros(b'M', "j b {mail_addr} x");
    assert!(visit.stops(Stage::Mail));
}

#[test]
fn a_macro_that_is_set_goes_to_the_milter_and_is_read_later() {
    let source = "define_applicable_condition(\"Trust\") do |condition|\n  \
                  condition.define_envelope_from_stopper do |context, from|\n    \
                  context[\"trusted\"] ||= \"yes\" if from =~ /@example\\.com>\\z/\n    context[\"n\"] = \"1\"\n    false\n  end\n  \
                  condition.define_data_stopper {|context| context[\"trusted\"] == \"yes\" }\nend\n\
                  %w(m n).each {|name| define_milter(name) {|m| m.connection_spec = \"unix:/\" + name; m.add_applicable_condition(\"Trust\") } }";
    let mut visit = Visit::of(&good(source));
    let set = [("trusted", "yes"), ("n", "1")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(visit.ask(Stage::Mail), Told::Runs(set.to_vec()));
    assert!(visit.stops(Stage::Data));
    assert_eq!(visit.ask_about(1, Stage::Data), RUNS, "it was set for the first milter only");
    visit.sender = b"<other@example.org>".to_vec();
    visit.ask(Stage::Mail);
    assert!(!visit.stops(Stage::Data), "with the next message it is gone");
}

#[test]
fn addresses() {
    for (address, tests) in [
        (
            "192.0.2.7:25",
            "address.ipv4? and not address.local? and address.port == 25 and address.address == \"192.0.2.7\"",
        ),
        ("10.1.2.3:25", "address.local? and address.to_ip_address.include?(\"10.1.2.3\")"),
        ("127.5.5.5:25", "address.local? and not address.ipv6? and not address.unix?"),
        ("172.31.0.1:25", "address.local?"),
        ("172.32.0.1:25", "not address.local?"),
        ("169.254.1.1:25", "not address.local?"),
        ("100.64.0.1:25", "not address.local?"),
        ("[::1]:25", "address.local? and address.ipv6? and address.to_s == \"inet6:25@[::1]\""),
        ("[fe80::1]:25", "address.local?"),
        ("[fc00::1]:25", "not address.local?"),
        ("[::ffff:127.0.0.1]:25", "not address.local?"),
        (
            "/run/x",
            "address.unix? and address.path == \"/run/x\" and address.local? and address.to_s == \"unix:/run/x\" and address.to_ip_address.nil?",
        ),
        (
            "?",
            "address.unknown? and not address.local? and address.to_s == \"unknown\" and address == address",
        ),
    ] {
        let mut visit = Visit::with("connect", tests);
        visit.client = client("h", address);
        assert!(visit.stops(Stage::Connect), "{address}: {tests}");
    }
    let mut visit =
        Visit::with("connect", "address.pack.size == 16 and address.pack[2, 2] == \"\\x00\\x19\"");
    visit.client = client("h", "1.2.3.4:25");
    assert!(visit.stops(Stage::Connect));
}

#[test]
fn other_children_and_their_verdicts() {
    let source = condition(
        "end_of_message",
        "other = context.children[\"n\"]\nother.reject? or context.children[\"x\"]",
    );
    // The one that is asked about stands behind.
    let source = source.replace(
        "define_milter(\"m\")",
        "define_milter(\"n\") {|milter| milter.connection_spec = \"unix:/n\" }\ndefine_milter(\"m\")",
    );
    let source = source.rsplit_once('\n').unwrap().0;
    let mut visit = Visit::of(&good(source));
    visit.children = vec![ChildState::Pending, ChildState::Running];
    assert_eq!(visit.ask_about(1, Stage::EndOfMessage), Told::Awaits(0));
    visit.children[0] = ChildState::Accepted;
    assert_eq!(visit.ask_about(1, Stage::EndOfMessage), RUNS);
    visit.children[0] = ChildState::Rejected;
    assert!(matches!(visit.ask_about(1, Stage::EndOfMessage), Told::Stopped(..)));
}

#[test]
fn each_verdict_has_its_word() {
    for (word, state) in [
        ("reject?", ChildState::Rejected),
        ("temporary_failure?", ChildState::TemporarilyFailed),
        ("accept?", ChildState::Accepted),
        ("discard?", ChildState::Discarded),
        ("quitted?", ChildState::Stopped),
        ("quitted?", ChildState::Gone),
    ] {
        let mut visit = Visit::with("data", &format!("context.children[\"n\"].{word}"));
        assert!(!visit.stops(Stage::Data), "{word}");
        visit.children[1] = state;
        assert!(visit.stops(Stage::Data), "{word}");
    }
}

#[test]
fn the_shelf_is_shared_by_the_milters_and_emptied_for_each_message() {
    let source = "define_applicable_condition(\"Put\") do |condition|\n  \
                  condition.define_envelope_from_stopper do |context, from|\n    shelf = context.mail_transaction_shelf\n    \
                  shelf[\"list\"] = [from, 1, 2.5, nil, {\"a\" => :b}] if shelf[\"list\"].nil? and from != \"<>\"\n    false\n  end\nend\n\
                  define_applicable_condition(\"Get\") do |condition|\n  \
                  condition.define_data_stopper {|context| context.mail_transaction_shelf[\"list\"] == [\"<from@example.com>\", 1, 2.5, nil, {\"a\" => :b}] }\n  \
                  condition.define_end_of_message_stopper {|context| context.mail_transaction_shelf.any? {|key, value| key == \"list\" } }\nend\n\
                  define_milter(\"m\") {|m| m.connection_spec = \"unix:/m\"; m.add_applicable_condition(\"Put\") }\n\
                  define_milter(\"n\") {|m| m.connection_spec = \"unix:/n\"; m.add_applicable_condition(\"Get\") }";
    let mut visit = Visit::of(&good(source));
    assert_eq!(visit.ask(Stage::Mail), RUNS);
    assert!(matches!(visit.ask_about(1, Stage::Data), Told::Stopped(..)));
    assert!(matches!(visit.ask_about(1, Stage::EndOfMessage), Told::Stopped(..)));
    visit.sender = b"<>".to_vec();
    assert_eq!(visit.ask(Stage::Mail), RUNS);
    assert_eq!(visit.ask_about(1, Stage::Data), RUNS);
    assert_eq!(visit.remarks, []);
}

#[test]
fn what_is_kept_at_connect_stays_for_the_session() {
    let source = condition("connect", "context.mail_transaction_shelf[\"host\"] = host\nfalse").replace(
        "  end\nend\ndefine_milter(\"m\")",
        "  end\n  condition.define_data_stopper {|c| c.mail_transaction_shelf[\"host\"] == \"host.example.com\" }\nend\ndefine_milter(\"m\")",
    );
    let mut visit = Visit::of(&good(&source));
    visit.ask(Stage::Connect);
    visit.memory.begin_message();
    assert!(visit.stops(Stage::Data));
}

#[test]
fn postfix_authentication_and_load() {
    let told = |body: &str, macros: &str| Visit::with("data", body).macros(b'C', macros).stops(Stage::Data);
    assert!(told("context.postfix?", "v Postfix-3.7"));
    assert!(!told("context.postfix?", "v NotPostfixed"));
    assert!(told("context.authenticated?", "{auth_type} PLAIN"));
    assert!(told("context.authenticated?", "{auth_authen} me"));
    assert!(!told("context.authenticated?", "j mx"));
    assert!(told("context.n_processing_sessions == 3", "j mx"));
    // 2023-11-14 22:13:20 UTC
    assert!(told("Time.now.to_i == 1700000000 and Time.now.min == 13", "j mx"));
}

#[test]
fn a_stopper_sees_what_is_around_it_and_cannot_change_it() {
    let source = "hosts = %w(a b)\nis_known = lambda {|host| hosts.include?(host) }\n".to_owned()
        + &condition("connect", "is_known.call(host)")
        + "\nhosts << \"late\"";
    let configuration = good(&source);
    for (host, stops) in [("a", true), ("late", true), ("c", false)] {
        let mut visit = Visit::of(&configuration);
        visit.client = client(host, "?");
        assert_eq!(visit.stops(Stage::Connect), stops, "{host}");
    }
    let found = problem(&("x = 1\n".to_owned() + &condition("data", "x = 2")));
    assert_eq!(found.message, "a stopper cannot change a variable from outside of it: x");
    for (outside, body) in
        [("x = []", "x << 1"), ("x = {}", "x[1] = 1"), ("n = 1\nx = lambda { n += 1 }", "x.call")]
    {
        let mut visit = Visit::of(&good(&format!("{outside}\n{}", condition("data", body))));
        assert_eq!(visit.ask(Stage::Data), RUNS);
        assert!(visit.remarks[0].text.contains("cannot be changed by a session"), "{:?}", visit.remarks);
    }
}

#[test]
fn a_failure_does_not_stop_and_is_told_with_its_place() {
    let mut visit = Visit::with("data", "    1 / 0");
    assert_eq!(visit.ask(Stage::Data), RUNS);
    let [remark] = &visit.remarks[..] else { panic!("{:?}", visit.remarks) };
    assert_eq!(remark.level, RemarkLevel::Error);
    assert_eq!((&*remark.from.condition, &*remark.from.place), ("C", "test.conf:2"));
    assert_eq!(&*remark.text, "test.conf:3:7: divided by 0; it does not stop");
}

#[test]
fn exhaustion_does_not_stop_and_is_told() {
    for (body, told) in [
        ("(1..1_000_000_000).any? {|x| false }; true", "more than 50000 steps"),
        ("x = \"aaaaaaaa\"; 60.times { x += x }; true", "steps"),
        ("f = lambda {|g| g.call(g) }; f.call(f); true", "more than 250"),
        ("a = []; 1_000_000.times {|x| a << x }; true", "more than 50000 steps"),
        ("f = nil; f = lambda { f.call }; f.call; true", "more than 250"),
    ] {
        let mut visit = Visit::with("data", body);
        assert_eq!(visit.ask(Stage::Data), RUNS, "{body}");
        assert!(visit.remarks[0].text.contains(told), "{body}: {:?}", visit.remarks);
    }
}

#[test]
fn lambdas_that_hold_each_other_are_freed_on_the_stack_of_an_event_loop() {
    let chain = "f = nil; 4_000.times { g = f; f = [lambda { g }] }; h = nil; h = lambda { h }; f.nil?";
    let mut visit = Visit::with("data", chain);
    let asked = std::thread::Builder::new().stack_size(256 << 10).spawn(move || visit.stops(Stage::Data));
    assert!(!asked.unwrap().join().unwrap());
}

#[test]
fn the_shelf_is_bounded() {
    let mut visit = Visit::with("data", "context.mail_transaction_shelf[\"a\"] = \"x\" * 70_000\ntrue");
    assert_eq!(visit.ask(Stage::Data), RUNS);
    assert!(visit.remarks[0].text.contains("larger than 65536 bytes"), "{:?}", visit.remarks);
}

#[test]
fn the_log_has_levels() {
    let mut visit = Visit::with(
        "data",
        "Milter::Logger.warning(\"w #{context.name}\"); Milter::Logger.error(\"e\"); nil",
    );
    assert_eq!(visit.ask(Stage::Data), RUNS);
    let told: Vec<_> = visit.remarks.iter().map(|remark| (remark.level, &*remark.text)).collect();
    assert_eq!(told, [(RemarkLevel::Warning, "w m"), (RemarkLevel::Error, "e")]);
    let loaded = text("Milter::Logger.info(\"loading\")");
    assert_eq!((loaded.messages[0].level, &*loaded.messages[0].text), (RemarkLevel::Info, "loading"));
    assert_eq!(loaded.messages[0].location.as_ref().unwrap().line, 1);
}

#[test]
fn mail_need_not_be_utf8() {
    let mut visit = Visit::with(
        "header",
        "value =~ /\\xff?b\\z/ and value.size == 3 and value.downcase.include?(\"b\")"
            .replace("\\xff?", "")
            .as_str(),
    );
    visit.header = (b"X".to_vec(), b"\xff\xfeb".to_vec());
    assert!(visit.stops(Stage::Header));
}

#[test]
fn defined_again_a_condition_keeps_its_stoppers() {
    let source = condition("data", "context[\"a\"] == \"1\"")
        + "\ndefine_applicable_condition(\"D\") {|c| c.description = \"d\" }\n\
           define_applicable_condition(\"C\") do |condition|\n  condition.data = \"more\"\n  \
           condition.define_data_stopper {|context| context[\"a\"] == \"2\" }\nend";
    let configuration = good(&source);
    let names: Vec<_> = configuration.conditions.iter().map(|condition| &*condition.name).collect();
    assert_eq!(names, ["D", "C"], "it moves to the end");
    for (value, stops) in [("1", true), ("2", true), ("3", false)] {
        let mut visit = Visit::of(&configuration).macros(b'C', &format!("a {value}"));
        assert_eq!(visit.stops(Stage::Data), stops, "{value}");
    }
}

#[test]
fn milters_name_conditions() {
    let configuration = good(
        "%w(A B).each {|n| define_applicable_condition(n) {|c| c.description = n } }\n\
         define_milter(\"m\") do |m|\n  m.applicable_conditions = [\"A\"]\n  m.applicable_conditions += [\"B\"]\nend\n\
         define_milter(\"m\") {|m| m.enabled = true }\n\
         define_milter(\"n\") do |m|\n  m.add_applicable_condition(\"B\")\n  m.applicable_conditions = nil\nend",
    );
    let names = |at: usize| -> Vec<_> {
        configuration.milters[at].applicable_conditions.iter().map(|applied| applied.name.clone()).collect()
    };
    assert_eq!(names(0), ["A", "B"]);
    assert!(names(1).is_empty());
    let found = problem(
        "define_applicable_condition(\"Office hours\") {|c| }\n\
         define_milter(\"m\") {|m| m.add_applicable_condition(\"Office hour\") }",
    );
    let message = &found.message;
    assert!(
        message.starts_with("applicable condition should be one of [\"Office hours\", \"Authenticated\", "),
        "{message}"
    );
    assert!(message.ends_with("] but was \"Office hour\""), "{message}");
    assert_eq!(found.hint.as_deref(), Some("did you mean \"Office hours\"?"));
}

#[test]
fn nothing_of_the_load_can_be_reached() {
    for body in ["manager.max_connections", "define_milter(\"x\") {|m| }", "load(\"x\")", "defined_milters"] {
        let found = problem(&condition("data", body));
        assert!(found.message.ends_with("cannot be used by a stopper"), "{found}");
        assert_eq!(found.line, 3);
    }
    // By a detour that cannot be seen at load.
    let source = "f = lambda { defined_milters.size }\n".to_owned() + &condition("data", "f.call");
    let mut visit = Visit::of(&good(&source));
    assert_eq!(visit.ask(Stage::Data), RUNS);
    assert!(
        visit.remarks[0].text.contains("defined_milters cannot be used by a stopper"),
        "{:?}",
        visit.remarks
    );
}

#[test]
fn unknown_stoppers_are_told() {
    let found = problem("define_applicable_condition(\"x\") {|c| c.define_rcpt_stopper {|context| } }");
    assert_eq!(found.message, "unknown setting: condition.define_rcpt_stopper");
    let found = problem("define_applicable_condition(\"x\") {|c| c.define_data_stopper }");
    assert_eq!(found.message, "define_data_stopper has no block");
    let found = problem("define_applicable_condition(\"x\") {|c| c.description = 1 }");
    assert_eq!(found.message, "condition.description should be a string or nil but was 1");
}
