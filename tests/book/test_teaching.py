"""The pages for teachers: times add up, links and settings are there, commands can be given."""

import base64
import gzip
import json
import re
import shlex
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import nbformat
import pytest
import yaml
from book_teaching import exercises
from playwright.sync_api import Browser, Page

from llmecon import cli, paths, studies, teaching
from llmecon.publishing import scenario
from llmecon.publishing.exercises import KINDS
from llmecon.publishing.prose import stored
from tests.book.site import EXECUTED, SITE, needs_site

PAGES = [paths.BOOK / "teaching.md", *sorted((paths.BOOK / "teaching").glob("*.md"))]
TEXTS = {page.stem: page.read_text(encoding="utf-8") for page in PAGES}
TEXT = "\n".join(TEXTS.values())
NAMES = [page.relative_to(paths.BOOK).with_suffix(".html").as_posix() for page in PAGES]


def settings_of(text: str) -> list[str]:
    return sorted(set(re.findall(r"\{setting\}`[^`<]+<([^>]+)>`", text)))


SETTINGS = settings_of(TEXT)

# Controls of panels that are no parameters of their chapters.
OWN = {
    "carbon": {"overhead"},
    "hardware-choice": {"rent_a", "rent_b"},
    "accelerator-design": {"job", "terabytes"},
    "rag-vs-ft": {"passages"},
    "validation": {"clients"},
}


def split(setting: str) -> tuple[str, dict[str, str]]:
    chapter, _, values = setting.partition("?")
    return chapter, dict(parse_qsl(values, strict_parsing=True))


# ---------------------------------------------------------------------------- times


def weeks() -> list[str]:
    found = re.split(r"^## (?=Week \d+: )", TEXTS["syllabus"], flags=re.MULTILINE)[1:]
    assert [int(re.findall(r"\d+", week)[0]) for week in found] == list(range(1, 13))
    return found


@pytest.mark.parametrize("week", weeks(), ids=lambda week: week.split(":")[0])
def test_a_session_lasts_ninety_minutes(week: str) -> None:
    assert sum(map(int, re.findall(r"^\| (\d+) \|", week, re.MULTILINE))) == 90
    for part in ("**Question.**", "**Before the session**", "**Look for.**"):
        assert part in week


@pytest.mark.parametrize("week", weeks()[:11], ids=lambda week: week.split(":")[0])
def test_a_week_with_a_chapter_reads_discusses_and_assigns_it(week: str) -> None:
    assert re.search(r"\{cite\}`\w+`", week)
    assert "**Assignment.**" in week
    of = set(re.findall(r"\{exercise\}`([\w-]+) \w+`", week))
    assert len(of) == 1
    assert f"chapters/{of.pop()}.ipynb#" in week


def test_weeks_follow_the_book() -> None:
    contents = yaml.safe_load((paths.BOOK / "_toc.yml").read_text(encoding="utf-8"))
    book = [of["file"].removeprefix("chapters/") for of in contents["parts"][0]["chapters"]]
    taught = [re.findall(r"\{exercise\}`([\w-]+) ", week)[0] for week in weeks()[:11]]
    assert taught == book
    (listed,) = re.findall(r"```\{exercises\}\n(.*?)\n```", TEXTS["teaching"], re.DOTALL)
    assert listed.split() == book


def test_the_workshop_s_day_has_no_gap() -> None:
    rows = re.findall(
        r"^\| (\d+):(\d+) \| (\d+):(\d+) \| (.+) \|$", TEXTS["workshop"], re.MULTILINE
    )
    times = [(60 * int(a) + int(b), 60 * int(c) + int(d)) for a, b, c, d, _ in rows]
    assert all(start < end for start, end in times)
    assert [start for start, _ in times[1:]] == [end for _, end in times[:-1]]
    lunch = sum(
        end - start for (start, end), row in zip(times, rows, strict=True) if row[4] == "Lunch"
    )
    assert times[-1][1] - times[0][0] - lunch == 6 * 60
    said = {f"{a}:{b} to {c}:{d}" for a, b, c, d, _ in rows}
    told = re.findall(r"^\*+(\d+:\d+ to \d+:\d+)[,.]", TEXTS["workshop"], re.MULTILINE)
    assert len(told) == len(rows) - 3  # lunch and two breaks need no words
    assert set(told) <= said


def test_the_rubric_s_points_are_a_hundred() -> None:
    rubric = TEXTS["project"].partition("## Rubric")[2].partition("\n## ")[0]
    assert sum(map(int, re.findall(r"\| (\d+) \|$", rubric, re.MULTILINE))) == 100


# ---------------------------------------------------------------------------- misconceptions


def test_each_misconception_is_asked_answered_and_refuted_in_the_book() -> None:
    found = re.split(r"^### ", TEXTS["misconceptions"].partition("## Questions for")[0], flags=re.M)
    assert len(found[1:]) >= 15
    for one in found[1:]:
        asked, said, shown = (one.find(of) for of in ("**Ask.**", "**They say**", "**Show"))
        assert 0 < asked < said < shown, one
        linked = "](../chapters/" in one[shown:] or "{setting}" in one[shown:]
        assert linked or "the same section" in one[shown:], one


# ---------------------------------------------------------------------------- links


@cache
def sections(chapter: str) -> set[str]:
    """Anchors of the headings that a chapter's notebook has."""
    notebook = paths.NOTEBOOKS / f"{chapter.replace('-', '_')}.ipynb"
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    headings = [
        line
        for cell in cells
        if cell["cell_type"] == "markdown"
        for line in "".join(cell["source"]).splitlines()
        if line.startswith("##")
    ]
    return {
        re.sub(r"[^\w\- ]", "", heading.lstrip("# ").lower()).strip().replace(" ", "-")
        for heading in headings
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[page.stem]):
        name, _, anchor = target.partition("#")
        if "/chapters/" in f"/{name}":
            chapter = Path(name).stem
            assert chapter in studies.CHAPTERS, target
            assert not anchor or anchor in sections(chapter), target
        elif "data/" in name:
            assert (paths.DATA / f"{Path(name).stem}.csv").is_file(), target
        else:
            assert (page.parent / name).is_file() if name else anchor, target


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_is_of_parameters_and_within_their_limits(setting: str) -> None:
    chapter, values = split(setting)
    beyond = OWN.get(chapter, set())
    of = scenario.chapter(chapter)
    given = {name: value for name, value in values.items() if name not in beyond}
    assert values
    types = {parameter.name: type(parameter.default) for parameter in of.parameters}
    scenario.validate(of, {name: types[name](value) for name, value in given.items()})


def test_exercises_are_asked_for_by_chapter_and_kind() -> None:
    asked = re.findall(r"\{exercise\}`([^`]+)`", TEXT)
    assert asked
    for one in asked:
        chapter, kind = one.split(" ")
        assert chapter in studies.CHAPTERS
        assert kind in KINDS
        if exercises(chapter):
            assert [of for of in exercises(chapter) if of.kind == kind], one
    for minutes, row in re.findall(r"^\| (\d+) \| (.*) \|$", TEXTS["syllabus"], re.MULTILINE):
        for one in re.findall(r"\{exercise\}`([^`]+)`", row):
            chapter, kind = one.split(" ")
            of_kind = [of for of in exercises(chapter) if of.kind == kind]
            assert sum(of.minutes for of in of_kind) <= int(minutes), one
    for identifier in re.findall(r'check\("([\w-]+)"', TEXT):
        assert teaching.exercise(identifier)


# ---------------------------------------------------------------------------- commands


def commands() -> list[str]:
    blocks = re.findall(r"^```bash\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("llmecon ")]


@pytest.mark.parametrize("line", commands())
def test_a_command_can_be_given(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "roster.csv").write_text("id,name\n", encoding="utf-8")
    (tmp_path / "week-3" / "handed-in").mkdir(parents=True)
    name, *arguments = shlex.split(line)[1:]
    command = cli.cli.commands[name]
    context = command.make_context(name, arguments)  # which refuses what it doesn't know
    chapter = context.params.get("chapter") or context.params.get("slug")
    assert not isinstance(chapter, str) or chapter in studies.CHAPTERS


def test_make_targets_exist() -> None:
    targets = (paths.ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`make ([\w-]+)`", TEXT):
        assert re.search(rf"^{target}:", targets, re.MULTILINE), target


def test_the_worked_case_is_one_that_the_book_takes(tmp_path: Path) -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```", TEXTS["project"], re.MULTILINE | re.DOTALL)
    file = tmp_path / "hospital.yaml"
    file.write_text(text, encoding="utf-8")
    parameters = scenario.load(file)
    changed = {of.slug: scenario.validate(of, parameters.values(of)) for of in scenario.chapters()}
    assert changed["rag-vs-ft"]["documents"] == 8000.0
    rows = re.findall(r"^\| .+ \| (`.+) \|$", TEXTS["project"], re.MULTILINE)
    asked = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert len(asked) > 10
    assert asked <= {name for values in changed.values() for name in values}


# ---------------------------------------------------------------------------- what panels show

# Settings in the order in which a teacher shows them, a card of the panel, and what is said of it.
SHOWN = [
    (("throughput?batch=1", "throughput?batch=2"), "tokens", (1.6, 2.0)),
    (("throughput?batch=1", "throughput?batch=2"), "speed", (0.8, 1.0)),
    (("throughput?batch=64", "throughput?batch=256"), "tokens", (1.0, 2.0)),
    (("throughput?batch=64", "throughput?batch=256"), "speed", (0.0, 0.5)),
    (("throughput?batch=256", "throughput?batch=790"), "tokens", (1.0, 2.0)),
    (("throughput?batch=1", "throughput?batch=256"), "of_peak", (2.0, 1000.0)),
    (("throughput?batch=64", "throughput?batch=64&prompt_tokens=20000"), "tokens", (0.0, 0.9)),
    (("throughput?batch=64", "throughput?batch=64&prompt_tokens=20000"), "speed", (0.0, 0.9)),
    (
        (
            "throughput?model=llama-3.1-70b&xpu=a100-sxm-80gb&batch=1",
            "throughput?model=llama-3.1-70b&xpu=h100-sxm&batch=1",
        ),
        "speed",
        (1.0, 1.6),  # where arithmetic is more than three times as fast
    ),
    (
        (
            "throughput?model=llama-3.1-70b&xpu=h100-sxm&batch=1",
            "throughput?model=llama-3.1-70b&xpu=h200-sxm&batch=1",
        ),
        "speed",
        (1.05, 1.5),  # where arithmetic is the same
    ),
    (
        (
            "throughput?model=llama-3.1-70b&xpu=a100-sxm-80gb&batch=64",
            "throughput?model=llama-3.1-70b&xpu=h100-sxm&batch=64",
        ),
        "speed",
        (1.6, 4.0),
    ),
    (("tokenomics?tpot_limit_s=0.05", "tokenomics?tpot_limit_s=0.1"), "usd", (0.6, 0.95)),
    (("tokenomics?tpot_limit_s=0.05", "tokenomics?tpot_limit_s=0.03"), "usd", (1.4, 4.0)),
    (("tokenomics?output_tokens=211", "tokenomics?output_tokens=422"), "usd", (0.9, 1.1)),
    (("tokenomics?output_tokens=211", "tokenomics?output_tokens=422"), "xpus", (1.05, 2.0)),
    (("tokenomics?requests_per_second=20", "tokenomics?requests_per_second=1"), "usd", (2.0, 20.0)),
    (("reasoning-agents?turns=20", "reasoning-agents?turns=40"), "talks", (2.05, 4.0)),
    (("reasoning-agents?cache_reuse=1", "reasoning-agents?cache_reuse=0"), "talks", (3.0, 15.0)),
    (
        (
            "reasoning-agents?reasoning_tokens=8000",
            "reasoning-agents?reasoning_tokens=16000",
        ),
        "wait",
        (1.8, 2.2),
    ),
    (
        (
            "reasoning-agents?reasoning_tokens=8000",
            "reasoning-agents?reasoning_tokens=16000",
        ),
        "reasoned",
        (2.05, 5.0),
    ),
    (("xpu-needs?deadline_days=90", "xpu-needs?deadline_days=45"), "training_xpus", (2.01, 3.0)),
    (("carbon?overhead=0", "carbon?requests_per_second=2"), "grams", (1.5, 5.0)),
    (("rag-vs-ft?passages=1.6", "rag-vs-ft?passages=30"), "rag_right", (0.0, 0.95)),
    (
        ("accelerator-design?terabytes=3.35", "accelerator-design?terabytes=6.7"),
        "usd",
        (1.0, 1.5),
    ),
]


PANEL = "document.querySelector('.llmecon-panel').llmecon"


def on_site(test: Any) -> Any:
    """Mark a test that looks at the built book."""
    for mark in needs_site:
        test = mark(test)
    return test


@pytest.fixture(scope="module")
def page(browser: Browser) -> Page:
    return browser.new_page(viewport={"width": 1200, "height": 900})


@on_site
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_panel_has_each_setting_within_its_limits(setting: str) -> None:
    chapter, values = split(setting)
    controls = {of["name"]: of for of in packed(chapter)["controls"]}
    for name, value in values.items():
        control = controls[name]
        if control.get("entries"):
            assert value in control["entries"], setting
        else:
            assert control["low"] <= float(value) <= control["high"], setting


@on_site
@pytest.mark.parametrize("chapter", sorted({split(of)[0] for of in SETTINGS}))
def test_panels_show_what_a_teacher_says_of_them(page: Page, chapter: str) -> None:
    page.goto(f"{SITE.as_uri()}/chapters/{chapter}.html")
    page.wait_for_selector(".llmecon-panel[data-state=live]")
    start = page.evaluate(f"{PANEL}.values()")

    def take(setting: str) -> None:
        values = {
            name: value if isinstance(start[name], str) else float(value)
            for name, value in split(setting)[1].items()
        }
        page.evaluate(f"wanted => {PANEL}.set(wanted)", start | values)

    for setting in (of for of in SETTINGS if split(of)[0] == chapter):
        take(setting)
        assert page.locator("[data-refusal]:not([hidden])").count() == 0, setting
    for settings, card, (low, high) in SHOWN:
        if split(settings[0])[0] == chapter:
            shown = []
            for setting in settings:
                take(setting)
                shown.append(page.evaluate(f"Number({PANEL}.signal('{card}'))"))
            assert low < shown[1] / shown[0] < high, (settings, card, shown)


@on_site
@pytest.mark.parametrize("name", NAMES)
def test_settings_are_links_and_headings_go_down_by_one(page: Page, name: str) -> None:
    page.goto(f"{SITE.as_uri()}/{name}")
    levels = page.evaluate(
        "[...document.querySelectorAll('article :is(h1, h2, h3, h4)')]"
        ".map(h => Number(h.tagName[1]))"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    addresses = page.evaluate("[...document.querySelectorAll('article a')].map(a => a.href)")
    settings = {of.partition("#")[2] for of in addresses if "?" in of}
    assert settings == set(settings_of(TEXTS[Path(name).stem]))
    for address in addresses:
        if "chapters/" in address:
            assert (SITE / "chapters" / Path(urlsplit(address).path).name).is_file()


@on_site
def test_a_link_opens_the_chapter_with_its_panel_set(page: Page) -> None:
    page.goto(f"{SITE.as_uri()}/teaching/workshop.html")
    page.click("text=The same model with one request")
    page.wait_for_selector(".llmecon-panel[data-state=live]")
    taken = page.evaluate(f"{PANEL}.values()")
    assert (taken["model"], taken["batch"]) == ("llama-3.1-70b", 1)


def packed(chapter: str) -> dict[str, Any]:
    """What a chapter hands to the script of its panel."""
    for cell in nbformat.read(EXECUTED / f"{chapter}.ipynb", as_version=4).cells:
        for output in cell.get("outputs", ()):
            if stored.PANEL in output.get("metadata", {}):
                (content,) = re.findall(r"<script[^>]*>([^<]+)</script>", output.data["text/html"])
                found: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(content)))
                return found
    raise AssertionError(f"{chapter} has no live panel")
