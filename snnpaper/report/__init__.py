"""Whatever reads records: tables, figures, sentences and verdicts; a folder a chapter."""
