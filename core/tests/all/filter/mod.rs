//! The milter's end of a connection: which commands may follow each other, and which replies are owed.

mod dialogue;

mod order;
mod replies;
mod stream;
