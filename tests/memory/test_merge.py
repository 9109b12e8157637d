"""What becomes of entries that are handed in."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.errors import DamageError
from attractor.memory import architect
from attractor.memory.entry import MOST_CHARACTERS, MOST_HANDED_IN, Entry, Kind
from attractor.memory.merge import Merged, merge
from attractor.memory.secrecy import found_secrets

Make = Callable[..., Entry]


def merged(
    *entries: Entry, text: str = "", scan: Callable[[str], list[object]] | None = None
) -> Merged:
    return merge(text or architect.empty(), entries, scan=scan or (lambda _: []))


def test_what_is_new_is_appended(entry: Make) -> None:
    done = merged(entry("decision", "Use Redis", node="n", run="r", attempt=2, at="2026-02-24T1"))
    assert "\n- Use Redis [node n, attempt 2, 2026-02-24, run r]\n" in done.text
    assert [each.text for each in done.added] == ["Use Redis"]


@pytest.mark.parametrize(
    "again",
    [
        "use redis!",
        "Use  Redis",
        "Sessions are stored in Redis with a lifetime of an hour",
        "Store sessions in Redis, with the lifetime of one hour",
    ],
)
def test_what_is_there_already_is_a_duplicate_also_in_nearly_the_same_words(
    entry: Make, again: str
) -> None:
    first = "Store the sessions in Redis with a lifetime of one hour"
    text = merged(entry("decision", "Use Redis"), entry("practice", first)).text
    done = merged(entry("lesson", again, node="n"), text=text)
    assert done.text == text
    assert [each.text for each in done.duplicates] == [again.replace("  ", " ")]


def test_another_number_or_a_denial_is_no_duplicate(entry: Make) -> None:
    words = "minutes on the slow build machine behind the second firewall, without its cache"
    text = merged(entry("lesson", f"The whole suite takes 3 {words}")).text
    new = [f"The whole suite takes 9 {words}", "Small", f"The whole suite never takes 3 {words}"]
    done = merged(*(entry("lesson", each) for each in new), text=text)
    assert [each.text for each in done.added] == new


def test_a_contradiction_of_a_decision_or_constraint_is_flagged_and_not_appended(
    entry: Make,
) -> None:
    text = merged(entry("decision", "Use Redis"), entry("constraint", "The port is 80")).text
    new = [entry("practice", "Never use Redis"), entry("decision", "The port is 81")]
    done = merged(*new, text=text)
    assert done.text == text
    against = [(each.entry.text, each.against) for each in done.flagged]
    assert against == [("Never use Redis", "Use Redis"), ("The port is 81", "The port is 80")]


def test_two_of_one_handing_in_that_contradict_each_other_are_not_both_added(entry: Make) -> None:
    done = merged(entry("decision", "Use Redis"), entry("decision", "Never use Redis"))
    assert (len(done.added), len(done.flagged)) == (1, 1)


def test_a_lesson_tells_what_happened_and_contradicts_nothing(entry: Make) -> None:
    text = merged(entry("decision", "Use Redis")).text
    assert merged(entry("lesson", "Never use Redis"), text=text).added


def test_what_was_forgotten_stands_against_nothing(entry: Make) -> None:
    text = merged(entry("decision", "Use Redis")).text
    done = merge(
        text, [entry("decision", "Never use Redis")], scan=lambda _: [], forgotten=["use redis"]
    )
    assert done.added


@pytest.mark.parametrize(
    "secret",
    [
        "the token is ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a",
        "AWS key " + "AKIA" + "IOSFODNN7EXAMPLF",
        "ask jane.doe@corp-mail.com",
    ],
)
def test_a_secret_is_refused_and_not_repeated(entry: Make, secret: str) -> None:
    done = merge(architect.empty(), [entry("lesson", "fine"), entry("lesson", secret)])
    assert [each.text for each in done.added] == ["fine"]
    (why,) = done.refused
    assert why.startswith("entry 2 (lesson) holds what looks like a")
    assert not any(word in why for word in secret.split()[-1:])


def test_a_secret_behind_the_end_or_between_odd_characters_is_found(entry: Make) -> None:
    def scan(text: str) -> list[object]:
        return ["found"] if "SECRET" in text else []

    hidden = entry("lesson", "a" * MOST_CHARACTERS + " SECRET")
    assert merged(hidden, scan=scan).refused


def test_length_and_number_are_bounded(entry: Make) -> None:
    many = [entry("lesson", f"{n} {'x' * 3 * MOST_CHARACTERS}") for n in range(MOST_HANDED_IN + 2)]
    done = merged(*many)
    assert len(done.added) == MOST_HANDED_IN
    assert all(len(each.text) == MOST_CHARACTERS for each in done.added)
    assert done.refused == ["2 more than the 20 that count at once"]


def test_an_entry_that_says_nothing_is_refused(entry: Make) -> None:
    assert merged(entry("lesson", " * \x00 [] ")).refused == ["entry 1 (lesson) says nothing"]


def test_a_text_that_is_no_page_is_refused(entry: Make) -> None:
    with pytest.raises(DamageError):
        merged(entry("lesson", "x"), text="nonsense")


@given(
    st.lists(
        st.builds(
            Entry,
            kind=st.sampled_from([each for each in Kind if each is not Kind.PLANNING]),
            text=st.text(max_size=40)
            | st.sampled_from(["Use Redis", "Never use Redis", "## Known Constraints", "- [x](y)"]),
            node=st.sampled_from(["a", "b"]),
            run=st.just("r"),
            attempt=st.integers(1, 2),
            at=st.just("2026-02-24"),
        ),
        max_size=6,
    )
)
def test_merging_again_changes_nothing_and_says_the_same(entries: list[Entry]) -> None:
    once = merged(*entries)
    again = merged(*entries, text=once.text)
    assert again.text == once.text
    assert again.refused == once.refused
    told = {(each.kind, each.text) for each in once.added}
    assert {(each.kind, each.text) for each in again.added} >= told
    assert once.text.count("\n## ") == architect.empty().count("\n## ")


@pytest.mark.parametrize("name", ["password", "API_KEY"])
def test_a_password_is_seen_without_quotes_too(name: str) -> None:
    assert found_secrets(f"Staging has {name} = 9f8e7d6c5b4a" + "39281706")
    assert not found_secrets("the password: hashed with bcrypt, the key: value pairs sorted")


@pytest.mark.parametrize(
    "said",
    [
        "the admin password is Tr0ub4dor" + "&3",
        "login with user bob and passwort geheim" + "123",
        "The PIN is 47" + "11",
        "the token is a8f3" + "kd92",
        "the password of the admin on staging is Sommer" + "2024!",
        "Das Kennwort lautet hallo" + "123",
        "use the password p4ss" + "w0rd!",
        "fe80::1 is the router",
    ],
)
def test_a_secret_is_seen_in_prose(said: str) -> None:
    assert found_secrets(said)


@pytest.mark.parametrize(
    "said",
    [
        "the password is hashed with bcrypt",
        "password: see the vault",
        "the token is valid for 15 minutes",
        "the password is at least 8 characters",
        "the token is 2048-bit and HS256-signed",
        "the pin is 4 digits, and the LED pin is GPIO17",
        "the password is SHA-256 hashed",
        "the secret is HMAC-SHA256",
        "the password is hashed+salted",
        "the token is user@host",
        "the secret is in /run/secrets/db1",
        "the password is $DB_PASSWORD_1",
        "the password field is named user_pw2",
        "password hashing: argon2id",
        "pin ruff 0.14.1, and pin: pytest==9.0.1",
        "the token is 3600 seconds old",
        "the secret is rotated every 90 days",
        "fe80::/10 is not routed",
    ],
)
def test_what_prose_says_of_a_password_is_none(said: str) -> None:
    assert not found_secrets(said)
