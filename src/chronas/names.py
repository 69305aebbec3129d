"""The gate for names and texts from files and users: before they become a path, a device, a CSV cell or a line.

file_name("../../etc", "device")  # DataError: no file can have this name
printable("a\\x1b[2J")  # 'a\\x1b[2J' with a visible escape
spreadsheet_cell("=1+1")  # "'=1+1"
"""

from __future__ import annotations

import re

from chronas.errors import DataError, excerpt

LONGEST_NAME = 120  # characters; file systems allow 255 bytes, and endings such as .parquet are added
NOT_IN_FILES = '/\\:*?"<>|'  # Windows refuses them, and / leaves the folder
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # devices of Windows
UNPRINTABLE = re.compile(  # controls but line break and tab; changes of writing direction; lone surrogates
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # https://owasp.org/www-community/attacks/CSV_Injection


def checked_name(text: object, what: str) -> str:
    """A name from a file, such as a device's.

    Args:
        text: the name.
        what: the kind of thing that has the name, for the message.

    Raises:
        DataError: it is no text, is empty, has over `LONGEST_NAME` characters, begins or ends with a blank, or has
            control characters or characters that UTF-8 lacks.
    """
    if not isinstance(text, str) or not text.strip():
        raise DataError(f"a {what} needs a name, got {excerpt(str(text))}: name it")
    if len(text) > LONGEST_NAME or text != text.strip() or UNPRINTABLE.search(text) or "\n" in text or "\t" in text:
        raise DataError(
            f"a {what}'s name should be up to {LONGEST_NAME} printable characters on one line without blanks at its "
            f"ends, got {excerpt(text)}: rename it"
        )
    return text


def file_name(text: object, what: str) -> str:
    """A name that can be a file's on every system, inside the folder where it is put; raises as `checked_name`."""
    name = checked_name(text, what)
    wrong = next((sign for sign in NOT_IN_FILES if sign in name), None)
    if wrong is not None or name.startswith(".") or name.endswith(".") or RESERVED.fullmatch(name):
        why = f"it has {wrong}" if wrong is not None else "systems treat it specially"
        raise DataError(f"{what} {excerpt(name)} cannot be the name of a file ({why}): rename it")
    return name


def printable(text: str) -> str:
    """The text with an escape, such as `\\x1b`, for each character that a terminal would act on or cannot show."""
    return UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text)


def spreadsheet_cell(text: str) -> str:
    """The text for a cell of a CSV file; a leading ' keeps spreadsheets from running it as a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text
