"""The exported captioner run in Python: what the page should say, and how near that is."""

from typing import Any

import numpy as np
import onnxruntime
import torch
from jaxtyping import Float, Int
from torch import Tensor

from songtitle.experiment.naming import as_words
from songtitle.search import SearchConfig, beam_search
from songtitle.shapes import Image, State
from songtitle.vocab import Vocabulary


class Twin:
    """The two graphs under Python's onnxruntime, on one thread as in a browser."""

    def __init__(self, picture: bytes, word: bytes):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        start = onnxruntime.InferenceSession
        self._picture = start(picture, options, providers=["CPUExecutionProvider"])
        self._word = start(word, options, providers=["CPUExecutionProvider"])

    def memory(self, image: Image) -> Float[np.ndarray, "1 dim"]:
        """What the encoder makes of a picture, of which one channel is read."""
        return self._picture.run(["memory"], {"picture": image[0].numpy()})[0]

    def word(
        self, tokens: Int[np.ndarray, " rows"], memory: Float[np.ndarray, "1 dim"], state: State
    ) -> tuple[Float[Tensor, "rows vocab"], State]:
        """Logits one token further, and the new state."""
        given = {"token": tokens.astype(np.int32), "memory": memory}
        given |= {f"{name}_in": value.numpy() for name, value in state.items()}
        found = self._word.run(["logits", "hidden", "cell"], given)
        logits, hidden, cell = map(torch.from_numpy, found)
        return logits, {"hidden": hidden, "cell": cell}

    def titles(self, image: Image, vocabulary: Vocabulary, config: SearchConfig) -> list[list[Any]]:
        """Up to five titles as `[words, log-probability]`, best first."""
        memory = self.memory(image)
        nothing = torch.zeros(memory.shape)
        _, state = self.word(np.array([-1]), memory, {"hidden": nothing, "cell": nothing})
        found = beam_search(
            lambda tokens, state: self.word(tokens.numpy(), memory, state),
            state,
            bos_id=vocabulary.bos_id,
            eos_id=vocabulary.eos_id,
            config=config,
            never=[vocabulary.pad_id, vocabulary.bos_id, vocabulary.unk_id],
            logits=True,
        )
        return as_words(found, vocabulary)[0]
