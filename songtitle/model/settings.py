"""Settings: what the captioner is made of, and the names that its parts go by."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from songtitle.errors import InputError
from songtitle.schema import Count, From0, OneOf, check

LITES = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
ENCODERS = (*LITES, *RESNETS, "timbre")
DECODERS = ("lstm", "attention", "transformer")
MEMORIES = ("auto", "pooled", "map")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What the captioner is made of (paper 4.2 unless noted)."""

    encoder: Annotated[str, OneOf(ENCODERS)] = "efficientnet_lite0"
    """The picture network; the paper: resnet152."""
    weights: str = "imagenet"
    """Of the picture network: imagenet, imagenet_v2, none, or the path of a state dict."""
    memory: Annotated[str, OneOf(MEMORIES)] = "auto"
    """What the decoder reads of a picture; auto: pooled for the lstm, map for those that look."""
    fine_tune: bool = False
    """Whether the picture network trains too."""
    decoder: Annotated[str, OneOf(DECODERS)] = "lstm"
    """What makes words of it; the paper: lstm."""
    dim: Count = 512
    """Width of embeddings, hidden states and memory."""
    num_layers: Count = 1
    """Layers of the decoder."""
    num_heads: Count = 8
    """Heads of the transformer; divides dim."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Share of embeddings and decoder outputs that training drops."""
    word_vectors: str = "none"
    """Embeddings to begin with: none, glove, or the path of a text file of vectors."""
    attention_penalty: From0 = 0.0
    """Weight of doubly stochastic attention, of the attention decoder; Xu et al. 2015 give 1."""

    def __post_init__(self) -> None:
        check(self)
        penalty = self.attention_penalty
        _holds(
            penalty == 0 or self.decoder == "attention",
            "attention_penalty",
            f"0 with decoder {self.decoder!r}, which has no such attention",
            penalty,
        )
        whole = self.decoder != "transformer" or self.dim % self.num_heads == 0
        _holds(whole, "num_heads", f"a divisor of dim, {self.dim}", self.num_heads)
        if self.encoder == "timbre":
            _holds(not self.fine_tune, "fine_tune", "False with encoder 'timbre'", self.fine_tune)
            _holds(self.memory != "map", "memory", "'pooled' with encoder 'timbre'", self.memory)

    @property
    def positions(self) -> str:
        """What `memory` comes to, "pooled" or "map": "auto" is what suits the decoder."""
        if self.memory == "auto":
            looks = self.decoder != "lstm" and self.encoder != "timbre"
            return "map" if looks else "pooled"
        return self.memory


def _holds(right: bool, name: str, wanted: str, got: object) -> None:
    if not right:
        msg = f"{name}: expected {wanted}, got {got}; change the setting"
        raise InputError(msg)
