"""The grammar of a header as anchored patterns over bytes, the ABNF (RFC 5234) above each.

Every datagram goes through FIRST_LINE, once, and nothing else here; the other patterns say afterwards what was
wrong with one that FIRST_LINE didn't match. All run in time linear in the datagram: no part can match where
the one before it could have gone on.
"""

from __future__ import annotations

import re
from typing import Final

from protocol.limits import MAX_SENDER_ID_DIGITS

# header = first-line *further-line CRLF
#
# further-line = 1*%x01-7F CRLF     ; no CR LF inside
#
# The header ends at the first CRLF CRLF. Version 1.0 has no further lines; those of an extension that we don't
# know are passed over. They have to be ASCII all the same: else a header that lost its end would swallow its
# body up to the next CRLF CRLF in it.
HEADER_END: Final = b"\r\n\r\n"

# message-type = 1*ALPHA            ; the six known ones are upper case, and case matters
#
# ABNF strings ignore case; real peers send these in upper case only, so another spelling is another type.
_MESSAGE_TYPE = rb"[A-Z]+"
MESSAGE_TYPE: Final = re.compile(rb"[A-Za-z]+")

# version = DIGIT "." DIGIT
_VERSION = rb"[0-9]\.[0-9]"
VERSION: Final = re.compile(_VERSION)

# sender-id = 1*20DIGIT             ; up to 2**64 - 1, leading zeros mean nothing
#
# The original sets no bound; twenty digits hold every 64-bit number.
_SENDER_ID = rb"[0-9]{1,%d}" % MAX_SENDER_ID_DIGITS
SENDER_ID: Final = re.compile(_SENDER_ID)

# file-id = 64HEXDIG                ; either case
_FILE_ID = rb"[0-9A-Fa-f]{64}"
FILE_ID: Final = re.compile(_FILE_ID)

# chunk-no = 1*6DIGIT               ; leading zeros mean nothing
_CHUNK_NO = rb"[0-9]{1,6}"
CHUNK_NO: Final = re.compile(_CHUNK_NO)

# replication-deg = %x31-39         ; "1" to "9"
_DEGREE = rb"[1-9]"
DEGREE: Final = re.compile(_DEGREE)

# first-line = ( message-type 1*SP version / version 1*SP message-type ) 1*SP sender-id 1*SP file-id
#              [ 1*SP chunk-no [ 1*SP replication-deg ] ] *SP CRLF
#
# The original writes exactly one space between fields and one before the CRLF; real peers send none or several
# (the spaces that we send are exact, since some drop or die of anything else). Which of the optional fields
# must be there depends on the type; the caller looks that up.
FIRST_LINE: Final = re.compile(
    rb"(?:(" + _MESSAGE_TYPE + rb") +(" + _VERSION + rb")|(" + _VERSION + rb") +(" + _MESSAGE_TYPE + rb"))"
    rb" +(" + _SENDER_ID + rb") +(" + _FILE_ID + rb")"
    rb"(?: +(" + _CHUNK_NO + rb")(?: +(" + _DEGREE + rb"))?)? *\r\n"
)

# What a first line may consist of at all: fields of visible ASCII, separated by spaces and not preceded by one.
PRINTABLE_LINE: Final = re.compile(rb"[!-~][ -~]*")
