"""Which commands of a line of shell write files by themselves, and what each is about.

`findings(command)` is empty for a line that only reads, or starts programs of which nothing is
known: a test may write, and so may a script. Programs that start others (`env`, `xargs`, `find
-exec`, `sh -c`, `eval` ...) are looked through. What cannot be taken apart is a finding as well.

Pure, and linear in the length of the line: nothing is looked up or run. Not seen: what a script, a
program, an alias or an unknown variable does; docs/reference/hooks.md has the list.
"""

from __future__ import annotations

from runner.hooks.code_writes import awk_writes, code_writes, sed_writes
from runner.hooks.programs import is_harmless, is_known, operands, option, writes
from runner.hooks.shell_commands import DEPTH, Simple, simple_commands
from runner.hooks.shell_words import PIPE, UNKNOWN, Unclear, Word, is_name, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 200_000  # characters; the system takes no longer argument
LEVELS = 8  # of lines within lines: `sh -c "sh -c ..."`
STARTS = 20  # of programs that start another, in one command
SHOWN_CHARACTERS = 80
# Programs that start another: their options that take a value, and the operands before it.
WRAPPERS = {
    "env": ("uC", 0), "sudo": ("ugpCThrtDR", 0), "doas": ("uC", 0), "nohup": ("", 0),
    "timeout": ("sk", 1), "nice": ("n", 0), "ionice": ("cnp", 0), "stdbuf": ("ioe", 0),
    "setsid": ("", 0), "time": ("fo", 0), "command": ("", 0), "builtin": ("", 0),
    "exec": ("a", 0), "xargs": ("aEIdLnPs", 0), "busybox": ("", 0), "toybox": ("", 0),
    "chronic": ("", 0), "unbuffer": ("", 0), "strace": ("eopsuEaIOSUX", 0), "flock": ("wE", 1),
    "chroot": ("", 1), "taskset": ("", 1), "caffeinate": ("tw", 0), "noglob": ("", 0),
    "nocorrect": ("", 0), "-": ("", 0), "setarch": ("", 1), "unshare": ("", 0),
}  # fmt: skip
SETS = names("env sudo doas")  # take assignments before the command
RUNNERS = names("uv poetry pipenv pdm hatch rye conda")  # NAME run COMMAND
LONG_VALUED = names(
    "--signal --kill-after --unset --chdir --user --group --adjustment --max-args --max-procs "
    "--max-lines --max-chars --delimiter --arg-file --with --python --extra --project --directory "
    "--env-file --package"
)
SHELLS = names("sh bash zsh dash ksh mksh ash fish rbash")
# Languages: the options that hold code, and those that take another value.
LANGUAGES = {
    "python": ("c", "WXQ"), "pypy": ("c", "WXQ"), "ipython": ("c", ""), "node": ("ep", "rC"),
    "nodejs": ("ep", "rC"), "bun": ("ep", "r"), "deno": ("", ""), "perl": ("eE", "ICxMm"),
    "ruby": ("e", "IrCEF"), "php": ("rBRE", "dcz"), "lua": ("e", "l"), "luajit": ("e", "l"),
    "Rscript": ("e", ""), "julia": ("eE", "JLpt"), "osascript": ("e", "l"), "elixir": ("e", "r"),
    "tclsh": ("", ""),
}  # fmt: skip
LONG_CODE = names("--eval --print --execute --run --command")
BACKTICKS = names("perl ruby php")
AWKS = names("awk gawk mawk nawk")
# Variables whose value is run by git and others.
COMMANDS = names(
    "EDITOR VISUAL PAGER GIT_EDITOR GIT_SEQUENCE_EDITOR GIT_PAGER GIT_SSH GIT_SSH_COMMAND "
    "GIT_EXTERNAL_DIFF GIT_ASKPASS PROMPT_COMMAND"
)
EXECUTES = names("-exec -execdir -ok -okdir -x -X --exec --exec-batch")
PRINTS = names("-fprint -fprint0 -fprintf -fls")


class Finding:
    """One command that writes: how, and the words it consists of."""

    __slots__ = ("what", "words")

    def __init__(self, what: str, words: list[Word]) -> None:
        self.what = what
        self.words = words


class Line:
    """What is known of a line: the commands that it would run, and which of them write."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.commands: list[list[Word]] = []  # with the targets of their redirections


def findings(command: str) -> list[Finding]:
    """Return what in this line writes files by itself."""
    return look(command).findings


def look(command: str, values: dict[str, str] | None = None) -> Line:
    """Take a line apart; `values` are the variables that are known, by their names."""
    line = Line()
    if len(command) > LONGEST:
        line.findings.append(Finding(f"it is longer than {LONGEST:,} characters", []))
    else:
        Look(line, dict(values or {}), LEVELS).text(command)
    return line


class Look:
    """Looks at the commands of one text, and of the texts that they would run."""

    def __init__(self, line: Line, values: dict[str, str], levels: int) -> None:
        self.line, self.values, self.levels = line, values, levels
        self.simple = Simple()
        self.all: list[Word] = []

    def text(self, text: str) -> None:
        """Look at the commands of a text."""
        try:
            for each in simple_commands(text, self.values, DEPTH if self.levels else 0):
                self.one(each)
        except Unclear as why:
            self.all = [*map(Word, text.split())]
            self.line.commands.append(self.all)
            self.find(f"it cannot be taken apart: {why}")

    def inner(self, text: str) -> None:
        """Look at a text that a command of this one would run."""
        Look(self.line, self.values, self.levels - 1).text(text)

    def find(self, what: str) -> None:
        if what:
            self.line.findings.append(Finding(what, self.all))

    def one(self, simple: Simple) -> None:
        """Look at one command."""
        targets = [target for _, target in simple.redirects]
        self.simple, self.all = simple, [*simple.sets, *simple.words, *targets]
        self.line.commands.append(self.all)
        for kind, target in simple.redirects:
            if kind not in ("<", "<&") and not is_harmless(target.text):
                self.find(f"`{kind} {shown(target.text)}` writes a file")
        for each in simple.sets:
            if each.name in COMMANDS:
                self.inner(each.text[len(each.name) + 1 :])
        self.command(simple.words)

    def command(self, words: list[Word]) -> None:
        """Look at a command, through all that only start another."""
        for _ in range(STARTS):
            if not words:
                return
            program = name_of(words[0].text)
            if words[0].loose and program not in ("[", "[["):
                self.find(f"which program `{shown(words[0].text)}` is cannot be told")
            started = self.started(program, words)
            if started is None:
                self.program(program, words)
                return
            words = started
        raise Unclear("too many programs start another")

    def started(self, program: str, words: list[Word]) -> list[Word] | None:
        """Return the command that this one starts; None if it starts none."""
        arguments = [each.text for each in words[1 : STARTS + 1]]
        if program in RUNNERS and arguments[:1] == ["run"]:
            return after_options(words[1:], "pn", 0)
        if program not in WRAPPERS:
            return None
        valued, skipped = WRAPPERS[program]
        if program == "command" and arguments[:1] in (["-v"], ["-V"]):
            return []
        if program == "env" and option(arguments, "S", "--split-string", valued=valued):
            words = split_string(words)
        if program == "flock" and (codes := option(arguments, "c", "--command", valued=valued)):
            self.inner(codes[0])
            return []
        rest = after_options(words, valued, skipped, sets=program in SETS)
        return [*rest, Word(UNKNOWN)] if program == "xargs" and rest else rest

    def program(self, program: str, words: list[Word]) -> None:
        """Look at a command that does something itself."""
        arguments = [each.text for each in words[1:]]
        if program in SHELLS:
            self.shell(program, arguments)
        elif program in LANGUAGES:
            self.language(program, arguments)
        elif program in AWKS:
            self.awk(arguments)
        elif look := METHODS.get(program):
            look(self, words)
        else:
            self.find(writes(program, arguments))

    # ---- programs that are given code

    def shell(self, program: str, arguments: list[str]) -> None:
        letters = "".join(clusters(arguments, "oO"))
        rest = [each.text for each in after_options([Word(), *map(Word, arguments)], "oO", 0)]
        if "c" in letters:
            self.inner("".join(rest[:1]))
        elif self.is_fed(program, [] if "s" in letters else rest):
            for each in self.simple.given:
                self.inner(each)

    def language(self, program: str, arguments: list[str]) -> None:
        if program in ("perl", "ruby") and any("i" in each for each in clusters(arguments, "IMme")):
            self.find(f"`{program} -i` edits files in place")
        codes, script = inline(arguments, *LANGUAGES[program])
        if program == "deno" and script[:1] == ["eval"]:
            codes = operands(script[1:])[:1]
        if not codes and self.is_fed(program, script):
            codes = self.simple.given
        for each in codes:
            if word := code_writes(each, backticks=program in BACKTICKS):
                self.find(f"the code for `{program}` may write: it has `{shown(word)}`")

    def is_fed(self, program: str, script: list[str]) -> bool:
        """Say whether a program reads its code from stdin, and find what cannot be seen."""
        if script and script[0].startswith(PIPE):
            self.find(f"what `{program}` is given to run cannot be seen")
        if script and script[0] not in ("-", "/dev/stdin", "/dev/fd/0"):
            return False
        if self.simple.piped and not self.simple.given:
            self.find(f"what is piped into `{program}` cannot be seen")
        return True

    def awk(self, arguments: list[str]) -> None:
        if "inplace" in option(arguments, "i", "--include", valued="Fvfe"):
            self.find("`awk -i inplace` edits files in place")
        codes, rest = inline(arguments, "e", "Fvfi")
        files = option(arguments, "f", "--file", valued="Fvie")
        for each in codes or ([] if files else rest[:1]):
            if how := awk_writes(each):
                self.find(f"the code for `awk` may write: it has `{how}`")

    def sed(self, words: list[Word]) -> None:
        arguments = [each.text for each in words[1:]]
        inplace = any(each.startswith("--in-place") for each in arguments)
        if inplace or any("i" in each for each in clusters(arguments, "ef")):
            self.find("`sed -i` edits files in place")
        codes = option(arguments, "e", "--expression", valued="fi")
        files = option(arguments, "f", "--file", valued="ei")
        for each in codes or ([] if files else operands(arguments)[:1]):
            if how := sed_writes(each):
                self.find(f"sed's command `{shown(how)}` writes a file or runs a program")

    # ---- programs that run what they are given

    def evaluated(self, words: list[Word]) -> None:
        self.inner(" ".join(each.text for each in after_options(words, "njN", 0)))

    def trap(self, words: list[Word]) -> None:
        self.inner("".join(each.text for each in after_options(words, "", 0)[:1]))

    def alias(self, words: list[Word]) -> None:
        for each in words[1:]:
            self.inner(each.text.partition("=")[2])

    def source(self, words: list[Word]) -> None:
        self.is_fed("source", [each.text for each in words[1:2]])

    def walk(self, words: list[Word]) -> None:
        """Look at what find and fd do with what they find."""
        at = 1
        while at < len(words):
            each = words[at].text
            at += 1
            if each == "-delete":
                self.find("`find -delete` removes files")
            elif each in PRINTS and not is_harmless("".join(a.text for a in words[at : at + 1])):
                self.find(f"`find {each}` writes a file")
            elif each in EXECUTES:
                first = at
                while at < len(words) and words[at].text not in (";", "+"):
                    at += 1
                self.command([*words[first:at], Word(UNKNOWN)] if words[first:at] else [])


METHODS: dict[str, Callable[[Look, list[Word]], None]] = {
    "sed": Look.sed,
    "find": Look.walk,
    "fd": Look.walk,
    "fdfind": Look.walk,
    "eval": Look.evaluated,
    "watch": Look.evaluated,
    "parallel": Look.evaluated,
    "trap": Look.trap,
    "alias": Look.alias,
    "source": Look.source,
    ".": Look.source,
}


def name_of(text: str) -> str:
    """Return a program's name: without its folder, its version, or GNU's `g`."""
    name = text.rpartition("/")[2].lstrip("=") or text
    for each in (name, name.rstrip("0123456789."), name.removeprefix("g")):
        if each in SHELLS or each in WRAPPERS or each in LANGUAGES or each in AWKS:
            return each
        if each in METHODS or is_known(each):
            return each
    return name


def split_string(words: list[Word]) -> list[Word]:
    """Return the words of `env -S TEXT ...`, with TEXT taken apart."""
    found: list[Word] = []
    before = ""
    for each in words:
        text = each.text.removeprefix("--split-string=")
        if before == "--split-string" or (before[:1] == "-" and before[-1:] == "S"):
            found += map(Word, text.split())
        elif text != each.text or (text[:2] == "-S" and text[2:]):
            found += map(Word, text.removeprefix("-S").split())
        else:
            found.append(each)
        before = each.text
    return found


def after_options(
    words: list[Word], valued: str, skipped: int, *, sets: bool = False
) -> list[Word]:
    """Return what stands behind a command's options, assignments and first operands."""
    at = 1
    while at < len(words):
        each = words[at].text
        if each == "--":
            at += 1
            break
        if each[:2] == "--":
            at += 2 if each in LONG_VALUED else 1
        elif each[:1] in ("-", "+") and each[1:]:
            first = next((n for n, letter in enumerate(each) if n and letter in valued), 0)
            at += 2 if first and first == len(each) - 1 else 1
        elif sets and "=" in each and is_name(each.partition("=")[0]):
            at += 1
        else:
            break
    return words[at + skipped :]


def inline(arguments: list[str], letters: str, valued: str) -> tuple[list[str], list[str]]:
    """Return the code among a program's arguments, and the operands from the script on."""
    codes: list[str] = []
    at = 0
    while at < len(arguments) and arguments[at][:1] == "-" and arguments[at] not in ("-", "--"):
        each = arguments[at]
        at += 1
        name, equals, value = each.partition("=")
        if each[:2] == "--":
            is_code, value = name in LONG_CODE, value if equals else ""
            takes = is_code and not equals
        else:
            ends = (n for n, one in enumerate(each) if n and one in f"{letters}{valued}m")
            end = next(ends, 0)
            if each[end] == "m" and "m" not in valued:  # a module of Python, and no more options
                return codes, ["-m"]
            is_code, value = bool(end) and each[end] in letters, each[end + 1 :]
            takes = bool(end) and not value
        value = "".join(arguments[at : at + 1]) if takes else value
        at += takes
        codes += [value] if is_code else []
    return codes, arguments[at + (arguments[at : at + 1] == ["--"]) :]


def clusters(arguments: list[str], valued: str) -> list[str]:
    """Return the options of one letter, each without what follows one that takes a value."""
    found = []
    for each in arguments:
        if each == "--":
            break
        if each[:1] == "-" != each[1:2]:
            end = next((n for n, letter in enumerate(each) if letter in valued), len(each))
            found.append(each[:end])
    return found


def shown(text: str) -> str:
    """Return what a person may read of a word."""
    return text.replace(PIPE, "...").replace(UNKNOWN, "...")[:SHOWN_CHARACTERS]
