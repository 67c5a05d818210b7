-- A message that is taken back in the middle, then another.
greet()
envelope("<first@example.org>", "<user@example.com>")
expect("header", mt.header(connection, "Subject", "please REJECT this"))
mt.abort(connection)
envelope("<second@example.org>", "<user@example.com>")
content("Hello")
expect("end of message", mt.eom(connection), SMFIR_CONTINUE)
ended_well()
