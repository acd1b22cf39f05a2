"""Questions that a page of the book decides, or shows, since no small change of settings can.

Some of them are a matter of settings all the same: other networks, which take a download or an hour
each. Those have their changes, too, for a reader who has the time.
"""

from typing import Any

from songtitle.assumptions.changes import Answer, Assumption, Settings


def _set(label: str, field: str, value: Any) -> Answer:
    return Answer(label, Settings(((field, value),)))


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
