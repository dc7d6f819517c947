"""What is asked of every page: it fits, nothing complains, and anybody can use it."""

from dataclasses import dataclass
from typing import Any

from axe_playwright_python.sync_playwright import Axe

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
#: Width, and the colour scheme in which a page is loaded; it is checked in the other one as well.
SCREENS = [(1280, "light"), (390, "dark")]
OTHER = {"light": "dark", "dark": "light"}

#: The rules of these that read colours. All others find the same in both schemes.
COLOURS = ["color-contrast", "link-in-text-block"]

# Only what is wrong is sent here, and without a selector of each node: that took as long as half of the rules.
_RUN = """
async (only) => {
  const {violations} = await axe.run({runOnly: only, resultTypes: ["violations"], selectors: false});
  return violations.map(({id, help, nodes}) => [id, help, ...nodes.slice(0, 3).map(node => node.html.slice(0, 160))]);
}
"""


def violations(page, *, colours_alone=False):
    """What axe finds wrong with the page."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    only = {"type": "rule", "values": COLOURS} if colours_alone else {"type": "tag", "values": RULES}
    return [": ".join(violation) for violation in page.evaluate(_RUN, only)]


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
        found += violations(self.page, colours_alone=True)
        assert not found, "\n".join(found)

    def too_wide(self):
        wide = self.page.evaluate("document.documentElement.scrollWidth")
        return [f"{wide} px wide"] if wide > self.width else []
