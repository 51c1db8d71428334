"""Saying whether it was right, in a real browser."""

from __future__ import annotations

import re


def choose(page, make_picture) -> None:
    """Give the page a picture and wait for its answer."""
    page.set_input_files(
        "#image", {"name": "a.png", "mimeType": "image/png", "buffer": make_picture()}
    )
    page.wait_for_selector(".verdict")


def test_one_press_says_it_was_right(page, make_picture):
    """The page stays, and what is noted is told to screen readers."""
    choose(page, make_picture)
    form = page.locator(".verdict").first
    form.get_by_role("button", name="Right", exact=True).click()
    said = form.get_by_role("status")
    said.filter(has_text="Noted: it was right.").wait_for()
    assert "said" == page.evaluate("() => document.activeElement.className")
    assert "98.0 %" in page.inner_text("#answers")


def test_the_right_label_is_chosen_and_said(page, make_picture):
    """From the model's own labels; the last word counts."""
    choose(page, make_picture)
    form = page.locator(".verdict").first
    form.get_by_role("combobox").select_option("cat")
    form.get_by_role("button", name="Say so").click()
    form.get_by_role("status").filter(has_text="Noted: it is cat.").wait_for()


def test_what_is_missing_is_told_in_the_form(page, make_picture):
    """Say so, without a label."""
    choose(page, make_picture)
    form = page.locator(".verdict").first
    form.get_by_role("button", name="Say so").click()
    form.get_by_role("status").filter(has_text="nothing is given").wait_for()


def test_the_keyboard_is_enough(page, make_picture):
    """Tab to the button, press it."""
    choose(page, make_picture)
    page.locator(".verdict").first.get_by_role("button", name="Wrong").focus()
    page.keyboard.press("Enter")
    page.locator(".verdict").first.get_by_role("status").filter(has_text="it was wrong").wait_for()


def test_without_scripts_it_is_a_page_of_its_own(open_page, make_picture):
    """The form is sent as it is, and the prediction's page says what is noted."""
    page = open_page(java_script_enabled=False)
    page.set_input_files(
        "#image", {"name": "a.png", "mimeType": "image/png", "buffer": make_picture()}
    )
    page.get_by_role("button", name="Ask").click()
    page.locator(".verdict").first.get_by_role("button", name="Right", exact=True).click()
    assert re.search(r"/predictions/[0-9a-f]{32}$", page.url)
    assert "Noted: it was right." in page.inner_text("main")
    assert 2 == page.locator(".verdict").count()


def test_a_prediction_of_its_own_fits_a_phone(open_page, make_picture):
    """Its long address breaks."""
    page = open_page(viewport={"width": 320, "height": 640}, java_script_enabled=False)
    page.set_input_files(
        "#image", {"name": "a.png", "mimeType": "image/png", "buffer": make_picture()}
    )
    page.click("button.ask")
    page.get_by_role("button", name="Right", exact=True).first.click()
    page.wait_for_url("**/predictions/*")
    assert 320 >= page.evaluate("() => document.documentElement.scrollWidth")
