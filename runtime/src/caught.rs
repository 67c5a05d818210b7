//! Panics of programs, kept to the session that they happened in.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `action`; a panic in it comes back as its message.
///
/// What `action` touched is either thrown away afterwards (the session) or holds no invariant across the calls that can
/// panic (the loop's own parts), which is why unwinding is taken to be safe here.
pub(crate) fn catch<R>(action: impl FnOnce() -> R) -> Result<R, Box<str>> {
    catch_unwind(AssertUnwindSafe(action)).map_err(message)
}

fn message(panic: Box<dyn Any + Send>) -> Box<str> {
    let text = match panic.downcast::<String>() {
        Ok(text) => return text.into_boxed_str(),
        Err(panic) => panic.downcast::<&'static str>().map_or("panic without a message", |text| *text),
    };
    Box::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_messages_are_kept() {
        assert_eq!(catch(|| panic!("plain")).unwrap_err().as_ref(), "plain");
        assert_eq!(catch(|| panic!("number {}", 7)).unwrap_err().as_ref(), "number 7");
        assert_eq!(catch(|| 3), Ok(3));
    }
}
