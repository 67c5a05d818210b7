//! Objects, arrays and values.

use super::cursor::{Cursor, Odd};
use super::reader::Reader;
use super::value::{Duplicate, Object, Value};
use crate::setting::Setting;
use crate::shell::expand;

/// How deep values may lie in others.
const MAX_DEPTH: u32 = 32;
/// How many values of a file are read.
const MAX_VALUES: u32 = 10_000;

/// The text of one file on its way into an object.
pub(crate) struct Parser<'t> {
    pub(crate) path: &'t str,
    pub(crate) cursor: Cursor<'t>,
    pub(crate) priority: u8,
    pub(crate) duplicate: Duplicate,
    /// How many values have been read.
    pub(crate) values: u32,
}

/// Where a value is.
#[derive(Debug, Clone, Copy)]
struct Place {
    depth: u32,
    /// Whether it is wanted; what is not is passed over, with what it includes.
    is_wanted: bool,
}

impl Parser<'_> {
    /// Reads all of it into `object`, which is inside of a wanted one when `is_inside`.
    pub(crate) fn file(
        &mut self,
        reader: &mut Reader<'_, '_>,
        object: &mut Object,
        is_inside: bool,
    ) -> Result<(), Odd> {
        let place = Place { depth: u32::from(is_inside), is_wanted: true };
        loop {
            self.cursor.skip(&[';', ','])?;
            match self.cursor.peek() {
                None => return Ok(()),
                // A whole file may be an object in brackets.
                Some(b'{') => self.braces(reader, object, place)?,
                Some(_) => self.entry(reader, object, place)?,
            }
        }
    }

    /// `{ ... }`, which is next.
    fn braces(&mut self, reader: &mut Reader<'_, '_>, object: &mut Object, place: Place) -> Result<(), Odd> {
        let mut start = self.cursor.clone();
        self.cursor.take("{");
        loop {
            self.cursor.skip(&[';', ','])?;
            if self.cursor.take("}") {
                return Ok(());
            }
            if self.cursor.peek().is_none() {
                return Err(start.odd("the bracket that closes the one here"));
            }
            self.entry(reader, object, place)?;
        }
    }

    /// A key with its value, or a macro.
    fn entry(&mut self, reader: &mut Reader<'_, '_>, object: &mut Object, place: Place) -> Result<(), Odd> {
        if self.cursor.peek() == Some(b'.') {
            return self.macro_call(reader, object, place);
        }
        let key = self.key()?;
        // What is wanted are the workers.
        let is_wanted = place.is_wanted && (place.depth > 0 || key == "worker");
        let inner = Place { depth: place.depth + 1, is_wanted };
        let value = self.named_or_plain(reader, inner)?;
        if is_wanted {
            object.insert(&key, value, self.priority, self.duplicate);
        }
        Ok(())
    }

    fn key(&mut self) -> Result<String, Odd> {
        let key = match self.cursor.peek() {
            Some(b'"') => self.cursor.quoted('"')?,
            Some(b'\'') => self.cursor.quoted('\'')?,
            _ => self.cursor.take_while(|c| !c.is_whitespace() && !"={}[]:;,#\"'".contains(c)).to_owned(),
        };
        if key.is_empty() { Err(self.cursor.odd("a key")) } else { Ok(key) }
    }

    /// What follows a key: its value, or further names and an object or array, as in `worker "normal" { ... }`.
    fn named_or_plain(&mut self, reader: &mut Reader<'_, '_>, place: Place) -> Result<Value, Odd> {
        self.cursor.take_while(is_blank);
        if self.cursor.take("=") || self.cursor.take(":") {
            self.cursor.skip(&[])?;
            return self.value(reader, place);
        }
        self.cursor.skip(&[])?;
        if place.depth < MAX_DEPTH && !matches!(self.cursor.peek(), Some(b'{' | b'[')) {
            let before = self.cursor.clone();
            if let Ok(name) = self.key() {
                self.cursor.take_while(is_blank);
                if matches!(self.cursor.peek(), Some(b'{')) {
                    let value = self.value(reader, Place { depth: place.depth + 1, ..place })?;
                    let mut object = Object::default();
                    object.insert(&name, value, self.priority, self.duplicate);
                    return Ok(Value::Object(object));
                }
            }
            self.cursor = before;
        }
        self.value(reader, place)
    }

    fn value(&mut self, reader: &mut Reader<'_, '_>, place: Place) -> Result<Value, Odd> {
        if place.depth > MAX_DEPTH {
            return Err(self.cursor.odd("fewer objects and arrays in one another"));
        }
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(self.cursor.odd("an end of the file, after so many values"));
        }
        match self.cursor.peek() {
            Some(b'{') => {
                let mut object = Object::default();
                self.braces(reader, &mut object, place)?;
                Ok(Value::Object(object))
            }
            Some(b'[') => self.array(reader, place),
            _ => self.text(reader, place),
        }
    }

    fn array(&mut self, reader: &mut Reader<'_, '_>, place: Place) -> Result<Value, Odd> {
        let mut start = self.cursor.clone();
        self.cursor.take("[");
        let mut values = Vec::new();
        loop {
            self.cursor.skip(&[';', ','])?;
            if self.cursor.take("]") {
                return Ok(Value::List(values));
            }
            if self.cursor.peek().is_none() {
                return Err(start.odd("the bracket that closes the one here"));
            }
            let before = self.cursor.rest().len();
            let value = self.value(reader, Place { depth: place.depth + 1, ..place })?;
            if self.cursor.rest().len() == before {
                return Err(self.cursor.odd("a value"));
            }
            if place.is_wanted {
                values.push(value);
            }
        }
    }

    /// A value that is neither.
    fn text(&mut self, reader: &Reader<'_, '_>, place: Place) -> Result<Value, Odd> {
        // On the cursor itself, which so counts each line once.
        let (line, says) = (self.cursor.line(), self.cursor.line_text());
        let text = if let Some(text) = self.cursor.heredoc() {
            text?
        } else {
            match self.cursor.peek() {
                Some(b'"') => self.cursor.quoted('"')?,
                Some(b'\'') => self.cursor.quoted('\'')?,
                _ => self.cursor.bare().to_owned(),
            }
        };
        if !place.is_wanted {
            return Ok(Value::List(Vec::new()));
        }
        let text = expand(&text, |name| reader.variable(name));
        Ok(Value::Text(Setting::new(text, self.path, line, says)))
    }

    /// `.include` is followed; what else starts with a dot is passed over.
    fn macro_call(
        &mut self,
        reader: &mut Reader<'_, '_>,
        object: &mut Object,
        place: Place,
    ) -> Result<(), Odd> {
        self.cursor.take(".");
        let name = self.cursor.take_while(|c| c.is_alphanumeric() || c == '_');
        self.cursor.take_while(is_blank);
        let mut arguments = "";
        let mut start = self.cursor.clone();
        if self.cursor.take("(") {
            arguments = self.cursor.take_while(|c| c != ')');
            if !self.cursor.take(")") {
                return Err(start.odd("the bracket that closes a macro's arguments"));
            }
        }
        self.cursor.skip(&[])?;
        let value = self.value(reader, Place { depth: place.depth + 1, is_wanted: place.is_wanted })?;
        if let (true, "include", Value::Text(file)) = (place.is_wanted, name, value) {
            reader.include(&file.value, arguments, object, place.depth > 0);
        }
        Ok(())
    }
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}
