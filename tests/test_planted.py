"""The planted test: what is in the sound is found, what is not is not found, by the whole library.

Five made-up instruments play single tones, and a title names the instrument. From wav files on, all
is the library's own: spectrogram, frozen network, captioner, training, search, scores and chance.
"""

from typing import NamedTuple

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from songtitle.config import ModelConfig, SearchConfig, SpectrogramConfig, TrainingConfig
from songtitle.corpora.batches import Loader
from songtitle.metrics.chance import Chance, against_chance, replicate_interval
from songtitle.metrics.pairs import recalls, reciprocal_ranks, unigram_pair_scores
from songtitle.model.captioner import Searcher, build_captioner, log_likelihoods
from songtitle.model.encoder import build_backbone
from songtitle.sound import load_clip, log_spectrogram, spectrogram_image
from songtitle.training.loop import evaluate, fit
from songtitle.vocabulary import Vocabulary

TRAIN, VALID, TEST = 251, 47, 101
MRR_BY_CHANCE = np.mean(1 / np.arange(1, TEST + 1))
RATE, SAMPLES = 22_050, 7_717  # a third of a second
HARMONICS = {  # how loud the multiples of the pitch are
    "flute": [1.0, 0.1],
    "clarinet": [1.0, 0.0, 0.6, 0.0, 0.4, 0.0, 0.3, 0.0, 0.2],
    "violin": [1 / n for n in range(1, 21)],
    "organ": [1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
    "drum": [],  # noise alone
}
SHARES = (0.16, 0.2, 0.4, 0.14, 0.1)  # some are played more, as some words are said more
OTHERS = ("song", "river", "morning", "farewell", "winter", "dance", "road")


class Corpus(NamedTuple):
    """Features of the clips and their titles, of which the first TRAIN are for training."""

    features: Tensor  # (items, 1, 1, 1280)
    titles: list[list[str]]


def tone(instrument: str, draw: np.random.Generator) -> np.ndarray:
    """A third of a second at a random pitch and loudness, with a random fade and some noise."""
    seconds = np.arange(SAMPLES) / RATE
    pitch = 110 * 2 ** draw.uniform(0, 2)
    wave = sum(
        loud * np.sin(2 * np.pi * (n * pitch * seconds + draw.random()))
        for n, loud in enumerate(HARMONICS[instrument], start=1)
    )
    wave = wave + (0.02 if HARMONICS[instrument] else 1.0) * draw.normal(size=SAMPLES)
    wave = wave * np.exp(-seconds * draw.uniform(0, 6))
    return 0.9 * draw.uniform(0.1, 1) * wave / np.abs(wave).max()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    folder, draw = tmp_path_factory.mktemp("clips"), np.random.default_rng(0)
    played = draw.choice(list(HARMONICS), TRAIN + VALID + TEST, p=SHARES).tolist()
    settings = SpectrogramConfig(sample_rate=RATE)
    images = []
    for number, instrument in enumerate(played):
        soundfile.write(folder / f"{number}.wav", tone(instrument, draw), RATE)
        clip = load_clip(folder / f"{number}.wav", sample_rate=RATE)
        images.append(spectrogram_image(log_spectrogram(clip, settings), settings))
    backbone = build_backbone("efficientnet_lite0")
    features = torch.cat(
        [backbone(torch.stack(images[i : i + 32])) for i in range(0, len(images), 32)]
    )
    titles = []
    for each in played:
        words = [each, str(draw.choice(OTHERS))]
        titles.append(words[::-1] if draw.random() < 0.5 else words)
    return Corpus(features.unsqueeze(1), titles)


def learn_and_test(corpus: Corpus, order: list[int], folder, seed: int = 0):
    """Train on clips with the titles of the clips in `order`, then name and rank the test clips.

    `order` begins with a place for each clip of the training and goes on with the validation. Gives
    BLEU-1 and log-likelihoods, each as a matrix of pairs.
    """
    vocabulary = Vocabulary.from_tokens(corpus.titles[:TRAIN])
    ids = [vocabulary.encode(corpus.titles[i]) for i in order]
    special = {"bos_id": vocabulary.bos_id, "eos_id": vocabulary.eos_id}
    training = TrainingConfig(epochs=5, learning_rate=5e-3, seed=seed)

    pad = {"pad_id": vocabulary.pad_id}

    def loader(first: int, last: int) -> Loader:
        sizes = {"batch_size": training.batch_size, "seed": seed} | pad
        return Loader(corpus.features[first:last], ids[first:last], **sizes)

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        sizes = {"features": corpus.features.shape[-1], "vocab": len(vocabulary)} | pad
        model = build_captioner(ModelConfig(dim=64), **sizes)
    held_out = loader(TRAIN, TRAIN + VALID)

    def loss(model):
        return evaluate(model, held_out.in_order(), **pad)

    fit(model, loader(0, TRAIN), config=training, validate=loss, folder=folder, **pad)
    model.eval()
    true = corpus.titles[-TEST:]
    with torch.inference_mode():
        memory = model.encoder(corpus.features[-TEST:, 0])
        searcher = Searcher(model.decoder, never=[vocabulary.pad_id, vocabulary.unk_id])
        found = searcher.search(memory, **special, config=SearchConfig(max_steps=6))
        wanted = list(map(vocabulary.encode, true))
        values = log_likelihoods(model.decoder, memory, wanted, **special)
    said = [vocabulary.decode(beams[0]) for beams in found.tokens.tolist()]
    return unigram_pair_scores(said, true), values.double().numpy()


def chances(found) -> list[Chance]:
    """BLEU-1 and reciprocal rank beside chance; the score of the latter is the mean of the own."""
    bleu, likely = found
    return [
        against_chance(pairs, rounds=999, generator=np.random.default_rng(1))
        for pairs in (bleu, reciprocal_ranks(likely))
    ]


def is_above(measured: Chance) -> bool:
    return measured.p <= 0.01 and measured.gain_low > 0


def test_a_captioner_that_hears_is_found_above_chance_by_bleu_and_by_retrieval(corpus, tmp_path):
    found = learn_and_test(corpus, list(range(TRAIN + VALID)), tmp_path)
    assert all(map(is_above, chances(found)))
    assert chances(found)[1].score > 2 * MRR_BY_CHANCE
    assert np.diagonal(recalls(found[1], k=10)).mean() > 2 * 10 / TEST


def test_those_trained_on_shuffled_pairs_are_found_at_chance_by_both(corpus, tmp_path):
    # Five of them: one alone learns what its shuffle left by accident, such as more drums with the
    # titles of drums, and all clips of an instrument then gain or lose together.
    runs = []
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(TRAIN + VALID).tolist()
        runs.append(chances(learn_and_test(corpus, order, tmp_path / str(seed), seed)))
    for measured in zip(*runs, strict=True):
        assert not any(map(is_above, measured))
        assert np.median([each.p for each in measured]) > 0.1
        low, high = replicate_interval([each.gain for each in measured])
        assert low <= 0 <= high
    ranks = [run[1].score for run in runs]
    assert np.mean(ranks) == pytest.approx(MRR_BY_CHANCE, abs=0.01)
