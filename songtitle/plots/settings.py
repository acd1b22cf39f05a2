"""One clip under several spectrogram settings, drawn pixel for pixel on one scale."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from songtitle.plots.artists import PICTURE
from songtitle.plots.said import says
from songtitle.plots.style import COLOURS, require_some


def settings_panels(
    spectrograms: Mapping[str, Float[np.ndarray, "bins frames"]], stated: tuple[int, int]
) -> Figure:
    """Each spectrogram in grey, a bin or a frame as long as in every other panel.

    `spectrograms` are by name, in dB, lowest frequency first; `stated` are bins and frames that
    someone states, drawn as a dashed frame in each panel. A spectrogram fits where it fills it.
    """
    require_some(list(spectrograms), "settings panels")
    shapes = [each.shape for each in spectrograms.values()]
    most = [max(stated[axis], *(shape[axis] for shape in shapes)) for axis in (0, 1)]
    rows = -(-len(shapes) // 2)
    figure, axes = plt.subplots(
        rows, 2, figsize=(8.4, 2.15 * rows), layout="constrained", sharex=True, sharey=True
    )
    for ax, (name, values) in zip(np.ravel(axes), spectrograms.items(), strict=False):
        bins, frames = values.shape
        ax.imshow(
            values,
            origin="lower",
            aspect="auto",
            cmap="gray",
            extent=(0, frames, 0, bins),
            label=PICTURE,
        )
        for colour, lw in [("white", 3.2), (COLOURS[3], 1.6)]:
            frame = Rectangle((0, 0), stated[1], stated[0], fill=False, edgecolor=colour, lw=lw)
            frame.set(linestyle="-" if colour == "white" else "--", zorder=3, clip_on=False)
            frame.set_label("" if colour == "white" else "_the size that the paper states")
            ax.add_patch(frame)
        ax.set(xlim=(0, most[1] * 1.02), ylim=(0, most[0] * 1.04))
        ax.set_title(f"{name}: {bins} × {frames:,}", fontsize=10, loc="left")
        ax.grid(visible=False)
        says(ax, f"{bins} bins by {frames:,} frames", panel=name)
    for ax in np.ravel(axes)[len(shapes) :]:
        ax.set_visible(False)
    figure.supxlabel("frame", fontsize=11)
    figure.supylabel("bin", fontsize=11)
    return figure
