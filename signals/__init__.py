"""The protocol between the layers: small JSON files, and the only way that layers talk.

Import the module that you mean (`from signals.mailbox import Mailbox`), never this package bare:
it must not be taken for the standard library's `signal`. PROTOCOL.md is the agreement.
"""
