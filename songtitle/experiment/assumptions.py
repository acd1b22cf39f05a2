"""What the paper leaves open: each question one typed parameter with its answers.

`ASSUMPTIONS` lists them by name. An answer is a change of the settings (`apply` makes it), a change
of how results are read (`reading` gives it), or none that small data could test: then `page` names
the page of the book that decides.
"""

from dataclasses import dataclass
from typing import Any

from songtitle.config import ExperimentConfig, override, setting
from songtitle.errors import InputError
from songtitle.metrics.bleu import DEFINITIONS
from songtitle.metrics.pairs import CHOICES

# What the paper has, so that a place can be looked up.
PLACES = frozenset(
    [f"section {n}" for n in ("1", "2", "3", "3.1", "3.2", "3.3", "4", "4.1", "4.2", "4.3", "5")]
    + ["section 6", *(f"table {n}" for n in range(1, 6)), *(f"figure {n}" for n in range(1, 9))]
)


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
    """How a result is read: which BLEU, and which of the hypotheses it scores.

    Raises `InputError` naming the field for what `metrics` does not have, and for a BLEU of a
    corpus, which no song has a part of.
    """

    definition: str = "bleu1"  # a key of metrics.DEFINITIONS
    choice: str = "top"  # one of metrics.CHOICES

    def __post_init__(self) -> None:
        of_items = [name for name, it in DEFINITIONS.items() if it.average == "sentences"]
        for name, known in (("definition", of_items), ("choice", CHOICES)):
            if (value := getattr(self, name)) not in known:
                msg = f"{name}: expected one of {', '.join(known)}, got {value!r}; take one of them"
                raise InputError(msg)


BOOK = Reading()
"""How every page of the book reads its results unless it says otherwise."""


@dataclass(frozen=True)
class Answer:
    """One way to answer a question: a few words, and what has to change for it."""

    label: str
    change: Settings | Reading | None = None  # None where small data cannot show what it does


@dataclass(frozen=True, kw_only=True)
class Assumption:
    """A question that the paper leaves open, with its answers.

    Raises `InputError` where the place is none of the paper's, where two answers share a label,
    and where answers change nothing and no page decides between them.
    """

    name: str  # letters and underscores: "batch_size"
    place: tuple[str, ...]  # where the paper should have said: "section 4.2", "table 1", "figure 4"
    question: str
    default: Answer  # what the preset `quick` takes
    alternatives: tuple[Answer, ...]
    note: str = ""
    page: str = ""  # the notebook that decides where no change of settings on small data can

    def __post_init__(self) -> None:
        labels = [answer.label for answer in self.answers]
        for place in self.place or ("nowhere",):
            if place not in PLACES:
                msg = f"{self.name}: expected a place such as 'section 4.2', got {place!r}; mend it"
                raise InputError(msg)
        if len(set(labels)) < max(2, len(labels)):
            msg = f"{self.name}: expected two or more labels that differ, got {', '.join(labels)}"
            raise InputError(msg)
        if not self.page and any(answer.change is None for answer in self.answers):
            msg = f"{self.name}: expected a change for each answer, or a page that decides; add one"
            raise InputError(msg)

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


def _set(label: str, field: str, value: Any, *more: tuple[str, Any]) -> Answer:
    return Answer(label, Settings(((field, value), *more)))


DECIDED = (
    Assumption(
        name="network",
        place=("section 1", "section 2"),
        question="ResNet-152, or the residual Inception that is cited?",
        default=_set("EfficientNet-Lite0", "model.encoder", "efficientnet_lite0"),
        alternatives=(
            _set("ResNet-152", "model.encoder", "resnet152"),
            _set("ResNet-50", "model.encoder", "resnet50"),
            _set("ResNet-18", "model.encoder", "resnet18"),
        ),
        note="The text names both. Of the ResNets only the shallow ones give the 512 numbers that "
        "it states; the default's weights come with the environment.",
        page="03_training",
    ),
    Assumption(
        name="attention",
        place=("section 6",),
        question="Does the decoder see the picture once, or look again at every word?",
        default=_set("once", "model.decoder", "lstm"),
        alternatives=(
            _set("attention", "model.decoder", "attention"),
            _set("transformer", "model.decoder", "transformer"),
        ),
        note="Once, says section 2; section 6 has tried attention, which “only marginally” helped.",
        page="03_training",
    ),
    Assumption(
        name="fine_tuning",
        place=("section 2", "section 4.2"),
        question="Was the picture network trained further, or only what follows it?",
        default=_set("frozen", "model.fine_tune", False),
        alternatives=(_set("trained further", "model.fine_tune", True),),
        note="“Fine-tuned” may mean either. `train --fine-tune` does it on pictures in shards; it "
        "wants a graphics card.",
        page="../again",
    ),
    Assumption(
        name="word_vectors",
        place=("section 2",),
        question="Are word vectors learned, or taken from GloVe?",
        default=_set("learned", "model.word_vectors", "none"),
        alternatives=(_set("GloVe", "model.word_vectors", "glove"),),
        note="GloVe is cited, and has no vectors of 512 numbers. The setting wants a download.",
        page="../again",
    ),
    Assumption(
        name="test_split",
        place=("section 4.2", "section 5"),
        question="Are pictures scored on the split that training was watched on?",
        default=Answer("a split of their own"),
        alternatives=(Answer("the validation split"),),
        note="The paper's test split is hidden, so its validation split had to serve for both.",
        page="03_training",
    ),
    Assumption(
        name="tiles",
        place=("section 5", "table 4"),
        question="Is each tile scored on the whole caption, and the mean taken?",
        default=Answer("the mean of tiles"),
        alternatives=(Answer("one caption of all tiles"),),
        page="04_search",
    ),
    Assumption(
        name="song_rows",
        place=("section 3.2",),
        question="How were timbre and titles, which share no key, put side by side?",
        default=Answer("both from the clip"),
        alternatives=(
            Answer("row by row"),
            Answer("by year, in order"),
            Answer("by recomputing timbre"),
        ),
        page="07_paper_corpora",
    ),
    Assumption(
        name="named_entities",
        place=("section 4.1", "table 2"),
        question="Were named entities looked for before titles were put in lower case, or after?",
        default=Answer("not looked for"),
        alternatives=(Answer("before"), Answer("after")),
        page="07_paper_corpora",
    ),
    Assumption(
        name="training_pictures",
        place=("section 3.1", "section 4.1", "table 1"),
        question="Which captions were trained on: three million, or a million of them?",
        default=Answer("all that can be had"),
        alternatives=(Answer("a million"),),
        page="07_paper_corpora",
    ),
    Assumption(
        name="map_perplexity",
        place=("section 4.3", "figure 7"),
        question="With which perplexity and scale was the t-SNE map made?",
        default=Answer("30"),
        alternatives=(Answer("others"),),
        page="06_similarity",
    ),
    Assumption(
        name="timing",
        place=("figure 8",),
        question="On which machine, and with which batches, was time measured?",
        default=Answer("search alone, in batches"),
        alternatives=(Answer("song by song"),),
        page="08_speed",
    ),
)


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
        alternatives=(
            _set("once", "min_count", 1),
            _set("4 times", "min_count", 4),
        ),
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
        alternatives=(
            _set("4", "search.max_steps", 4),
            _set("50", "search.max_steps", 50),
        ),
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
