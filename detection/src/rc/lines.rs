//! Lines as a shell has them.

use std::borrow::Cow;

use crate::setting::numbered;

/// The lines of `text` with the numbers of their first ones: a line that ends in `\` goes on in the next.
pub(crate) fn joined(text: &str) -> impl Iterator<Item = (u32, Cow<'_, str>)> {
    let mut lines = numbered(text);
    std::iter::from_fn(move || {
        let (number, first) = lines.next()?;
        let mut line = Cow::Borrowed(first);
        while line.ends_with('\\') {
            let whole = line.to_mut();
            whole.pop();
            let Some((_, next)) = lines.next() else { break };
            whole.push_str(next);
        }
        Some((number, line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_on_behind_a_backslash() {
        let lines: Vec<_> = joined("a\nb \\\n  c\\\nd\n# e\nf\\").collect();
        assert_eq!(lines, [(1, "a".into()), (2, "b   cd".into()), (5, "# e".into()), (6, "f".into())]);
    }
}
