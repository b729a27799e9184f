"""Whether what the studio writes can be read: WCAG 2.2's contrast, in both colour schemes."""

from typing import Final

import pytest
from playwright.sync_api import expect

from tests.e2e.windows import Window, Windows

# Of every visible text on a ground of one colour: its contrast with that, by WCAG's relative luminance.
CONTRASTS: Final = """() => {
  const canvas = Object.assign(document.createElement("canvas"), {width: 1, height: 1});
  const context = canvas.getContext("2d", {willReadFrequently: true});
  const rgba = (colour) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (rgb) => rgb.slice(0, 3).map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const groundOf = (node) => {
    for (let at = node; at; at = at.parentElement) {
      if (getComputedStyle(at).backgroundImage !== "none" || at.matches("[id=stage]")) return null;
      const ground = rgba(getComputedStyle(at).backgroundColor);
      if (ground[3] === 255) return ground;
      if (ground[3]) return null;
    }
    return null;
  };
  const own = (node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
  const faint = (node) => node.closest("button:disabled, .unseen") || getComputedStyle(node).clipPath !== "none";
  const found = [];
  for (const node of document.querySelectorAll("body *")) {
    const seen = node.checkVisibility({opacityProperty: true, visibilityProperty: true});
    const ground = seen && own(node) && !faint(node) && groundOf(node);
    if (!ground) continue;
    const [one, other] = [luminance(rgba(getComputedStyle(node).color)), luminance(ground)];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    found.push([node.textContent.trim().slice(0, 40), contrast]);
  }
  return found;
}"""


def can_be_read(window: Window) -> None:
    found = window.page.evaluate(CONTRASTS)
    assert len(found) >= 5
    assert [(text, round(contrast, 2)) for text, contrast in found if contrast < 4.5] == []


@pytest.mark.parametrize("dark", [False, True])
def test_everything_can_be_read(windows: Windows, dark: bool) -> None:
    host = windows.open(dark=dark, width=1440, height=900)
    expect(host.button("Sign in")).to_be_visible()
    can_be_read(host)
    host.sign_in("alice", "Seller")
    can_be_read(host)
    link = host.create("To be read")
    host.click("Start session")
    host.headline_is("You are live")
    viewer = windows.open(link, dark=dark)
    viewer.sign_in("bob", "Viewer")
    viewer.say("Hello")
    viewer.say("\N{ZERO WIDTH SPACE}")
    host.sees("Hello")
    can_be_read(host)
    can_be_read(viewer)
    host.page.get_by_role("button", name="bob").click()
    can_be_read(host)
    host.click("Close")
    host.click("Connection details")
    host.click("Offline for 10 s")
    host.connection_is("Offline")
    can_be_read(host)
