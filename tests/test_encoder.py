"""Laws of the encoders: what pictures and timbre become, frozen and fine-tuned."""

import copy

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import distributed, multiprocessing

from songtitle.config import ENCODERS, LITES
from songtitle.errors import InputError
from songtitle.model.efficientnet import EfficientNetLite
from songtitle.model.encoder import (
    WIDTHS,
    Backbone,
    BatchNorm,
    PictureEncoder,
    Projection,
    TimbreDoor,
    TimbreEncoder,
    build_backbone,
    fold_batch_norm,
)
from songtitle.timbre import replicated_order

BATCH, POSITIONS, FEATURES, DIM = 2, 3, 7, 5


def pictures(batch=BATCH, height=64, width=64):
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


def wander(network):
    """Give batch normalisations statistics as training would have."""
    generator = torch.Generator().manual_seed(2)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)


@pytest.fixture(scope="module")
def resnet18(tmp_path_factory):
    """A ResNet-18 and the file of its weights."""
    torch.manual_seed(0)
    network = torchvision.models.resnet18(weights=None).eval()
    wander(network)
    path = tmp_path_factory.mktemp("weights") / "r.safetensors"
    save_file(network.state_dict(), path)
    return network, str(path)


# --- picture networks


@pytest.mark.parametrize("name", WIDTHS)
def test_a_tile_of_32_pixels_is_one_position_and_its_own_mean(name):
    backbone = build_backbone(name, "none", memory="map")
    tile = pictures(batch=1, height=32, width=32)
    grid = backbone(tile)
    assert grid.shape == (1, 1, WIDTHS[name])
    assert backbone.width == WIDTHS[name]
    backbone.memory = "pooled"
    torch.testing.assert_close(backbone(tile), grid)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet18"])
@pytest.mark.parametrize(("height", "width", "rows", "columns"), [(64, 96, 2, 3), (45, 131, 2, 5)])
def test_pooled_memory_is_the_mean_of_the_map_at_any_size(name, height, width, rows, columns):
    backbone = build_backbone(name, "none", memory="map")
    grid = backbone(pictures(height=height, width=width))
    assert grid.shape == (BATCH, rows * columns, WIDTHS[name])
    backbone.memory = "pooled"
    pooled = backbone(pictures(height=height, width=width))
    torch.testing.assert_close(pooled, grid.mean(1, keepdim=True))


def test_positions_follow_the_map_row_by_row():
    backbone = Backbone(
        torch.nn.Identity(), width=3, mean=[0.5, 0.0, 0.0], std=[2.0, 1.0, 1.0], memory="map"
    )
    image = pictures(height=5, width=7)
    found = backbone(image)
    assert found.shape == (BATCH, 35, 3)
    torch.testing.assert_close(found[:, 2 * 7 + 4, 0], (image[:, 0, 2, 4] - 0.5) / 2)
    torch.testing.assert_close(found[:, 2 * 7 + 4, 1:], image[:, 1:, 2, 4])


def test_pooled_features_are_what_torchvision_gives_its_classifier(resnet18):
    network, path = resnet18
    whole = copy.deepcopy(network)
    whole.fc = torch.nn.Identity()
    normalise = torchvision.models.ResNet18_Weights.DEFAULT.transforms()
    normal = (pictures() - torch.tensor(normalise.mean).view(3, 1, 1)) / torch.tensor(
        normalise.std
    ).view(3, 1, 1)
    with torch.inference_mode():
        expected = whole(normal)
    for frozen in (True, False):
        found = build_backbone("resnet18", path, frozen=frozen).train()(pictures())[:, 0]
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet18"])
def test_a_frozen_network_never_trains_and_what_follows_it_does(name):
    backbone = build_backbone(name, "none").train()
    assert not any(module.training for module in backbone.modules())
    assert not any(p.requires_grad for p in backbone.parameters())
    encoder = PictureEncoder(backbone, DIM).train()
    assert not any(module.training for module in backbone.modules())
    encoder(pictures()).square().sum().backward()
    assert encoder.linear.weight.grad is not None


@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet18"])
def test_fine_tuning_moves_every_parameter_and_no_statistic(name):
    torch.manual_seed(0)
    encoder = PictureEncoder(build_backbone(name, "none", frozen=False), DIM).train()
    backbone = encoder.backbone
    before = copy.deepcopy(backbone.state_dict())
    optimizer = torch.optim.SGD(encoder.parameters(), lr=10.0)
    target = torch.randn(BATCH, 1, DIM, generator=torch.Generator().manual_seed(3))
    (encoder(pictures()) * target).sum().backward()
    optimizer.step()
    trained = {key for key, _ in backbone.named_parameters()}
    for key, value in backbone.state_dict().items():
        assert key in trained or torch.equal(value, before[key]), key
    moved = {key for key in trained if not torch.equal(backbone.state_dict()[key], before[key])}
    assert moved == trained
    assert any(key.endswith("bn1.weight") for key in moved)
    assert any(module.training for module in backbone.modules())


@pytest.mark.parametrize("name", LITES)
def test_an_efficientnet_is_timms_entry_by_entry_and_bit_by_bit(name):
    theirs, ours = timm.create_model(f"tf_{name}", pretrained=False).eval(), EfficientNetLite(name)
    wander(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.eval().load_state_dict(theirs.state_dict())
    theirs.reset_classifier(0, "")
    for size in ((64, 96), (65, 63)):
        picture = pictures(height=size[0], width=size[1])
        with torch.inference_mode():
            assert torch.equal(ours(picture), theirs(picture))


@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet18"])
def test_folding_batch_norm_changes_no_output(name):
    torch.manual_seed(0)
    network = EfficientNetLite(name) if name in LITES else timm.create_model(name)
    wander(network.eval())
    wander(network)
    folded = fold_batch_norm(copy.deepcopy(network))
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    picture = pictures(height=64, width=96)
    with torch.inference_mode():
        torch.testing.assert_close(folded(picture), network(picture), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("call", ["efficientnet_lite9", "timbre", "resnet"])
def test_a_network_that_is_not_known_is_refused_with_the_choice(call):
    assert set(ENCODERS) == {*WIDTHS, "timbre"}
    with pytest.raises(InputError, match=rf"encoder: expected .*resnet152, got '{call}'"):
        build_backbone(call)


# --- projections


def test_a_projection_leaves_each_column_at_unit_scale_in_training():
    torch.manual_seed(0)
    features = 50 * torch.randn(101, POSITIONS, FEATURES) + 3
    memory = Projection(FEATURES, DIM)(features)
    assert memory.shape == (101, POSITIONS, DIM)
    rows = memory.flatten(0, 1)
    torch.testing.assert_close(rows.mean(0), torch.zeros(DIM), atol=1e-5, rtol=0)
    torch.testing.assert_close(rows.std(0, correction=0), torch.ones(DIM), atol=1e-3, rtol=0)


def test_pictures_and_their_features_give_the_same_memory(resnet18):
    _, path = resnet18
    backbone = build_backbone("resnet18", path, memory="map")
    encoder = PictureEncoder(backbone, DIM).eval()
    torch.testing.assert_close(encoder(pictures()), encoder(backbone(pictures())))


def test_a_frozen_network_stays_out_of_the_state_dict_and_a_fine_tuned_one_is_in_it():
    frozen = torch.nn.Sequential(PictureEncoder(build_backbone("resnet18", "none"), DIM))
    plain = torch.nn.Sequential(Projection(512, DIM))
    assert frozen.state_dict().keys() == plain.state_dict().keys()
    frozen.load_state_dict(plain.state_dict())
    plain.load_state_dict(frozen.state_dict())
    with pytest.raises(RuntimeError, match=r"Missing key.*linear\.bias"):
        frozen.load_state_dict({k: v for k, v in plain.state_dict().items() if "bias" not in k})
    tuned = PictureEncoder(build_backbone("resnet18", "none", frozen=False), DIM)
    assert "backbone.trunk.conv1.weight" in tuned.state_dict()


# --- timbre


def test_the_trained_door_for_timbre_does_not_mind_units():
    torch.manual_seed(0)
    encoder = TimbreEncoder(DIM).train()
    timbre = torch.randn(11, 90) * 3 + 1
    memory = encoder(timbre)
    assert memory.shape == (11, 1, DIM)
    units = torch.logspace(0, 3, 90)
    torch.testing.assert_close(encoder(timbre * units), memory, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(encoder(timbre.unsqueeze(1)), memory)


def test_the_timbre_door_repeats_each_standardised_number_five_or_six_times():
    order = replicated_order(512, generator=torch.Generator().manual_seed(3))
    mean, std = torch.arange(90.0), torch.full((90,), 2.0)
    door = TimbreDoor(order, mean, std)
    timbre = (mean + 2 * torch.arange(90.0)).unsqueeze(0)
    memory = door(timbre)[0, 0]
    values, counts = memory.round().unique(return_counts=True)
    assert values.tolist() == list(range(90))
    assert set(counts.tolist()) == {5, 6}
    assert torch.equal(door(timbre.unsqueeze(1)), door(timbre))


# --- batch normalisation that spans processes


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
