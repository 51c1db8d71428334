"""The dashboard in a real browser: with and without scripts, by keyboard, on a phone."""

from __future__ import annotations

import json
import urllib.request

import pytest


def send(url: str, body: bytes, *, method: str = "POST") -> dict:
    request = urllib.request.Request(url, data=body, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


@pytest.fixture
def judged(site, make_picture) -> str:
    """One more answer of the fake that somebody called wrong; its id."""
    told = send(f"{site.url}/api/predict?model=pets", make_picture())
    said = json.dumps({"label": "cat"}).encode()
    send(f"{site.url}/api/predictions/{told['id']}/feedback", said, method="PUT")
    return told["id"]


def test_it_shows_traffic_and_refreshes_itself(open_page, site, make_picture, judged):
    """The number of answers grows while nobody touches the page."""
    page = open_page("/dashboard")
    answered = page.locator("#now ~ .numbers div", has_text="answered").first.locator("dd")
    before = int(answered.inner_text())
    assert page.locator(f"a[href='/predictions/{judged}']").count() == 1
    send(f"{site.url}/api/predict?model=pets", make_picture())
    page.wait_for_function(
        "before => Number([...document.querySelectorAll('.numbers div')]"
        ".find((div) => div.textContent.startsWith('answered')).querySelector('dd').textContent)"
        " === before + 1",
        arg=before,
    )


def test_it_can_be_paused(open_page):
    """What moves by itself must be stoppable; going on looks at once."""
    page = open_page("/dashboard")
    button = page.get_by_role("button", name="Pause")
    button.press("Enter")
    assert "true" == page.locator("#pause").get_attribute("aria-pressed")
    with page.expect_response(lambda response: response.url.endswith("/dashboard")):
        page.get_by_role("button", name="Go on").press("Enter")


@pytest.mark.usefixtures("judged")
def test_focus_stays_where_it_was(open_page):
    """A refresh takes no one's place away."""
    page = open_page("/dashboard")
    page.get_by_role("region", name="Confusion matrix").focus()
    with page.expect_response(lambda response: response.url.endswith("/dashboard")):
        pass
    page.wait_for_function(
        "() => document.activeElement?.getAttribute('aria-label') === 'Confusion matrix'"
    )


@pytest.mark.usefixtures("judged")
def test_it_works_without_scripts(open_page):
    """All is there, and a way to look again."""
    page = open_page("/dashboard", java_script_enabled=False)
    assert page.get_by_role("link", name="Look again").is_visible()
    assert not page.locator("#pause").is_visible()
    page.get_by_role("link", name="Things").click()
    assert "Things" == page.locator(".choice [aria-current]").inner_text()


@pytest.mark.usefixtures("judged")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 360])
def test_it_fits_a_phone(open_page, scheme, width):
    """Nothing reaches beyond the edge; wide tables scroll in themselves."""
    page = open_page("/dashboard", viewport={"width": width, "height": 740}, color_scheme=scheme)
    assert width >= page.evaluate("document.documentElement.scrollWidth")


@pytest.mark.usefixtures("judged")
def test_plots_have_words_for_who_cannot_see_them(open_page):
    """Each is an image with a name; each panel has a heading."""
    page = open_page("/dashboard")
    names = [plot.get_attribute("aria-label") for plot in page.locator("svg.plot").all()]
    assert all(names)
    assert len(names) >= 4
    sections = page.locator("section.panel").all()
    assert all(section.locator("h2").count() == 1 for section in sections)
