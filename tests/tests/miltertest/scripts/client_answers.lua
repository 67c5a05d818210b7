-- What milter-test-client is told to answer, stage by stage.
if mt.negotiate(connection, nil, nil, nil) ~= nil then
	fail("no negotiation")
end
expect("connect", mt.conninfo(connection, "client.example.org", "203.0.113.7"))
expect("helo", mt.helo(connection, "client.example.org"), SMFIR_ACCEPT)
mt.disconnect(connection)

connection = mt.connect(socket, 50, 0.1)
if mt.negotiate(connection, nil, nil, nil) ~= nil then
	fail("no negotiation on a second connection")
end
expect("connect", mt.conninfo(connection, "client.example.org", "203.0.113.7"))
expect("sender", mt.mailfrom(connection, "<sender@example.org>"))
expect("recipient", mt.rcptto(connection, "<user@example.com>"), SMFIR_REPLYCODE)
ended_well()
