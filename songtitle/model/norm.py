"""Batch normalisation over everything that all processes hold, on CPU and GPU alike."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, distributed, nn


class BatchNorm(nn.BatchNorm1d):
    """`nn.BatchNorm1d` over `(items, dim)`, whose batch is the union of all processes' batches.

    In training under `torch.distributed` with more than one process, mean and variance are those
    of all rows in all processes (which may hold different numbers of rows), and gradients flow
    through them: two processes compute what one with the joined batch would. In every other case
    it is `nn.BatchNorm1d`. PyTorch's own SyncBatchNorm runs on GPUs alone.
    """

    def forward(self, input: Float[Tensor, "items dim"]) -> Float[Tensor, "items dim"]:
        """Normalised columns: mean 0 and variance 1 over the joined batch in training."""
        if not (self.training and distributed.is_available() and distributed.is_initialized()):
            return super().forward(input)
        if distributed.get_world_size() == 1:
            return super().forward(input)
        rows = input.float()  # statistics of half precision would be coarse
        sums = torch.cat([rows.sum(0), rows.new_tensor([len(rows)])])
        sums = _AllSum.apply(sums)
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centred = rows - mean  # the mean first: a difference of squares would lose digits
        variance = _AllSum.apply(centred.square().sum(0)) / count
        self._track(mean.detach(), variance.detach(), count)
        normal = centred * torch.rsqrt(variance + self.eps)
        if self.affine:
            normal = normal * self.weight + self.bias
        return normal.to(input.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        """Move the running statistics, as `nn.BatchNorm1d` does: unbiased variance."""
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        share = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance * count / (count - 1), share)


class _AllSum(torch.autograd.Function):
    """The sum over all processes; what each has a gradient of is that sum, so gradients add up."""

    @staticmethod
    def forward(context: Any, mine: Tensor) -> Tensor:
        total = mine.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total
