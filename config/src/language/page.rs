//! `docs/language.md`, written from the tables.

use std::fmt::Write;

use super::kinds::{Kind, Kinds};
use super::methods::{self, Method, STOPPERS, WithBlock};
use super::nodes::CONSTRUCTS;
use crate::evaluate::vocabulary::WORDS;

const HEAD: &str = include_str!("page/head.md");
const BOUNDS: &str = include_str!("page/bounds.md");
const REGEXP: &str = include_str!("page/regexp.md");

/// The page that defines the language: `docs/language.md`.
#[must_use]
pub fn language_page() -> String {
    let mut out = HEAD.to_owned();
    out.push_str("\n## Constructs\n\n| construct | examples | |\n|---|---|---|\n");
    for construct in CONSTRUCTS {
        let examples: Vec<_> = construct.examples.iter().map(|example| code(example)).collect();
        row(&mut out, &[construct.name, &examples.join(", "), construct.says]);
    }
    out.push_str("\n## Names\n\n| name | gives | |\n|---|---|---|\n");
    for word in WORDS {
        let block = if word.block == WithBlock::Always { " { ... }" } else { "" };
        row(
            &mut out,
            &[&code(&format!("{}{}{block}", word.name, word.takes.shown())), &word.gives.names(), word.says],
        );
    }
    out.push_str(
        "\n`package`, `security`, `log`, `manager`, `controller` and `database` are objects with \
         [settings](configuration.md#settings); `s25r`, `remote_network`, `stress`, `trust` and `dnsbl` have the knobs of \
         [built-in conditions](conditions.md), and stoppers can ask them, too.\n\n## Stoppers\n\nIn the block of `define_applicable_condition`:\n\n\
         | stopper | its block is given |\n|---|---|\n",
    );
    for (name, _, parameters) in STOPPERS {
        let parameters: Vec<_> = parameters.iter().map(|kinds| kinds.names()).collect();
        row(&mut out, &[&code(name), &parameters.join(", ")]);
    }
    out.push('\n');
    out.push_str(REGEXP);
    out.push_str("\n## Methods\n");
    let everything = methods::all().filter(|method| method.on == Kinds::ANY);
    table(&mut out, "every value", everything);
    for kind in Kind::all() {
        let mut found =
            methods::all().filter(|method| method.on != Kinds::ANY && method.on.has(kind)).peekable();
        if found.peek().is_some() {
            table(&mut out, kind.name(), found);
        }
    }
    out.push('\n');
    out.push_str(BOUNDS);
    out
}

fn table<'m>(out: &mut String, title: &str, methods: impl Iterator<Item = &'m Method>) {
    // Writing to a string cannot fail.
    let _ = write!(out, "\n### On {title}\n\n| method | takes | gives | |\n|---|---|---|---|\n");
    for method in methods {
        let mut takes: Vec<_> = method.takes.iter().map(|kinds| kinds.names()).collect();
        for optional in takes.iter_mut().skip(method.required) {
            *optional = format!("[{optional}]");
        }
        if method.many {
            takes.push("...".to_owned());
        }
        match method.block {
            WithBlock::Never => {}
            WithBlock::Maybe => takes.push("[a block]".to_owned()),
            WithBlock::Always => takes.push("a block".to_owned()),
        }
        row(out, &[&code(method.name), &takes.join("; "), &method.gives.names(), method.says]);
    }
}

fn code(text: &str) -> String {
    let text = text.replace('|', "\\|").replace('\n', " ");
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

fn row(out: &mut String, cells: &[&str]) {
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}
