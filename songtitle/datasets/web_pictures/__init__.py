"""Pictures from the web: asked for with care, kept in shards, and the lost ones accounted for."""

import os

# A library of img2dataset's asks a package index for its latest version as soon as it is imported.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
