"""In short: what a page found, in two or three sentences at its head, chosen by its records.

One function a page, each named as its notebook, gives a `Note`. Every verdict has a sentence for
each way that the numbers can come out; `gain_verdict` has the three for a gain over chance.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from songtitle.cache import Record
from songtitle.config import ExperimentConfig, Input
from songtitle.declared import SILENT
from songtitle.experiment.samples import OWN
from songtitle.fmt import called, points, write
from songtitle.studies.controls import cleared
from songtitle.studies.corpora import Answers, need
from songtitle.studies.forensics import nearest_way
from songtitle.studies.inputs import detective_facts
from songtitle.studies.picked import adjusted, all_of, small
from songtitle.studies.samples import pictures_of
from songtitle.studies.search import steps_explained
from songtitle.studies.switchboard import lab_way
from songtitle.studies.training import kept_epoch
from songtitle.tables import LEVEL, Note

MATTERS = ExperimentConfig.smallest_effect / 100  # of BLEU-1 in [0, 1]
BEST = 5  # hypotheses kept where the paper's scores peak
MORE, NO_MORE, UNSURE = "more than chance", "no more than chance", "cannot tell"
LITTLE, MUCH = 0.1, 0.5  # of the songs: different titles, for "hardly any" and "most"


def gain_verdict(low: float, high: float, p: float = 0.0) -> str:
    """Judge a gain over chance by its 95 % interval, scores in [0, 1].

    MORE: the interval lies above 0. NO_MORE: it does not, and it ends below MATTERS. Else UNSURE.
    Of a gain that is one of several `p` is corrected for their number; MORE needs it small, too.
    """
    if low > 0:
        return MORE if p <= LEVEL else UNSURE
    return NO_MORE if high < MATTERS else UNSURE


def gain_sentence(row: Mapping[str, Any], does: str) -> str:
    """Say how a score stands beside chance, and whether the captioner therefore `does` ("hears").

    `row` has `input, beam_size, score, chance, gain, gain_low, gain_high`, and `ceiling_gain`, the
    gain of the best dealing of the same outputs, where that was measured. Of a row that is one `of`
    several readings, `p` is corrected for their number (`among`).
    """
    of, p = row.get("of", 1), row["p"] if "of" in row else 0.0
    verdict = gain_verdict(row["gain_low"], row["gain_high"], p)
    ends = {
        MORE: f"so it {does} something"
        + (f" (p {small(p)} for {all_of(of)} readings together, Holm)." if of > 1 else "."),
        NO_MORE: f"so nothing shows that it {does}; what could be hidden is less than "
        f"{points(MATTERS)} point.",
        UNSURE: f"too wide an interval to tell whether it {does}.",
    }
    if verdict == UNSURE and row["gain_low"] > 0:
        ends[UNSURE] = f"but as one of {of} readings (p {small(p)} for {all_of(of)} together, "
        ends[UNSURE] += f"Holm) that is no sure sign that it {does}."
    elif verdict != MORE and row.get("ceiling_gain", MATTERS) < MATTERS:
        ends[verdict] = "but no dealing of outputs so alike could have shown more than "
        ends[verdict] += f"{points(row['ceiling_gain'])}: that says nothing of what it {does}."
    told = "{input} at k = {beam_size}: {score:points} points, where wrong references give "
    told += "{chance:points} (gain {gain:signed} [{gain_low:points}, {gain_high:points}]), "
    said = called(write(told, row))
    return said[0].upper() + said[1:] + ends[verdict]


def among(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give rows with their `p` corrected for their number (Holm), and that number as `of`."""
    together = adjusted([row["p"] for row in rows])
    return [{**row, "p": p, "of": len(rows)} for row, p in zip(rows, together, strict=True)]


def in_short(*sentences: str) -> Note:
    """Put sentences in the box at the head of a page."""
    return Note("In short", " ".join(filter(None, sentences)), kind="tip")


def one_row(rows: Iterable[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    """Find the row of an input at the paper's best beam size, or at the widest there is below."""
    mine = [row for row in rows if row["input"] == name]
    return max(mine, key=lambda row: (row["beam_size"] <= BEST, row["beam_size"]))


def corpora(record: Record, words: Record) -> Note:
    """Page 1: lengths of captions and titles, and the words that they share."""
    means = [
        float(np.average([*map(int, counts)], weights=[*counts.values()]))
        for counts in record.result["lengths"].values()
    ]
    captions, titles = means[0], float(np.mean(means[1:]))
    longer = "longer than" if captions > 1.1 * titles else "about as long as"
    longer = "shorter than" if captions < titles / 1.1 else longer
    known = words.result["known"]["running words"]
    share = f"Of the words in titles {points(known)} % are known from captions"
    verdict = "the others cannot be said, whatever is heard" if known > MUCH else "so most words"
    verdict += "" if known > MUCH else " of the right answer cannot be said, whatever is heard"
    return in_short(
        f"Captions have {captions:.1f} words in the mean and titles {titles:.1f}: captions are "
        f"{longer} titles.",
        f"{share}: {verdict}.",
    )


def inputs(config: ExperimentConfig) -> Note:
    """Page 2: how much of a song the network is shown, and in which form."""
    settings = config.spectrogram
    seen = ((config.crop - 1) * settings.hop_length + settings.window_length) / settings.sample_rate
    share = "the whole of it" if config.spectrogram_fit == "whole" else f"{seen:.1f} seconds of it"
    if config.spectrogram_fit != "whole" and seen >= config.clip_seconds:
        share = "the whole of it and silence"
    ground = "black on white" if settings.inverted else "white on black"
    scale = "brought to unit scale over the test songs"
    scale = scale if config.standardise_timbre else "in units that the decoder has never met"
    silent = config.material.timbre.kind in SILENT
    given = "comes ready made, in numbers" if silent else "sums up all of the clip in numbers"
    return in_short(
        f"Of {config.clip_seconds:g} seconds of a song the network is shown {share}, as a picture "
        f"{ground}.",
        f"The other reading, timbre, {given}, {scale}.",
    )


def training(result: Mapping[str, Any], unknown: float) -> Note:
    """Page 3: whether right pictures help; `unknown` is the share of held-out words not known."""
    right, wrong = result["valid_perplexity"], result["permuted_pictures_perplexity"]
    ends = "so it looks at them."
    if wrong <= 1.1 * right:
        ends = "so it looks at them, but little hangs on it."
    if wrong <= 1.02 * right:
        ends = "no difference to speak of: it does not look at them."
    words = "also better than" if right < result["unigram_perplexity"] else "no better than"
    return in_short(
        f"Held-out captions leave the captioner hesitating between {right:.1f} words beside their "
        f"own pictures and {wrong:.1f} beside others, {ends}",
        f"That is {words} word frequencies alone ({result['unigram_perplexity']:.1f}).",
        f"It flatters: {points(unknown)} % of the words to be guessed are unknown ones, which all "
        "count as one and the same.",
        kept_epoch(result),
    )


def search(rows: Sequence[Mapping[str, Any]]) -> Note:
    """Page 4: the largest pictures and both readings of songs beside chance, and the best beam;
    `rows` are those of Table 4."""
    names = list(dict.fromkeys(row["input"] for row in rows))
    pictures = [name for name in names if Input.of(name).kind == "pictures"]
    told = among([one_row(rows, name) for name in names if Input.of(name).is_song])
    said = [gain_sentence(row, "hears") for row in told]
    if pictures:
        told.append(dict(one_row(rows, pictures[-1])))
        said.insert(0, gain_sentence(told[-1], "sees"))
    frame = pd.DataFrame(rows)
    best = frame.loc[frame.groupby("input")["score"].idxmax(), "beam_size"]
    peak = int((best == BEST).sum())
    found = "as all of the paper's do" if peak == len(names) else "where all of the paper's do"
    sizes = frame["beam_size"].nunique()
    lot = f"; by lot among {sizes} beam sizes {len(names) / sizes:.1f} would" if sizes > 1 else ""
    count = min(int(row.get("trainings", 1)) for row in told)
    over = f"These are means over {count} trainings" if count > 1 else "All this is of one training"
    return in_short(
        *said, f"{over}. At k = {BEST}, {found}, {peak} of {len(names)} inputs score highest{lot}."
    )


def titles(found: Mapping[str, Sequence[Sequence[tuple[str, str]]]]) -> Note:
    """Page 5: how many different titles songs are given; `found` has hypotheses by input."""
    said = []
    for name, songs in found.items():
        different, count = len({best[0][0] for best in songs if best}), len(songs)
        verdict = "whatever the song, it says much the same"
        if different > LITTLE * count:
            verdict = "some songs share a title and others do not"
        if different > MUCH * count:
            verdict = "different songs mostly get different titles"
        said.append(f"By {Input.of(name).reading}, {count:,} songs are given {different:,} ")
        said[-1] += f"different titles: {verdict}."
    return in_short(*said, "That is no evidence of hearing yet, only of what could show it.")


def similarity(likeness: Record) -> Note:
    """Page 6: whether songs lie among pictures, beside pictures held out."""
    kinds, said = likeness.result["kinds"], []
    own = kinds["held_out"]["mixing"]
    for key, name in (("timbre_standardised", "timbre"), ("spectrogram", "spectrograms")):
        mixing = kinds[key]["mixing"]
        verdict = "where the two intervals overlap, so they cannot be told from pictures."
        if mixing["high"] < own["low"]:
            verdict = "which is less: they lie apart from pictures."
        if mixing["low"] > own["high"]:
            verdict = "which is more: they lie among pictures more than pictures do."
        told = "Neighbours of {name} are pictures {value:.2f} times as often as full mixing would "
        told += "have it, those of held-out pictures {own:.2f} times, "
        said.append((told + verdict).format(name=name, value=mixing["value"], own=own["value"]))
    p = own["p"]
    said.append(
        "Held-out pictures themselves "
        + (f"fail that test (p {p:.3f})" if p < 0.05 else f"pass that test (p {p:.3f})")
        + "."
    )
    return in_short(*said)


def paper_corpora(answers: Answers) -> Note:
    """Page 7: what became of links, and whether the order of cleaning decides what is left."""
    share = need(answers, "links").result["survivors"]["share"]
    orders = need(answers, "song_names").result["orders"]
    before, after = (
        orders[f"{when}_lowercasing"]["share_with_a_name"] for when in ("before", "after")
    )
    decides = "the order of two steps decides which titles are left"
    if abs(before - after) < MATTERS:
        decides = "the order of the two steps hardly matters"
    return in_short(
        f"Of the links of captions {points(share)} % still gave a picture in January 2019.",
        f"Looked for before lowercasing, {points(before)} % of Million Song titles hold a name, "
        f"and after it {points(after)} %: {decides}.",
    )


def speed(found: Sequence[Mapping[str, Any]]) -> Note:
    """Page 8: how many of the ratios with a bound keep it."""
    rows = [row for each in found for row in each["rows"]]
    bounded = [row for row in rows if pd.notna(row["at_most"]) or pd.notna(row["at_least"])]
    missed = [f"{row['what']}" for row in bounded if not row["met"]]
    verdict = f"{len(missed)} miss it ({'; '.join(missed)})" if missed else "none misses it"
    return in_short(f"{len(bounded)} of {len(rows)} ratios have a bound, and {verdict}.")


def controls(record: Record) -> Note:
    """Page 9: how many controls the real input clears, by input."""
    found, said = pd.DataFrame(record.result["rows"]), []
    for name, rows in found.groupby("input", sort=False):
        cells = [cell.iloc[1:] for _, cell in rows.groupby("beam_size")]
        clear, of = sum(int(cleared(cell).sum()) for cell in cells), sum(map(len, cells))
        verdict = "so some of the score is due to what those others still have"
        if clear == of:
            verdict = "so its score is due to the input"
        if not clear:
            verdict = "so nothing in its score needs the input"
        shown = called(str(name))
        said.append(f"{shown[0].upper()}{shown[1:]} clears {clear} of {of} controls, ")
        said[-1] += f"{verdict}."
    sizes = sorted({len(rows) - 1 for _, rows in found.groupby(["input", "beam_size"])})
    told = " or ".join(map(str, sizes))
    return in_short(
        *said, f"What is cleared is so for all {told} controls of a beam size together (Holm)."
    )


def length(record: Record) -> Note:
    """Page 10: how many effects of a beam there are, and what explains them."""
    said = steps_explained(record)
    changed, plain, words = (int(said[name]) for name in ("changed", "length", "words"))
    verdict = "None of them is length alone."
    if plain:
        verdict = f"In {plain} of them it is length alone: no better words were found."
    if not changed:
        verdict = "So there is no effect of the beam to explain."
    return in_short(
        f"Of {said['steps']} steps to a wider beam {changed} change the score by more than luck, "
        f"which alone would seem to change it in {said['luck']}.",
        verdict,
        f"In {words} it is other words alone." if changed else "",
    )


def forensics(reach: str, result: Mapping[str, Any]) -> Note:
    """Page 11: whether a constant reaches the paper's cells, which `reach` says, and whether any
    way of counting comes nearer to them than one number, and than as many blind guesses."""
    flat, luck = result["one_number"]["all"]["all"], result["luck"]["in all"]
    best = nearest_way(result)["all"]
    verdict = "which is evidence for none of them"
    if best < flat:
        verdict = "nearer, as the best of so many may be by luck"
    if best < min(flat, luck["low"]):
        verdict = "nearer than luck among so many comes but once in twenty times"
    return in_short(
        reach,
        f"Of {result['tried']['in all']} ways of counting, the nearest to the paper's table lies "
        f"{points(best)} points away, the best of as many blind guesses {points(luck['mean'])} and "
        f"one number in every cell {points(flat)}: {verdict}.",
    )


def switchboard(said: Mapping[str, str]) -> Note:
    """Page 12: how many open questions move the score, and how many the gain; `said` is what
    `switched` counts."""
    names = ("score", "gain", "bars", "holm")
    score, gain, bars, together = (int(said[f"switches.{name}"]) for name in names)
    verdict = "What the paper leaves open does not decide whether the model hears, as far as this"
    verdict += " run can tell."
    if gain:
        verdict = "So something that the paper leaves open bears on whether the model hears."
    return in_short(
        f"Of {bars} bars, {score} move the score and {gain} the gain over chance further than luck "
        f"would (Holm over all {together}, other orders of the batches with them).",
        verdict,
    )


def samples(record: Record) -> Note:
    """Page 13: whole photos and Million Song's own timbre beside chance, over all trainings."""
    rows = record.result["summary"]
    whole = pictures_of(row["input"] for row in rows)[-1]
    wanted = ((whole, "photos", "sees"), (OWN, OWN, "hears"))
    said = []
    for key, name, does in wanted:
        row = one_row(rows, key)
        chance = {"chance": row["score"] - row["gain"], "input": name}
        said.append(gain_sentence({**row, **chance}, does))
    return in_short(*said, f"These are means over {rows[0]['seeds']} trainings on real data.")


def scoreboard(verdicts: Iterable[str]) -> Note:
    """Page 14: how many claims hold and fail; `verdicts` has the word of each claim."""
    words = pd.Series(list(verdicts))
    holds, fails = int((words == "holds").sum()), int((words == "fails").sum())
    verdict = "More hold than fail" if holds > fails else "No more hold than fail"
    open_ones = int((words == "cannot be tested here").sum())
    rest = len(words) - holds - fails - open_ones
    return in_short(
        f"Of {len(words)} claims {holds} hold, {fails} fail, {rest} stand against another part of "
        f"the paper, and {open_ones} could not be decided.",
        f"{verdict}"
        + (", and most could not be decided at all." if open_ones > len(words) / 2 else "."),
    )


def gallery(record: Record) -> Note:
    """Page 15: whether the model picks the right title more often than one who hears nothing."""
    quiz = record.result["quiz"][0]
    blind = 1 / quiz["choices"]
    verdict = "so guessing blindly would do as well, as far as can be told"
    if quiz["low"] > blind:
        verdict = "more often than a blind guess"
    if quiz["high"] < blind:
        verdict = "less often than a blind guess"
    told = "Of {choices} titles the model picks the right one for {share:percent} of {items:,} "
    told += "songs [{low:points}, {high:points}], {verdict}; blind guessing gets {blind:percent.0}."
    return in_short(write(told, {**quiz, "verdict": verdict, "blind": blind}))


def detective(facts: Mapping[str, int | float] | None = None) -> Note:
    """Page 16: how many settings give the stated size, and how many contradict nothing."""
    facts = detective_facts() if facts is None else facts
    names = ("settings", "fits", "clean")
    settings, fits, clean = (int(facts[f"detective.{name}"]) for name in names)
    verdict = "none agrees with all that the paper says: one of its statements must give way"
    if clean:
        verdict = f"{clean} agree with all that the paper says"
    return in_short(f"Of {settings} settings {fits} give a picture of the stated size, {verdict}.")


def labs(rows: Sequence[dict[str, Any]]) -> Note:
    """Page 17: how many mistakes raise a score, and how many of them the gain; `rows` are those of
    `lab_frame`."""
    risen = [row for row in rows if lab_way(row, "score") == "rises"]
    heard = [row for row in risen if lab_way(row, "gain") == "rises"]
    verdict = "No mistake pays here."
    if risen:
        verdict = f"In {len(heard)} of these the gain over chance rises, too."
        if not heard:
            verdict = "The gain over chance rises in none of these: nothing was heard better."
    told = f"Scores rise in {len(risen)} of {len(rows)} trials of a mistake"
    return in_short(f"{told} (for all {len(rows)} together, Holm).", verdict)


def faults(found: Mapping[str, Any]) -> Note:
    """Page 18: whether any planted fault brought a loss."""
    rows = found["rows"]
    tried, lost = (sum(row[name] for row in rows) for name in ("tried", "lost"))
    verdict = f"{lost:,} brought a loss" if lost else "none brought a loss"
    return in_short(f"Of {tried:,} faults of {len(rows)} kinds that were planted, {verdict}.")
