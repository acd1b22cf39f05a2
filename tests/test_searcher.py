import pytest
import torch
from torch import nn

from songtitle.config import SearchConfig
from songtitle.errors import InputError
from songtitle.model.captioner import Searcher
from songtitle.model.lstm import LSTMDecoder
from songtitle.search.beam import beam_search, greedy_search

BOS, EOS = 1, 2
PICTURES, DIM, VOCAB = 3, 7, 23


def decoder_of(seed: int, vocab: int = VOCAB, num_layers: int = 1) -> LSTMDecoder:
    torch.manual_seed(seed)
    decoder = LSTMDecoder(vocab, dim=DIM, num_layers=num_layers).eval().requires_grad_(False)
    decoder.output.weight *= 6.0  # sharp enough for captions that differ
    return decoder


def memory_of(seed: int, pictures: int = PICTURES) -> torch.Tensor:
    return torch.randn(pictures, 1, DIM, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("beam_size", [1, 5])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("never", [(), (0, 1, 5)])
def test_the_searcher_finds_what_search_over_log_probabilities_finds(beam_size, num_layers, never):
    decoder, memory = decoder_of(0, num_layers=num_layers), memory_of(1)
    config = SearchConfig(beam_size=beam_size, max_steps=6)

    def step(tokens, state):
        logits, state = decoder.step(tokens, state)
        log_probs = logits.log_softmax(-1)
        log_probs[:, list(never)] = -torch.inf
        return log_probs, state

    expected = beam_search(step, decoder.start(memory), bos_id=BOS, eos_id=EOS, config=config)
    searcher = Searcher(decoder, never=never)
    for _ in range(2):  # the buffer used again
        found = searcher.search(memory, bos_id=BOS, eos_id=EOS, config=config)
        assert torch.equal(found.tokens, expected.tokens)
        torch.testing.assert_close(found.log_probs, expected.log_probs)


def test_the_searchers_product_is_the_decoders_step():
    decoder = decoder_of(2)
    state, tokens = decoder.start(memory_of(3)), torch.tensor([4, 5, 6])
    expected, _ = decoder.step(tokens, state)
    found, _ = Searcher(decoder)(tokens, state)
    torch.testing.assert_close(found.whole(), expected)


def test_one_beam_under_every_rule_is_greedy_search():
    decoder, memory = decoder_of(4), memory_of(5)
    rules = {"max_steps": 6, "min_length": 3, "no_repeat_ngram": 2}
    searcher = Searcher(decoder, never=(0, 3))
    found = searcher.search(
        memory, bos_id=BOS, eos_id=EOS, config=SearchConfig(beam_size=1, **rules)
    )
    ends = {"bos_id": BOS, "eos_id": EOS}
    greedy = greedy_search(
        searcher, decoder.start(memory), **ends, **rules, never=(0, 3), logits=True
    )
    assert torch.equal(found.tokens, greedy.tokens)


def test_a_bf16_head_gives_nearly_the_same_logits():
    decoder = decoder_of(6)
    state, tokens = decoder.start(memory_of(7)), torch.tensor([4, 5, 6])
    exact, _ = decoder.step(tokens, state)
    product, _ = Searcher(decoder, head="bf16")(tokens, state)
    rounded = product.whole()
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), exact, rtol=0.03, atol=0.05)
    config = SearchConfig(beam_size=3, max_steps=4)
    found = Searcher(decoder, head="bf16").search(
        memory_of(7), bos_id=BOS, eos_id=EOS, config=config
    )
    assert found.log_probs.dtype == torch.float32


def test_an_unknown_head_is_refused():
    # Called past the run-time type check, which would refuse it first.
    kind = getattr(Searcher.__init__, "__wrapped__", Searcher.__init__)
    with pytest.raises(InputError, match="head: expected 'fp32' or 'bf16', got 'int8'"):
        kind(Searcher.__new__(Searcher), decoder_of(0), head="int8")


def generated(decoder, memory, *, beams, steps, **options):
    """What `transformers.generate` finds over the same weights: (pictures, beams, steps)."""
    transformers = pytest.importorskip("transformers")
    from transformers.modeling_outputs import CausalLMOutput

    class Language(transformers.PreTrainedModel, transformers.GenerationMixin):
        config_class = transformers.PretrainedConfig
        main_input_name = "input_ids"

        def __init__(self):
            super().__init__(transformers.PretrainedConfig(vocab_size=VOCAB))
            self.anchor = nn.Parameter(torch.zeros(1))

        def prepare_inputs_for_generation(self, input_ids, attention_mask=None, **_):
            return {"input_ids": input_ids}

        def forward(self, input_ids, attention_mask=None, **_):
            # Everything anew from the whole prefix: no state that could be reordered wrongly.
            rows = memory.repeat_interleave(len(input_ids) // len(memory), dim=0)
            hidden, _ = decoder.lstm(torch.cat([rows, decoder.embed(input_ids)], dim=1))
            return CausalLMOutput(logits=decoder.output(hidden[:, -1:]))

    start = torch.full((len(memory), 1), BOS)
    found = (
        Language()
        .eval()
        .generate(
            start,
            attention_mask=torch.ones_like(start),
            num_beams=beams,
            num_return_sequences=beams,
            max_new_tokens=steps,
            length_penalty=0.0,
            # The rule without a guess: go on until no unfinished beam can enter the k finished.
            early_stopping="never",
            do_sample=False,
            use_cache=False,
            bos_token_id=BOS,
            eos_token_id=EOS,
            pad_token_id=EOS,
            **options,
        )[:, 1:]
    )
    padded = torch.full((len(found), steps), EOS)
    padded[:, : found.shape[1]] = found
    return padded.unflatten(0, (len(memory), beams))


@pytest.mark.parametrize("beam_size", [1, 2, 3, 4, 5])
def test_search_equals_generate_on_random_models_and_inputs(beam_size):
    """100 models here, 500 in all. With one beam `generate` searches greedily."""
    ended = 0
    for seed in range(100):
        model = decoder_of(1000 * beam_size + seed)
        memory, steps = memory_of(seed, pictures=2), 3 + seed % 4
        model.output.bias[EOS] += seed % 5
        suppress = seed % 2 == 1
        least = steps if suppress else 0
        config = SearchConfig(beam_size=beam_size, max_steps=steps, min_length=least)
        ours = Searcher(model).search(memory, bos_id=BOS, eos_id=EOS, config=config)
        options = {"min_new_tokens": steps} if suppress else {}
        theirs = generated(model, memory, beams=beam_size, steps=steps, **options)
        kept = beam_size if suppress else 1  # with <eos>, lower places follow another rule there
        assert torch.equal(ours.tokens[:, :kept], theirs[:, :kept]), seed
        ended += int((ours.tokens[:, 0] == EOS).any(-1).sum())
    assert ended > 20  # the law is no law about captions that never end
