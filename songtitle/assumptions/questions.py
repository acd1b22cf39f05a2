"""The questions: what the paper does not say, or says in two ways, and a change for each answer."""

from typing import Any

from songtitle.assumptions.changes import BOOK, Answer, Assumption, Reading, Settings
from songtitle.assumptions.decided import DECIDED


def _set(label: str, field: str, value: Any, *more: tuple[str, Any]) -> Answer:
    return Answer(label, Settings(((field, value), *more)))


def _read(label: str, **how: str) -> Answer:
    return Answer(label, Reading(**how))


def _transform(label: str, sample_rate: int, n_fft: int, hop_length: int) -> Answer:
    fields = {"sample_rate": sample_rate, "n_fft": n_fft, "hop_length": hop_length}
    return Answer(label, Settings(tuple((f"spectrogram.{k}", v) for k, v in fields.items())))


_LEARNING = (
    Assumption(
        name="dropout",
        place=("section 4.2",),
        question="Where does the dropout of 0.2 act?",
        default=_set("0.2", "model.dropout", 0.2),
        alternatives=(_set("none", "model.dropout", 0.0),),
        note="PyTorch's own dropout between LSTM layers does nothing with a single layer, so the "
        "paper's words may describe a model without any. Here it acts on word vectors and outputs.",
    ),
    Assumption(
        name="batch_size",
        place=("section 4.2",),
        question="How many captions make one update?",
        default=_set("32", "training.batch_size", 32),
        alternatives=(
            _set("16", "training.batch_size", 16),
            _set("128", "training.batch_size", 128),
        ),
    ),
    Assumption(
        name="epochs",
        place=("section 4.2", "figure 6"),
        question="How long did the training that was tested last?",
        default=_set("10", "training.epochs", 10),
        alternatives=(_set("7", "training.epochs", 7),),
        note="The figure shows ten epochs and the text says that the descent subsides at the "
        "seventh. Here the epoch with the best validation loss is kept whichever is the last.",
    ),
    Assumption(
        name="learning_rate",
        place=("section 4.2",),
        question="Does the initial rate of 0.001 change later?",
        default=_set("constant", "training.schedule", "constant"),
        alternatives=(_set("falling", "training.schedule", "cosine"),),
    ),
    Assumption(
        name="batch_order",
        place=("section 4.2",),
        question="Which seed?",
        default=_set("seed 0", "training.seed", 0),
        alternatives=tuple(_set(f"seed {n}", "training.seed", n) for n in (1, 2, 3)),
        note="No assumption but a yardstick: the same captions in another order, and other units "
        "dropped out. A change that moves a score no further than this has shown nothing.",
    ),
    Assumption(
        name="rare_words",
        place=("section 4.1",),
        question="How often must a word occur in the training captions to be known?",
        default=_set("twice", "min_count", 2),
        alternatives=(_set("once", "min_count", 1), _set("4 times", "min_count", 4)),
        note="Perplexities with different vocabularies do not compare.",
    ),
    Assumption(
        name="width",
        place=("section 2", "section 4.2"),
        question="How wide are word vectors, hidden state and picture vector?",
        default=_set("512", "model.dim", 512, ("model.num_heads", 8)),
        alternatives=(_set("300", "model.dim", 300, ("model.num_heads", 6)),),
        note="The paper says 512, and cites word vectors that come with 300 numbers at most. The "
        "number of heads, which divides the width, matters to a transformer alone.",
    ),
    Assumption(
        name="crops",
        place=("section 2",),
        question="Is a picture cropped once, or anew each time it is seen?",
        default=_set("2 of each", "views", 2),
        alternatives=(_set("1 of each", "views", 1),),
        note="Features of the frozen network are kept, so this book draws a few crops in advance.",
    ),
)

_HEARING = (
    Assumption(
        name="timbre_scale",
        place=("section 4.3",),
        question="Are the 90 timbre numbers brought to a common scale?",
        default=_set("standardised", "standardise_timbre", True),
        alternatives=(_set("raw", "standardise_timbre", False),),
        note="None is mentioned. Covariances run into the thousands, where the decoder has met "
        "numbers near 1.",
    ),
    Assumption(
        name="transform",
        place=("section 4.1",),
        question="Which transform gives 256 bins and about 2,580 frames?",
        default=_transform("22 kHz, 512 points", 22_050, 512, 256),
        alternatives=(
            _transform("44 kHz, 1,024 points", 44_100, 1024, 256),
            _transform("44 kHz, 512, no overlap", 44_100, 512, 512),
        ),
        note="The stated one (44.1 kHz, 1,024 points, a window of 512 overlapping by half) gives "
        "twice as many of each. The first alternative is that one, its lower 256 bins kept.",
    ),
    Assumption(
        name="window",
        place=("section 4.1",),
        question="What is the shape of the window?",
        default=_set("Hann", "spectrogram.window", "hann"),
        alternatives=(_set("rectangular", "spectrogram.window", "rectangular"),),
    ),
    Assumption(
        name="decibels",
        place=("section 4.1",),
        question="How does the strength of a frequency become brightness?",
        default=_set("80 dB", "spectrogram.top_db", 80.0),
        alternatives=(
            _set("40 dB", "spectrogram.top_db", 40.0),
            _set("120 dB", "spectrogram.top_db", 120.0),
        ),
        note="Nothing is said of decibels, colours, or how one channel becomes three. Here: grey, "
        "black being so many dB below the loudest.",
    ),
    Assumption(
        name="channel",
        place=("section 4.1",),
        question="Which channel of a stereo clip is heard?",
        default=_set("mean", "spectrogram.channel", "mean"),
        alternatives=(_set("left", "spectrogram.channel", "left"),),
        note="The paper leaves it at averaging both or selecting one.",
    ),
    Assumption(
        name="spectrogram_fit",
        place=("section 4.1", "figure 4"),
        question="How does a picture of 256 by 2,580 pixels enter a network that saw 256 by 256?",
        default=_set("a crop", "spectrogram_fit", "crop"),
        alternatives=(_set("the whole", "spectrogram_fit", "whole"),),
        note="The figure has it follow the way of a natural image, which is cropped.",
    ),
)

_SEARCHING = (
    Assumption(
        name="longest_title",
        place=("section 5",),
        question="After how many words does the search give up?",
        default=_set("20", "search.max_steps", 20),
        alternatives=(_set("4", "search.max_steps", 4), _set("50", "search.max_steps", 50)),
        note="The end of a title counts as a word.",
    ),
    Assumption(
        name="shortest_title",
        place=("section 5",),
        question="May the search answer with nothing, or with one word?",
        default=_set("0 words", "search.min_length", 0),
        alternatives=(
            _set("3 words", "search.min_length", 3),
            _set("4 words", "search.min_length", 4),
        ),
        note="Titles have three words on average, and the shortest caption of the paper has four.",
    ),
    Assumption(
        name="length_penalty",
        place=("section 5",),
        question="Are hypotheses ranked by their summed log-probability, or by its mean per word?",
        default=_set("summed", "search.length_penalty", 0.0),
        alternatives=(_set("mean per word", "search.length_penalty", 1.0),),
        note="A sum falls with every word, so wide beams prefer short answers.",
    ),
)

_READING = (
    Assumption(
        name="bleu",
        place=("section 4", "table 4"),
        question="Which BLEU is “unigram BLEU precision”?",
        default=Answer("words, BLEU-1", BOOK),
        alternatives=(
            _read("words, no brevity", definition="precision"),
            _read("words, NLTK 3.2.5", definition="nltk_3_2_5"),
            _read("letters, BLEU-1", definition="letters"),
            _read("letters, no brevity", definition="letters_precision"),
        ),
        note="A sentence that is given to NLTK as text, not as a list, is scored by its letters.",
    ),
    Assumption(
        name="hypothesis",
        place=("section 5",),
        question="Which of the k hypotheses is scored?",
        default=Answer("the likeliest", BOOK),
        alternatives=(
            _read("likeliest per word", choice="normalised"),
            _read("mean of the k", choice="mean"),
            _read("best of the k", choice="best"),
        ),
        note="“Returns a list of the best k” leaves it open. The best of k by the score itself "
        "needs the true title, so it is no way to name a song.",
    ),
)

ASSUMPTIONS: tuple[Assumption, ...] = (
    *_LEARNING,
    *_HEARING,
    *_SEARCHING,
    *_READING,
    *DECIDED,
)
