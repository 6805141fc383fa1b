"""Slides: which cells become slides, what the speaker says, what is refused."""

from typing import Any

import pandas as pd
import pytest

from llmecon import cli, paths
from llmecon.errors import InputError
from llmecon.publishing import charts, guesses
from llmecon.publishing.build import slides
from llmecon.publishing.prose import stored
from llmecon.publishing.slides import bodies, deck, outputs, page, text


def markdown(source: str, slide_type: str = "", tags: tuple[str, ...] = ()) -> dict[str, Any]:
    metadata: dict[str, Any] = {"tags": list(tags)}
    if slide_type:
        metadata["slideshow"] = {"slide_type": slide_type}
    return {"cell_type": "markdown", "metadata": metadata, "source": source}


def code(source: str = "", *data: dict[str, str], hidden: bool = True) -> dict[str, Any]:
    shown = [{"output_type": "display_data", "data": of, "metadata": {}} for of in data]
    metadata = {"tags": ["hide-input"] if hidden else []}
    return {"cell_type": "code", "metadata": metadata, "source": source, "outputs": shown}


def said(sentence: str) -> dict[str, str]:
    return {"text/markdown": sentence, "text/plain": "<Markdown>"}


def table(rows: int, columns: int = 2, cell: str = "a cell") -> dict[str, str]:
    frame = pd.DataFrame({f"column {i}": [cell] * rows for i in range(columns)})
    return {
        "text/html": '<div class="llmecon-tabled"><p class="llmecon-caption">Birds</p>'
        f"{frame.to_html(index=False)}</div>"
    }


def figure(title: str) -> dict[str, str]:
    frame = pd.DataFrame({"name": ["wren", "owl"], "grams": [9.0, 400.0]})
    chart = charts.bars(frame, "name", charts.Axis("grams", "g"), charts.Labels(title))
    return charts.show(chart, description="Bars of birds by weight.")._repr_mimebundle_()


TITLE = markdown("# Birds: what they weigh\n\nHow heavy is an owl?")
ANSWER = markdown("## The answer\n\nWeighed in spring.")
CARDS = {"text/html": stored.cards([stored.Headline("owl", 0.4, "kg", "an owl", "400 g")])}


def kinds(*cells: dict[str, Any]) -> list[str]:
    return [slide.kind for slide in deck.deck([TITLE, *cells]).slides]


# ---------------------------------------------------------------------------- what goes on slides


def test_a_chapter_opens_with_its_title_and_question():
    made = deck.deck([TITLE])
    (opening,) = made.slides
    assert (made.title, made.question) == ("Birds: what they weigh", "How heavy is an owl?")
    assert opening.title == "Birds"
    assert "What they weigh" in opening.body
    assert "How heavy is an owl?" in opening.body


def test_each_section_is_a_stack_and_each_output_a_slide():
    made = deck.deck(
        [
            TITLE,
            ANSWER,
            code("", CARDS),
            markdown("## Owls"),
            code("", figure("Owls win"), table(3)),
        ]
    )
    shown = [[(slide.kind, slide.title) for slide in stack] for stack in made.stacks]
    assert shown == [
        [("opening", "Birds")],
        [("headlines", "The answer")],
        [("figure", "Owls win"), ("table", "Birds")],
    ]
    assert "Bars of birds by weight." in made.slides[2].body


def test_text_is_what_the_speaker_says_at_the_slide_that_it_is_about():
    cells = [ANSWER, code("", CARDS, said("Heavy, that is.")), markdown("Next come wrens.")]
    made = deck.deck([TITLE, *cells, code("", figure("Wrens are light")), markdown("So much.")])
    _, cards, wrens = made.slides
    assert cards.notes == ["<p>Weighed in spring.</p>", "<p>Heavy, that is.</p>"]
    assert wrens.notes == ["<p>Next come wrens.</p>", "<p>So much.</p>"]
    assert "Weighed" not in cards.body + wrens.body


def test_a_bold_opening_after_headline_numbers_is_their_finding():
    made = deck.deck([TITLE, ANSWER, code("", CARDS, said("**Buy an owl.** It is heavy."))])
    assert made.slides[1].title == "Buy an owl"


def test_a_section_of_nothing_but_text_says_its_first_sentences():
    long = f"{'Owls hoot. ' * 10}{'Wrens sing and sing. ' * 40}"
    made = deck.deck([TITLE, markdown(f"## Songs\n\n{long}")])
    statement = made.slides[1]
    assert (statement.kind, statement.title) == ("statement", "Songs")
    assert text.words(statement.body) <= deck.LONGEST_LEAD
    assert text.words(statement.notes[0]) == text.words(long)


def test_a_formula_stands_between_what_leads_to_it_and_its_letters():
    cell = markdown(
        "## Flight\n\nIt is so. Lift is\n\n$$L = c\\,v^2$$\n\nwith $v$ the speed. More."
    )
    lift = deck.deck([TITLE, cell]).slides[1]
    assert lift.kind == "formula"
    assert r"\[L = c\,v^2\]" in lift.body
    assert '<p class="lead">Lift is</p>' in lift.body
    assert "the speed." in lift.body
    assert "More." not in lift.body
    assert any("More." in note for note in lift.notes)


def test_a_term_is_explained_where_it_is_first_used_and_never_again():
    first = markdown("## Heat\n\nThe {term}`PUE` counts.")
    again = markdown("## Cold\n\nThe {term}`power usage <PUE>` counts, and so does {term}`TTFT`.")
    made = deck.deck([TITLE, first, again])
    assert [s.title for s in made.slides if s.kind == "terms"] == ["PUE", "TTFT"]
    assert "Power usage effectiveness" in made.slides[1].body


def test_objectives_and_lists_keep_their_gist():
    goals = markdown("**After this chapter you can** weigh a wren; and tell it from an owl.")
    points = markdown(
        "## What this leaves out\n\n- **Eggs.** They break.\n- Nests are heavy. Very."
    )
    made = deck.deck([TITLE, ANSWER, goals, points])
    assert made.slides[1].body == "<ul><li>Weigh a wren</li><li>Tell it from an owl</li></ul>"
    assert made.slides[2].body == "<ul><li>Eggs</li><li>Nests are heavy</li></ul>"
    assert "They break." in made.slides[2].notes[0]


def test_code_that_computes_is_shown_where_the_notebook_shows_it():
    computing = "birds = weigh(scale)\nheaviest = max(birds)"
    assert "code" in kinds(ANSWER, code(computing, CARDS, hidden=False))
    assert "code" not in kinds(ANSWER, code(computing, CARDS))
    laid_out = "birds = weigh(scale)\nresults.table(birds, 'Birds')"
    assert "code" not in kinds(ANSWER, code(laid_out, CARDS, hidden=False))


def test_what_shown_code_printed_stands_below_it():
    cell = code("birds = weigh()\nprint(birds)", hidden=False)
    cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["9 < 400\n"]}]
    (slide,) = deck.deck([TITLE, ANSWER, cell]).stacks[1]
    assert slide.body.endswith('<pre class="printed">9 &lt; 400</pre>')


def test_what_readers_look_things_up_in_is_left_to_the_page():
    looked_up = markdown("## Where the numbers come from")
    assert kinds(looked_up, code("", table(3))) == ["opening"]


def test_a_guess_waits_for_the_room():
    asked = guesses.Guess("How heavy is an owl?", 400.0, "g", 1.0, 1000.0, told="of owl")
    (slide,) = deck.deck([TITLE, ANSWER, code("", asked._repr_mimebundle_())]).stacks[1]
    assert (slide.kind, slide.title) == ("guess", "How heavy is an owl?")
    assert 'class="fragment answer"' in slide.body
    assert "of owl" in slide.body


def test_an_exercise_is_asked_and_its_solution_is_the_speakers():
    cell = said(
        '<div class="llmecon-exercise" id="birds-1" role="group" aria-label="Exercise 1">\n\n'
        "**Exercise 1: Weigh it.** *A number, about 5 minutes.*\n\nHow heavy is a **wren**?\n\n"
        '<form class="llmecon-answer" data-key="e30=" hidden><button>Check</button></form>\n\n'
        '<details class="llmecon-solution"><summary>Solution</summary>\n\nNine grams.\n\n'
        "</details>\n\n</div>"
    )
    (asked,) = deck.deck([TITLE, markdown("## Exercises"), code("", cell)]).stacks[1]
    assert (asked.kind, asked.title) == ("exercise", "Exercise 1: Weigh it")
    assert asked.body == (
        '<p class="takes">A number, about 5 minutes</p><p>How heavy is a <strong>wren</strong>?</p>'
    )
    assert asked.notes == ["<p>Nine grams.</p>"]


def test_each_question_of_a_quiz_is_a_slide_that_tells_its_answer_last():
    form = "<form><fieldset><legend>{}</legend><label><input><span>an owl</span></label></fieldset>"
    asked = {
        "text/html": f'<div class="llmecon-quiz">{form.format("1. Who hoots?")}</form>'
        f"{form.format('2. Who sings?')}</form><details><summary>All answers</summary>"
        "<ol><li>An owl does.</li><li>No owl.</li></ol></details></div>"
    }
    slides_of = deck.deck([TITLE, markdown("## Quiz"), code("", asked)]).stacks[1]
    assert [slide.title for slide in slides_of] == ["Who hoots?", "Who sings?"]
    assert "<li>an owl</li>" in slides_of[0].body
    assert '<p class="fragment why">An owl does.</p>' in slides_of[0].body


def test_a_list_is_called_what_leads_to_it():
    goals = markdown(
        "## Before you start\n\nAfter this chapter you can\n\n1. weigh it;\n2. draw it."
    )
    listed = deck.deck([TITLE, goals]).slides[1]
    assert listed.title == "After this chapter you can"
    assert listed.body == "<ul><li>weigh it</li><li>draw it</li></ul>"


# ---------------------------------------------------------------------------- the author's say


def test_an_author_says_what_goes_on_slides():
    made = deck.deck(
        [
            TITLE,
            ANSWER,
            code("", CARDS),
            markdown("But only just.", "fragment"),
            markdown("Not this.", "skip"),
            markdown("### Feathers\n\nThey weigh little.", "subslide"),
            markdown("- a list\n- to speak of", "notes"),
            markdown("A new column.", "slide"),
        ]
    )
    assert [[s.title for s in stack] for stack in made.stacks] == [
        ["Birds"],
        ["The answer", "Feathers"],
        ["The answer"],
    ]
    _, cards, feathers, column = made.slides
    assert '<div class="fragment"><p>But only just.</p></div>' in cards.body
    assert feathers.body == "<p>They weigh little.</p>"
    assert any("to speak of" in note for note in feathers.notes)
    assert column.body == "<p>A new column.</p>"
    assert "Not this" not in "".join(s.body + "".join(s.notes) for s in made.slides)


def test_a_type_of_slide_that_there_is_not_is_refused():
    with pytest.raises(InputError, match=r"cell 2: unknown slide_type 'slied'; allowed: slide, "):
        deck.deck([TITLE, markdown("Hm.", "slied")])


# ---------------------------------------------------------------------------- how much fits


@pytest.mark.parametrize(
    ("rows", "columns", "cell", "parts"),
    [(6, 3, "9", 1), (16, 3, "9", 2), (21, 3, "9", 0), (6, 11, "9", 0), (14, 2, "owl " * 60, 0)],
)
def test_a_table_takes_the_slides_it_needs_or_none(rows: int, columns: int, cell: str, parts: int):
    (found,) = outputs.shown(code("", table(rows, columns, cell)))
    assert isinstance(found, outputs.Table)
    made = bodies.tables(found)
    assert len(made) == parts
    if parts:
        assert sum(body.count("<tr>") - 1 for body in made) == rows


def test_a_long_finding_goes_on_below_the_title():
    (drawn,) = outputs.shown(code("", figure(f"Owls are {'very ' * 25}heavy; of wrens none is")))
    assert isinstance(drawn, outputs.Figure)
    title, rest = bodies.finding(drawn)
    assert title == f"Owls are {'very ' * 25}heavy"
    assert rest.subtitle.startswith("Of wrens none is. ")


def test_portions_are_few_and_alike():
    assert [len(of) for of in bodies.portions(list("abcdefghi"), 8)] == [5, 4]
    assert bodies.portions([], 8) == []


def test_sentences_end_outside_of_elements():
    markup = "One. <em>Two. Three.</em> Four. <code>a</code> five."
    assert text.sentences(markup) == ["One.", "<em>Two. Three.</em> Four.", "<code>a</code> five."]


def test_text_on_slides_leads_to_no_page_of_the_book():
    (block,) = text.blocks("See [there](../rerun.md) and [here](https://example.org).")
    assert "rerun" not in block.html
    assert '<a href="https://example.org">here</a>' in block.html


# ---------------------------------------------------------------------------- the folder


@pytest.fixture
def light_assets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slides, "_write_assets", lambda folder: folder.mkdir())


@pytest.mark.usefixtures("light_assets")
def test_slides_of_other_chapters_stay_and_are_listed_in_the_order_of_the_book(tmp_path):
    birds = deck.deck([TITLE])
    slides.write({"tokenomics": birds}, tmp_path / "slides")
    slides.write({"carbon": birds}, tmp_path / "slides")
    listed = (tmp_path / "slides" / "index.html").read_text(encoding="utf-8")
    contents = (paths.BOOK / "_toc.yml").read_text(encoding="utf-8")
    first, second = sorted(["carbon", "tokenomics"], key=contents.index)
    assert 0 < listed.index(f"{first}.html") < listed.index(f"{second}.html")
    assert (tmp_path / "slides" / "tokenomics.html").is_file()


def test_pages_name_the_chapter_and_its_slides():
    html = page.page("birds", deck.deck([TITLE, ANSWER, code("", CARDS)]), "A Book")
    assert html.count("<h1 ") == 1
    assert html.count("<h2 ") == 1
    assert 'aria-labelledby="slide-2"' in html
    assert "http://" not in html
    assert "https://" not in html


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["carbn"], "unknown chapter 'carbn'; nearest: carbon"),
        (["carbon", "-o", "{full}"], "holds other things"),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_line(tmp_path, capsys, arguments, told):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep")
    given = [of.format(full=tmp_path / "full") for of in arguments]
    with pytest.raises(SystemExit) as ended:
        cli.main(["slides", *given])
    assert ended.value.code == 2
    complaint = capsys.readouterr().err
    assert told in complaint
    assert complaint.count("\n") == 1
    assert [file.name for file in (tmp_path / "full").iterdir()] == ["mine.txt"]
