"""What the paper leaves open: each question one typed parameter with its answers.

`ASSUMPTIONS` lists them by name. An answer is a change of the settings (`apply` makes it), a change
of how results are read (`reading` gives it), or none that small data could test: then `page` names
the page of the book that decides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from songtitle.config import ExperimentConfig, override, setting
from songtitle.errors import InputError


@dataclass(frozen=True)
class Settings:
    """Other values of fields of `ExperimentConfig`, dotted within: `("model.dropout", 0.0)`."""

    values: tuple[tuple[str, Any], ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """The dotted fields, in order."""
        return tuple(name for name, _ in self.values)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a result is read: which BLEU, and which of the hypotheses it scores."""

    definition: str = "bleu1"  # a key of metrics.bleu.DEFINITIONS, of those that score each item
    choice: str = "top"  # one of metrics.pairs.CHOICES


BOOK = Reading()
"""How every page of the book reads its results unless it says otherwise."""


@dataclass(frozen=True)
class Answer:
    """One way to answer a question: a few words, and what has to change for it."""

    label: str
    change: Settings | Reading | None = None  # None where small data cannot show what it does


@dataclass(frozen=True, kw_only=True)
class Assumption:
    """A question that the paper leaves open, with its answers."""

    name: str  # letters and underscores: "batch_size"
    place: tuple[str, ...]  # where the paper should have said: "section 4.2", "table 1", "figure 4"
    question: str
    default: Answer  # what the preset `quick` takes
    alternatives: tuple[Answer, ...]
    note: str = ""
    page: str = ""  # the notebook that decides where no change of settings on small data can

    @property
    def answers(self) -> tuple[Answer, ...]:
        """The default, then the alternatives."""
        return (self.default, *self.alternatives)

    def answer(self, label: str) -> Answer:
        """The answer of this label; `InputError` where there is none."""
        for each in self.answers:
            if each.label == label:
                return each
        labels = ", ".join(repr(each.label) for each in self.answers)
        msg = f"{self.name}: expected one of {labels}, got {label!r}; choose one of them"
        raise InputError(msg)


def _open(
    name: str,
    place: str,
    question: str,
    answers: Mapping[str, Any] | Sequence[str],
    note: str = "",
    *,
    fields: str = "",
    page: str = "",
) -> Assumption:
    """A row of the table; of the answers the first is the default.

    `fields` names what they change, of the settings or of `Reading`; then each label has its value,
    of several fields a tuple. Without, there are labels alone and a page decides.
    """

    def change(label: str) -> Settings | Reading | None:
        if not isinstance(answers, Mapping):
            return None
        value, names = answers[label], fields.split()
        if fields in ("definition", "choice"):
            return Reading(**{fields: value})
        return Settings(tuple(zip(names, value if len(names) > 1 else (value,), strict=True)))

    default, *others = (Answer(label, change(label)) for label in answers)
    return Assumption(
        name=name,
        place=tuple(place.split(", ")),
        question=question,
        default=default,
        alternatives=tuple(others),
        note=note,
        page=page,
    )


ASSUMPTIONS: tuple[Assumption, ...] = (
    # learning
    _open(
        "dropout",
        "section 4.2",
        "Where does the dropout of 0.2 act?",
        {"0.2": 0.2, "none": 0.0},
        "PyTorch's own dropout between LSTM layers does nothing with a single layer, so the "
        "paper's words may describe a model without any. Here it acts on word vectors and outputs.",
        fields="model.dropout",
    ),
    _open(
        "batch_size",
        "section 4.2",
        "How many captions make one update?",
        {"32": 32, "16": 16, "128": 128},
        fields="training.batch_size",
    ),
    _open(
        "epochs",
        "section 4.2, figure 6",
        "How long did the training that was tested last?",
        {"10": 10, "7": 7},
        "The figure shows ten epochs and the text says that the descent subsides at the "
        "seventh. Here the epoch with the best validation loss is kept whichever is the last.",
        fields="training.epochs",
    ),
    _open(
        "learning_rate",
        "section 4.2",
        "Does the initial rate of 0.001 change later?",
        {"constant": "constant", "falling": "cosine"},
        fields="training.schedule",
    ),
    _open(
        "batch_order",
        "section 4.2",
        "Which seed?",
        {f"seed {seed}": seed for seed in range(4)},
        "No assumption but a yardstick: the same captions in another order, and other units "
        "dropped out. A change that moves a score no further than this has shown nothing.",
        fields="training.seed",
    ),
    _open(
        "rare_words",
        "section 4.1",
        "How often must a word occur in the training captions to be known?",
        {"twice": 2, "once": 1, "4 times": 4},
        "Perplexities with different vocabularies do not compare.",
        fields="min_count",
    ),
    _open(
        "width",
        "section 2, section 4.2",
        "How wide are word vectors, hidden state and picture vector?",
        {"512": (512, 8), "300": (300, 6)},
        "The paper says 512, and cites word vectors that come with 300 numbers at most. The "
        "number of heads, which divides the width, matters to a transformer alone.",
        fields="model.dim model.num_heads",
    ),
    _open(
        "crops",
        "section 2",
        "Is a picture cropped once, or anew each time it is seen?",
        {"2 of each": 2, "1 of each": 1},
        "Features of the frozen network are kept, so this book draws a few crops in advance.",
        fields="views",
    ),
    # hearing
    _open(
        "timbre_scale",
        "section 4.3",
        "Are the 90 timbre numbers brought to a common scale?",
        {"standardised": True, "raw": False},
        "None is mentioned. Covariances run into the thousands, where the decoder has met "
        "numbers near 1.",
        fields="standardise_timbre",
    ),
    _open(
        "transform",
        "section 4.1",
        "Which transform gives 256 bins and about 2,580 frames?",
        {
            "22 kHz, 512 points": (22_050, 512, 256),
            "44 kHz, 1,024 points": (44_100, 1024, 256),
            "44 kHz, 512, no overlap": (44_100, 512, 512),
        },
        "The stated one (44.1 kHz, 1,024 points, a window of 512 overlapping by half) gives "
        "twice as many of each. The first alternative is that one, its lower 256 bins kept.",
        fields="spectrogram.sample_rate spectrogram.n_fft spectrogram.hop_length",
    ),
    _open(
        "window",
        "section 4.1",
        "What is the shape of the window?",
        {"Hann": "hann", "rectangular": "rectangular"},
        fields="spectrogram.window",
    ),
    _open(
        "decibels",
        "section 4.1",
        "How does the strength of a frequency become brightness?",
        {"80 dB": 80.0, "40 dB": 40.0, "120 dB": 120.0},
        "Nothing is said of decibels, colours, or how one channel becomes three. Here: grey, "
        "black being so many dB below the loudest.",
        fields="spectrogram.top_db",
    ),
    _open(
        "channel",
        "section 4.1",
        "Which channel of a stereo clip is heard?",
        {"mean": "mean", "left": "left"},
        "The paper leaves it at averaging both or selecting one.",
        fields="spectrogram.channel",
    ),
    _open(
        "spectrogram_fit",
        "section 4.1, figure 4",
        "How does a picture of 256 by 2,580 pixels enter a network that saw 256 by 256?",
        {"a crop": "crop", "the whole": "whole"},
        "The figure has it follow the way of a natural image, which is cropped.",
        fields="spectrogram_fit",
    ),
    # searching
    _open(
        "longest_title",
        "section 5",
        "After how many words does the search give up?",
        {"20": 20, "4": 4, "50": 50},
        "The end of a title counts as a word.",
        fields="search.max_steps",
    ),
    _open(
        "shortest_title",
        "section 5",
        "May the search answer with nothing, or with one word?",
        {"0 words": 0, "3 words": 3, "4 words": 4},
        "Titles have three words on average, and the shortest caption of the paper has four.",
        fields="search.min_length",
    ),
    _open(
        "length_penalty",
        "section 5",
        "Are hypotheses ranked by their summed log-probability, or by its mean per word?",
        {"summed": 0.0, "mean per word": 1.0},
        "A sum falls with every word, so wide beams prefer short answers.",
        fields="search.length_penalty",
    ),
    # reading
    _open(
        "bleu",
        "section 4, table 4",
        "Which BLEU is “unigram BLEU precision”?",
        {
            "words, BLEU-1": "bleu1",
            "words, no brevity": "precision",
            "words, NLTK 3.2.5": "nltk_3_2_5",
            "letters, BLEU-1": "letters",
            "letters, no brevity": "letters_precision",
        },
        "A sentence that is given to NLTK as text, not as a list, is scored by its letters.",
        fields="definition",
    ),
    _open(
        "hypothesis",
        "section 5",
        "Which of the k hypotheses is scored?",
        {
            "the likeliest": "top",
            "likeliest per word": "normalised",
            "mean of the k": "mean",
            "best of the k": "best",
        },
        "“Returns a list of the best k” leaves it open. The best of k by the score itself "
        "needs the true title, so it is no way to name a song.",
        fields="choice",
    ),
    # decided by a page
    _open(
        "network",
        "section 1, section 2",
        "ResNet-152, or the residual Inception that is cited?",
        {
            "EfficientNet-Lite0": "efficientnet_lite0",
            "ResNet-152": "resnet152",
            "ResNet-50": "resnet50",
            "ResNet-18": "resnet18",
        },
        "The text names both. Of the ResNets only the shallow ones give the 512 numbers that "
        "it states; the default's weights come with the environment.",
        fields="model.encoder",
        page="03_training",
    ),
    _open(
        "attention",
        "section 6",
        "Does the decoder see the picture once, or look again at every word?",
        {"once": "lstm", "attention": "attention", "transformer": "transformer"},
        "Once, says section 2; section 6 has tried attention, which “only marginally” helped.",
        fields="model.decoder",
        page="03_training",
    ),
    _open(
        "fine_tuning",
        "section 2, section 4.2",
        "Was the picture network trained further, or only what follows it?",
        {"frozen": False, "trained further": True},
        "“Fine-tuned” may mean either. `train --fine-tune` does it on pictures in shards; it "
        "wants a graphics card.",
        fields="model.fine_tune",
        page="../again",
    ),
    _open(
        "word_vectors",
        "section 2",
        "Are word vectors learned, or taken from GloVe?",
        {"learned": "none", "GloVe": "glove"},
        "GloVe is cited, and has no vectors of 512 numbers. The setting wants a download.",
        fields="model.word_vectors",
        page="../again",
    ),
    _open(
        "test_split",
        "section 4.2, section 5",
        "Are pictures scored on the split that training was watched on?",
        ["a split of their own", "the validation split"],
        "The paper's test split is hidden, so its validation split had to serve for both.",
        page="03_training",
    ),
    _open(
        "tiles",
        "section 5, table 4",
        "Is each tile scored on the whole caption, and the mean taken?",
        ["the mean of tiles", "one caption of all tiles"],
        page="04_search",
    ),
    _open(
        "song_rows",
        "section 3.2",
        "How were timbre and titles, which share no key, put side by side?",
        ["both from the clip", "row by row", "by year, in order", "by recomputing timbre"],
        page="07_paper_corpora",
    ),
    _open(
        "named_entities",
        "section 4.1, table 2",
        "Were named entities looked for before titles were put in lower case, or after?",
        ["not looked for", "before", "after"],
        page="07_paper_corpora",
    ),
    _open(
        "training_pictures",
        "section 3.1, section 4.1, table 1",
        "Which captions were trained on: three million, or a million of them?",
        ["all that can be had", "a million"],
        page="07_paper_corpora",
    ),
    _open(
        "map_perplexity",
        "section 4.3, figure 7",
        "With which perplexity and scale was the t-SNE map made?",
        ["30", "others"],
        page="06_similarity",
    ),
    _open(
        "timing",
        "figure 8",
        "On which machine, and with which batches, was time measured?",
        ["search alone, in batches", "song by song"],
        page="08_speed",
    ),
)


def assumption(name: str) -> Assumption:
    """The assumption of this name; `InputError`, with the names there are, where there is none."""
    known = {each.name: each for each in ASSUMPTIONS}
    if name not in known:
        msg = f"assumption: expected one of {', '.join(known)}, got {name!r}; choose one of them"
        raise InputError(msg)
    return known[name]


def apply(config: ExperimentConfig, question: Assumption | str, label: str) -> ExperimentConfig:
    """The settings with another answer to one question.

    Raises `InputError` for a label or field that does not exist, a value that does not fit, an
    answer that the settings take already, and one that is no matter of settings.
    """
    question = _known(question)
    change = question.answer(label).change
    if not isinstance(change, Settings):
        how = "how results are read" if isinstance(change, Reading) else f"page {question.page}"
        msg = f"{question.name}: expected a matter of settings, got {label!r}, one of {how}"
        raise InputError(msg + "; change another")
    try:
        changed = override(config, dict(change.values))
    except InputError as error:
        msg = f"{question.name}: {error}"
        raise InputError(msg) from None
    if changed == config:
        msg = (
            f"{question.name}: expected an answer other than that of preset {config.name}, "
            f"got {label!r}, which it has; choose another"
        )
        raise InputError(msg)
    return changed


def reading(question: Assumption | str, label: str) -> Reading:
    """How this answer has results read: as the book does, unless that is the question."""
    change = _known(question).answer(label).change
    return change if isinstance(change, Reading) else BOOK


def taken(config: ExperimentConfig, question: Assumption | str) -> Answer | None:
    """The answer that settings take; None where a page decides or they take one of their own."""
    question = _known(question)
    for answer in question.answers:
        if isinstance(answer.change, Reading) and answer.change == BOOK:
            return answer  # no preset reads otherwise
        if isinstance(answer.change, Settings):
            values = answer.change.values
            if all(setting(config, name) == value for name, value in values):
                return answer
    return None


def open_answers(config: ExperimentConfig) -> list[tuple[Assumption, Answer]]:
    """Every other answer that settings could take, question by question.

    Those named in `config.switches`, or all of them; not those that a page decides, which raise
    `InputError` if named.
    """
    chosen = [assumption(name) for name in config.switches] or ASSUMPTIONS
    for question in chosen if config.switches else ():
        if question.page:
            msg = (
                f"{question.name}: expected a question that this page tests, got one that page "
                f"{question.page} decides; name another in switches"
            )
            raise InputError(msg)
    return [
        (question, answer)
        for question in chosen
        if not question.page
        for answer in question.answers
        if answer != taken(config, question)
    ]


def _known(question: Assumption | str) -> Assumption:
    return assumption(question) if isinstance(question, str) else question
