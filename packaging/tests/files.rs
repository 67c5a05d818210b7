//! What is made is complete, and accepted by who reads it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports by panicking")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use millstream_packaging::{PROGRAMS, Program, page, write};
use millstream_tests::require;
use millstream_tests::scratch::Scratch;

const DATE: &str = "2026-11-22";

/// Everything, written for one test.
struct Made(Scratch);

impl Made {
    fn new() -> Self {
        let scratch = Scratch::new("packaging");
        assert_eq!(write(scratch.path(), DATE).unwrap().len(), 4 * PROGRAMS.len());
        Self(scratch)
    }

    fn page(&self, program: &Program) -> PathBuf {
        self.0.join(&format!("share/man/man{}/{}", program.section, program.page_name()))
    }

    fn completions(&self, program: &Program) -> [PathBuf; 3] {
        let name = program.name;
        [
            self.0.join(&format!("share/bash-completion/completions/{name}")),
            self.0.join(&format!("share/zsh/site-functions/_{name}")),
            self.0.join(&format!("share/fish/vendor_completions.d/{name}.fish")),
        ]
    }
}

/// The options that an administrator may know, as they are typed.
fn options(program: &Program) -> Vec<String> {
    let mut command = (program.command)();
    command.build();
    let options = command.get_arguments().filter(|option| !option.is_hide_set() && !option.is_positional());
    let mut names = Vec::new();
    for option in options {
        names.extend(option.get_long().map(|name| format!("--{name}")));
        names.extend(option.get_short().map(|letter| format!("-{letter}")));
        names.extend(option.get_visible_aliases().into_iter().flatten().map(|name| format!("--{name}")));
    }
    assert!(names.len() > 3, "{}: {names:?}", program.name);
    names
}

/// Whether `text` has the option, and not only one that begins with it.
fn names(text: &str, option: &str) -> bool {
    text.match_indices(option).any(|(place, _)| {
        let behind = text[place + option.len()..].chars().next();
        behind.is_none_or(|next| !next.is_ascii_alphanumeric() && next != '-')
    })
}

#[test]
fn every_option_is_in_the_page_and_in_each_completion() {
    let made = Made::new();
    for program in &PROGRAMS {
        // Hyphens are escaped, so that they can be copied from a terminal.
        let page = fs::read_to_string(made.page(program)).unwrap().replace("\\-", "-");
        let [bash, zsh, fish] = made.completions(program).map(|file| fs::read_to_string(file).unwrap());
        for option in options(program) {
            assert!(names(&page, &option), "{}: {option} is not in the page", program.name);
            assert!(names(&bash, &option), "{}: {option} is not completed by bash", program.name);
            assert!(names(&zsh, &option), "{}: {option} is not completed by zsh", program.name);
            let fish_name = option.strip_prefix("--").map(|long| format!("-l {long}"));
            let fish_name = fish_name.unwrap_or_else(|| format!("-s {}", &option[1..]));
            assert!(names(&fish, &fish_name), "{}: {option} is not completed by fish", program.name);
        }
    }
}

#[test]
fn what_is_for_the_program_itself_is_told_nobody() {
    for program in &PROGRAMS {
        let page = String::from_utf8(page(program, DATE).unwrap()).unwrap().replace("\\-", "-");
        assert!(!names(&page, "--detached") && !names(&page, "--launcher"), "{}", program.name);
    }
}

/// A page is read without a word by each of these that is installed: one of them has to be.
#[test]
fn a_page_is_read_without_warnings() {
    let made = Made::new();
    let readers: [(&str, &[&str]); 2] = [
        ("man", &["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"]),
        ("mandoc", &["-T", "lint", "-W", "error"]),
    ];
    let installed: Vec<_> =
        readers.iter().filter_map(|(name, options)| Some((require::program(name)?, *options))).collect();
    if installed.is_empty() && !require::available("manual pages: man or mandoc", &["man"]) {
        return;
    }
    for (reader, options) in installed {
        for program in &PROGRAMS {
            let mut command = Command::new(&reader);
            let command =
                command.args(options).arg(made.page(program)).env("MANWIDTH", "80").env("LC_ALL", "C.UTF-8");
            let read = command.stdin(Stdio::null()).output().unwrap();
            let told = String::from_utf8_lossy(&read.stderr);
            assert!(
                read.status.success() && told.is_empty(),
                "{}: {}: {told}",
                reader.display(),
                program.name
            );
            assert!(!read.stdout.is_empty() || reader.ends_with("mandoc"), "{}", program.name);
        }
    }
}

#[test]
fn bash_completes() {
    if require::program("bash").is_none() && !require::available("completion", &["bash"]) {
        return;
    }
    let made = Made::new();
    for program in &PROGRAMS {
        let [script, ..] = made.completions(program);
        let name = program.name;
        // What bash does when --vers and the tabulator are typed.
        let ask = format!(
            "set -eu; source '{}'; complete -p {name}\n\
             COMP_WORDS=({name} --vers); COMP_CWORD=1; COMP_LINE='{name} --vers'; COMP_POINT=${{#COMP_LINE}}\n\
             function=$(complete -p {name} | sed 's/.* -F \\([^ ]*\\).*/\\1/')\n\
             $function {name} --vers {name}; printf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
            script.display()
        );
        let mut bash = Command::new(require::program_path("bash"));
        let answered = bash.args(["--norc", "-c", &ask]).stdin(Stdio::null()).output().unwrap();
        let told = String::from_utf8_lossy(&answered.stdout);
        let lines: Vec<&str> = told.lines().collect();
        assert!(answered.status.success(), "{name}: {}", String::from_utf8_lossy(&answered.stderr));
        assert!(lines[0].contains(" -F ") && lines[0].ends_with(name), "{told}");
        assert_eq!(lines[1..], ["--version"], "{name}");
    }
}

#[test]
fn what_cannot_be_written_is_named() {
    let scratch = Scratch::new("packaging");
    fs::write(scratch.join("share"), "in the way").unwrap();
    let error = write(scratch.path(), DATE).unwrap_err().to_string();
    assert!(error.contains("share/man/man8/milter-manager.8: "), "{error}");
}

#[test]
fn help_has_each_option_once_under_its_title() {
    for program in &PROGRAMS {
        let help = millstream_service::help((program.command)());
        for option in options(program).iter().filter(|option| option.starts_with("--")) {
            let lines = help.lines().filter(|line| line.starts_with("  -") && names(line, option));
            let said = lines
                .filter(|line| names(line.split("  ").nth(1).unwrap(), option) || line.contains("[also: "));
            assert_eq!(said.count(), 1, "{}: {option}\n{help}", program.name);
        }
        let own = help.split_once("\nApplication Options:\n").unwrap().1;
        assert!(own.contains("\n  --version "), "{}: {help}", program.name);
        assert!(!own.contains("--user-name"), "{}: {help}", program.name);
        let first = help.split_once("\nHelp Options:\n").unwrap().1.lines().next().unwrap();
        assert!(names(first, "--help"), "{}: {help}", program.name);
    }
}

#[test]
fn the_program_writes_below_a_prefix_with_the_date_that_it_is_told() {
    let scratch = Scratch::new("packaging");
    let mut command = Command::new(env!("CARGO_BIN_EXE_millstream-packaging"));
    let output = command.arg(scratch.path()).env("SOURCE_DATE_EPOCH", "86400").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let files = String::from_utf8(output.stdout).unwrap();
    assert_eq!(files.lines().count(), 4 * PROGRAMS.len(), "{files}");
    let page = fs::read_to_string(files.lines().next().unwrap()).unwrap();
    assert!(page.contains(".TH milter-manager 8 1970-01-02 "), "{page}");
}
