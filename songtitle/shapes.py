"""The dictionary of axes: every tensor in the project takes its axis words from here.

Tensors are batch-first. The words are `batch samples bins frames channels height width positions
dim steps beams vocab items`.
"""

from collections.abc import Mapping

from jaxtyping import Float, Int
from torch import Tensor

Waveform = Float[Tensor, "*batch samples"]  # mono, [-1, 1]
Spectrogram = Float[Tensor, "*batch bins frames"]  # dB below the clip's peak, [-top_db, 0]
Image = Float[Tensor, "*batch channels height width"]  # RGB, [0, 1]; each encoder normalises
Timbre = Float[Tensor, "*batch 90"]  # 12 means, then 78 covariances
Features = Float[Tensor, "batch positions features"]  # what a backbone makes of a picture
Memory = Float[Tensor, "batch positions dim"]  # what a decoder attends to
Tokens = Int[Tensor, "batch steps"]  # vocabulary ids, right-padded with pad_id
State = Mapping[str, Tensor]  # a decoder's state; every tensor is led by the group axis
