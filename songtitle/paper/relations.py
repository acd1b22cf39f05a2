"""Does what the paper says in one place follow from another, or from a fact from elsewhere?

No data are needed for that: each relation is worked out again from the numbers of the ledger.
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
)

PICTURES, SONGS = ("cc32", "cc64", "cc128", "cc256"), ("msd", "fma")  # rows of Table 4


def relations(n: Numbers) -> dict[str, list[Relation]]:
    """Name of an inconsistency, or of a claim -> what has to hold between the numbers `n`."""

    def score(row: str, beam: int) -> Number:
        return n[f"table4.{row}.{beam}"]

    def fall(row: str) -> Number:  # of BLEU per second, if five beams take five times as long
        return n["search.best_beam"] / (score(row, 5) / score(row, 1))

    def frames(samples: Number) -> Number:
        return floor((samples - n["spectrogram.window"]) / (n["spectrogram.window"] / 2)) + 1

    found: dict[str, Relation | list[Relation]] = {
        "captions.larger_than_others": at_least(
            "pictures, beside ten times MS-COCO's and Im2Text's",
            n["captions.examples"],
            largest(10 * n["coco.pictures"], n["im2txt.captions"]),
        ),
        "titles.narrowest_range": below(
            "range of lengths, beside the narrower of the other two",
            n["table1.fma.max_length"] - n["table1.fma.min_length"],
            least(
                n["table1.cc.max_length"] - n["table1.cc.min_length"],
                n["table1.msd.max_length"] - n["table1.msd.min_length"],
            ),
        ),
        "audiocaps.ahead_with_beams": above(
            "the smaller lead with five beams",
            least(
                n["table5.mfcc.ours_5"] - n["table5.mfcc.audiocaps_1"],
                n["table5.spectrogram.ours_5"] - n["table5.spectrogram.audiocaps_1"],
            ),
            0,
        ),
        "inconsistency.test_vocabulary": equal(
            "distinct words of the Million Song test titles, table and text",
            n["table3.test.msd"],
            n["titles.msd.test_vocabulary"],
        ),
        "inconsistency.rows_without_timbre": at_most(
            "pairs, beside UCI's rows", n["titles.msd.examples"], n["outside.uci_rows"]
        ),
        "inconsistency.join_without_key": at_least(
            "columns of UCI's file that could name a song (all, less the year and the timbre)",
            n["outside.uci_columns"] - 1 - n["timbre.dim"],
            1,
        ),
        "inconsistency.fma_tracks": equal(
            "tracks, beside what the dataset says of itself",
            n["table1.fma.examples"],
            n["outside.fma_tracks"],
        ),
        "inconsistency.pruned_vocabulary": below(
            "distinct words with a tenth of the captions gone, beside all captions",
            n["captions.vocabulary"],
            n["outside.captions_vocabulary"],
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
        "inconsistency.sampling_rate": at_most(
            "share meant by 'consistently', beside the largest share meant by 'most'",
            n["reading.all"],
            n["reading.most"],
        ),
        "inconsistency.encoder_name": equal(
            "width of the features of the two networks",
            n["outside.inception_resnet_width"],
            n["outside.resnet152_width"],
        ),
        "inconsistency.pooled_width": equal(
            "numbers that enter the decoder, beside those that ResNet-152 pools",
            n["encoder.dim"],
            n["outside.resnet152_width"],
        ),
        "inconsistency.word_vectors": at_most(
            "dimensions of a word, beside the largest GloVe vectors",
            n["training.hidden_size"],
            n["outside.glove_largest"],
        ),
        "inconsistency.dropout": [  # torch.nn.LSTM drops between layers only
            at_least(
                "places between layers, beside places that a dropout above 0 needs",
                n["training.layers"] - 1,
                largest(0, least(1, 10 * n["training.dropout"])),
            )
        ],
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
        "inconsistency.out_domain": equal(
            "meanings of 'out-domain'", n["paper.meanings_of_out_domain"], 1
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
        "inconsistency.timbre_edge": [
            above("timbre and spectrogram, k = 1", score("msd", 1), score("fma", 1)),
            *(above(f"k = {k}", score("msd", k), score("fma", k)) for k in (5, 10, 15, 20)),
        ],
        "inconsistency.climb_of_songs": [
            equal(f"{name}, k = {k}", score(row, k) / 100, n[about], within=n["reading.about"])
            for k, about in ((1, "search.songs_at_one"), (5, "search.songs_at_five"))
            for name, row in (("timbre", "msd"), ("spectrogram", "fma"))
        ],
        "inconsistency.steeper_descent": at_most(
            "smallest loss of a picture row from k = 5 to 10, beside the largest of songs",
            least(*(1 - score(row, 10) / score(row, 5) for row in PICTURES)),
            largest(*(1 - score(row, 10) / score(row, 5) for row in SONGS)),
        ),
        "inconsistency.diminishing_returns": at_least(
            "largest gain of any row from k = 5 to 10",
            largest(*(score(row, 10) - score(row, 5) for row in (*PICTURES, *SONGS))),
            0,
        ),
        "inconsistency.rise_at_twenty": [
            at_most("64-pixel tiles, k = 20 beside 15", score("cc64", 20), score("cc64", 15)),
            at_most(
                "largest change of the other rows from k = 15 to 20",
                largest(
                    *(score(row, 20) - score(row, 15) for row in ("cc32", "cc128", "cc256", *SONGS))
                ),
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
                largest(*(fall(row) for row in ("fma", *PICTURES))),
            ),
        ],
        "inconsistency.slightly_behind": [
            at_most(
                f"share behind, {name}",
                1 - n[f"table5.{row}.ours_1"] / n[f"table5.{row}.audiocaps_1"],
                n["reading.slightly"],
            )
            for name, row in (("timbre", "mfcc"), ("spectrogram", "spectrogram"))
        ],
        "inconsistency.audiocaps_references": equal(
            "references for each answer, AudioCaps and here",
            n["outside.audiocaps_references"],
            n["paper.references"],
        ),
        "inconsistency.first_of_its_kind": at_most(
            "year of the paper, beside the year of an earlier one",
            n["paper.year"],
            n["outside.earlier_year"],
        ),
        "inconsistency.clean_titles": [
            equal("clean titles of Table 2 with the name of a place", n["paper.named_titles"], 0),
            equal(
                "clean titles of Table 2 with a word that is in no dictionary",
                n["paper.odd_words"],
                0,
            ),
        ],
        "inconsistency.whole_picture_last": at_least(
            "best lead of the whole picture over the lowest of the tilings, k = 5 to 20",
            largest(
                *(
                    score("cc256", k) - least(*(score(row, k) for row in PICTURES[:3]))
                    for k in (5, 10, 15, 20)
                )
            ),
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
        "inconsistency.contained_on_a_map": at_least(
            "settings of the map that are stated", n["paper.map_settings"], 1
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
            equal(
                name,
                n[f"table5.{row}.ours_5"] - n[f"table5.{row}.audiocaps_1"],
                n[f"audiocaps.{row}_advantage"],
                within=0.05,
            )
            for name, row in (("timbre", "mfcc"), ("spectrogram", "spectrogram"))
        ],
        "consistency.timbre_gain": equal(
            "times", score("msd", 5) / score("msd", 1), n["search.msd_gain"], within=0.05
        ),
        "consistency.clips": equal(
            "clips", n["clip.genres"] * n["clip.per_genre"], n["clip.tracks"]
        ),
        "consistency.repeated_scores": [
            equal("out of domain, abstract and table", n["headline.out_domain"], score("fma", 5)),
            equal("in domain, abstract and table", n["headline.in_domain"], score("cc32", 5)),
            equal("timbre, text and table", n["search.msd_best"], score("msd", 5)),
            equal("spectrogram, text and table", n["search.fma_best"], score("fma", 5)),
            *(
                equal(f"{name}, k = {k}, two tables", n[f"table5.{twin}.ours_{k}"], score(row, k))
                for name, twin, row in (("timbre", "mfcc", "msd"), ("spectrogram",) * 2 + ("fma",))
                for k in (1, 5)
            ),
        ],
        "consistency.repeated_counts": [
            equal(
                "captions sampled, text and table", n["captions.sampled"], n["table1.cc.examples"]
            ),
            equal(
                "Million Song titles, text and table",
                n["titles.msd.examples"],
                n["table1.msd.examples"],
            ),
            equal(
                "distinct words of the FMA test titles, text and table",
                n["titles.fma.test_vocabulary"],
                n["table3.test.fma"],
            ),
        ],
    }
    return {id: each if isinstance(each, list) else [each] for id, each in found.items()}
