-- One message from connect to quit.
greet()
envelope("<sender@example.org>", "<user@example.com>")
content("Hello")
expect("end of message", mt.eom(connection), SMFIR_CONTINUE)
if mt.eom_check(connection, MT_HDRADD) or mt.eom_check(connection, MT_BODYCHANGE) then
	fail("somebody has changed the message")
end
ended_well()
