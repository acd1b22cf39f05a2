"""What notebooks show: tables, values for prose, and the numbers behind figures."""

# ruff: noqa: F401, I001  (names to pass on, several to a line)
# fmt: off
from songtitle.report.answers import (
    census, census_note, funnels, joins, links_by_host, lost_links, named, named_samples, need,
    shift, sounds, timbre, years_by_row,
)
from songtitle.report.corpora import facts, panels, reach, table_1, table_2, table_3
from songtitle.report.detective import (
    against_the_paper, arithmetic, detective_facts, real_lengths, same_picture, spectrograms_of,
    suspects,
)
from songtitle.report.faults import fault_facts, fault_frame, fault_note, fault_table, faults
from songtitle.report.forensics import (
    content_free, content_free_note, definitions, distance_maps, example_title, forensic_note,
    nearest, prefix_panels,
)
from songtitle.report.gallery import (
    Gallery, gallery_cards, gallery_facts, guessing, hypotheses_at, tree_table,
)
from songtitle.report.labs import (
    lab_facts, lab_frame, lab_note, lab_reasons, lab_sentence, lab_table, lab_table_note,
)
from songtitle.report.likeness import apart, apart_values, containment_note, map_trust, maps_of
from songtitle.report.references import by_references, reference_curves, references_note
from songtitle.report.samples import (
    samples_conclusion, samples_controls, samples_definitions, samples_facts, samples_gains,
    samples_join, samples_learnt, samples_note, samples_retrieval, samples_table,
)
from songtitle.report.scoreboard import (
    Scoreboard, claim_rows, inconsistency_rows, scoreboard_note, verdict_counts, verdict_facts,
)
from songtitle.report.scores import (
    clip_of, comparison, diagram, example_caption, five_best, headline, mean_lengths,
    named_songs, perplexities, score_cell, signature, spectrogram_shapes, table_4, table_5,
    variety,
)
from songtitle.report.speed import benchmarks, growths, ratio_table, ratios, speed_note
from songtitle.report.switchboard import (
    changes_of, open_questions, sides, switch_note, switch_summary, switch_table, switched,
    tornado_panels,
)
from songtitle.report.truth import (
    beaten, controls, controls_note, definition_note, frame, length_note, length_split, paired,
    power, replicates, retrieval, seeds_note, shapes, steps_explained,
)
