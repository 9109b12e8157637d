"""What the end of a message says, and what it does not say although the words are there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.phrases import DONE_TAG, ENDINGS, LAST_LINES, STUCK_PHRASES, Said, read

FILLER = "\n".join(f"line {number}" for number in range(LAST_LINES))

CLAIMS = [
    DONE_TAG,
    f"All tests pass.\n\n{DONE_TAG}",
    f"All tests pass.\n\n{DONE_TAG}\n\nSummary:\n- a\n- b\n",
    f"**{DONE_TAG}**",
    f"  {DONE_TAG}  \n",
    "<promise>DONE</promise>",
    "<promise>All tasks COMPLETE</promise>",
    "<promise>TASK_COMPLETED</promise>",
    "<PROMISE>node_complete</PROMISE>",
    f"```python\nprint(1)\n```\n{DONE_TAG}",
    f"~~~~\n```\n~~~~\n{DONE_TAG}",
    f"the end of a block that was cut off\n```\n{DONE_TAG}",
    f"> you said so\n\n{DONE_TAG}",
    DONE_TAG + "\n\nand this" * (LAST_LINES - 1),
]
NO_CLAIMS = [
    "",
    "Everything is done.",
    f"I will end with {DONE_TAG} when I am ready.",
    f"The instructions say: {DONE_TAG}",
    ENDINGS,
    f"> {DONE_TAG}",
    f"```\n{DONE_TAG}\n```",
    f"```text\nexample:\n{DONE_TAG}\n```\nThat is how I am going to end.",
    f"~~~~\n```\n{DONE_TAG}\n~~~~",
    f"    {DONE_TAG}",
    f"`{DONE_TAG}`",
    f"{DONE_TAG}\n{FILLER}",
    f"{DONE_TAG} is what I say at the end",
    "<promise>NOT_COMPLETE</promise>",
    "<promise>not done</promise>",
    "<promise>NODE_INCOMPLETE</promise>",
    "<promise>ISN'T DONE</promise>",
    "<promise>almost done</promise>",
    "<promise>IN_PROGRESS</promise>",
    "<promise></promise>",
    "<promise>NODE_COMPLETE",
    f"I can end with one of these:\n{DONE_TAG}\n<question>...</question>\n<stuck>…</stuck>",
    f"My choices:\n<stuck>...</stuck>\n{DONE_TAG}",
]


@pytest.mark.parametrize("message", CLAIMS)
def test_this_claims_completion(message: str) -> None:
    assert read(message) == Said(done=True)


@pytest.mark.parametrize("message", NO_CLAIMS)
def test_this_claims_nothing(message: str) -> None:
    assert read(message) == Said()


QUESTIONS = {
    "<question>Which port?</question>": "Which port?",
    "One thing is open.\n\n<question>\nWhich port?\n</question>\n": "Which port?",
    "**<question>Which port?</question>**": "Which port?",
    "<question>A or\n\n- B?\n- C?</question>\nI wait.": "A or\n\n- B?\n- C?",
    "<question>Is\n```\nx = 1\n```\nright?</question>": "Is\n```\nx = 1\n```\nright?",
    "<question>A?</question>\n<question>B?</question>": "A?\n\nB?",
    "<QUESTION>A?</QUESTION>": "A?",
    "<question>" + "\n".join(["long"] * 40) + "</question>": "\n".join(["long"] * 40),
}


@pytest.mark.parametrize(("message", "question"), QUESTIONS.items())
def test_this_asks(message: str, question: str) -> None:
    assert read(message) == Said(question=question)


@pytest.mark.parametrize(
    "message",
    [
        "I may ask with <question>Which port?</question> later.",
        "<question>...</question>",
        "<question> … </question>",
        "<question></question>",
        "<question>Which port?",
        "Which port?</question>",
        "> <question>Which port?</question>",
        "```\n<question>Which port?</question>\n```",
        f"<question>Which port?</question>\n{FILLER}",
    ],
)
def test_this_asks_nothing(message: str) -> None:
    assert read(message) == Said()


def test_a_question_and_a_claim_are_both_heard() -> None:
    both = read(f"<question>A?</question>\n{DONE_TAG}")
    assert both == Said(done=True, question="A?")


def test_each_tag_has_its_own_text() -> None:
    said = read("<stuck>no key</stuck>\n<question>...</question>\n<question>A?</question>")
    assert said == Said(question="A?", stuck="no key")
    assert read("<stuck>...</stuck>\n<stuck>no key</stuck>") == Said(stuck="no key")


def test_a_stuck_tag_is_heard_with_its_text() -> None:
    assert read("<stuck>no network\nat all</stuck>").stuck == "no network\nat all"


PHRASES = [
    "I am stuck.",
    "I'm stuck.",
    "I\u2019m blocked by the missing key.",
    "After three tries I am still stuck on the same error.",
    "I am out of ideas.",
    "I cannot proceed without credentials.",
    "I can't continue.",
    "**I am unable to make any further progress.**",
    "I am not able to go on until the server is up.",
    "I could not complete the task.",
    "I was unable to finish this work because the disk is full.",
    "I give up.",
    "I've given up on this.",
    "The task is blocked.",
    "Human intervention is required.",
    "This needs human help.",
    "STUCK: the build fails",
    "Status: blocked - no key",
    "- BLOCKED: waiting for the API",
    "The tests fail. I am stuck. Sorry!",
    f"I am stuck.\n\n{DONE_TAG}",
    "word " * 5_000 + "and so I am stuck.",
]
NO_PHRASES = [
    "The button was stuck, and now it is not.",
    "I am not stuck.",
    "I am no longer stuck.",
    "If I am stuck, I will ask.",
    "Had that failed, I would say that I am stuck.",
    "When I cannot proceed I will ask.",
    'The test prints "I am stuck" and exits.',
    "The log says `I am stuck`.",
    "The log says \u201cI cannot proceed\u201d.",
    "> I am stuck",
    "```\nI am stuck\n```",
    "Task 3 is blocked by task 2.",
    "No manual intervention is required.",
    "Blocked: none",
    "Blocked: no",
    "Blocked: 0",
    "The I/O thread cannot proceed.",
    "A worker could not complete the upload, so I retried it.",
    f"I am stuck.\n{FILLER}",
]


@pytest.mark.parametrize("message", PHRASES)
def test_this_sounds_stuck(message: str) -> None:
    assert read(message).phrase


@pytest.mark.parametrize("message", NO_PHRASES)
def test_this_does_not_sound_stuck(message: str) -> None:
    assert read(message) == Said()


def test_the_sentence_is_quoted_and_not_the_whole_message() -> None:
    assert read("It began well. I am stuck on x. Bye.").phrase == "I am stuck on x."


def test_what_we_say_ourselves_says_nothing_when_it_is_repeated() -> None:
    assert read(f"You told me: {ENDINGS}") == Said()


def test_every_phrase_of_the_table_is_met_by_an_example() -> None:
    import re

    for name, pattern in STUCK_PHRASES:
        met = any(
            re.search(pattern, each.replace("\u2019", "'"), re.IGNORECASE) for each in PHRASES
        )
        assert met, name


@given(st.text(alphabet="<>/promisequestionstuck `~\n*NODECMPLT_. ", max_size=200))
def test_no_message_is_too_strange(message: str) -> None:
    said = read(message)
    assert isinstance(said.done, bool)


@pytest.mark.timeout(60)  # what grows with the square takes minutes
@pytest.mark.parametrize(
    "message",
    [
        "<question>\n" * 50_000,
        "<question>" * 50_000,
        "```\n~~~\n" * 50_000,
        '"' * 200_000,
        "I am " * 50_000,
        "I cannot make " * 50_000,
        "*" * 200_000,
    ],
)
def test_a_long_message_takes_no_long_time(message: str) -> None:
    assert not read(message).done


def test_every_tag_is_said_to_need_a_line_of_its_own() -> None:
    assert "Each of them counts on a line of its own" in ENDINGS
