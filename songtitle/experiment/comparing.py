"""Comparing: encoders and decoders side by side, each pair trained alike on the same captions."""

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from songtitle.cache import Record, once, pick, run_stage
from songtitle.config import ExperimentConfig
from songtitle.experiment.corpora import corpora
from songtitle.experiment.inputs import picture_features
from songtitle.experiment.learning import training
from songtitle.experiment.naming import hypotheses
from songtitle.experiment.scoring import BLEU, held_out_captions, scored
from songtitle.metrics.bleu import signatures

BEAM_SIZE = 5  # where the paper's scores peak
PATIENCE = 2  # epochs without a better validation loss after which the others stop


def variants(config: ExperimentConfig) -> list[ExperimentConfig]:
    """The experiment with each encoder and each decoder to compare.

    Its own pair, where it is named, stays as it is. The others stop early: of every training the
    best epoch is kept, so the rest of the epochs would only take time.
    """
    found = []
    for encoder, decoder in product(config.compared_encoders, config.compared_decoders):
        penalty = config.model.attention_penalty if decoder == "attention" else 0.0
        model = replace(config.model, encoder=encoder, decoder=decoder, attention_penalty=penalty)
        training = replace(config.training, patience=config.training.patience or PATIENCE)
        other = replace(config, model=model, training=training)
        found.append(config if model == config.model else other)
    return found


@once
def comparison(config: ExperimentConfig, *, home: Path) -> Record:
    """Every encoder with every decoder: perplexity with its control, BLEU-1 beside chance.

    Result rows: `encoder, decoder, valid_perplexity, permuted_pictures_perplexity, epoch,
    parameters, backbone_parameters`, and of the whole test crops at k = 5 what `Chance` holds.
    Timing: `rows`, in the same order, of `encode_seconds` and `epoch_seconds`.
    """
    name = f"pictures {config.crop}×{config.crop}"
    words, chosen = corpora(config, home=home), variants(config)
    seen = [picture_features(each, home=home) for each in chosen]
    trained = [training(each, home=home) for each in chosen]
    found = [hypotheses(each, name, BEAM_SIZE, home=home) for each in chosen]

    def compute(_: Path) -> dict[str, Any]:
        captions = held_out_captions(words)
        rows, times = [], []
        for each, pictures, learnt, said in zip(chosen, seen, trained, found, strict=True):
            history = learnt.result["history"]
            best = int(np.argmin([row["valid_perplexity"] for row in history]))
            rows.append(
                {
                    "encoder": each.model.encoder,
                    "decoder": each.model.decoder,
                    "epoch": history[best]["epoch"],
                    "backbone_parameters": pictures.result["parameters"],
                    **{
                        key: learnt.result[key]
                        for key in (
                            "valid_perplexity",
                            "permuted_pictures_perplexity",
                            "parameters",
                        )
                    },
                    **scored(said, captions, seed=config.seed),
                }
            )
            times.append(
                {
                    "encode_seconds": pictures.timing["encode_seconds"],
                    "epoch_seconds": learnt.timing["epoch_seconds"],
                }
            )
        return {"rows": rows, "timing": {"rows": times}}

    settings = pick(config, "seed") | {
        "bleu": signatures(BLEU),
        "records": [record.key for record in (*trained, *found)],
    }
    return run_stage("comparison", compute, settings=settings, inputs=[words], home=home)
