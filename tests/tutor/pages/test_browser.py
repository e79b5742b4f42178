import shutil

import pytest
from playwright.sync_api import sync_playwright

from bench import Tutor
from bench.tutor.pages.app import application
from bench.tutor.pages.options import Options
from bench.tutor.pages.questions_file import Question

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium"),
]


@pytest.fixture
def tutor(taught, tmp_path):
    return Tutor(taught / "irt.ckpt", tmp_path / "class.sqlite")


@pytest.fixture
def address(tutor, served):
    """Where the pages are served, without the token's folder."""
    questions = {f"q{i}": Question(f"q{i}", f"Number {i}?", ("a", "b"), "a") for i in range(20)}
    app = application(tutor, questions, Options(most=3, pupil="pupil", teacher="teacher"))
    with served(app) as address:
        yield address


@pytest.fixture(params=[(1200, 800), (360, 640)], ids=["desktop", "phone"])
def page(request, tmp_path):
    width, height = request.param
    with sync_playwright() as started:
        browser = started.chromium.launch_persistent_context(
            str(tmp_path / "browser"),
            executable_path=CHROMIUM,
            args=FLAGS,
            viewport={"width": width, "height": height},
        )
        page = browser.new_page()
        page.width = width
        page.said = []
        page.on("console", lambda message: page.said.append(message.text))
        yield page
        browser.close()


def fits(page):
    """Nothing sticks out of the window: no scrolling to the side."""
    return page.evaluate("document.documentElement.scrollWidth") <= page.width


def enter(page):
    with page.expect_navigation():
        page.keyboard.press("Enter")


def test_a_pupil_answers_without_a_mouse_and_the_teacher_sees_it(page, address, tutor):
    page.goto(f"{address}/p/pupil/")
    assert fits(page)
    page.keyboard.type("Ann")  # the field is ready
    enter(page)
    for n in range(3):
        page.wait_for_selector(f"text=Question {n + 1} of 3")
        assert fits(page)
        while page.evaluate("document.activeElement.textContent.trim()") != "a":
            page.keyboard.press("Tab")
        enter(page)
        page.wait_for_selector("text=That was right.")
    page.wait_for_selector("text=That is all for today")
    assert fits(page)
    assert [a.right for a in tutor.book.of("Ann")] == [True] * 3
    page.go_back()
    page.go_forward()
    assert len(tutor.book.of("Ann")) == 3
    page.goto(f"{address}/t/teacher/")
    assert fits(page)
    page.click("text=Ann")
    page.wait_for_selector("svg.curve")
    assert fits(page)
    assert page.said == []  # no style and no script that the page's own rules forbid
