//! Postfix's tables, and `File.open`, which opens nothing else.

use std::sync::Arc;

use super::{Method, on};
use crate::evaluate::{COMPILING, Given, Result};
use crate::language::address::Network;
use crate::language::kinds::{Kind, Kinds};
use crate::language::table::{Key, Of, Table, parse};
use crate::language::text::Text;
use crate::value::{File, Value};

const NETWORKS: Kinds = Kinds::of(Kind::CidrTable);
const EXPRESSIONS: Kinds = Kinds::of(Kind::RegexpTable);
const FILE: Kinds = Kinds::of(Kind::File);

pub(super) const METHODS: &[Method] = &[
    on(Kinds::of(Kind::CidrTableClass), "new", &[], NETWORKS, |_| Ok(new(Of::Networks)), "an empty table"),
    on(
        Kinds::of(Kind::RegexpTableClass),
        "new",
        &[],
        EXPRESSIONS,
        |_| Ok(new(Of::Expressions)),
        "an empty table",
    ),
    on(
        NETWORKS.and(EXPRESSIONS),
        "parse",
        &[FILE],
        Kinds::of(Kind::Nil),
        parse_file,
        "adds the rules of a file",
    )
    .at_load(),
    on(
        NETWORKS,
        "find",
        &[Kinds::of(Kind::Address).with(Kind::Network).with(Kind::Text)],
        Kinds::TEXT.or_nil(),
        find,
        "the action of the first rule that the address fits; nil when there is none",
    ),
    on(
        EXPRESSIONS,
        "find",
        &[Kinds::TEXT],
        Kinds::TEXT.or_nil(),
        find,
        "that of the first rule that the text fits",
    ),
    on(
        Kinds::of(Kind::FileClass),
        "open",
        &[Kinds::TEXT],
        Kinds::ANY,
        open,
        "gives its block a file, looked for as `load` does, which only the tables can use",
    )
    .maybe_block()
    .at_load(),
    on(FILE, "path", &[], Kinds::TEXT, path, "its path"),
];

fn new(of: Of) -> Value {
    Value::Table(Arc::new(Table::new(of)))
}

fn open(given: &mut Given<'_, '_>) -> Result<Value> {
    let path = given.text(0).cloned().unwrap_or_default();
    let Some((path, bytes)) = given.vm.files_of(path.as_str(), given.value_at)?.into_iter().next() else {
        return Ok(Value::Nil);
    };
    let file = Value::File(Arc::new(File { path: Text::from(path), bytes }));
    if given.block.is_some() { given.call(&[file]) } else { Ok(file) }
}

fn path(given: &mut Given<'_, '_>) -> Result<Value> {
    Ok(if let Value::File(file) = given.receiver { Value::Text(file.path.clone()) } else { Value::Nil })
}

fn parse_file(given: &mut Given<'_, '_>) -> Result<Value> {
    let (Value::Table(table), Some(Value::File(file))) = (given.receiver, given.arguments.first()) else {
        return Ok(Value::Nil);
    };
    let lines = file.bytes.split(|byte| *byte == b'\n').count();
    let each = if table.of == Of::Expressions { COMPILING } else { 1 };
    given.spend(lines.saturating_mul(each))?;
    let path = file.path.to_string();
    let more = parse(table.of, &path, &file.bytes).map_err(|message| given.stop(message))?;
    match (table.rules.write(), table.parsed.write()) {
        (Some(mut rules), Some(mut parsed)) => {
            rules.extend(more);
            parsed.push(file.path.clone());
        }
        _ => return Err(given.stop("the table cannot be changed any more")),
    }
    Ok(Value::Nil)
}

fn find(given: &mut Given<'_, '_>) -> Result<Value> {
    let Value::Table(table) = given.receiver else { return Ok(Value::Nil) };
    let key = match (table.of, given.arguments.first()) {
        (Of::Networks, Some(Value::Address(address))) => address.network().map(Key::Network),
        (Of::Networks, Some(Value::Network(network))) => Some(Key::Network(**network)),
        (Of::Networks, Some(Value::Text(text))) => Network::parse(text.as_str()).map(Key::Network),
        (Of::Expressions, Some(Value::Text(text))) => Some(Key::Text(text.clone())),
        _ => None,
    };
    let table = Arc::clone(table);
    let length = given.text(0).map_or(0, |text| text.len());
    given.spend(table.size().saturating_mul(1 + length / 16))?;
    Ok(key.and_then(|key| table.find(&key)).map_or(Value::Nil, Value::Text))
}
