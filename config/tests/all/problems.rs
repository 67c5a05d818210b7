//! How problems look, and that all of them are told.

use crate::common::{Directory, problem, text};

#[test]
fn a_problem_shows_place_line_mark_and_hint() {
    let found = problem("# x\n\tmanager.max_conections = 5 # y");
    assert_eq!(
        found.to_string(),
        "test.conf:2:10: unknown setting: manager.max_conections\n    \tmanager.max_conections = 5 # y\n    \t        ^\n    \
         hint: did you mean manager.max_connections?"
    );
}

#[test]
fn columns_are_counted_in_characters() {
    let found = problem("database.name = \"日本\" + 5");
    assert_eq!(found.column, 22);
    assert_eq!(found.to_string().lines().nth(2).unwrap().chars().count(), 4 + 22);
}

#[test]
fn a_syntax_error_is_a_problem_and_nothing_of_the_file_is_used() {
    let loaded = text("manager.daemon = true\nmanager.pid_file = )\n");
    assert_eq!(loaded.problems.len(), 1);
    assert!(loaded.problems[0].message.starts_with("syntax error: "), "{}", loaded.problems[0]);
    assert_eq!((loaded.problems[0].line, loaded.problems[0].column), (2, 20));
    assert_eq!(loaded.problems[0].source_line.as_deref(), Some("manager.pid_file = )"));
    assert!(!loaded.configuration.manager.daemon);
}

#[test]
fn what_is_not_closed_is_hinted_at() {
    let found = problem("define_milter(\"x\") do |m|\n  m.enabled = true\n");
    assert!(found.hint.unwrap().contains("`end`"));
    assert!(!text("database.name = \"abc\n").problems.is_empty());
}

#[test]
fn all_problems_of_all_files_are_told_in_order() {
    let directory = Directory::new(&[
        (
            "milter-manager.conf",
            "manager.x = 1\nload \"a.conf\"\nmanager.daemon = 5\nload \"b.conf\"\nmanager.pid_file = \"/x\"",
        ),
        ("a.conf", "log.level = \"loud\"\n\nsystem(\"x\")\n"),
        ("b.conf", "((("),
    ]);
    let loaded = directory.load();
    let places: Vec<_> = loaded
        .problems
        .iter()
        .map(|problem| (problem.file.rsplit('/').next().unwrap().to_owned(), problem.line))
        .collect();
    let expected =
        [("milter-manager.conf", 1), ("a.conf", 1), ("a.conf", 3), ("milter-manager.conf", 3), ("b.conf", 1)];
    assert_eq!(places, expected.map(|(file, line)| (file.to_owned(), line)));
    assert_eq!(loaded.configuration.manager.pid_file.as_deref(), Some("/x"));
}

#[test]
fn an_encoding_comment_is_refused() {
    let found = problem("# -*- coding: euc-jp -*-\nmanager.daemon = true");
    assert!(found.message.contains("euc-jp"), "{found}");
}

#[test]
fn wrong_numbers_of_arguments() {
    assert_eq!(problem("load").message, "load takes 1 argument but got 0");
    assert_eq!(problem("load \"a\", \"b\"").message, "load takes 1 argument but got 2");
    assert_eq!(problem("load_default \"a\"").message, "load_default takes no arguments");
    assert_eq!(problem("load 5").message, "the argument of load should be a string but was 5");
}

#[test]
fn a_very_long_line_is_cut_or_left_out() {
    let long = "x".repeat(1000);
    let found = problem(&format!("manager.foo = \"{long}\""));
    assert!(found.source_line.unwrap().len() < 300);
    assert_eq!(problem(&format!("database.name = \"{long}\" + 5")).source_line, None);
}
