"""The page in a browser: it works, asks nothing of any network, and fits a phone."""

import shutil

import pytest

from bench.results.report import page

playwright = pytest.importorskip("playwright.sync_api")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
NAMES = ("chromium", "chromium-browser", "google-chrome")
HOSTILE = "</script><img src=x onerror='document.title=1'><b>$\\frac$"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A Chromium of this machine; skips where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as api:
        folder = str(tmp_path_factory.mktemp("profile"))
        options = {"executable_path": found, "args": FLAGS, "headless": True}
        context = api.chromium.launch_persistent_context(folder, **options)
        yield context
        context.close()


@pytest.fixture
def shown(browser, tmp_path, runs, trials):
    """The page of a few records, one of them hostile, and what it has said and asked for."""
    found = [*runs("omniglot", 3), *runs("cub", chosen=HOSTILE), *trials("omniglot", [0.1, 0.5])]
    found[-3]["algorithm"] = {"label": HOSTILE, "order": None, "role": None}
    path = tmp_path / "report.html"
    path.write_text(page.html("results", found))
    tab, said, asked = browser.new_page(), [], []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(path.as_uri())
    yield tab, said, asked
    tab.close()


def test_it_works_in_a_browser(shown):
    tab, said, asked = shown
    column = "#all tbody tr:not(.details) td:nth-child(5)"

    def results():
        return [float(t.split()[1]) for t in tab.locator(column).all_text_contents()]

    before = results()
    tab.locator("#all thead button").nth(4).click()
    assert results() == sorted(before) != before
    tab.locator("#all thead button").nth(4).click()
    assert results() == sorted(before, reverse=True)

    # a line unfolds and folds, by mouse and by keys; sorting folds it
    first = tab.locator("#all tr[data-run]").first
    first.click()
    assert "maml-bench reproduce results/runs/quick/" in tab.locator("tr.details").inner_text()
    button = first.locator("button")
    assert button.get_attribute("aria-expanded") == "true"
    button.press("Enter")
    assert button.get_attribute("aria-expanded") == "false"
    assert tab.locator("tr.details").count() == 0

    tab.fill("#filter", "cub second")
    assert tab.locator("#all tr[data-run]:visible").count() == 1
    assert tab.locator("#shown").inner_text() == "1 lines"
    tab.locator("#all tr[data-run]:visible").click()
    assert HOSTILE in tab.locator("tr.details").inner_text()

    assert tab.title() == "Is second-order MAML worth its price?"
    assert tab.locator("img, b").count() == 0
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def test_numbers_of_any_length_and_sign_are_sorted_as_numbers(shown):
    tab, said, _ = shown
    for texts in (
        ["97.68 ± 0.04 %", "97.9 ± 0.1 %", "99.48 %", "-"],
        ["-10.0 ± 1", "−2.0 ± 1", "+.4", "5.0"],
        ["5-way 1-shot", "5-way 10-shot", "20-way 1-shot"],
    ):
        ordered = tab.evaluate("(all) => all.sort((a, b) => compare(a, b, false))", texts[::-1])
        assert ordered == texts
    assert said == []


@pytest.mark.parametrize("width", [380, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_screen_and_can_be_read(shown, width, scheme):
    tab, said, _ = shown
    tab.set_viewport_size({"width": width, "height": 900})
    tab.emulate_media(color_scheme=scheme)
    tab.locator("#all tr[data-run]").first.click()
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    # nothing that stands outside a table that scrolls by itself is wider than the page
    wide = tab.evaluate(
        """[...document.querySelectorAll("body *")].filter(
            (e) => !e.closest(".wide") && e.getBoundingClientRect().right > innerWidth + 1
        ).map((e) => e.outerHTML.slice(0, 80))"""
    )
    assert wide == []
    light = tab.evaluate(
        """(() => {
            const luminance = (text) => {
                const [r, g, b] = text.match(/\\d+/g).map(Number).map((v) => v / 255);
                return 0.2126 * r ** 2.2 + 0.7152 * g ** 2.2 + 0.0722 * b ** 2.2;
            };
            const paper = luminance(getComputedStyle(document.body).backgroundColor);
            return ["h1", "figure svg text", ".caption", "td"].map((name) => {
                const style = getComputedStyle(document.querySelector(name));
                const ink = luminance(name.includes("svg") ? style.fill : style.color);
                return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
            });
        })()"""
    )
    assert min(light) > 4.5, light  # the contrast that guidelines for the web ask of text
    assert said == []
