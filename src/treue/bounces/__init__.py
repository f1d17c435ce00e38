"""Bounce and complaint mails to verdicts: what a mail that came back says about the address it was sent to.

`reading.read` turns the bytes of one mail into a `record.Reading` and never raises; `mailboxes` finds the mails.
The way: the mail's parts (`mime`), what they report of which recipient (`reports`, `notices`), the verdict (`judging`)
from the codes (`codes`) and the words (`wording`, with the table in `phrases`).
"""
