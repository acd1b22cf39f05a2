"""Beam search of an LSTM captioner beside its bare products, `generate` and a tutorial's loop."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from benchmarks.harness import Growth, Row, interleaved, named
from songtitle.config import SearchConfig
from songtitle.model.captioner import Searcher
from songtitle.model.decoder import LSTMDecoder
from songtitle.search.beam import beam_search, greedy_search
from songtitle.search.candidates import Hypotheses
from songtitle.shapes import State

BOS, EOS = 1, 2
NO_EOS = -1e9  # the bias that suppresses <eos>
# Weights as initialised are nearly indifferent to words: hypotheses then lie so close together that
# the order in which two programs add decides between some. Their head is multiplied by this.
SHARPNESS = 10.0


@dataclass(frozen=True, kw_only=True)
class Case:
    """The sizes of one comparison."""

    vocab: int = 51_201
    dim: int = 512
    pictures: int = 64
    steps: int = 20


QUICK = Case(vocab=499, dim=16, pictures=3, steps=5)
Found = dict[str, list[Tensor]]  # of each way the hypotheses, run by run


def rows(quick: bool = False) -> list[Row]:
    """Ratios to the bare products and to the peers, and the share of equal hypotheses."""
    case = QUICK if quick else Case()
    decoder = random_decoder(case)
    seconds: dict[str, float] = {}
    found = [row for k in (5, 10, 20) for row in _against_peers(decoder, case, k, seconds)]
    found += _greedy_and_beams(decoder, case, seconds)
    found.append(_tutorial(decoder, case, seconds["ours, k = 10"], 1 if quick else 2))
    found += _short(case, seconds["limit, k = 20"])
    found += _bf16(decoder, case)
    return found


def growth(quick: bool = False) -> list[Growth]:
    """How the time grows with the beam, the vocabulary and the batch."""
    base = Case(vocab=499, dim=16, pictures=4, steps=3) if quick else Case(pictures=16, steps=6)
    sizes: dict[str, list[tuple[int, Case, int]]] = {
        "k": [(k, base, k) for k in (5, 10, 20, 40)],
        "|V|": [
            (size, Case(vocab=size, dim=base.dim, pictures=base.pictures, steps=base.steps), 5)
            for size in (base.vocab // 8, base.vocab // 4, base.vocab // 2, base.vocab)
        ],
        "batch": [
            (size, Case(vocab=base.vocab, dim=base.dim, pictures=size, steps=base.steps), 5)
            for size in (8, 16, 32, 64)
        ],
    }
    lines = []
    for against, points in sizes.items():
        ways = {}
        for size, case, k in points:
            ways[str(size)] = _ours(random_decoder(case), case, k, {}, "ours")
        times = interleaved(ways, rounds=2)
        lines.append(
            Growth(
                what="beam search",
                against=against,
                unit="seconds",
                sizes=[float(name) for name in times],
                values=list(times.values()),
            )
        )
    return lines


def random_decoder(case: Case, sharpness: float = SHARPNESS) -> LSTMDecoder:
    """The paper's decoder with random weights, `<eos>` suppressed."""
    torch.manual_seed(0)
    decoder = LSTMDecoder(case.vocab, dim=case.dim).eval().requires_grad_(False)
    decoder.output.weight *= sharpness
    decoder.output.bias[EOS] = NO_EOS
    return decoder


def ending_decoder(case: Case, words: int = 6) -> LSTMDecoder:
    """A decoder with sharp weights whose captions end after about so many words.

    One unit counts the steps, and `<eos>` reads it: all of it is in the weights, so that any search
    over them does the same. With random weights alone a bias on `<eos>` ends all captions at
    once or none.
    """
    decoder = random_decoder(case, 3 * SHARPNESS)
    lstm, unit, pace = decoder.lstm, case.dim - 1, 0.15
    for gate, bias in enumerate((20.0, 20.0, pace, 20.0)):  # in, forget, cell, out
        row = gate * case.dim + unit
        lstm.weight_ih_l0[row] = lstm.weight_hh_l0[row] = 0.0
        lstm.bias_ih_l0[row], lstm.bias_hh_l0[row] = bias, 0.0
    decoder.output.weight[:, unit] = 0.0
    memory = _memories(case)[0]
    hidden, _ = decoder.advance(torch.full((case.pictures,), BOS), decoder.start(memory))
    usual = decoder.output(hidden).logsumexp(-1).mean()
    decoder.output.weight[EOS, unit] = steepness = 50.0
    # tanh(pace * steps) is what the unit says; the picture and <bos> are steps as well.
    said = torch.tanh(torch.tensor(pace * (words + 2)))
    decoder.output.bias[EOS] = usual - steepness * said
    return decoder


def _memories(case: Case) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    shape = (case.pictures, 1, case.dim)
    return [torch.randn(shape, generator=generator) for _ in range(3)]


def _ours(
    decoder: LSTMDecoder, case: Case, k: int, found: Found, name: str, **options: Any
) -> Callable[[], None]:
    head = options.pop("head", "fp32")
    searcher = Searcher(decoder, head=head)
    config = SearchConfig(beam_size=k, max_steps=case.steps, **options)
    memories = itertools.cycle(_memories(case))

    def way() -> None:
        state = decoder.start(next(memories))
        best = beam_search(searcher, state, bos_id=BOS, eos_id=EOS, config=config, logits=True)
        found.setdefault(name, []).append(best.tokens)

    return way


def _limit(decoder: LSTMDecoder, case: Case, k: int) -> Callable[[], None]:
    """The products with the vocabulary and of the cell alone; one beam in the first step."""
    lstm, output = decoder.lstm, decoder.output
    hidden = _memories(case)[0][:, 0].repeat_interleave(k, dim=0)
    logits, gates = torch.empty(len(hidden), case.vocab), torch.empty(len(hidden), 4 * case.dim)

    def way() -> None:
        for step in range(case.steps):
            part = slice(0, case.pictures if step == 0 else None)
            into = gates[part]
            torch.addmm(lstm.bias_ih_l0, hidden[part], lstm.weight_ih_l0.T, out=into)
            into.addmm_(hidden[part], lstm.weight_hh_l0.T)
            torch.addmm(output.bias, hidden[part], output.weight.T, out=logits[part])

    return way


def _against_peers(
    decoder: LSTMDecoder, case: Case, k: int, seconds: dict[str, float]
) -> list[Row]:
    found: Found = {}
    ways = {
        "limit": _limit(decoder, case, k),
        "ours": _ours(decoder, case, k, found, "ours"),
        "generate": _generate(decoder, case, k, found),
    }
    _warm(decoder, case, k)
    times = interleaved(ways, rounds={5: 3, 10: 2}.get(k, 1), warm=0)
    seconds |= {f"{name}, k = {k}": time for name, time in times.items()}
    peer = named("transformers")
    return [
        Row(
            what=f"all k hypotheses, k = {k}",
            quantity="share equal to generate's, <eos> suppressed",
            value=_share(found["ours"], found["generate"]),
            at_least=1.0,
            peer=peer,
        ),
        Row(
            what=f"beam search, k = {k}",
            quantity="time of ours / time of the bare products",
            value=times["ours"] / times["limit"],
            at_most=1.3,
            peer=named("torch"),
            seconds=times,
            note="logits and cell products alone, preallocated; first step with one beam",
        ),
        Row(
            what=f"beam search, k = {k}",
            quantity="time of ours / time of generate(num_beams=k)",
            value=times["ours"] / times["generate"],
            at_most=0.55,
            peer=peer,
            seconds=times,
        ),
    ]


def _warm(decoder: LSTMDecoder, case: Case, k: int) -> None:
    """Compile what is compiled at first use, outside the timed runs."""
    brief = Case(vocab=case.vocab, dim=case.dim, pictures=case.pictures, steps=2)
    _ours(decoder, brief, k, {}, "ours")()
    _generate(decoder, brief, k, {})()


def _share(ours: list[Tensor], theirs: list[Tensor], beams: int | None = None) -> float:
    """The share of equal hypotheses, of the first `beams` of each picture."""
    equal = [(mine == other).all(-1)[:, :beams] for mine, other in zip(ours, theirs, strict=True)]
    return torch.cat(equal).double().mean().item()


def _greedy_and_beams(decoder: LSTMDecoder, case: Case, seconds: dict[str, float]) -> list[Row]:
    searcher = Searcher(decoder)
    memories = itertools.cycle(_memories(case))

    def greedy() -> Hypotheses:
        ends = {"bos_id": BOS, "eos_id": EOS, "max_steps": case.steps}
        return greedy_search(searcher, decoder.start(next(memories)), **ends, logits=True)

    times = interleaved(
        {"greedy": greedy, "beam(1)": _ours(decoder, case, 1, {}, "ours")}, rounds=3
    )
    times |= {f"beam({k})": seconds[f"ours, k = {k}"] for k in (5, 10, 20)}
    return [
        Row(
            what=name,
            quantity="time per picture / greedy search's",
            value=time / times["greedy"],
            seconds={name: time, "greedy": times["greedy"]},
        )
        for name, time in times.items()
        if name != "greedy"
    ]


def _tutorial(decoder: LSTMDecoder, case: Case, ours: float, pictures: int) -> Row:
    memory = _memories(case)[0]

    def way() -> None:
        for row in range(pictures):
            tutorial_search(decoder, memory[row : row + 1], 10, case.steps)

    seconds = interleaved({"tutorial": way}, rounds=1, warm=0)["tutorial"]
    seconds *= case.pictures / pictures
    return Row(
        what="per-picture, per-beam loop, k = 10",
        quantity="time of the loop / time of ours",
        value=seconds / ours,
        at_least=10.0,
        peer="the loop that tutorials show",
        seconds={"tutorial": seconds, "ours": ours},
        note=f"{pictures} pictures timed, scaled to {case.pictures}",
    )


def tutorial_search(
    decoder: LSTMDecoder, memory: Tensor, k: int, steps: int
) -> list[tuple[list[int], float]]:
    """One picture, one beam at a time, in Python lists: the best `k` as (tokens, score)."""
    beams: list[tuple[list[int], float, State]] = [([BOS], 0.0, decoder.start(memory))]
    for _ in range(steps):
        grown: list[tuple[list[int], float, State]] = []
        for tokens, score, state in beams:
            if tokens[-1] == EOS:
                grown.append((tokens, score, state))
                continue
            logits, after = decoder.step(torch.tensor([tokens[-1]]), state)
            values, ids = torch.log_softmax(logits[0], -1).topk(k)
            for value, token in zip(values.tolist(), ids.tolist(), strict=True):
                grown.append(([*tokens, token], score + value, after))
        beams = sorted(grown, key=lambda beam: -beam[1])[:k]
    return [(tokens[1:], score) for tokens, score, _ in beams]


def _short(case: Case, limit: float) -> list[Row]:
    """Captions that end early: the best as `generate` finds it, and what they cost."""
    decoder = ending_decoder(case)
    found: Found = {}
    few = Case(vocab=case.vocab, dim=case.dim, pictures=min(16, case.pictures), steps=case.steps)
    _ours(decoder, few, 10, found, "ours")()
    _generate(decoder, few, 10, found)()
    ways = {stop: _ours(decoder, case, 20, found, stop, stop=stop) for stop in ("best", "all")}
    times = interleaved(ways, rounds=1, warm=0)
    lengths = Hypotheses(found["all"][0], torch.zeros(case.pictures, 20)).lengths(EOS).double()
    mean = f"mean length {lengths[:, 0].mean():.1f} (best), {lengths.mean():.1f} (all k)"
    rows = [
        Row(
            what="best hypothesis, k = 10, captions that end",
            quantity="share equal to generate's",
            value=_share(found["ours"], found["generate"], beams=1),
            at_least=1.0,
            peer=named("transformers"),
            note=f"{few.pictures} pictures; lower places follow another rule there",
        ),
        Row(
            what="best hypothesis, k = 20, stop at the best",
            quantity="share equal to the full search's",
            value=_share(found["best"], found["all"], beams=1),
            at_least=1.0,
        ),
    ]
    for stop, bound in (("best", 0.6), ("all", None)):
        rows.append(
            Row(
                what=f"captions that end, k = 20, stop={stop}",
                quantity=f"time of ours / {case.steps}-step bare products",
                value=times[stop] / limit,
                at_most=bound,
                seconds={"ours": times[stop], "limit": limit},
                note=mean,
            )
        )
    return rows


def _bf16(decoder: LSTMDecoder, case: Case) -> list[Row]:
    """What a bfloat16 head changes, and what it costs, with random weights."""
    few = Case(vocab=case.vocab, dim=case.dim, pictures=min(16, case.pictures), steps=case.steps)
    found: Found = {}
    ways = {head: _ours(decoder, few, 5, found, head, head=head) for head in ("fp32", "bf16")}
    times = interleaved(ways, rounds=1, warm=0)
    changed = 1 - _share(found["bf16"], found["fp32"], beams=1)
    return [
        Row(what="bf16 head, k = 5", quantity="share of best hypotheses changed", value=changed),
        Row(
            what="bf16 head, k = 5",
            quantity="time / fp32 head's",
            value=times["bf16"] / times["fp32"],
            seconds=times,
        ),
    ]


# The peer: the same decoder under `transformers.generate`, one step a call, its state as the cache.


class StateCache:
    """The LSTM's state as the object that `generate` carries and reorders."""

    is_compileable = False

    def __init__(self, state: State):
        self.state = state

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """No tokens are kept, only the state after them."""
        return 0

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Each row's state from the row it continues."""
        self.state = {k: v.index_select(0, beam_idx) for k, v in self.state.items()}


class GenerateLSTM(PreTrainedModel, GenerationMixin):
    """The decoder as `generate` wants it."""

    config_class = PretrainedConfig
    main_input_name = "input_ids"

    def __init__(self, decoder: LSTMDecoder):
        super().__init__(PretrainedConfig(vocab_size=decoder.output.out_features))
        self.decoder = decoder

    def prepare_inputs_for_generation(
        self,
        input_ids: Tensor,
        past_key_values: StateCache | None = None,
        attention_mask: Tensor | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        """The last token; what came before it is in the state."""
        return {"input_ids": input_ids[:, -1], "past_key_values": past_key_values}

    def forward(
        self,
        input_ids: Tensor,
        past_key_values: StateCache,
        attention_mask: Tensor | None = None,
        **_: Any,
    ) -> CausalLMOutputWithPast:
        """Logits one token further; there is no padding to mask."""
        logits, past_key_values.state = self.decoder.step(input_ids, past_key_values.state)
        return CausalLMOutputWithPast(logits=logits[:, None], past_key_values=past_key_values)


def _generate(decoder: LSTMDecoder, case: Case, k: int, found: Found) -> Callable[[], None]:
    model = GenerateLSTM(decoder).eval()
    memories = itertools.cycle(_memories(case))

    def way() -> None:
        state = decoder.start(next(memories))
        rows = {name: value.repeat_interleave(k, dim=0) for name, value in state.items()}
        tokens = model.generate(
            torch.full((case.pictures, 1), BOS),
            attention_mask=torch.ones(case.pictures, 1),
            past_key_values=StateCache(rows),
            num_beams=k,
            num_return_sequences=k,
            max_new_tokens=case.steps,
            length_penalty=0.0,
            early_stopping="never",
            do_sample=False,
            bos_token_id=BOS,
            eos_token_id=EOS,
            pad_token_id=EOS,
        )[:, 1:]
        padded = torch.full((len(tokens), case.steps), EOS)
        padded[:, : tokens.shape[1]] = tokens
        found.setdefault("generate", []).append(padded.unflatten(0, (case.pictures, k)))

    return way
