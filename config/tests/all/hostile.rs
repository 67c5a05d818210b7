//! Inputs made to break the loader end in problems, soon.

use std::time::{Duration, Instant};

use crate::common::{Directory, text};

#[track_caller]
fn survives(source: &str) -> Vec<millstream_config::Problem> {
    let start = Instant::now();
    let problems = text(source).problems;
    assert!(start.elapsed() < Duration::from_secs(60), "took {:?}", start.elapsed());
    problems
}

#[track_caller]
fn refused(source: &str, message: &str) {
    let problems = survives(source);
    assert_eq!(problems.len(), 1, "{}", crate::common::listed(&problems));
    assert!(problems[0].message.starts_with(message), "{}", problems[0]);
}

const N: usize = 100_000;

#[test]
fn deep_brackets() {
    refused(&format!("x = {}{}", "[".repeat(N), "]".repeat(N)), "nested too deep");
    refused(&format!("x = {}1{}", "(".repeat(N), ")".repeat(N)), "nested too deep");
    refused(&format!("x = {}1{}", "{1=>".repeat(N), "}".repeat(N)), "nested too deep");
    assert!(!survives(&"[".repeat(N)).is_empty());
    assert!(!survives(&"]".repeat(N)).is_empty());
}

#[test]
fn deep_operators_and_chains() {
    for source in [
        format!("x = {}1", "!".repeat(N)),
        format!("x = {}a", "-".repeat(N)),
        format!("x = 1{}", "+1".repeat(N)),
        format!("x = manager{}", ".a".repeat(N)),
        format!("{}1", "a=".repeat(N)),
        format!("x = 1{}", "[1]".repeat(N)),
        format!("x = {}", "not ".repeat(N) + "1"),
        format!("x = 1{}", " if 1".repeat(N)),
    ] {
        assert_eq!(survives(&source).len(), 1);
    }
}

#[test]
fn deep_blocks_and_interpolation() {
    assert!(!survives(&format!("{}{}", "a{".repeat(N), "}".repeat(N))).is_empty());
    refused(&format!("{}{}", "if 1;".repeat(N), "end;".repeat(N)), "nested too deep");
    refused(&format!("x={}{}", "\"#{".repeat(N), "}\"".repeat(N)), "nested too deep");
    assert!(!survives(&"begin;".repeat(N)).is_empty());
    assert!(!survives(&"<<A;".repeat(1000)).is_empty());
}

#[test]
fn many_boolean_operators() {
    refused(&format!("x = 1{}", "&&1".repeat(N)), "more than 2000 ");
    refused(&format!("x = 1{}", " or 1".repeat(N)), "more than 2000 ");
    refused(&format!("x = (1{})", "&&1".repeat(1900)), "nested too deep");
}

#[test]
fn updates_in_updates() {
    let source = format!("a = {{}}\nx = {}1{}", "a[".repeat(90), "] ||= 1".repeat(90));
    assert!(survives(&source).is_empty());
}

#[test]
fn lambdas_that_hold_each_other() {
    let source = "f = nil; 100_000.times { g = f; f = [lambda { g }] }; h = nil; h = lambda { h }";
    assert!(survives(source).is_empty());
}

#[test]
fn huge_numbers() {
    refused(&format!("x = {}", "9".repeat(N)), "the number is too large: 9999");
    refused("x = 0xffffffffffffffffff", "the number is too large");
    refused("x = 1e999", "the number is too large");
    refused("x = 9223372036854775807 + 1", "the number is too large");
    refused("x = -9223372036854775808\ny = -x", "the number is too large");
    refused("manager.max_connections = 4294967296", "manager.max_connections should be");
}

#[test]
fn control_characters_that_would_end_the_program() {
    for character in ['\0', '\u{4}', '\u{1a}'] {
        let problems = survives(&format!("manager.daemon = true\n{character}\nmanager.pid_file = 5"));
        assert_eq!(problems.len(), 1);
        assert!(problems[0].message.starts_with("a control character in the file: 0x"), "{}", problems[0]);
        assert_eq!((problems[0].line, problems[0].column), (2, 1));
    }
    refused("manager.pid_file = \"a\\0b\"", "manager.pid_file should be a string without NUL");
    refused("manager.connection_spec = \"unix:a\\0b\"", "the connection spec has a NUL");
    refused("load(\"a\\0b\")", "a\0b doesn't exist.");
}

#[test]
fn invalid_utf8() {
    let directory = Directory::new(&[]);
    directory
        .write("milter-manager.conf", b"# caf\xe9\nmanager.pid_file = \"a\xff\"\nmanager.daemon = true\n");
    let loaded = directory.load();
    assert_eq!(loaded.problems.len(), 1, "{}", crate::common::listed(&loaded.problems));
    assert_eq!(loaded.problems[0].message, "the text is not valid UTF-8");
    assert_eq!((loaded.problems[0].line, loaded.problems[0].column), (2, 20));
    assert!(loaded.configuration.manager.daemon);
    refused("x = \"\\xff\"", "the text is not valid UTF-8");
}

#[test]
fn a_file_that_is_too_large() {
    let directory = Directory::new(&[("milter-manager.conf", &"#".repeat((1 << 20) + 1))]);
    assert!(directory.load().problems[0].message.starts_with("the file is too large: "));
}

#[test]
fn a_large_file_of_settings_loads() {
    let source = "manager.pid_file = \"/run/x\"\n".repeat(30_000);
    assert!(survives(&source).is_empty());
}

#[test]
fn steps_are_bounded() {
    let source = "a = %w(1 2 3 4 5 6 7 8 9 0)\n".to_owned()
        + &"a.each {|x| ".repeat(12)
        + "manager.daemon = true"
        + &"}".repeat(12)
        + "\nmanager.pid_file = \"/x\"";
    refused(&source, "the configuration takes more than 2000000 steps");
}

#[test]
fn texts_are_bounded() {
    let source = format!("x = \"{}\"\n{}", "a".repeat(1000), "x += x\n".repeat(40));
    refused(&source, "the text is too long: ");
}

#[test]
fn arrays_are_bounded_and_never_in_themselves() {
    refused("a = []\na << a", "arrays and hashes in each other");
    refused("a = []\nb = [a]\na << b", "arrays and hashes in each other");
    refused("h = {}\nh[:a] = h", "arrays and hashes in each other");
    refused(&format!("a = []\n{}", "a = [a]\n".repeat(1000)), "arrays and hashes in each other");
    assert!(!survives(&format!("a = [1]\n{}", "a = [a, a]\n".repeat(60))).is_empty());
    refused(&format!("a = [1]\n{}", "a += a\n".repeat(60)), "the configuration takes more than");
}

#[test]
fn problems_are_bounded() {
    assert_eq!(survives(&"x y z\nfoo\n".repeat(10_000)).len(), 200);
}

#[test]
fn odd_bytes_never_panic() {
    // A small generator of its own, so that the same inputs come every time.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let words = [
        "define_milter(\"a\") do |m|",
        "end",
        "\n",
        "m.",
        "x",
        " = ",
        "\"#{",
        "}\"",
        "[",
        "]",
        "{",
        "}",
        "|",
        "%w(",
        ")",
        "\\",
        "'",
        "/",
        "<<A",
        "A",
        "1",
        "e",
        "0x",
        "?",
        ":",
        "::",
        "=>",
        ",",
        "é",
        "\u{feff}",
        "@",
        "$",
        "`",
        "manager",
        "__END__",
        "=begin",
        "=end",
    ];
    for _ in 0..3000 {
        let mut source = String::new();
        for _ in 0..12 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            source.push_str(words[usize::try_from(state >> 33).unwrap() % words.len()]);
        }
        for problem in text(&source).problems {
            assert!(!problem.message.contains("parser failed"), "{source:?}");
            let _ = problem.to_string();
        }
    }
}

#[test]
fn a_fault_in_the_parser_is_a_problem() {
    refused("/-}if 2i{;%w(\\x**\"#{::<<~Aand\\x..1return;'", "the file cannot be parsed: the parser failed");
}
