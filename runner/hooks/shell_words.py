"""The words of a line of shell: quotes, escapes, expansions, and where commands are in them.

`Words` reads one word after another; the commands in `$( )`, backticks and `<( )` are for whoever
fills it in (`shell_commands`). It expands nothing but variables whose value is known.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

UNKNOWN = "\0"  # stands in a word for what cannot be known
PIPE = f"{UNKNOWN}|"  # the same, for `<( )` and `>( )`, whose commands are known
END = frozenset(" \t\n;&|<>()")
SPECIAL = END | frozenset("'\"\\`$*?[{=")
LOOSE = frozenset("*?[{")
IN_QUOTES = frozenset('"\\`$')
EXPANDS = frozenset("\\'\"`$")
DIGITS = "0123456789abcdef"
LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
NAME = LETTERS | frozenset("0123456789")
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
ESCAPES |= {"e": "\x1b", "E": "\x1b", "\\": "\\", "'": "'", '"': '"', "?": "?"}
NUMBERS = {"x": (16, 2), "u": (16, 4), "U": (16, 8)} | dict.fromkeys("01234567", (8, 3))


class Unclear(Exception):  # noqa: N818 - it is a finding, not a fault
    """The text cannot be taken apart; says why."""


class Word:
    """One word, without its quotes."""

    __slots__ = ("loose", "name", "quoted", "split", "text")

    def __init__(self, text: str = "") -> None:
        self.text = text
        self.quoted = False
        self.loose = False  # has a glob or a brace that the shell expands
        self.split = False  # has the value of a variable, which the shell splits
        self.name = ""  # of the variable, if this is NAME=VALUE


class Words(ABC):
    """Reads one text from its beginning to its end."""

    def __init__(self, text: str, values: dict[str, str], depth: int) -> None:
        self.text, self.at = text, 0
        self.values = values
        self.depth = depth

    @abstractmethod
    def commands(self, end: str) -> None:
        """Read commands until behind the character `end`."""

    @abstractmethod
    def group(self, *, piped: bool) -> None:
        """Read commands until behind a `)`; `piped` says that they are fed by another."""

    @abstractmethod
    def run(self, text: str) -> None:
        """Read the commands of another text."""

    # ---- words

    def word(self) -> Word:
        """Read one word; there must be one here."""
        word, parts, start = Word(), list[str](), self.at
        while each := self.peek():
            if each not in SPECIAL:
                parts.append(self.plain(SPECIAL))
            elif each not in END:
                parts.append(self.special(each, word, parts))
            elif each in "<>" and self.at == start and self.peek(1) == "(":
                self.at += 2
                self.group(piped=each == ">")
                parts.append(PIPE)
            else:
                break
        if self.at == start:
            raise Unclear("a word is missing")
        word.text = "".join(parts)
        return word

    def special(self, each: str, word: Word, before: list[str]) -> str:
        """Read one character that means more than itself, with all that it begins."""
        if each in EXPANDS:
            return self.expanded(each, word)
        self.at += 1
        if each in LOOSE:
            word.loose = True
        elif len(before) == 1 and not word.quoted:
            name = before[0].removesuffix("+")
            word.name = name if is_name(name) else ""
        return each

    def expanded(self, each: str, word: Word) -> str:
        """Read what begins with a quote, a backslash, a `$` or a backtick, out of quotes."""
        self.at += 1
        if each == "$" and self.peek() in ("'", '"'):
            each = "$'" if self.peek() == "'" else '"'
            self.at += 1
        if each in ("$", "`"):
            return self.expansion(each, word)
        if each == "\\" and self.take("\n"):
            return ""
        word.quoted = True
        if each == "\\":
            self.at += 1
            return self.peek(-1)
        said = self.ansi() if each == "$'" else self.quoted(each, word)
        if not self.take(each[-1]):
            raise Unclear("a quote is not closed")
        return said

    def quoted(self, quote: str, word: Word) -> str:
        """Read what is between two quotes."""
        if quote == '"':
            return self.in_quotes(quote, word)
        first, self.at = self.at, self.find(quote)
        return self.text[first : self.at]

    def in_quotes(self, end: str, word: Word) -> str:
        """Read up to `end`, as it is read between double quotes or in a heredoc."""
        parts, split = [], word.split
        while (each := self.peek()) and each != end:
            if each not in IN_QUOTES:
                parts.append(self.plain(IN_QUOTES))
                continue
            self.at += 1
            if each == "\\":
                self.at += 1
                parts.append(self.escaped(self.peek(-1)))
            elif each == '"':
                parts.append(each)
            else:
                parts.append(self.expansion(each, word))
        word.split = split
        return "".join(parts)

    def escaped(self, each: str) -> str:
        """Return what a backslash before this stands for, between double quotes."""
        if each == "\n":
            return ""
        return each if each in IN_QUOTES else f"\\{each}"

    def ansi(self) -> str:
        """Read the rest of `$'...'`."""
        parts = []
        while (each := self.peek()) and each != "'":
            self.at += 1
            parts.append(self.ansi_escape() if each == "\\" else each)
        return "".join(parts)

    def ansi_escape(self) -> str:
        each = self.peek()
        if each not in NUMBERS:
            self.at += 1
            return ESCAPES.get(each, f"\\{each}")
        base, most = NUMBERS[each]
        self.at += each in "xuU"
        first = self.at
        while self.at < first + most and self.peek() and self.peek().lower() in DIGITS[:base]:
            self.at += 1
        number = int(self.text[first : self.at] or "0", base)
        return chr(number) if number <= 0x10FFFF else ""  # noqa: PLR2004 - the last character

    # ---- expansions

    def expansion(self, each: str, word: Word) -> str:
        """Read what follows a `$` or a backtick."""
        following = self.peek()
        if each == "`":
            self.backticks()
        elif following == "(" and self.peek(1) == "(":
            self.arithmetic()
        elif following == "(":
            self.at += 1
            self.commands(")")
        elif following == "{":
            return self.braces(word)
        elif following in LETTERS:
            return self.value(self.name(), word)
        elif following and following in "0123456789@*#?$!-":
            self.at += 1
        else:
            return "$"
        return UNKNOWN

    def value(self, name: str, word: Word) -> str:
        """Return what a variable is known to hold."""
        word.split = True
        return self.values.get(name, UNKNOWN)

    def braces(self, word: Word) -> str:
        """Read `${...}`; what stands in it may run commands."""
        self.at += 1
        name = self.name()
        if name and self.take("}"):
            return self.value(name, word)
        if not name and self.peek() in (" ", "\t", "\n", "|"):
            raise Unclear("'${ ...; }' runs commands and is not followed")
        self.deeper()
        while not self.take("}"):
            self.pass_over("a '}' is missing")
        self.depth += 1
        return UNKNOWN

    def arithmetic(self) -> None:
        """Read `(( ... ))`, of which only what it expands can run something."""
        self.at += 2
        self.deeper()
        opened = 2
        while opened:
            each = self.peek()
            self.pass_over("a '))' is missing")
            if each == ")" and opened == 2 and self.peek() != ")":  # noqa: PLR2004 - both of them
                raise Unclear("a '((' is not closed by '))'")
            opened += (each == "(") - (each == ")")
        self.depth += 1

    def pass_over(self, missing: str) -> None:
        """Pass over a character, or over all that it expands."""
        each = self.peek()
        if not each:
            raise Unclear(missing)
        if each in EXPANDS:
            self.expanded(each, Word())
        else:
            self.at += 1

    def backticks(self) -> None:
        """Read the rest of a command in backticks, as a text of its own."""
        parts = []
        while (each := self.peek()) != "`":
            if not each:
                raise Unclear("a backtick is not closed")
            self.at += 1
            if each == "\\" and self.peek() in ("`", "\\", "$"):
                each = self.peek()
                self.at += 1
            parts.append(each)
        self.at += 1
        self.run("".join(parts))

    # ---- the text

    def deeper(self) -> None:
        """Count one level of nesting."""
        self.depth -= 1
        if self.depth < 0:
            raise Unclear("it is nested too deeply")

    def peek(self, ahead: int = 0) -> str:
        """Return a character that comes, or nothing where there is none."""
        at = self.at + ahead
        return self.text[at] if at < len(self.text) else ""

    def take(self, each: str) -> bool:
        """Pass over this character, if it comes now."""
        if self.peek() != each:
            return False
        self.at += 1
        return True

    def plain(self, until: frozenset[str]) -> str:
        """Read up to one of these characters, or to the end."""
        first, text = self.at, self.text
        at, most = first, len(text)
        while at < most and text[at] not in until:
            at += 1
        self.at = at
        return text[first:at]

    def name(self) -> str:
        """Read the name of a variable, if there is one."""
        first = self.at
        if self.peek() in LETTERS:
            while self.peek() in NAME:
                self.at += 1
        return self.text[first : self.at]

    def find(self, each: str) -> int:
        """Return where this character comes next, or where the text ends."""
        found = self.text.find(each, self.at)
        return found if found >= 0 else len(self.text)

    def blanks(self) -> None:
        """Pass over blanks and continued lines."""
        while self.peek() in (" ", "\t") or self.text.startswith("\\\n", self.at):
            self.at += 2 if self.peek() == "\\" else 1


def names(text: str) -> frozenset[str]:
    """Return the words of a list in one text."""
    return frozenset(text.split())


def is_name(text: str) -> bool:
    """Say whether a variable can be called so."""
    return text[:1] in LETTERS and NAME.issuperset(text)


def is_number(text: str) -> bool:
    """Say whether the text is made of digits."""
    return text.isascii() and text.isdigit()
