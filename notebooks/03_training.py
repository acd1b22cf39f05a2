# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Training: does the captioner look at the picture?
#
# A {term}`captioner` can get better in two ways: by learning what captions are like, and by looking
# at the picture. Only the second could ever carry over to music. This page draws the model, trains
# it, and parts the two with {term}`controls <control>`.
#
# The model has two halves. The {term}`encoder` turns a picture into a list of numbers; it comes
# trained, and stays as it is. The {term}`decoder`, here an {term}`LSTM` unless the box above says
# otherwise, reads that list once and writes word after word.

# %% tags=["parameters"]
preset: str = "quick"  # settings: tiny, quick, course, best_guess, modern or paper_literal
seed: int = 0  # whole number that all random choices are made from
device: str = "auto"  # where to compute: auto, cpu, cuda or mps
settings: dict = {}  # any others by dotted name, such as {"spectrogram.hop_length": 128}
encoder: str = None  # picture network, such as "resnet18"; None: the preset's own
decoder: str = None  # "lstm", "attention" or "transformer"; None: the preset's own
compared_encoders: list[str] = None  # encoders to compare; None: the preset's own
compared_decoders: list[str] = None  # decoders to compare; None: the preset's own
again: bool = False  # True: train the compared models here; False: show what was published

# %% tags=["hide-input"]
import pandas as pd
from myst_nb import glue

from songtitle import experiment, plots, presets, report, tables

plots.use_house_style()
changes = {"encoder": encoder, "decoder": decoder}
changes |= {"compared_encoders": compared_encoders, "compared_decoders": compared_decoders}
config = presets.preset(preset, settings, seed=seed, device=device, **changes)
record = experiment.training(config)
boxes = report.diagram(config, record)
words = report.example_caption(config)
tables.made_by([record], config)

# %% mystnb={"figure": {"caption": "Figure 1 of the paper, drawn from the model trained here: the picture enters the LSTM once, before the first word.", "name": "fig-1"}, "image": {"alt": "Diagram: a picture crop passes a frozen network and a trained projection into an LSTM unrolled over time, which reads the begin mark and the words of a caption and gives each next word."}} tags=["hide-input"]
plots.draw_captioner(boxes["picture"], words, decoder=boxes["decoder"][0]);

# %% mystnb={"figure": {"caption": "Figure 2 of the paper: what is learnt on pictures is applied to songs.", "name": "fig-2"}, "image": {"alt": "Diagram of two steps. Above, pictures and captions train projection and decoder. Below, spectrograms of songs pass the same weights and give titles."}} tags=["hide-input"]
plots.draw_two_steps(
    [*boxes["picture"], *boxes["decoder"]], [*boxes["spectrogram"], *boxes["decoder"]]
);

# %% mystnb={"figure": {"caption": "Figure 3 of the paper, the baseline: timbre enters the decoder by a back door.", "name": "fig-3"}, "image": {"alt": "Diagram: audio becomes ninety timbre numbers, replicated to the decoder's width, which enter the unrolled LSTM in the picture's place."}} tags=["hide-input"]
plots.draw_captioner(boxes["timbre"], ["a", "title"], decoder=boxes["decoder"][0]);

# %% mystnb={"figure": {"caption": "Figure 4 of the paper, the mainline: the spectrogram takes the whole way of a picture.", "name": "fig-4"}, "image": {"alt": "Diagram: audio becomes a spectrogram, which passes the frozen network and the projection like a picture, and enters the unrolled LSTM."}} tags=["hide-input"]
plots.draw_captioner(boxes["spectrogram"], ["a", "title"], decoder=boxes["decoder"][0]);

# %% [markdown]
# ## Perplexity by epoch
#
# {term}`Perplexity <perplexity>` is the number of words the model hesitates between at each step,
# on captions it has not seen ({term}`held-out data`). The two horizontal lines are the controls:
# a **unigram** model knows how frequent each word is and nothing else; with **permuted pictures**
# the trained captioner is shown the wrong picture for each caption. The distance from the second
# line to the curve's lowest point is what the picture contributes.

# %% mystnb={"figure": {"caption": "Figure 6 of the paper, redone: perplexity by epoch, with two controls.", "name": "fig-6"}, "image": {"alt": "Perplexity against epoch: one curve for training, one for validation, and two horizontal lines for the controls, the unigram model and permuted pictures."}} tags=["hide-input"]
controls = {
    "unigram model": record.result["unigram_perplexity"],
    "permuted pictures": record.result["permuted_pictures_perplexity"],
}
plots.perplexity_by_epoch(pd.DataFrame(record.result["history"]), references=controls);

# %% tags=["hide-input"]
tables.Table(
    report.perplexities(record),
    name="tab-perplexity",
    caption="Validation perplexity of the captioner kept, and of its controls.",
)

# %% [markdown]
# A word that occurs once in the training captions counts as
# {term}`unknown <unknown word>` for all models alike. The paper's curve flattens at about the
# seventh {term}`epoch` on millions of pictures. On hundreds, the captioner starts to learn its
# training captions by heart much sooner ({term}`overfitting`); the epoch with the lowest validation
# perplexity is the one kept.
#
# ## Another encoder, another decoder
#
# The paper closes by asking for {term}`attention`, for {term}`transformers <transformer>`, and for
# shallower encoders. Below, each encoder feeds each decoder; all pairs train alike on the same
# captions. The LSTM reads the picture
# as one vector. The other two attend to its map, a vector for each of its regions, and choose at
# every word where to look. Pairs other than this page's own stop after two epochs without a better
# validation loss; the best epoch is kept of all.

# %% tags=["hide-input"]
compared = experiment.published(experiment.comparison, config, again=again)
tables.Table(
    report.comparison(compared),
    name="tab-comparison",
    caption="Encoders and decoders compared on the same held-out pictures.",
    note="Perplexity on validation captions, in brackets with the wrong pictures. BLEU-1 of the "
    "test pictures at k = 5, in percent points, with its 95 % interval; chance as in Table 4. "
    f"Weights: trained + frozen. Seconds: one epoch + all features. {tables.origin(compared)}",
)

# %% [markdown]
# Look for intervals that do not overlap before you call one model better than another: a hundred
# test pictures separate few of them.
#
# ## What it means
#
# The distance between the wrong picture and the right one, in {numref}`tab-perplexity`, is what
# looking is worth. All the rest the model knows from captions alone. Only what it has learnt to do
# with its input can serve it when the input is a song, so keep this distance in mind: where it is
# small, there is little to carry over. It says nothing about songs yet. They come next, in
# {doc}`04_search`. And where the intervals of two models in {numref}`tab-comparison` overlap, these
# pictures give no reason to prefer one; {doc}`12_switchboard` tries what else might matter.

# %% [markdown]
# ## Exercises
#
# ```{exercise} Perplexity
# :label: ex-03-1
#
# A model gave each word of a caption a probability; you have their natural logarithms. Write
# `perplexity(log_probs)`: the exponential of their mean with its sign turned. What is it for a model
# that gives every word of a vocabulary the same probability?
# ```
#
# ```{solution-start} ex-03-1
# :label: sol-03-1
# :class: dropdown
# ```
#
# Equal probabilities are $1/V$ each, so the perplexity is $V$: the model hesitates between all the
# words there are.

# %% tags=["solution"]
import math
def perplexity(log_probs):
    """How many words a model hesitates between, from log-probabilities in nats."""
    return math.exp(-sum(log_probs) / len(log_probs))

# %% [markdown]
# ```{solution-end}
# ```

# %% tags=["check", "remove-cell"]
assert abs(perplexity([math.log(0.5)] * 3) - 2) < 1e-9

# %% tags=["hidden-check", "remove-cell"]
assert abs(perplexity([-math.log(1000)] * 7) - 1000) < 1e-6
assert abs(perplexity([math.log(0.5), math.log(0.125)]) - 4) < 1e-9

# %% [markdown]
# ```{exercise} Below without looking
# :label: ex-03-2
#
# With the wrong pictures a trained captioner usually still beats the {term}`unigram` model. Why? Name
# something that a captioner knows without any picture and a unigram model does not.
# ```
#
# ```{solution} ex-03-2
# :label: sol-03-2
# :class: dropdown
#
# It knows *order*: how captions begin, which word follows which, when to stop. A unigram model only
# knows how frequent each word is. Should the line of the wrong pictures lie above the unigram's, the
# captioner trusts pictures so much that a wrong one misleads it more than order helps.
# ```
#
# ```{exercise} A network that has seen nothing
# :label: ex-03-3
#
# Suppose the picture network had never been trained (`weights="none"` in `ModelConfig`). Which line of
# the figure cannot move? Which way would you expect the others to go?
# ```
#
# ```{solution} ex-03-3
# :label: sol-03-3
# :class: dropdown
#
# The unigram line cannot move: it is counted in captions alone. Features of an untrained network say
# less about a picture, so the distance from the curve's lowest point to the line of the wrong pictures
# should shrink. If it did not, that distance would not be due to seeing.
# ```

# %% tags=["remove-cell"]
for name, value in report.facts(record).items():
    glue(name, value, display=False)
