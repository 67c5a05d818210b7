//! Edits of children: what the next child is shown, and what the MTA is asked for.

mod body;
mod envelope;
mod headers;
mod leading_space;
mod rights;
mod sendmail;
mod words;
