"""A line of shell, taken apart into the simple commands that it would run.

`simple_commands` reads what bash and zsh read: quotes, escapes, redirections, heredocs, pipelines,
lists, groups, functions, `[[ ]]`, `(( ))`, and the commands inside `$( )`, backticks and `<( )`,
each as one entry of a flat list. What it cannot take apart is Unclear, never a guess.

Pure: nothing is looked up or run. The time it takes grows with the text and not faster: a position
is read once for each level of nesting, and there are at most DEPTH of those.

Not seen: aliases, expansions (a glob, a brace or an unknown variable stays as it is written, or
becomes UNKNOWN), and what only some options of a shell allow.
"""

from __future__ import annotations

from runner.hooks.shell_words import END, UNKNOWN, Unclear, Word, Words, is_name, is_number, names

DEPTH = 30
VALUE_CHARACTERS = 256  # of a variable that is followed; a longer one is unknown
# The longest first.
REDIRECTIONS = ("&>>", "<<<", "<<-", "&>", ">>", ">|", ">&", "<<", "<>", "<&", ">", "<")
SEPARATORS = ("&&", "||", "|&", ";;")
# Words of the grammar that a command may follow.
RESERVED = names("! { } if then elif else fi while until do done esac coproc")
LOOPS = frozenset(["case", "for", "select"])
SETTERS = frozenset(["export", "declare", "typeset", "local", "readonly"])


class Simple:
    """One command: its words, what is set before it, and where its input and output go."""

    __slots__ = ("begun", "given", "piped", "redirects", "sets", "words")

    def __init__(self, *, piped: bool = False) -> None:
        self.words: list[Word] = []
        self.sets: list[Word] = []
        self.redirects: list[tuple[str, Word]] = []
        self.given: list[str] = []  # heredocs and here-strings
        self.piped = piped  # it reads what another command writes
        self.begun = False  # has a word that is no assignment


class Heredoc:
    """A heredoc whose text has not come yet."""

    __slots__ = ("end", "literal", "simple", "tabs")

    def __init__(self, simple: Simple, end: str, *, literal: bool, tabs: bool) -> None:
        self.simple, self.end, self.literal, self.tabs = simple, end, literal, tabs


def simple_commands(
    text: str, values: dict[str, str] | None = None, depth: int = DEPTH
) -> list[Simple]:
    """Return every command of the text, also those inside others; raises Unclear.

    `values` are the variables that are known; what the text sets is added to it.
    """
    reader = Commands(text, {} if values is None else values, depth, [])
    reader.commands("")
    return reader.found


class Commands(Words):
    """Reads the commands of one text."""

    def __init__(self, text: str, values: dict[str, str], depth: int, found: list[Simple]) -> None:
        super().__init__(text, values, depth)
        self.found = found
        self.heredocs: list[Heredoc] = []
        self.simple = Simple()
        self.cases = 0  # how many `case` are open
        self.pattern = False  # what comes is a pattern of one, and no command
        self.fed = False  # a compound command reads from a pipe, and so do those in it

    def commands(self, end: str) -> None:
        self.deeper()
        outer = self.simple, self.cases, self.pattern, self.fed
        self.simple, self.cases, self.pattern, self.fed = Simple(), 0, False, False
        while (each := self.peek()) and not (each == end and not self.cases):
            self.step(each)
        self.flush()
        if end and not self.take(end):
            raise Unclear(f"a {end!r} is missing")
        self.simple, self.cases, self.pattern, self.fed = outer
        self.depth += 1

    def group(self, *, piped: bool) -> None:
        first = len(self.found)
        self.commands(")")
        for each in self.found[first:]:
            each.piped = each.piped or piped

    def run(self, text: str) -> None:
        Commands(text, self.values, self.depth, self.found).commands("")

    def step(self, each: str) -> None:
        """Read what begins with this character."""
        if each in " \t" or self.text.startswith("\\\n", self.at):
            self.blanks()
        elif each == "#":
            self.at = self.find("\n")
        elif each in "<>" and self.peek(1) != "(":
            self.redirect()
        elif each in ";&|\n)":
            self.operator(each)
        elif each == "(":
            self.parenthesis()
        else:
            self.word_of_command()

    # ---- between two commands

    def operator(self, each: str) -> None:
        """Read what stands between two commands."""
        if self.text.startswith("&>", self.at):
            self.redirect()
            return
        two = self.text[self.at : self.at + 2]
        self.at += 2 if two in SEPARATORS else 1
        if each == "\n":
            waits = self.simple.piped and not self.simple.words  # a pipe ended the line
            if not waits:
                self.flush()
            self.bodies()
            return
        self.flush(piped=each == "|" and two != "||")
        if self.pattern and (each in ";&" or two == "||"):
            raise Unclear("a pattern of a 'case' is not closed")
        self.pattern = (self.pattern and each != ")") or (self.cases > 0 and two in (";;", ";&"))

    def flush(self, *, piped: bool = False) -> None:
        """Finish the command that was being read."""
        simple, self.simple = self.simple, Simple(piped=piped or self.fed)
        words = simple.words
        first = next((n for n, each in enumerate(words) if not each.name), len(words))
        simple.sets, words = words[:first], words[first:]
        if words and words[0].split and UNKNOWN not in words[0].text:
            words = [*map(Word, words[0].text.split()), *words[1:]]
        simple.words = words
        begins = bool(words) and words[0].text == "case"
        if begins and words[-1].text == "esac":
            self.grammar("esac")
        self.set_variables(simple)
        if (words or simple.sets or simple.redirects) and (begins or not self.pattern):
            self.found.append(simple)

    def set_variables(self, simple: Simple) -> None:
        """Note what the command sets."""
        first = simple.words[0].text if simple.words else ""
        if not first:
            for each in simple.sets:
                self.remember(each)
        elif first in SETTERS:
            for each in simple.words[1:]:
                self.remember(each)
        elif first == "for" and simple.words[1:]:
            self.values.pop(simple.words[1].text, None)

    def remember(self, word: Word) -> None:
        """Note the value of a variable, or that it is not known."""
        self.values.pop(word.name, None)
        sign, value = word.text[len(word.name) :][:1], word.text[len(word.name) + 1 :]
        if word.name and sign == "=" and UNKNOWN not in value and len(value) <= VALUE_CHARACTERS:
            self.values[word.name] = value

    # ---- inside a command

    def parenthesis(self) -> None:
        """Read a subshell, an arithmetic command, an array, or the `()` of a function."""
        words = self.simple.words
        first = words[0].text if words else ""
        if self.peek(1) == "(" and first in ("", "for"):
            self.arithmetic()
        elif self.pattern:
            self.at += 1
        elif words and words[-1].name and words[-1].text.endswith("="):
            self.array(words[-1])
        elif words:
            self.at += 1
            self.blanks()
            if not self.take(")"):
                raise Unclear("a '(' stands where no command can begin")
            self.simple = Simple(piped=self.simple.piped)
        else:
            self.at += 1
            self.group(piped=self.simple.piped)

    def array(self, target: Word) -> None:
        """Read the elements of `NAME=( ... )`, as texts of that word."""
        self.at += 1
        parts = [target.text]
        while not self.take(")"):
            each = self.peek()
            if not each or each in ";&|<>(":
                raise Unclear("an array is not closed, or has something else than words in it")
            if each in " \t\n":
                self.at += 1
            else:
                parts.append(self.word().text)
        target.text = " ".join(parts)

    def word_of_command(self) -> None:
        """Read a word; a number before a redirection, or a word of the grammar, is none."""
        start = self.at
        word = self.word()
        plain = not word.quoted and self.text[start : self.at] == word.text
        if plain and is_descriptor(word.text) and self.peek() in ("<", ">"):
            return
        if plain and not self.simple.begun and self.grammar(word.text):
            return
        self.simple.words.append(word)
        self.simple.begun = self.simple.begun or not word.name

    def grammar(self, text: str) -> bool:
        """Follow a word of the grammar in front of a command; say whether it is used up."""
        self.fed = self.fed or (self.simple.piped and (text in LOOPS or text in RESERVED))
        if text == "[[":
            self.condition()
        elif text == "case":
            self.cases, self.pattern = self.cases + 1, True
            return False
        elif text == "esac":
            self.cases, self.pattern = max(0, self.cases - 1), False
        elif text == "function":
            self.blanks()
            self.word()
        elif text == "time":
            self.blanks()
            while self.peek() == "-":
                self.word()
                self.blanks()
        return text in RESERVED or text in ("[[", "function", "time")

    def condition(self) -> None:
        """Read `[[ ... ]]`, in which `<` and `>` compare; its words are those of a test."""
        words = self.simple.words
        words.append(Word("[["))
        self.simple.begun = True
        while words[-1].text != "]]":
            self.blanks()
            each = self.peek()
            if not each:
                raise Unclear("a ']]' is missing")
            if each in END or each == "!":
                self.at += 1
            else:
                words.append(self.word())

    # ---- redirections

    def redirect(self) -> None:
        """Read a redirection whose file descriptor, if any, was read already."""
        rest = self.text[self.at : self.at + 3]
        kind = next(each for each in REDIRECTIONS if rest.startswith(each))
        self.at += len(kind)
        self.blanks()
        start = self.at
        target = self.word()
        if kind == "<<<":
            self.simple.given.append(target.text)
        elif kind in ("<<", "<<-"):
            end = target.text if target.quoted else self.text[start : self.at]
            literal, tabs = target.quoted, kind == "<<-"
            self.heredocs.append(Heredoc(self.simple, end, literal=literal, tabs=tabs))
        elif kind not in (">&", "<&") or not is_duplicate(target.text):
            self.simple.redirects.append((kind, target))

    def bodies(self) -> None:
        """Read the texts of the heredocs that began on the line that has just ended."""
        waiting, self.heredocs = self.heredocs, []
        for each in waiting:
            lines = []
            while self.at < len(self.text):
                stop = self.find("\n")
                line = self.text[self.at : stop]
                self.at = min(stop + 1, len(self.text))
                if (line.lstrip("\t") if each.tabs else line) == each.end:
                    break
                lines.append(line)
            body = "\n".join(lines)
            each.simple.given.append(body)
            if not each.literal:
                inner = Commands(body, self.values, self.depth, self.found)
                inner.deeper()
                inner.in_quotes("", Word())


def is_descriptor(text: str) -> bool:
    """Say whether this, before a redirection, is a file descriptor."""
    return is_number(text) or (text[:1] + text[-1:] == "{}" and is_name(text[1:-1]))


def is_duplicate(text: str) -> bool:
    """Say whether this, behind `>&`, is a file descriptor and not a file."""
    return text == "-" or is_number(text.removesuffix("-"))
