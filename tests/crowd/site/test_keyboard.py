"""The newer controls by keyboard alone, and pages as a screen in the dark and a phone in the light show them."""

import pytest

pytest.importorskip("starlette")
pytest.importorskip("sqlalchemy")
from ie_crowd.store.people import comments

pytestmark = pytest.mark.real

PAGES = {
    None: (
        "/results?labels=100", "/results?view=chart&x=created", "/results?text=bob", "/results/{published}",
        "/compare?id={published}&id={bobs}",
    ),
    "Bob": ("/results/{published}/comments",),
    "Boss": ("/operator/related",),
}  # fmt: skip


@pytest.mark.parametrize("who", PAGES)
@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (390, "light")])
def test_newer_pages_are_accessible(world, axe, who, width, scheme):
    page = world.person(who, viewport={"width": width, "height": 800}, color_scheme=scheme)
    found = []
    for path in PAGES[who]:
        page.goto(path.format(**world.ids))
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        page.evaluate(axe)
        for one in page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]:
            found += [f"{path} {one['id']}: {node['html'][:150]}" for node in one["nodes"][:3]]
    assert found == []


def reach(page, selector, most=150):
    """Press Tab until what has the focus fits the selector; all on the way shows that it has it."""
    for _ in range(most):
        page.keyboard.press("Tab")
        fits, seen = page.evaluate(
            "selector => { const one = document.activeElement, style = getComputedStyle(one);"
            " return [one.matches(selector), style.outlineStyle !== 'none' && one.checkVisibility()] }",
            selector,
        )
        assert seen, page.evaluate("document.activeElement.outerHTML.slice(0, 150)")
        if fits:
            return
    raise AssertionError(f"{selector} is not reached by Tab")


def test_filters_comparison_and_files_by_keyboard(world):
    page = world.person()
    page.goto("/results")
    reach(page, 'select[name="dataset"]')
    page.keyboard.press("ArrowDown")
    reach(page, "form.filters button")
    page.keyboard.press("Enter")
    page.get_by_role("list", name="Filters that are set").wait_for()
    reach(page, '[aria-label="Filters that are set"] a')
    page.keyboard.press("Enter")
    page.wait_for_url("**/results")
    for _ in range(2):
        reach(page, 'input[name="id"]')
        page.keyboard.press("Space")
    reach(page, "form[action$='/compare'] button")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="side by side").wait_for()
    page.goto("/results?view=chart")
    reach(page, 'a[href*="/charts/labels.svg"]')
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename.endswith(".svg")


def test_a_reply_and_what_is_undone_by_keyboard(world):
    rev = world.site.accounts["Rev"]
    number = comments.comment(world.engine, rev, "Which seed is it?", world.ids["published"], None)
    page = world.person("Bob")
    page.goto(f"/results/{world.ids['published']}/comments")
    reach(page, ".comment summary")
    page.keyboard.press("Enter")
    reach(page, ".comment textarea")
    page.keyboard.type("Seed 3, by keyboard.")
    reach(page, ".comment button")
    page.keyboard.press("Enter")
    page.get_by_text("A reviewer looks at your comment").wait_for()
    page = world.person("Rev")
    page.goto("/moderation?show=comments")
    reach(page, f'form[action$="/moderation/comments/{number + 1}"] button')
    page.keyboard.press("Enter")
    page.get_by_role("status").wait_for()
    reach(page, ".flash button")
    page.keyboard.press("Enter")
    page.get_by_role("status").wait_for()
    page.get_by_text("Seed 3, by keyboard.").wait_for()


def test_related_knowledge_by_keyboard(world):
    page = world.person("Boss")
    page.goto("/")
    reach(page, 'a[href$="/operator/related"]')
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Related knowledge").wait_for()
    reach(page, "#title-new")
    page.keyboard.type("A later paper, by keyboard")
    reach(page, "#url-new")
    page.keyboard.type("https://example.org/later")
    reach(page, 'form[action$="/operator/related"] button')
    page.keyboard.press("Enter")
    page.get_by_role("status").wait_for()
    added = page.locator("ol.related > li").last
    assert "A later paper, by keyboard" in added.inner_text()
    number = page.locator("ol.related > li").count()
    reach(page, f"ol.related > li:nth-child({number}) button[value=up]")
    page.keyboard.press("Enter")
    page.get_by_role("status").wait_for()
    assert "by keyboard" in page.locator("ol.related > li").nth(number - 2).inner_text()
    reach(page, f"ol.related > li:nth-child({number - 1}) summary")
    page.keyboard.press("Enter")
    reach(page, f"ol.related > li:nth-child({number - 1}) input[name=title]")
    page.keyboard.press("Control+A")
    page.keyboard.type("Renamed by keyboard")
    page.keyboard.press("Enter")
    page.get_by_role("status").wait_for()
    assert "Renamed by keyboard" in world.person().request.get("/").text()
    reach(page, f"ol.related > li:nth-child({number - 1}) button[value=remove]")
    page.keyboard.press("Enter")
    page.get_by_role("status").wait_for()
    assert "Renamed by keyboard" not in world.person().request.get("/").text()
