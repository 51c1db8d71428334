"""Signing in with a real browser, which adds its own headers and keeps its own cookies."""

from __future__ import annotations


def sign_in(page, key: str) -> None:
    page.fill("input[name=key]", key)
    page.click("button[type=submit]")


def test_a_person_signs_in_asks_and_signs_out(browser, guarded_site, make_picture):
    """With scripts and a strict policy; the cookie is out of the scripts' reach."""
    site, key = guarded_site
    context = browser.new_context()
    page = context.new_page()
    page.goto(site.url)
    assert f"{site.url}/sign-in" == page.url
    sign_in(page, "tt_wrong")
    assert "unknown, revoked" in page.inner_text(".problem")
    assert "Authorization" not in page.inner_text(".problem")  # a person cannot send a header
    sign_in(page, key)
    page.wait_for_url(f"{site.url}/")
    assert "" == page.evaluate("() => document.cookie")
    (cookie,) = context.cookies()
    assert (True, "Lax") == (cookie["httpOnly"], cookie["sameSite"])
    with page.expect_response(lambda response: response.request.method == "POST") as answered:
        page.set_input_files(
            "#image", {"name": "a.png", "mimeType": "image/png", "buffer": make_picture()}
        )
    assert 200 == answered.value.status
    assert "ann" == site.predictor.asked[-1].caller.key
    page.click("text=Sign out")
    page.wait_for_url(f"{site.url}/sign-in")
    page.goto(f"{site.url}/api/models")
    assert f"{site.url}/sign-in?next=/api/models" == page.url
    context.close()


def test_it_works_without_scripts(browser, guarded_site, make_picture):
    """The browser's own forms tell where they come from."""
    site, key = guarded_site
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site.url)
    sign_in(page, key)
    page.wait_for_url(f"{site.url}/")
    page.set_input_files(
        "#image", {"name": "a.png", "mimeType": "image/png", "buffer": make_picture()}
    )
    page.click("button.ask")
    page.wait_for_selector(".answer")
    context.close()


def test_another_site_gets_nothing_done(browser, guarded_site):
    """Its form is sent with all that the browser sends along, and refused."""
    site, key = guarded_site
    context = browser.new_context()
    ours, theirs = context.new_page(), context.new_page()
    ours.goto(site.url)
    sign_in(ours, key)
    ours.wait_for_url(f"{site.url}/")
    theirs.set_content(
        f"<form method=post action='{site.url}/sign-out'><button>Win a prize</button></form>"
    )
    theirs.click("button")
    theirs.wait_for_url(f"{site.url}/sign-out")
    assert "foreign-form" in theirs.content()
    ours.reload()
    assert f"{site.url}/" == ours.url
    context.close()
