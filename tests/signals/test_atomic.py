"""Files that appear whole or not at all: the order of the steps, and every way a disk refuses."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from signals import atomic
from signals.errors import StorageError


@pytest.fixture
def box(tmp_path: Path) -> Path:
    folder = tmp_path / "box"
    (folder / "tmp").mkdir(parents=True)
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {
        os.fspath(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def name_behind(fd: int) -> str:
    """The last part of the name of an open file, without the random end of a draft."""
    name = os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))
    return name.rsplit(".", 1)[0] if "." in name else name


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The system calls that matter, in the order in which they are made; each is really made."""
    made: list[str] = []

    def record(call: str, said: Callable[..., str]) -> None:
        real = getattr(os, call)

        def recorded(*arguments: object, **named: object) -> object:
            made.append(f"{call} {said(*arguments)}")
            return real(*arguments, **named)

        monkeypatch.setattr(os, call, recorded)

    base = os.path.basename
    record("write", lambda fd, _: name_behind(fd))
    record("fsync", name_behind)
    record("link", lambda _, goal: base(goal))
    record("replace", lambda _, goal: base(goal))
    record("unlink", lambda path: base(path).rsplit(".", 1)[0])
    return made


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/fd")


@linux
def test_publish_makes_the_data_durable_before_the_name_and_then_the_name(
    box: Path, steps: list[str]
) -> None:
    assert atomic.publish(box, "a.json", b"{}") == os.fspath(box / "a.json")
    assert steps == ["write .a.json", "fsync .a.json", "link a.json", "unlink .a.json", "fsync box"]
    assert tree(box) == {"a.json": b"{}"}


@linux
def test_replace_makes_the_data_durable_before_the_name_and_then_the_name(
    box: Path, steps: list[str]
) -> None:
    (box / "a").write_bytes(b"old")
    atomic.replace(box / "a", b"new")
    assert steps == ["write .a", "fsync .a", "replace a", "fsync box"]
    assert tree(box) == {"a": b"new"}


def test_publish_never_overwrites_and_leaves_no_draft(box: Path) -> None:
    atomic.publish(box, "a.json", b"first")
    with pytest.raises(FileExistsError):
        atomic.publish(box, "a.json", b"second")
    assert tree(box) == {"a.json": b"first"}


def test_publish_writes_its_draft_where_it_is_told(box: Path, tmp_path: Path) -> None:
    other = tmp_path / "drafts"
    with pytest.raises(StorageError, match="does not exist"):
        atomic.publish(box, "a", b"x", tmp=other)
    other.mkdir()
    atomic.publish(box, "a", b"x", tmp=other)
    assert (tree(box), tree(other)) == ({"a": b"x"}, {})


@pytest.mark.parametrize("name", ["a b.json", "ü\N{SNOWMAN}.json", "-rf", "*", "a\nb", "\udcff"])
def test_odd_characters_in_a_name_are_kept(box: Path, name: str) -> None:
    if "\udcff" in name and sys.platform == "darwin":
        pytest.skip("this filesystem takes only Unicode names")
    atomic.publish(box, name, b"x")
    atomic.replace(box / name, b"y")
    assert tree(box) == {name: b"y"}


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "tmp/a", "/a", "a\0b"])
def test_a_name_that_leads_elsewhere_is_refused(box: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not the name of a file"):
        atomic.publish(box, name, b"x")
    assert tree(box.parent) == {}


@pytest.mark.parametrize("size", [0, 1, 3, 100_000])
def test_short_writes_are_continued(box: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real, data = os.write, os.urandom(size)
    monkeypatch.setattr(os, "write", lambda fd, view: real(fd, view[: max(len(view) // 2, 1)]))
    atomic.publish(box, "a", data)
    atomic.replace(box / "b", data)
    assert tree(box) == {"a": data, "b": data}


def test_a_new_file_has_the_usual_mode_and_a_replaced_one_keeps_its_own(box: Path) -> None:
    def mode(name: str) -> int:
        return stat.S_IMODE((box / name).stat().st_mode)

    before = os.umask(0o027)
    try:
        atomic.publish(box, "a", b"")
        atomic.replace(box / "b", b"")
        assert (mode("a"), mode("b")) == (0o640, 0o640)
        for kept in (0o600, 0o664, 0o755, 0o444):
            (box / "b").chmod(kept)
            atomic.replace(box / "b", b"new")
            assert mode("b") == kept
    finally:
        os.umask(before)


def test_replace_writes_through_a_symlink(box: Path, tmp_path: Path) -> None:
    real = tmp_path / "real.json"
    (box / "link").symlink_to(real)
    for data in (b"made through a dangling link", b"and again"):
        atomic.replace(box / "link", data)
        assert (box / "link").is_symlink()
        assert real.read_bytes() == data
    assert sorted(os.listdir(tmp_path)) == ["box", "real.json"]


def test_a_symlink_that_leads_nowhere_is_reported(box: Path) -> None:
    (box / "loop").symlink_to("loop")
    with pytest.raises(StorageError) as caught:
        atomic.replace(box / "loop", b"x")
    assert caught.value.where == os.fspath(box / "loop")
    assert os.readlink(box / "loop") == "loop"


def test_publish_does_not_follow_a_symlink_that_has_the_name(box: Path, tmp_path: Path) -> None:
    (box / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        atomic.publish(box, "a", b"x")
    assert not (tmp_path / "elsewhere").exists()


_DISK_ERRORS = [
    pytest.param(number, said, id=errno.errorcode[number])
    for number, said in [
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permission"),
        (errno.EIO, "disk reported"),
        (errno.EMFILE, os.strerror(errno.EMFILE)),
    ]
]


@pytest.mark.parametrize(("number", "said"), _DISK_ERRORS)
@pytest.mark.parametrize("call", ["open", "write", "fsync", "link"])
def test_a_publish_that_fails_leaves_nothing(
    box: Path, call: str, number: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(StorageError, match=said) as caught:
            atomic.publish(box, "a.json", b"{}")
    assert caught.value.where == os.fspath(box / "a.json")
    assert tree(box) == {}


@pytest.mark.parametrize(("number", "said"), _DISK_ERRORS)
@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
def test_a_replace_that_fails_leaves_the_old_content(
    box: Path, call: str, number: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    (box / "a").write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(StorageError, match=said):
            atomic.replace(box / "a", b"new")
    assert tree(box) == {"a": b"old"}


def test_a_draft_is_removed_even_when_the_writer_is_interrupted(
    box: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    (box / "a").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        atomic.replace(box / "a", b"new")
    with pytest.raises(KeyboardInterrupt):
        atomic.publish(box, "b", b"new")
    assert tree(box) == {"a": b"old"}


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda _: None, "the folder does not exist"),
        (lambda box: box.write_bytes(b""), "part of the path is not a folder"),
    ],
)
def test_a_missing_folder_is_named(
    tmp_path: Path, prepare: Callable[[Path], object], said: str
) -> None:
    missing = tmp_path / "missing"
    prepare(missing)
    for fails in (
        lambda: atomic.publish(missing, "a", b""),
        lambda: atomic.replace(missing / "a", b""),
    ):
        with pytest.raises(StorageError, match=said) as caught:
            fails()
        assert caught.value.fix


def test_a_folder_in_the_place_of_the_file_is_reported(box: Path) -> None:
    with pytest.raises(StorageError, match="a folder has this name"):
        atomic.replace(box / "tmp", b"x")
    assert tree(box) == {}


@pytest.mark.parametrize("through_a_link", [False, True])
def test_a_pipe_or_a_device_is_refused_and_stays(box: Path, *, through_a_link: bool) -> None:
    os.mkfifo(box / "pipe")
    path = box / "pipe"
    if through_a_link:
        path = box / "link"
        path.symlink_to("pipe")
    for odd in (path, Path("/dev/null")):
        with pytest.raises(StorageError, match="no regular file") as caught:
            atomic.replace(odd, b"x")
        assert caught.value.where == os.fspath(odd)
        assert not odd.is_file()
    assert stat.S_ISFIFO((box / "pipe").lstat().st_mode)


# What a kill leaves over

_KILLED_BEFORE_THE_NAME = """
import os, signal, sys
from signals import atomic
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
os.link = os.replace = die
box, call = sys.argv[1:]
if call == "publish":
    atomic.publish(box, "a.json", b"new", tmp=box)
else:
    atomic.replace(f"{box}/a.json", b"new")
"""


@pytest.mark.parametrize("call", ["publish", "replace"])
def test_what_a_killed_writer_leaves_is_a_dot_file_that_the_next_one_can_sweep(
    box: Path, call: str
) -> None:
    subprocess.run(
        [sys.executable, "-I", "-c", _KILLED_BEFORE_THE_NAME, os.fspath(box), call],
        timeout=60,
        check=False,
    )
    (draft,) = tree(box)
    assert draft.startswith(".a.json.")
    assert atomic.draft_of(draft) == "a.json"
    atomic.sweep_drafts(box / "a.json")
    assert tree(box) == {}


def test_sweeping_removes_the_drafts_of_that_name_and_nothing_else(box: Path) -> None:
    others = [
        ".b.json.0123abcd",
        ".a.json.0123abcde",
        ".a.json.0123abc",
        ".a.json.0123ABCD",
        ".a.json.01234567.0123abcd",
        ".a.json.0123abcd\n",
        ".a.json",
        "a.json",
        "a.json.0123abcd",
        "tmp/.a.json.0123abcd",
    ]
    for name in [*others, ".a.json.0123abcd", ".a.json.00000000"]:
        (box / name).write_bytes(b"")
    (box / ".a.json.11111111").mkdir()
    (box / ".a.json.22222222").symlink_to("a.json")
    atomic.sweep_drafts(box / "a.json")
    assert sorted(tree(box)) == sorted([*others, ".a.json.22222222"])
    assert (box / ".a.json.11111111").is_dir()


def test_sweeping_looks_where_replace_writes_and_minds_no_missing_folder(
    box: Path, tmp_path: Path
) -> None:
    (tmp_path / ".real.0123abcd").write_bytes(b"")
    (box / "link").symlink_to("../real")
    atomic.sweep_drafts(box / "link")
    assert sorted(os.listdir(tmp_path)) == ["box"]
    atomic.sweep_drafts(tmp_path / "missing" / "a")


@pytest.mark.parametrize("name", ["a", ".a", "..a", "a b\n.json", "\udcff", "x" * 200])
def test_a_draft_tells_the_name_it_was_to_have(
    box: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "\udcff" in name and sys.platform == "darwin":
        pytest.skip("this filesystem takes only Unicode names")
    monkeypatch.setattr(os, "unlink", lambda _: None)
    atomic.publish(box, name, b"")
    (draft,) = os.listdir(box / "tmp")
    assert atomic.draft_of(draft) == name


def test_a_name_that_is_too_long_is_reported(box: Path) -> None:
    with pytest.raises(StorageError, match="the name is too long"):
        atomic.publish(box, "x" * 300, b"")


# A full disk and a read-only one, for real: a tiny tmpfs in a mount namespace of its own.
_ON_A_TINY_DISK = """
import errno, os, subprocess, sys
from signals import atomic
from signals.errors import StorageError
folder = sys.argv[1]
def mount(*arguments):
    subprocess.run(["mount", *arguments, folder], check=True)
def refused(call, *arguments):
    try:
        call(*arguments)
    except StorageError as error:
        return error.problem
    return "not refused"
mount("-t", "tmpfs", "-o", "size=64k", "tmpfs")
os.mkdir(f"{folder}/tmp")
atomic.publish(folder, "kept", b"old" * 1000)
big = os.urandom(100_000)
print(refused(atomic.publish, folder, "big", big))
print(refused(atomic.replace, f"{folder}/kept", big))
print(open(f"{folder}/kept", "rb").read() == b"old" * 1000)
mount("-o", "remount,ro")
print(refused(atomic.publish, folder, "other", b"x"))
print(refused(atomic.replace, f"{folder}/kept", b"x"))
print(open(f"{folder}/kept", "rb").read() == b"old" * 1000)
print(sorted(os.listdir(folder)), os.listdir(f"{folder}/tmp"))
"""


def _unshare() -> list[str]:
    return (
        ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    )


def test_a_really_full_and_a_really_read_only_disk_keep_what_was_there(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    probe = [*_unshare(), "mount", "-t", "tmpfs", "tmpfs", os.fspath(disk)]
    try:
        able = subprocess.run(probe, capture_output=True, timeout=30, check=False).returncode == 0
    except OSError:
        able = False
    if not able:
        pytest.skip("this machine allows no mount namespace")
    done = subprocess.run(
        [*_unshare(), sys.executable, "-I", "-c", _ON_A_TINY_DISK, os.fspath(disk)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.splitlines() == [
        "cannot publish: the disk is full",
        "cannot write: the disk is full",
        "True",
        "cannot publish: the filesystem is read-only",
        "cannot write: the filesystem is read-only",
        "True",
        "['kept', 'tmp'] []",
    ], done.stderr


_WITH_A_SIZE_LIMIT = """
import os, resource, sys
from signals import atomic
from signals.errors import StorageError
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    atomic.publish(sys.argv[1], "big", b"x" * 5000)
except StorageError as error:
    print(error.problem)
"""


def test_a_write_that_is_really_cut_short_leaves_nothing(box: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", _WITH_A_SIZE_LIMIT, os.fspath(box)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "cannot publish: the file size limit is reached\n", done.stderr
    assert tree(box) == {}
