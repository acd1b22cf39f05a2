"""Every page by itself: it loads in peace, fits a phone, and is there at once."""

import statistics

PICTURES = """() => {
  const short = (faulty) => faulty.map((img) => img.outerHTML.slice(0, 160));
  const all = Array.from(document.images);
  return { broken: short(all.filter((img) => img.complete && !img.naturalWidth)),
           unnamed: short(all.filter((img) => !img.hasAttribute("alt"))) };
}"""


def test_a_page_loads_in_peace_and_asks_nobody_else(page, book_url, name):
    page.goto(f"{book_url}/{name}", wait_until="load")
    page.evaluate("document.querySelectorAll('img').forEach((img) => { img.loading = 'eager'; })")
    page.wait_for_timeout(300)  # what scripts do after the page has come
    headings = [heading for heading in page.locator("h1").all() if heading.is_visible()]
    assert [bool(heading.inner_text().strip(" #\n")) for heading in headings] == [True]
    assert page.title()
    assert page.evaluate(PICTURES) == {"broken": [], "unnamed": []}
    assert page.watched.problems == []
    assert page.watched.outside == []


# What stands further right than the window and is not inside something that scrolls by itself.
TOO_WIDE = """() => {
  const scrolls = (node) => {
    for (let box = node.parentElement; box; box = box.parentElement) {
      if (["auto", "scroll", "hidden", "clip"].includes(getComputedStyle(box).overflowX) &&
          box !== document.body && box !== document.documentElement) return true;
    }
    return false;
  };
  return Array.from(document.querySelectorAll("main *"))
    .filter((node) => node.getBoundingClientRect().right > innerWidth + 1 && !scrolls(node))
    .slice(0, 5).map((node) => node.outerHTML.slice(0, 160));
}"""


def test_a_page_fits_a_phone(phone, book_url, name):
    phone.goto(f"{book_url}/{name}", wait_until="load")
    wide = phone.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390, phone.evaluate(TOO_WIDE)


def test_the_first_page_is_usable_within_two_seconds(browser, book_url, record_property):
    seconds, sizes = [], []
    for _ in range(5):
        with browser.new_context() as context:  # nothing kept from the visit before
            page = context.new_page()
            page.goto(f"{book_url}/index.html", wait_until="commit")
            page.locator("article h1").first.wait_for(state="visible")
            page.locator("button.search-button__button").first.wait_for(state="visible")
            page.wait_for_load_state("load")
            timing = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
            seconds.append(page.evaluate(timing) / 1000)
            sizes.append(
                page.evaluate(
                    "performance.getEntries().reduce((n, e) => n + (e.transferSize || 0), 0)"
                )
            )
    record_property("first page, s", statistics.median(seconds))
    record_property("first page, bytes", statistics.median(sizes))
    print(f"first page: {statistics.median(seconds):.2f} s, {statistics.median(sizes):,} bytes")
    assert statistics.median(seconds) < 2
