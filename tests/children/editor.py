#!/usr/bin/python3
"""A child that edits every message as its command line says.

`--edits` is a JSON list, or an object of such lists of which the message's `X-Case` chooses one. Each edit is a list of its name and its arguments:
["add", name, value], ["insert", index, name, value], ["change", name, index, value], ["delete", name, index],
["body", text], ["add-recipient", address], ["delete-recipient", address], ["sender", address], ["quarantine", reason].
"""

import json

import Milter

import common

common.parser.add_argument("--edits", required=True, type=json.loads)


class Editor(common.Recorder):
    def end_of_message(self):
        edits = {
            "add": lambda name, value: self.addheader(name, value),
            "insert": lambda index, name, value: self.addheader(name, value, index),
            "change": lambda name, index, value: self.chgheader(name, index, value),
            "delete": lambda name, index: self.chgheader(name, index, None),
            "body": lambda body: self.replacebody(body.encode("latin-1")),
            "add-recipient": lambda address: self.addrcpt(address),
            "delete-recipient": lambda address: self.delrcpt(address),
            "sender": lambda address: self.chgfrom(address),
            "quarantine": lambda reason: self.quarantine(reason),
        }
        wanted = common.options.edits
        if isinstance(wanted, dict):
            case = next((value for name, value in self._headers if name.lower() == "x-case"), "")
            wanted = wanted.get(case.strip(), [])
        for name, *arguments in wanted:
            edits[name](*arguments)
        return Milter.CONTINUE


common.run(Editor)
