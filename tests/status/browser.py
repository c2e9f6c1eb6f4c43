"""A headless Chromium for tests, and what a careful eye looks for on a page."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

DESKTOP, PHONE = (1280, 800), (360, 740)

LACKS = """
const faults = [];
const visible = (e) => e.checkVisibility({checkOpacity: true, checkVisibilityCSS: true});
const nameOf = (e) => (e.getAttribute("aria-label") || e.labels?.[0]?.textContent || e.textContent || "").trim();
for (const e of document.querySelectorAll("button, a[href], input, summary, [role=img]"))
  if (visible(e) && !nameOf(e)) faults.push(`no name: ${e.outerHTML.slice(0, 80)}`);
const names = [...document.querySelectorAll("button")].filter(visible).map(nameOf);
for (const name of names) if (names.indexOf(name) !== names.lastIndexOf(name)) faults.push(`two buttons: ${name}`);
const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push(`id twice: ${id}`);
for (const e of document.querySelectorAll("[aria-labelledby], [aria-describedby]"))
  for (const id of (e.getAttribute("aria-labelledby") || e.getAttribute("aria-describedby")).split(" "))
    if (!document.getElementById(id)) faults.push(`refers to nothing: ${id}`);
let level = 0;
for (const e of document.querySelectorAll("h1, h2, h3, h4")) {
  const next = Number(e.localName[1]);
  if (next > level + 1) faults.push(`heading skips a level: ${e.textContent}`);
  level = next;
}
if (document.querySelectorAll("h1").length !== 1) faults.push("not one h1");
if (document.querySelectorAll("main").length !== 1) faults.push("not one main");
if (!document.documentElement.lang) faults.push("no language");
for (const t of document.querySelectorAll("table"))
  if (!t.caption || !t.querySelector("thead th[scope=col]")) faults.push("table without caption or heads");
for (const e of document.querySelectorAll("[tabindex]")) if (e.tabIndex > 0) faults.push("tabindex above 0");
for (const e of document.querySelectorAll("button, summary, input")) {
  const box = e.getBoundingClientRect();
  if (visible(e) && (box.height < 24 || box.width < 24)) faults.push(`too small to hit: ${e.outerHTML.slice(0, 80)}`);
}
return faults;
"""

PALE = """
const parse = (text) => {
  const n = text.match(/[\\d.]+/g).map(Number);
  return text.startsWith("color(") ? [n[0] * 255, n[1] * 255, n[2] * 255, n[3] ?? 1] : [n[0], n[1], n[2], n[3] ?? 1];
};
const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
const light = (c) => {
  const linear = (v) => (v <= 10.02 ? v / 3294.6 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  const [r, g, b] = c.slice(0, 3).map(linear);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (e) => {
  const layers = [];
  for (let each = e; each; each = each.parentElement) layers.unshift(parse(getComputedStyle(each).backgroundColor));
  return layers.reduce((under, top) => over(top, under), [255, 255, 255, 1]);
};
const faults = [];
for (const e of document.querySelectorAll("body *")) {
  const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.nodeValue.trim());
  if (!own || !e.checkVisibility() || e.closest(".unseen, .skip, noscript, :disabled")) continue;
  const style = getComputedStyle(e), back = ground(e), front = over(parse(style.color), back);
  const [a, b] = [light(front), light(back)].sort((x, y) => y - x);
  const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  const ratio = (a + 0.05) / (b + 0.05);
  if (ratio < (large ? 3 : 4.5)) faults.push(`${ratio.toFixed(2)}: ${e.textContent.trim().slice(0, 40)}`);
}
return faults;
"""


class Browser:
    """A Chromium window on one page."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        """Open a page."""
        self.driver.get(url)

    def size(self, width: int, height: int, *, phone: bool = False) -> None:
        """Set the size of the view, as a desktop or as a phone has it."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def dark(self, *, dark: bool) -> None:
        """Prefer dark or light colours."""
        value = {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", value)

    def forget_cookies(self) -> None:
        """Delete the cookies of every site: those of one port are sent to another too."""
        self.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})

    def text(self, selector: str) -> str:
        """Return the visible text of the first element."""
        return self.driver.find_element(By.CSS_SELECTOR, selector).text

    def shows(self, selector: str, words: str) -> bool:
        """Say whether the first element's text has these words; False while one page gives way to the next."""
        try:
            return words in self.text(selector)
        except (NoSuchElementException, StaleElementReferenceException):
            return False

    def count(self, selector: str) -> int:
        """Return how many elements there are."""
        return len(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def click(self, selector: str) -> None:
        """Click the first element."""
        self.driver.find_element(By.CSS_SELECTOR, selector).click()

    def type(self, selector: str, text: str) -> None:
        """Type into the first element."""
        self.driver.find_element(By.CSS_SELECTOR, selector).send_keys(text)

    def run(self, script: str) -> Any:
        """Run a script in the page and return what it returns."""
        return self.driver.execute_script(script)

    def lacks(self) -> list[str]:
        """Return what somebody with a keyboard or a screen reader would miss."""
        return cast("list[str]", self.run(LACKS))

    def pale(self) -> list[str]:
        """Return the texts whose contrast is below WCAG 2.2 AA (1.4.3)."""
        return cast("list[str]", self.run(PALE))

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the view."""
        return int(self.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def complaints(self) -> list[str]:
        """Return what the browser itself complained of: errors of scripts, refused styles, failed loads."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call] # Selenium annotates in part


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a headless Chromium for the length of a with block."""
    options = Options()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", json.loads('{"browser": "ALL"}'))
    driver = Chrome(options=options, service=Service(shutil.which("chromedriver") or ""))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
