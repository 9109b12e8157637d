"""Which programs write files by themselves, by their names and arguments.

`writes(program, arguments)` says how, or nothing. A program that is not listed is taken not to
write: tests, builds and what they start may write, and the orchestrator may start them. Of git,
what only reads or only records what was done is listed, and everything else writes.

Pure: nothing is looked up or run.
"""

from __future__ import annotations

from runner.hooks.shell_words import PIPE, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

HARMLESS = names("/dev/null /dev/stdout /dev/stderr /dev/tty -")
HARMLESS_FOLDERS = ("/dev/fd/", "/proc/self/fd/", PIPE)
# With an operand they write.
WRITERS = names(
    "cp mv rm ln install touch truncate shred unlink rename sponge split csplit link chmod chown "
    "chgrp chattr setfacl mkfifo mknod fallocate rsync scp zip sd ed ex vi vim nvim nano pico "
    "emacs micro gzip gunzip bzip2 bunzip2 xz unxz lzma zstd unzstd lz4 compress uncompress"
)
ALWAYS = names("patch cpio pax crontab at batch script")
ASKS = names("--help --version --dry-run")
STREAMS = names("-c --stdout --to-stdout -dc -cd -t --test -l --list -lv -tv")  # of compressors
GIT_READS = names(
    "status log diff show rev-parse rev-list ls-files ls-tree ls-remote blame annotate grep "
    "describe cat-file shortlog whatchanged name-rev merge-base merge-tree for-each-ref show-ref "
    "show-branch var version help count-objects fsck diff-tree diff-index diff-files range-diff "
    "cherry check-ignore check-attr verify-commit verify-tag patch-id"
)
# They record and combine what workers did; with one of these options they throw away.
GIT_RECORDS = {
    "add": names(""),
    "stage": names(""),
    "commit": names(""),
    "merge": names(""),
    "notes": names(""),
    "fetch": names("-f --force"),
    "push": names("-f --force --force-with-lease --mirror --delete -d"),
    "tag": names("-d --delete -f --force"),
    "branch": names("-d -D -m -M -c -C -f --delete --move --copy --force"),
    "reset": names("--hard --merge --keep"),
}
# They only read if this is their first argument, or if one of these is among all.
GIT_FIRST = {
    "stash": names("list show"),
    "worktree": names("list"),
    "submodule": names("status summary"),
    "bundle": names("verify list-heads"),
    "bisect": names("log view visualize"),
    "remote": names("-v --verbose show get-url"),
    "reflog": names("show exists"),
    "config": names("--get --get-all --get-regexp --list -l get list"),
}
GIT_AMONG = {
    "rm": names("--cached"),
    "clean": names("-n --dry-run"),
    "apply": names("--check --stat --numstat --summary"),
}
GIT_SETTINGS = (
    *names("user. color. advice. log. safe.directory core.quotepath commit.gpgsign tag.gpgsign"),
    "diff.renames",
)
GIT_VALUED = names("-C --git-dir --work-tree --namespace --super-prefix")
GH_WRITES = names("checkout co clone sync download")
CURL_VALUED = "AbcCdDeEFhHKmoPQrtTuUwxXyYz"
WGET_VALUED = "aBDeGHiIlLoOPQRStTUwXY"


def writes(program: str, arguments: list[str]) -> str:
    """Return how this command writes files; nothing if it does not, or is not known to."""
    if rule := RULES.get(program):
        return rule(arguments)
    if program in ALWAYS and not ASKS.intersection(arguments):
        return f"`{program}` writes files"
    if program in WRITERS and operands(arguments) and not ASKS.intersection(arguments):
        streams = "z" in program and STREAMS.intersection(arguments)
        return "" if streams else f"`{program}` changes files"
    return ""


def is_known(program: str) -> bool:
    """Say whether `writes` knows something of this program."""
    return program in RULES or program in ALWAYS or program in WRITERS


def operands(arguments: list[str]) -> list[str]:
    """Return the arguments that are no options; values of options are among them."""
    if "--" in arguments:
        stop = arguments.index("--")
        return [*operands(arguments[:stop]), *arguments[stop + 1 :]]
    return [each for each in arguments if not each.startswith("-") or each == "-"]


def is_harmless(target: str) -> bool:
    """Say whether writing there leaves nothing behind."""
    if target in HARMLESS:
        return True
    return target.startswith(HARMLESS_FOLDERS) and ".." not in target


def option(arguments: list[str], letter: str, *names: str, valued: str = "") -> list[str]:
    """Return the values of an option, given as `-x V`, `-xV`, in a cluster, or as `--name[=]V`.

    A cluster ends at a letter that takes a value: `valued`.
    """
    found = []
    for at, each in enumerate(arguments):
        following = arguments[at + 1] if at + 1 < len(arguments) else ""
        name, equals, value = each.partition("=")
        if name in names:
            found.append(value if equals else following)
        elif each[:1] == "-" != each[1:2]:
            ends = (n for n, one in enumerate(each) if n and (one == letter or one in valued))
            end = next(ends, 0)
            if end and each[end] == letter:
                found.append(each[end + 1 :] or following)
    return found


def _dd(arguments: list[str]) -> str:
    targets = [each[3:] for each in arguments if each.startswith("of=")]
    return "" if all(map(is_harmless, targets)) else "`dd of=` writes a file"


def _tee(arguments: list[str]) -> str:
    return "" if all(map(is_harmless, operands(arguments))) else "`tee` writes a file"


def _sort(arguments: list[str]) -> str:
    targets = option(arguments, "o", "--output", valued="kStT")
    return "" if all(map(is_harmless, targets)) else "`sort -o` writes a file"


def _uniq(arguments: list[str]) -> str:
    return "`uniq` writes its second file" if operands(arguments)[1:] else ""


def _curl(arguments: list[str]) -> str:
    targets = option(arguments, "o", "--output", valued=CURL_VALUED)
    targets += option(arguments, "c", "--cookie-jar", valued=CURL_VALUED)
    targets += option(arguments, "D", "--dump-header", valued=CURL_VALUED)
    named = option(arguments, "O", "--remote-name", "--remote-name-all", valued=CURL_VALUED)
    return "`curl` saves a file" if named or not all(map(is_harmless, targets)) else ""


def _wget(arguments: list[str]) -> str:
    targets = option(arguments, "O", "--output-document", valued=WGET_VALUED)
    quiet = "--spider" in arguments or not operands(arguments)
    return "" if quiet or (targets and all(map(is_harmless, targets))) else "`wget` saves a file"


def _tar(arguments: list[str]) -> str:
    letters = "".join(each[1:] for each in arguments if each[:1] == "-" != each[1:2])
    letters += arguments[0] if arguments and arguments[0][:1] != "-" else ""
    if "x" in letters or {"--extract", "--get"} & set(arguments):
        streams = "O" in letters or "--to-stdout" in arguments
        return "" if streams else "`tar` extracts files"
    makes = set("cruA") & set(letters) or "--create" in arguments
    named = "f" in letters or any(each.startswith("--file") for each in arguments)
    return "`tar` writes an archive" if makes and named and "-" not in arguments else ""


def _unzip(arguments: list[str]) -> str:
    asks = any(each[:1] == "-" and set(each) & set("lptvZ") for each in arguments)
    return "" if asks or not operands(arguments) else "`unzip` extracts files"


def _seven(arguments: list[str]) -> str:
    return "" if arguments[:1] in ([], ["l"], ["t"], ["i"], ["h"]) else "`7z` writes files"


def _yq(arguments: list[str]) -> str:
    return "`yq -i` edits files in place" if option(arguments, "i", "--inplace") else ""


def _gh(arguments: list[str]) -> str:
    said = operands(arguments)[:2]
    return f"`gh {' '.join(said)}` writes files" if GH_WRITES.intersection(said[1:]) else ""


def _git(arguments: list[str]) -> str:
    at = 0
    while at < len(arguments) and arguments[at].startswith("-"):
        each = arguments[at]
        setting = "".join(arguments[at + 1 : at + 2]) if each == "-c" else "user."
        if each.startswith(("--exec-path=", "--config-env")) or not _is_plain(setting):
            return f"`git {each} {setting[:60]}` can make git run anything"
        at += 2 if each == "-c" or each in GIT_VALUED else 1
    return _git_command(arguments[at], arguments[at + 1 :]) if at < len(arguments) else ""


def _is_plain(setting: str) -> bool:
    """Say whether a setting of git names no program."""
    name, _, value = setting.partition("=")
    if name.lower() == "core.pager":
        return value in ("", "cat")
    return name.lower().startswith(GIT_SETTINGS)


def _git_command(name: str, arguments: list[str]) -> str:
    given = {each.partition("=")[0] for each in arguments}
    if any(each.startswith("--outp") and "-indicator-" not in each for each in given):
        return "`git --output` writes a file"
    if name == "grep" and any(each.startswith(("-O", "--open")) for each in given):
        return "`git grep -O` runs a program"
    if name in GIT_READS:
        return ""
    if name in GIT_RECORDS:
        more = GIT_RECORDS[name] & given
        return f"`git {name} {min(more)}` throws away what is there" if more else ""
    return "" if _git_asks(name, arguments, given) else f"`git {name}` changes files"


def _git_asks(name: str, arguments: list[str], given: set[str]) -> bool:
    """Say whether a git command that can write only reads this time."""
    if name in ("remote", "reflog") and not arguments:
        return True
    if name == "config" and len(arguments) == 1 and not arguments[0].startswith("-"):
        return True
    if name == "archive":
        return not option(arguments, "o")
    if GIT_FIRST.get(name, names("")).intersection(arguments[:1]):
        return True
    return bool(GIT_AMONG.get(name, names("")) & given) and "--apply" not in given


RULES: dict[str, Callable[[list[str]], str]] = {
    "dd": _dd,
    "tee": _tee,
    "sort": _sort,
    "uniq": _uniq,
    "curl": _curl,
    "wget": _wget,
    "tar": _tar,
    "bsdtar": _tar,
    "unzip": _unzip,
    "7z": _seven,
    "7za": _seven,
    "yq": _yq,
    "gh": _gh,
    "git": _git,
}
