"""Does what the paper says in one place follow from another, or from a fact from elsewhere?

No data are needed for that: each relation is worked out again from the numbers of the ledger.
Where two numbers only have to be compared, the ledger names them; what takes arithmetic is here.
"""

import math

from songtitle.paper.ledger import (
    Number,
    Numbers,
    Relation,
    above,
    at_least,
    at_most,
    below,
    equal,
    floor,
    largest,
    least,
    relate,
)
from songtitle.paper.printed import ledger

PICTURES, SONGS = ("cc32", "cc64", "cc128", "cc256"), ("msd", "fma")  # rows of Table 4
INPUTS = (("timbre", "mfcc"), ("spectrogram", "spectrogram"))  # names of the rows of Table 5


def relations(n: Numbers) -> dict[str, list[Relation]]:
    """Give what has to hold between the numbers `n`, by the name of an inconsistency or claim."""
    found = {
        entry["id"]: [
            relate(sign, about, n[left], n[right] if isinstance(right, str) else right)
            for about, left, sign, right in entry.get("compare", ())
        ]
        for entry in ledger()["inconsistency"]
    }
    for id, worked in _worked(n).items():
        found.setdefault(id, []).extend([worked] if isinstance(worked, Relation) else worked)
    return found


def _worked(n: Numbers) -> dict[str, Relation | list[Relation]]:
    def score(row: str, beam: int) -> Number:
        return n[f"table4.{row}.{beam}"]

    def lead(row: str) -> Number:
        return n[f"table5.{row}.ours_5"] - n[f"table5.{row}.audiocaps_1"]

    def lengths(row: str) -> Number:
        return n[f"table1.{row}.max_length"] - n[f"table1.{row}.min_length"]

    def fall(row: str) -> Number:  # of BLEU per second, if five beams take five times as long
        return n["search.best_beam"] / (score(row, 5) / score(row, 1))

    def gain(row: str, beam: int, wider: int) -> Number:
        return score(row, wider) - score(row, beam)

    def loss(row: str) -> Number:
        return 1 - score(row, 10) / score(row, 5)

    def lead_of_whole(beam: int) -> Number:  # over the lowest of the pictures that are cut
        return score("cc256", beam) - least(*(score(row, beam) for row in PICTURES[:3]))

    def frames(samples: Number) -> Number:
        return floor((samples - n["spectrogram.window"]) / (n["spectrogram.window"] / 2)) + 1

    return {
        "captions.larger_than_others": at_least(
            "pictures, beside ten times MS-COCO's and Im2Text's",
            n["captions.examples"],
            largest(10 * n["coco.pictures"], n["im2txt.captions"]),
        ),
        "titles.narrowest_range": below(
            "range of lengths, beside the narrower of the other two",
            lengths("fma"),
            least(lengths("cc"), lengths("msd")),
        ),
        "audiocaps.ahead_with_beams": above(
            "the smaller lead with five beams", least(lead("mfcc"), lead("spectrogram")), 0
        ),
        "inconsistency.join_without_key": at_least(
            "columns of UCI's file that could name a song (all, less the year and the timbre)",
            n["outside.uci_columns"] - 1 - n["timbre.dim"],
            1,
        ),
        "inconsistency.caption_deviation": equal(
            "deviation, beside all of train",
            n["table1.cc.std_length"],
            n["outside.captions_deviation"],
            # Five standard errors of a deviation at a kurtosis of nine, and half of the last
            # digit printed.
            within=0.05 + 5 * n["table1.cc.std_length"] * math.sqrt(2 / n["table1.cc.examples"]),
        ),
        "inconsistency.spectrogram_shape": [
            equal(
                "frames",
                frames(n["clip.samples"]),
                n["spectrogram.frames"],
                within=n["reading.about_share"] * n["spectrogram.frames"],
            ),
            equal("bins", n["spectrogram.n_fft"] / 2, n["spectrogram.bins"], within=1),
        ],
        "inconsistency.input_size": equal(
            "frames of the shorter and the longer real clip",
            frames(n["outside.clip_short"]),
            frames(n["outside.clip_long"]),
        ),
        "inconsistency.dropout": at_least(  # torch.nn.LSTM drops between layers only
            "places between layers, beside places that a dropout above 0 needs",
            n["training.layers"] - 1,
            largest(0, least(1, 10 * n["training.dropout"])),
        ),
        "inconsistency.small_inputs": [
            at_least(
                "last map of a 32-pixel tile, beside the window that pools it",
                n["table4.cc32.tile_size"] / n["outside.resnet_stride"],
                n["outside.pool_side"],
            ),
            equal(
                "numbers left of a 256-pixel picture, beside one for each channel",
                n["outside.resnet152_width"]
                * (n["image.crop"] / n["outside.resnet_stride"] - n["outside.pool_side"] + 1) ** 2,
                n["outside.resnet152_width"],
            ),
        ],
        "inconsistency.cpu_training": at_most(
            "days for the forward passes alone, beside two weeks",
            n["training.epochs"]
            * (1 - n["captions.dead_links"] / 100)
            * n["captions.train"]
            * n["outside.multiply_adds"]
            / n["outside.cpu_rate"]
            / 86400,
            n["reading.days"],
        ),
        "inconsistency.validation_split": at_least(
            "splits one can see besides train, beside the uses made of them",
            n["captions.splits"] - 1 - n["captions.hidden_splits"],
            n["paper.uses_of_valid"],
        ),
        "inconsistency.headline_gap": equal(
            "gap of the abstract's two scores, beside the gap of the text",
            n["headline.in_domain"] - n["headline.out_domain"],
            n["headline.gap"],
            within=0.05,
        ),
        "inconsistency.climb_of_songs": [
            equal(f"{name}, k = {k}", score(row, k) / 100, n[about], within=n["reading.about"])
            for k, about in ((1, "search.songs_at_one"), (5, "search.songs_at_five"))
            for name, row in (("timbre", "msd"), ("spectrogram", "fma"))
        ],
        "inconsistency.steeper_descent": at_most(
            "smallest loss of a picture row from k = 5 to 10, beside the largest of songs",
            least(*map(loss, PICTURES)),
            largest(*map(loss, SONGS)),
        ),
        "inconsistency.diminishing_returns": at_least(
            "largest gain of any row from k = 5 to 10",
            largest(*(gain(row, 5, 10) for row in (*PICTURES, *SONGS))),
            0,
        ),
        "inconsistency.rise_at_twenty": [
            at_most("64-pixel tiles, k = 20 beside 15", score("cc64", 20), score("cc64", 15)),
            at_most(
                "largest change of the other rows from k = 15 to 20",
                largest(*(gain(row, 15, 20) for row in ("cc32", "cc128", "cc256", *SONGS))),
                0,
            ),
        ],
        "inconsistency.rate_drop": [
            at_most(
                "times as long that five beams must take",
                n["search.msd_rate_drop"] * score("msd", 5) / score("msd", 1),
                n["search.best_beam"],
            ),
            at_least(
                "if five beams take five times as long, the fall for timbre beside the largest of "
                "the others",
                fall("msd"),
                largest(*map(fall, ("fma", *PICTURES))),
            ),
        ],
        "inconsistency.slightly_behind": [
            at_most(
                f"share behind, {name}",
                1 - n[f"table5.{row}.ours_1"] / n[f"table5.{row}.audiocaps_1"],
                n["reading.slightly"],
            )
            for name, row in INPUTS
        ],
        "inconsistency.whole_picture_last": at_least(
            "best lead of the whole picture over the lowest of the tilings, k = 5 to 20",
            largest(*map(lead_of_whole, (5, 10, 15, 20))),
            0,
        ),
        "inconsistency.crop_share": at_least(
            "share of the smallest picture that a crop shows",
            (n["image.crop"] / n["image.min_side"]) ** 2,
            n["reading.half"],
        ),
        "inconsistency.widened_timbre": equal(
            "numbers left over when each is repeated equally often",
            n["encoder.dim"] - n["timbre.dim"] * floor(n["encoder.dim"] / n["timbre.dim"]),
            0,
        ),
        "inconsistency.moderately_lower": [
            at_most(
                "share that the best song score is lower",
                1 - score("msd", 5) / n["headline.in_domain"],
                n["reading.moderately"],
            ),
            at_least("captioners whose score is quoted", n["paper.caption_systems"], 1),
        ],
        "inconsistency.identical_lengths": [
            equal(
                "mean length",
                n["table1.fma.mean_length"],
                n["table1.msd.mean_length"],
                within=0.005,
            ),
            equal(
                "mean length in whole words, beside 'about three'",
                floor(n["table1.fma.mean_length"] + 0.5),
                n["titles.mean_about"],
            ),
        ],
        "consistency.years": equal(
            "years",
            n["titles.msd.last_year"] - n["titles.msd.first_year"],
            n["titles.msd.years_about"],
            within=1,
        ),
        "consistency.splits": equal(
            "captions",
            n["captions.train"] + n["captions.valid"] + n["captions.test"],
            n["captions.examples"],
        ),
        "consistency.samples": equal(
            "samples", n["clip.sample_rate"] * n["clip.duration"], n["clip.samples"]
        ),
        "consistency.timbre": [
            equal("numbers", n["timbre.means"] + n["timbre.covariances"], n["timbre.dim"]),
            equal(
                "covariances, with variances",
                n["timbre.means"] * (n["timbre.means"] + 1) / 2,
                n["timbre.covariances"],
            ),
        ],
        "consistency.tiles": [
            equal(
                f"{row[2:]} pixels",
                (n["image.crop"] / n[f"table4.{row}.tile_size"]) ** 2,
                n[f"table4.{row}.tiles"],
            )
            for row in PICTURES
        ],
        "consistency.advantages": [
            equal(name, lead(row), n[f"audiocaps.{row}_advantage"], within=0.05)
            for name, row in INPUTS
        ],
        "consistency.timbre_gain": equal(
            "times", score("msd", 5) / score("msd", 1), n["search.msd_gain"], within=0.05
        ),
        "consistency.clips": equal(
            "clips", n["clip.genres"] * n["clip.per_genre"], n["clip.tracks"]
        ),
    }
