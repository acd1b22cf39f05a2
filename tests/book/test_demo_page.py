"""Laws of the page that names songs in the reader's browser, in a real one."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile

from songtitle.book.demo import Twin
from songtitle.config import SearchConfig, preset
from songtitle.corpora.manifest import data_home
from songtitle.errors import InputError
from songtitle.experiment.inputs import clip_picture, hear
from songtitle.experiment.naming import last_captioner, name_songs
from songtitle.vocabulary import Vocabulary

MODEL = Path(__file__).parent.parent.parent / "book" / "extra" / "demo" / "model"
EXAMPLES = ("example-1.wav", "example-2.mp3", "example-3.ogg")
# Nats: a browser decodes, filters and adds up with its own code, and the captioner of a last epoch
# makes much of little.
NEAR = 0.05


@cache
def facts():
    return json.loads((MODEL / "model.json").read_text("utf-8"))


@cache
def in_python(path):
    """Five titles for a file: by the exported model under Python's onnxruntime."""
    config = replace(preset("quick"), seed=facts()["seed"])
    twin = Twin(*((MODEL / f"{name}.onnx").read_bytes() for name in ("picture", "word")))
    image = clip_picture(hear(path, config), path.name, config)
    settings = SearchConfig(**facts()["search"])
    found = twin.titles(image, Vocabulary(facts()["words"]), settings)
    return [(" ".join(words), log_prob) for words, log_prob in found]


@pytest.fixture
def demo(page, book_url):
    """The page, ready for a file."""
    page.goto(f"{book_url}/demo.html")
    page.wait_for_selector("#demo-file:enabled")
    return page


def titles_on(page):
    page.wait_for_function(
        "document.querySelector('#demo-titles li')"
        " || document.querySelector('#demo-status').dataset.kind === 'error'",
        timeout=60_000,
    )
    assert page.locator("#demo-status").get_attribute("data-kind") != "error"
    items = page.locator("#demo-titles li").all()
    return [(i.get_attribute("data-title"), float(i.get_attribute("data-log-prob"))) for i in items]


def refusal_on(page):
    page.wait_for_selector("#demo-status[data-kind=error]", timeout=60_000)
    return page.locator("#demo-status").inner_text()


def check_same(ours, theirs):
    assert [title for title, _ in ours] == [title for title, _ in theirs]
    np.testing.assert_allclose([p for _, p in ours], [p for _, p in theirs], atol=NEAR)


@pytest.mark.parametrize("file", EXAMPLES)
def test_the_browser_gives_the_five_titles_of_python(demo, file):
    demo.set_input_files("#demo-file", MODEL / file)
    found = titles_on(demo)
    assert len(found) == 5
    check_same(found, in_python(MODEL / file))
    assert not demo.watched.problems
    assert not demo.watched.outside


def test_the_browser_gives_the_five_titles_of_the_command_line(demo):
    try:
        here = last_captioner(data_home()).key
    except InputError:
        here = None
    if here != facts()["run"]["training"]:
        pytest.skip("the captioner of the published run is not trained here")
    for path, theirs in name_songs([MODEL / file for file in EXAMPLES]):
        demo.set_input_files("#demo-file", path)
        demo.wait_for_function(
            "name => document.querySelector('#demo-status').textContent.includes(`for ${name}`)",
            arg=path.name,
        )
        check_same(titles_on(demo), theirs)


def test_files_come_one_after_another_and_by_button_or_drop(demo):
    demo.set_input_files("#demo-file", MODEL / EXAMPLES[0])
    first = titles_on(demo)
    demo.get_by_role("button", name="Example 3").click()
    demo.wait_for_function(
        "document.querySelector('#demo-status').textContent.includes('for example-3.ogg')"
    )
    check_same(titles_on(demo), in_python(MODEL / EXAMPLES[2]))
    demo.evaluate(
        """async (name) => {
          const data = new DataTransfer();
          const file = await (await fetch(`demo/model/${name}`)).blob();
          data.items.add(new File([file], name));
          const event = new DragEvent("drop", { dataTransfer: data, cancelable: true });
          document.getElementById("demo-drop").dispatchEvent(event);
        }""",
        EXAMPLES[0],
    )
    demo.wait_for_function(
        "document.querySelector('#demo-status').textContent.includes('for example-1.wav')"
    )
    assert titles_on(demo) == first


def test_the_last_of_two_files_chosen_in_a_hurry_is_the_one_that_is_named(demo):
    demo.set_input_files("#demo-file", MODEL / EXAMPLES[0])
    demo.set_input_files("#demo-file", MODEL / EXAMPLES[1])
    check_same(titles_on(demo), in_python(MODEL / EXAMPLES[1]))
    demo.wait_for_timeout(300)
    assert "for example-2.mp3" in demo.locator("#demo-status").inner_text()


def test_the_spectrogram_has_words_that_say_what_it_shows(demo):
    demo.set_input_files("#demo-file", MODEL / EXAMPLES[0])
    titles_on(demo)
    canvas = demo.locator("#demo-spectrogram")
    assert canvas.get_attribute("aria-label").startswith("Spectrogram of example-1.wav: 12.0 s")
    # (12 * 22,050 - 512) // 256 + 1 frames of 256 bins
    assert canvas.evaluate("c => [c.width, c.height]") == [1032, 256]
    pixels = "c.getContext('2d').getImageData(0, 0, c.width, c.height).data"
    assert canvas.evaluate(f"c => new Set({pixels}).size") > 50


def test_the_page_states_what_chance_scored(demo):
    chance = facts()["chance"]
    text = demo.locator("#demo-chance").inner_text()
    assert f"{chance['score']:.4f}" in text
    assert f"{chance['chance']:.4f}" in text
    assert f"{facts()['agreement']['same_five']:,} of" in demo.locator("#demo-near").inner_text()


def silence(seconds):
    return np.zeros((round(22_050 * seconds), 1), np.float32)


@pytest.mark.parametrize(
    ("name_of_file", "content", "says"),
    [
        ("notes.txt", b"no music at all", "expected a music file"),
        ("empty.mp3", b"", "expected a music file"),
        ("<b>bold</b>.wav", b"RIFF", "<b>bold</b>.wav: expected a music file"),
        ("silent.wav", silence(2), "expected sound, got silence"),
        ("click.wav", silence(0.1), "expected at least 0.5 s"),
        ("huge.wav", b"RIFF" + bytes(51_000_000), "expected at most 50 MB"),
    ],
    ids=["text", "empty", "markup", "silence", "short", "huge"],
)
def test_what_cannot_be_named_is_refused_in_one_line(demo, tmp_path, name_of_file, content, says):
    path = tmp_path / name_of_file.replace("/", "∕")
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        soundfile.write(path, content, 22_050)
    demo.set_input_files("#demo-file", path)
    text = refusal_on(demo)
    assert says.replace("/", "∕") in text
    assert "\n" not in text
    demo.set_input_files("#demo-file", MODEL / EXAMPLES[0])  # and the next file is welcome
    demo.wait_for_selector("#demo-titles li", state="attached", timeout=60_000)


def test_a_reader_who_opens_the_file_is_told_to_serve_the_book(page, book_html):
    page.goto((book_html / "demo.html").as_uri())
    assert "Serve the book: make serve" in refusal_on(page)
    assert page.locator("#demo-file").is_disabled()
