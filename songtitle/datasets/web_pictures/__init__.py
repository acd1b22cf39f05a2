"""Pictures from the web: asked for with care, kept in shards, and the lost ones accounted for."""
