"""Laws of the page that names songs in the browser: its model, its files, what it may ask for."""

import copy
import gzip
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from songtitle import config
from songtitle.book.demo import Twin, picture_graph, sixteen_bits, word_graph
from songtitle.book.demo import write_demo as write
from songtitle.cache import read_json
from songtitle.config import ModelConfig
from songtitle.errors import InputError
from songtitle.experiment.corpora import clips
from songtitle.experiment.inputs import clip_picture, frozen_backbone, hear
from songtitle.experiment.learning import load_trained, training
from songtitle.experiment.naming import as_words, search
from songtitle.model.captioner import build_captioner

ROOT = Path(__file__).parent.parent
DEMO = ROOT / "book" / "extra" / "demo"
CONFIG = config.preset("tiny")


@pytest.fixture(scope="module")
def trained(tiny_home):
    """The tiny captioner, its vocabulary and its picture network."""
    model, vocabulary, _ = load_trained(training(CONFIG, home=tiny_home), CONFIG)
    return model.cpu(), vocabulary, frozen_backbone(CONFIG).cpu()


@pytest.fixture(scope="module")
def pictures(tiny_home):
    """The tiny run's test songs, as the network sees them."""
    record = clips(CONFIG, home=tiny_home)
    names = [song["clip"] for song in read_json(record.file("songs.json"))]
    return [clip_picture(hear(record.file("clips") / name, CONFIG), name, CONFIG) for name in names]


@pytest.fixture(scope="module")
def twin(trained):
    model, _, backbone = trained
    return Twin(picture_graph(backbone, model, CONFIG.crop), word_graph(model))


def stored(network):
    """The same network with the weights that 16 bits leave of its matrices."""
    network = copy.deepcopy(network)
    for weight in network.parameters():
        if weight.ndim > 1:
            whole, scale = sixteen_bits(weight)
            weight.data = whole * scale
    return network


def test_a_weight_in_sixteen_bits_is_off_by_half_a_step_of_its_channel_at_most():
    weight = torch.randn(5, 7, 3, generator=torch.Generator().manual_seed(0)) * 10
    weight[2] = 0
    whole, scale = sixteen_bits(weight)
    assert scale.shape == (5, 1, 1)
    steps = (whole * scale - weight).abs() / scale
    assert steps.max() <= 0.51
    assert not whole[2].any()


def test_memory_in_onnx_is_that_of_torch(trained, twin, pictures):
    model, _, backbone = trained
    with torch.inference_mode():
        theirs = stored(model).encoder(stored(backbone)(torch.stack(pictures)))[:, 0].numpy()
    ours = np.concatenate([twin.memory(image) for image in pictures])
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_words_in_onnx_have_the_log_probabilities_of_torch(trained, twin):
    model, vocabulary, _ = trained
    memory = torch.randn(1, CONFIG.model.dim, generator=torch.Generator().manual_seed(1))
    nothing = torch.zeros_like(memory)
    with torch.inference_mode():
        decoder = stored(model).decoder
        theirs = decoder.start(memory[None])
        _, ours = twin.word(np.array([-1]), memory.numpy(), {"hidden": nothing, "cell": nothing})
        for token in (vocabulary.bos_id, 7, 5):  # two rows go on from the first one of before
            theirs = {name: value[[0, 0]] for name, value in theirs.items()}
            ours = {name: value[[0, 0]] for name, value in ours.items()}
            logits, theirs = decoder.step(torch.tensor([token, 4]), theirs)
            found, ours = twin.word(np.array([token, 4]), memory.numpy(), ours)
            difference = found.log_softmax(-1) - logits.log_softmax(-1)
            assert difference.abs().max() < 1e-4


def test_five_titles_in_onnx_are_those_of_torch(trained, twin, pictures):
    model, vocabulary, backbone = trained
    settings = replace(CONFIG.search, beam_size=5)
    with torch.inference_mode():
        memory = stored(model).encoder(stored(backbone)(torch.stack(pictures)))
        theirs = as_words(search(stored(model), memory, vocabulary, settings), vocabulary)
    ours = [twin.titles(image, vocabulary, settings) for image in pictures]
    assert [[words for words, _ in each] for each in ours] == [
        [words for words, _ in each] for each in theirs
    ]
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose([p for _, p in mine], [p for _, p in other], atol=1e-4)


def test_writing_twice_gives_the_same_bytes_and_leaves_what_is_right(tiny_home, tmp_path):
    for name in ("first", "second"):
        write(CONFIG, tmp_path / name, home=tiny_home)
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("first", "second")
    )
    assert first == second
    assert {"picture.onnx", "word.onnx", "model.json"} < set(first)
    graphs = first["picture.onnx"] + first["word.onnx"]
    assert str(ROOT).encode() not in graphs  # torch's exporter notes lines of code
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "first").iterdir()}
    (tmp_path / "first" / "word.onnx").write_bytes(b"torn")
    write(CONFIG, tmp_path / "first", home=tiny_home)
    assert (tmp_path / "first" / "word.onnx").read_bytes() == first["word.onnx"]
    del times[tmp_path / "first" / "word.onnx"]
    assert times == {path: path.stat().st_mtime_ns for path in times}


@pytest.mark.parametrize("changes", [{"decoder": "attention"}, {"num_layers": 2}], ids=str)
def test_a_captioner_of_other_parts_is_refused_in_one_line(changes):
    model = build_captioner(ModelConfig(dim=8, **changes), vocab=11, pad_id=0)
    with pytest.raises(InputError, match="expected the quick run's captioner") as refusal:
        word_graph(model)
    assert "\n" not in str(refusal.value)


# -- the files that come with the book -------------------------------------------------------------


def facts():
    return json.loads((DEMO / "model" / "model.json").read_text("utf-8"))


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def test_the_model_in_the_book_is_whole_and_says_what_the_published_run_and_chance_scored():
    for name, expected in facts()["sha256"].items():
        assert sha256((DEMO / "model" / name).read_bytes()) == expected
    published = json.loads((ROOT / "results" / "quick" / "training.json").read_text("utf-8"))
    assert facts()["run"]["training"] == published["key"], "publish the quick run again"
    rows = json.loads((ROOT / "results" / "quick" / "scores.json").read_text("utf-8"))["result"]
    assert facts()["chance"] in rows["rows"], "publish the quick run again"
    found = facts()["agreement"]
    assert found["songs"] == facts()["songs"]
    # Of a run in fp32 nearly all five do; one on a machine with bf16 has rounded its features, on
    # which the order of the four that are nearly as good hangs.
    assert found["same_first"] >= 0.9 * found["songs"]
    assert found["same_five"] >= 0.5 * found["songs"]


def test_the_page_stays_small():
    def size(*patterns):
        return sum(path.stat().st_size for each in patterns for path in DEMO.glob(each)) / 1e6

    assert size("*.js", "*.css") < 0.05
    assert size("model/*.onnx", "model/model.json") < 14
    assert size("model/example-*") < 1
    assert size("ort/*") < 3.5


def test_every_vendored_file_is_the_one_that_is_listed():
    listed = json.loads((DEMO / "ort" / "vendored.json").read_text("utf-8"))
    assert listed["name"] == "onnxruntime-web"
    found = {path.name: path.read_bytes() for path in (DEMO / "ort").iterdir()}
    del found["vendored.json"]
    assert {name: sha256(content) for name, content in found.items()} == listed["files"]
    for name, expected in listed["unpacked"].items():
        assert sha256(gzip.decompress(found[f"{name}.gz"])) == expected


def test_the_page_asks_no_other_machine_and_writes_text_as_text():
    own = "\n".join(path.read_text("utf-8") for path in DEMO.glob("*.js"))
    own += (DEMO / "demo.css").read_text("utf-8") + (ROOT / "book" / "demo.md").read_text("utf-8")
    assert not re.search(r"https?:|innerHTML|insertAdjacentHTML|document\.write|eval\(", own)


def test_the_page_has_every_part_that_its_script_asks_for():
    page = (ROOT / "book" / "demo.md").read_text("utf-8")
    script = (DEMO / "page.js").read_text("utf-8")
    (names,) = re.findall(r"\[(.*?)\]\.map\(one\)", script)
    wanted = re.findall(r'"(\w+)"', names) + re.findall(r'one\("(\w+)"\)', script)
    assert {"file", "titles", "spectrogram", "status"} <= set(wanted)
    for name in wanted:
        assert f'id="demo-{name}"' in page
    for name in re.findall(r'data-example="(.+?)"', page):
        assert (DEMO / "model" / name).is_file()
