//! Our evaluator against a real Ruby: the same values, and the same refusals.

use std::env;
use std::io::{self, Write};
use std::process::{Command, Stdio};

use millstream_core::wire::Stage;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::common::session::{Told, Visit};
use crate::common::text;

/// Evaluates each line of its input and writes its value, or that there is none.
const HARNESS: &str = r#"
STDOUT.binmode
STDIN.each_line("\x00", chomp: true) do |source|
  value = begin
    "= " + eval("begin; #{source}\nend", TOPLEVEL_BINDING.dup).inspect
  rescue Exception => error
    "! #{error.class}"
  end
  STDOUT.write(value.b, "\x00")
end
"#;

/// What an expression gives: Ruby's `inspect`, or that it is refused.
#[derive(Debug, PartialEq)]
enum Given {
    Value(String),
    Refused(String),
}

#[test]
fn every_example_is_as_in_ruby() {
    let examples: Vec<_> = include_str!("ruby/expressions.txt")
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty() && !line.ends_with(" rescue 1"))
        .map(str::to_owned)
        .collect();
    assert!(examples.len() > 300);
    compare("every_example_is_as_in_ruby", &examples);
}

#[test]
fn every_example_of_a_construct_is_as_in_ruby() {
    let page = include_str!("../../../docs/language.md");
    let table = page.split("## Constructs").nth(1).unwrap().split("## Names").next().unwrap();
    let cells = table.lines().filter_map(|line| line.split(" | ").nth(1));
    let code = |cell: &str| -> Vec<String> {
        cell.split('`').skip(1).step_by(2).map(|code| code.replace("\\|", "|")).collect()
    };
    let examples: Vec<String> = cells
        .filter(|cell| !cell.contains("``"))
        .flat_map(code)
        // What Ruby itself does not have, and what has no value that can be compared.
        .filter(|code| {
            ![
                "Milter::Logger",
                "Proc.new {|x| x }",
                "->(x) { x }",
                "lambda {|x| x }",
                "proc {|x| x }",
                "lambda { return 1 }",
            ]
            .contains(&&**code)
        })
        .collect();
    assert!(examples.len() > 40, "{examples:?}");
    compare("every_example_of_a_construct_is_as_in_ruby", &examples);
}

/// A value of each kind that Ruby has, by the name of the kind on the page.
const SAMPLES: [(&str, &[&str]); 11] = [
    ("nil", &["nil"]),
    ("true or false", &["true", "false"]),
    ("a whole number", &["7", "-2", "0"]),
    ("a number", &["2.5", "-0.5"]),
    ("a string", &["\"aXb\"", "\"\"", "\"ä, b\\n\""]),
    ("a symbol", &[":a"]),
    ("an array", &["[3, 1, 2]", "[]", "[1, 1]"]),
    ("a hash", &["{a: 1, 7 => 2}", "{}"]),
    ("a range", &["(1..3)", "(3...3)"]),
    ("a regular expression", &["/X/"]),
    ("a match", &["\"aXb\".match(/(a)(?:X)(c)?/)"]),
];

/// Calls of every method of the page on every kind that Ruby has, with arguments of each kind that it takes.
fn calls_of_the_page() -> Vec<String> {
    let page = include_str!("../../../docs/language.md");
    let methods = page.split("\n## Methods\n").nth(1).unwrap();
    let samples =
        |kind: &str| SAMPLES.iter().find(|(name, _)| *name == kind).map_or(&[][..], |(_, samples)| samples);
    let mut calls = Vec::new();
    for section in methods.split("\n### On ").skip(1) {
        let (kind, table) = section.split_once('\n').unwrap();
        let receivers: Vec<&str> = match kind {
            "every value" => SAMPLES.iter().flat_map(|(_, samples)| *samples).copied().collect(),
            kind => samples(kind).to_vec(),
        };
        for line in table.lines().filter(|line| line.starts_with("| `")) {
            let line = line.replace("\\|", "\u{1}");
            let cells: Vec<_> = line.split('|').map(|cell| cell.trim().replace('\u{1}', "|")).collect();
            let name = cells[1].trim_matches('`').to_owned();
            let takes: Vec<_> =
                cells[2].split("; ").filter(|part| !part.is_empty() && *part != "...").collect();
            let block = if takes.contains(&"a block") { " {|x, y| x }" } else { "" };
            let arguments: Vec<Vec<&str>> = takes
                .iter()
                .filter(|part| !part.contains("a block") && !part.starts_with('['))
                .map(|part| match *part {
                    "anything" => vec!["7", "\"X\"", "nil"],
                    part => part
                        .split(" or ")
                        .flat_map(|kinds| kinds.split(", "))
                        .flat_map(samples)
                        .copied()
                        .collect(),
                })
                .collect();
            let lists: Vec<String> = match &arguments[..] {
                [] => vec![String::new()],
                [only] => only.iter().map(|argument| format!("({argument})")).collect(),
                [first, second, ..] => {
                    first.iter().flat_map(|a| second.iter().map(move |b| format!("({a}, {b})"))).collect()
                }
            };
            for receiver in &receivers {
                calls.extend(lists.iter().map(|list| format!("{receiver}.{name}{list}{block}")));
            }
        }
    }
    calls
}

#[test]
fn every_method_of_the_page_is_as_in_ruby() {
    let calls = calls_of_the_page();
    assert!(calls.len() > 500, "{}", calls.len());
    compare("every_method_of_the_page_is_as_in_ruby", &calls);
}

#[test]
fn generated_expressions_are_as_in_ruby() {
    compare("generated_expressions_are_as_in_ruby", &generated(any_value(), 1500));
}

#[test]
fn generated_regular_expressions_are_as_in_ruby() {
    let matched = (subject(), regexp(), prop_oneof![Just(""), Just("i"), Just("m"), Just("x")]).prop_map(
        |(text, regexp, flags)| {
            format!("({text} =~ /{regexp}/{flags}; $~ && [$~.to_a, $~.pre_match, $~.post_match])")
        },
    );
    compare("generated_regular_expressions_are_as_in_ruby", &generated(matched, 1500));
}

/// What a stopper and Ruby read off a clock, written alike by both.
const CLOCK: &str = "[t.year, t.month, t.day, t.hour, t.min, t.sec, t.wday, t.yday, t.to_i, t.saturday?, t.to_s, \
                     (22..23).include?(t.hour) || (0..6) === t.hour].join(\" \")";

#[test]
fn the_clock_in_this_time_zone_is_as_in_ruby() {
    // New year, leap days, and the hours around a change of summer time on both sides of the world.
    let moments = [
        0i64,
        951_782_399,
        1_078_012_800,
        1_700_000_000,
        1_711_846_799,
        1_711_846_800,
        1_730_611_800,
        1_730_615_400,
        1_735_689_599,
        1_735_689_600,
        1_743_868_800,
        1_759_593_600,
        2_000_000_000,
    ];
    let rubys: Vec<_> = moments.iter().map(|moment| format!("t = Time.at({moment}); {CLOCK}")).collect();
    let Some(rubys) = in_ruby("the_clock_in_this_time_zone_is_as_in_ruby", &rubys) else { return };
    for (moment, rubys) in moments.into_iter().zip(rubys) {
        let mut visit = Visit::with("data", &format!("t = Time.now; context[\"t\"] = {CLOCK}; false"));
        visit.environment.unix_seconds = moment;
        let Told::Runs(macros) = visit.ask(Stage::Data) else { panic!("stopped") };
        let [(_, ours)] = &macros[..] else { panic!("{:?}", visit.remarks) };
        assert_eq!(Given::Value(format!("{ours:?}")), rubys, "{moment} in {:?}", env::var_os("TZ"));
    }
}

#[test]
fn the_clock_is_as_in_ruby_in_other_time_zones() {
    for zone in ["America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Europe/Dublin"] {
        let done = Command::new(env::current_exe().unwrap())
            .args(["--exact", "ruby::the_clock_in_this_time_zone_is_as_in_ruby"])
            .env("TZ", zone)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && told.contains("1 passed"), "{zone}: {told}");
    }
}

/// Differences that the page of the language names: numbers of more than 64 bits, rational and complex ones, enumerators.
fn is_known(ours: &Given, rubys: &Given) -> bool {
    let (Given::Refused(why), Given::Value(value)) = (ours, rubys) else { return false };
    why.contains("the number is too large")
        || why.contains("the exponent should be")
        || why.contains("a power of a negative number")
        || value.starts_with("#<Enumerator")
}

#[track_caller]
fn compare(test: &str, expressions: &[String]) {
    let Some(rubys) = in_ruby(test, expressions) else { return };
    assert_eq!(rubys.len(), expressions.len());
    let mut wrong = Vec::new();
    for (expression, rubys) in expressions.iter().zip(rubys) {
        let ours = evaluate(expression);
        let same = match (&ours, &rubys) {
            (Given::Refused(_), Given::Refused(_)) => true,
            (ours, rubys) => ours == rubys || is_known(ours, rubys),
        };
        if !same {
            wrong.push(format!("{expression}\n    ours {ours:?}\n    Ruby {rubys:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), expressions.len(), wrong.join("\n"));
}

fn evaluate(expression: &str) -> Given {
    let loaded = text(&format!("database.name = (begin; {expression}\nend).inspect"));
    match (loaded.problems.first(), loaded.configuration.database.name) {
        (Some(problem), _) => Given::Refused(problem.message.clone()),
        (None, name) => Given::Value(name.unwrap()),
    }
}

/// `None`: there is no Ruby, which has been told.
fn in_ruby(test: &str, expressions: &[String]) -> Option<Vec<Given>> {
    let started = Command::new("ruby")
        .args(["-W0", "-E", "UTF-8:UTF-8", "-e", HARNESS])
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn();
    let Ok(mut ruby) = started else {
        let why = format!("SKIPPED: {test}: needs ruby");
        assert!(env::var_os("CI").is_none(), "{why}");
        // Past cargo's capture, where ./check collects it.
        let _ = io::stderr().lock().write_all(format!("{why}\n").as_bytes());
        return None;
    };
    let mut input = ruby.stdin.take().unwrap();
    let all = expressions.join("\0") + "\0";
    let writer = std::thread::spawn(move || input.write_all(all.as_bytes()));
    let output = ruby.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let given = text.split_terminator('\0').map(|line| match line.split_at(2) {
        ("= ", value) => Given::Value(value.to_owned()),
        (_, class) => Given::Refused(class.to_owned()),
    });
    Some(given.collect())
}

/// Always the same ones, so that a failure comes again.
fn generated(strategy: impl Strategy<Value = String>, count: usize) -> Vec<String> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

/// An expression of a known kind, so that what is refused is refused for its value.
fn any_value() -> BoxedStrategy<String> {
    prop_oneof![number(3), string(3), truth(3), list(3)].boxed()
}

fn number(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        (-20i64..20).prop_map(|number| format!("({number})")),
        Just("7.5".to_owned()),
        Just("(-0.5)".to_owned()),
        Just("1_000_000_007".to_owned()),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    let inner = number(depth - 1);
    prop_oneof![
        2 => leaf,
        3 => (inner.clone(), prop::sample::select(vec!["+", "-", "*", "/", "%"]), inner.clone())
            .prop_map(|(a, operator, b)| format!("({a} {operator} {b})")),
        1 => string(depth - 1).prop_map(|text| format!("{text}.size")),
        1 => string(depth - 1).prop_map(|text| format!("{text}.to_i")),
        1 => string(depth - 1).prop_map(|text| format!("{text}.to_f")),
        1 => list(depth - 1).prop_map(|list| format!("{list}.size")),
        1 => (truth(depth - 1), inner.clone(), inner.clone()).prop_map(|(test, a, b)| format!("({test} ? {a} : {b})")),
        1 => inner.prop_map(|a| format!("{a}.abs")),
    ]
    .boxed()
}

fn string(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop::sample::select(vec![
        "\"\"",
        "\"a\"",
        "\"Ab c\"",
        "\" x,y,, \"",
        "\"12ab\"",
        "\"-7.5e1\"",
        "\"ä日\"",
        "\"a\\nb\\n\"",
        "\"<u@h.example>\"",
        "'#{x}\\n'",
        "\"\\t\\\"\\\\\"",
    ])
    .prop_map(str::to_owned);
    if depth == 0 {
        return leaf.boxed();
    }
    let inner = string(depth - 1);
    let method = prop::sample::select(vec![
        "upcase",
        "downcase",
        "strip",
        "lstrip",
        "rstrip",
        "chomp",
        "chop",
        "reverse",
        "capitalize",
        "inspect",
        "to_s",
        "split.join(\"-\")",
        "chars.last.to_s",
        "lines.first.to_s",
        "to_sym.to_s",
        "chars.sort.join",
        "chars.uniq.join",
    ]);
    let index = prop::sample::select(vec![
        "[0]",
        "[-1]",
        "[1, 2]",
        "[-2, 5]",
        "[1..]",
        "[0...-1]",
        "[2..-2]",
        "[\"a\"]",
        "[/[a-z]+/]",
        "[5]",
    ]);
    prop_oneof![
        2 => leaf,
        3 => (inner.clone(), method).prop_map(|(text, method)| format!("{text}.{method}")),
        2 => (inner.clone(), index).prop_map(|(text, index)| format!("{text}{index}.to_s")),
        2 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} + {b})")),
        1 => (inner.clone(), 0..4).prop_map(|(a, times)| format!("({a} * {times})")),
        1 => (inner.clone(), number(depth - 1)).prop_map(|(a, b)| format!("\"#{{{a}}}#{{{b}}}\"")),
        1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}.gsub({b}, \"<\\\\0>\")")),
        1 => (inner.clone(), inner).prop_map(|(a, b)| format!("{a}.sub(/[[:alpha:]]/) {{|c| c + {b} }}")),
        1 => list(depth - 1).prop_map(|list| format!("{list}.join(\",\")")),
    ]
    .boxed()
}

fn truth(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop::sample::select(vec!["true", "false", "nil", "0", "\"\""]).prop_map(str::to_owned);
    if depth == 0 {
        return leaf.boxed();
    }
    let inner = truth(depth - 1);
    let test = prop::sample::select(vec![
        "empty?",
        "include?(\"a\")",
        "start_with?(\"a\", \"1\")",
        "end_with?(\"b\")",
        "nil?",
    ]);
    prop_oneof![
        1 => leaf,
        2 => (inner.clone(), prop::sample::select(vec!["&&", "||", "==", "!="]), inner.clone())
            .prop_map(|(a, operator, b)| format!("({a} {operator} {b})")),
        1 => inner.prop_map(|a| format!("(not {a})")),
        2 => (number(depth - 1), prop::sample::select(vec!["<", "<=", ">", ">=", "==", "<=>"]), number(depth - 1))
            .prop_map(|(a, operator, b)| format!("({a} {operator} {b})")),
        2 => (string(depth - 1), test).prop_map(|(text, test)| format!("{text}.{test}")),
        1 => (string(depth - 1), string(depth - 1)).prop_map(|(a, b)| format!("({a} <=> {b})")),
        1 => list(depth - 1).prop_map(|list| format!("{list}.any? {{|x| x == 1 or x.to_s =~ /a/ }}")),
    ]
    .boxed()
}

fn list(depth: u32) -> BoxedStrategy<String> {
    let leaf =
        prop::sample::select(vec!["[]", "[1, 2, 1]", "%w(a b a)", "[nil, 1.0, 1, \"a\"]", "(1..4).to_a"])
            .prop_map(str::to_owned);
    if depth == 0 {
        return leaf.boxed();
    }
    let inner = list(depth - 1);
    let method = prop::sample::select(vec![
        "reverse",
        "uniq",
        "compact",
        "first(2)",
        "last(2)",
        "map {|x| x.inspect }",
        "select {|x| x }",
        "reject {|x| x == 1 }",
        "[1..]",
        "[0, 2].to_a",
        "flatten",
        "dup",
        "each_with_index.to_a.flatten",
        "sort_by {|x| x.inspect }",
    ]);
    let method = method.prop_filter("has a block", |method| !method.starts_with("each_with_index"));
    prop_oneof![
        2 => leaf,
        3 => (inner.clone(), method).prop_map(|(list, method)| format!("{list}.{method}")),
        2 => (inner.clone(), prop::sample::select(vec!["+", "-", "&", "|"]), inner)
            .prop_map(|(a, operator, b)| format!("({a} {operator} {b})")),
        1 => (string(depth - 1), prop::sample::select(vec!["split", "split(\",\")", "split(\"\")", "split(/[a,]/)", "split(/(b)/, 2)", "chars", "lines"]))
            .prop_map(|(text, method)| format!("{text}.{method}")),
        1 => prop::collection::vec(number(depth - 1), 0..3).prop_map(|parts| format!("[{}]", parts.join(", "))),
    ]
    .boxed()
}

fn subject() -> BoxedStrategy<String> {
    let piece = prop::sample::select(vec![
        "a", "b", "ab", "B", "1", "22", "-", ".", " ", "\\n", "ä", "日", "_", "@", "\\t",
    ]);
    prop::collection::vec(piece, 0..7).prop_map(|pieces| format!("\"{}\"", pieces.concat())).boxed()
}

fn regexp() -> BoxedStrategy<String> {
    let atom = prop::sample::select(vec![
        "a",
        "b",
        "B",
        "1",
        "-",
        "\\.",
        ".",
        "\\d",
        "\\w",
        "\\s",
        "\\h",
        "\\D",
        "\\W",
        "\\S",
        "[ab]",
        "[^a]",
        "[a-c\\d]",
        "[^\\w]",
        "[[:alpha:]]",
        "[^[:digit:]]",
        "[a&&[ab]]",
        "ä",
        "日",
        "\\n",
        "\\x61",
        "\\u00e4",
        "_",
        "@",
    ])
    .prop_map(str::to_owned);
    let anchor = prop::sample::select(vec!["^", "$", "\\A", "\\z", "\\b", "\\B"]).prop_map(str::to_owned);
    let count = prop::sample::select(vec![
        "", "", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{,1}", "{1,}?",
    ]);
    let repeated = (atom.clone(), count.clone()).prop_map(|(atom, count)| format!("{atom}{count}"));
    let sequence =
        prop::collection::vec(prop_oneof![5 => repeated, 1 => anchor], 1..4).prop_map(|parts| parts.concat());
    // What is repeated is not empty itself, where engines differ about the last round.
    let group = (sequence.clone(), sequence.clone(), prop::sample::select(vec!["(", "(?:", "(?i:", "(?m:"]))
        .prop_map(|(a, b, open)| format!("{open}{a}|{b})"));
    let repeated_group = (atom, prop::sample::select(vec!["(", "(?:"]), count)
        .prop_map(|(atom, open, count)| format!("{open}{atom}){count}"));
    prop::collection::vec(prop_oneof![2 => sequence, 1 => group, 1 => repeated_group], 1..4)
        .prop_map(|parts| parts.concat())
        .boxed()
}
