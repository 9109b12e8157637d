"""Secrets and private data are found by their forms, and never repeated."""

from __future__ import annotations

import json
import socket
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.privacy.scan import MOST, findings

# Put together here, so that no scanner takes this file for a leak.
GITHUB = "gh" + "p_" + "aB3dE6gH9jK2mN5pQ8rS1tU4vW7xY0zA3bC6"
ANTHROPIC = "sk-" + "ant-api03-" + "Zx9Yw8Vu7Ts6Rq5Po4Nm3Lk2Ji1Hg0Fe"
AWS = "AKI" + "AQ3EGRT5WMZ7LKJH2"
OPENROUTER = "sk-" + "or-v1-" + "0123456789abcdef" * 4
SLACK = "xox" + "b-123456789012-123456789012-AbCdEfGhIjKlMnOpQrStUvWx"
KEY = "-----BEGIN RSA " + "PRIVATE KEY-----"
PASSWORD = "tr0ub4dor&3"
RANDOM = "q8Zr2Lx5Vw9Tn4Bk7Hs1Gd6Pf3Mc0YjRuEoAi"


def kinds(text: str, path: str = "src/app.py") -> list[str]:
    return [each.kind for each in findings(text, path)]


@pytest.mark.parametrize("secret", [GITHUB, ANTHROPIC, AWS, OPENROUTER, SLACK])
@pytest.mark.parametrize("path", ["src/app.py", "tests/test_app.py", "docs/use.md", "uv.lock", ""])
def test_a_token_of_a_known_form_is_found_in_any_file(secret: str, path: str) -> None:
    found = findings(f"first\nvalue = '{secret}'\n", path)
    assert [(each.kind, each.line, each.path) for each in found] == [("token", 2, path)]


def test_a_private_key_and_a_password_are_found_in_work() -> None:
    assert kinds(KEY) == ["private-key"]
    assert kinds(f'db_password = "{PASSWORD}"') == ["password"]
    assert kinds(f"url = 'postgres://app:{PASSWORD}@db/app'") == ["password"]
    assert kinds(f"api_key: {PASSWORD}", "settings.yaml") == ["password"]
    assert kinds(f"salt = '{RANDOM}'") == ["random-string"]


@pytest.mark.parametrize(
    "line",
    [
        'password = "changeme-123"',
        'password = "<your-password-1>"',
        'password = os.environ["DB_PASSWORD_1"]',
        "password = get_password(user1)",
        'secret = "${SECRET_1}"',
        "api_key: str",
        'password = "the session is over at 9"',
        "https://user:pass@host/path",
        "commit = '3f786850e387550fdab836ed7e6dc881de23001b'",
        "id = '6ba7b810-9dad-11d1-80b4-00c04fd430c8'",
        "letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'",
        "integrity = 'sha512-" + RANDOM + "'",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUg" + AWS + "AAABCAYAAAD0",
        "sid = 'AC" + "x" * 32 + "'",
    ],
)
def test_what_is_plainly_no_secret_is_not_found(line: str) -> None:
    assert kinds(line) == []


@pytest.mark.parametrize("path", ["tests/test_login.py", "docs/how.md", "src/x.test.ts", "uv.lock"])
def test_passwords_and_random_strings_of_examples_are_not_guessed_at(path: str) -> None:
    assert kinds(f"password = '{PASSWORD}'\nsalt = '{RANDOM}'", path) == []


def test_an_e_mail_address_is_found_also_in_tests() -> None:
    assert kinds("ask jane.roe@acme-widgets.de", "tests/test_a.py") == ["email"]
    assert kinds("to: <jane.roe@acme-widgets.de>,") == ["email"]


@pytest.mark.parametrize(
    "line",
    [
        "jane@example.com, jane@mail.example.org, jane@host.test, jane@x.invalid",
        "noreply@acme-widgets.de, 12+jane@users.noreply.github.com",
        "git@github.com:jane/project.git",
        "ssh://deploy@build.acme-widgets.de/srv",
        "jane@build.acme-widgets.de:/srv/files",
        "icon@2x.png getty@tty1.service",
        "# Author: Jane Roe <jane.roe@acme-widgets.de>",
        "@app.route decorates, and a@b is too short",
        "npm install left-pad@1.3.0",
    ],
)
def test_what_only_looks_like_somebody_s_address_is_not_found(line: str) -> None:
    assert kinds(line) == []


def test_the_addresses_of_a_project_s_authors_are_known() -> None:
    text = "mail jane.roe@acme-widgets.de"
    assert findings(text, "a.py", known=["Jane.Roe@acme-widgets.de"]) == []
    assert len(findings(text, "a.py", known=["other@acme-widgets.de"])) == 1


@pytest.mark.parametrize(
    "text", ["10.1.2.3", "host=172.16.4.5:80", "192.168.1.17/32", "fd12:3456:789a::1", "fe80::1"]
)
def test_an_address_of_a_private_network_is_found_in_work_only(text: str) -> None:
    assert kinds(text) == ["private-address"]
    assert kinds(text, "tests/test_a.py") == kinds(text, "docs/a.md") == []


@pytest.mark.parametrize(
    "text",
    ["10.0.0.0/8", "8.8.8.8", "127.0.0.1", "192.0.2.7", "172.32.0.1", "v10.1.2.3", "10.1.2.3.4"],
)
def test_networks_versions_and_public_addresses_are_not_found(text: str) -> None:
    assert kinds(text) == []


def test_somebody_s_home_folder_is_found_in_work_only() -> None:
    assert kinds("open('/home/jroe/notes.txt')") == ["home-folder"]
    assert kinds("/Users/jroe") == ["home-folder"]
    assert kinds(r"C:\Users\jroe\x") == ["home-folder"]
    assert kinds("/home/jroe/x", "docs/a.md") == []
    for nobody in ("/home/user/x", "/home/runner/work", "/Users/Shared", "$HOME/x", "/home/$USER"):
        assert kinds(nobody) == []


def test_lines_are_counted_by_line_feeds_alone() -> None:
    # U+2028 and form feeds end no line for git, nor for an editor.
    found = findings(f"a\u2028b\x0cc\r\n{GITHUB}", "a.py")
    assert [each.line for each in found] == [2]


def test_a_very_long_line_is_looked_at_to_its_end() -> None:
    for at in (0, 1_650, 1_690, 1_995, 2_000, 9_000):
        line = "." * at + GITHUB + "." * 5_000
        assert [each.kind for each in findings(line, "a.min.js")] == ["token"]


@pytest.mark.parametrize("part", ["secret", "password ", "secret = ", "'\"", "a@", "1.", "://a:"])
@pytest.mark.timeout(60)
def test_no_line_holds_a_scan_up(part: str) -> None:
    assert findings(f"password{' ' * 20_000}{part * 4_000}", "a.py") == []


def test_the_same_value_has_the_same_mark_and_counts_once_a_line() -> None:
    found = findings(f"{GITHUB} {GITHUB}\n{GITHUB}\n{AWS}", "a.py")
    assert [each.line for each in found] == [1, 2, 3]
    assert found[0].mark == found[1].mark != found[2].mark


def test_there_is_an_end_to_findings() -> None:
    assert len(findings("\n".join([GITHUB] * (MOST + 50)), "a.py")) == MOST


def test_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert kinds(f"{GITHUB}\n{SLACK}\n{AWS} aws_secret='{RANDOM}'")[:2] == ["token", "token"]


_SECRETS = st.sampled_from([GITHUB, ANTHROPIC, AWS, OPENROUTER, SLACK, PASSWORD, RANDOM])
_AROUND = st.sampled_from(
    ["{}", "x = '{}'", 'password = "{}"', "https://me-1:{}@h-1.de/", "k: {}", "<{}>", "a={};b"]
)
_PATHS = st.sampled_from(["src/a.py", "a.yaml", "tests/a.py", "", "x.env", "a.json"])


@given(st.lists(st.tuples(_AROUND, _SECRETS), min_size=1, max_size=6), _PATHS)
def test_no_finding_repeats_what_it_found(lines: list[tuple[str, str]], path: str) -> None:
    text = "\n".join(around.format(secret) for around, secret in lines)
    for each in findings(text, path):
        said = json.dumps([asdict(each), each.problem]).casefold()
        for _, secret in lines:
            low = secret.casefold()
            pieces = {low[at : at + 6] for at in range(len(low) - 5)}
            assert not {piece for piece in pieces if piece in said}


@given(st.text(max_size=300), st.text(max_size=40))
def test_any_text_is_scanned_to_its_end_the_same_way_each_time(text: str, path: str) -> None:
    found = findings(text, path)
    assert found == findings(text, path)
    assert all(1 <= each.line <= text.count("\n") + 1 for each in found)
