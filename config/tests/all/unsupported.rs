//! Ruby that is not supported: each is named with its place, and nothing of it is done.

use crate::common::{Directory, problem, text};

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
        (format!("File.write(\"{mark}\", \"\")"), "`write` is not supported on File: "),
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
    refused("database.name = File.read(\"/etc/passwd\")", 1, 22, "`read` is not supported on File: File");
    refused("database.name = Dir.pwd", 1, 17, "a Ruby class or constant is not supported: Dir");
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
fn loops() {
    refused("while true do end", 1, 1, "a loop is not supported: while true do end");
    refused("for x in [1] do end", 1, 1, "a loop is not supported: for x in [1] do end");
    refused("loop { }", 1, 1, "unknown name: loop { }");
}

#[test]
fn what_is_never_reached_is_refused_too() {
    refused("if false\n  x = ENV\nend", 2, 7, "a Ruby class or constant is not supported: ENV");
    refused("[].each {|x| nonsense }", 1, 14, "unknown name: nonsense");
    refused("x = lambda { \"a\".upcas }", 1, 18, "`upcas` is not supported on a string: \"a\"");
    refused("manager.n_workers = 1 if false && manager.nworkers", 1, 43, "unknown setting: manager.nworkers");
    assert_eq!(problem("x = 1 if nil.fetch(1)").message, "`fetch` is not supported on nil: nil");
}

#[test]
fn each_wrong_statement_of_a_block_is_told() {
    let source = "define_applicable_condition(\"c\") do |condition|\n  condition.define_data_stopper do |context|\n    \
                  if false\n      context.foo\n      ENV[\"x\"]\n    end\n    load \"x\"\n    context[1]\n  end\nend";
    let lines: Vec<_> = text(source).problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [4, 5, 7, 8]);
}

#[test]
fn other_values() {
    refused("@x = 1", 1, 1, "an instance or class variable is not supported: @x = 1");
    refused("a, b = 1, 2", 1, 1, "multiple assignment is not supported: a, b = 1, 2");
    refused("x = [*[1]]", 1, 6, "`*` or `**` before a value is not supported: *[1]");
    refused("begin\n 1\nrescue\n 2\nend", 2, 2, "`rescue` and `ensure` is not supported: 1 ...");
    refused("x = 1\nx.foo", 2, 3, "`foo` is not supported on a whole number: x");
}

#[test]
fn unknown_names_get_the_nearest_one_as_hint() {
    refused("\nload_defaults", 2, 1, "unknown name: load_defaults");
    assert_eq!(problem("load_defaults").hint.as_deref(), Some("did you mean load_default?"));
    assert!(problem("log.level = info").hint.unwrap().starts_with("strings need quotes"));
    // Three characters away from `log`, and nothing like it.
    assert!(problem("abc").hint.unwrap().starts_with("strings need quotes"));
}

/// As web pages and word processors have them.
#[test]
fn quotes_that_are_none_are_told() {
    let hint = problem("log.level = “info”").hint.unwrap();
    assert_eq!(hint, "these are no quotes for Ruby: write straight ones, \" or '");
}
