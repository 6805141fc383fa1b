"""How long a chapter takes to read."""

from typing import Any

import pytest

from llmecon.publishing import reading

HUNDRED = " ".join(["word"] * 100)
FIGURE = '<figure class="llmecon-figure">many words that nobody reads</figure>'


def text(source: str, *tags: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "source": source, "metadata": {"tags": list(tags)}}


def code(
    *data: dict[str, str], source: str = "", tags: tuple[str, ...] = ("hide-input",)
) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "source": source,
        "metadata": {"tags": list(tags)},
        "outputs": [{"data": of} for of in data],
    }


def test_words_figures_and_shown_code_take_time():
    cells = [
        text(f"# Title\n\n{HUNDRED} {{term}}`word <another>` [word](page.md)"),  # 103
        code({"text/html": FIGURE, "text/plain": HUNDRED}),
        code({"text/markdown": HUNDRED}),
        code(source="answer = 42", tags=()),  # 2
        code(source=HUNDRED),  # hidden
        code({"text/markdown": f'<div class="llmecon-exercise">{HUNDRED}</div>'}),
    ]
    found = reading.minutes(cells)
    assert found.folded == 0.0
    assert found.in_sight == pytest.approx(205 / 200 + 1.0)


def test_what_folds_is_counted_apart():
    cells = [
        text("# Title"),
        text(f"## Section\n\n{HUNDRED}\n\n{HUNDRED}", "in-depth"),  # 101 in sight, 100 folded
        text(f"### Part\n\n{HUNDRED}"),  # within the section
        code({"text/html": FIGURE}),
        text(f"## Next\n\n{HUNDRED}"),
        code({"text/html": FIGURE}, tags=("hide-input", "in-depth")),
        code({"text/html": FIGURE}),
    ]
    found = reading.minutes(cells)
    assert found.in_sight == pytest.approx((1 + 101 + 101) / 200 + 1.0)
    assert found.folded == pytest.approx((100 + 101) / 200 + 2.0)


@pytest.mark.parametrize(
    ("figures", "folded", "exercises", "said"),
    [
        (38, 0, 0, "about 40 minutes"),
        (38, 1, 90, "about 40 minutes and the exercises about 90"),
        (1, 12, 88, "about 5 minutes, what is folded about 10 more and the exercises about 90"),
    ],
)
def test_it_is_said_in_steps_of_five_minutes(figures, folded, exercises, said):
    page = {"text/html": FIGURE}
    cells = [code(*[page] * figures), code(*[page] * folded, tags=("in-depth", "hide-input"))]
    assert reading.sentence(cells, exercises) == said
