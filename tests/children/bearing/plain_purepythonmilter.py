"""What plain.c does, with purepythonmilter (asyncio, no libmilter). Usage: plain_purepythonmilter.py PORT"""

import logging
import sys

import purepythonmilter as ppm

VERDICTS = {"accept": ppm.Accept, "reject": ppm.Reject, "tempfail": ppm.TempFailWithCode, "discard": ppm.DiscardMessage,
            "skip": ppm.SkipToNextStage}


def told(text):
    _, _, word = text.partition("do:")
    for name, verdict in VERDICTS.items():
        if word.startswith(name):
            return verdict(primary_code=(4, 5, 1)) if name == "tempfail" else verdict()
    return ppm.Continue()


async def on_connect(command) -> ppm.VerdictOrContinue:
    return told(str(command.connection_info_args))


async def on_helo(command) -> ppm.VerdictOrContinue:
    return told(command.hostname)


async def on_mail(command) -> ppm.VerdictOrContinue:
    return told(command.address)


async def on_rcpt(command) -> ppm.VerdictOrContinue:
    return told(command.address)


async def on_data(command) -> ppm.VerdictOrContinue:
    return ppm.Continue()


async def on_header(command) -> ppm.VerdictOrContinue:
    return told(command.text)


async def on_eoh(command) -> ppm.VerdictOrContinue:
    return ppm.Continue()


async def on_body(command) -> ppm.VerdictOrContinue:
    return told(command.data_raw.decode("latin-1"))


async def on_end(command) -> ppm.VerdictOrContinue:
    return ppm.Continue(manipulations=[ppm.AppendHeader(headername="X-Seen", headertext=" end")])


logging.basicConfig(level=logging.ERROR)
ppm.PurePythonMilter(
    name="plain", hook_on_connect=on_connect, hook_on_helo=on_helo, hook_on_mail_from=on_mail, hook_on_rcpt_to=on_rcpt,
    hook_on_data=on_data, hook_on_header=on_header, hook_on_end_of_headers=on_eoh, hook_on_body_chunk=on_body,
    hook_on_end_of_message=on_end, can_add_headers=True,
).run_server(host="127.0.0.1", port=int(sys.argv[1]))
