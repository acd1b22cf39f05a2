"""The laws of a GPU, kept without one: no two devices meet, and no step waits for the host.

Fake tensors (see `fake_cuda`) know no values. What is computed is therefore not looked at here.
"""

import pytest
import torch
from accelerate import PartialState
from fake_cuda import GPU, fake_cuda
from torch._subclasses.fake_tensor import unset_fake_temporarily

from songtitle.config import ENCODERS, ModelConfig, SearchConfig, TrainingConfig
from songtitle.corpora.batches import Batch
from songtitle.model import captioner as captioners
from songtitle.model.captioner import DECODERS, Searcher, build_captioner, log_likelihoods
from songtitle.model.decoder import LSTMDecoder
from songtitle.model.encoder import build_backbone
from songtitle.model.features import Encoder, Plan, native_precision, plan_for
from songtitle.search import candidates
from songtitle.timbre import TIMBRE_SIZE
from songtitle.training import loop
from songtitle.training.checkpoints import Progress
from songtitle.training.loop import _Run

PAD, BOS, EOS, VOCAB = 0, 1, 2, 11
BATCH, STEPS, POSITIONS, FEATURES, SIDE = 3, 5, 4, 7, 64
PICTURES = [name for name in ENCODERS if name != "timbre"]
# All that a step of a search asks: which rows go on, if any.
READS_OF_SEARCH = {"songtitle.search.beam.beam_search": 1}


def captioner(decoder="lstm", encoder=None):
    """On the GPU: a decoder over features, or over what an encoder trained with it makes."""
    config = ModelConfig(decoder=decoder, dim=16, num_heads=4)
    if encoder:
        settings = {"encoder": encoder, "weights": "none", "fine_tune": encoder != "timbre"}
        config = ModelConfig(decoder=decoder, dim=16, **settings)
    features = None if encoder else FEATURES
    return build_captioner(config, features=features, vocab=VOCAB, pad_id=PAD).to("cuda")


def inputs_of(encoder=None):
    """What a source of batches gives: on the CPU."""
    if encoder == "timbre":
        return torch.randn(BATCH, TIMBRE_SIZE)
    shape = (3, SIDE, SIDE) if encoder else (POSITIONS, FEATURES)
    return torch.rand(BATCH, *shape)


def batch_of(inputs):
    """Inputs and their captions, on the CPU."""
    tokens = torch.randint(EOS, VOCAB, (BATCH, STEPS))
    return Batch(inputs, tokens, torch.full((BATCH,), STEPS))


def update(run, inputs=None):
    """One update with a batch, by default of features."""
    batch = batch_of(inputs_of() if inputs is None else inputs)
    run._update(Progress(), [batch], tokens=BATCH * (STEPS - 1), examples=BATCH)


def train_one_step(model, inputs, folder, precision="fp32"):
    """What `fit` does of a batch: forward, backward, clipping and Adam."""
    config = TrainingConfig(precision=precision)
    run = _Run(model.train(), lambda epoch: [], config, PAD, folder, {}, PartialState(), [])
    run.resume()
    update(run, inputs)
    return run


def search(decoder, steps=4, head="fp32", **settings):
    """A beam search over three memories on the GPU."""
    memory = torch.randn(BATCH, POSITIONS, 16, device="cuda")
    config = SearchConfig(beam_size=3, max_steps=steps, **settings)
    searcher = Searcher(decoder.eval(), never=[BOS, PAD], head=head)
    return searcher.search(memory, bos_id=BOS, eos_id=EOS, config=config)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("decoder", DECODERS)
def test_a_decoder_trains_on_a_gpu(decoder, precision, tmp_path, monkeypatch):
    with fake_cuda(monkeypatch):
        model = captioner(decoder)
        run = train_one_step(model, inputs_of(), tmp_path, precision)
        for each in model.parameters():
            assert each.grad.device == each.device == GPU
            assert run.adam.state[each]["exp_avg"].device == GPU


@pytest.mark.parametrize("encoder", ENCODERS)
def test_an_encoder_trains_with_a_decoder_on_a_gpu(encoder, tmp_path, monkeypatch):
    with fake_cuda(monkeypatch):
        model = captioner(encoder=encoder)
        train_one_step(model, inputs_of(encoder), tmp_path, "bf16")
        assert all(each.grad.device == GPU for each in model.parameters())


@pytest.mark.parametrize("encoder", PICTURES)
def test_a_frozen_encoder_runs_on_a_gpu_over_pictures_from_the_cpu(encoder, monkeypatch):
    with fake_cuda(monkeypatch) as reads:
        backbone = build_backbone(encoder, "none", memory="map").to("cuda")
        for precision in ("fp32", "bf16"):
            encode = Encoder(backbone, Plan(precision=precision, batch=2))  # the last is filled up
            found = encode(inputs_of(encoder))
            assert found.shape == (BATCH, (SIDE // 32) ** 2, backbone.width)
            assert (found.device, found.dtype) == (GPU, torch.float32)
    assert not reads.places


def test_the_plan_for_a_gpu_that_multiplies_in_bf16_is_bf16_in_large_batches(monkeypatch):
    with fake_cuda(monkeypatch):
        assert native_precision(GPU) == "bf16"
        backbone = build_backbone("efficientnet_lite0", "none").to("cuda")
        plan = plan_for(backbone, pictures=1_000, height=256, width=256)
    assert plan == Plan(precision="bf16", batch=256)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"head": "bf16"},
        {"length_penalty": 0.7, "min_length": 2, "no_repeat_ngram": 2, "unfinished": "drop"},
        {"stop": "best", "length_penalty": 0.7},
    ],
    ids=str,
)
@pytest.mark.parametrize("decoder", DECODERS)
def test_a_search_runs_on_a_gpu_and_never_by_what_is_compiled_for_the_cpu(
    decoder, settings, monkeypatch
):
    monkeypatch.setattr(candidates, "row_top", lambda *_: pytest.fail("compiled for the CPU"))
    with fake_cuda(monkeypatch):
        found = search(captioner(decoder).decoder, **settings)
        assert found.tokens.shape == (BATCH, 3, 4)
        assert found.tokens.device == found.log_probs.device == GPU


class _Trie(captioners._Trie):
    """What is walked depends on its numbers: they are worked out on real tensors."""

    def __init__(self, titles, bos_id, device):
        with unset_fake_temporarily():
            super().__init__(titles, bos_id, torch.device("cpu"))
            numbers = self.tokens.tolist(), self.parents.tolist()
        self.tokens, self.parents = (torch.tensor(each, device=device) for each in numbers)


@pytest.mark.parametrize("decoder", DECODERS)
def test_likelihoods_of_titles_are_computed_on_a_gpu(decoder, monkeypatch):
    monkeypatch.setattr(captioners, "_Trie", _Trie)
    with fake_cuda(monkeypatch) as reads:
        memory = torch.randn(BATCH, POSITIONS, 16, device="cuda")
        titles = [[4, 5], [6], [4, 7, 8], []]
        own = captioner(decoder).decoder.eval()
        found = log_likelihoods(own, memory, titles, bos_id=BOS, eos_id=EOS)
        assert (found.shape, found.device) == ((BATCH, len(titles)), GPU)
    assert not reads.places


class _Forgetful(LSTMDecoder):
    """Adds a constant that was made on the CPU."""

    def forward(self, memory, tokens):
        return super().forward(memory, tokens) + torch.ones(VOCAB)

    def advance(self, tokens, state):
        hidden, state = super().advance(tokens, state)
        return hidden + torch.ones(16), state


@pytest.mark.parametrize(
    "step",
    [
        lambda model, folder: train_one_step(model, inputs_of(), folder),
        lambda model, folder: search(model.decoder),
    ],
    ids=["training", "search"],
)
def test_a_constant_left_on_the_cpu_is_caught(step, tmp_path, monkeypatch):
    monkeypatch.setitem(DECODERS, "lstm", _Forgetful)
    with fake_cuda(monkeypatch):
        model = captioner()
        with pytest.raises(RuntimeError, match=r"cuda:0.* cpu"):
            step(model, tmp_path)


@pytest.mark.parametrize(
    "read",
    [
        lambda x: x.cpu(),
        lambda x: x.to("cpu"),
        lambda x: x.sum().item(),
        lambda x: x.tolist(),
        lambda x: bool((x > 0).any()),
        lambda x: x.nonzero(),
        lambda x: torch.empty(2).copy_(x),
    ],
    ids=["cpu", "to", "item", "tolist", "bool", "nonzero", "copy"],
)
@pytest.mark.parametrize("inference", [False, True])
def test_a_read_by_the_host_is_counted_and_one_of_its_own_memory_is_not(
    read, inference, monkeypatch
):
    with fake_cuda(monkeypatch) as reads, torch.inference_mode(inference):
        read(torch.ones(2))
        assert not reads.places
        read(torch.ones(2, device="cuda"))
        assert reads.places == {"no place": 1}


def test_an_array_of_numpy_over_what_lies_on_the_gpu_is_refused(monkeypatch):
    with fake_cuda(monkeypatch), pytest.raises(Exception, match="numpy"):
        torch.ones(2, device="cuda").numpy()


def reads_of_a_search_step(decoder, monkeypatch):
    """Of one step more: what a search reads once stands in both."""
    found = []
    for steps in (4, 5):
        with fake_cuda(monkeypatch) as reads:
            search(captioner(decoder).decoder, steps, unfinished="drop", stop="best")
        found.append(reads.places)
    less, more = found
    return {place: more[place] - less[place] for place in more if more[place] > less[place]}


@pytest.mark.parametrize("decoder", DECODERS)
def test_no_training_step_waits_for_the_host(decoder, tmp_path, monkeypatch):
    with fake_cuda(monkeypatch) as reads:
        train_one_step(captioner(decoder), inputs_of(), tmp_path)
    assert not reads.places


@pytest.mark.parametrize("encoder", ENCODERS)
def test_no_training_step_of_an_encoder_waits_for_the_host(encoder, tmp_path, monkeypatch):
    with fake_cuda(monkeypatch) as reads:
        train_one_step(captioner(encoder=encoder), inputs_of(encoder), tmp_path, "bf16")
    assert not reads.places


def test_what_many_updates_came_to_is_read_together(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "READ_EVERY", 3)
    with fake_cuda(monkeypatch) as reads:
        run = train_one_step(captioner(), inputs_of(), tmp_path)
        for expected in (0, 1, 1, 1, 2):  # after two to six updates
            update(run)
            assert reads.places.total() == expected
    assert set(reads.places) == {"songtitle.training.loop._Run._read"}


def test_validation_reads_its_loss_once(monkeypatch):
    with fake_cuda(monkeypatch) as reads:
        loop.evaluate(captioner(), [batch_of(inputs_of()) for _ in range(4)], pad_id=PAD)
    assert reads.places == {"songtitle.training.loop.evaluate": 1}


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_search_step_waits_once_for_the_rows_that_go_on(decoder, monkeypatch):
    assert reads_of_a_search_step(decoder, monkeypatch) == READS_OF_SEARCH
