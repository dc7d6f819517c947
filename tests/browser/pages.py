"""What is asked of every page: it fits, nothing complains, and anybody can use it."""

from axe_playwright_python.sync_playwright import Axe

from tests.browser.people import come_in

RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
}
#: Width and colour scheme.
SCREENS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]


def check(browser, live_server, user, addresses, screen):
    """Load these pages as this user, and fail with all that is wrong with any of them."""
    width, scheme = screen
    context = browser.new_context(
        base_url=live_server.url, viewport={"width": width, "height": 844}, color_scheme=scheme
    )
    come_in(context, live_server, user)
    page = context.new_page()
    said = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    axe = Axe()
    found = []
    for url in addresses:
        said.clear()
        assert page.goto(url).status == 200, url
        # Before axe looks: it writes styles of its own into the page, which the policy refuses.
        found.extend(f"{url}: {complaint}" for complaint in said)
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            found.append(f"{url}: {wide} px wide")
        for violation in axe.run(page, options=RULES).response["violations"]:
            nodes = [node["html"][:160] for node in violation["nodes"][:3]]
            found.append(f"{url}: {violation['id']}: {violation['help']}: {nodes}")
    context.close()
    assert not found, "\n".join(found)
