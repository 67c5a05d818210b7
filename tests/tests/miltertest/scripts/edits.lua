-- What two children ask for, rendered for one MTA.
greet()
envelope("<sender@example.org>", "<user@example.com>")
content("Hello")
expect("end of message", mt.eom(connection), SMFIR_CONTINUE)
function seen(what, ...)
	if not mt.eom_check(connection, ...) then
		fail("not seen: " .. what)
	end
end
seen("the added header", MT_HDRADD, "X-First", "one")
seen("the changed subject", MT_HDRCHANGE, "Subject", "changed")
seen("the inserted header", MT_HDRINSERT, "X-Second", "two")
seen("the deleted header", MT_HDRDELETE, "X-Gone")
seen("the body", MT_BODYCHANGE, "another body\r\n")
seen("the new recipient", MT_RCPTADD, "<new@example.org>")
seen("the deleted recipient", MT_RCPTDELETE, "<user@example.com>")
seen("the quarantine", MT_QUARANTINE, "why")
ended_well()
