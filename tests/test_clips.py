import shutil

import lameenc
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from songtitle.corpora import clips, fma
from songtitle.corpora.clips import choose_test, clip_facts, clip_path, survey
from songtitle.errors import InputError
from songtitle.rows import Faults


@pytest.fixture
def tone(tmp_path):
    """An mp3 of 2 s in stereo at 44.1 kHz, with a header that tells its length."""
    time = np.arange(88_200) / 44_100
    wave = 0.3 * np.sin(2 * np.pi * 440 * time)
    path = tmp_path / "tone.mp3"
    soundfile.write(path, np.stack([wave, wave], 1), 44_100, bitrate_mode="CONSTANT")
    return path


def wav(path, seconds, *, rate=8000, channels=1):
    soundfile.write(path, np.zeros((round(seconds * rate), channels)), rate)
    return path


def test_a_clip_lies_under_the_first_three_of_its_six_digits(tmp_path):
    assert clip_path(tmp_path, 2) == tmp_path / "000" / "000002.mp3"
    assert clip_path(tmp_path, 133297) == tmp_path / "133" / "133297.mp3"


def test_facts_are_what_was_written(tmp_path, tone):
    facts = clip_facts(wav(tmp_path / "x.wav", 1.5, rate=22_050, channels=2))
    assert (facts.sample_rate, facts.channels, facts.samples) == (22_050, 2, 33_075)
    assert facts.seconds == 1.5
    assert facts.bit_rate == pytest.approx(22.05 * 16 * 2, rel=0.01)
    assert not facts.ends_early
    compressed = clip_facts(tone)
    assert (compressed.sample_rate, compressed.channels) == (44_100, 2)
    assert compressed.seconds == 2
    assert not compressed.ends_early
    assert compressed.bit_rate == pytest.approx(tone.stat().st_size * 8 / 2 / 1000)


def test_a_break_in_the_middle_loses_no_more_than_a_tenth_of_a_second_before_it(tmp_path, tone):
    data = tone.read_bytes()
    broken = tmp_path / "broken.mp3"
    hole = len(data) * 3 // 4
    broken.write_bytes(data[:hole] + bytes(len(data)))
    facts = clip_facts(broken)
    whole = clip_facts(tone)
    assert facts.ends_early
    assert facts.seconds == pytest.approx(whole.seconds * 3 / 4, abs=0.11)


def test_an_mp3_that_tells_no_length_is_found_short_by_the_length_asked_for(tmp_path):
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_in_sample_rate(44_100)
    encoder.set_channels(1)
    data = bytes(encoder.encode(bytes(2 * 88_200))) + bytes(encoder.flush())
    path = tmp_path / "x.mp3"
    for share, shortest, kinds in ((1, 1.9, {}), (0.7, 0.5, {}), (0.7, 1.9, {"short": 1})):
        path.write_bytes(data[: int(share * len(data))])
        faults = Faults()
        survey([path], faults, shortest=shortest)
        assert faults.counts == kinds


BROKEN = {
    "empty": b"",
    "a web page": b"<html>" + b"x" * 5000,
    "zeros": bytes(5000),
    "a table": b"track_id,title\n" * 100,
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_music_is_refused_in_one_line_that_names_it(tmp_path, content, capfd):
    path = tmp_path / "000002.mp3"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"000002\.mp3: expected .*fetch it again") as caught:
        clip_facts(path)
    assert "\n" not in str(caught.value)
    assert ("got empty file" in str(caught.value)) == (not content)
    assert capfd.readouterr().err == ""
    with pytest.raises(InputError, match="gone: expected a music file, got no file"):
        clip_facts(tmp_path / "gone")


def test_a_clip_without_samples_is_refused(tmp_path):
    with pytest.raises(InputError, match="expected sound, got no samples"):
        clip_facts(wav(tmp_path / "x.wav", 0))


def test_a_survey_counts_each_fault_by_name_and_goes_on(tmp_path, tone):
    data = tone.read_bytes()
    names = {"cut": data[: len(data) // 2], "empty": b"", "page": BROKEN["a web page"]}
    for name, content in names.items():
        (tmp_path / f"{name}.mp3").write_bytes(content)
    wav(tmp_path / "short.wav", 0.5)
    files = ["tone.mp3", "cut.mp3", "gone.mp3", "empty.mp3", "page.mp3", "short.wav"]
    faults = Faults()
    facts = survey([tmp_path / file for file in files], faults, shortest=1.9)
    assert [path.name for path in facts] == ["tone.mp3", "cut.mp3", "short.wav"]
    assert {(fault.kind, fault.file, fault.kept) for fault in faults.examples} == {
        ("ends early", "cut.mp3", True),
        ("no file", "gone.mp3", False),
        ("empty file", "empty.mp3", False),
        ("not decodable", "page.mp3", False),
        ("short", "short.wav", True),
    }
    assert faults.counts.total() == 5


def test_a_survey_is_the_same_on_one_thread_and_many(tmp_path):
    files = [wav(tmp_path / f"{i}.wav", 0.1 * i) for i in range(9, 0, -1)]
    one, many = (survey(files, Faults(), workers=workers) for workers in (1, 4))
    assert list(one.items()) == list(many.items())


def test_a_summary_counts_every_clip_in_each_column(tmp_path):
    files = [wav(tmp_path / f"{i}.wav", 0.5, channels=1 + i % 2) for i in range(5)]
    record = clips.summary(survey(files, Faults()).values())
    assert (record["clips"], record["seconds"]) == (5, 2.5)
    assert record["channels"] == {"1": 3, "2": 2}
    assert record["samples"] == {"4000": 5}
    for name in ("sample_rate", "channels", "samples", "bit_rate"):
        assert sum(record[name].values()) == 5
    assert clips.summary([])["clips"] == 0


def tracks_of(sizes):
    ids = iter(range(1, 10_000))
    return [
        fma.Track(next(ids), "t", f"artist {a}")
        for a, size in enumerate(sizes)
        for _ in range(size)
    ]


@given(st.lists(st.integers(1, 6), min_size=1, max_size=12), st.data())
def test_a_test_set_has_its_size_and_shares_no_artist_with_the_rest(sizes, data):
    tracks = tracks_of(sizes)
    count = data.draw(st.integers(1, len(tracks)))
    seed = data.draw(st.integers(0, 99))
    test, rest = choose_test(tracks, count, seed=seed)
    assert len(test) == len({track.id for track in test}) == count
    assert not {track.group for track in test} & {track.group for track in rest}
    # Left out are only tracks of one artist, the last to be taken.
    left = {track.id: track for track in tracks}
    for track in (*test, *rest):
        del left[track.id]
    assert len({track.group for track in left.values()}) <= 1
    assert {track.group for track in left.values()} <= {track.group for track in test}
    shuffled = data.draw(st.permutations(tracks))
    assert choose_test(shuffled, count, seed=seed) == (test, rest)


def test_another_seed_gives_another_test_set():
    tracks = tracks_of([1] * 50)
    assert choose_test(tracks, 20, seed=1)[0] != choose_test(tracks, 20, seed=2)[0]


def test_excluded_tracks_are_on_neither_side():
    tracks = tracks_of([3, 2, 1, 1])
    exclude = {tracks[0].id, tracks[5].id}
    for seed in range(9):
        test, rest = choose_test(tracks, 3, seed=seed, exclude=exclude)
        assert not exclude & {track.id for track in (*test, *rest)}


def test_a_test_set_larger_than_the_tracks_or_with_an_id_twice_is_refused():
    tracks = tracks_of([2, 2])
    for count in (0, 4, 5):
        with pytest.raises(InputError, match=r"expected from 1 to 3 tracks .* got"):
            choose_test(tracks, count, seed=1, exclude=[tracks[0].id])
    with pytest.raises(InputError, match="every id once"):
        choose_test([*tracks, tracks[0]], 1, seed=1)


# Real samples


def test_ten_real_clips_have_one_of_two_lengths(real_data):
    faults = Faults()
    files = sorted((real_data / "fma/fma_small").rglob("*.mp3"))
    facts = survey(files, faults, shortest=29.9)
    assert [path == clip_path(real_data / "fma/fma_small", int(path.stem)) for path in facts] == (
        [True] * 10
    )
    assert clips.summary(facts.values()) == {
        "clips": 10,
        "seconds": (7 * 1_321_967 + 3 * 1_323_119) / 44_100,
        "sample_rate": {"44100": 10},
        "channels": {"2": 10},
        "samples": {"1321967": 7, "1323119": 3},
        "bit_rate": {"128": 1, "240": 1, "256": 8},
    }
    assert not faults.counts


def test_a_real_clip_cut_anywhere_is_told_from_a_whole_one(real_data, tmp_path):
    data = clip_path(real_data / "fma/fma_small", 2).read_bytes()
    cut = tmp_path / "cut.mp3"
    for share in (0.1, 0.5, 0.99, 0.999):
        cut.write_bytes(data[: int(share * len(data))])
        facts = clip_facts(cut)
        assert facts.ends_early
        assert facts.seconds == pytest.approx(share * 29.977, abs=0.35)
    shutil.copy(clip_path(real_data / "fma/fma_small", 2), cut)
    assert not clip_facts(cut).ends_early


def test_1000_real_tracks_are_chosen_by_artist_without_the_broken_ones(real_data):
    tracks = list(fma.read_titles(real_data / "fma/fma_small_titles.csv", Faults()))
    errata = fma.errata("small")
    test, rest = choose_test(tracks, seed=2020, exclude=errata)
    assert len(test) == 1000
    assert not {track.artist for track in test} & {track.artist for track in rest}
    assert not errata.keys() & {track.id for track in (*test, *rest)}
    assert choose_test(tracks[::-1], seed=2020, exclude=errata) == (test, rest)
    # 7,997 less 3 of the broken ones (the others have no title) and 3 of the last artist.
    assert len(rest) == 6991
