"""Laws of what a page says in short: a sentence for each outcome, chosen by the record alone."""

import re
from pathlib import Path

import jupytext
import pytest

from songtitle import cache
from songtitle.config import override, preset
from songtitle.experiment.samples import OWN
from songtitle.studies import in_short

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("[0-9]*.py"))


def planted(**result):
    """A record with these findings."""
    return cache.Record("planted", "key", {}, {}, {}, result, {}, {}, cache.OWN)


def scored(name, low, high, *, k=5, score=0.30, gain=0.02, p=None):
    row = {"input": name, "beam_size": k, "score": score, "chance": score - gain, "gain": gain}
    p = (0.001 if low > 0 else 0.5) if p is None else p
    return row | {"gain_low": low, "gain_high": high, "p": p}


def readings(*ps):
    """Timbre above chance and spectrograms not, with these p."""
    ends = {"songs: timbre": (0.001, 0.02), "songs: spectrogram": (-0.001, 0.002)}
    return [scored(name, *its, p=p) for (name, its), p in zip(ends.items(), ps, strict=True)]


def lengths(captions, titles, known):
    texts = {"stamps": {str(captions): 10}, "tunes": {str(titles): 10}}
    return planted(lengths=texts), planted(known={"running words": known})


def perplexities(right, wrong, unigram):
    names = ("valid", "permuted_pictures", "unigram")
    values = zip(names, (right, wrong, unigram), strict=True)
    history = [{"epoch": 1 + late, "valid_perplexity": right + late} for late in range(7)]
    result = {f"{name}_perplexity": value for name, value in values}
    return result | {"history": history, "epoch": 1}, 0.29


def by_beam(*best):
    """Rows of inputs that score highest at these beam sizes."""
    return [
        scored(f"pictures {place}×{place}", 0.1, 0.2, k=k, score=0.2 + 0.1 * (k == top))
        for place, top in enumerate(best, 1)
        for k in (1, 5, 20)
    ]


def said(different, songs=20):
    return {"songs: timbre": [[(f"title {i % different}", "")] for i in range(songs)]}


def mixed(low, high, p=0.2):
    own = {"value": 0.9, "low": 0.8, "high": 1.0, "p": p}
    song = {"value": (low + high) / 2, "low": low, "high": high, "p": p}
    kinds = {"held_out": own, "timbre_standardised": song, "spectrogram": song}
    return planted(kinds={name: {"mixing": found} for name, found in kinds.items()})


def counted(before, after):
    orders = {"before_lowercasing": before, "after_lowercasing": after}
    named = {name: {"share_with_a_name": share} for name, share in orders.items()}
    links = planted(survivors={"share": 0.9})
    return {"links": links, "song_names": planted(orders=named)}


def ratios(*met):
    row = {"what": "beam search", "at_most": 1.0, "at_least": None}
    return [{"rows": [row | {"met": each} for each in met]}]


def controlled(*ps):
    row = {"input": "songs: timbre", "beam_size": 5, "score": 0.1, "difference": 0.05}
    real = row | {"control": "real input", "p": None, "difference": None}
    rest = [row | {"control": f"control {i}", "p": p} for i, p in enumerate(ps)]
    return planted(rows=[real, *rest])


def step(length, content):
    """A step whose change is its two parts; a part that is not 0 leaves 0 out of its interval."""
    values = {"change": length + content, "length": length, "content": content}
    ends = {f"{name}_low": value - 0.001 for name, value in values.items()}
    return values | ends | {f"{name}_high": value + 0.001 for name, value in values.items()}


def distances(best, flat, luck=0.01):
    found = {"tried": {"in all": 96}, "one_number": {"all": {"all": flat}}}
    found |= {"luck": {"in all": {"mean": luck + 0.01, "low": luck}}}
    wrong = {"source": "the same, wrong references", "choice": "top", "all": 0.0}
    own = wrong | {"source": "this run's outputs", "all": best}
    return "Reach.", found | {"distances": [own, own | {"choice": "as long as outputs"}, wrong]}


def moved(score, gain):
    said = {"switches.bars": "9", "switches.score": f"{score}", "switches.gain": f"{gain}"}
    return said | {"switches.holm": "12"}


def trial(score, gain):
    """A lab whose changes are clear, each on the side that is given."""
    changes = {"score_change": score, "gain_change": gain}
    return changes | {"score_clear": True, "gain_clear": True}


def quizzed(low, high):
    return planted(quiz=[{"choices": 4, "items": 99, "share": 0.3, "low": low, "high": high}])


def photos(low, high):
    rows = [scored("pictures 224×224", low, high), scored(OWN, low, high)]
    return planted(summary=[row | {"seeds": 5} for row in rows])


def sized(fits, clean):
    return {"detective.settings": 6, "detective.fits": fits, "detective.clean": clean}


def brought(lost):
    return {"rows": [{"tried": 60, "lost": lost}, {"tried": 3, "lost": 0}]}


INVERTED = override(preset("tiny"), {"spectrogram.inverted": True})
WHOLE = override(preset("tiny"), {"spectrogram_fit": "whole", "standardise_timbre": False})

# function -> by what it must say, the arguments that make it say so
OUTCOMES = {
    in_short.corpora: {
        "longer than titles": lengths(9, 3, 0.3),
        "about as long as titles": lengths(3, 3, 0.3),
        "shorter than titles": lengths(3, 9, 0.3),
        "the others cannot be said": lengths(9, 3, 0.7),
    },
    in_short.inputs: {
        "white on black": (preset("tiny"),),
        "black on white": (INVERTED,),
        "shown the whole of it": (WHOLE,),
    },
    in_short.training: {
        "so it looks at them": perplexities(8, 12, 24),
        "but little hangs on it": perplexities(8, 8.5, 24),
        "it does not look at them": perplexities(8, 8, 24),
        "no better than word frequencies": perplexities(30, 40, 24),
    },
    in_short.search: {
        "so it sees something": (by_beam(5, 1),),
        "as all of the paper's do": (by_beam(5, 5),),
        "so it hears something.": ([scored("songs: timbre", 0.001, 0.02)],),
        "so it hears something (p 0.008 for both readings together, Holm)": (readings(0.004, 0.5),),
        "but as one of 2 readings (p 0.060 for both": (readings(0.03, 0.5),),
        "nothing shows that it hears": ([scored("songs: timbre", -0.001, 0.002)],),
        "too wide an interval to tell whether it hears": ([scored("songs: timbre", -0.1, 0.1)],),
        "says nothing of what it hears": (
            [scored("songs: timbre", -0.001, 0.002) | {"ceiling_gain": 0.005}],
        ),
    },
    in_short.titles: {
        "much the same": (said(1),),
        "some songs share a title": (said(7),),
        "mostly get different titles": (said(20),),
    },
    in_short.similarity: {
        "they lie apart": (mixed(0.0, 0.1),),
        "they cannot be told": (mixed(0.7, 0.9),),
        "more than pictures do": (mixed(1.1, 1.2),),
        "fail that test": (mixed(0.7, 0.9, p=0.001),),
    },
    in_short.paper_corpora: {
        "decides which titles are left": (counted(0.6, 0.0),),
        "hardly matters": (counted(0.6, 0.6),),
    },
    in_short.speed: {
        "none misses it": (ratios(True, True),),
        "1 miss it (beam search)": (ratios(True, False),),
    },
    in_short.controls: {
        "its score is due to the input": (controlled(0.001, 0.001),),
        "some of the score is due": (controlled(0.001, 0.9),),
        "nothing in its score needs the input": (controlled(0.9, 0.9),),
    },
    in_short.length: {
        "In 1 of them it is length alone": (planted(steps=[step(0.1, 0.0)]),),
        "None of them is length alone": (planted(steps=[step(0.0, 0.1)]),),
        "no effect of the beam to explain": (planted(steps=[step(0.0, 0.0)]),),
    },
    in_short.forensics: {
        "evidence for none": distances(0.10, 0.05),
        "as the best of so many may be by luck": distances(0.05, 0.10),
        "nearer than luck among so many comes": distances(0.05, 0.10, luck=0.07),
    },
    in_short.switchboard: {
        "does not decide whether the model hears": (moved(3, 0),),
        "bears on whether the model hears": (moved(3, 1),),
    },
    in_short.labs: {
        "No mistake pays": ([trial(-0.1, 0.1)],),
        "nothing was heard better": ([trial(0.1, -0.1)],),
        "In 1 of these the gain over chance rises, too": ([trial(0.1, 0.1)],),
    },
    in_short.samples: {
        "so it hears something": (photos(0.001, 0.02),),
        "nothing shows that it sees": (photos(-0.001, 0.002),),
        "too wide an interval": (photos(-0.1, 0.1),),
    },
    in_short.scoreboard: {
        "More hold than fail.": (["holds", "holds", "fails"],),
        "No more hold than fail.": (["holds", "fails", "fails"],),
        "most could not be decided": (["holds", *["cannot be tested here"] * 2],),
    },
    in_short.gallery: {
        "more often than a blind guess": (quizzed(0.26, 0.4),),
        "less often than a blind guess": (quizzed(0.1, 0.2),),
        "guessing blindly would do as well": (quizzed(0.2, 0.4),),
    },
    in_short.detective: {
        "one of its statements must give way": (sized(3, 0),),
        "1 agree with all": (sized(3, 1),),
    },
    in_short.faults: {"none brought a loss": (brought(0),), "2 brought a loss": (brought(2),)},
}
CASES = [(ask, phrase, given) for ask, cases in OUTCOMES.items() for phrase, given in cases.items()]


@pytest.mark.parametrize(
    ("ask", "phrase", "given"), CASES, ids=[f"{ask.__name__}: {phrase}" for ask, phrase, _ in CASES]
)
def test_a_page_says_in_short_what_its_record_holds(ask, phrase, given):
    assert phrase in ask(*given).text


@pytest.mark.parametrize("ask", OUTCOMES, ids=lambda ask: ask.__name__)
def test_no_two_outcomes_are_told_in_the_same_words(ask):
    words = [re.sub(r"[\d.,−+-]+", "", ask(*given).text) for given in OUTCOMES[ask].values()]
    assert len(set(words)) == len(words)


@pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_page_opens_with_what_it_found_in_short(source):
    cells = jupytext.read(source).cells
    first = next(place for place, cell in enumerate(cells) if cell.source.startswith("## "))
    code = [cell.source for cell in cells[:first] if cell.cell_type == "code"]
    assert sum(source.startswith("in_short.") for source in code) == 1


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.001, 0.2, in_short.MORE),
        (-0.001, 0.009, in_short.NO_MORE),
        (0.0, 0.0, in_short.NO_MORE),
        (-0.2, -0.1, in_short.NO_MORE),
        (-0.001, 0.011, in_short.UNSURE),
    ],
)
def test_a_gain_is_none_only_where_its_interval_ends_below_what_matters(low, high, verdict):
    assert in_short.gain_verdict(low, high) == verdict


def test_of_several_gains_one_is_more_only_where_its_p_is_small_for_all():
    assert in_short.gain_verdict(0.001, 0.2, 0.051) == in_short.UNSURE
    assert in_short.gain_verdict(0.001, 0.2, 0.049) == in_short.MORE
    assert in_short.gain_verdict(-0.1, 0.002, 0.051) == in_short.NO_MORE
