-- Refusals at the sender, at a recipient and at the end, each with its own text.
greet()
expect("sender", mt.mailfrom(connection, "<refused-sender@example.org>"), SMFIR_REPLYCODE)
mt.abort(connection)

expect("sender", mt.mailfrom(connection, "<sender@example.org>"))
expect("recipient", mt.rcptto(connection, "<refused@example.com>"), SMFIR_REPLYCODE)
expect("recipient", mt.rcptto(connection, "<later@example.com>"), SMFIR_REPLYCODE)
expect("recipient", mt.rcptto(connection, "<user@example.com>"))
expect("data", mt.data(connection))
content("please REJECT this")
expect("end of message", mt.eom(connection), SMFIR_REPLYCODE)

envelope("<sender@example.org>", "<user@example.com>")
content("please TEMPFAIL this")
expect("end of message", mt.eom(connection), SMFIR_REPLYCODE)
if not mt.eom_check(connection, MT_SMTPREPLY, "451", "4.7.9", "policy: not now") then
	fail("another reply than 451 4.7.9 policy: not now")
end

envelope("<sender@example.org>", "<user@example.com>")
content("please DISCARD this")
expect("end of message", mt.eom(connection), SMFIR_DISCARD)
ended_well()
