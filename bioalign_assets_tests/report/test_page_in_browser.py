"""The page in a real chromium: on a desk and on a phone, by day and by night, with the network watched."""

import pytest

from bioalign_assets.report.page import study_page
from bioalign_assets.report.publish import newest_page, publish
from bioalign_assets_tests.report._page import STUDY, write_study

pytestmark = [pytest.mark.browser, pytest.mark.slow]

OPEN_ALL = "document.querySelectorAll('details').forEach(each => { each.open = true })"
OUTSIDE = """[...document.querySelectorAll('body *')]
    .filter(each => !each.closest('.scroll') && each.getBoundingClientRect().right > innerWidth + 1)
    .map(each => each.tagName + ' ' + each.textContent.slice(0, 60))"""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    root = tmp_path_factory.mktemp("page")
    publish(study_page(write_study(root), study=STUDY).html, root=root)
    return newest_page(root).as_uri()


@pytest.fixture
def look(browser, address, shots):
    """Open the page as somebody does, with every part of it open; nothing may complain or go to the network."""
    pages, complaints, asked = [], [], []

    def look_(name, *, width=1280, scheme="light"):
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        pages.append(page)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.route("http*://**", lambda route: route.abort())
        page.goto(address)
        page.evaluate(OPEN_ALL)
        page.screenshot(path=shots / f"report-{name}.png", full_page=True)
        return page

    yield look_
    for page in pages:
        page.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith("data:")] == [address] * len(pages)


def ground(page):
    red, green, blue = page.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).slice(0, 3).map(Number)"
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def ink(page, selector):
    """Return how light a text is, 0 to 255."""
    found = (
        "getComputedStyle(document.querySelector(selector)).fill.match(/[\\d.]+/g).slice(0, 3).map(Number)"
    )
    red, green, blue = page.evaluate(f"selector => {found}", selector)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_only_tables_are_wider_than_the_window_and_they_scroll_in_their_boxes(look, width):
    page = look(f"{width}", width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OUTSIDE) == []
    if width == 360:
        scrolled = page.evaluate(
            "[...document.querySelectorAll('.scroll')].filter(each => each.scrollWidth > each.clientWidth).length"
        )
        assert scrolled > 0


def test_by_night_the_ground_is_dark_and_texts_are_light_in_figures_too(look):
    day, night = look("day"), look("night", scheme="dark")
    assert ground(day) > 240
    assert ground(night) < 40
    assert ink(day, "figure svg text") < 80
    assert ink(night, "figure svg text") > 180


def test_texts_of_figures_stay_within_them(look):
    page = look("figures")
    cut = page.evaluate(
        """[...document.querySelectorAll('figure svg')].flatMap(drawn => {
            const box = drawn.getBoundingClientRect();
            return [...drawn.querySelectorAll('text')].filter(each => {
                const text = each.getBoundingClientRect();
                return text.left < box.left - 2 || text.right > box.right + 2
                    || text.top < box.top - 2 || text.bottom > box.bottom + 2;
            }).map(each => each.textContent);
        })"""
    )
    assert cut == []


def test_the_contents_lead_to_their_sections(look):
    page = look("contents")
    page.get_by_role("link", name="Leaderboard", exact=True).click()
    # no wait_for_function: the page's own policy forbids what it evaluates
    page.wait_for_timeout(300)
    assert abs(page.evaluate("document.getElementById('leaderboard').getBoundingClientRect().top")) < 5


def test_in_print_everything_is_open_and_nothing_is_cut(look):
    page = look("print")
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = false })")
    page.emulate_media(media="print")
    hidden = page.evaluate(
        "[...document.querySelectorAll('details figure')].filter(each => each.getBoundingClientRect().height < 20).length"
    )
    assert hidden == 0
    assert page.evaluate("getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"
