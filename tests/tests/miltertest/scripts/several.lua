-- Many messages in one session; what happened to one means nothing for the next.
greet()
for number = 1, 20 do
	envelope("<sender@example.org>", "<user@example.com>")
	if number % 3 == 0 then
		content("please REJECT this")
		expect("end of message " .. number, mt.eom(connection), SMFIR_REPLYCODE)
	else
		content("Hello")
		expect("end of message " .. number, mt.eom(connection), SMFIR_CONTINUE)
	end
end
ended_well()
