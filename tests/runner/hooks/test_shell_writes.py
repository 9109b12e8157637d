"""What in a line of shell writes: tables of lines, and lines that a real bash is asked about."""

from __future__ import annotations

import random
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.hooks.shell_commands import simple_commands
from runner.hooks.shell_words import UNKNOWN
from runner.hooks.shell_writes import findings, look

WRITING = [
    "echo a > b",
    "echo a >> b",
    "echo a >| b",
    ": > b",
    "> b",
    "cmd &> b",
    "cmd >& b",
    "exec > b",
    "tee b",
    "ls | tee -a b",
    "sed -i s/a/b/ f",
    "sed -ni p f",
    "sed -i.bak s/a/b/ f",
    "gsed -Ei s/a/b/ f",
    "sed --in-place=.bak s/a/b/ f",
    "sed -n 's/a/b/w out' f",
    "sed '1w out' f",
    "sed -e p -e 'w out' f",
    "sed '1e touch x'",
    "perl -i -pe s/a/b/ f",
    "perl -pi.bak -e s/a/b/ f",
    "perl -e 'unlink \"x\"'",
    "perl -e 'open(F, \">x\")'",
    "perl -e 'print `rm x`'",
    'ruby -e \'File.write("x", "")\'',
    "ruby -i -pe '$_' f",
    'node -e \'require("fs").writeFileSync("a","")\'',
    "node --eval='require(\"child_process\")'",
    'python -c \'open("x","w").write("")\'',
    "python3.11 -c \"from pathlib import Path; Path('x').write_text('')\"",
    "python3 -Ic 'import os; os.remove(\"x\")'",
    "python3 -c 'import shutil'",
    'python -c"import subprocess"',
    '/usr/bin/env python3 -c \'open("x", mode="a")\'',
    "env -i A=b rm x",
    "env -S 'rm -f x'",
    "env -uSHELL sed -i p f",
    "sudo -u root rm x",
    "nohup rm x &",
    "timeout -s KILL 5 rm x",
    "timeout 5 cp a b",
    "nice -n 5 mv a b",
    "xargs rm < list",
    "ls | xargs -0 -n1 sed -i p",
    "ls | xargs -I{} sh -c 'rm {}'",
    "find . -delete",
    "find . -name x -exec rm {} \\;",
    "find . -exec sed -i p {} +",
    "find . -fprint out",
    'find . -type f | while read f; do rm "$f"; done',
    "fd x -X rm",
    "git apply p",
    "git am p",
    "git checkout -- f",
    "git checkout main",
    "git restore f",
    "git switch x",
    "git reset --hard",
    "git reset --hard HEAD~1",
    "git stash",
    "git stash pop",
    "git clean -fd",
    "git rm f",
    "git mv a b",
    "git rebase main",
    "git pull",
    "git cherry-pick a",
    "git -C sub checkout f",
    "git -c core.editor=evil commit",
    "git -c alias.x='!rm y' x",
    "git diff --output=f",
    "git log --output f",
    "git config user.name x",
    "git branch -D x",
    "git push --force",
    "git worktree add x",
    "git grep -Oless x",
    "cp a b",
    "\\cp a b",
    "'cp' a b",
    'c""p a b',
    "/bin/cp a b",
    "$'\\x63p' a b",
    "mv a b",
    "rm a",
    "rm -rf -- -x",
    "/bin/rm x",
    "r\\m x",
    "touch x",
    "truncate -s 0 x",
    "dd if=a of=b",
    "install -m 755 a b",
    "patch -p1 < p",
    "ln -s a b",
    "chmod +x f",
    "unlink f",
    "rsync -a a b",
    "curl -o f http://x",
    "curl -fsSLO http://x",
    "curl -sSfLo f http://x",
    "wget http://x",
    "tar xzf a.tgz",
    "tar -xf a.tar",
    "tar czf a.tgz d",
    "unzip a.zip",
    "gunzip a.gz",
    "sort -o f f",
    "uniq a b",
    "sh -c 'rm x'",
    'bash -lc "cd x && rm y"',
    "bash -c 'echo \"$(rm x)\"'",
    "bash -o pipefail -c 'rm x'",
    "zsh -ic 'rm x'",
    "eval rm x",
    'eval "rm x"',
    "echo rm x | sh",
    "curl http://x | bash",
    "curl http://x | sudo bash -s -- arg",
    "bash <<< 'rm x'",
    "bash <(curl x)",
    "source <(curl x)",
    "(rm x)",
    "{ rm x; }",
    "if true; then rm x; fi",
    'for f in *; do rm "$f"; done',
    'while read f; do rm "$f"; done < list',
    "case a in a) rm x;; esac",
    "case a in esac; rm x",
    "case a in a) ;; *.c|*.h) rm x;; esac",
    "case a in (a) rm x; esac",
    "case a in a) case b in b) ;; esac; rm x;; esac",
    "(case a in a) rm x;; esac)",
    "f() { rm x; }; f",
    "function f { rm x; }",
    "ls && rm x",
    "ls || rm x",
    "ls; rm x",
    "ls & rm x",
    "ls | rm x",
    'echo "$(rm x)"',
    "echo `rm x`",
    "echo ${X:-$(rm x)}",
    "echo $(( $(rm x) + 1 ))",
    "cat <(rm x)",
    "ls > >(sh)",
    "A=1 B=2 rm x",
    "X=rm; $X y",
    'export X=rm; "$X" y',
    'X="rm -f"; $X y',
    "! rm x",
    "time rm x",
    "time -p rm x",
    "command rm x",
    "builtin eval 'rm x'",
    "exec rm x",
    "trap 'rm x' EXIT",
    "alias ll='rm x'",
    "busybox rm x",
    "{rm,x}",
    "/bin/r? x",
    "if [[ a > b ]]; then rm x; fi",
    "echo a 2> f",
    "echo a 2>err >/dev/null",
    "awk '{print > \"f\"}' x",
    "awk 'BEGIN{system(\"rm x\")}'",
    "awk -i inplace '{print}' f",
    "awk '{print | \"sh\"}'",
    'echo "unclosed',
    "GIT_EDITOR='touch x' git commit",
    "watch -n 1 'rm x'",
    "flock l -c 'rm x'",
    "flock l rm x",
    "coproc rm x",
    "yq -i '.a=1' f",
    "gh pr checkout 3",
    "gh run download 1",
    "vim -c wq f",
    "ed f",
    'uv run python -c \'open("x","w")\'',
    "uv run --with x rm y",
    "sd a b f",
    "php -r 'unlink(\"x\");'",
    "lua -e 'os.execute(\"x\")'",
    "cat <<EOF\n$(rm x)\nEOF",
    "python3 - <<'EOF'\nopen('x','w')\nEOF",
    "bash <<'EOF'\nls\nrm x\nEOF",
    "cat > f <<'EOF'\nx\nEOF",
    "ls |\n  xargs rm",
    "ls \\\n > f",
    "rm \\\n x",
    "bash <<-E\n\trm x\n\tE",
    "cat <<A <<B\n$(touch x)\nA\nB",
    "$(cat <<'E'\n)\nE\nrm x)",
    "cat <<EOF > b\nx\nEOF",
    "cat /dev/null >/dev/../tmp/x",
    "$'t\\x6fuch' x",
    "PAGER='touch x' git log",
    "bash -s < /dev/null <<< 'rm x'",
    "env -S 'sh -c' 'rm x'",
    "tee >(cat > f)",
    "sudo -- rm x",
    "bash -c 'bash -c \"rm x\"'",
    "find . -execdir sh -c 'rm {}' \\;",
    "node - <<'E'\nrequire('fs').unlinkSync('x')\nE",
    "git config core.hooksPath x",
    "git tag -d v1",
    "git stash drop",
    "git submodule update",
    "git notarealcommand",
    'python3 -c \'from pathlib import Path; Path("x").open("w")\'',
    "python3 -c 'eval(input())'",
    "xargs -a list rm",
    "tar -C d -xf a.tar",
    "<<< x tee y",
]
READING = [
    "ls -la",
    "cat f",
    "cat < f",
    "head -n 5 f | tail -1",
    "grep -rn 'a > b' src",
    'grep -E "x|y" f > /dev/null',
    "ls 2>&1",
    "ls > /dev/null 2>&1",
    "ls &> /dev/null",
    "ls 2>/dev/stderr",
    "echo 'a > b'",
    'echo "a > b"',
    "echo a \\> b",
    'echo "rm x"',
    "# rm x",
    "ls # > b",
    "git status",
    "git log --oneline -5",
    "git diff HEAD~1 -- f",
    "git show HEAD:f",
    "git add -A",
    "git commit -m 'rm x > y'",
    'git commit -am "$(cat msg)"',
    "git -C sub status",
    "git -c user.name=x -c user.email=y commit -m z",
    "git --no-pager log",
    "git branch --list",
    "git branch -a",
    "git merge feature",
    "git stash list",
    "git worktree list",
    "git remote -v",
    "git config user.name",
    "git config --get user.name",
    "git rev-parse HEAD",
    "git ls-files | wc -l",
    "git rm --cached f",
    "git clean -n",
    "git reset HEAD~1",
    "git blame f",
    "git tag -l",
    "git push origin HEAD",
    "git apply --check p",
    "pytest -q",
    "python -m pytest -q 2>&1 | tail -20",
    "python3 -m json.tool f",
    "python3 -c 'import json,sys; print(json.load(sys.stdin)[\"x\"])'",
    "cat f | python3 -c 'import sys; print(sys.stdin.read())'",
    "python3 -c 'print(open(\"f\").read())'",
    "python3 -c \"print(open('f', encoding='utf-8').read())\"",
    "python3 -c 'import re; print(re.compile(\"x\"))'",
    "python3 -c 'import sys; sys.stdout.write(\"x\")'",
    "python3 -c 'import platform; print(platform.system())'",
    "python script.py",
    "python3 --version",
    "node -e 'console.log(1 > 2)'",
    "node -p 'process.version'",
    "npm test",
    "npm run build",
    "make test",
    "cargo test",
    "go test ./...",
    "sh test.sh",
    "bash -n script.sh",
    "bash -c 'ls; cat f'",
    "./run.sh",
    ". .venv/bin/activate",
    "source .venv/bin/activate && pytest",
    "cd sub && ls",
    "sed -n '1,5p' f",
    "sed 's/a/b/' f",
    "sed -n '/start/,/end/p' f",
    "sed -e 's/write/w/g' f",
    "sed '$!d' f",
    "sed -E 's/(a|b)/c;w/g' f",
    "awk '{print $1}' f",
    "awk '$3 > 5 {print}' f",
    "awk -F'|' '{print $2}' f",
    "awk '/a|b/ {print}' f",
    "awk 'BEGIN{FS=\"|\"} {print $1}' f",
    "awk '{ if ($1 > 2 || $2 > 3) print $0 }' f",
    "perl -ne 'print if /x/' f",
    "perl -MList::Util=sum -e 'print sum(1,2)'",
    "ruby -e 'puts 1'",
    "find . -name '*.py'",
    "find . -name '*.py' -exec grep -l x {} +",
    "find . -type f | xargs grep x",
    "xargs -n1 echo",
    "env",
    "env | sort",
    "env A=1 pytest",
    "timeout 60 pytest",
    "nice make test",
    "time make",
    "command -v rm",
    "which rm",
    "type rm",
    "echo $(( 1 > 2 ))",
    "(( a > b )) && echo yes",
    "if [[ a > b ]]; then echo; fi",
    "[ a \\> b ]",
    "test -f x && echo y",
    "for i in 1 2 3; do echo $i; done",
    "for ((i=0;i<3;i++)); do echo $i; done",
    'while read l; do echo "$l"; done < f',
    "case $x in a|b) echo x;; *) echo y;; esac",
    "case $x in a) ls;; rm|mv) echo y;; esac",
    "$(case x in a) ls;; esac)",
    "tee /dev/null",
    "make 2>&1 | tee /dev/stderr | tail",
    "dd if=/dev/zero of=/dev/null",
    "curl -s http://x",
    "curl -fsSL http://x | jq .",
    "curl -o /dev/null -s -w '%{http_code}' http://x",
    "wget -qO- http://x",
    "wget --spider http://x",
    "tar tzf a.tgz",
    "tar cf - d | wc -c",
    "unzip -l a.zip",
    "gzip -dc a.gz",
    "zcat a.gz",
    "sort f | uniq -c",
    "sort -t, -k2 f",
    "diff <(ls a) <(ls b)",
    "jq .a f",
    "gh pr view 3",
    "gh issue list",
    "cs-promise --create x --ac y",
    "cs-verify --promise x",
    "mkdir -p x",
    "mktemp",
    "export A=1",
    "A=1",
    "a=(1 2 3); echo ${a[0]}",
    "echo {a,b}",
    "ls *.py",
    "ls -- '>'",
    "kill 1",
    "docker ps",
    "sleep 1",
    "true; false",
    "tail -f log & sleep 1",
    "wait",
    "set -euo pipefail; make test",
    "trap - EXIT",
    'echo "$(git rev-parse HEAD)"',
    "X=$(date); echo $X",
    "rm --help",
    "patch --dry-run -p1 < p",
    "ssh host ls",
    "yq .a f",
    "printf '%s\\n' '>x'",
    "echo a 1>&2",
    "exec 3>&1",
    "exec 3<f",
    "exec 3>&-",
    "case $x in\n *.c|*.h) ls ;;\n (rm) ls\n ;;\nesac\nls",
    "cat <<'EOF'\n$(rm x) > y\nEOF",
    "cat <<EOF\nrm x > y\nEOF\nls",
    "python3 - <<'EOF'\nprint(1 > 2)\nEOF",
    "ls \\\n  -la",
    "git commit -F - <<'EOF'\nrm x > y\nEOF",
    'git commit -m "$(cat <<\'EOF\'\nFix it\'s "rm" (x)\n\nEOF\n)"',
    "cat a/b.txt",
    "git -c core.pager=cat log",
    "git archive HEAD | tar t",
    "git bisect log",
    "echo $'a > b'",
    "curl -H 'Content-Type: x' -d '{\"a\": \"b > c\"}' http://x",
    "env -u A -i B=c ls",
    "find . -name '*.txt' -print0 | xargs -0 -n1 wc -l",
    "python3 -c 'print(\"evaluation of filesystem retrieval\")'",
    "sed -n -e 1p -e '$p' f",
    "awk -F: -v x=1 '$1 == x {print $2}' /etc/passwd",
    "if ! grep -q x f; then echo no; fi",
    "pytest -k 'a > b' || true",
    "git log --format='%h > %s'",
    "git diff --stat > /dev/null",
    "cs-status --json",
    "attractor status",
    "awk '{printf \"%s|%s\\n\", $1, $2}' f",
    "tar -tvf a.tar",
    "ssh-keygen -l -f key.pub",
    "bash --version",
    "node --check a.js",
    "deno test",
    "cat <<'A' | python3 -c 'import sys; print(len(sys.stdin.read()))'\nrm x > y\nA",
    "echo a >&-",
    "test 1 -gt 2 && echo a",
]


@pytest.mark.parametrize("line", WRITING)
def test_a_line_that_writes_is_found(line: str) -> None:
    assert findings(line)


@pytest.mark.parametrize("line", READING)
def test_a_line_that_reads_or_tests_is_let_through(line: str) -> None:
    assert [each.what for each in findings(line)] == []


def test_the_tables_are_large() -> None:
    assert len({*WRITING}) > 200
    assert len({*READING}) > 150


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a 'b c' \"d\" e\\ f", ["a", "b c", "d", "e f"]),
        ("A=1 b", ["b"]),
        ("b A=1", ["b", "A=1"]),
        (r"$'\x61\142\u0063\n'", ["abc\n"]),
        ("a$(b)c", ["a" + UNKNOWN + "c"]),
        ('a"$b"', ["a" + UNKNOWN]),
        ("X=y; $X", ["y"]),
        ('X="y z"; $X a', ["y", "z", "a"]),
        ('X="y z"; "$X" a', ["y z", "a"]),
        ("X=y; X=$(z); $X", [UNKNOWN]),
        ("X=y; X+=z; $X", [UNKNOWN]),
        ("a 2>b c", ["a", "c"]),
        ("a # b", ["a"]),
        ("a#b", ["a#b"]),
        ("a\\\nb", ["ab"]),
        ("", []),
    ],
)
def test_words_are_what_bash_makes_of_them(line: str, words: list[str]) -> None:
    commands = simple_commands(line)
    assert [each.text for each in (commands[-1].words if commands else [])] == words


def test_a_finding_names_the_command_and_its_words() -> None:
    (found,) = findings("ls; sed -i s/a/b/ src/x.py && cat y")
    assert found.what == "`sed -i` edits files in place"
    assert [each.text for each in found.words] == ["sed", "-i", "s/a/b/", "src/x.py"]


def test_the_words_of_commands_within_commands_are_all_there() -> None:
    line = look("cat a $(cat b < c) | bash -c 'cat d; cat `cat e`' <(cat f)")
    said = {each.text for command in line.commands for each in command}
    assert {"a", "b", "c", "d", "e", "f"} <= said


def test_variables_that_are_known_from_outside_are_followed() -> None:
    assert findings("$TOOL x") == []
    assert look("$TOOL x", {"TOOL": "rm"}).findings


# ---- a real bash is asked

WRAPPINGS: list[Callable[[str], str]] = [
    lambda line: f"({line})",
    lambda line: f"{{ {line}; }}",
    lambda line: f"if true; then {line}; fi",
    lambda line: f"for i in 1; do {line}; done",
    lambda line: f"case a in b|c) ;; a) {line};; esac",
    lambda line: f"true && {{ {line}; }}",
    lambda line: f"false || {{ {line}; }}",
    lambda line: f"true | {{ {line}; }}",
    lambda line: f'echo "$({line})"',
    lambda line: f"echo ${{X:-$({line})}}",
    lambda line: f"echo $(( 1 + $({line}; echo 1) ))",
    lambda line: f"cat <({line}) > /dev/null",
    lambda line: f"f() {{ {line}; }}; f",
    lambda line: f"bash -c {shlex.quote(line)}",
    lambda line: f"env A=1 bash -c {shlex.quote(line)}",
    lambda line: f"eval {shlex.quote(line)}",
    lambda line: f"trap {shlex.quote(line)} EXIT",
    lambda line: f"bash <<< {shlex.quote(line)}",
    lambda line: f'X={shlex.quote(line)}; eval "$X"',
    lambda line: f"[[ a > b ]] || {{ {line}; }}",
    lambda line: f"A='x' B=\"y\" ; {line}",
    lambda line: f"! {{ {line}; }}",
    lambda line: f"timeout 9 nice bash -c {shlex.quote(line)}",
    lambda line: f"echo 1 | xargs -I@ bash -c {shlex.quote(line)}",
    lambda line: f"find . -maxdepth 0 -exec bash -c {shlex.quote(line)} \\;",
    lambda line: f"while {{ {line}; }}; do break; done",
]
# With a text below the line nothing can follow on it.
OUTERMOST: list[Callable[[str], str]] = [
    str,
    lambda line: f"true; # comment '\n{line}",
    lambda line: f"bash <<'END'\n{line}\nEND\n",
    lambda line: f"cat <<END > /dev/null\n$({line})\nEND\n",
]
WRITERS = [
    "touch witness",
    "\\touch witness",
    "t'ou'ch witness",
    '"touch" witness',
    "$'\\x74ouch' witness",
    "X=touch; $X witness",
    "/usr/bin/env touch witness",
    "command touch witness",
    "echo a > witness",
    "> witness echo a",
    "echo a 2>&1 1>witness",
    "echo a | tee witness",
    "cp /dev/null witness",
    "dd if=/dev/null of=witness",
    "sed -n 'w witness' /dev/null",
    "sort -o witness /dev/null",
    "awk 'BEGIN {print > \"witness\"}'",
]
READERS = ["echo 'touch witness'", "cat /dev/null", 'test -n "a > witness"', "grep -c x /dev/null"]


def wrapped(line: str, chance: random.Random) -> str:
    for _ in range(chance.randint(1, 3)):
        line = chance.choice(WRAPPINGS)(line)
    return chance.choice(OUTERMOST)(line)


def bash(line: str, folder: Path) -> None:
    subprocess.run(
        ["bash", "--norc", "-c", line],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("number", range(60))
def test_what_bash_writes_is_found_however_it_is_wrapped(number: int, tmp_path: Path) -> None:
    line = wrapped(WRITERS[number % len(WRITERS)], random.Random(number))
    bash(line, tmp_path)
    assert (tmp_path / "witness").exists(), f"the test is wrong: bash wrote nothing by {line!r}"
    assert findings(line), line


@pytest.mark.parametrize("number", range(60))
def test_what_bash_only_reads_is_let_through_however_it_is_wrapped(
    number: int, tmp_path: Path
) -> None:
    line = wrapped(READERS[number % len(READERS)], random.Random(number))
    bash(line, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert [each.what for each in findings(line)] == [], line


# ---- hostile lines


@given(st.text(alphabet="ab =$(){}[]<>|&;'\"`\\\n#*!-/0ésed\0", max_size=60))
def test_no_text_makes_it_fail(text: str) -> None:
    look(text, {"a": "b"})


HOSTILE = {
    "$((": "$((",
    "$(": "$(",
    "backticks": "`",
    "quotes": "'a'b",
    "${": "${a:-",
    "assignments": "a=1 ",
    "equals": "1=",
    "separators": "ls;",
    "writers": "rm x;",
    "wrappers": "env ",
    "exec": "-exec a ; ",
    "heredocs": "<<A ",
    "shells": "bash -c ",
    "lines": "bash <<'E'\n",
    "words": "x ",
    "print": "print ",
    "sed": "s/a/b/;",
    "open": "open(a,",
    "eval": "eval ",
    "git": "-c a=b ",
    "values": "$x",
    "cases": "case a in ",
    "groups": "(",
    "tests": "[[ a ",
    "continued": "\\\n",
    "escapes": "\\x41",
    "arrays": "a=(x ",
    "processes": "<(",
    "sudo": "sudo -u a ",
    "pipes": "|\n",
}
BEGINNINGS = ["", "echo ", "find ", "git ", 'x=aaaaaaaaaa; echo "', "awk '", "sed '", "python -c '"]


def steps(text: str) -> int:
    """Return how many lines of our code are run to look at a text."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace if "/runner/hooks/" in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        look(text)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("beginning", BEGINNINGS)
@pytest.mark.parametrize("name", HOSTILE)
def test_the_work_grows_with_the_line_and_not_faster(name: str, beginning: str) -> None:
    short, long = (steps(beginning + HOSTILE[name] * times) for times in (150, 600))
    assert long <= 5 * short + 2_000


def test_100_kilobytes_of_anything_come_to_an_end() -> None:
    for each in HOSTILE.values():
        look((each * 100_000)[:100_000])


def test_a_line_that_is_too_long_is_not_taken_apart() -> None:
    (found,) = findings("ls " * 70_000)
    assert "longer than" in found.what
