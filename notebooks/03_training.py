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
preset: str = "quick"  # settings: tiny, quick, rehearsal, course, best_guess, modern or paper_literal
seed: int = 0  # whole number that all random choices are made from
device: str = "auto"  # where to compute: auto, cpu, cuda or mps
settings: dict = {}  # any others by dotted name, such as {"spectrogram.hop_length": 128}
corpora: str = None  # book, samples, paper, rehearsal or a TOML file; None: the preset's own
encoder: str = None  # picture network, such as "resnet18"; None: the preset's own
decoder: str = None  # "lstm", "attention" or "transformer"; None: the preset's own
compared_encoders: list[str] = None  # encoders to compare; None: the preset's own
compared_decoders: list[str] = None  # decoders to compare; None: the preset's own
again: bool = False  # True: train the compared models here; False: show what was published

# %% tags=["hide-input"]
import pandas as pd
from myst_nb import glue

from songtitle import cache, figures, tables
from songtitle import config as presets
from songtitle.experiment import duplicates, learning, scoring
from songtitle.experiment import corpora as stages
from songtitle.experiment.inputs import picture_features
from songtitle.studies import in_short
from songtitle.studies import training as study

figures.use_house_style()
changes = {"encoder": encoder, "decoder": decoder}
changes |= {"compared_encoders": compared_encoders, "compared_decoders": compared_decoders}
config = presets.preset(preset, settings, seed=seed, device=device, corpora=corpora, **changes)
record = learning.training(config)
near = duplicates.near_duplicates(config)
boxes, words = study.diagram(config, record), study.example_caption(config)
tables.made_by([record, near], config)

# %% tags=["hide-input"]
in_short.training(record.result, study.unknown_share(config, record))

# %% mystnb={"figure": {"caption": "Figure 1 of the paper, drawn from the model trained here: the picture enters the LSTM once, before the first word.", "name": "fig-1"}, "image": {"alt": "Diagram: a picture crop passes a frozen network and a trained projection into an LSTM unrolled over time, which reads the begin mark and the words of a caption and gives each next word."}} tags=["hide-input"]
study.draw_captioner(boxes["picture"], words, decoder=boxes["decoder"][0]);

# %% mystnb={"figure": {"caption": "Figure 2 of the paper: what is learnt on pictures is applied to songs.", "name": "fig-2"}, "image": {"alt": "Diagram of two steps. Above, pictures and captions train projection and decoder. Below, spectrograms of songs pass the same weights and give titles."}} tags=["hide-input"]
study.draw_two_steps(
    [*boxes["picture"], *boxes["decoder"]], [*boxes["spectrogram"], *boxes["decoder"]]
);

# %% mystnb={"figure": {"caption": "Figure 3 of the paper, the baseline: timbre enters the decoder by a back door.", "name": "fig-3"}, "image": {"alt": "Diagram: audio becomes ninety timbre numbers, replicated to the decoder's width, which enter the unrolled LSTM in the picture's place."}} tags=["hide-input"]
study.draw_captioner(boxes["timbre"], ["a", "title"], decoder=boxes["decoder"][0]);

# %% mystnb={"figure": {"caption": "Figure 4 of the paper, the mainline: the spectrogram takes the whole way of a picture.", "name": "fig-4"}, "image": {"alt": "Diagram: audio becomes a spectrogram, which passes the frozen network and the projection like a picture, and enters the unrolled LSTM."}} tags=["hide-input"]
study.draw_captioner(boxes["spectrogram"], ["a", "title"], decoder=boxes["decoder"][0]);

# %% [markdown]
# ## The model, line by line
#
# A batch: eight training pictures, each with its caption. The picture network has made a row of
# numbers, its *features*, of each picture. A caption becomes a row of numbers too, one for each
# word, between a mark that begins it and a mark that ends it; short rows are filled up.

# %%
import math

import torch

from songtitle.corpora.batches import Batch, pad_captions
from songtitle.model.features import read_features
from songtitle.vocabulary import Vocabulary

vocabulary = Vocabulary.load(record.file("vocabulary.json"))
words = stages.corpora(config)
captions = [each["tokens"] for each in stages.picture_rows(words, "train")[:8]]
ids = [vocabulary.encode(caption) for caption in captions]  # <bos>, the words, <eos>
tokens, lengths = pad_captions(ids, pad_id=vocabulary.pad_id)  # (8, steps)
seen = read_features(picture_features(config).file("pooled.safetensors"))
features = seen["train"][:8, 0].float()  # (8, 1, features): the first crop of each picture
print(captions[0], "->", tokens[0].tolist())

# %% [markdown]
# An LSTM reads one input at a time and carries two rows of numbers along: `hidden`, what it shows,
# and `cell`, what it remembers. Four *gates*, made of the input and of what it showed before,
# decide what to let in, what to keep, what to write and what to show.

# %%
def lstm_step(lstm, x, hidden, cell):
    """One step of an LSTM: x, hidden and cell are (batch, dim), and so are both results."""
    gates = x @ lstm.weight_ih_l0.T + lstm.bias_ih_l0  # (batch, 4 * dim)
    gates = gates + hidden @ lstm.weight_hh_l0.T + lstm.bias_hh_l0
    let_in, keep, write, show = gates.chunk(4, dim=1)  # (batch, dim) each
    cell = keep.sigmoid() * cell + let_in.sigmoid() * write.tanh()
    return show.sigmoid() * cell.tanh(), cell

def captioner(model, features, tokens):
    """Logits, a score of every word at every step: (batch, steps, vocab)."""
    wide = model.encoder.linear(features[:, 0])  # (batch, dim)
    memory = model.encoder.norm(wide)  # (batch, dim), columns of mean 0 and deviation 1
    hidden = cell = torch.zeros_like(memory)  # nothing shown, nothing remembered
    hidden, cell = lstm_step(model.decoder.lstm, memory, hidden, cell)  # the picture, once
    logits = []
    for step in range(tokens.shape[1]):
        word = model.decoder.embed(tokens[:, step])  # (batch, dim): the *true* word
        hidden, cell = lstm_step(model.decoder.lstm, word, hidden, cell)
        logits.append(model.decoder.output(hidden))  # (batch, vocab)
    return torch.stack(logits, dim=1)

# %% [markdown]
# Each step is given the true word, whatever the model itself would have said: this is called
# *teacher forcing*. A small captioner that has learnt nothing yet gives the same numbers by these
# lines as by the library's, which read the whole caption at once.

# %%
from songtitle.config import ModelConfig
from songtitle.model.captioner import build_captioner

torch.manual_seed(seed)
small = ModelConfig(dim=64, dropout=0.0)
model = build_captioner(
    small, features=features.shape[-1], vocab=len(vocabulary), pad_id=vocabulary.pad_id
)
inputs, targets = tokens[:, :-1], tokens[:, 1:]  # from each word to the next
logits = captioner(model, features, inputs)
counted = targets != vocabulary.pad_id  # (8, steps): where there is a word to be said
assert torch.allclose(logits[counted], model(features, inputs)[counted], atol=1e-4)
print(f"logits {tuple(logits.shape)}: pictures, steps, words of the vocabulary")

# %% [markdown]
# ## The loss
#
# Logits become probabilities, and one number says how good these are: the mean of $-\log p$ over
# all the words that should have come. Its exponential is the {term}`perplexity`, the number of
# words that the model hesitates between; one that knows nothing hesitates between all of them.

# %%
from songtitle.training.loop import token_loss

def loss_of(logits, targets):
    """Mean of -log p(true word), in nats; padding does not count."""
    log_probs = logits.log_softmax(dim=-1)  # (batch, steps, vocab)
    of_truth = log_probs.gather(-1, targets[..., None])[..., 0]  # (batch, steps)
    return -of_truth[targets != vocabulary.pad_id].mean()

loss = loss_of(logits, targets)
total, words_counted = token_loss(model, Batch(features, tokens, lengths), pad_id=vocabulary.pad_id)
assert torch.allclose(loss, total / words_counted, atol=1e-4)  # what the library's training lowers
print(f"loss {loss:.2f} nats, perplexity {loss.exp():.0f}, vocabulary {len(vocabulary)}")

# %% [markdown]
# ## One step of training
#
# How would the loss change if a weight were a little larger? `backward` answers it for every weight
# at once: the *gradient*. Adam then moves each weight a little the other way; its rate is the
# paper's.

# %%
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

def training_step():
    """Move the weights once; the loss before."""
    loss = loss_of(captioner(model, features, inputs), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()

before = training_step()
after = loss_of(captioner(model, features, inputs), targets).item()
assert after < before
print(f"loss before {before:.3f}, after {after:.3f}")

# %% [markdown]
# Training is this, again and again, with other pictures each time. With the same eight pictures
# each time the captioner soon knows their captions by heart, and nothing else:

# %%
losses = [training_step() for _ in range(60)]
print(", ".join(f"{loss:.2f}" for loss in losses[::10]))

# %% [markdown]
# ## Perplexity by epoch
#
# {term}`Perplexity <perplexity>` is the number of words the model hesitates between at each step,
# on captions it has not seen ({term}`held-out data`). The two horizontal lines are the controls:
# a **unigram** model knows how frequent each word is and nothing else; with **permuted pictures**
# the trained captioner is shown the wrong picture for each caption. The distance from the second
# line to the end of the curve is what the picture contributes.

# %% mystnb={"figure": {"caption": "Figure 6 of the paper, redone: perplexity by epoch, with two controls.", "name": "fig-6"}, "image": {"alt": "Perplexity against epoch: one curve for training, one for validation, and two horizontal lines for the controls, the unigram model and permuted pictures."}} tags=["hide-input"]
controls = {
    "unigram model": record.result["unigram_perplexity"],
    "permuted pictures": record.result["permuted_pictures_perplexity"],
}
study.perplexity_by_epoch(pd.DataFrame(record.result["history"]), references=controls);

# %% tags=["hide-input"]
models = {f"captioner, epoch {record.result['epoch']}": "valid"}
models |= {"the same, pictures permuted": "permuted_pictures", "unigram model": "unigram"}
rows = [[name, record.result[f"{which}_perplexity"]] for name, which in models.items()]
tables.Table(
    pd.DataFrame(rows, columns=["Model", "Validation perplexity"]),
    name="tab-perplexity",
    caption="Validation perplexity of the captioner kept, and of its controls.",
    note=study.kept_epoch(record.result),
)

# %% [markdown]
# The three numbers of the table, by hand. Perplexity first: the trained captioner of this run, all
# {term}`held-out <held-out data>` captions, and the loss from above. Then the same once more with
# the pictures in another order, so that nearly every caption stands beside a picture that it is not
# of; several such orders are drawn.

# %%
from songtitle.experiment.inputs import features_of
from songtitle.experiment.learning import load_trained
from songtitle.seeds import generator_for

trained, _, where = load_trained(record, config)  # dropout off
views = features_of(picture_features(config), config)["valid"][:, 0].float().to(where)
held_out = [each["captions"] for each in stages.picture_rows(words, "valid")]
owner = [row for row, mine in enumerate(held_out) for _ in mine]  # which picture a caption is of
ids = [vocabulary.encode(caption) for mine in held_out for caption in mine]
tokens = pad_captions(ids, pad_id=vocabulary.pad_id)[0].to(where)  # (captions, steps)

@torch.inference_mode()
def held_out_loss(views):
    """Nats a word over all held-out captions; caption i is shown views[owner[i]]."""
    return loss_of(trained(views[owner], tokens[:, :-1]), tokens[:, 1:]).item()

generator = generator_for(config.seed, "wrong pictures")
draws = record.result["permuted_pictures"]["draws"]  # as many as make their mean sure
orders = [torch.randperm(len(views), generator=generator) for _ in range(draws)]
wrong = sum(held_out_loss(views[order]) for order in orders) / draws

# %% [markdown]
# The unigram model is a count: how often each word stands in the training captions, one added so
# that none is impossible.

# %%
learnt = [each["captions"] for each in stages.picture_rows(words, "train")]
said = [i for mine in learnt for caption in mine for i in vocabulary.encode(caption)[1:]]
counts = torch.bincount(torch.tensor(said), minlength=len(vocabulary)) + 1.0  # (vocab,)
asked = torch.tensor([i for row in ids for i in row[1:]])
unigram = -(counts / counts.sum()).log()[asked].mean().item()
perplexities = {"valid": held_out_loss(views), "permuted_pictures": wrong, "unigram": unigram}
for name, nats in perplexities.items():
    # Those of the figure and the table; the library's sums go batch by batch, so digits may differ.
    assert abs(math.exp(nats) / record.result[f"{name}_perplexity"] - 1) < 1e-3
    print(f"{name}: {math.exp(nats):.2f}")

# %% [markdown]
# A word that occurs once in the training captions counts as
# {term}`unknown <unknown word>` for all models alike. The paper's curve flattens at about the
# seventh {term}`epoch` on millions of pictures. On hundreds, the captioner starts to learn its
# training captions by heart much sooner ({term}`overfitting`). Which epoch's weights were tested the
# paper does not say. Here they are the last epoch's (the setting `training.keep`), and
# {doc}`12_switchboard` asks what it changes to keep those of the lowest validation perplexity.
#
# ## Has the test been seen in training?
#
# No series of pictures is on two sides of the split ({doc}`01_corpora`). Are test pictures near to
# training ones all the same? Near is what is nearer than all but one in twenty training pictures
# have their nearest of *another* series: by chance one test picture in twenty is near, too.

# %% tags=["hide-input"]
tables.Table(
    study.near_table(near),
    name="tab-near",
    caption="Test pictures with a near neighbour in training, by what the frozen network makes of "
    "the picture (cosine distance), by the words of the caption (Jaccard distance), and by both.",
    note=study.near_note(near),
)

# %% [markdown]
# ## Another encoder, another decoder
#
# The paper closes by asking for {term}`attention`, for {term}`transformers <transformer>`, and for
# shallower encoders. Below, each encoder feeds each decoder; all pairs train alike on the same
# captions. The LSTM reads the picture
# as one vector. The other two attend to its map, a vector for each of its regions, and choose at
# every word where to look. So that pairs which learn fast and pairs which learn slowly compare, each
# is kept at its lowest validation perplexity, and stops after two epochs without a lower one.

# %% tags=["hide-input"]
compared = cache.published(scoring.comparison, config, again=again)
tables.Table(
    study.comparison(compared),
    name="tab-comparison",
    caption="Encoders and decoders compared on the same held-out pictures.",
    note=f"{study.comparison_note(compared)} {tables.origin(compared)}",
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
# less about a picture, so the distance from the curve's last point to the line of the wrong pictures
# should shrink. If it did not, that distance would not be due to seeing.
# ```

# %% tags=["remove-cell"]
for name, value in tables.facts(record).items():
    glue(name, value, display=False)
