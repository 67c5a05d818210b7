//! Messages to send.

/// A message with its envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// With brackets.
    pub sender: String,
    /// What follows the sender on the MAIL line: empty, or ` BODY=8BITMIME` with its leading blank.
    pub mail_arguments: String,
    /// With brackets.
    pub recipients: Vec<String>,
    /// Header and body, lines ending in CRLF, ending in CRLF.
    pub data: Vec<u8>,
}

impl Message {
    /// A complete small message to `user@domain`. It carries all fields that an MTA would otherwise add.
    #[must_use]
    pub fn new(domain: &str, subject: &str) -> Self {
        let data = format!(
            "From: Sender <sender@mx.test>\r\n\
             To: user@{domain}\r\n\
             Subject: {subject}\r\n\
             Date: Mon, 05 Jan 2026 10:00:00 +0000\r\n\
             Message-ID: <1@client.example.org>\r\n\
             \r\n\
             Hello,\r\n\
             .this line starts with a dot, and so does the next.\r\n\
             .\r\n\
             Goodbye.\r\n"
        );
        Self {
            sender: "<sender@mx.test>".to_owned(),
            mail_arguments: String::new(),
            recipients: vec![format!("<user@{domain}>")],
            data: data.into_bytes(),
        }
    }

    /// The same with these recipients, each the part before the `@`.
    #[must_use]
    pub fn to(mut self, domain: &str, users: &[&str]) -> Self {
        self.recipients = users.iter().map(|user| format!("<{user}@{domain}>")).collect();
        self
    }

    /// The same with header lines (each without CRLF) above the others.
    #[must_use]
    pub fn with_headers<'a>(mut self, lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut head = Vec::new();
        for line in lines {
            head.extend_from_slice(line.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.append(&mut self.data);
        self.data = head;
        self
    }

    /// The same with this body.
    ///
    /// # Panics
    /// Never: there is always an end of the header.
    #[must_use]
    pub fn with_body(mut self, body: &[u8]) -> Self {
        let at = self.data.windows(4).position(|window| window == b"\r\n\r\n").expect("a header ends") + 4;
        self.data.truncate(at);
        self.data.extend_from_slice(body);
        self
    }

    /// What follows the empty line.
    ///
    /// # Panics
    /// Never: there is always an end of the header.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        let at = self.data.windows(4).position(|window| window == b"\r\n\r\n").expect("a header ends") + 4;
        &self.data[at..]
    }
}
