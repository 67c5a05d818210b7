-- Values with the space behind the colon, as negotiated.
greet(0x1fffff)
envelope("<sender@example.org>", "<user@example.com>")
if not mt.test_option(connection, 0x100000) then
	fail("the leading space is not asked for")
end
-- miltertest sends the space itself.
content("Hello")
expect("end of message", mt.eom(connection), SMFIR_CONTINUE)
if not mt.eom_check(connection, MT_HDRADD, "X-Spaced", " yes") then
	fail("no header was added")
end
ended_well()
