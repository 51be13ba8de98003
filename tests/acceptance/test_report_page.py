"""The page of a run in a real browser: it works offline and by keyboard, and no text in it does anything."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest

from pytest_tfmem.digest.build import digest_of
from pytest_tfmem.digest.model import Digest
from pytest_tfmem.explain.flamegraph import write_flame_graph
from pytest_tfmem.explain.fold import Piece
from pytest_tfmem.explain.stacks import Frame
from pytest_tfmem.explanations import Explanation, Holder
from pytest_tfmem.figures import Checkpoint, Reading, Timeline
from pytest_tfmem.history.baseline import Earlier
from pytest_tfmem.page.render import page_of
from pytest_tfmem.page.shown import link_to_test
from pytest_tfmem.units import format_size
from tests.browsers import Visit, chromium
from tests.made import made_run, made_test
from tests.page.shown_off import OUT_OF_MEMORY, shown_off

MIB = 1 << 20
SLOW = 40_000  # milliseconds: this machine may be busy, and the library that draws is large
PHONE = {"width": 375, "height": 800}
HOSTILE = [
    "tests/test_a.py::test_a[</script><script>document.title = 'mine'</script>]",
    "tests/test_a.py::test_b[<img src=x onerror=\"document.title = 'mine'\">]",
    "tests/test_a.py::test_c['\"><svg onload=\"document.title = 'mine'\">&amp;]",
    "tests/test_a.py::test_d[\u202eesrever\u2066\x07\x1b[31m\u2028]",
    "tests/test_a.py::test_e[javascript:alert(1)//%3Cb%3E#test=&?]",
    f"tests/test_a.py::test_f[{'w' * 10_000}]",
]


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


def written(folder, digest):
    path = folder / "report.html"
    path.write_text(page_of(digest), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def digest():
    return shown_off(tests=30, runs=12)


@pytest.fixture(scope="module")
def address(digest, tmp_path_factory):
    return written(tmp_path_factory.mktemp("page"), digest)


@pytest.fixture
def visit(browser):
    """Opens addresses; what they complain about, or ask of the network, fails the test."""
    visits = []

    def opened(address, **context):
        visits.append(Visit(browser, address, **context))
        visits[-1].page.set_default_timeout(SLOW)
        return visits[-1].page

    yield opened
    found = [(visit.errors, [url for url in visit.requests if url.split("#")[0] != own(visit)]) for visit in visits]
    for each in visits:
        each.close()
    assert found == [([], [])] * len(visits)


def own(visit):
    return visit.page.url.split("#")[0]


def column(page, name):
    """The texts of a column of the table, by the word that heads it."""
    heads = page.locator("#table thead th").all_inner_texts()
    (at,) = [place for place, head in enumerate(heads) if head.startswith(name)]
    return page.locator(f"#table tbody tr td:nth-child({at + 1})").all_inner_texts()


def head_of(page, name):
    return page.locator("#table thead").get_by_role("button", name=re.compile(f"^{name}"))


def numbers(texts):
    return [float(re.sub(r"[^\d.+-]", "", text)) for text in texts if re.search(r"\d", text)]


def rows(page):
    return page.locator("#table tbody tr")


def settled(page):
    """Once the page has heard of its new address, which a browser tells it in a task of its own."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    return page


def unfolded(page, title):
    """The rows of a table that is made when it is asked for."""
    page.get_by_text(title, exact=True).click()
    found = page.get_by_role("table", name=title).locator("tbody tr")
    found.first.wait_for()
    return found


def test_the_verdict_stands_first_in_a_word_a_symbol_and_a_sentence(visit, address, digest):
    page = visit(address)
    assert page.locator(".verdict .word").inner_text() == "Fails"
    assert page.locator(".verdict svg use").get_attribute("href") == "#i-fails"
    assert page.get_by_role("heading", level=1).inner_text() == digest.sentence
    assert "Held against the 12 runs before it" in page.locator(".notices").inner_text()
    assert page.locator(".findings .group").first.inner_text().startswith("Died")


def test_a_click_on_a_head_sorts_by_numbers_the_greatest_first_and_then_the_least(visit, address):
    page = visit(address)
    for name in ("Peak", "Limit", "Of limit", "Change", "Time"):
        head_of(page, name).click()
        down = numbers(column(page, name))
        assert down == sorted(down, reverse=True)
        assert len(down) > 20
        assert page.locator("th[aria-sort=descending]").inner_text().startswith(name)
        head_of(page, name).click()
        up = numbers(column(page, name))
        assert up == sorted(up)
        assert page.locator("th[aria-sort]").count() == 1


def test_names_verdicts_and_trends_are_sorted_too(visit, address):
    page = visit(address)
    assert [text.split()[0] for text in column(page, "Verdict")[:2]] == [
        "over",
        "died",
    ]  # the worst are first to begin with
    for name in ("Test", "Verdict", "Trend"):
        button = head_of(page, name)
        button.click()
        once = rows(page).all_inner_texts()
        button.click()
        assert rows(page).all_inner_texts() != once
    head_of(page, "Test").click()
    names = [text.replace("\n", "") for text in column(page, "Test")]
    assert names[0].startswith("tests/io/")


def test_tests_are_filtered_by_name_verdict_outcome_and_finding(visit, address, digest):
    page = visit(address)
    page.get_by_role("searchbox").fill("PIPELINE")
    assert all("pipeline" in text for text in column(page, "Test"))
    assert page.locator("#shown-count").inner_text() == f"{rows(page).count()} of 30"
    page.get_by_role("searchbox").fill("")
    page.get_by_role("button", name="Fails").click()
    failing = sum(told.weight == "fails" for told in digest.tests)
    assert rows(page).count() == failing
    page.get_by_role("button", name="Warns").click()
    assert rows(page).count() == failing + sum(told.weight == "warns" for told in digest.tests)
    page.get_by_role("button", name="Warns").click()
    page.get_by_label("Outcome").select_option("passed")
    assert rows(page).count() == 0
    assert page.locator("#empty").inner_text().startswith("No test is like that.")
    page.get_by_role("button", name="Show all tests").click()
    assert rows(page).count() == 30
    page.get_by_label("Finding").select_option("suspect")
    assert rows(page).count() == len({one.nodeid for one in digest.findings if one.kind == "suspect"}) > 0


def test_the_head_of_the_table_stays_in_sight(visit, address):
    page = visit(address)
    rows(page).nth(25).scroll_into_view_if_needed()
    assert page.locator("#table th").first.bounding_box()["y"] == page.locator(".bar").bounding_box()["height"] - 1


def test_the_table_shows_the_figure_that_is_chosen_in_one_unit(visit, address, digest):
    page = visit(address)
    page.get_by_label("Figure").select_option("rss")
    assert "rss: peak resident set" in page.locator("#figure-what").inner_text()
    assert page.locator("#table thead th").nth(2).inner_text() == "Peak, MiB"
    sizes = [told.test.readings["rss"].bytes for told in digest.tests]
    assert sorted(numbers(column(page, "Peak"))) == sorted(round(size / MIB, 1) for size in sizes)


def test_a_row_leads_to_its_test_and_the_back_button_to_where_one_was(visit, address):
    page = visit(address)
    link = rows(page).nth(20).locator("a")
    link.scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    assert before > 0
    rows(page).nth(20).locator("td").nth(3).click()
    assert settled(page).locator("#overview").is_hidden()
    assert page.locator("#test").evaluate("element => element === document.activeElement")
    page.go_back()
    assert settled(page).locator("#overview").is_visible()
    assert page.evaluate("scrollY") == before
    assert link.evaluate("element => element === document.activeElement")


def test_a_link_to_a_test_shows_all_there_is_of_it(visit, address, digest):
    (told,) = [one for one in digest.tests if one.test.nodeid.endswith("test_bert.py::test_forward")]
    page = visit(address + link_to_test(told.test.nodeid))
    assert page.get_by_role("heading", level=1).inner_text() == f"{told.test.where}\ntest_forward"
    text = page.locator("#test").inner_text()
    for figure, reading in told.test.readings.items():
        assert figure in text
        for one in reading if isinstance(reading, list) else [reading]:
            assert (format_size(one.bytes) if hasattr(one, "bytes") else one.not_measured) in text
    for limit in told.test.limits.values():
        assert format_size(limit.bytes) in text
        assert limit.where in text
    assert "lower-bound, too low by at most 8.0 MiB; VmHWM" in text
    assert page.locator("pre.told").inner_text() == OUT_OF_MEMORY
    page.locator(".chart .main-svg").first.wait_for()
    assert page.locator(".chart").count() == 2


def test_a_trend_has_its_limit_its_steps_and_a_table_of_the_same(visit, address, digest):
    (told,) = [one for one in digest.tests if one.test.nodeid.endswith("TestTrain::test_step[64-mixed]")]
    (trend,) = [one for one in told.trends if one.figure == "rss_anon"]
    assert trend.steps
    page = visit(address + link_to_test(told.test.nodeid))
    chart = page.get_by_role("img", name=re.compile("rss_anon over 13 runs"))
    chart.locator(".main-svg").first.wait_for()
    assert f"limit {format_size(told.test.limits['rss_anon'].bytes)}" in chart.get_attribute("aria-label")
    assert (
        f"limit {format_size(told.test.limits['rss_anon'].bytes)}"
        in chart.locator(".annotation-text").all_text_contents()
    )
    assert "Where it went to another level" in page.locator(".steps").inner_text()
    assert format_size(trend.steps[0].after_bytes) in page.locator(".steps").inner_text()
    values = unfolded(page, "rss_anon in each run").locator("td:last-child").all_inner_texts()
    assert values == [format_size(size) for size in reversed(trend.bytes)]
    page.get_by_role("button", name="gpu on GPU:1").click()
    page.get_by_role("img", name=re.compile("gpu on GPU:1 over 13 runs")).wait_for()


def test_a_timeline_has_its_moments_and_a_table_of_the_same(visit, address, digest):
    told = digest.tests[0]
    page = visit(address + link_to_test(told.test.nodeid))
    chart = page.get_by_role("img", name=re.compile("Memory over time"))
    chart.locator(".main-svg").first.wait_for()
    assert {"setup", "call", "first epoch", "second epoch", "teardown"} <= set(
        chart.locator(".annotation-text").all_text_contents()
    )
    cells = unfolded(page, "Memory at each point").all_inner_texts()
    timeline = told.test.timeline
    assert len(cells) == len(timeline.seconds)
    assert cells[30].split("\t")[:2] == [f"{timeline.seconds[30]:.2f}", format_size(timeline.rss_tree_bytes[30])]
    assert "first epoch" in "".join(cells)


def held_at(name, seconds, **sizes):
    readings = {figure: Reading(bytes=size, exactness="exact", source="VmRSS") for figure, size in sizes.items()}
    return Checkpoint(name=name, seconds=seconds, readings=readings)


def test_checkpoints_of_the_test_stand_in_a_table_with_what_was_held(visit, tmp_path):
    marks = [
        Checkpoint(name="call", seconds=0.1),
        held_at("before <b>", 0.2, rss=40 * MIB, gpu=0),
        held_at("built", 1.25, rss=64 * MIB, gpu=3 * MIB),
        held_at("freed", 2.5, rss=41 * MIB),
    ]
    timeline = Timeline(seconds=[0.0, 2.6], rss_tree_bytes=[40 * MIB, 41 * MIB], checkpoints=marks)
    test = msgspec.structs.replace(made_test("tests/test_a.py::test_a", rss=64 * MIB), timeline=timeline)
    digest = digest_of(made_run(1, test), Earlier(), directory=Path("/"))
    page = visit(written(tmp_path, digest) + link_to_test(test.nodeid))
    assert page.get_by_role("heading", name="Held at checkpoints").is_visible()
    table = page.get_by_role("table", name="Checkpoints")
    assert table.locator("thead th").all_inner_texts() == ["Checkpoint", "At, seconds", "rss", "gpu"]
    found = [row.locator("th, td").all_inner_texts() for row in table.locator("tbody tr").all()]
    assert found == [
        ["before <b>", "0.20", "40.0 MiB", "0 B"],
        ["built", "1.25", "64.0 MiB", "3.0 MiB"],
        ["freed", "2.50", "41.0 MiB", "\u2013\nnone"],
    ]
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_the_flame_graph_is_in_the_page_as_a_picture(visit, tmp_path):
    load = Frame("load</title><script>document.title = 'mine'</script>", "/p/a.py", 4)
    name = write_flame_graph(str(tmp_path), [Piece(3 * MIB, 1, (load, Frame("test_a", "/p/a.py", 9)))], "/p/")
    held = Explanation(
        figure="rss",
        peak_bytes=3 * MIB,
        holders=[Holder(bytes=3 * MIB, what="load", where="a.py:4", kind="python")],
        source="memray",
        flame_graph=name,
    )
    test = msgspec.structs.replace(made_test("tests/test_a.py::test_a", rss=3 * MIB), explanations=[held])
    path = tmp_path / "report.html"
    digest = digest_of(made_run(1, test), Earlier(), directory=Path("/"))
    path.write_text(page_of(digest, flames=tmp_path), encoding="utf-8")
    _, _, wide, high = map(int, re.search('viewBox="([^"]*)"', (tmp_path / name).read_text("utf-8"))[1].split())
    (tmp_path / name).unlink()  # all of it is in the page
    page = visit(path.as_uri() + link_to_test(test.nodeid))
    picture = page.get_by_role("img", name=re.compile("^Flame graph"))
    picture.evaluate("one => one.decode()")  # which refuses what is no picture
    shown = picture.bounding_box()
    assert shown["width"] > wide / 2
    assert shown["height"] / shown["width"] == pytest.approx(high / wide, rel=0.05)
    assert name in page.locator("#test").inner_text()
    assert page.title() != "mine"


def test_esc_leads_back_and_the_next_test_is_the_next_of_the_table(visit, address):
    page = visit(address)
    second = rows(page).nth(1).locator("a").get_attribute("href")
    rows(page).first.locator("a").click()
    page.get_by_role("link", name="Next").click()
    assert settled(page).evaluate("location.hash") == second
    page.keyboard.press("Escape")
    assert settled(page).locator("#overview").is_visible()
    assert page.evaluate("location.hash") == ""


def test_a_link_to_a_test_that_is_not_there_says_so(visit, address):
    name = "tests/<b>gone</b>\u202e.py::test_gone"
    page = visit(f"{address}#test={quote(name)}")
    text = page.locator("#test").inner_text()
    assert "This run has no test of that name" in text
    assert "tests/<b>gone</b>\\u{202e}.py::test_gone" in text
    page.get_by_role("link", name="All tests").click()
    assert settled(page).locator("#overview").is_visible()


def test_a_hash_that_is_no_address_of_a_test_changes_nothing(visit, address):
    page = visit(f"{address}#test=%E0%A4%A")
    assert "no test of that name" in page.locator("#test").inner_text()
    page.goto(f"{address}#elsewhere")
    assert settled(page).locator("#overview").is_visible()


def test_it_is_used_by_keyboard_alone(visit, address):
    page = visit(address)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
    page.locator("#find").focus()
    page.keyboard.type("augment")
    assert rows(page).count() == 1
    head = page.locator("#table thead button").first
    while not head.evaluate("element => element === document.activeElement"):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator("th[aria-sort=descending] button").evaluate("element => element === document.activeElement")
    while page.evaluate("document.activeElement.className") != "name":
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert settled(page).locator("#test").is_visible()


def test_the_theme_is_the_systems_until_another_is_chosen_which_is_kept(visit, address):
    page = visit(address, color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.emulate_media(color_scheme="light")
    light = page.evaluate(ground)
    assert light != dark
    button = page.get_by_role("button", name="Dark")
    assert button.get_attribute("aria-pressed") == "false"
    button.click()
    assert page.evaluate(ground) == dark
    page.reload()
    assert page.evaluate(ground) == dark
    assert button.get_attribute("aria-pressed") == "true"
    page.emulate_media(media="print")
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(23, 28, 36)"


@pytest.mark.parametrize("shown", ["overview", "test"])
def test_a_phone_does_not_scroll_sideways(visit, address, digest, shown):
    page = visit(address + (link_to_test(digest.tests[0].test.nodeid) if shown == "test" else ""), viewport=PHONE)
    if shown == "test":
        page.locator(".chart .main-svg").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_hard_to_read_for_some(visit, address, digest, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit(address, color_scheme=scheme, reduced_motion="reduce")
    assert violations(axe, page) == []
    page.goto(address + link_to_test(digest.tests[1].test.nodeid))
    page.locator(".chart .main-svg").first.wait_for()
    assert violations(axe, page) == []


def violations(axe, page):
    found = axe.run(page).response["violations"]
    return [(one["id"], node["html"][:120]) for one in found for node in one["nodes"]]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A page of a run in which all that people write is hostile."""
    evil = "</script><img src=x onerror=\"document.title = 'mine'\">\u202e\x1b[31m{{ 7 * 7 }}"
    tests = [
        msgspec.structs.replace(
            made_test(name, limited=["rss"], rss=100 * MIB),
            notes=[evil],
            died=evil,
            out_of_memory=evil,
            where=evil,
            allocator=evil,
            runtime={evil: evil},
        )
        for name in HOSTILE
    ]
    run = made_run(3, *tests, branch=evil, ci=evil, ci_link="javascript:document.title='mine'", commit=evil)
    environment = msgspec.structs.replace(run.environment, settings={evil: evil}, packages={evil: evil})
    run = msgspec.structs.replace(run, environment=environment)
    digest = digest_of(run, Earlier(), directory=Path("/"), notices=[evil])
    return written(tmp_path_factory.mktemp("hostile"), digest)


def test_hostile_text_does_nothing_and_is_shown(visit, hostile):
    page = visit(hostile, viewport=PHONE)
    assert page.title() != "mine"
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    body = page.locator("main").inner_text()
    assert "</script><img src=x onerror=\"document.title = 'mine'\">\\u202e\\x1b[31m{{ 7 * 7 }}" in body
    assert not {"\u202e", "\x1b", "\u2066"} & set(body)
    assert page.locator("main img, main script, a[href^=javascript]").count() == 0


def test_a_hostile_id_has_a_link_that_leads_to_it(visit, hostile):
    page = visit(hostile)
    links = {one.locator(".leaf").inner_text()[:6]: one.get_attribute("href") for one in rows(page).locator("a").all()}
    for name in HOSTILE:
        leaf = name.partition("::")[2]
        assert links[leaf[:6]] == link_to_test(name)
        page.goto(hostile + link_to_test(name))
        assert settled(page).title() != "mine"
        shown = page.locator("#test-title .leaf").inner_text()
        assert shown == "".join(one if one.isprintable() else ascii(one)[1:-1] for one in leaf)


def test_sizes_are_written_as_elsewhere(visit, address):
    page = visit(address)
    sizes = [0, 1, 1023, 1024, 1536, MIB - 1, MIB, 5 * MIB + 3, 1 << 30, 3 << 30, 1 << 40, 5 << 41]
    folder = Path(page_of.__code__.co_filename).parent / "scripts"
    script = folder.joinpath("format.js").read_text(encoding="utf-8")
    found = page.evaluate(f"(sizes) => {{ {script}; return sizes.map(size); }}", sizes)
    assert found == [format_size(size) for size in sizes]


def test_of_very_many_tests_a_thousand_are_shown_at_once(visit, tmp_path):
    tests = [made_test(f"tests/test_a.py::test_{number}", rss=number * MIB) for number in range(1200)]
    digest = digest_of(made_run(1, *tests), Earlier(), directory=Path("/"))
    page = visit(written(tmp_path, digest))
    assert rows(page).count() == 1000
    page.get_by_role("button", name="Show more").click()
    assert rows(page).count() == 1200


def test_a_page_of_nothing_says_so(visit, tmp_path):
    page = visit(written(tmp_path, Digest(weight="undecided", sentence="Nothing was measured.")))
    assert page.get_by_role("heading", level=1).inner_text() == "Nothing was measured."
    assert "There is no run to show with what the gate found." in page.locator(".tests").inner_text()


def test_the_data_of_the_page_are_for_other_programs_too(visit, address):
    data = json.loads(visit(address).locator("#data").text_content())
    assert data["schema"] == "tfmem.page/1"
    assert len(data["tests"]) == 30
    assert dt.datetime.fromisoformat(data["runs"][0]["at"]) < dt.datetime.fromisoformat(data["runs"][-1]["at"])
