"""Laws of search: what is found is the best there is, whatever is beside it in the batch."""

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from songtitle.config import SearchConfig
from songtitle.errors import InputError
from songtitle.model.captioner import Searcher
from songtitle.model.decoder import LSTMDecoder
from songtitle.search import beam as search
from songtitle.search import candidates
from songtitle.search.beam import beam_search, greedy_search
from songtitle.search.candidates import Hypotheses, Product, row_top

BOS, EOS = 1, 2


def random_tables(seed: int, batch: int = 2, vocab: int = 6, rows: int = 6) -> Tensor:
    """Log-probabilities (batch, rows, next token), each row a distribution."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, rows, vocab, generator=generator).mul(1.5).log_softmax(-1)


def table_step(tokens, state):
    """One example's table travels with each of its hypotheses, so a wrong reorder shows."""
    return state["table"][torch.arange(len(tokens)), tokens], state


def history_step(tokens, state):
    """The next token depends on all tokens so far, through a state that must follow its beam."""
    mixed = (state["seen"] * 5 + tokens + 1) % state["table"].shape[1]
    rows = state["table"][torch.arange(len(tokens)), mixed]
    return rows, {"table": state["table"], "seen": mixed}


def beam(tables: Tensor, step=table_step, never=(), logits=False, **config) -> Hypotheses:
    state = {"table": tables, "seen": torch.zeros(len(tables), dtype=torch.long)}
    settings, ends = SearchConfig(**config), {"bos_id": BOS, "eos_id": EOS}
    return beam_search(step, state, **ends, config=settings, never=never, logits=logits)


def greedy(tables: Tensor, step=table_step, max_steps: int = 5, **options) -> Hypotheses:
    state = {"table": tables, "seen": torch.zeros(len(tables), dtype=torch.long)}
    return greedy_search(step, state, bos_id=BOS, eos_id=EOS, max_steps=max_steps, **options)


def logits_of(tables: Tensor) -> Tensor:
    """Scores whose log-probabilities are the tables: each row moved by another amount."""
    return tables + torch.linspace(-3, 4, tables.shape[1])[None, :, None]


def words(tokens: Tensor) -> tuple[int, ...]:
    """A padded row as the hypothesis it stands for, <eos> included where reached."""
    row = tokens.tolist()
    return tuple(row[: row.index(EOS) + 1] if EOS in row else row)


def log_prob(table: Tensor, hypothesis: tuple[int, ...], step=table_step) -> float:
    state = {"table": table[None], "seen": torch.zeros(1, dtype=torch.long)}
    total, last = 0.0, BOS
    for token in hypothesis:
        rows, state = step(torch.tensor([last]), state)
        total, last = total + rows[0, token].item(), token
    return total


def exhaustive(table: Tensor, max_steps: int, penalty: float):
    """Every hypothesis of at most max_steps tokens with its log-probability, best first."""
    others = [i for i in range(table.shape[-1]) if i != EOS]
    found = [(*p, EOS) for n in range(max_steps) for p in itertools.product(others, repeat=n)]
    found += itertools.product(others, repeat=max_steps)
    scored = [(log_prob(table, hypothesis, history_step), hypothesis) for hypothesis in found]
    return sorted(scored, key=lambda pair: -pair[0] / len(pair[1]) ** penalty)


def planted(paths: dict[tuple[int, ...], float], vocab: int = 6) -> Tensor:
    """A 6 x 6 table in which the given paths, ending in <eos>, have the given probabilities."""
    table = torch.full((vocab, vocab), 1e-9)
    for path, probability in paths.items():
        table[BOS, path[0]] = probability
        for now, following in itertools.pairwise(path):
            table[now, following] = 1.0
    return table.log()[None]


def test_beam_search_finds_the_planted_hypotheses_in_order():
    tables = planted({(3, EOS): 0.2, (4, 5, EOS): 0.5, (0, EOS): 0.3})
    found = beam(tables, beam_size=3, max_steps=4)
    assert [words(row) for row in found.tokens[0]] == [(4, 5, EOS), (0, EOS), (3, EOS)]
    torch.testing.assert_close(found.log_probs[0].exp(), torch.tensor([0.5, 0.3, 0.2]))


def test_a_beam_finds_what_greedy_search_misses():
    table = torch.full((6, 6), 1e-9)
    table[BOS, 3], table[BOS, 4] = 0.6, 0.4  # 3 looks better, but all that follows it is unlikely
    table[3, EOS], table[3, 5], table[3, 0] = 0.34, 0.33, 0.33
    table[4, EOS] = 1.0
    tables = table.log()[None]
    assert words(greedy(tables).tokens[0, 0]) == (3, EOS)
    assert words(beam(tables, beam_size=2, max_steps=5).tokens[0, 0]) == (4, EOS)


def repeats(hypothesis: tuple[int, ...], size: int) -> bool:
    grams = [hypothesis[i : i + size] for i in range(len(hypothesis) - size + 1)]
    return len(set(grams)) < len(grams)


def greedy_by_hand(table, step, *, min_length=0, no_repeat_ngram=0, never=(), max_steps=5):
    """The likeliest allowed token, again and again: the tokens and their log-probability."""
    said, total = [], 0.0
    state = {"table": table[None], "seen": torch.zeros(1, dtype=torch.long)}
    while len(said) < max_steps and (not said or said[-1] != EOS):
        scores, state = step(torch.tensor([said[-1] if said else BOS]), state)
        allowed = [
            token
            for token in range(scores.shape[1])
            if token not in never
            and not (token == EOS and len(said) < min_length)
            and not (no_repeat_ngram and repeats((*said, token), no_repeat_ngram))
        ]
        said.append(max(allowed, key=lambda token: scores[0, token].item()))
        total += scores[0, said[-1]].item()
    return tuple(said), total


RULES = [{}, {"min_length": 3}, {"no_repeat_ngram": 1}, {"no_repeat_ngram": 2}, {"never": (3, 4)}]


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("step", [table_step, history_step])
@pytest.mark.parametrize("seed", range(5))
def test_greedy_search_takes_the_likeliest_allowed_token_at_every_step(seed, step, rules):
    tables = random_tables(seed, batch=7)
    for logits in (False, True):
        found = greedy(logits_of(tables) if logits else tables, step, logits=logits, **rules)
        for row, log_probs, table in zip(found.tokens, found.log_probs, tables, strict=True):
            said, total = greedy_by_hand(table, step, **rules)
            assert words(row[0]) == said
            assert math.isclose(log_probs[0], total, rel_tol=1e-5)


@pytest.mark.parametrize("penalty", [0.0, 1.3])
@pytest.mark.parametrize("seed", range(10))
def test_the_reported_log_probability_is_the_sum_along_the_hypothesis(seed, penalty):
    tables = random_tables(seed)
    found = beam(tables, history_step, beam_size=5, max_steps=7, length_penalty=penalty)
    for table, rows, log_probs in zip(tables, found.tokens, found.log_probs, strict=True):
        recomputed = [log_prob(table, words(row), history_step) for row in rows]
        torch.testing.assert_close(log_probs, torch.tensor(recomputed))


@pytest.mark.parametrize("beam_size", [1, 3, 11])
@pytest.mark.parametrize("logits", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_every_row_of_a_batch_equals_that_row_alone(seed, logits, beam_size):
    tables = random_tables(seed, batch=7)
    tables = logits_of(tables) if logits else tables
    settings = {"beam_size": beam_size, "max_steps": 5, "logits": logits}
    together = beam(tables, history_step, **settings)
    for i in range(7):
        alone = beam(tables[i : i + 1], history_step, **settings)
        assert torch.equal(together.tokens[i], alone.tokens[0])
        assert torch.equal(together.log_probs[i], alone.log_probs[0])


@pytest.mark.parametrize("beam_size", [1, 5])
def test_search_stops_at_max_steps_or_when_all_hypotheses_have_ended(beam_size):
    table = torch.full((6, 6), 0.2)
    table[:, EOS] = 0.0
    calls = []

    def counting(tokens, state):
        calls.append(len(tokens))
        return table_step(tokens, state)

    found = beam(table.log()[None], counting, beam_size=beam_size, max_steps=3)
    assert calls == [1, beam_size, beam_size]
    assert found.tokens.shape == (1, beam_size, 3)
    assert not (found.tokens == EOS).any()
    calls.clear()  # and earlier, once everything is finished: no step is for a finished one
    beam(planted({(3, EOS): 0.7, (4, EOS): 0.3}), counting, beam_size=2, max_steps=20)
    assert calls == [1, 2]


def test_places_without_a_hypothesis_hold_eos_alone_at_minus_infinity():
    table = torch.zeros(6, 6)
    table[BOS, 3], table[BOS, EOS], table[BOS, 4] = 0.4, 0.5, 0.1
    table[3, EOS] = 1.0  # and 4 comes to a dead end
    found = beam(table.log()[None], beam_size=7, max_steps=4)
    assert [words(row) for row in found.tokens[0]] == [(EOS,), (3, EOS), *[(EOS,)] * 5]
    assert (found.tokens[0, 2:] == EOS).all()
    assert found.log_probs[0, 2:].isneginf().all()


@pytest.mark.parametrize("beam_size", [3, 5, 31])
@pytest.mark.parametrize("logits", [False, True])
def test_equal_scores_are_ordered_by_parent_then_token(logits, beam_size):
    tables = torch.full((2, 6, 6), 2.5) if logits else torch.full((2, 6, 6), 1 / 6).log()
    found = beam(tables, beam_size=beam_size, max_steps=2, logits=logits)
    for rows in found.tokens:
        order = [words(row) for row in rows]
        assert order[0] == (EOS,)  # log(1/6) beats all of two tokens
        assert order[1:] == sorted(order[1:])
        assert order[1] == (0, 0)


def test_lengths_count_the_tokens_up_to_eos():
    tokens = torch.tensor([[[3, EOS, EOS], [3, 4, 5]], [[EOS, EOS, EOS], [3, 4, EOS]]])
    lengths = Hypotheses(tokens, torch.zeros(2, 2)).lengths(EOS)
    assert lengths.tolist() == [[2, 3], [1, 3]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # the compiled pass, and torch's
@pytest.mark.parametrize("beam_size", [1, 3, 11])
@pytest.mark.parametrize("seed", range(3))
def test_search_over_logits_equals_search_over_log_probabilities(seed, beam_size, dtype):
    tables = random_tables(seed, batch=7, rows=997)  # so many that no two paths tie
    expected = beam(tables, history_step, beam_size=beam_size, max_steps=5)
    logits = logits_of(tables).to(dtype)
    found = beam(logits, history_step, beam_size=beam_size, max_steps=5, logits=True)
    assert torch.equal(found.tokens, expected.tokens)
    torch.testing.assert_close(found.log_probs, expected.log_probs, check_dtype=False)


@pytest.mark.parametrize("vocab", [1, 2, 127, 128, 129, 1031])
@pytest.mark.parametrize("width", [1, 5, 300])
def test_all_passes_give_the_highest_scores_and_the_compiled_one_the_log_sum_exp(
    vocab, width, monkeypatch
):
    generator = torch.Generator().manual_seed(vocab)
    scores = torch.randn(13, vocab, generator=generator).mul(9).round().div(3)  # with ties
    scores[3] -= 1000
    if vocab > 5:
        scores[5, :4] = -torch.inf
    values, ids, total = row_top(scores, width)
    ordered, order = scores.sort(dim=-1, descending=True, stable=True)
    found = [(values, ids), candidates._top(scores, min(width, vocab))]
    monkeypatch.setattr(candidates, "ANSWERING", set())  # as on a GPU
    for top, places in (*found, candidates._top(scores, min(width, vocab))):
        assert torch.equal(top, ordered[:, :width])
        finite = top.isfinite()
        assert torch.equal(places[finite], order[:, :width][finite])
    torch.testing.assert_close(total, scores.double().logsumexp(-1).float(), rtol=3e-7, atol=1e-6)


@pytest.mark.parametrize("rows", [5, 131])  # at once, and in parts
def test_a_product_gives_what_its_logits_give(rows):
    generator = torch.Generator().manual_seed(rows)
    hidden, weight = (torch.randn(n, 7, generator=generator) for n in (rows, 9001))
    # Whole numbers, so that the order of adding changes nothing, and many scores are equal.
    product = Product(hidden.round(), weight.round(), torch.zeros(9001))
    for found, expected in zip(row_top(product, 5), row_top(product.whole(), 5), strict=True):
        torch.testing.assert_close(found, expected, rtol=3e-7, atol=0)


def test_the_compiled_pass_does_not_depend_on_the_number_of_threads():
    scores = torch.randn(17, 301, generator=torch.Generator().manual_seed(0))
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(row_top(scores, 4))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, three) for one, three in zip(*found, strict=True))


@pytest.mark.parametrize("stop", ["all", "best"])
@pytest.mark.parametrize("penalty", [0.0, 0.7, 1.0])
def test_a_search_that_does_not_ask_finds_the_same(monkeypatch, penalty, stop):
    options = {"beam_size": 3, "max_steps": 6, "length_penalty": penalty, "stop": stop}
    tables = random_tables(2, batch=7)
    asked = beam(tables, **options)
    for module in (search, candidates):
        monkeypatch.setattr(module, "ANSWERING", set())  # as on a GPU
    found = beam(tables, **options)
    assert all(torch.equal(one, other) for one, other in zip(asked, found, strict=True))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "options", [{}, {"stop": "best", "unfinished": "drop", "never": (3,)}, {"length_penalty": 0.7}]
)
def test_what_is_no_score_is_refused(bad, dtype, options):
    tables = random_tables(0).to(dtype)
    tables[1, BOS, 3] = bad
    with pytest.raises(InputError, match="expected numbers from the step, got NaN"):
        beam(tables, beam_size=2, max_steps=5, logits=True, **options)
    with pytest.raises(InputError, match="state with at least one tensor"):
        greedy_search(table_step, {}, bos_id=BOS, eos_id=EOS, max_steps=2)
    product = Product(torch.ones(2, 3), torch.ones(5, 3), torch.zeros(5))
    with pytest.raises(InputError, match="expected log-probabilities from the step"):
        beam(tables, lambda tokens, state: (product, state))


@pytest.mark.parametrize(
    ("options", "allowed"),
    [
        ({}, lambda h: True),
        ({"min_length": 2}, lambda h: EOS not in h[:2]),
        ({"no_repeat_ngram": 1}, lambda h: not repeats(h, 1)),
        ({"no_repeat_ngram": 2}, lambda h: not repeats(h, 2)),
        ({"never": (3,)}, lambda h: 3 not in h),
        ({"unfinished": "drop"}, lambda h: h[-1] == EOS),
        (
            {"min_length": 1, "no_repeat_ngram": 2, "never": (0,), "unfinished": "drop"},
            lambda h: h[0] != EOS and not repeats(h, 2) and 0 not in h and h[-1] == EOS,
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("penalty", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_at_full_width_search_finds_what_its_rules_allow_of_exhaustive_search(
    seed, options, allowed, penalty
):
    # A row of its own for each history: in a 4 x 4 table, paths of the same transitions would tie.
    tables = random_tables(seed, batch=2, vocab=4, rows=97)
    # 1 + 3 + 9 hypotheses end in <eos>, 27 do not.
    settings = {"beam_size": 50, "max_steps": 3, "length_penalty": penalty}
    found = beam(tables, history_step, **settings, **options)
    for table, rows, log_probs in zip(tables, found.tokens, found.log_probs, strict=True):
        every = [pair for pair in exhaustive(table, 3, penalty) if allowed(pair[1])]
        assert [words(row) for row in rows[: len(every)]] == [h for _, h in every]
        expected = torch.tensor([total for total, _ in every])
        torch.testing.assert_close(log_probs[: len(every)], expected)
        assert log_probs[len(every) :].isneginf().all()


def test_a_finished_hypothesis_that_was_pushed_out_comes_back_if_it_was_better():
    table = torch.zeros(6, 6)
    table[BOS, EOS], table[BOS, 3] = 0.3, 0.7
    table[3, 4], table[3, 5] = 0.5, 0.5  # two of 0.35 push the 0.3 out, and come to 0.0875
    table[4] = table[5] = torch.tensor([0.25, 0.25, 0, 0.25, 0.25, 0])
    found = beam(table.log()[None], beam_size=2, max_steps=3)
    assert words(found.tokens[0, 0]) == (EOS,)
    torch.testing.assert_close(found.log_probs[0].exp(), torch.tensor([0.3, 0.0875]))


@pytest.mark.parametrize("penalty", [0.0, 0.8])
@pytest.mark.parametrize("seed", range(10))
def test_stopping_at_the_best_finds_the_best_of_the_full_search(seed, penalty):
    tables = random_tables(seed, batch=7, rows=31)
    settings = {"beam_size": 4, "max_steps": 8, "length_penalty": penalty}
    rows = {"all": 0, "best": 0}
    found = {}
    for stop in rows:

        def counting(tokens, state, stop=stop):
            rows[stop] += len(tokens)
            return history_step(tokens, state)

        found[stop] = beam(tables, counting, stop=stop, **settings)
    assert torch.equal(found["best"].tokens[:, 0], found["all"].tokens[:, 0])
    assert torch.equal(found["best"].log_probs[:, 0], found["all"].log_probs[:, 0])
    assert rows["best"] < rows["all"]


# --- over a decoder


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
