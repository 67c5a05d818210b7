-- What all scripts share. `socket` comes from the command line.

-- miltertest itself says nothing about an error.
function fail(words)
	mt.echo(words)
	error(words)
end

connection = mt.connect(socket, 50, 0.1)
if connection == nil then
	fail("nobody listens on " .. socket)
end

function name_of(reply)
	return "'" .. string.char(reply) .. "'"
end

-- A step must have been sent, and must have been answered with `reply`; with nothing, it goes on: with silence or with an
-- answer that says so.
function expect(step, failed, reply)
	if failed ~= nil then
		fail(step .. ": " .. failed)
	end
	local came = mt.getreply(connection)
	if reply == nil then
		if came ~= SMFIR_CONTINUE then
			fail(step .. ": answered with " .. name_of(came))
		end
	elseif came ~= reply then
		fail(step .. ": answered with " .. name_of(came) .. ", not with " .. name_of(reply))
	end
end

-- With the protocol steps that are offered, or with those of miltertest.
function greet(steps)
	if mt.negotiate(connection, nil, nil, steps) ~= nil then
		fail("no negotiation")
	end
	mt.macro(connection, SMFIC_CONNECT, "j", "mx.test")
	expect("connect", mt.conninfo(connection, "client.example.org", "203.0.113.7"))
	expect("helo", mt.helo(connection, "client.example.org"))
end

function envelope(sender, recipient)
	expect("sender", mt.mailfrom(connection, sender, "SIZE=1000"))
	mt.macro(connection, SMFIC_RCPT, "i", "4AbCdEfGhI")
	expect("recipient", mt.rcptto(connection, recipient))
	expect("data", mt.data(connection))
end

function content(subject)
	expect("header", mt.header(connection, "From", "sender@example.org"))
	expect("header", mt.header(connection, "Subject", subject))
	expect("header", mt.header(connection, "X-Gone", "soon"))
	expect("end of headers", mt.eoh(connection))
	expect("body", mt.bodystring(connection, "Hello.\r\n"))
end

function ended_well()
	mt.disconnect(connection)
	mt.echo("the script has ended well")
end

