"""What is asked of every page: it fits, nothing complains, and anybody can use it."""

from dataclasses import dataclass
from typing import Any

from axe_playwright_python.sync_playwright import Axe

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
#: Width, and the colour scheme in which colours alone are checked; all is checked in the other one.
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
    """Somebody with a browser, and what its console says in anger."""

    page: Any
    complaints: list[str]

    def check(self, address):
        """Load the page, and fail with all that is wrong with it.

        No page reads the screen in a script: what it is on another one is found by changing the screen beneath it.
        """
        self.complaints.clear()
        self.see(*SCREENS[0])
        assert self.page.goto(address).status == 200
        found = []
        for width, scheme in SCREENS:
            for either in (scheme, OTHER[scheme]):
                self.see(width, either)
                found += self.too_wide(width)
        # Before axe looks: it writes styles of its own into the page, which the policy refuses.
        found += self.complaints
        for width, scheme in SCREENS:
            self.see(width, OTHER[scheme])
            found += [f"{width} px, {OTHER[scheme]}: {what}" for what in violations(self.page)]
            self.see(width, scheme)
            found += [f"{width} px, {scheme}: {what}" for what in violations(self.page, colours_alone=True)]
        assert not found, "\n".join(found)

    def see(self, width, scheme):
        """The page is on such a screen from now on."""
        self.page.set_viewport_size({"width": width, "height": 844})
        self.page.emulate_media(color_scheme=scheme)

    def too_wide(self, width):
        wide = self.page.evaluate("document.documentElement.scrollWidth")
        return [f"{wide} px wide on {width} px"] if wide > width else []
