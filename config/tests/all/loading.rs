//! Which files are loaded, in which order, and what happens when they are not there.

use std::path::PathBuf;

use millstream_config::{LoadOptions, Overrides, load};

use crate::common::{Directory, listed, text};

/// A file that appends its name to `database.name`.
fn trace(name: &str) -> String {
    format!("database.name = \"#{{database.name}} {name}\"\n")
}

fn order(main: &str, others: &[&str]) -> String {
    let texts: Vec<_> = others.iter().map(|name| (*name, trace(name))).collect();
    let mut files: Vec<_> = texts.iter().map(|(name, text)| (*name, text.as_str())).collect();
    files.push(("milter-manager.conf", main));
    let loaded = Directory::new(&files).load();
    assert!(loaded.problems.is_empty(), "{}", listed(&loaded.problems));
    loaded.configuration.database.name.unwrap_or_default()
}

#[test]
fn a_pattern_loads_its_files_sorted() {
    assert_eq!(
        order("load(\"c/*.conf\")", &["c/b.conf", "c/a.conf", "c/.hidden.conf", "c/c.txt"]),
        " c/a.conf c/b.conf"
    );
    assert_eq!(
        order("load(\"c/[ab]?.conf\")", &["c/b1.conf", "c/a1.conf", "c/c1.conf"]),
        " c/a1.conf c/b1.conf"
    );
}

#[test]
fn a_directory_loads_the_files_in_it_sorted() {
    assert_eq!(order("load \"c\"", &["c/b", "c/a", "c/d/x"]), " c/a c/b");
}

#[test]
fn a_file_is_loaded_where_the_line_stands() {
    let main = format!("load 'a.conf'\n{}load 'b.conf'\n", trace("main"));
    assert_eq!(order(&main, &["a.conf", "b.conf"]), " a.conf main b.conf");
}

#[test]
fn the_first_directory_with_a_file_wins_and_a_pattern_is_matched_in_all() {
    let one = Directory::new(&[("x.conf", &trace("one"))]);
    let two = Directory::new(&[
        ("x.conf", &trace("two")),
        ("x.local", &trace("local")),
        ("milter-manager.conf", "load(\"x.conf\")\nload(\"x.*\")"),
    ]);
    let dirs = vec![one.path().to_owned(), two.path().to_owned(), two.path().to_owned()];
    let loaded = load(&LoadOptions { config_dirs: dirs, ..LoadOptions::default() });
    assert!(loaded.problems.is_empty(), "{}", listed(&loaded.problems));
    assert_eq!(loaded.configuration.database.name.as_deref(), Some(" one one local"));
}

#[test]
fn an_absolute_path_is_that_file() {
    let other = Directory::new(&[("x.conf", &trace("x"))]);
    assert_eq!(order(&format!("load(\"{}\")", other.file("x.conf")), &[]), " x");
}

#[test]
fn a_missing_file_is_a_problem_and_the_rest_is_loaded() {
    let loaded = text("load(\"other-conditions/*.conf\")\nload(\"/no/such/file\")\ndatabase.name = \"x\"");
    let messages: Vec<_> = loaded.problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(messages, ["other-conditions/*.conf doesn't exist.", "/no/such/file doesn't exist."]);
    assert_eq!((loaded.problems[0].line, loaded.problems[0].column), (1, 6));
    assert_eq!(loaded.configuration.database.name.as_deref(), Some("x"));
}

#[test]
fn load_if_exist_forgives_its_own_file_only() {
    let directory = Directory::new(&[
        ("milter-manager.conf", "manager.daemon = load_if_exist(\"no.conf\")\nload_if_exist(\"a.conf\")"),
        ("a.conf", "load \"b.conf\""),
    ]);
    let problems = directory.load().problems;
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].message, "b.conf doesn't exist.");
    assert_eq!(problems[0].file, directory.file("a.conf"));
}

#[test]
fn load_default_loads_the_file_of_the_platform() {
    assert_eq!(
        order("package.platform = \"p1\"\nload_default", &["defaults/p1.conf", "defaults/p2.conf"]),
        " defaults/p1.conf"
    );
    assert_eq!(order("package.platform = \"p3\"\nload_default", &["defaults/p1.conf"]), "");
    assert_eq!(order("package.platform = nil\nload_default", &["defaults/p1.conf"]), "");
}

#[test]
fn the_main_file_is_missing() {
    let options = LoadOptions {
        config_dirs: vec![PathBuf::from("/no/a"), PathBuf::from("/no/b")],
        ..LoadOptions::default()
    };
    let loaded = load(&options);
    assert_eq!(
        loaded.problems[0].to_string().lines().next().unwrap(),
        "milter-manager.conf: path milter-manager.conf doesn't exist in load path ([\"/no/a\", \"/no/b\"])"
    );
    assert_eq!(loaded.configuration.manager.max_connections, 0);
}

#[test]
fn only_a_regular_file_is_the_main_file() {
    let one = Directory::new(&[("milter-manager.conf/x", "")]);
    let two = Directory::new(&[("milter-manager.conf", &trace("two"))]);
    let dirs = vec![one.path().to_owned(), two.path().to_owned()];
    let loaded = load(&LoadOptions { config_dirs: dirs, ..LoadOptions::default() });
    assert_eq!(loaded.configuration.database.name.as_deref(), Some(" two"));
    let absolute =
        LoadOptions { main_file: two.path().join("milter-manager.conf"), ..crate::common::no_directories() };
    assert_eq!(load(&absolute).configuration.database.name.as_deref(), Some(" two"));
}

#[test]
fn a_file_that_loads_itself_is_told_so() {
    let directory = Directory::new(&[
        ("milter-manager.conf", "load \"a.conf\""),
        ("a.conf", "load \"b.conf\""),
        ("b.conf", "load \"a.conf\""),
    ]);
    let problems = directory.load().problems;
    assert_eq!(problems.len(), 1, "{}", listed(&problems));
    assert_eq!(problems[0].message, format!("{} loads itself", directory.file("a.conf")));
    assert_eq!(problems[0].file, directory.file("b.conf"));
}

#[test]
fn loads_in_loads_are_bounded() {
    let files: Vec<_> =
        (0..40).map(|n| (format!("f{n}.conf"), format!("load \"f{}.conf\"", n + 1))).collect();
    let mut all: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    all.push(("milter-manager.conf", "load \"f0.conf\""));
    let problems = Directory::new(&all).load().problems;
    assert_eq!(problems.len(), 1, "{}", listed(&problems));
    assert!(problems[0].message.starts_with("files load files more than 16 deep: "), "{}", problems[0]);
}

#[test]
fn variables_do_not_leave_their_file() {
    let directory = Directory::new(&[
        ("milter-manager.conf", "load \"a.conf\"\ndatabase.name = x"),
        ("a.conf", "x = \"1\""),
    ]);
    assert_eq!(directory.load().problems[0].message, "unknown name: x");
}

#[test]
fn the_command_line_wins_and_has_no_place() {
    let overrides = Overrides {
        connection_spec: Some("inet:99".to_owned()),
        pid_file: Some("/p".to_owned()),
        n_workers: Some(3),
        unix_socket_mode: Some(0o600),
        ..Overrides::default()
    };
    let options = LoadOptions { overrides, ..crate::common::no_directories() };
    let source = "manager.connection_spec = \"inet:1\"\nmanager.pid_file = \"/q\"\nmanager.n_workers = 1";
    let loaded = millstream_config::load_str("test.conf", source, &options);
    let shown = loaded.configuration.show();
    assert!(shown.contains("# default\nmanager.connection_spec = \"inet:99\"\n"), "{shown}");
    assert!(shown.contains("# default\nmanager.pid_file = \"/p\"\n"));
    assert!(shown.contains("# default\nmanager.n_workers = 3\n"));
    assert!(shown.contains("# default\nmanager.unix_socket_mode = 0600\n"));
}

#[test]
fn a_wrong_command_line_is_a_problem() {
    let overrides = Overrides { connection_spec: Some("x".to_owned()), ..Overrides::default() };
    let loaded =
        millstream_config::load_str("t", "", &LoadOptions { overrides, ..crate::common::no_directories() });
    assert_eq!(
        loaded.problems[0].to_string().lines().next(),
        Some("command line: spec doesn't have colon: <x>")
    );
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_read_is_not_taken_for_a_missing_one() {
    let directory =
        Directory::new(&[("milter-manager.conf", "load_if_exist(\"loop.conf\")\nload_if_exist(\"d\")")]);
    std::os::unix::fs::symlink("loop.conf", directory.path().join("loop.conf")).unwrap();
    let problems = directory.load().problems;
    assert_eq!(problems.len(), 1, "{}", listed(&problems));
    assert!(problems[0].message.contains("loop.conf cannot be read: "), "{}", problems[0]);
}

#[test]
fn a_pattern_that_is_none_is_told_so() {
    let directory = Directory::new(&[("milter-manager.conf", "load_if_exist(\"a***b\")")]);
    assert!(directory.load().problems[0].message.starts_with("a***b is not a pattern of file names: "));
}

#[test]
fn loading_takes_no_block() {
    assert_eq!(text("load_if_exist(\"x\") {|y| }").problems[0].message, "load_if_exist takes no block");
}
