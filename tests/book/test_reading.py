"""What readers do: search, listen, guess, switch the colours, go by keyboard, print."""

import pytest

GALLERY = "notebooks/15_gallery.html"


def opened(page, book_url, name):
    """The page at `name`; it must be there."""
    answer = page.goto(f"{book_url}/{name}", wait_until="load")
    assert answer.ok, f"{name}: {answer.status}"
    return page


def test_search_finds_beam_and_leads_to_a_page_that_has_it(page, book_url):
    opened(page, book_url, "index.html")
    page.keyboard.press("Control+k")
    page.keyboard.type("beam")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=beam**")
    first = page.locator("#search-results ul.search li a").first
    first.wait_for()
    first.click()
    page.wait_for_load_state("load")
    assert "search.html" not in page.url
    assert "beam" in page.locator("main").inner_text().lower()
    assert page.watched.problems == []


def test_every_song_of_the_gallery_has_sound_a_picture_and_five_titles(page, book_url):
    opened(page, book_url, GALLERY)
    songs = page.locator(".gallery article.song:not(.recording)")
    assert songs.count() == 24
    whole = songs.evaluate_all(
        "songs => songs.map((song) => [song.querySelectorAll('audio[controls]').length,"
        " song.querySelectorAll('img[alt]').length > 0,"
        " song.querySelectorAll('details.reveal > summary').length])"
    )
    assert whole == [[1, True, 1]] * 24


def test_the_gallery_plays(page, book_url):
    opened(page, book_url, GALLERY)
    position = page.locator(".gallery audio").first.evaluate(
        """async (audio) => {
          audio.muted = true;
          await audio.play();
          for (let i = 0; i < 50 && audio.currentTime < 0.2; i += 1) {
            await new Promise((done) => setTimeout(done, 100));
          }
          return audio.currentTime;
        }"""
    )
    assert position >= 0.2
    assert page.watched.problems == []


@pytest.mark.parametrize("how", ["click", "keyboard"])
def test_the_true_title_appears_when_asked_for(page, book_url, how):
    opened(page, book_url, GALLERY)
    box = page.locator(".gallery details.reveal").first
    summary = box.locator("summary")
    answer = box.locator(":scope > :not(summary)").first
    assert not answer.is_visible()
    if how == "click":
        summary.click()
    else:
        summary.focus()
        page.keyboard.press("Enter")
    assert answer.is_visible()
    assert answer.inner_text().strip()


def test_the_theme_switch_changes_the_figures(page, book_url):
    opened(page, book_url, "notebooks/04_search.html")
    light = page.locator("main img.only-light")
    dark = page.locator("main img.only-dark")
    assert light.count() == dark.count() > 0

    def shown(pictures):
        # By style, not by size: a picture below the fold has none before it is needed.
        return pictures.evaluate_all("all => all.map((p) => getComputedStyle(p).display != 'none')")

    switch = page.locator(".theme-switch-button:visible").first
    for theme in ("light", "dark"):
        for _ in range(3):  # automatic, light, dark
            if page.locator("html").get_attribute("data-theme") != theme:
                switch.click()
        assert set(shown(light)) == {theme == "light"}
        assert set(shown(dark)) == {theme == "dark"}


# What has the focus, and whether one can see that it has.
FOCUSED = """() => {
  const node = document.activeElement;
  if (!node || node === document.body) return null;
  const look = (element) => {
    const style = getComputedStyle(element);
    return [style.outlineStyle, style.outlineWidth, style.outlineColor, style.boxShadow,
            style.borderColor, style.backgroundColor, style.textDecorationLine].join("|");
  };
  const focused = look(node);
  const box = node.getBoundingClientRect();
  node.blur();
  const plain = look(node);
  node.focus();
  return {
    name: (node.getAttribute("aria-label") || node.textContent || node.title || "").trim(),
    tag: node.tagName.toLowerCase(), kind: node.className, seen: focused !== plain,
    inside: box.width > 0 && box.height > 0, href: node.getAttribute("href"),
    main: Boolean(node.closest("main")), nav: Boolean(node.closest("nav")),
  };
}"""


def tour(page, most=600):
    """All stops of the Tab key from the top of a page."""
    stops = []
    for _ in range(most):
        page.keyboard.press("Tab")
        stop = page.evaluate(FOCUSED)
        if stop is None:
            break
        stops.append(stop)
    return stops


@pytest.mark.parametrize(
    "where",
    ["11_forensics.html#tab-forensics", "04_search.html#tab-lengths", "03_training.html#fig-6"],
)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_link_into_a_page_lands_where_it_says(browser, book_url, theme, where):
    """A dark figure came when it was looked at, and pushed away what was linked to."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=theme)
    page = context.new_page()
    page.goto(f"{book_url}/notebooks/{where}", wait_until="load")
    top = "(id) => document.getElementById(id).getBoundingClientRect().top"
    name, tops = where.split("#")[1], [9e9, 0.0]
    while tops[-1] != tops[-2]:  # the theme scrolls smoothly
        page.wait_for_timeout(400)
        tops.append(page.evaluate(top, name))
        assert len(tops) < 40
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    assert 0 <= tops[-1] < 200, tops
    context.close()


def test_the_record_of_a_figure_is_two_clicks_away(page, book_url):
    page.goto(f"{book_url}/notebooks/04_search.html")
    badge = page.locator("#provenance")
    assert badge.get_attribute("open") is None
    page.locator(".figure-links a", has_text="record").first.click()
    page.wait_for_timeout(100)
    assert badge.get_attribute("open") is not None
    with page.expect_response("**/records/**") as answer:
        badge.locator("a", has_text="scores").first.click()
    assert answer.value.ok
    assert answer.value.json()["stage"] == "scores"


def test_the_keyboard_reaches_all_that_the_mouse_does_and_shows_where_it_is(page, book_url):
    opened(page, book_url, "notebooks/14_scoreboard.html")
    page.wait_for_load_state("networkidle")
    stops = tour(page)
    assert stops[0]["name"] == "Skip to main content"
    kinds = {word for stop in stops for word in stop["kind"].split()}
    assert "theme-switch-button" in kinds
    assert "search-button__button" in kinds
    assert any(stop["nav"] and stop["tag"] == "a" for stop in stops)
    wanted = page.locator("main th button:visible").count()
    assert sum(stop["tag"] == "button" and "sort" in stop["kind"] for stop in stops) == wanted > 0
    folds = page.locator("main summary:visible").count()
    assert sum(stop["tag"] == "summary" and stop["main"] for stop in stops) == folds > 0
    unseen = {(stop["tag"], stop["kind"], stop["name"][:40]) for stop in stops if not stop["seen"]}
    assert unseen == set()
    assert {stop["name"][:40] for stop in stops if not stop["inside"]} == set()


def test_the_skip_link_leads_past_the_navigation(page, book_url):
    opened(page, book_url, "notebooks/04_search.html")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    stop = page.evaluate(FOCUSED)
    assert stop["main"]
    assert not stop["nav"]


def test_tables_are_sorted_by_keyboard(page, book_url):
    opened(page, book_url, "notebooks/14_scoreboard.html")
    button = page.locator("main th button").first
    button.focus()
    head = button.locator("xpath=ancestor::th")
    for direction in ("ascending", "descending"):
        page.keyboard.press("Enter")
        assert head.get_attribute("aria-sort") == direction


def test_a_phone_reaches_the_contents_through_the_menu(phone, book_url):
    opened(phone, book_url, "index.html")
    link = phone.locator("nav.bd-docs-nav a", has_text="Search").first
    assert not link.is_visible()
    phone.locator("button.primary-toggle").first.tap()
    link = phone.locator("#pst-primary-sidebar-modal a", has_text="Search").first
    link.wait_for(state="visible")
    link.tap()
    phone.wait_for_url("**/04_search.html")


def test_on_paper_there_is_no_navigation_and_nothing_that_matters_stays_folded(page, book_url):
    opened(page, book_url, "notebooks/04_search.html")
    page.emulate_media(media="print")
    for gone in ("nav.bd-docs-nav", ".bd-header-article", ".bd-sidebar-secondary",
                 ".prev-next-area", "button.copybtn", ".theme-switch-button"):  # fmt: skip
        assert not any(part.is_visible() for part in page.locator(gone).all()), gone
    solutions = page.locator(".solution.dropdown p:not(.admonition-title)").all()
    assert solutions
    assert all(part.is_visible() for part in solutions)
    code = page.locator("details.hide .highlight")
    assert code.count()
    assert not any(part.is_visible() for part in code.all())


def test_on_paper_the_true_titles_stand_in_a_key_after_the_songs(page, book_url):
    opened(page, book_url, GALLERY)
    key = page.locator(".gallery-key").first
    assert not key.is_visible()
    page.emulate_media(media="print")
    answers = key.locator("li")
    assert answers.count() == page.locator(".gallery article.song:not(.recording)").count()
    assert all(answer.is_visible() for answer in answers.all())
    for gone in (".gallery details.reveal", ".gallery audio"):
        assert not any(part.is_visible() for part in page.locator(gone).all())


def test_paper_is_light_even_when_the_screen_is_dark(page, book_url):
    page.add_init_script("localStorage.setItem('mode','dark');localStorage.setItem('theme','dark')")
    opened(page, book_url, "notebooks/04_search.html")
    page.emulate_media(media="print")
    colours = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    dark, light = (
        sum(map(int, c[c.index("(") + 1 : -1].split(",")[:3])) for c in reversed(colours)
    )
    assert dark < 200
    assert light > 700
    assert not any(img.is_visible() for img in page.locator("main img.only-dark").all())
    assert all(img.is_visible() for img in page.locator("main img.only-light").all())
