//! Ruby that is not supported: each is named with its place, and nothing of it is done.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use common::{Directory, problem, text};

#[track_caller]
fn refused(source: &str, line: u32, column: u32, message: &str) {
    let found = problem(source);
    assert_eq!(found.message, message);
    assert_eq!((found.line, found.column), (line, column), "{found}");
    assert!(found.hint.is_some(), "{found}");
}

#[test]
fn definitions() {
    refused("\n def foo\n 1\nend", 2, 2, "a method definition is not supported: def foo ...");
    refused("class Foo; end", 1, 1, "a class or module definition is not supported: class Foo; end");
    refused("module Foo\nend", 1, 1, "a class or module definition is not supported: module Foo ...");
    refused("class << self; end", 1, 1, "a class or module definition is not supported: class << self; end");
    refused("alias a b", 1, 1, "a method definition is not supported: alias a b");
    refused("BEGIN { x }", 1, 1, "`BEGIN` or `END` is not supported: BEGIN { x }");
    refused("A = 1", 1, 1, "a constant is not supported: A = 1");
}

#[test]
fn programs_are_not_run() {
    let directory = Directory::new(&[]);
    let mark = directory.file("mark");
    for (source, message) in [
        (format!("`touch {mark}`"), "running a program is not supported: "),
        (format!("%x(touch {mark})"), "running a program is not supported: "),
        (format!("system(\"touch {mark}\")"), "running a program is not supported: "),
        (format!("exec \"touch {mark}\""), "running a program is not supported: "),
        (format!("Kernel.system(\"touch {mark}\")"), "a Ruby class or constant is not supported: "),
        (format!("File.write(\"{mark}\", \"\")"), "a Ruby class or constant is not supported: "),
        (format!("IO.popen(\"touch {mark}\")"), "a Ruby class or constant is not supported: "),
        (format!("eval(\"system('touch {mark}')\")"), "eval is not supported: "),
        (format!("manager.instance_eval(\"`touch {mark}`\")"), "unknown setting: "),
        (format!("database.name = \"#{{`touch {mark}`}}\""), "running a program is not supported: "),
        (format!("manager.send(:system, \"touch {mark}\")"), "unknown setting: "),
    ] {
        let found = problem(&source);
        assert!(found.message.starts_with(message), "{found}");
    }
    assert!(!directory.path().join("mark").exists());
}

#[test]
fn the_outside_cannot_be_read() {
    refused("database.name = ENV[\"HOME\"]", 1, 17, "a Ruby class or constant is not supported: ENV");
    refused(
        "database.name = File.read(\"/etc/passwd\")",
        1,
        17,
        "a Ruby class or constant is not supported: File",
    );
    refused("database.name = Time.now.to_s", 1, 17, "a Ruby class or constant is not supported: Time");
    refused(
        "database.name = __FILE__",
        1,
        17,
        "`__FILE__`, `__LINE__` or `__ENCODING__` is not supported: __FILE__",
    );
    refused("database.name = $0", 1, 17, "a global variable is not supported: $0");
    refused("require \"yaml\"", 1, 1, "require is not supported: require \"yaml\"");
}

#[test]
fn decisions() {
    refused(
        "if true\n  manager.daemon = true\nend",
        1,
        1,
        "a condition (`if`, `unless`) is not supported: if true ...",
    );
    refused(
        "manager.daemon = true unless false",
        1,
        1,
        "a condition (`if`, `unless`) is not supported: manager.daemon = true unless false",
    );
    refused(
        "manager.daemon = true ? true : false",
        1,
        18,
        "a condition (`? :`) is not supported: true ? true : false",
    );
    refused("case 1\nwhen 1 then 2\nend", 1, 1, "`case` is not supported: case 1 ...");
    refused(
        "manager.daemon = (true && false)",
        1,
        19,
        "`and`, `or`, `&&`, `||` is not supported: true && false",
    );
    refused("while true do end", 1, 1, "a loop is not supported: while true do end");
    refused("loop { }", 1, 1, "unknown name: loop { }");
}

#[test]
fn other_values() {
    refused("x = /a+/i", 1, 5, "a regular expression is not supported: /a+/i");
    refused("x = (1..5)", 1, 6, "a range is not supported: 1..5");
    refused("x = ->(a) { a }", 1, 5, "a lambda is not supported: ->(a) { a }");
    refused("x = lambda {|a| a }", 1, 5, "a lambda is not supported: lambda {|a| a }");
    refused("@x = 1", 1, 1, "an instance or class variable is not supported: @x = 1");
    refused("a, b = 1, 2", 1, 1, "multiple assignment is not supported: a, b = 1, 2");
    refused("x = [*[1]]", 1, 6, "`*` or `**` before a value is not supported: *[1]");
    refused("begin\n 1\nrescue\n 2\nend", 1, 1, "`begin ... rescue` is not supported: begin ...");
    refused("x = 1\nx.abs", 2, 3, "`abs` is not supported on a whole number: 1");
}

#[test]
fn conditions_of_the_reference() {
    let source = "define_applicable_condition(\"X\") do |condition|\n  condition.define_connect_stopper do |context, host, address|\n    \
                  host =~ /x/\n  end\nend\nmanager.daemon = true";
    let found = problem(source);
    assert!(found.message.starts_with("define_applicable_condition is not supported yet: "), "{found}");
    assert!(text(source).configuration.manager.daemon);
    for line in [
        "s25r.add_whitelist(/x/)",
        "remote_network.add_local_address(\"10.0.0.0/8\")",
        "stress.threshold_n_connections = 5",
        "trust.clear",
        "restrict_accounts_by_list(\"a\")",
    ] {
        assert_eq!(text(line).problems.len(), 1, "{line}");
    }
    assert!(problem("trust.clear").message.starts_with("trust is not supported yet: "));
}

#[test]
fn unknown_names_get_the_nearest_one_as_hint() {
    refused("\nload_defaults", 2, 1, "unknown name: load_defaults");
    assert_eq!(problem("load_defaults").hint.as_deref(), Some("did you mean load_default?"));
    assert!(problem("log.level = info").hint.unwrap().starts_with("strings need quotes"));
}
