"""Laws of naming: which captioner names a reader's songs."""

import pytest

from songtitle.cache import run_stage
from songtitle.errors import InputError
from songtitle.experiment.naming import last_captioner


def leave(home, stage, inputs=(), **settings):
    return run_stage(stage, lambda folder: {}, settings=settings, inputs=inputs, home=home)


def test_a_captioner_trained_for_comparison_alone_names_no_songs(tmp_path):
    main = leave(tmp_path, "training", decoder="lstm")
    leave(tmp_path, "hypotheses", [main], input="songs: timbre")
    other = leave(tmp_path, "training", decoder="transformer")
    leave(tmp_path, "hypotheses", [other], input="pictures 256×256")
    assert last_captioner(tmp_path).key == main.key


def test_the_last_trained_captioner_serves_where_none_has_named_songs(tmp_path):
    leave(tmp_path, "training", decoder="lstm")
    last = leave(tmp_path, "training", decoder="attention")
    assert last_captioner(tmp_path).key == last.key


def test_without_a_captioner_the_reader_is_told_how_to_get_one(tmp_path):
    with pytest.raises(InputError, match="no trained model yet; run `make book`"):
        last_captioner(tmp_path)
