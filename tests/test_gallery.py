"""The gallery: what is heard, seen and read on its cards is what the network got and said."""

import base64
import io
import itertools
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from sphinx.errors import ExtensionError

from songtitle.book.extension import COMMAND, first_songs
from songtitle.config import ModelConfig, preset
from songtitle.corpora import recordings, tunes
from songtitle.corpora.recordings import Recording
from songtitle.errors import InputError
from songtitle.experiment import corpora, scoring
from songtitle.experiment.gallery import (
    CHOICES,
    SECONDS,
    branches,
    draw_titles,
    gallery_songs,
    player_span,
    quiz_wins,
    source_of,
    token_log_probs,
    transcriber,
)
from songtitle.experiment.inputs import clip_picture, hear
from songtitle.experiment.listening import listening
from songtitle.experiment.naming import hypotheses
from songtitle.model.captioner import build_captioner
from songtitle.sound import page_checksum as checksum
from songtitle.sound import pages_of, with_serial
from songtitle.studies import gallery as cards
from songtitle.studies.gallery import (
    Gallery,
    card_licence,
    encode_sound,
    gallery_cards,
    gallery_facts,
    guessing,
    hypotheses_at,
    tree_table,
)
from songtitle.vocabulary import Vocabulary

HOSTILE = [
    "<script>alert(1)</script>",
    '" onerror="alert(1)',
    "it's </bdi></article> & so on",
    "שיר של לילה",
    "🎻 reel 🎶",
    "",
    "{ref}`x` $y$ **z**",
]
TUNE = "X:7\nT:Licence to Reel\nB:Book\nZ:Transcribed by A. Body <a@b.org> 1999\nK:D\nabc|\n"


def song_row(**changes):
    """A row of the gallery record."""
    row = {"place": 3, "id": "miscFolk/file/7", "clip": "c.mp3", "title": "The Reel", "number": 7}
    row |= {"tokens": ["the", "reel"], "known": ["the"], "chance": "A Jig", "answer": 1, "pick": 0}
    row |= {"listener": ["reel", "hornpipe"]}
    row |= {"beams": [[["the", "boy"], -3.25], [[], -4.0]], "seconds": [0.0, 2.0, 0.4, 1.6]}
    row |= {"choices": ["One", "The Reel", "Two", "Three"], "book": "miscFolk", "terms": []}
    return row | {"file": "miscFolk/file.abc", "transcriber": "A. Body"} | changes


class Reader(HTMLParser):
    """Text, tags and attributes of a page; refuses tags that are closed in the wrong order."""

    VOID = ("img", "input", "br")

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def every(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def shown(tiny_home):
    """The record and the cards of a tiny run."""
    patch = pytest.MonkeyPatch()
    patch.setenv("SONGTITLE_DATA", str(tiny_home))
    config = preset("tiny")
    record = gallery_songs(config)
    yield config, record, gallery_cards(record, config)
    patch.undo()


def content(address):
    return base64.b64decode(address.partition("base64,")[2])


def test_cards_are_of_distinct_test_songs_drawn_by_the_seed_with_what_the_search_found(shown):
    config, record, gallery = shown
    known = json.loads(corpora.clips(config).file("songs.json").read_text("utf-8"))
    found = hypotheses(config, "songs: spectrogram", 5).file("hypotheses.json")
    stored, songs = json.loads(found.read_text("utf-8")), record.result["songs"]
    assert len({song["id"] for song in songs}) == len(songs) == min(24, len(known))
    assert [song["place"] for song in songs] != sorted(song["place"] for song in songs)
    for song, card in zip(songs, gallery.cards, strict=True):
        for key in ("id", "tokens"):
            assert known[song["place"]][key] == song[key]
        assert song["beams"] == stored[song["place"]][0]
        for words, log_prob in song["beams"]:
            assert f"<bdi>{' '.join(words) or '(nothing)'}</bdi>" in card
            assert f"{log_prob:.1f}".replace("-", "−") in card
        assert song["choices"][song["answer"]] == song["title"]
        every = [title.casefold() for title in [song["chance"], *song["choices"]]]
        assert len(set(every)) == CHOICES + 1


def test_a_card_says_what_the_listener_makes_of_its_own_song(shown):
    config, record, gallery = shown
    says = json.loads(listening(config).file("says.json").read_text("utf-8"))
    for song, card in zip(record.result["songs"], gallery.cards, strict=True):
        words = song["listener"]
        assert words == says["songs: spectrogram"][song["place"]] != []
        heard = ", ".join(f"<bdi>{word}</bdi>" for word in words)
        assert f"A listener trained on other songs’ titles would say: {heard}" in card


def test_a_card_holds_the_very_clip_and_what_the_network_is_shown_of_its_own_song(shown):
    config, record, gallery = shown
    folder, songs = corpora.clips(config).file("clips"), record.result["songs"]
    waves = [hear(folder / song["clip"], config) for song in songs]
    inputs = [
        clip_picture(wave, song["clip"], config)[0].numpy()
        for wave, song in zip(waves, songs, strict=True)
    ]
    for place, (song, card) in enumerate(zip(songs, gallery.cards, strict=True)):
        (audio,), (image,) = Reader(card).every("audio"), Reader(card).every("img")
        heard, rate = soundfile.read(io.BytesIO(content(audio["src"])))
        start, end, begins, ends = song["seconds"]
        wave = waves[place].numpy()[round(start * rate) : round(end * rate)]
        assert (rate, heard.shape) == (config.spectrogram.sample_rate, wave.shape)
        assert np.corrcoef(heard, wave)[0, 1] > 0.97  # within the loss of Vorbis
        assert float(audio["data-from"]) == pytest.approx(begins - start, abs=0.01)
        assert float(audio["data-to"]) == pytest.approx(ends - start, abs=0.01)
        assert 0 <= start <= begins < ends <= end <= start + SECONDS + 1e-3
        pixels = np.asarray(Image.open(io.BytesIO(content(image["src"]))).convert("L")) / 255
        away = [float(np.abs(pixels - each).mean()) for each in inputs]
        assert pixels.shape == inputs[place].shape
        assert np.argmin(away) == place
        assert away[place] < 0.03
        assert "Spectrogram of song" in image["alt"]


def test_a_quiz_has_no_equal_titles_and_the_own_one_at_every_place_or_says_what_to_do():
    titles = ["Reel", "reel", "REEL", "Jig", "", "Air", "air", "March", "Hymn"]
    for seed, own in itertools.product(range(30), range(len(titles))):
        chance, choices = draw_titles(own, titles, np.random.default_rng(seed))
        read = {titles[place].casefold() for place in [chance, *choices]}
        assert own in choices
        assert len(read) == len(choices) + 1 == CHOICES + 1
    generator, numbers = np.random.default_rng(0), list(map(str, range(9)))
    places = [draw_titles(4, numbers, generator)[1].index(4) for _ in range(2000)]
    assert np.bincount(places, minlength=CHOICES) == pytest.approx(500, abs=80)
    with pytest.raises(InputError, match=r"expected at least 5 songs .* got 3; take a preset"):
        draw_titles(0, ["a", "b", "c", "A"], generator)


@pytest.mark.parametrize("levels", [3, 50])
def test_the_chance_of_winning_a_quiz_is_that_of_trying_all_of_them(levels):
    likely = np.random.default_rng(1).integers(0, levels, (3, 7)).astype(float)
    wins = quiz_wins(likely, CHOICES)
    for row, own in itertools.product(range(3), range(7)):
        won = []
        for others in itertools.combinations(set(range(7)) - {own}, CHOICES - 1):
            rivals = likely[row, list(others)]
            won.append(
                (rivals <= likely[row, own]).all() / (1 + (rivals == likely[row, own]).sum())
            )
        assert wins[row, own] == pytest.approx(np.mean(won))


def test_blind_guessing_gets_one_in_four_whatever_the_titles(shown):
    likely = np.random.default_rng(2).integers(0, 4, (5, 11)).astype(float)
    assert quiz_wins(likely, CHOICES).mean(1) == pytest.approx(1 / CHOICES)
    for row in shown[1].result["quiz"]:
        assert 0 <= row["low"] <= row["share"] <= row["high"] <= 1


def test_the_player_holds_all_that_the_network_was_shown(in_tiny_home, tmp_path):
    config = preset("tiny", clip_seconds=30.0)
    path = tmp_path / "long.wav"
    noise = np.random.default_rng(0).normal(0, 0.1, 22_050 * 30)
    soundfile.write(path, noise, 22_050)
    start, end, begins, ends = player_span(path, config)
    assert end - start == pytest.approx(SECONDS, abs=1e-3)
    assert ends - begins == pytest.approx((255 * 256 + 512) / 22_050, abs=1e-3)
    assert 0 <= start <= begins < ends <= end <= 30
    short = tmp_path / "short.wav"
    soundfile.write(short, noise[:30_000], 22_050)
    assert player_span(short, config)[:2] == pytest.approx([0, 30_000 / 22_050], abs=1e-3)


def test_a_source_names_book_file_number_terms_and_a_transcriber_without_address():
    found = source_of(tunes.Tune("miscFolk/some/7", "miscFolk", 7, "Licence to Reel", TUNE))
    wanted = {"book": "miscFolk", "number": 7, "file": "miscFolk/some.abc", "terms": []}
    assert found == wanted | {"transcriber": "A. Body"}
    terms = source_of(tunes.Tune("a/b/1", "a", 1, "T", TUNE + "N:no commercial use\n"))["terms"]
    assert terms == ["no commercial use"]
    assert "no commercial use" in card_licence(song_row(terms=terms))
    names = {transcriber(tune.abc.splitlines()) for tune in tunes.load()}
    assert {"Jack Campin", "John Chambers"} <= names
    assert not [name for name in names if re.search(r"[@:/<>]|www|\d", name)]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_comes_from_data_reaches_a_card_as_text(text):
    row = song_row(title=text, chance=text, choices=["a", text, "b", "c"], transcriber=text)
    row |= {"book": text, "file": text, "terms": [text], "tokens": [text], "known": [text]}
    row |= {"beams": [[[text], -1.0], [[], -2.0]], "listener": [text]}
    config, wave = preset("tiny"), torch.randn(44_100, generator=torch.manual_seed(0)) / 10
    html = Gallery([cards.card(1, row, wave, config)], [text])._repr_html_()
    page = Reader(html)
    assert {tag for tag, _ in page.tags} <= {
        *("article", "audio", "bdi", "code", "details", "div", "fieldset", "figcaption", "figure"),
        *("h3", "img", "input", "label", "legend", "li", "ol", "p", "span", "summary"),
    }
    assert not [name for _, each in page.tags for name in each if name.startswith("on")]
    seen = text or "(no title)"
    assert page.text.replace("\u2068", "").replace("\u2069", "").count(seen) >= 4


def test_every_control_of_a_card_has_a_name_and_every_id_comes_once(shown):
    page = Reader(shown[2]._repr_html_())
    ids = [each["id"] for _, each in page.tags if "id" in each]
    assert len(ids) == len(set(ids))
    for _, each in page.tags:
        assert each.get("aria-labelledby", ids[0]) in ids
    assert all(each["aria-label"] and "controls" in each for each in page.every("audio"))
    assert all(each["alt"] and each["width"] and each["height"] for each in page.every("img"))
    assert len(page.every("legend")) == len(page.every("fieldset")) == len(shown[2].cards)
    assert not page.every("script") + page.every("style")


def test_sound_has_the_same_bytes_and_under_another_serial_its_sound_and_right_checksums():
    sound = np.random.default_rng(0).normal(0, 0.1, 22_050).astype(np.float32)
    assert encode_sound(sound, 22_050, 5) == encode_sound(sound, 22_050, 5)
    file = io.BytesIO()
    soundfile.write(file, sound, 22_050, format="OGG", subtype="VORBIS")
    original, changed = file.getvalue(), with_serial(file.getvalue(), 7)
    # The encoder's own pages pass the same check: it is the standard's checksum.
    for page in (next(pages_of(original)), *pages_of(changed)):
        assert int.from_bytes(page[22:26], "little") == checksum(page[:22] + bytes(4) + page[26:])
    assert {int.from_bytes(page[14:18], "little") for page in pages_of(changed)} == {7}
    before, after = (soundfile.read(io.BytesIO(each))[0] for each in (original, changed))
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("stream", [b"RIFF" + bytes(60), b"OggS", b"OggS" + bytes(22) + b"\x03ab"])
def test_bytes_that_are_no_ogg_stream_are_refused(stream):
    with pytest.raises(InputError, match="expected a page at byte 0"):
        with_serial(stream, 1)


def test_every_hypothesis_of_the_trees_adds_up_and_is_what_the_search_found(shown):
    config, record, _ = shown
    song = record.result["songs"][0]
    found = branches(config, song["place"]).result["beams"]
    assert [len(found[width]) for width in ("1", "5", "20")] == [1, 5, 20]
    for beams in found.values():
        for each in beams:
            assert len(each["tokens"]) == len(each["log_probs"])
            assert sum(each["log_probs"]) == pytest.approx(each["log_prob"], abs=1e-3)
            assert "<eos>" not in each["tokens"][:-1]
        sums = [each["log_prob"] for each in beams]
        assert sums == sorted(sums, reverse=True)
    words = [[w for w in each["tokens"] if w != "<eos>"] for each in found["5"]]
    assert words == [each for each, _ in song["beams"]]


def test_token_log_probabilities_are_those_of_the_logits_under_teacher_forcing():
    vocabulary = Vocabulary(["a", "b", "c", "d", "e", "f", "g"])
    torch.manual_seed(0)
    config = ModelConfig(dim=12)
    model = build_captioner(config, features=5, vocab=11, pad_id=0, words=["x"] * 11).eval()
    memory = torch.randn(1, 1, 12)
    ids = torch.tensor([[4, 5, 2], [6, 2, 2]])
    got = token_log_probs(model, memory, ids, vocabulary)
    before = torch.cat([torch.full((2, 1), vocabulary.bos_id), ids[:, :-1]], dim=1)
    logits = model.decoder(memory.expand(2, -1, -1), before)
    wanted = logits.log_softmax(-1).gather(2, ids[..., None]).squeeze(2)
    torch.testing.assert_close(got, wanted)


def test_the_gallery_s_tables_hold_the_record_s_numbers(shown):
    config, record, _ = shown
    frame = guessing(record, scoring.score_table(preset("tiny", beam_sizes=[5])))
    right = sum(song["pick"] == song["answer"] for song in record.result["songs"])
    assert frame["The model"][2] == f"{right} right"
    assert frame["By chance"].tolist()[:3] == ["25 %", "25 %", "3 of 12"]
    assert len(frame) == 4
    facts = gallery_facts(record)
    assert facts["gallery.songs"] == 12
    assert facts["gallery.blind"] == 25
    tree = branches(config, record.result["songs"][0]["place"])
    table = tree_table(tree)
    assert len(table) == 1 + 5 + 20
    for row in table.itertuples(index=False):
        gains = re.findall(r"−?\d+\.\d\d", row[4])
        total = sum(float(gain.replace("−", "-")) for gain in gains)
        assert total == pytest.approx(
            float(row[3].replace("−", "-")), abs=0.006 * len(gains) + 0.01
        )
    assert len(hypotheses_at(tree, 5)) == 5


def page_of(html):
    output = {"output_type": "display_data", "data": {"text/html": [html[:9], html[9:]]}}
    return {"cells": [{"cell_type": "markdown"}, {"cell_type": "code", "outputs": [output]}]}


def test_another_page_shows_the_first_songs_or_the_build_stops_and_names_the_command(tmp_path):
    path = tmp_path / "15_gallery.ipynb"
    with pytest.raises(ExtensionError, match=r"expected 3 songs .* got no such page") as stop:
        first_songs(path, 3)
    assert COMMAND in str(stop.value)
    songs = [f'<article class="song"><p>{n}</p></article>' for n in range(4)]
    path.write_text(json.dumps(page_of(f'<div class="gallery">{"".join(songs)}</div>')))
    assert first_songs(path, 3) == songs[:3]
    path.write_text(json.dumps(page_of("<p>nothing</p>")))
    with pytest.raises(ExtensionError, match="got 0 songs"):
        first_songs(path, 1)


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """Five recordings: two by one artist, one of a licence that asks for more than a credit."""
    draw, found = np.random.default_rng(0), []
    for place, (artist, licence) in enumerate(
        [("Ann", "CC-BY-3.0"), ("Ann", "CC-BY-3.0"), ("Bob", "GPL-2"), ("<b>", "CC-BY-SA-3.0")]
    ):
        path = tmp_path / f"{place}.wav"
        soundfile.write(path, draw.normal(size=30 * 22_050) * 0.1, 22_050)
        found.append((Recording(f"pack/{place}", f"piece {place}", artist, artist, licence), path))
    monkeypatch.setattr(recordings, "load", lambda _: found)


def test_a_recording_of_each_artist_is_heard_with_its_credit_where_its_licence_allows(recorded):
    players = cards.recordings_to_hear(preset("quick")).cards
    assert len(players) == 2
    for player, credit in zip(
        players,
        ["piece 0, Ann (CC-BY-3.0)", "piece 3, &lt;b&gt; (CC-BY-SA-3.0)"],
        strict=True,
    ):
        assert credit in player
        assert "<code>pack</code>" in player
        sound = base64.b64decode(re.search(r'base64,([^"]+)"', player)[1])
        assert len(sound) <= 300_000
        with soundfile.SoundFile(io.BytesIO(sound)) as file:
            assert file.frames / file.samplerate == pytest.approx(SECONDS, abs=0.1)


def test_the_front_page_has_the_recordings_beside_the_first_songs(recorded, tmp_path):
    html = "".join(f'<article class="song">{n}</article>' for n in range(4))
    html += cards.recordings_to_hear(preset("quick"))._repr_html_()
    outputs = [{"data": {"text/html": html}}]
    (tmp_path / "page.ipynb").write_text(json.dumps({"cells": [{"outputs": outputs}]}))
    found = first_songs(tmp_path / "page.ipynb", 2)
    assert [each.count("recording") > 0 for each in found] == [False, False, True, True]


def test_where_no_recording_is_fetched_the_gallery_says_how(monkeypatch):
    monkeypatch.setattr(recordings, "load", lambda _: [])
    assert "fetch recordings` brings them" in cards.recordings_to_hear(preset("quick")).text
