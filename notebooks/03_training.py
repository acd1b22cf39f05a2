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
# A captioner can lower its loss in two ways: by learning what captions are like, and by looking at
# the picture. Only the second could ever carry over to music. This page draws the model, trains
# it, and separates the two with controls.

# %% tags=["parameters"]
preset = "quick"
seed = 0
device = "auto"
encoder = None  # the preset's own; or one such as "resnet18"
decoder = None  # "lstm", "attention" or "transformer"
compared_encoders = None  # the preset's own; or a list
compared_decoders = None
again = False  # True: train what is compared here, in place of showing the published comparison

# %% tags=["hide-input"]
import pandas as pd
from myst_nb import glue

from songtitle import experiment, plots, presets, report, tables

plots.use_house_style()
changes = {"encoder": encoder, "decoder": decoder}
changes |= {"compared_encoders": compared_encoders, "compared_decoders": compared_decoders}
config = presets.preset(preset, seed=seed, device=device, **changes)
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
# Perplexity is the number of words the model hesitates between at each step, on captions it has
# not seen. The two horizontal lines are the controls: a **unigram** model knows how frequent each
# word is and nothing else; with **permuted pictures** the trained captioner is shown the wrong
# picture for each caption. The distance from the second line to the curve's lowest point is what
# the picture contributes.

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
# A word that occurs once in the training captions counts as unknown, `<unk>`, for all models
# alike. The paper's curve flattens at about the seventh epoch on millions of pictures. On hundreds,
# the captioner starts to learn its training captions by heart much sooner; the epoch with the
# lowest validation perplexity is the one kept.
#
# ## Another encoder, another decoder
#
# The paper closes by asking for attention, for transformers, and for shallower encoders. Below, each
# encoder feeds each decoder; all pairs train alike on the same captions. The LSTM reads the picture
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
# ## Exercises
#
# 1. A model that gives every word of the vocabulary the same probability has which perplexity?
# 2. Why is the permuted-pictures line *below* the unigram line? Name something a captioner knows
#    without any picture that a unigram model does not.
# 3. Set `weights="none"` in the preset's model (a network that never saw ImageNet). Predict which
#    of the lines moves, then run it.
# 4. Run this notebook with `-p decoder transformer`. The whole page changes its model by that one
#    word: which figures stay as they are, and why?

# %% tags=["remove-cell"]
for name, value in report.facts(record).items():
    glue(name, value, display=False)
