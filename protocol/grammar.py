"""The grammar of a header as anchored patterns over bytes, the ABNF (SPEC.md 2.4, RFC 5234) above each.

Every datagram goes through FIRST_LINE once, and few through OTHER_LINES; the rest of the patterns say
afterwards what was wrong with one that these didn't match. What follows a repeated part can never match a
piece of it, so the repetitions are possessive (`++`): they never give back, and no datagram is read twice
in the hope of a match.
"""

from __future__ import annotations

import re
from typing import Final

from protocol.limits import MAX_SENDER_ID_DIGITS

# gap = 1*SP
# end = *SP CRLF
#
# The original has one space in either place. Real peers send none or several (what we send is exact all the
# same, since some drop or die of anything else).
_GAP = rb" ++"
_END = rb" *+\r\n"

# known-type = PUTCHUNK / CHUNK / STORED / GETCHUNK / REMOVED / DELETE
#
# Upper case as in every real peer, while an ABNF string would ignore case: another spelling is another type,
# and unknown.
_KNOWN_TYPE = rb"PUTCHUNK|STORED|CHUNK|GETCHUNK|REMOVED|DELETE"

# version = DIGIT "." DIGIT
_VERSION = rb"[0-9]\.[0-9]"
VERSION: Final = re.compile(_VERSION)

# sender-id = 1*20DIGIT             ; at most 18446744073709551615
#
# The original sets no bound. Leading zeros mean nothing.
_SENDER_ID = rb"[0-9]{1,%d}" % MAX_SENDER_ID_DIGITS
SENDER_ID: Final = re.compile(_SENDER_ID)

# file-id = 64HEXDIG                ; either case
_FILE_ID = rb"[0-9A-Fa-f]{64}"
FILE_ID: Final = re.compile(_FILE_ID)

# chunk-no = 1*6DIGIT
#
# Leading zeros mean nothing, but count as digits.
_CHUNK_NO = rb"[0-9]{1,6}"
CHUNK_NO: Final = re.compile(_CHUNK_NO)

# degree = %x31-39                  ; 1 to 9
_DEGREE = rb"[1-9]"
DEGREE: Final = re.compile(_DEGREE)

# first-line = ( known-type gap version / version gap known-type ) gap sender-id gap file-id
#              [ gap chunk-no [ gap degree ] ] end
#
# Looser than the six lines of SPEC.md: which fields there have to be depends on the type, and whoever reads
# the match looks that up.
FIRST_LINE: Final = re.compile(
    b"(?:(%(type)b)%(gap)b(%(version)b)|(%(version)b)%(gap)b(%(type)b))"
    b"%(gap)b(%(sender_id)b)%(gap)b(%(file_id)b)(?:%(gap)b(%(chunk_no)b)(?:%(gap)b(%(degree)b))?)?%(end)b"
    % {
        b"type": _KNOWN_TYPE,
        b"version": _VERSION,
        b"sender_id": _SENDER_ID,
        b"file_id": _FILE_ID,
        b"chunk_no": _CHUNK_NO,
        b"degree": _DEGREE,
        b"gap": _GAP,
        b"end": _END,
    }
)

# *other-line
# other-line = 1*not-cr CRLF        ; passed over
# not-cr     = %x00-0C / %x0E-7F
#
# The lines of extensions that we don't know. They are ASCII as all of the header: else a header that lost its
# end would swallow the body, up to the next CRLF CRLF in it.
OTHER_LINES: Final = re.compile(rb"(?:[\x00-\x0c\x0e-\x7f]++\r\n)*+")

# The CRLF of the last line, and the CRLF that is the empty line.
HEADER_END: Final = b"\r\n\r\n"

# What a first line of any kind looks like: visible ASCII and spaces, but no space first.
PRINTABLE_LINE: Final = re.compile(rb"[!-~][ -~]*+")
