//! The bounds of one session, and of all together. Past any of them the message ends in a temporary failure, never in a fallback.

use core::time::Duration;

/// The bounds of sessions, each with its default and reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest frame taken from a peer, in bytes after the length field. Default 1 MiB + 64 KiB: above the largest
    /// payload that any known MTA or milter negotiates (1 MiB - 1), and above Postfix's `header_size_limit`.
    pub frame: usize,
    /// Most recipients of one message. Default 50,000: Postfix allows 1,000 per message, some list servers raise it.
    pub recipients: usize,
    /// Most bytes of envelope: sender, recipients and their arguments. Default 8 MiB.
    pub envelope_bytes: usize,
    /// Most headers of one message. Default 50,000.
    pub headers: usize,
    /// Most bytes of headers, names and values. Default 16 MiB.
    pub header_bytes: usize,
    /// Most bytes of the body that the MTA sends held in memory by one session. What goes beyond that is put into a file;
    /// what streams through is not held and does not count. Default 4 MiB: nearly all mail.
    pub body_bytes: usize,
    /// Most bytes of bodies and edits held in memory by all sessions together. Past it bodies go into their files at once.
    /// Default 1 GiB: what a mail host of 4 GiB can spare, and two hundred and fifty sessions at their own limit.
    pub total_body_bytes: u64,
    /// Most bytes of one message in a file. Default 1 GiB: more than MTAs accept. 0: no files, and a message past
    /// `body_bytes` is a temporary failure.
    pub spill_bytes: u64,
    /// Most bytes of the files of all sessions together. Default 8 GiB: eight messages of the longest kind, and less than
    /// the spool of an MTA that accepts such messages needs anyway.
    pub total_spill_bytes: u64,
    /// Most edits by one child to one message, body pieces aside. Default 10,000: finding a header costs time in
    /// proportion to the headers, so this bounds what a child can make us do.
    pub edits: usize,
    /// Most bytes of edits of one message, replaced bodies included; they are held in memory. Default 64 MiB: replacing a
    /// whole message of the usual largest size.
    pub edit_bytes: usize,
    /// Most bytes of macros in one session. Default 256 KiB.
    pub macro_bytes: usize,
    /// How far reading from the MTA may run ahead of the slowest child that is fed live, in bytes. Default 256 KiB.
    pub read_ahead: usize,
    /// How long the MTA may be left unread because of that; then the rest of the message is stored. Default 5 s: half of
    /// what Sendmail waits while it writes, before it lets the mail pass unfiltered.
    pub unread: Duration,
    /// How long the MTA may take to send its next command, whole. Default 7210 s, libmilter's.
    pub mta_idle: Duration,
    /// How long the MTA may take none of the bytes that wait for it. Default 300 s, Sendmail's longest limit.
    pub mta_writing: Duration,
    /// How long the MTA may take to begin with a negotiation, whole. Default 300 s.
    pub mta_greeting: Duration,
    /// How long the answer to a command of the MTA may take in all, however many children are asked one after another;
    /// then the unanswered get their fallback. Default: three seconds below the limit of the MTA in front, which is 30 s
    /// for Postfix and 10 s for Sendmail and unknown ones.
    pub command_budget: Option<Duration>,
    /// The same for the answer to end of message. Default: three seconds below the 300 s of both MTAs.
    pub message_budget: Option<Duration>,
    /// How long a message may take from its sender to the end of its content, whoever is slow. Default 7200 s: milters
    /// give up on a silent MTA after 7210 s (libmilter), and a message that they lose would get their fallback.
    pub message_time: Duration,
    /// How often PROGRESS is sent while end of message is pending. Default 5 s: half of Sendmail's 10 s per reply.
    pub progress: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame: (1 << 20) + (1 << 16),
            recipients: 50_000,
            envelope_bytes: 8 << 20,
            headers: 50_000,
            header_bytes: 16 << 20,
            body_bytes: 4 << 20,
            total_body_bytes: 1 << 30,
            spill_bytes: 1 << 30,
            total_spill_bytes: 8 << 30,
            edits: 10_000,
            edit_bytes: 64 << 20,
            macro_bytes: 256 << 10,
            read_ahead: 256 << 10,
            unread: Duration::from_secs(5),
            mta_idle: Duration::from_secs(7210),
            mta_writing: Duration::from_secs(300),
            mta_greeting: Duration::from_secs(300),
            command_budget: None,
            message_budget: None,
            message_time: Duration::from_secs(7200),
            progress: Duration::from_secs(5),
        }
    }
}
