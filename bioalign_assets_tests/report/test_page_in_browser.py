"""The page in a real chromium: on a desk and on a phone, by day and by night, in print, with the network watched."""

import pytest

from bioalign_assets.report.publish import newest_page, publish

pytestmark = [pytest.mark.browser, pytest.mark.slow]

OPEN_ALL = "is_open => document.querySelectorAll('details').forEach(each => { each.open = is_open })"
OUTSIDE = """[...document.querySelectorAll('body *')]
    .filter(each => !each.closest('.scroll') && each.getBoundingClientRect().right > innerWidth + 1)
    .map(each => each.tagName + ' ' + each.textContent.slice(0, 60))"""
CUT = """[...document.querySelectorAll('figure svg')].flatMap(drawn => {
    const box = drawn.getBoundingClientRect();
    return [...drawn.querySelectorAll('text')].filter(each => {
        const text = each.getBoundingClientRect();
        return text.left < box.left - 2 || text.right > box.right + 2
            || text.top < box.top - 2 || text.bottom > box.bottom + 2;
    }).map(each => each.textContent);
})"""
SCROLLED = (
    "[...document.querySelectorAll('.scroll')].filter(each => each.scrollWidth > each.clientWidth).length"
)
HIDDEN = """[...document.querySelectorAll('details figure')]
    .filter(each => each.getBoundingClientRect().height < 20).length"""
LIGHTNESS = """([selector, property]) => {
    const [red, green, blue] = getComputedStyle(document.querySelector(selector))[property].match(/[\\d.]+/g).map(Number);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}"""


def test_it_reads_well_everywhere_and_loads_nothing(browser, page, shots, tmp_path):
    publish(page.html, root=tmp_path)
    address = newest_page(tmp_path).as_uri()
    complaints, asked = [], []
    seen = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
    seen.on("console", lambda message: complaints.append(message.text))
    seen.on("pageerror", lambda error: complaints.append(str(error)))
    seen.on("request", lambda request: asked.append(request.url))
    seen.route("http*://**", lambda route: route.abort())
    seen.goto(address)
    seen.evaluate(OPEN_ALL, True)

    def lightness(selector, style):
        """How light something is, 0 to 255."""
        return seen.evaluate(LIGHTNESS, [selector, style])

    # only tables are wider than the window, and they scroll in their boxes; texts of figures stay within them
    for width in (360, 768, 1280):
        seen.set_viewport_size({"width": width, "height": 800})
        seen.screenshot(path=shots / f"report-{width}.png", full_page=True)
        assert seen.evaluate("document.documentElement.scrollWidth") <= width
        assert seen.evaluate(OUTSIDE) == []
        assert seen.evaluate(CUT) == []
        assert (seen.evaluate(SCROLLED) > 0) or width > 360

    # the contents lead to their sections
    seen.get_by_role("link", name="Leaderboard", exact=True).click()
    top = "document.getElementById('leaderboard').getBoundingClientRect().top"
    while (
        abs(seen.evaluate(top)) >= 5
    ):  # no wait_for_function: the page's own policy forbids what it evaluates
        seen.wait_for_timeout(20)

    # by night the ground is dark and texts are light, in figures too
    assert lightness("body", "backgroundColor") > 240
    assert lightness("figure svg text", "fill") < 80
    seen.emulate_media(color_scheme="dark")
    seen.screenshot(path=shots / "report-night.png", full_page=True)
    assert lightness("body", "backgroundColor") < 40
    assert lightness("figure svg text", "fill") > 180

    # in print everything is open and nothing is cut
    seen.evaluate(OPEN_ALL, False)
    seen.emulate_media(media="print")
    assert seen.evaluate(HIDDEN) == 0
    assert seen.evaluate("getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"

    seen.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith("data:")] == [address]
