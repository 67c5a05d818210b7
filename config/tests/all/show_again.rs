//! What `--show-config` prints loads again to the same: stoppers with the variables that they see, the knobs of built-in conditions,
//! policies, tables.

use millstream_config::{Configuration, load_str};
use millstream_core::wire::Stage;
use proptest::prelude::*;

use crate::common::session::{RUNS, Told, Visit};
use crate::common::{Directory, good, listed, text};

/// Loads what is shown of `first`, which must be the same, and shows the same again.
#[track_caller]
fn again(first: &Configuration) -> Configuration {
    let shown = first.shown();
    assert_eq!(shown.lost, Vec::<String>::new(), "{}", shown.text);
    let loaded = load_str("again.conf", &shown.text, &crate::common::no_directories());
    assert!(loaded.problems.is_empty(), "{}\n{}", listed(&loaded.problems), shown.text);
    let second = loaded.configuration;
    assert_eq!(without_places(&second.show()), without_places(&shown.text));
    assert!(
        second.clone().without_locations() == first.clone().without_locations(),
        "shows the same and is not:\n{}",
        shown.text
    );
    second
}

fn without_places(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("# ")).collect::<Vec<_>>().join("\n")
}

/// A milter `m` with the condition `C`, which `definition` defines.
fn site(definition: &str) -> Configuration {
    good(&format!(
        "{definition}\ndefine_milter(\"m\") do |milter|\n  milter.connection_spec = \"unix:/m\"\n  \
         milter.add_applicable_condition(\"C\")\nend\n"
    ))
}

/// That both say the same about the client.
#[track_caller]
fn both_stop(definition: &str, stops: bool) {
    let first = site(definition);
    let second = again(&first);
    for configuration in [&first, &second] {
        assert_eq!(Visit::of(configuration).stops(Stage::Connect), stops, "{}", configuration.show());
    }
}

#[test]
fn stoppers_are_shown_as_they_stand_with_their_place() {
    let shown = site(
        r#"define_applicable_condition("C") do |c|
  c.data = "for \"people\""
  c.define_connect_stopper do |context, host, address|
    # Not ours.
    host !~ /\.example\.com\z/
  end
  c.define_helo_stopper {|context, fqdn| fqdn == "a" }
end"#,
    )
    .show();
    assert!(
        shown.contains(
            r#"# test.conf:1
define_applicable_condition("C") do |condition|
  # default
  condition.description = nil
  condition.data = "for \"people\""
  # test.conf:3
  condition.define_connect_stopper do |context, host, address|
    # Not ours.
    host !~ /\.example\.com\z/
  end
  # test.conf:7
  condition.define_helo_stopper {|context, fqdn| fqdn == "a" }
end
"#
        ),
        "{shown}"
    );
}

#[test]
fn every_stage_has_its_stopper_again() {
    let stages = [
        "connect",
        "helo",
        "envelope_from",
        "envelope_recipient",
        "data",
        "header",
        "end_of_header",
        "body",
        "end_of_message",
    ];
    let stoppers: Vec<_> =
        stages.iter().map(|stage| format!("c.define_{stage}_stopper {{ true }}")).collect();
    let second =
        again(&site(&format!("define_applicable_condition(\"C\") do |c|\n{}\nend", stoppers.join("\n"))));
    let watched = [
        Stage::Connect,
        Stage::Helo,
        Stage::Mail,
        Stage::Rcpt,
        Stage::Data,
        Stage::Header,
        Stage::EndOfHeaders,
        Stage::Body,
        Stage::EndOfMessage,
    ];
    assert!(watched.iter().all(|stage| second.conditions[0].watches(*stage)));
}

#[test]
fn variables_around_a_stopper_have_the_values_that_it_sees() {
    let hosts = r#"hosts = ["a.example.com", 'host.example.com', /\Ab#/]
word = "not #{1 + 1}"
define_applicable_condition("C") do |c|
  c.define_connect_stopper {|context, host| hosts.any? {|it| it === host } and word == "not 2" }
end
hosts += ["later.example.com"]"#;
    both_stop(hosts, true);
    let shown = site(hosts).show();
    assert!(
        shown.contains(
            r##"  lambda do
    hosts = ["a.example.com", "host.example.com", /\Ab#/, "later.example.com"]
    word = "not 2"
    condition.define_connect_stopper {|context, host| hosts.any? {|it| it === host } and word == "not 2" }
  end.call
"##
        ),
        "{shown}"
    );
}

#[test]
fn conditions_made_in_a_loop_keep_each_their_own_value() {
    let first = good(
        r#"["a", "host.example.com"].each_with_index do |name, at|
  define_applicable_condition("C#{at}") do |condition|
    condition.define_connect_stopper {|context, host| host == name }
  end
  define_milter("m#{at}") do |milter|
    milter.connection_spec = "unix:/m#{at}"
    milter.add_applicable_condition("C#{at}")
  end
end"#,
    );
    let second = again(&first);
    let mut visit = Visit::of(&second);
    assert_eq!(visit.ask_about(0, Stage::Connect), RUNS);
    assert!(matches!(visit.ask_about(1, Stage::Connect), Told::Stopped(..)));
}

#[test]
fn values_of_every_kind_are_written() {
    both_stop(
        r#"values = [nil, true, false, -5, 0.5, 1e100, -1.0 / 0.0, "a\n\"\#{b}\\ \e\u200b\x00ü", :sym, :"two words", (1..5),
  ("a"..."c"), (3..), {"k" => [1, {2 => :v}], s: nil}, /a\/b#{"\\d"}/mi, s25r, Regexp.new("x#\{")]
define_applicable_condition("C") do |c|
  c.define_connect_stopper {|context, host|
    values[3] == -5 && values[5] > 1e99 && values[6] < 0 && values[7].size == 13 && values[10].include?(5) &&
      values[13]["k"][1][2] == :v && values[14] =~ "A/B7" && values[15].white?("a", nil) != 5 }
end"#
            .replace("values[15].white?(\"a\", nil) != 5", "values[9].to_s == \"two words\"")
            .as_str(),
        true,
    );
}

#[test]
fn lambdas_that_a_stopper_uses_come_with_their_own_variables() {
    both_stop(
        r#"suffix = ".com"
limit = 3
ends = lambda {|host| host.end_with?(suffix) }
make = lambda {|prefix| ->(host) { host.start_with?(prefix) and limit == 3 } }
begins = make.call("host")
count = ->(n) { n > 10 ? n : count.call(n + 1) }
define_applicable_condition("C") do |c|
  c.define_connect_stopper {|context, host| ends.call(host) && begins.call(host) && count.call(1) == 11 }
end"#,
        true,
    );
}

#[test]
fn variables_with_the_same_name_are_not_mixed_up() {
    both_stop(
        r#"name = "host.example.com"
is_name = lambda {|host| host == name }
["other"].each do |condition|
  define_applicable_condition("C") do |c|
    [1].each {|name| c.define_connect_stopper {|context, host| is_name.call(host) && name == 1 && condition == "other" } }
  end
end"#,
        true,
    );
}

#[test]
fn a_symbol_for_a_block_and_a_block_with_do_are_written() {
    both_stop(
        "define_applicable_condition(\"C\") do |c|\n  c.define_connect_stopper(&:postfix?)\n  c.define_connect_stopper do |context, host| host == \"host.example.com\" end\nend",
        true,
    );
    both_stop(
        "test = -> context, host do host.empty? end\ndefine_applicable_condition(\"C\") {|c| c.define_connect_stopper {|context, host| test.call(context, host) } }",
        false,
    );
}

#[test]
fn the_knobs_of_built_in_conditions_are_shown_once_they_are_turned() {
    let untouched = good("define_milter(\"m\") {|m| m.add_applicable_condition(\"S25R\") }").show();
    assert!(!untouched.contains("s25r."), "{untouched}");
    let first = good(
        r#"s25r.add_whitelist("a.example.com")
s25r.add_whitelist(/\.example\.net\z/i)
start = "cpe"
s25r.add_blacklist {|host| host.start_with?(start) }
s25r.only_check_ipv4 = false
remote_network.add_local_address("203.0.113.0/24")
remote_network.add_remote_address("2001:db8::7")
stress.threshold_n_connections = 75
trust.add_envelope_from_domain("Example.com")
trust.add_envelope_from_domain(lambda {|domain| domain.size == 3 })
dnsbl.clear
dnsbl.add_service("zen.spamhaus.org", "127.0.0.2/31")
dnsbl.add_service("bl.example.com")
dnsbl.name_server = "192.0.2.53"
database.extra_options[:reconnect] = true
%w(S25R Trust DNSBL\ Listed).each_with_index do |name, at|
  define_milter("m#{at}") {|m| m.connection_spec = "unix:/m#{at}"; m.add_applicable_condition(name) }
end"#,
    );
    let shown = first.show();
    assert!(
        shown.contains(
            r#"database.extra_options["reconnect"] = true

dnsbl.clear
dnsbl.add_service("zen.spamhaus.org", "127.0.0.2/31")
dnsbl.add_service("bl.example.com")
remote_network.add_local_address("203.0.113.0/24")
remote_network.add_remote_address("2001:db8::7")
s25r.only_check_ipv4 = false
s25r.add_whitelist("a.example.com")
s25r.add_whitelist(/\.example\.net\z/i)
s25r.add_blacklist(lambda { start = "cpe"; proc {|host| host.start_with?(start) } }.call)
stress.threshold_n_connections = 75
trust.add_envelope_from_domain("example.com")
trust.add_envelope_from_domain(lambda {|domain| domain.size == 3 })

"#
        ),
        "{shown}"
    );
    let second = again(&first);
    let mut visit = Visit::of(&second);
    visit.client = crate::common::session::client("cpe.example.org", "192.0.2.7:1");
    assert!(!visit.stops(Stage::Connect));
}

#[test]
fn what_was_cleared_is_cleared_again() {
    again(&good("trust.clear\ntrust.add_envelope_from_domain(/a/)\ndnsbl.clear"));
    again(&good("trust.clear"));
}

#[test]
fn restricted_accounts_and_policies_come_back_as_calls() {
    let first = good(
        r#"define_milter("m") {|m| m.connection_spec = "unix:/m" }
define_milter("n") {|m| m.connection_spec = "unix:/n" }
ours = "example.org>"
restrict_accounts_by_list("to@example.org", [/@b\.example\z/], milters: ["m"])
restrict_accounts_generic(condition_name: "Ours", milters: ["n"]) {|context, to| to.end_with?(ours) }
define_policy("partners") do |policy|
  policy.milters = ["m", "n"]
  policy.host = /\.example\.com\z/
  policy.address = "198.51.100.0/24"
  policy.from = lambda {|from| from != ours }
end"#,
    );
    let second = again(&first);
    for configuration in [&first, &second] {
        let mut visit = Visit::of(configuration);
        for child in [0, 1] {
            assert_eq!(visit.ask_about(child, Stage::Connect), RUNS);
            assert_eq!(visit.ask_about(child, Stage::Rcpt), RUNS, "{}", configuration.show());
        }
        visit.recipient = b"<x@elsewhere.test>".to_vec();
        for child in [0, 1] {
            assert!(matches!(visit.ask_about(child, Stage::Rcpt), Told::Stopped(..)));
        }
    }
}

#[test]
fn a_built_in_condition_with_stoppers_of_its_own_stays_replaced() {
    let second = again(&good(
        "define_applicable_condition(\"S25R\") {|c| c.description = nil; c.define_connect_stopper { true } }\n\
         define_applicable_condition(\"Trust\") {|c| c.description = \"x\" }\n\
         define_milter(\"m\") {|m| m.connection_spec = \"unix:/m\"; m.applicable_conditions = [\"S25R\", \"Trust\"] }",
    ));
    assert!(matches!(Visit::of(&second).ask(Stage::Connect), Told::Stopped(name, _) if name == "S25R"));
}

#[test]
fn tables_are_read_again_from_their_files() {
    let directory =
        Directory::new(&[("clients.cidr", "192.0.2.0/24 OK\n"), ("from.regexp", "/^<from@/ HOLD\n")]);
    directory.write(
        "milter-manager.conf",
        br#"clients = Milter::Manager::PostfixCIDRTable.new
File.open("clients.cidr") {|file| clients.parse(file) }
senders = Milter::Manager::PostfixRegexpTable.new
File.open("from.regexp") {|file| senders.parse(file) }
define_applicable_condition("C") do |c|
  c.define_connect_stopper {|context, host, address| clients.find(address) != "OK" }
  c.define_envelope_from_stopper {|context, from| senders.find(from) == "HOLD" }
end
define_milter("m") {|m| m.connection_spec = "unix:/m"; m.add_applicable_condition("C") }
"#,
    );
    let loaded = directory.load();
    assert_eq!(listed(&loaded.problems), "");
    let mut visit = Visit::of(&again(&loaded.configuration));
    assert!(!visit.stops(Stage::Connect));
    assert!(visit.stops(Stage::Mail));
}

#[test]
fn what_has_no_form_as_code_is_told_and_marked() {
    let shown = site(
        "define_milter(\"x\") do |x|\n  define_applicable_condition(\"C\") do |c|\n    c.define_connect_stopper { x.nil? }\n  end\nend",
    )
    .shown();
    let lost = "test.conf:3: a stopper of condition \"C\" cannot be printed: a milter has no form as code in the variable x";
    assert_eq!(shown.lost, [lost]);
    assert!(shown.text.contains(&format!("  # {lost}\n")), "{}", shown.text);
}

#[test]
fn here_documents_are_written_where_they_end_within_the_block() {
    let within = "define_applicable_condition(\"C\") do |c|\n  c.define_connect_stopper do |context, host|\n    host == <<END.strip\n  host.example.com\nEND\n  end\nend";
    both_stop(within, true);
    let behind = "define_applicable_condition(\"C\") do |c|\n  c.define_connect_stopper {|context, host| host == <<END.strip }\nhost.example.com\nEND\nend";
    assert_eq!(
        site(behind).shown().lost,
        [
            "test.conf:2: a stopper of condition \"C\" cannot be printed: a block that is refused where it stands alone: syntax error: can't find string \"END\" anywhere before EOF"
        ]
    );
}

#[test]
fn a_stopper_with_a_mistake_is_not_printed_and_the_mistake_is_named() {
    let mistaken = "define_applicable_condition(\"C\") do |c|\n  c.define_connect_stopper {|context, host| host.shout }\nend";
    assert_eq!(
        text(mistaken).configuration.shown().lost,
        [
            "test.conf:2: a stopper of condition \"C\" cannot be printed: a block that is refused where it stands alone: `shout` is not supported on a string: host"
        ]
    );
}

/// The check at load knows more of a variable behind its value alone than in its file.
#[test]
fn what_a_variable_might_have_held_does_not_count_against_its_value() {
    let definition = "list = 5\nlist = [] if list == 6\ndefine_applicable_condition(\"C\") do |c|\n  \
                      c.define_connect_stopper { list == 5 or list.empty? }\nend";
    both_stop(definition, true);
    assert!(site(definition).show().contains("    list = [5].first\n"));
}

fn literal(text: &str) -> String {
    let escape = |c: char| match c {
        '"' | '\\' | '#' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{{{:x}}}", u32::from(c)),
        c => c.to_string(),
    };
    format!("\"{}\"", text.chars().map(escape).collect::<String>())
}

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        any::<String>().prop_map(|text| literal(&text)),
        any::<i32>().prop_map(|number| number.to_string()),
        any::<f32>()
            .prop_filter("a number", |number| number.is_finite())
            .prop_map(|number| format!("{number:?}")),
        Just("nil".to_owned()),
        Just("true".to_owned()),
        "[a-z_]{1,8}".prop_map(|name| format!(":sym_{name}")),
        "[a-z.]{0,8}".prop_map(|pattern| format!("/{pattern}/i")),
        Just("lambda {|x| x == first }".to_owned()),
        Just("->(x) { first }".to_owned()),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|all| format!("[{}]", all.join(", "))),
            prop::collection::vec((any::<i16>(), inner), 0..4).prop_map(|all| {
                let pairs: Vec<_> = all.iter().map(|(key, value)| format!("{key} => {value}")).collect();
                format!("{{{}}}", pairs.join(", "))
            }),
        ]
    })
}

fn piece() -> impl Strategy<Value = String> {
    let text = || any::<String>().prop_map(|text| literal(&text));
    prop_oneof![
        (text(), expression(), 0..3usize).prop_map(|(name, value, shape)| {
            let stopper = ["{ second }", "do |context| second.nil? end", "{|context, x| first == second }"][shape];
            format!(
                "second = {value}\ndefine_applicable_condition({name}) {{|it| it.define_connect_stopper {stopper} }}"
            )
        }),
        (text(), text()).prop_map(|(name, data)| {
            format!("define_applicable_condition({name}) {{|c| c.data = {data}; c.description = {data} }}")
        }),
        (text(), any::<bool>()).prop_map(|(name, enabled)| {
            format!("define_milter({name}) {{|m| m.enabled = {enabled}; m.add_applicable_condition(\"S25R\") }}")
        }),
        text().prop_map(|text| format!("s25r.add_whitelist({text})")),
        text().prop_map(|text| format!("trust.add_envelope_from_domain({text})")),
        text().prop_map(|text| format!("restrict_accounts_by_list({text}, /a/, condition_name: {text})")),
        (0..1000u32).prop_map(|number| format!("stress.threshold_n_connections = {number}")),
        (0..=32u8).prop_map(|bits| format!("remote_network.add_local_address(\"198.51.100.0/{bits}\")")),
        text().prop_map(|text| format!("database.name = {text}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn any_configuration_loads_again_to_the_same(
        first in expression(),
        pieces in prop::collection::vec(piece(), 0..8),
    ) {
        let source = format!("first = nil\nfirst = {first}\n{}\n", pieces.join("\n"));
        let loaded = crate::common::text(&source);
        prop_assume!(loaded.problems.is_empty());
        again(&loaded.configuration);
    }
}
