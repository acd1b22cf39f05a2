"""songtitle: does an image captioner hear anything when it names songs?"""

__version__ = "0.1.0"
