//! `docs/configuration.md` and the other pages that show configuration files say what is so.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use millstream_config::{Configuration, LoadOptions, Loaded, load_str};

use crate::common::{Directory, listed};

/// As what the blocks are loaded.
const NAME: &str = "/etc/milter-manager/milter-manager.conf";

/// A fenced block: the words behind its fence, its line, its text.
struct Block {
    words: String,
    line: usize,
    text: String,
}

/// A row of a table of settings.
struct Row {
    setting: String,
    default: String,
    read: String,
}

#[test]
fn every_block_of_the_page_loads() {
    assert!(load_blocks(&page("configuration.md")) >= 5);
}

#[test]
fn the_guide_for_postfix_loads() {
    assert_eq!(load_blocks(&page("postfix.md")), 3);
}

#[test]
fn the_guide_for_sendmail_loads() {
    assert_eq!(load_blocks(&page("sendmail.md")), 1);
}

#[test]
fn the_guide_for_those_who_come_from_milter_manager_loads() {
    assert_eq!(load_blocks(&page("upgrade.md")), 1);
}

#[test]
fn the_page_of_built_in_conditions_loads() {
    assert!(load_blocks(&page("conditions.md")) >= 8);
}

#[test]
fn the_configuration_that_is_explained_can_be_loaded() {
    assert_eq!(load_blocks(&page("explain.md")), 1);
}

#[test]
fn the_problems_on_the_pages_are_printed_so() {
    for name in ["configuration.md", "own-conditions.md"] {
        let blocks = blocks(&page(name));
        let mut count = 0;
        for (at, block) in blocks.iter().enumerate().filter(|(_, block)| block.words == "ruby error") {
            let told = blocks[at + 1..].iter().find(|block| block.words == "text").unwrap();
            let found = format!("{}\n", listed(&load(block).problems));
            assert_eq!(found, told.text, "{name}, line {}", block.line);
            count += 1;
        }
        assert!(count > 0, "{name}");
    }
}

#[test]
fn the_warnings_on_the_page_are_told_so() {
    let blocks = blocks(&page("configuration.md"));
    let at = blocks.iter().position(|block| block.words == "ruby warning").unwrap();
    let loaded = load(&blocks[at]);
    assert!(loaded.problems.is_empty(), "{}", listed(&loaded.problems));
    let told: String = loaded.configuration.warnings().iter().map(|warning| format!("{warning}\n")).collect();
    assert_eq!(told, blocks[at + 1].text);
}

#[test]
fn the_tables_have_every_setting_with_its_default() {
    let mut configuration =
        load_str(NAME, "define_milter(\"x\") {|m| }", &crate::common::no_directories()).configuration;
    // Found out, so it has no default that could stand on the page.
    configuration.package.platform = None;
    let shown = configuration.show();
    let shown: BTreeSet<_> = shown
        .lines()
        .map(str::trim)
        .filter(|line| !line.ends_with('['))
        .filter_map(|line| line.split_once(" = "))
        .map(|(setting, value)| (setting.to_owned(), value.to_owned()))
        .filter(|(setting, _)| setting != "package.platform")
        .collect();
    // Not shown, or without a default.
    let apart = ["package.platform", "database.extra_options", "milter.name", "milter.applicable_conditions"];

    let rows = rows(&page("configuration.md"));
    let told: BTreeSet<_> = rows
        .iter()
        .filter(|row| !apart.contains(&row.setting.as_str()))
        .map(|row| (row.setting.clone(), row.default.trim_matches('`').to_owned()))
        .collect();

    assert_eq!(told, shown);
    for name in apart {
        assert!(rows.iter().any(|row| row.setting == name), "{name}");
    }
}

#[test]
fn the_tables_mark_what_has_no_effect_and_the_block_sets_all_of_it() {
    let page = page("configuration.md");
    let section = page.split("### What has no effect yet\n").nth(1).unwrap();
    let block = blocks(section).remove(0);
    let configuration = load(&block).configuration;

    assert_eq!(ineffective(&configuration), marked(&page, "no effect"));
    for remark in configuration.without_effect() {
        let line = remark.location.as_ref().unwrap().line;
        let written = block.text.lines().nth(line as usize - 1).unwrap().trim();
        assert!(written.starts_with(&remark.setting), "{remark}: {written}");
    }
}

#[test]
fn the_tables_mark_what_is_read_at_start() {
    let source = "security.privilege_mode = true\nsecurity.effective_user = \"u\"\nsecurity.effective_group = \"g\"\nlog.level = \"all\"\nlog.path = \"/l\"\n\
                  log.use_syslog = false\nlog.syslog_facility = \"news\"\nmanager.connection_spec = \"inet:1\"\n\
                  manager.unix_socket_mode = 0600\nmanager.unix_socket_group = \"g\"\n\
                  manager.remove_unix_socket_on_create = false\nmanager.remove_unix_socket_on_close = false\n\
                  manager.daemon = true\nmanager.pid_file = \"/p\"\nmanager.suspend_time_on_unacceptable = 1\nmanager.max_connections = 1\n\
                  manager.max_file_descriptors = 1\nmanager.fallback_status = \"reject\"\nmanager.n_workers = 1\n\
                  manager.event_loop_backend = \"smol\"\nmanager.event_loop_fallback = false\nmanager.use_io_uring = false\n\
                  manager.name_servers = \"::1\"\ncontroller.connection_spec = \"unix:/c\"\n\
                  controller.unix_socket_mode = 0600\ncontroller.unix_socket_group = \"g\"\n\
                  controller.remove_unix_socket_on_create = false\ncontroller.remove_unix_socket_on_close = false\n";
    let changed = crate::common::good(source);
    let waiting: BTreeSet<_> = changed
        .waiting_for_restart(&Configuration::default())
        .into_iter()
        .map(|remark| remark.setting)
        .collect();

    assert_eq!(waiting, marked(&page("configuration.md"), "start"));
    assert!(ineffective(&changed).is_empty());
}

/// Loads all blocks that are to be without problems, and counts them.
#[track_caller]
fn load_blocks(page: &str) -> usize {
    let blocks: Vec<_> = blocks(page).into_iter().filter(|block| block.words == "ruby").collect();
    for block in &blocks {
        let loaded = load(block);
        assert!(loaded.problems.is_empty(), "line {}: {}", block.line, listed(&loaded.problems));
        let problems = loaded.configuration.policy().err().unwrap_or_default();
        assert!(problems.is_empty(), "line {}: {}", block.line, listed(&problems));
    }
    blocks.len()
}

fn load(block: &Block) -> Loaded {
    let directory = Directory::new(&[
        ("milters/clamav.conf", ""),
        ("clients.cidr", "192.0.2.0/24 OK\n"),
        ("senders.regexp", "/^<bounce-(.*)@/ WARN $1\n"),
        ("etc/debian_version", "12.5\n"),
        ("etc/init.d/clamav-milter", "CLAMAVCONF=/etc/clamav/clamav-milter.conf\n"),
        ("etc/clamav/clamav-milter.conf", "MilterSocket /run/clamav/clamav-milter.ctl\n"),
    ]);
    // What is installed where the test runs is not what the pages tell of.
    let options = LoadOptions { root: directory.path().to_owned(), ..directory.options() };
    load_str(NAME, &block.text, &options)
}

fn ineffective(configuration: &Configuration) -> BTreeSet<String> {
    configuration.without_effect().into_iter().map(|remark| remark.setting).collect()
}

fn marked(page: &str, read: &str) -> BTreeSet<String> {
    rows(page).into_iter().filter(|row| row.read == read).map(|row| row.setting).collect()
}

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (at, line) in page.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(words)) => {
                open = Some(Block { words: words.to_owned(), line: at + 2, text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

/// The rows of all tables with a column `read`.
fn rows(page: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut settings = false;
    for line in page.lines() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        match &cells[..] {
            ["", _, "type", "default", "read", _, ""] => settings = true,
            ["", setting, _, default, read, _, ""] if settings && setting.starts_with('`') => {
                assert!(["start", "reload", "no effect"].contains(read), "{line}");
                rows.push(Row {
                    setting: setting.trim_matches('`').to_owned(),
                    default: (*default).to_owned(),
                    read: (*read).to_owned(),
                });
            }
            _ if line.starts_with("|---") => {}
            _ => {
                assert!(!settings || !line.starts_with('|'), "not a row of a setting: {line}");
                settings = false;
            }
        }
    }
    rows
}
