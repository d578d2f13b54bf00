"""What a visitor, a contributor, a reviewer and an operator do, in a real browser."""

import json

import pytest

pytest.importorskip("starlette")
pytest.importorskip("sqlalchemy")
from ie_crowd.store import audit, query

pytestmark = pytest.mark.real

SHARED = (
    "/", "/results", "/results?view=chart", "/ranking", "/challenge", "/checklists", "/formats", "/initiatives",
    "/take-part", "/comments", "/api", "/login", "/no/such/page", "/results?dataset=none", "/report",
)  # fmt: skip
RESULT = ("/results/{published}", "/results/{bobs}/comments", "/compare?a={published}&b={bobs}")
OF_ROLES = {
    None: SHARED + RESULT,
    "Ada": ("/account", "/results/{bobs}/comments", "/results/{published}/withdraw", "/results/{quarantined}"),
    "Rev": (
        "/moderation", "/moderation?show=quarantined", "/moderation?show=comments", "/moderation?show=objections",
        "/moderation?show=reports", "/moderation?show=agreements", "/moderation/refused", "/moderation/results/{valid}",
        "/moderation/results/{published}", "/results/{published}",
        "/moderation/results/{quarantined}?item=acm-badges/archive",
    ),
    "Boss": ("/operator/accounts", "/operator/log", "/results/{bobs}/withdraw", "/results/{bobs}"),
}  # fmt: skip


def there(world, path):
    return path.format(**world.ids)


# First, before the others change anything


@pytest.mark.parametrize("who", OF_ROLES)
def test_every_page_is_accessible_in_light_and_dark(world, axe, who):
    page = world.person(who)
    found = []
    for path in OF_ROLES[who]:
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        page.goto(there(world, path))
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        page.evaluate(axe)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            only = "" if scheme == "light" else ", runOnly: ['color-contrast', 'link-in-text-block']"
            for one in page.evaluate(f"axe.run(document, {{resultTypes: ['violations']{only}}})")["violations"]:
                found += [f"{path} {scheme} {one['id']}: {node['html'][:150]}" for node in one["nodes"][:3]]
    assert found == []


@pytest.mark.parametrize("who", OF_ROLES)
def test_no_page_scrolls_sideways_on_a_phone(world, who):
    page = world.person(who, viewport={"width": 390, "height": 780}, has_touch=True)
    wide = []
    for path in OF_ROLES[who]:
        page.goto(there(world, path))
        for width in (390, 320):
            page.set_viewport_size({"width": width, "height": 780})
            over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            if over > 0:
                wide.append((path, width, over))
    assert wide == []


def test_the_ranking_is_cards_on_a_phone_and_each_number_says_what_it_is(world):
    page = world.person(viewport={"width": 390, "height": 780})
    page.goto("/ranking")
    assert page.locator("table.ranks thead").bounding_box()["height"] <= 1, "no heap of headings"
    card = page.locator("table.ranks tbody tr").first
    mean, who = card.locator("td.first").bounding_box(), card.locator("th").bounding_box()
    assert mean["y"] < who["y"], "the number comes first"
    bare = card.locator("td").evaluate_all(
        "them => them.filter(one => one.innerText.trim() && !one.dataset.label).map(one => one.outerHTML)"
    )
    assert bare == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_list_of_results_fits_a_screen_and_is_cards_on_a_phone(world, scheme):
    page = world.person(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    page.goto("/results")
    table = page.locator(".scroll:has(table.results)")
    assert table.evaluate("one => one.scrollWidth - one.clientWidth") <= 0
    page.set_viewport_size({"width": 390, "height": 780})
    card = page.locator("table.results tbody tr").first
    metric, task = card.locator("td.first").bounding_box(), card.locator("th").bounding_box()
    assert metric["y"] < task["y"], "the metric comes first"
    assert card.locator("td.first").inner_text().strip() not in ("", "–")
    assert card.bounding_box()["width"] <= 390


def test_the_first_screen_answers_whether_the_paper_holds(world):
    for width, height in ((1280, 900), (390, 780)):
        page = world.person(viewport={"width": width, "height": height})
        page.goto("/")
        answer = page.locator(".verdict").bounding_box()
        assert answer["y"] + answer["height"] < height, "without scrolling"


# A visitor


def test_a_visitor_finds_filters_sorts_compares_and_downloads(world):
    page = world.person()
    page.goto("/")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Results").click()
    rows = page.locator("table.results tbody tr")
    before = rows.count()
    assert before >= 2
    page.get_by_role("combobox", name="Submitter").fill("Bob")
    page.get_by_role("search").get_by_role("button").first.click()
    assert rows.count() == 1
    assert "submitter=Bob" in page.url
    page.goto("/results")
    page.locator("table.results thead th.number a").filter(has_text="mae").first.click()
    sorted_first = rows.first.inner_text()
    page.locator("table.results thead th.number a").filter(has_text="mae").first.click()
    assert rows.first.inner_text() != sorted_first
    for row in rows.all()[:2]:
        row.get_by_role("checkbox").check()
    page.get_by_role("button", name="Compare", exact=True).click()
    page.get_by_role("heading", name="Two results side by side").wait_for()
    page.goto("/results?view=chart")
    assert page.locator("svg.chart").count() >= 1
    page.goto(there(world, "/results/{bobs}"))
    with page.expect_download() as caught:
        page.get_by_role("link", name="result.json", exact=True).click()
    assert json.loads(caught.value.path().read_bytes())["id"] == world.ids["bobs"]
    page.goto("/ranking")
    assert page.get_by_text("Bob").count() >= 1


def test_a_visitor_with_a_keyboard_only(world):
    page = world.person()
    page.goto("/results")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    for _ in range(60):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            "(() => { const one = document.activeElement, style = getComputedStyle(one);"
            " return [one.getAttribute('href') || '', style.outlineStyle !== 'none' && one.checkVisibility()] })()"
        )
        assert seen[1], seen
        if "/results/" in seen[0]:
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/results/*")
    page.goto("/login?next=/comments")
    page.get_by_label("Name").focus()
    page.keyboard.type("Bob")
    page.keyboard.press("Tab")
    page.keyboard.type(world.tokens["Bob"])
    page.keyboard.press("Enter")
    page.get_by_text("You are logged in.").wait_for()
    assert page.url.endswith("/comments")
    page.get_by_label("Comment", exact=True).focus()
    page.keyboard.type("By keyboard.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_text("A reviewer looks at your comment").wait_for()


def test_a_visitor_without_scripts(world):
    page = world.person(java_script_enabled=False)
    page.goto("/results")
    page.get_by_label("Division").select_option("closed")
    page.get_by_role("search").get_by_role("button").first.click()
    assert "division=closed" in page.url
    world.log_in(page, "Ada")
    page.goto(there(world, "/results/{bobs}/comments"))
    page.get_by_label("Comment", exact=True).fill("No script was needed.")
    page.get_by_role("button", name="Preview").click()
    assert page.get_by_label("Preview").get_by_text("No script was needed.").is_visible()
    page.get_by_role("button", name="Send").click()
    assert page.get_by_text("A reviewer looks at your comment").is_visible()
    page.get_by_role("button", name="Log out").click()
    assert page.get_by_text("You are logged out.").is_visible()


def test_what_people_write_never_runs(world):
    page = world.person("Rev")
    page.goto("/comments")
    attack = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>\u202egnp.exe \u200b"
    page.get_by_label("Comment", exact=True).fill(attack)
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Your comment is shown.").wait_for()
    assert page.title() != "run"
    assert page.locator(".comment img, .comment script").count() == 0
    assert "<script>" in page.locator(".comment > p").last.inner_text()
    assert "\u202e" not in page.content()


# A contributor, a reviewer, an operator


def test_a_contributor_comments_sees_reasons_and_withdraws(world):
    page = world.person()
    page.goto("/account")
    assert page.url.endswith("/login?next=/account")
    page.get_by_label("Name").fill("Ada")
    page.get_by_label("Token").fill("iecrowd_" + "x" * 43)
    page.get_by_role("main").get_by_role("button", name="Log in").click()
    assert page.get_by_role("alert").inner_text().endswith("or the token has ended.")
    assert page.get_by_label("Name").input_value() == "Ada"
    page.get_by_label("Token").fill(world.tokens["Ada"])
    page.get_by_role("main").get_by_role("button", name="Log in").click()
    page.get_by_text("You are logged in.").wait_for()
    assert page.url.endswith("/account")
    row = page.locator("tbody tr").filter(has_text=world.ids["quarantined"][:10])
    assert "holds the raw values of result" in row.inner_text()
    row.get_by_role("link", name="Withdraw").click()
    page.get_by_label("Reason").fill("   ")
    page.get_by_role("button", name="Withdraw for good").click()
    field = page.get_by_label("Reason")
    assert field.get_attribute("aria-invalid") == "true"
    assert field.get_attribute("aria-describedby").split()[-1] == "why-error"
    field.fill("sent by mistake")
    page.get_by_role("button", name="Withdraw for good").click()
    page.get_by_text("The result is withdrawn.").wait_for()
    page.reload()
    assert page.get_by_text("The result is withdrawn.").count() == 0
    page.goto(there(world, "/results/{quarantined}"))
    assert page.get_by_text("sent by mistake").is_visible()


def test_a_reviewer_publishes_quarantines_signs_and_decides(world):
    page = world.person("Rev")
    page.goto("/moderation")
    page.get_by_role("button", name=f"Publish {world.ids['valid'][:10]}").click()
    page.get_by_text("The result is published.", exact=True).wait_for()
    assert query.one(world.engine, world.ids["valid"])["state"] == "published"
    page.goto(there(world, "/moderation/results/{valid}"))
    page.get_by_label("Item").select_option("acm-badges/archive")
    page.get_by_role("radio", name="pass").check()
    page.get_by_label("Note").last.fill("the archive has it")
    page.get_by_role("button", name="Sign", exact=True).click()
    page.get_by_text("Your signature is kept.", exact=True).wait_for()
    page.goto(there(world, "/results/{valid}"))
    assert "the archive has it" in page.content()
    page.goto(there(world, "/moderation/results/{valid}"))
    page.get_by_label("Reason").first.fill("a second look")
    page.get_by_role("button", name="Quarantine", exact=True).click()
    page.get_by_text("The result is quarantined.", exact=True).wait_for()
    page.goto("/moderation?show=comments")
    page.get_by_role("button", name=f"Show comment {world.site.found['comment']}", exact=True).click()
    page.get_by_text("The comment is shown.", exact=True).wait_for()
    page.goto("/moderation?show=objections")
    page.get_by_label("Grounds of the decision").first.fill("the log shows no such thing")
    page.get_by_role("button", name="Dismiss").first.click()
    page.get_by_text("The objection is dismissed.", exact=True).wait_for()


def test_an_operator_makes_an_account_and_reads_the_log(world):
    page = world.person("Boss")
    page.goto("/operator/accounts")
    page.get_by_label("Name").fill("АDA")
    page.get_by_role("button", name="Make the account").click()
    assert "mixes scripts" in page.locator("#name-error").inner_text()
    assert page.get_by_label("Name").input_value() == "АDA"
    page.get_by_label("Name").fill("Zoe")
    page.get_by_label("Role", exact=True).select_option("reviewer")
    page.get_by_role("button", name="Make the account").click()
    token = page.locator("pre.token").inner_text().strip()
    assert token.startswith("iecrowd_")
    world.tokens["Zoe"] = token
    zoe = world.person("Zoe")
    zoe.goto("/moderation")
    assert zoe.get_by_role("heading", name="Moderation").is_visible()
    page.get_by_role("link", name="I have copied it").click()
    row = page.locator("tbody tr").filter(has_text="Zoe")
    row.get_by_text("Change Zoe").click()
    row.get_by_role("button", name="Disable the account").click()
    page.get_by_text("The account is disabled").wait_for()
    zoe.goto("/moderation")
    assert "/login" in zoe.url
    page.get_by_role("link", name="Log", exact=True).click()
    shown = page.locator("tbody").inner_text()
    assert "account added" in shown
    assert token not in page.content()
    assert audit.read(world.engine, subject="Zoe")[-1]["actor"] == "Boss"
