"""Train a HiFi-GAN vocoder on a folder of recordings: the same as ``gradtts-interp train-vocoder``."""

import sys

from gradtts_interp.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["train-vocoder", *sys.argv[1:]]))
