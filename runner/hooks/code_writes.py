"""What a piece of another language in a line of shell would write: a guess by its words.

`sed` scripts are read as sed reads them. Of all others only words are looked for: code that has
none of them is taken to read. Code that hides what it does is not seen, and a harmless word that
looks like a writing one is taken for it.

Pure, and linear in the length of the code: nothing is looked up or run.
"""

from __future__ import annotations

from runner.hooks.shell_words import NAME, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# What writes, removes or moves files, starts programs, or hides which of these it does.
WORDS = names(
    "write_text write_bytes writelines writeFile writeFileSync appendFile appendFileSync "
    "createWriteStream file_put_contents fwrite fputs FileUtils copyfile copyFile copyFileSync "
    "cpSync unlink unlinkSync rmdir rmdirSync rmtree rmSync removedirs renames renameSync "
    "truncate truncateSync ftruncate makedirs symlink symlinkSync symlink_to hardlink_to shutil "
    "savetxt to_csv fileinput subprocess system popen Popen spawn spawnSync fork forkpty exec "
    "execSync execv execve execvp execute eval child_process Open3 qx ctypes importlib runpy pty "
    "__import__ getattr globals builtins __builtins__ compile"
)
TEXTS = names(
    ".write( os.remove os.rename os.replace os.link os.open fs.rm( fs.rename fs.cp( .touch( "
    ".chmod( .rename( File.write File.delete File.rename IO.write IO.binwrite %x"
)
HARMLESS = ("stdout.write", "stderr.write", "re.compile", "platform.system", ".exec(")
MODE, WRITES = frozenset("rwaxbt+"), frozenset("wax+")
OPEN_CHARACTERS = 400  # of a call of open, in which its mode is looked for
SED_LINE = frozenset("aicrR")  # commands that take the rest of the line
SED_LABEL = frozenset("btT:}")


def code_writes(code: str, *, backticks: bool = False) -> str:
    """Return for which word this code may write; nothing if there is none."""
    for each in HARMLESS:
        code = code.replace(each, " ")
    if backticks and "`" in code:
        return "`"
    found = next((each for each in sorted(TEXTS) if each in code), "")
    found = found or next((each for each in sorted(WORDS) if has_word(code, each)), "")
    return found or next(writing_modes(code), "")


def has_word(code: str, word: str) -> bool:
    """Say whether this identifier is in the code."""
    at = code.find(word)
    while at >= 0:
        end = at + len(word)
        if code[at - 1 : at] not in NAME and code[end : end + 1] not in NAME:
            return True
        at = code.find(word, end)
    return False


def writing_modes(code: str) -> Iterator[str]:
    """Return how something is opened for writing."""
    before, *calls = code.split("open")
    for each in calls:
        rest = each[:OPEN_CHARACTERS].replace("mode=", "").replace(" ", "")
        # The second argument, or the only one of a path's own method.
        begins = [f",{quote}" for quote in "\"'"]
        begins += [f"({quote}" for quote in "\"'" if before.endswith(".")]
        for begin in begins:
            mode = "".join(rest.split(begin)[1:2]).partition(begin[-1])[0]
            if mode[:1] in (">", "|", "+") or (MODE.issuperset(mode) and WRITES & set(mode)):
                yield f"open(..., {mode[:20]})"
        before = each


def awk_writes(program: str) -> str:
    """Return how an awk program writes or runs something; nothing if it only prints."""
    # Every second part is outside of quotes.
    bare = '"'.join(program.replace('\\"', "").split('"')[::2])
    tight = bare.replace(" ", "")
    if "system(" in tight:
        return "system()"
    if '|"' in tight or '"|' in tight.replace('"||', "") or "|getline" in tight or "|&" in tight:
        return "a pipe"
    for statement in bare.split("print")[1:]:
        depth = 0
        for at, each in enumerate(statement):
            depth += (each == "(") - (each == ")")
            if each in ";}\n":
                break
            pipe = each == "|" and "|" not in (statement[at - 1 : at], statement[at + 1 : at + 2])
            if depth <= 0 and (pipe or each == ">"):
                return f"print {each}"
    return ""


def sed_writes(script: str) -> str:
    """Return which of sed's commands writes a file or runs a program; nothing if none does."""
    at = 0
    while at < len(script):
        at = _address(script, at)
        each = script[at : at + 1]
        at += 1
        if each in ("s", "y"):
            first = _delimited(script, at)
            at = _until(script, first, "\n;}")
            if each == "s" and set("we") & set(script[first:at]):
                return f"s///{script[first:at]}"
        elif each in ("w", "W", "e"):
            return each
        elif each in SED_LINE:
            at = _until(script, at, "\n")
        elif each in SED_LABEL:
            at = _until(script, at, "\n;")
    return ""


def _address(script: str, at: int) -> int:
    """Return where the command behind an address begins."""
    while at < len(script):
        each = script[at]
        if each == "\\":
            at = _closed(script, at + 2, script[at + 1 : at + 2])
        elif each == "/":
            at = _closed(script, at + 1, each)
        elif each in " \t\n;{,!$~+I" or each.isdigit():
            at += 1
        else:
            break
    return at


def _delimited(script: str, at: int) -> int:
    """Return where the flags of `s/a/b/flags` begin; `at` is at its first delimiter."""
    delimiter = script[at : at + 1]
    return _closed(script, _closed(script, at + 1, delimiter), delimiter)


def _closed(script: str, at: int, delimiter: str) -> int:
    """Return the place behind the next delimiter that is not escaped."""
    while at < len(script) and script[at] != delimiter:
        at += 2 if script[at] == "\\" else 1
    return at + 1


def _until(script: str, at: int, ends: str) -> int:
    while at < len(script) and script[at] not in ends:
        at += 1
    return at
