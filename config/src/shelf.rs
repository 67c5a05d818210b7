//! How values are kept for a message: as bytes, which core remembers without looking into them.
//!
//! A letter for the kind, then its content; texts and containers begin with their length as four bytes.

use bytes::{BufMut, Bytes, BytesMut};

use crate::language::text::Text;
use crate::value::Value;

/// Deepest nesting that is kept.
const MAX_DEPTH: usize = 16;

/// `None` for what cannot be kept.
pub(crate) fn encode(value: &Value) -> Option<Bytes> {
    let mut out = BytesMut::new();
    put(&mut out, value, MAX_DEPTH)?;
    Some(out.freeze())
}

fn put(out: &mut BytesMut, value: &Value, depth: usize) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    match value {
        Value::Nil => out.put_u8(b'n'),
        Value::Bool(flag) => out.put_u8(if *flag { b't' } else { b'f' }),
        Value::Int(number) => {
            out.put_u8(b'i');
            out.put_i64(*number);
        }
        Value::Float(number) => {
            out.put_u8(b'd');
            out.put_f64(*number);
        }
        Value::Text(text) | Value::Symbol(text) => {
            out.put_u8(if matches!(value, Value::Text(_)) { b's' } else { b'y' });
            out.put_u32(u32::try_from(text.len()).ok()?);
            out.put_slice(text);
        }
        Value::Array(elements) => {
            let elements = elements.read();
            out.put_u8(b'a');
            out.put_u32(u32::try_from(elements.len()).ok()?);
            elements.iter().try_for_each(|element| put(out, element, depth))?;
        }
        Value::Hash(pairs) => {
            let pairs = pairs.read();
            out.put_u8(b'h');
            out.put_u32(u32::try_from(pairs.len()).ok()?);
            for (key, value) in pairs.iter() {
                put(out, key, depth)?;
                put(out, value, depth)?;
            }
        }
        _ => return None,
    }
    Some(())
}

/// What [`encode`] was given; `None` for bytes that it has not made.
pub(crate) fn decode(bytes: &[u8]) -> Option<Value> {
    let mut rest = bytes;
    take(&mut rest, MAX_DEPTH).filter(|_| rest.is_empty())
}

fn take(rest: &mut &[u8], depth: usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    Some(match cut(rest, 1)?[0] {
        b'n' => Value::Nil,
        b't' => Value::Bool(true),
        b'f' => Value::Bool(false),
        b'i' => Value::Int(i64::from_be_bytes(cut(rest, 8)?.try_into().ok()?)),
        b'd' => Value::Float(f64::from_be_bytes(cut(rest, 8)?.try_into().ok()?)),
        b's' => Value::Text(text(rest)?),
        b'y' => Value::Symbol(text(rest)?),
        b'a' => {
            let count = length(rest)?;
            Value::array((0..count).map(|_| take(rest, depth)).collect::<Option<_>>()?)
        }
        b'h' => {
            let count = length(rest)?;
            let pairs = (0..count).map(|_| Some((take(rest, depth)?, take(rest, depth)?)));
            Value::hash(pairs.collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

fn text(rest: &mut &[u8]) -> Option<Text> {
    let length = length(rest)?;
    cut(rest, length).map(Text::from)
}

fn length(rest: &mut &[u8]) -> Option<usize> {
    Some(u32::from_be_bytes(cut(rest, 4)?.try_into().ok()?) as usize)
}

fn cut<'r>(rest: &mut &'r [u8], length: usize) -> Option<&'r [u8]> {
    let (cut, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(cut)
}
