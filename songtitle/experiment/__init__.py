"""The experiment: where data, model, training, search and metrics meet, stage by stage.

Each function gives the record of one stage and sees to the stages before it, in this order:
`corpora`, `vocabulary`, `clips`, `picture_features`, `tile_features`, `song_features`, `training`,
`hypotheses`, `scores`. Then `comparison` (other encoders and decoders), and `similarity`,
`likeness` and `map_grid` (songs among pictures). `gallery_songs` and `branches` are what the
gallery shows. Whether any of it is more than chance, `songtitle.experiment.controls` asks.
"""
