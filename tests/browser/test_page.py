from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess

import pytest

PNG_WIDTH, PNG_HEIGHT = 120, 80
DROP = """
([name, type, text]) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    document.body.dispatchEvent(new DragEvent(kind, {
      dataTransfer: transfer, bubbles: true, cancelable: true }));
  }
}
"""
PASTE = """
([name, type, text]) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const clipboardData = new DataTransfer();
  clipboardData.items.add(new File([bytes], name, { type }));
  document.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
}
"""


@pytest.fixture
def png(make_picture):
    return make_picture()


def choose(page, data: bytes, name: str = "red dog.png") -> None:
    """Choose a file and wait for its answer."""
    with page.expect_response(lambda response: response.request.method == "POST"):
        page.set_input_files("#image", {"name": name, "mimeType": "image/png", "buffer": data})
    page.wait_for_selector("#answers:not([aria-busy=true]) > :not(.blank)")


def wait_for_answer(page, action) -> None:
    with page.expect_response(lambda response: response.request.method == "POST"):
        action()
    page.wait_for_selector("#answers:not([aria-busy=true])")


def packed(data: bytes) -> list[str]:
    return ["dropped.png", "image/png", base64.b64encode(data).decode()]


def test_a_chosen_picture_is_answered(page, png):
    """Scores with bars, the picture, its facts; a screen reader is told the best label."""
    choose(page, png)
    assert ["dog", "cat", "<b>bird</b>"] == page.locator(
        ".card:first-child .label"
    ).all_inner_texts()
    assert ["98.0 %", "1.9 %", "< 0.1 %"] == page.locator(
        ".card:first-child .score"
    ).all_inner_texts()
    bar = page.locator(".card:first-child .meter").first.bounding_box()
    fill = page.locator(".card:first-child .meter rect").first.bounding_box()
    assert pytest.approx(0.98, abs=0.01) == fill["width"] / bar["width"]
    assert "red dog.png · 120 \N{MULTIPLICATION SIGN} 80 · PNG" in page.inner_text("#facts")
    assert "Pets: dog, 98 percent" in page.inner_text("#status")


@pytest.mark.parametrize("how", [DROP, PASTE], ids=["dropped", "pasted"])
def test_a_dropped_or_pasted_picture_is_answered(page, png, how):
    """Anywhere on the page."""
    wait_for_answer(page, lambda: page.evaluate(how, packed(png)))
    assert "dropped.png" in page.inner_text("#facts")
    assert 2 == page.locator(".answer .card").count()


def test_something_dropped_that_is_no_file_is_told(page):
    """A piece of text, say."""
    page.evaluate(
        """() => document.body.dispatchEvent(new DragEvent("drop", {
             dataTransfer: new DataTransfer(), bubbles: true, cancelable: true }))"""
    )
    assert "What was dropped is no file." in page.inner_text("#answers")


def test_a_sample_is_answered(page):
    """One click on a small picture."""
    wait_for_answer(page, lambda: page.click("[data-sample]"))
    assert "red-dog.png" in page.inner_text("#facts")


def test_a_photo_from_the_camera_is_answered(open_page):
    """The viewfinder's picture becomes a file like any other."""
    page = open_page(permissions=["camera"])
    page.click("#take")
    page.wait_for_function("() => document.getElementById('viewfinder').videoWidth > 0")
    wait_for_answer(page, lambda: page.click("#shoot"))
    assert "photo.jpg" in page.inner_text("#facts")
    assert page.evaluate("document.getElementById('viewfinder').srcObject === null")


def test_a_click_sets_the_point(page, site, png):
    """In pixels of the picture, whatever its size on the screen; the cross stands there."""
    choose(page, png)
    place = page.locator("#shown").bounding_box()
    wait_for_answer(
        page,
        lambda: page.mouse.click(
            place["x"] + place["width"] * 30.5 / 120, place["y"] + place["height"] * 40.5 / 80
        ),
    )
    assert ("30", "40") == (page.input_value("#x"), page.input_value("#y"))
    assert [(30.0, 40.0)] == [(point.x, point.y) for point in site.predictor.asked[-1].points]
    assert "at 30, 40" in page.inner_text(".card")
    cross = page.locator("#picture .cross circle").first.bounding_box()
    assert pytest.approx(place["x"] + place["width"] * 30.5 / 120, abs=1) == (
        cross["x"] + cross["width"] / 2
    )


def test_a_point_is_one_of_the_upright_picture(page, site, make_picture):
    """A phone's photo is stored lying; it is shown, and asked about, upright."""
    choose(page, make_picture("JPEG", size=(60, 40), orientation=6), "phone.jpg")
    place = page.locator("#shown").bounding_box()
    assert place["height"] > place["width"]
    wait_for_answer(
        page,
        lambda: page.mouse.click(
            place["x"] + place["width"] * 20.5 / 40, place["y"] + place["height"] * 54.5 / 60
        ),
    )
    (point,) = site.predictor.asked[-1].points
    assert (20, 54) == (point.x, point.y)


def test_the_point_is_moved_with_the_keyboard(page, site, png):
    """The picture takes the focus; arrows move the point, with Shift by one pixel."""
    choose(page, png)
    page.focus("#picture")
    wait_for_answer(page, lambda: page.keyboard.press("ArrowRight"))
    page.keyboard.press("Shift+ArrowUp")
    assert ("61", "39") == (page.input_value("#x"), page.input_value("#y"))
    for _ in range(90):
        page.keyboard.press("ArrowUp")
    wait_for_answer(page, lambda: page.keyboard.press("ArrowUp"))
    assert "0" == page.input_value("#y")
    assert (61, 0) == (site.predictor.asked[-1].points[0].x, site.predictor.asked[-1].points[0].y)


def test_the_point_may_be_typed_and_cleared(page, site, png):
    """The two fields are the same point; half a point asks nothing."""
    choose(page, png)
    page.click("summary:has-text('Options')")
    asked = len(site.predictor.asked)
    page.fill("#x", "7")
    wait_for_answer(page, lambda: page.fill("#y", "8"))
    assert asked + 1 == len(site.predictor.asked)
    assert "visible" == page.get_attribute("#picture .cross", "visibility")
    wait_for_answer(page, lambda: page.click("#clear-point"))
    assert () == site.predictor.asked[-1].points
    assert "hidden" == page.get_attribute("#picture .cross", "visibility")


def test_the_page_is_used_with_the_keyboard_alone(page, png):
    """Tab reaches link, nav, file, camera, samples, options in this order, and the focus shows."""
    reached = []
    for _ in range(9):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "() => document.activeElement.id || document.activeElement.textContent.trim()"
                " || document.activeElement.dataset.sample"
            )
        )
    assert [
        "Skip to the content",
        "Tintype",
        "Models",
        "Dashboard",
        "API",
        "image",
        "take",
        "red-dog.png",
        "Options",
    ] == reached
    outline = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
    assert "solid" == outline
    choose(page, png)
    page.keyboard.press("Enter")
    page.focus("#x")
    page.keyboard.type("5")
    page.focus("#y")
    wait_for_answer(page, lambda: (page.keyboard.type("6"), page.keyboard.press("Enter")))
    assert "at 5, 6" in page.inner_text(".card")


def test_options_ask_again(page, site, png):
    """A tick or a number changes the answer at once."""
    choose(page, png)
    page.click("summary:has-text('Options')")
    wait_for_answer(page, lambda: page.check("[name=model][value=pets]"))
    assert 1 == page.locator(".card:not(.model)").count()
    page.fill("[name=top]", "2")
    wait_for_answer(page, lambda: page.keyboard.press("Tab"))
    assert (("pets",), 2) == (site.predictor.asked[-1].models, site.predictor.asked[-1].top)


def test_boxes_are_drawn_where_they_are(page, png):
    """In pixels of the picture; a line of the list marks its box."""
    choose(page, png)
    picture = page.locator("#shown").bounding_box()
    box = page.locator("#picture .boxes .edge").bounding_box()
    assert pytest.approx(picture["x"] + picture["width"] * 0.2, abs=3) == box["x"]
    assert pytest.approx(picture["height"] * 0.8, abs=5) == box["height"]
    assert "dog" == page.locator("#picture .boxes text").text_content()
    page.hover(".found li")
    assert 1 == page.locator("#picture .boxes .marked").count()


def test_what_the_model_saw_stays_open(page, png):
    """The input as a picture, its ranges, the recipe with reasons; open until closed."""
    choose(page, png)
    page.click(".saw summary")
    wait_for_answer(page, lambda: page.click("#picture"))
    assert page.is_visible(".seen")
    assert "pixelated" == page.evaluate(
        "() => getComputedStyle(document.querySelector('.seen')).imageRendering"
    )
    text = page.inner_text(".saw[open]")
    for part in ("guess", "lowest", "values.op", "the commonest case", "--recipe keras-load-img"):
        assert part in text


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_line_gives_the_same_answer(page, png, tmp_path):
    """Copied into a shell beside the picture, it runs."""
    (tmp_path / "red dog.png").write_bytes(png)
    choose(page, png)
    page.focus("#picture")
    wait_for_answer(page, lambda: page.keyboard.press("Shift+ArrowRight"))
    line = page.text_content("#curl")
    done = subprocess.run(
        ["sh", "-c", f"{line} --silent --fail --noproxy '*'"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    result = json.loads(done.stdout)["results"][0]
    assert ("dog", {"x": 61.0, "y": 40.0}) == (result["labels"][0]["label"], result["point"])


def test_copying_copies(open_page, png):
    """The line is in the clipboard, and the button says so."""
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    choose(page, png)
    page.click("[data-copy=curl]")
    page.wait_for_selector("[data-copy=curl]:has-text('Copied')")
    assert page.text_content("#curl") == page.evaluate("() => navigator.clipboard.readText()")


def test_a_bad_file_is_told_in_words(page, png):
    """What is wrong and what helps; the next good picture is answered as if nothing had been."""
    choose(page, b"no picture", "notes.txt")
    alert = page.get_by_role("alert")
    assert "Unsupported picture format" in alert.inner_text()
    assert "JPEG, PNG" in alert.inner_text()
    assert "save it as JPEG or PNG first" in alert.inner_text()
    assert page.is_visible(".unshowable")
    choose(page, png)
    assert "98.0 %" in page.inner_text("#answers")
    assert not page.is_visible(".unshowable")


def test_a_file_above_the_limit_is_not_even_sent(page, site):
    """The page knows the limit and tells it."""
    asked = len(site.predictor.asked)
    page.set_input_files(
        "#image", {"name": "big.png", "mimeType": "image/png", "buffer": bytes(2 << 20)}
    )
    page.wait_for_selector(".problem")
    assert "It has 2.0 MiB; this server takes 1.0 MiB." in page.inner_text("#answers")
    assert asked == len(site.predictor.asked)


def test_a_server_that_is_gone_is_told_in_words(page, png):
    """No answer is an answer too."""
    page.route("**/*", lambda route: route.abort())
    page.set_input_files("#image", {"name": "a.png", "mimeType": "image/png", "buffer": png})
    page.wait_for_selector(".problem")
    assert "The server did not answer." in page.inner_text("#answers")


def test_the_page_works_without_scripts(open_page, png):
    """A plain form: the answer comes as a page with the picture, its boxes and the chosen point."""
    page = open_page(java_script_enabled=False)
    page.set_input_files("#image", {"name": "a.png", "mimeType": "image/png", "buffer": png})
    page.click("summary:has-text('Options')")
    page.fill("#x", "12")
    page.fill("#y", "8")
    page.click("button[type=submit]")
    assert "98.0 %" in page.inner_text("#answers")
    assert page.get_attribute("#shown", "src").startswith("data:image/png;base64,")
    assert page.is_visible("#picture .boxes .edge")
    assert page.is_visible("#picture .cross .edge >> nth=0")
    assert "12" == page.input_value("#x")
    page.click("[data-sample]")
    assert "red-dog.png" in page.inner_text("#facts")


@pytest.mark.parametrize("path", ["/", "/docs"])
@pytest.mark.parametrize("width", [320, 360, 768])
def test_nothing_is_wider_than_the_screen(open_page, png, path, width):
    """No sideways scrolling on a phone, before and after an answer."""
    page = open_page(path, viewport={"width": width, "height": 740})
    if path == "/":
        choose(page, png, "a-very-long-name-" + "x" * 120 + ".png")
        page.evaluate(
            "() => document.querySelectorAll('details').forEach((d) => { d.open = true; })"
        )
    assert width >= page.evaluate("() => document.documentElement.scrollWidth")


def test_on_a_phone_the_answer_comes_right_below_the_picture(open_page, png):
    """Samples and options come after it."""
    page = open_page(viewport={"width": 360, "height": 740})
    choose(page, png)
    tops = [page.locator(each).bounding_box()["y"] for each in (".stage", ".answer", ".samples")]
    assert sorted(tops) == tops


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_the_page_follows_light_and_dark(open_page, scheme, dark):
    """What the person's system says; text stays readable on its ground."""
    page = open_page(color_scheme=scheme)
    ground, ink, soft = page.evaluate(
        """() => {
          const soft = getComputedStyle(document.querySelector(".colophon"));
          const body = getComputedStyle(document.body);
          return [body.backgroundColor, body.color, soft.color];
        }"""
    )
    assert dark == (luminance(ground) < 0.2)
    assert contrast(ground, ink) > 10
    assert contrast(ground, soft) > 4.5


def luminance(colour: str) -> float:
    """Relative luminance of ``rgb(r, g, b)``, WCAG 2.2."""
    channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, WCAG 2.2."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_every_control_has_a_name(page, png):
    """A screen reader can say what each field and button is."""
    choose(page, png)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("input, button, a, img, summary")]
          .filter((each) => each.checkVisibility() && !(each.labels?.length || each.ariaLabel
            || each.textContent.trim() || each.alt || each.title
            || each.querySelector("img")?.alt || each.matches(".brand img")))
          .map((each) => each.outerHTML)"""
    )
    assert [] == nameless


def test_the_policy_stops_inline_scripts_and_styles(open_page):
    """What a label or a file name could try is not run, and the watch of these tests sees it."""
    page = open_page(watched=False)
    page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          document.body.append(script);
          document.body.insertAdjacentHTML("beforeend", "<p style='color: red'>x</p>");
        }"""
    )
    page.wait_for_function("() => window.violations.length >= 2")
    assert page.evaluate("() => window.ran === undefined")


def test_the_docs_lead_from_a_problem_to_its_words(open_page, site):
    """The type of a problem is an address that tells what it means."""
    page = open_page("/problems/body-too-large")
    assert site.url + "/docs#problem-body-too-large" == page.url
    assert page.is_visible("tr:target")


def test_going_back_shows_the_answer_again(page, png, tmp_path):
    """The browser puts the chosen file back into the form: it is asked about again."""
    (tmp_path / "dog.png").write_bytes(png)
    wait_for_answer(page, lambda: page.set_input_files("#image", tmp_path / "dog.png"))
    page.get_by_role("link", name="API").click()
    page.wait_for_url("**/docs")
    page.go_back()
    page.wait_for_selector(".card:first-child .label")
    assert "dog" == page.locator(".card:first-child .label").first.inner_text()


def test_the_scores_of_the_older_systems_fit_a_phone(open_page, make_picture):
    """The picture shrinks with the screen."""
    page = open_page("/classify", viewport={"width": 320, "height": 640})
    page.set_input_files(
        "input[type=file]", {"name": "a.png", "mimeType": "image/png", "buffer": make_picture()}
    )
    page.click("main button")
    page.wait_for_url("**/score/*")
    assert 320 >= page.evaluate("() => document.documentElement.scrollWidth")
