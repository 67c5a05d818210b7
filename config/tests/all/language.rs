//! Literals, variables, operators and blocks.

use crate::common::{good, problem, text};

/// The value of an expression, as a setting shows it.
#[track_caller]
fn value(expression: &str) -> String {
    good(&format!("database.name = {expression}")).database.name.unwrap()
}

#[test]
fn strings() {
    assert_eq!(value(r#""a""#), "a");
    assert_eq!(value(r"'a\n'"), "a\\n");
    assert_eq!(value(r#""\"\\\n\t\e\u00e9\x41\101\#{x}""#), "\"\\\n\t\u{1b}\u{e9}AA#{x}");
    assert_eq!(value(r#""a" "b" 'c'"#), "abc");
    assert_eq!(value(r#""a" + "b" + 'c'"#), "abc");
    assert_eq!(value("%q(a 'b')"), "a 'b'");
    assert_eq!(value("\"日本語\""), "日本語");
    assert_eq!(value("<<~END\n  a\n    b\nEND"), "a\n  b\n");
}

#[test]
fn interpolation() {
    assert_eq!(
        good("x = \"s\"\nn = 5\ndatabase.name = \"day#{x}-#{n}-#{:sym}-#{nil}-#{1.50}\"")
            .database
            .name
            .unwrap(),
        "days-5-sym--1.5"
    );
    let found = problem("database.name = \"a#{[1]}\"");
    assert_eq!(found.message, "an array cannot be put into a string: [1]");
}

#[test]
fn integers() {
    let number =
        |written: &str| good(&format!("manager.max_connections = {written}")).manager.max_connections;
    assert_eq!(number("0600"), 384);
    assert_eq!(number("0o17"), 15);
    assert_eq!(number("0x1F"), 31);
    assert_eq!(number("0b101"), 5);
    assert_eq!(number("0d10"), 10);
    assert_eq!(number("1_000"), 1000);
    assert_eq!(number("+5"), 5);
    assert_eq!(number("-5 + 7"), 2);
    assert_eq!(number("2 * 60 - 20"), 100);
    assert_eq!(number("(2)"), 2);
}

#[test]
fn local_variables_and_updates() {
    let configuration = good("x = \"a\"\nx += \"b\"\ny = nil\ny ||= x\nz ||= \"c\"\ndatabase.name = y + z");
    assert_eq!(configuration.database.name.as_deref(), Some("abc"));
}

#[test]
fn arrays_are_shared_and_grow() {
    let configuration = good(
        "a = [\"x\", \"y\",]\nb = a\nb << \"z\"\na += [\"w\"]\ndatabase.name = a.join(\",\")\ndatabase.host = b.join(\",\")",
    );
    assert_eq!(configuration.database.name.as_deref(), Some("x,y,z,w"));
    assert_eq!(configuration.database.host.as_deref(), Some("x,y,z"));
}

#[test]
fn nested_arrays_words_and_indexes() {
    assert_eq!(value("[[\"a\", \"b\"], [\"c\"]][0][-1]"), "b");
    assert_eq!(value("%w(a b c).join(\" \")"), "a b c");
    assert_eq!(value("%i(a b)[1].to_s"), "b");
}

#[test]
fn hashes() {
    assert_eq!(value("{\"a\" => \"x\", b: \"y\"}[:b]"), "y");
    assert_eq!(
        good("h = {}\nh[:k] = \"v\"\nh[:k] ||= \"w\"\nh[:l] ||= \"z\"\ndatabase.name = h[:k] + h[:l]")
            .database
            .name
            .unwrap(),
        "vz"
    );
    assert_eq!(good("database.name = {a: 1}[:missing]").database.name, None);
}

#[test]
fn each_runs_a_block_for_every_element() {
    let configuration = good(
        "base = \"unix:/run/\"\n%w(one two).each do |name|\n  define_milter(name) do |milter|\n    \
         milter.connection_spec = base + name\n  end\nend",
    );
    let specs: Vec<_> = configuration.milters.iter().map(|m| m.connection_specs[0].to_string()).collect();
    assert_eq!(specs, ["unix:/run/one", "unix:/run/two"]);
}

#[test]
fn each_takes_inner_arrays_apart() {
    let configuration =
        good("[[\"a\", 5], [\"b\", 6]].each {|name, n| manager.max_connections = n; database.name = name }");
    assert_eq!(configuration.database.name.as_deref(), Some("b"));
    assert_eq!(configuration.manager.max_connections, 6);
}

#[test]
fn a_block_changes_outer_variables_and_keeps_its_own() {
    let configuration = good("x = \"\"\n[\"a\", \"b\"].each {|c| x += c; y = c }\ndatabase.name = x");
    assert_eq!(configuration.database.name.as_deref(), Some("ab"));
}

#[test]
fn comments_mode_line_and_end_of_program() {
    let configuration =
        good("# -*- ruby -*-\n\n# comment\ndatabase.name = \"a\" # more\n__END__\nnonsense(((");
    assert_eq!(configuration.database.name.as_deref(), Some("a"));
}

#[test]
fn kinds_that_do_not_join() {
    assert_eq!(
        problem("database.name = \"a\" + 1").message,
        "`+` cannot join a string and a whole number: \"a\" + 1"
    );
    assert_eq!(
        problem("database.name = nil + \"a\"").message,
        "`+` cannot join nil and a string: nil + \"a\""
    );
}

#[test]
fn a_failed_variable_makes_no_second_problem() {
    let loaded =
        text("x = unknown_thing\ndatabase.name = x\ndatabase.host = \"#{x}\"\ndatabase.user = \"u\"");
    assert_eq!(loaded.problems.len(), 1);
    assert_eq!(loaded.configuration.database.user.as_deref(), Some("u"));
}

#[test]
fn the_target_of_an_update_is_evaluated_once() {
    let configuration =
        good("a = [{n: 1}]\nk = []\n(k << 1; a)[0][:n] += 5\nmanager.n_workers = a[0][:n] + k.size");
    assert_eq!(configuration.manager.n_workers, 7);
}
