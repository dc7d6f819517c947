"""What is asked of every page: it fits, nothing complains, and anybody can use it."""

from dataclasses import dataclass
from typing import Any

from axe_playwright_python.sync_playwright import Axe

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
#: Width, and the colour scheme in which a page is loaded; it is checked in the other one as well.
SCREENS = [(1280, "light"), (390, "dark")]
OTHER = {"light": "dark", "dark": "light"}

# Only what is wrong is sent here: what is right is a hundred times as much, and took longer than axe itself.
_RUN = """
async (tags) => {
  const {violations} = await axe.run({runOnly: {type: "tag", values: tags}, resultTypes: ["violations"]});
  return violations.map(({id, help, nodes}) => [id, help, ...nodes.slice(0, 3).map(node => node.html.slice(0, 160))]);
}
"""


def violations(page):
    """What axe finds wrong with the page."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    return [": ".join(violation) for violation in page.evaluate(_RUN, RULES)]


@dataclass(frozen=True)
class Visitor:
    """Somebody with a browser of this width, and what its console says in anger."""

    page: Any
    complaints: list[str]
    width: int
    scheme: str

    def check(self, address):
        """Load the page, and fail with all that is wrong with it."""
        self.complaints.clear()
        self.page.emulate_media(color_scheme=self.scheme)
        assert self.page.goto(address).status == 200
        found = self.too_wide()
        self.page.emulate_media(color_scheme=OTHER[self.scheme])
        found += self.too_wide()
        # Before axe looks: it writes styles of its own into the page, which the policy refuses.
        found += self.complaints
        found += violations(self.page)
        self.page.emulate_media(color_scheme=self.scheme)
        found += violations(self.page)
        assert not found, "\n".join(found)

    def too_wide(self):
        wide = self.page.evaluate("document.documentElement.scrollWidth")
        return [f"{wide} px wide"] if wide > self.width else []
