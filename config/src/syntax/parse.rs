//! From bytes to rules, by way of a Ruby parser.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use lib_ruby_parser::{Diagnostic, Parser, ParserOptions};

use super::lower::{File, Lowering};
use crate::problem::{Complaint, Problem};
use crate::source::{Source, Span};

/// The longest configuration file, in bytes. The largest known ones (lists of accounts) have some hundred kilobytes.
pub(crate) const MAX_FILE: usize = 1 << 20;

/// Most `&&` and `||` in a file. The parser's time grows with the square of their number in one expression.
const MAX_BOOLEAN_OPERATORS: usize = 2_000;

/// Stack for each byte of a file. A byte can be one level of nesting (`[`, `!`), and the parser's tree is freed level
/// by level: 320 bytes of stack for each were measured without optimisation.
const STACK_PER_BYTE: usize = 512;

/// Stack for an empty file.
const STACK: usize = 8 << 20;

/// The rules of a file. With errors of syntax there are none: nothing of such a file is evaluated.
pub(crate) fn parse(source: &Arc<Source>) -> Result<File, Vec<Problem>> {
    check_bytes(source).map_err(|problem| vec![problem])?;
    let failed = |message: &str| {
        let complaint = Complaint::with_hint(message, "split the file and load the parts, to find the place");
        vec![Problem::of_file(&source.name, complaint)]
    };
    // Only address space: the pages are used when the nesting is deep.
    let stack = STACK + STACK_PER_BYTE * source.bytes().len();
    thread::scope(|scope| {
        let worker = thread::Builder::new().name("configuration parser".to_owned()).stack_size(stack);
        match worker.spawn_scoped(scope, || catch_unwind(AssertUnwindSafe(|| parse_here(source)))) {
            Err(_) => Err(failed("the file cannot be parsed: not enough memory for the parser")),
            Ok(running) => match running.join() {
                Ok(Ok(statements)) => statements,
                _ => Err(failed("the file cannot be parsed: the parser failed")),
            },
        }
    })
}

fn parse_here(source: &Arc<Source>) -> Result<File, Vec<Problem>> {
    let options = ParserOptions { buffer_name: source.name.clone(), decoder: None, record_tokens: false };
    let result = Parser::new(source.bytes().to_vec(), options).do_parse();
    let problems: Vec<_> = result
        .diagnostics
        .iter()
        .filter(|found| found.is_error())
        .map(|found| syntax_problem(source, found))
        .collect();
    if problems.is_empty() { Ok(Lowering::new(source).file(result.ast.as_deref())) } else { Err(problems) }
}

fn syntax_problem(source: &Source, found: &Diagnostic) -> Problem {
    let span = Span { start: found.loc.begin, end: found.loc.end };
    let mut message = found.render_message();
    // The parser has names of its own for what it did not expect, such as kDO.
    if message.starts_with("unexpected k") || message.starts_with("unexpected t") {
        message = format!("unexpected `{}`", source.quote(span));
    }
    let complaint = if message.contains("END_OF_INPUT") || message.contains("end-of-input") {
        Complaint::with_hint(
            format!("syntax error: {message}"),
            "something is not closed: look for a missing `end`, bracket or quote above",
        )
    } else if message.contains("encoding") {
        Complaint::with_hint(
            format!("syntax error: {message}"),
            "convert the file to UTF-8 and remove that comment",
        )
    } else {
        Complaint::with_hint(
            format!("syntax error: {message}"),
            "nothing of this file is used; the mistake may be before this place",
        )
    };
    source.problem(span, complaint)
}

/// Refuses what the parser would take in silence or in a very long time.
fn check_bytes(source: &Source) -> Result<(), Problem> {
    let bytes = source.bytes();
    if bytes.len() > MAX_FILE {
        let message = format!("the file is too large: {} bytes, at most {MAX_FILE}", bytes.len());
        return Err(Problem::of_file(
            &source.name,
            Complaint::with_hint(message, "split it and load the parts"),
        ));
    }
    // Ruby ends the program at each of these, so what follows would be ignored.
    if let Some(at) = bytes.iter().position(|byte| matches!(byte, 0 | 0x04 | 0x1a)) {
        let complaint = Complaint::with_hint(
            format!("a control character in the file: 0x{:02x}", bytes[at]),
            "remove it; in a string it can be written as an escape",
        );
        return Err(source.problem(Span { start: at, end: at + 1 }, complaint));
    }
    let operators = bytes.windows(2).enumerate().filter(|(_, pair)| *pair == b"&&" || *pair == b"||");
    let words = bytes.windows(4).enumerate().filter(|(_, text)| *text == b"and " || *text == b" or ");
    for (count, (at, _)) in operators.chain(words).enumerate() {
        if count >= MAX_BOOLEAN_OPERATORS {
            let complaint = Complaint::new(format!(
                "more than {MAX_BOOLEAN_OPERATORS} `&&`, `||`, `and`, `or` in a file"
            ));
            return Err(source.problem(Span { start: at, end: at + 2 }, complaint));
        }
    }
    Ok(())
}
