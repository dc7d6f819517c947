"""What is asked of every page: it fits, nothing complains, and anybody can use it."""

from dataclasses import dataclass
from typing import Any

from axe_playwright_python.sync_playwright import Axe

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
#: The rules of these that read colours, for as long as all others. Those find the same in both colour schemes.
COLOURS = ["color-contrast", "link-in-text-block"]
#: Width, and the colour scheme in which all rules are checked; in the other one those that read colours.
SCREENS = [(1280, "dark"), (390, "light")]
OTHER = {"light": "dark", "dark": "light"}

# Only what is wrong is sent here, and without a selector of each node: that took as long as half of the rules. None of
# these rules reads the style sheets, which axe would fetch and parse each time.
_RUN = """
async ([where, options]) => {
  if (where && !where.length) return [];
  const less = {resultTypes: ["violations"], selectors: false, preload: {assets: ["media"]}};
  const {violations} = await axe.run(where ?? document, {...options, ...less});
  return violations.map(({id, help, nodes}) => [id, help, ...nodes.slice(0, 3).map(node => node.html.slice(0, 160))]);
}
"""

# The elements whose colours, or what decides how they are judged, are not those of the first screen in this scheme.
# Null on the first screen: all of them. What is within one of them is checked with it.
_RECOLOURED = """
(scheme) => {
  const READ = ["color", "backgroundColor", "backgroundImage", "opacity", "visibility", "textShadow",
    "textDecorationLine", "borderBottomStyle", "fontStyle", "fontWeight"];
  // Less contrast is enough for text of this size, in pixels.
  const isLarge = style => parseFloat(style.fontSize) >= (style.fontWeight >= 700 ? 18.6 : 24);
  const all = [...document.querySelectorAll("body, body *")], firsts = window.firstColours ??= {};
  const colours = new Map(all.map(element => {
    const style = getComputedStyle(element);
    return [element, [style.display === "none", isLarge(style), ...READ.map(name => style[name])].join()];
  }));
  if (!(scheme in firsts)) {
    firsts[scheme] = colours;
    return null;
  }
  const other = new Set(all.filter(element => firsts[scheme].get(element) !== colours.get(element)));
  return [...other].filter(element => !other.has(element.parentElement));
}
"""


def violations(page):
    """What axe finds wrong with the page."""
    return _violations(page, {"runOnly": {"type": "tag", "values": RULES}})


def _violations(page, options, where=None):
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    return [": ".join(violation) for violation in page.evaluate(_RUN, [where, options])]


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
            for either in (scheme, OTHER[scheme]):
                self.see(width, either)
                wrong = self.wrong_colours(either) + (self.wrong_otherwise() if either == scheme else [])
                found += [f"{width} px, {either}: {what}" for what in wrong]
        assert not found, "\n".join(found)

    def see(self, width, scheme):
        """The page is on such a screen from now on."""
        self.page.set_viewport_size({"width": width, "height": 844})
        self.page.emulate_media(color_scheme=scheme)

    def too_wide(self, width):
        wide = self.page.evaluate("document.documentElement.scrollWidth")
        return [f"{wide} px wide on {width} px"] if wide > width else []

    def wrong_otherwise(self):
        """What is wrong with the page but for its colours."""
        rules = {name: {"enabled": False} for name in COLOURS}
        return _violations(self.page, {"runOnly": {"type": "tag", "values": RULES}, "rules": rules})

    def wrong_colours(self, scheme):
        """What is wrong with colours that were not checked yet in this scheme, on another screen."""
        recoloured = self.page.evaluate_handle(_RECOLOURED, scheme)
        return _violations(self.page, {"runOnly": {"type": "rule", "values": COLOURS}}, recoloured)
