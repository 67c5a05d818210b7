-- A body of several pieces.
greet()
envelope("<sender@example.org>", "<user@example.com>")
expect("header", mt.header(connection, "Subject", "long"))
expect("end of headers", mt.eoh(connection))
expect("body", mt.bodystring(connection, string.rep("0123456789abcde\r\n", 3000)))
for piece = 1, 4 do
	expect("body", mt.bodystring(connection, string.rep("0123456789abcde\r\n", 3000)))
end
expect("end of message", mt.eom(connection), SMFIR_CONTINUE)
ended_well()
