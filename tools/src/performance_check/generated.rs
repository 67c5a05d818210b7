//! The mail that is sent when none is named.

use std::fmt::Write as _;

use jiff::Zoned;
use jiff::fmt::rfc2822;

const LINE: &str = "0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// A mail from `sender`, with so many lines behind the usual ones. No two are equal: each has its own `Message-Id`.
pub(super) fn mail(helo: &str, sender: &str, recipients: &[String], additional_lines: usize) -> String {
    let date = rfc2822::to_string(&Zoned::now()).unwrap_or_default();
    let id: String = (0..10).map(|_| fastrand::alphanumeric()).collect();
    let message_id: String = (0..64).map(|_| fastrand::digit(16)).collect();
    let sender = sender.trim_start_matches('<').trim_end_matches('>');
    let mut text = format!(
        "Return-Path: <{sender}>\n\
         Received: from {helo} ({helo} [192.168.1.1])\n\
         \tby mail.example.com with ESMTP id {id};\n\
         \t{date}\n\
         MIME-Version: 1.0\n\
         Content-Transfer-Encoding: 7bit\n\
         Content-Type: text/plain; charset=US-ASCII\n\
         X-Mailer: milter-performance-check\n\
         Message-Id: <{message_id}@mail.example.com>\n\
         Subject: test mail\n\
         From: {sender}\n\
         To: {}\n\
         Date: {date}\n\
         \n\
         Hello,\n\
         \n\
         This is a test mail.\n",
        recipients.join(", "),
    );
    for _ in 0..additional_lines {
        let _ = writeln!(text, "{LINE}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_and_their_order() {
        let text = mail("client.test", "<from@test>", &["a@test".to_owned(), "b@test".to_owned()], 2);
        let message = millstream_mail::Message::parse(text.as_bytes()).unwrap();
        let names: Vec<_> =
            message.headers.iter().map(|header| String::from_utf8_lossy(&header.name)).collect();
        let expected = [
            "Return-Path",
            "Received",
            "MIME-Version",
            "Content-Transfer-Encoding",
            "Content-Type",
            "X-Mailer",
            "Message-Id",
            "Subject",
            "From",
            "To",
            "Date",
        ];
        assert_eq!(names, expected);
        let value = |index: usize| String::from_utf8_lossy(&message.headers[index].value).into_owned();
        assert_eq!(value(0), "<from@test>");
        assert!(value(1).starts_with(
            "from client.test (client.test [192.168.1.1])\n\tby mail.example.com with ESMTP id "
        ));
        assert_eq!(value(6).len(), "<@mail.example.com>".len() + 64);
        assert_eq!(value(9), "a@test, b@test");
        let body = String::from_utf8(message.body).unwrap();
        assert_eq!(body, format!("Hello,\n\nThis is a test mail.\n{LINE}\n{LINE}\n"));
    }

    #[test]
    fn no_two_are_equal() {
        let made = || mail("a", "b", &[], 0);
        assert_ne!(made(), made());
    }
}
