"""Laws of the batch normalisation that spans processes."""

import pytest
import torch
from torch import distributed, multiprocessing

from songtitle.model.encoder import BatchNorm

DIM = 5
SHARES = (7, 4)  # rows of each process


def rows_and_gradients():
    generator = torch.Generator().manual_seed(3)
    shape = (2, sum(SHARES), DIM)  # two steps
    rows = torch.randn(shape, generator=generator) * 3 + torch.arange(5) * 20
    return rows, torch.randn(shape, generator=generator)


def train(rows, gradients):
    """What two training steps give: outputs, gradients of rows and parameters, statistics."""
    norm = BatchNorm(DIM)
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0.5, 2, DIM))
    outputs, backs = [], []
    for batch, gradient in zip(rows, gradients, strict=True):
        batch = batch.clone().requires_grad_()
        output = norm(batch)
        output.backward(gradient)
        outputs.append(output.detach())
        backs.append(batch.grad)
    return {
        "outputs": torch.stack(outputs),
        "backs": torch.stack(backs),
        "weight": norm.weight.grad,
        "bias": norm.bias.grad,
        "running_mean": norm.running_mean,
        "running_var": norm.running_var,
        "steps": norm.num_batches_tracked,
    }


def one_of_two(rank, folder):
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )
    rows, gradients = (each.split(SHARES, dim=1)[rank] for each in rows_and_gradients())
    torch.save(train(rows, gradients), f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


def test_two_processes_normalise_as_one_with_the_joined_batch(tmp_path):
    multiprocessing.spawn(one_of_two, args=(str(tmp_path),), nprocs=2)
    parts = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1)]
    whole = train(*rows_and_gradients())
    close = {"atol": 1e-5, "rtol": 1e-5}
    for name in ("outputs", "backs"):
        joined = torch.cat([part[name] for part in parts], dim=1)
        torch.testing.assert_close(joined, whole[name], **close)
    for name in ("weight", "bias"):  # each process has its share of the gradient
        torch.testing.assert_close(sum(part[name] for part in parts), whole[name], **close)
    for name in ("running_mean", "running_var", "steps"):
        for part in parts:
            torch.testing.assert_close(part[name], whole[name], **close)


@pytest.mark.parametrize("training", [True, False])
def test_in_one_process_it_is_the_plain_batch_normalisation(training):
    rows, _ = rows_and_gradients()
    ours, theirs = BatchNorm(DIM).train(training), torch.nn.BatchNorm1d(DIM).train(training)
    assert torch.equal(ours(rows[0]), theirs(rows[0]))
    assert torch.equal(ours.running_var, theirs.running_var)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
